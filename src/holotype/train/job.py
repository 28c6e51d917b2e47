"""One network to train: which rows, which fold, which member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from holotype.data import Pack
from holotype.spec import MemberSpec
from holotype.types import Folds, ImageTable, Integers, Kind, Normalisation

__all__ = ["FitJob", "plan_fit"]


@dataclass(frozen=True)
class FitJob:
    """Everything that decides a network, but for the pixels and the machine.

    Args:
        member: The recipe's section, its size resolved.
        fold: The fold that the network never sees.
        seed: The recipe's seed.
        train_rows: Image rows that train, shape (n,).
        validation_rows: Image rows of the fold, shape (m,).
        classes: The class names in order.
        kind: `multiclass` or `multilabel`.
        channels: The channels' names, where the recipe gives them.
        normalisation: Mean and deviation a channel.
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

    @property
    def label(self) -> str:
        """The job in words, for progress and messages."""
        return f"{self.member.name}, fold {self.fold}"

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
            "canvas": [height, width],
            "rows": {"train": len(self.train_rows), "validation": len(self.validation_rows)},
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
    fold_of_row = folds.fold_of_sample[images.sample_numbers]
    kept = ~np.isin(images.sample_numbers, folds.left_out)
    kept[folds.unreadable] = False
    roles = images.frame["role"].to_numpy()
    labelled = roles != "test"
    train_rows = np.flatnonzero(labelled & kept & (fold_of_row != fold)).astype(np.int64)
    validation_rows = np.flatnonzero((roles == "train") & kept & (fold_of_row == fold)).astype(np.int64)
    return FitJob(member, fold, seed, train_rows, validation_rows, images.classes, images.kind, images.channels, scale)
