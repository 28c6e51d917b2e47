"""What tells training rows from test rows before the folds are drawn: statistics, embeddings, a network of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from holotype.data import image_features
from holotype.errors import DataError
from holotype.members.pixels import embed_with_member, resolve_member
from holotype.members.train import train_and_predict
from holotype.members.workshop import Workshop
from holotype.score import gather_oof
from holotype.spec import KeepSpec, MemberSpec, SplitSpec, ViewSpec
from holotype.split import make_folds
from holotype.store import NotForeseenError
from holotype.types import Floats, ImageTable, dense

__all__ = ["likeness_by_network", "tables_to_tell_apart", "telling_features"]

FOLDS = 3  # each network sees two thirds of the rows, and a third is enough to be judged by
ROLES = ("train", "test")


def telling_features(members: Sequence[MemberSpec], split: SplitSpec, workshop: Workshop) -> tuple[list[str], Floats]:
    """What test images are told from training images by.

    Args:
        members: The recipe's sections; the first one's backbone looks at the images as it begins.
        split: The recipe's section, which may name a member as discriminator.
        workshop: What networks are made from; nothing is divided yet.

    Returns:
        Names of the columns, and their values, shape (image rows, columns); NaN where one is not known.

    Raises:
        NotForeseenError: In a forecast, where a network is missing.
    """
    images, statistics, audit = workshop.images, workshop.ready.statistics, workshop.ready.audit
    names, table = image_features(statistics.frame)
    rows = np.setdiff1d(np.arange(len(images)), audit.unreadable)
    machine = (workshop.runtime, workshop.pack)
    first = resolve_member(members[0], statistics)
    seen = embed_with_member(first, images, statistics, rows, workshop.stages, machine)
    names = [*names, *(f"embedding {number}" for number in range(seen.shape[1]))]
    if split.discriminator is None:
        return names, np.hstack([table, seen])
    teller = next(one for one in members if one.name == split.discriminator)
    likeness = likeness_by_network(resolve_member(teller, statistics), workshop)
    return [*names, f"discriminator {teller.name}"], np.hstack([table, seen, likeness[:, None]])


def likeness_by_network(member: MemberSpec, workshop: Workshop) -> Floats:
    """How much each image looks like a test image to a network that never saw it, its group or its duplicates.

    The network has the member's backbone, input, augmentation and phases; its labels are the rows' roles, so that
    whatever the member says of classes, domains and losses is left out.

    Args:
        member: The recipe's section, its size resolved.
        workshop: What networks are made from; its folds are not looked at.

    Returns:
        Log-odds of being a test image, shape (image rows,); NaN for other roles and unreadable images.

    Raises:
        DataError: There are no test rows.
        NotForeseenError: In a forecast, where a network is missing.
    """
    ready = workshop.ready
    if not len(ready.images.rows_of_role("test")):
        raise DataError("there are no test rows to be told apart", field="split.discriminator",
                        remedy="leave the key out")  # fmt: skip
    images = tables_to_tell_apart(ready.images)
    folds = make_folds(images, ready.audit, SplitSpec(folds=FOLDS, stratify=["labels"]), workshop.seed)
    own = replace(workshop, ready=replace(ready, images=images, folds=folds), final="folds")
    made = train_and_predict(_as_discriminator(member), own)
    if not made:
        raise NotForeseenError(f"the discriminator {member.name}")
    pool = made[0].pools[0]
    said = gather_oof([one for one in made[0].oof if one.pool == pool], folds, images, pool)
    of_sample = np.full(len(images.samples), np.nan, np.float32)
    logits = dense(said.logits, "a discriminator")
    of_sample[said.samples] = logits[:, 1] - logits[:, 0]
    return of_sample[images.sample_numbers]


def tables_to_tell_apart(images: ImageTable) -> ImageTable:
    """The table with its rows' roles as labels; external rows are neither.

    Args:
        images: The table.
    """
    role = images.frame["role"]
    number = role.replace_strict(ROLES, [0, 1], default=None, return_dtype=pl.Int64)
    labels = pl.DataFrame({"number": number}).select(
        pl.when(pl.col("number").is_not_null()).then(pl.concat_list("number")).alias("labels")
    )["labels"]
    told = pl.Series("role", ["train" if one in ROLES else "test" for one in role])
    frame = images.frame.with_columns(labels, told, pl.lit(None, pl.String).alias("domain"))
    return ImageTable(frame, ROLES, "multiclass", images.channels, projection=images.projection)


def _as_discriminator(member: MemberSpec) -> MemberSpec:
    plain = {"loss": None, "class_weights": None, "logit_adjust": 0.0, "rows": "all"}
    changes = {
        "name": f"{member.name}.discriminator", "classes": "all", "specialise": None, "pseudo": None,
        "neighbours": None, "keep": KeepSpec(), "predict": ViewSpec(views="none"),
        "phases": [phase.model_copy(update=plain) for phase in member.phases],
        "head": member.head.model_copy(update={"levels": None, "margin": None}),
    }  # fmt: skip
    return member.model_copy(update=changes)
