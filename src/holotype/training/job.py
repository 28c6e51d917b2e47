"""Training job: the model, fold and rows of one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.seeds import derive_seed
from holotype.data import PixelCache
from holotype.networks import architecture_of, shared_weights_name
from holotype.recipe.sections import CheckpointsSpec, ModelSpec
from holotype.recipe.sections.schedule import ConstantSpec
from holotype.split import inner_samples
from holotype.training.taxonomy import model_taxonomy
from holotype.types import Folds, ImageTable, Integers, Kind, Normalization, RankHeads

ALL_ROWS = -2  # -1 is the fold of external samples that are tied to no fold
OTHER_CLASSES = "none of these"  # class of all samples outside a model's subset of classes, with one label per sample

RECORDED_PACKAGES = ("torch", "timm", "numpy", "lightning-fabric", "safetensors")


@dataclass(frozen=True)
class FitJob:
    """Everything that determines a network, except pixels and machine.

    Args:
        fold: The fold left out; `ALL_ROWS` for none.
        train_rows: Image rows, shape (n,).
        validation_rows: Image rows of the fold, shape (m,).
        classes: Class names in the order of the logits.
        inner_rows: Image rows for selection (checkpoints, early stopping), shape (k,); empty if nothing is selected.
        external: Mask of the training rows that are external, shape (n,); empty for none.
        pixels_digest: Digest of the training rows' pixels, for the card.
        pseudo_rows: Image rows with pseudo-labels from an earlier network of the same fold, shape (p,).
        domain: Domain of a specialist; None for the overall network.
    """

    model: ModelSpec
    fold: int
    seed: int
    train_rows: Integers
    validation_rows: Integers
    classes: tuple[str, ...]
    kind: Kind
    channels: tuple[str, ...] | None
    normalization: Normalization
    inner_rows: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    external: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    pixels_digest: str = ""
    pseudo_rows: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    pseudo_round: int = 0
    domain: str | None = None
    init_checkpoint: Path | None = None
    init_digest: str = ""
    rank_heads: RankHeads | None = None

    @property
    def label(self) -> str:
        """Job name for progress and messages."""
        words = [self.model.name, "all rows" if self.fold == ALL_ROWS else f"fold {self.fold}"]
        words += [f"round {self.pseudo_round}"] if self.pseudo_round else []
        return ", ".join([*words, self.domain] if self.domain is not None else words)

    @property
    def seed_name(self) -> str:
        """Name in the keys of random numbers; the same for all rounds of pseudo-labeling."""
        return self.model.name if self.domain is None else f"{self.model.name}/{self.domain}"

    def derive_key(self, phase: int, *purpose: str | int) -> int:
        """Derive a key of random numbers for one purpose in a phase."""
        return derive_seed(self.seed, self.seed_name, phase, self.fold, *purpose)

    def phase_rows(self, phase: int) -> Integers:
        """Get the training rows of a phase: labeled rows, then pseudo-labeled ones, shape (n,)."""
        return np.concatenate([self.labeled_rows(phase), self.pseudo_rows])

    def epoch_length(self, phase: int) -> int:
        """Count the rows from which an epoch of a phase draws."""
        return len(self.labeled_rows(phase)) + self.pseudo_rows_per_epoch

    @property
    def pseudo_rows_per_epoch(self) -> int:
        """Number of pseudo-labeled rows per epoch after the ramp."""
        spec = self.model.pseudo_labels
        return 0 if spec is None else round(spec.weight * len(self.pseudo_rows))

    def labeled_rows(self, phase: int) -> Integers:
        """Get the training rows of a phase that have labels of their own, shape (n,)."""
        row_selection = self.model.phases[phase].rows
        if row_selection == "all" or not len(self.external):
            return self.train_rows
        return self.train_rows[self.external == (row_selection == "external")]

    @property
    def size(self) -> int:
        """Input size of the finished network, in pixels."""
        return self.model.phase_size(len(self.model.phases) - 1)

    def card(self, pixel_cache: PixelCache) -> dict[str, Any]:
        """Describe a checkpoint of this job, trained on the images of `pixel_cache`, for `card.json`."""
        _, channels, height, width = pixel_cache.pixels.shape
        initial = {"backbone": architecture_of(self.model.backbone), "weights": shared_weights_name(self.model.weights)}
        section = self.model.model_dump(mode="json") | initial
        if section["input"]["normalize"] == "weights":  # the card has the numbers, the weights may be gone
            section["input"] = section["input"] | {"normalize": "dataset"}
        return {
            "model": section,
            "fold": self.fold,
            "seed": self.seed,
            "classes": list(self.classes),
            "kind": self.kind,
            "domain": self.domain,
            "round": self.pseudo_round,
            "channels": channels,
            "channel_names": list(self.channels) if self.channels else None,
            "input_channels": len(self.model.input.channels or range(channels)),
            "normalization": self.normalization.as_facts(),
            "size": self.size,
            "pixels": self.pixels_digest,
            "taxonomy": None if self.rank_heads is None else asdict(self.rank_heads),
            "versions": {name: version(name) for name in RECORDED_PACKAGES},
            "canvas": [height, width],
            "rows": {
                "train": len(self.train_rows),
                "inner": len(self.inner_rows),
                "validation": len(self.validation_rows),
            }
            | ({"pseudo_labels": len(self.pseudo_rows)} if self.pseudo_round else {}),
        }


def plan_fit(
    images: ImageTable, folds: Folds, fold: int, model: ModelSpec, seed: int, normalization: Normalization
) -> FitJob:
    """Plan the job of one model on one fold: its training, validation and selection rows."""
    rows, roles = images.sample_numbers, images.frame["role"].to_numpy()
    usable = ~np.isin(rows, folds.left_out)
    usable[folds.unreadable] = False
    in_fold = folds.fold_of_sample[rows] == fold
    if model.pseudo_labels is not None and model.pseudo_labels.roles != "test":
        usable &= roles != "external"
    trains, validates = (roles != "test") & usable & ~in_fold, (roles == "train") & usable & in_fold
    inner = np.zeros(len(rows), bool)
    if model.selects and model.checkpoints.rows == "scored-fold":
        inner = validates
    elif model.selects:
        inner_ids = inner_samples(images, folds, fold, seed)
        inner = np.isin(rows, inner_ids) & usable
        trains &= ~np.isin(folds.component[rows], folds.component[inner_ids])
    masks = (trains, validates, inner)
    train_rows, validation_rows, inner_rows = (np.flatnonzero(mask).astype(np.int64) for mask in masks)
    facts = (_model_class_names(model, images), images.kind, images.channels, normalization)
    external = roles[train_rows] == "external"
    rank_heads = model_taxonomy(model.head.taxonomy, images.ranks)
    return FitJob(model, fold, seed, train_rows, validation_rows, *facts, inner_rows, external, rank_heads=rank_heads)


def _model_class_names(model: ModelSpec, images: ImageTable) -> tuple[str, ...]:
    if model.classes == "all":
        return images.classes
    return (*model.classes, OTHER_CLASSES) if images.kind == "multiclass" else tuple(model.classes)


def specialist_job(
    job: FitJob, domain: str, in_domain: NDArray[np.bool_], *, init_checkpoint: Path, init_digest: str
) -> FitJob:
    """Make the job of a specialist for one domain.

    `in_domain`: mask of the domain's image rows, shape (image rows,).
    """
    phases = job.model.specialists.phases if job.model.specialists else job.model.phases
    model = job.model.model_copy(update={"phases": phases})
    row_fields = {
        name: getattr(job, name)[in_domain[getattr(job, name)]]
        for name in ("train_rows", "validation_rows", "inner_rows", "pseudo_rows")
    }
    external = job.external[in_domain[job.train_rows]] if len(job.external) else job.external
    if not len(row_fields["inner_rows"]):
        row_fields["inner_rows"] = job.inner_rows  # none is of the domain, and selection needs rows
    specialist = replace(job, model=model, domain=domain, external=external, **row_fields)
    return replace(specialist, init_checkpoint=init_checkpoint, init_digest=init_digest)


def refit_model(model: ModelSpec, histories: Sequence[pl.DataFrame]) -> ModelSpec:
    """Make the model of a refit on all rows, with the epochs of its folds and nothing to select.

    `histories`: of the folds' networks: `phase`, one row per epoch. Returns each phase has the median number of epochs
    over the folds, without early stopping and rewinds; the last checkpoint replaces the best ones.
    """
    phases = []
    for number, phase in enumerate(model.phases):
        epochs = int(np.median([(history["phase"] == number).sum() for history in histories]))
        schedule = ConstantSpec() if phase.schedule.name == "plateau" else phase.schedule
        changes = {"epochs": max(epochs, 1), "schedule": schedule, "early_stopping": None}
        phases.append(phase.model_copy(update=changes))
    checkpoints = CheckpointsSpec() if model.checkpoints.selects else model.checkpoints
    return model.model_copy(update={"phases": phases, "checkpoints": checkpoints})
