"""A small run: samples with one or two images, plates, domains, folds by plate, and two models' scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from holotype.core.independence import independent_groups
from holotype.types import Folds, ImageTable, Kind, OofPredictions, Predictions

CLASSES = ("round", "spindle", "star")


@dataclass(frozen=True)
class Run:
    """What the score is made of.

    Args:
        images: The table.
        folds: Its folds.
        logits: What the network of its fold would say of each image, shape (images, classes).
    """

    images: ImageTable
    folds: Folds
    logits: np.ndarray

    def predictions(self, model: str = "b1") -> list[Predictions]:
        """Each used fold's training rows by the network that never saw the fold."""
        fold_of_row = self.folds.fold_of_sample[self.images.sample_numbers]
        training = np.isin(np.arange(len(self.images)), self.images.rows_of_role("train"))
        parts = []
        for fold in self.folds.used:
            rows = np.flatnonzero(training & (fold_of_row == fold))
            parts.append(Predictions(model, fold, rows, self.logits[rows]))
        return parts

    def test_predictions(self) -> list[Predictions]:
        """The test rows by every fold's network; the networks differ by a constant."""
        rows = self.images.rows_of_role("test")
        return [Predictions("b1", fold, rows, self.logits[rows] + np.float32(fold)) for fold in self.folds.used]

    def oof(self, noise: float = 0.0) -> OofPredictions:
        """Scores of the training samples, made worse by some noise."""
        samples = self.images.samples.of_role("train")
        samples = samples[np.isin(self.folds.fold_of_sample[samples], self.folds.used)]
        logits = self.logits[self.images.samples.first_rows[samples]]
        logits = logits + np.random.default_rng(5).normal(scale=noise, size=logits.shape)
        return OofPredictions(samples, logits.astype(np.float32), self.folds.fold_of_sample[samples])


def make_run(kind: Kind = "multiclass", used: tuple[int, ...] = (0, 1, 2, 3), grouped: bool = True) -> Run:
    generator = np.random.default_rng(11)
    plates, wells = 24, 6
    samples = plates * wells
    plate = np.repeat(np.arange(plates), wells)
    label = generator.choice(len(CLASSES), samples, p=[0.6, 0.3, 0.1])
    truth = np.eye(len(CLASSES), dtype=bool)[label]
    if kind == "multilabel":
        truth |= generator.random(truth.shape) < 0.1
    role = np.array(["train"] * 20 + ["external"] * 2 + ["test"] * 2)[plate]
    owner = np.sort(np.concatenate([np.arange(samples), np.arange(0, samples, 3)]))  # every third has two images
    shown = [None if role[sample] == "test" else np.flatnonzero(truth[sample]).tolist() for sample in owner]
    columns = {
        "id": [f"image{number}" for number in range(len(owner))],
        "sample": [f"well{sample}" for sample in owner],
        "role": role[owner],
        "files": [[f"{number}.png"] for number in range(len(owner))],
        "labels": pl.Series(shown, dtype=pl.List(pl.Int64)),
        "domain": np.where(plate[owner] % 2 == 0, "HeLa", "U2OS"),
    }
    if grouped:
        columns["group.plate"] = [f"plate{plate[sample]}" for sample in owner]
    images = ImageTable(pl.DataFrame(columns), CLASSES, kind)
    fold = np.where(role == "test", -1, plate % 4).astype(np.int64)
    groups = independent_groups(images, pl.DataFrame(schema={"cluster": pl.Int64, "row": pl.Int64}))
    folds = Folds(pl.DataFrame(), fold, 4, used, independent_groups=groups)
    logits = (generator.normal(size=(len(owner), len(CLASSES))) + 2.5 * truth[owner] - 1).astype(np.float32)
    return Run(images, folds, logits)


@pytest.fixture
def run() -> Run:
    return make_run()


@pytest.fixture
def make():
    return make_run
