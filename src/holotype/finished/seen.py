"""New images as the networks of a finished run see them: measured once, stored as those were that they learnt from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.data import Pack, PackPlan, measure_images, pack_images
from holotype.digest import digest_value
from holotype.errors import DataError, listing
from holotype.feed import Specimens, make_specimens
from holotype.members import plan_pixels
from holotype.road.unusual import Usual
from holotype.runtime import Runtime
from holotype.spec import MemberSpec
from holotype.types import ImageStatistics, ImageTable, Integers, LabelMatrix, Normalisation

__all__ = [
    "NewImages",
    "look_at",
    "plan_for",
    "refuse_unusable",
    "specimens_for",
    "unusable_images",
    "usable_images",
]


@dataclass(frozen=True)
class NewImages:
    """Images that a run may never have seen.

    Args:
        images: Rows of the role `test`.
        statistics: Of every image.
        runtime: Device, threads and progress.
        pixels: The images in the form in which a network wants them stored, shape as planned.
        last: What the last network was fed with, by what it asked for: the next mostly asks for the same.
    """

    images: ImageTable
    statistics: ImageStatistics
    runtime: Runtime
    pixels: Callable[[PackPlan], NDArray[Any]]
    last: dict[str, Specimens] = field(default_factory=dict)


def look_at(images: ImageTable, runtime: Runtime, usual: Usual) -> NewImages:
    """Measure new images, and make sure that they are of the form of the training images.

    Args:
        images: Rows of the role `test`.
        runtime: Device, threads and progress.
        usual: What the training images are like.

    Raises:
        DataError: One cannot be read, or has other channels or another depth than the training images.
    """
    statistics = measure_images(images, runtime)
    refuse_unusable(unusable_images(images, statistics, usual), len(images))
    return usable_images(images, statistics, np.arange(len(images)), runtime)


def unusable_images(images: ImageTable, statistics: ImageStatistics, usual: Usual) -> dict[int, str]:
    """The images that cannot be predicted, each with the reason: unreadable, of other channels, of another depth.

    Args:
        images: The table; a column `unread` says why a file's format is not read.
        statistics: Of every image.
        usual: What the training images are like.
    """
    reasons: dict[int, str] = {}
    unread = images.frame["unread"] if "unread" in images.frame.columns else [None] * len(images)
    facts = statistics.frame.select("error", "depth", "channels").iter_rows()
    for row, (format_words, (error, depth, channels)) in enumerate(zip(unread, facts, strict=True)):
        reason = (format_words or error) if error is not None else usual.mismatch(depth, channels)
        if reason is not None:
            reasons[row] = reason if error is not None else f"{images.frame['id'][row]}: {reason}"
    return reasons


def refuse_unusable(reasons: Mapping[int, str], count: int) -> None:
    """Stop where images cannot be predicted.

    Args:
        reasons: From `unusable_images`.
        count: Of all images.

    Raises:
        DataError: There are such images.
    """
    if reasons:
        what = f"{len(reasons):,} of {count:,} images cannot be read or are unlike the training images"
        raise DataError(f"{what}: {listing(reasons.values())}", field="images",
                        remedy="mend or remove them, or pass over them with --skip-unreadable")  # fmt: skip


def usable_images(images: ImageTable, statistics: ImageStatistics, rows: Integers, runtime: Runtime) -> NewImages:
    """Some measured images, ready to be predicted.

    Args:
        images: The table.
        statistics: Of every image.
        rows: Those that can be used.
        runtime: Device, threads and progress.
    """
    chosen = replace(images, frame=images.frame[rows]) if len(rows) < len(images) else images
    measured = replace(statistics, frame=statistics.frame[rows])
    return NewImages(chosen, measured, runtime, _LastPack(chosen, runtime))


class _LastPack:
    """Packs images in memory and keeps the last pack: the networks of a member want the same one after another."""

    def __init__(self, images: ImageTable, runtime: Runtime) -> None:
        self.images, self.runtime = images, runtime
        self.plan: PackPlan | None = None
        self.pixels: NDArray[Any] = np.empty(0)

    def __call__(self, plan: PackPlan) -> NDArray[Any]:
        if plan != self.plan:
            self.plan, self.pixels = None, np.empty(0)  # two packs are never held at once
            self.pixels, self.plan = pack_images(self.images, plan, None, self.runtime), plan
        return self.pixels


def plan_for(card: dict[str, Any], statistics: ImageStatistics) -> PackPlan:
    """The form in which a network's training images were stored, for new ones.

    Args:
        card: The network's.
        statistics: Of the new images.

    Raises:
        DataError: They have other channels, or another size where the recipe insists on one.
    """
    found = statistics.frame["channels"].unique().to_list()
    if found != [card["channels"]]:
        raise DataError(f"the images have {listing(found)} channels and the run was trained on {card['channels']}")
    member = MemberSpec.model_validate(card["member"])
    plan = plan_pixels(member, statistics)
    fill = tuple(card["normalisation"]["mean"]) if member.input.normalise == "dataset" else None
    return replace(plan, shape=(*plan.shape[:2], *card["canvas"]), fill=fill)  # an image hangs on no other image


def specimens_for(card: dict[str, Any], new: NewImages) -> Specimens:
    """New images in the form in which a network's training images were stored.

    Args:
        card: The network's.
        new: From `look_at`.

    Raises:
        DataError: They have other channels.
    """
    wanted = {name: card[name] for name in ("member", "channels", "canvas", "normalisation", "classes")}
    key = digest_value(wanted)
    if key in new.last:
        return new.last[key]
    new.last.clear()
    plan = plan_for(card, new.statistics)
    member = MemberSpec.model_validate(card["member"])
    scale = Normalisation.from_facts(card["normalisation"])
    truth = LabelMatrix.nothing(len(new.images), len(card["classes"]))
    pack = Pack(new.pixels(plan), plan.fitting)
    new.last[key] = make_specimens(member, pack, new.images, new.statistics, scale, truth)
    return new.last[key]
