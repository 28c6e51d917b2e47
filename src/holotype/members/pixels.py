"""The stored images of a member, and what a backbone sees in them before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from holotype.data import Pack, PackPlan, input_size, open_pack, pack_images, plan_pack
from holotype.errors import DataError
from holotype.feed import Specimens, make_specimens, row_moments
from holotype.keys import embed_key, pack_key, statistics_key
from holotype.predict import embed_images
from holotype.runtime import Runtime
from holotype.spec import MemberSpec
from holotype.store import NotForeseenError, Stages
from holotype.train import launch_fabric
from holotype.types import Floats, ImageStatistics, ImageTable, Integers, LabelMatrix

__all__ = ["embed_with_member", "opened_pixels", "plan_pixels", "resolve_member", "stored_pixels", "unlabelled"]


def resolve_member(member: MemberSpec, statistics: ImageStatistics) -> MemberSpec:
    """A member whose input size is a number.

    Args:
        member: The recipe's section.
        statistics: Sizes of all images.
    """
    size = input_size(statistics, member.input.size)
    return member.model_copy(update={"input": member.input.model_copy(update={"size": size})})


def plan_pixels(member: MemberSpec, statistics: ImageStatistics) -> PackPlan:
    """The form in which a member asks for the images to be stored.

    Args:
        member: The recipe's section, its size resolved.
        statistics: Sizes, channels and depths of the images.
    """
    tile = member.input.tile
    plan = plan_pack(statistics, member.stored_size, member.input.resize, tile.side if tile else None)
    lacking = "missing" in statistics.frame.columns and (statistics.frame["missing"].list.max() > 0).any()
    by_set = member.input.normalise == "dataset" and lacking
    return replace(plan, fill=statistics.normalisation.mean) if by_set else plan


def stored_pixels(
    member: MemberSpec, images: ImageTable, statistics: ImageStatistics, stages: Stages, machine: tuple[Runtime, str]
) -> Pack:
    """The stored images, in the form that a member asks for.

    Args:
        member: The recipe's section, its size resolved.
        images: The table.
        statistics: Of every image.
        stages: Takes from the store what is there.
        machine: The runtime, and how pixels are kept: `auto` in the store, `none` in memory.
    """
    runtime, keep = machine
    plan = plan_pixels(member, statistics)
    nothing = Pack(np.empty((0, *plan.shape[1:]), plan.depth), plan.fitting)
    measured = statistics.frame["digest"].to_list()
    with _measured_anew_if_they_changed(images, stages):
        if keep == "none":
            made = pack_images(images, plan, None, runtime, digests=measured) if stages.makes else nothing.pixels
            return Pack(made, plan.fitting)
        key = pack_key(plan, member.stored_size, statistics)
        space = stages.store.workspace(key)
        place = stages.folder(key, lambda into: pack_images(images, plan, into, runtime, space, digests=measured))
    return open_pack(place) if stages.makes else nothing


@contextmanager
def _measured_anew_if_they_changed(images: ImageTable, stages: Stages) -> Iterator[None]:
    """Forget the statistics of images that are not what was measured, so that the next run measures them again."""
    try:
        yield
    except DataError:
        stages.store.forget(statistics_key(images))
        raise


def opened_pixels(
    member: MemberSpec, images: ImageTable, statistics: ImageStatistics, stages: Stages, machine: tuple[Runtime, str]
) -> Pack:
    """The stored images once more, without another line in the log where a stage of the run has made them.

    Args:
        member: The recipe's section, its size resolved.
        images: The table.
        statistics: Of every image.
        stages: Knows the store.
        machine: As in `stored_pixels`.
    """
    key = pack_key(plan_pixels(member, statistics), member.stored_size, statistics)
    if machine[1] != "none" and stages.store.holds(key):
        return open_pack(stages.store.place(key))
    return stored_pixels(member, images, statistics, stages, machine)


def embed_with_member(
    member: MemberSpec, images: ImageTable, statistics: ImageStatistics, rows: Integers, stages: Stages,
    machine: tuple[Runtime, str],
) -> Floats:  # fmt: skip
    """What the backbone that a member starts from sees in the images, before anything is trained.

    Args:
        member: The recipe's section, its size resolved.
        images: The table.
        statistics: Of every image.
        rows: The image rows that can be read.
        stages: Takes from the store what is there.
        machine: As in `stored_pixels`.

    Returns:
        Shape (image rows, width); NaN in other rows.

    Raises:
        NotForeseenError: In a forecast, where the store does not hold them.
    """
    runtime = machine[0]
    key = embed_key(member, rows, statistics, runtime, row_moments(member, images, statistics))

    def write(folder: object) -> None:
        pack = stored_pixels(member, images, statistics, stages, machine)
        specimens = unlabelled(member, pack, images, statistics)
        seen = embed_images(member, specimens, rows, runtime, launch_fabric(runtime).device)
        np.save(f"{folder}/embeddings.npy", seen, allow_pickle=False)

    place = stages.folder(key, write)
    if not place.is_dir():
        raise NotForeseenError(key.stage)
    seen = np.load(place / "embeddings.npy", allow_pickle=False)
    table = np.full((len(images), seen.shape[1]), np.nan, np.float32)
    table[rows] = seen
    return table


def unlabelled(member: MemberSpec, pack: Pack, images: ImageTable, statistics: ImageStatistics) -> Specimens:
    """Specimens of which nothing is known.

    Args:
        member: The recipe's section, its size resolved.
        pack: The stored images.
        images: The table.
        statistics: Of every image.
    """
    return make_specimens(
        member, pack, images, statistics, statistics.normalisation, LabelMatrix.nothing(len(images), 2)
    )
