"""One network to train: which rows, which fold, which model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.data import PixelCache
from holotype.recipe.sections import CheckpointsSpec, ModelSpec
from holotype.recipe.sections.schedule import ConstantSpec
from holotype.split import inner_samples
from holotype.training.taxonomy import model_taxonomy
from holotype.types import Folds, ImageTable, Integers, Kind, Normalization, RankHeads

__all__ = ["ALL_ROWS", "OTHER_CLASSES", "FitJob", "plan_fit", "refit_model", "specialist_job"]

ALL_ROWS = -2  # -1 is the fold of external samples without a tie
OTHER_CLASSES = "none of these"  # what a network of some classes calls all others, where a sample has one label

RECORDED_PACKAGES = ("torch", "timm", "numpy", "lightning-fabric", "safetensors")


@dataclass(frozen=True)
class FitJob:
    """Everything that decides a network, but for the pixels and the machine.

    Args:
        model: The recipe's section, its size resolved.
        fold: The fold that the network never sees; `ALL_ROWS` where it sees every one.
        seed: The recipe's seed.
        train_rows: Image rows that train, shape (n,).
        validation_rows: Image rows of the fold, shape (m,).
        classes: The class names in order.
        kind: `multiclass` or `multilabel`.
        channels: The channels' names, where the recipe gives them.
        normalization: Mean and deviation a channel.
        inner_rows: Image rows that whatever selects looks at, shape (k,); empty where nothing selects.
        external: Which of the training rows are external, shape (n,); none of them where it is empty.
        pixels_digest: The digest of the training rows' pixels, for the card.
        pseudo_rows: Image rows that join with labels an earlier network of the same fold was sure of, shape (p,).
        pseudo_round: How many such networks came before this one.
        domain: The domain that a specialist is of; none of the overall network.
        init_checkpoint: The checkpoint that a specialist starts from.
        init_digest: What that checkpoint was made from.
        rank_heads: The ranks above the classes that it learns, where it learns any.
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
        """The job in words, for progress and messages."""
        words = [self.model.name, "all rows" if self.fold == ALL_ROWS else f"fold {self.fold}"]
        words += [f"round {self.pseudo_round}"] if self.pseudo_round else []
        return ", ".join([*words, self.domain] if self.domain is not None else words)

    @property
    def seed_name(self) -> str:
        """What its randomness is keyed by beside seed, phase and fold: rounds of a model draw the same."""
        return self.model.name if self.domain is None else f"{self.model.name}/{self.domain}"

    def phase_rows(self, phase: int) -> Integers:
        """The image rows that may train in one phase: the labelled ones, then those that join, shape (n,).

        Args:
            phase: Its number.
        """
        return np.concatenate([self.labeled_rows(phase), self.pseudo_rows])

    def epoch_length(self, phase: int) -> int:
        """How many rows an epoch of a phase draws from.

        Args:
            phase: Its number.
        """
        return len(self.labeled_rows(phase)) + self.pseudo_rows_per_epoch

    @property
    def pseudo_rows_per_epoch(self) -> int:
        """How many rows join an epoch when all have joined that should."""
        spec = self.model.pseudo_labels
        return 0 if spec is None else round(spec.weight * len(self.pseudo_rows))

    def labeled_rows(self, phase: int) -> Integers:
        """The image rows with labels of their own that train in one phase, shape (n,).

        Args:
            phase: Its number.
        """
        row_selection = self.model.phases[phase].rows
        if row_selection == "all" or not len(self.external):
            return self.train_rows
        return self.train_rows[self.external == (row_selection == "external")]

    @property
    def size(self) -> int:
        """Side of the input that the finished network reads."""
        return self.model.phase_size(len(self.model.phases) - 1)

    def card(self, pixel_cache: PixelCache) -> dict[str, Any]:
        """What a checkpoint of this job says of itself.

        Args:
            pixel_cache: The images it is trained on; new ones are brought into the same form.
        """
        _, channels, height, width = pixel_cache.pixels.shape
        address, separator, network = self.model.weights.partition("#")
        kind = "run:" if address.startswith("run:") else ""
        weights = (
            f"{kind}{Path(address).name}{separator}{network}"  # a card is handed on: it names no folder of this machine
        )
        return {
            "model": self.model.model_dump(mode="json") | {"weights": weights},
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
    """The job of one model on one fold.

    Args:
        images: The table.
        folds: Which sample is in which fold.
        fold: The fold to leave out.
        model: The recipe's section, its size resolved.
        seed: The recipe's seed.
        normalization: Mean and deviation a channel.
    """
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
    parts = (np.flatnonzero(part).astype(np.int64) for part in (trains, validates, inner))
    train_rows, validation_rows, inner_rows = parts
    facts = (_model_class_names(model, images), images.kind, images.channels, normalization)
    external = roles[train_rows] == "external"
    rank_heads = model_taxonomy(model.head.taxonomy, images.ranks)
    return FitJob(model, fold, seed, train_rows, validation_rows, *facts, inner_rows, external, rank_heads=rank_heads)


def _model_class_names(model: ModelSpec, images: ImageTable) -> tuple[str, ...]:
    if model.classes == "all":
        return images.classes
    return (*model.classes, OTHER_CLASSES) if images.kind == "multiclass" else tuple(model.classes)


def specialist_job(job: FitJob, domain: str, in_domain: NDArray[np.bool_], init_checkpoint: tuple[Path, str]) -> FitJob:
    """The job of a domain's own network.

    Args:
        job: Of the overall network.
        domain: The domain's name.
        in_domain: Which image rows are of it, shape (image rows,).
        init_checkpoint: The overall network's checkpoint, and the digest of what it was made from.
    """
    phases = job.model.specialists.phases if job.model.specialists else job.model.phases
    model = job.model.model_copy(update={"phases": phases})
    row_fields = {
        name: getattr(job, name)[in_domain[getattr(job, name)]]
        for name in ("train_rows", "validation_rows", "inner_rows", "pseudo_rows")
    }
    external = job.external[in_domain[job.train_rows]] if len(job.external) else job.external
    if not len(row_fields["inner_rows"]):
        row_fields["inner_rows"] = job.inner_rows  # none of the domain are among them, and something has to choose
    specialist = replace(
        job,
        model=model,
        domain=domain,
        external=external,
        init_checkpoint=init_checkpoint[0],
        init_digest=init_checkpoint[1],
    )
    return replace(specialist, **row_fields)


def refit_model(model: ModelSpec, histories: Sequence[pl.DataFrame]) -> ModelSpec:
    """A model that trains as long as its folds did, with nothing left to choose.

    Args:
        model: The recipe's section, its size resolved.
        histories: Of the folds' networks: `phase`, one row an epoch.

    Returns:
        Each phase with the median of its epochs over the folds, without early ends and rewinds; the last checkpoint
        is kept where the best ones were.
    """
    phases = []
    for number, phase in enumerate(model.phases):
        epochs = int(np.median([(history["phase"] == number).sum() for history in histories]))
        schedule = ConstantSpec() if phase.schedule.name == "plateau" else phase.schedule
        changes = {"epochs": max(epochs, 1), "schedule": schedule, "early_stopping": None}
        phases.append(phase.model_copy(update=changes))
    checkpoints = CheckpointsSpec() if model.checkpoints.selects else model.checkpoints
    return model.model_copy(update={"phases": phases, "checkpoints": checkpoints})
