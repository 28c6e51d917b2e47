"""One network to train: which rows, which fold, which member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.data import Pack
from holotype.spec import KeepSpec, MemberSpec
from holotype.spec.schedule import ConstantSpec
from holotype.split import inner_samples
from holotype.train.levels import member_levels
from holotype.types import Folds, ImageTable, Integers, Kind, Levels, Normalisation

__all__ = ["ALL_ROWS", "FitJob", "plan_fit", "refit_member"]

ALL_ROWS = -2  # -1 is the fold of external samples without a tie

VERSIONED = ("torch", "timm", "numpy", "lightning-fabric", "safetensors")


@dataclass(frozen=True)
class FitJob:
    """Everything that decides a network, but for the pixels and the machine.

    Args:
        member: The recipe's section, its size resolved.
        fold: The fold that the network never sees; `ALL_ROWS` where it sees every one.
        seed: The recipe's seed.
        train_rows: Image rows that train, shape (n,).
        validation_rows: Image rows of the fold, shape (m,).
        classes: The class names in order.
        kind: `multiclass` or `multilabel`.
        channels: The channels' names, where the recipe gives them.
        normalisation: Mean and deviation a channel.
        inner_rows: Image rows that whatever selects looks at, shape (k,); empty where nothing selects.
        external: Which of the training rows are external, shape (n,); none of them where it is empty.
        pixels: The digest of the training rows' pixels, for the card.
        levels: The ranks above the classes that it learns, where it learns any.
    """

    member: MemberSpec
    fold: int
    seed: int
    train_rows: Integers
    validation_rows: Integers
    classes: tuple[str, ...]
    kind: Kind
    channels: tuple[str, ...] | None
    normalisation: Normalisation
    inner_rows: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    external: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    pixels: str = ""
    levels: Levels | None = None

    @property
    def label(self) -> str:
        """The job in words, for progress and messages."""
        return f"{self.member.name}, {'all rows' if self.fold == ALL_ROWS else f'fold {self.fold}'}"

    def phase_rows(self, phase: int) -> Integers:
        """The image rows that train in one phase, shape (n,).

        Args:
            phase: Its number.
        """
        wanted = self.member.phases[phase].rows
        if wanted == "all" or not len(self.external):
            return self.train_rows
        return self.train_rows[self.external == (wanted == "external")]

    @property
    def size(self) -> int:
        """Side of the input that the finished network reads."""
        return self.member.phase_size(len(self.member.phases) - 1)

    def card(self, pack: Pack) -> dict[str, Any]:
        """What a checkpoint of this job says of itself.

        Args:
            pack: The images it is trained on; new ones are brought into the same form.
        """
        _, channels, height, width = pack.pixels.shape
        return {
            "member": self.member.model_dump(mode="json"),
            "fold": self.fold,
            "seed": self.seed,
            "classes": list(self.classes),
            "kind": self.kind,
            "channels": channels,
            "channel_names": list(self.channels) if self.channels else None,
            "input_channels": len(self.member.input.channels or range(channels)),
            "normalisation": {"mean": self.normalisation.mean, "deviation": self.normalisation.deviation},
            "size": self.size,
            "pixels": self.pixels,
            "levels": None if self.levels is None else asdict(self.levels),
            "versions": {name: version(name) for name in VERSIONED},
            "canvas": [height, width],
            "rows": {
                "train": len(self.train_rows),
                "inner": len(self.inner_rows),
                "validation": len(self.validation_rows),
            },
        }


def plan_fit(
    images: ImageTable, folds: Folds, fold: int, member: MemberSpec, seed: int, scale: Normalisation
) -> FitJob:
    """The job of one member on one fold.

    Args:
        images: The table.
        folds: Which sample is in which fold.
        fold: The fold to leave out.
        member: The recipe's section, its size resolved.
        seed: The recipe's seed.
        scale: Mean and deviation a channel.
    """
    rows, roles = images.sample_numbers, images.frame["role"].to_numpy()
    kept = ~np.isin(rows, folds.left_out)
    kept[folds.unreadable] = False
    in_fold = folds.fold_of_sample[rows] == fold
    trains, validates = (roles != "test") & kept & ~in_fold, (roles == "train") & kept & in_fold
    inner = np.zeros(len(rows), bool)
    if member.selects and member.keep.on == "fold":
        inner = validates
    elif member.selects:
        chosen = inner_samples(images, folds, fold, seed)
        inner = np.isin(rows, chosen) & kept
        trains &= ~np.isin(folds.component[rows], folds.component[chosen])
    parts = (np.flatnonzero(part).astype(np.int64) for part in (trains, validates, inner))
    train_rows, validation_rows, inner_rows = parts
    facts = (images.classes, images.kind, images.channels, scale)
    external = roles[train_rows] == "external"
    levels = member_levels(member.head.levels, images.ranks)
    return FitJob(member, fold, seed, train_rows, validation_rows, *facts, inner_rows, external, levels=levels)


def refit_member(member: MemberSpec, histories: Sequence[pl.DataFrame]) -> MemberSpec:
    """A member that trains as long as its folds did, with nothing left to choose.

    Args:
        member: The recipe's section, its size resolved.
        histories: Of the folds' networks: `phase`, one row an epoch.

    Returns:
        Each phase with the median of its epochs over the folds, without early ends and rewinds; the last checkpoint
        is kept where the best ones were.
    """
    phases = []
    for number, phase in enumerate(member.phases):
        epochs = int(np.median([(history["phase"] == number).sum() for history in histories]))
        schedule = ConstantSpec() if phase.schedule.name == "plateau" else phase.schedule
        changes = {"epochs": max(epochs, 1), "schedule": schedule, "stop_after": None}
        phases.append(phase.model_copy(update=changes))
    keep = KeepSpec() if member.keep.selects else member.keep
    return member.model_copy(update={"phases": phases, "keep": keep})
