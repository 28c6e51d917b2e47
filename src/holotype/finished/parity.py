"""A graph held against the run that it was made from, on images of the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import log_softmax

from holotype.errors import HolotypeError, InputError
from holotype.finished.opened import OpenedRun
from holotype.finished.seen import NewImages, look_at, specimens_for
from holotype.finished.voices import hear_member
from holotype.progress import Progress
from holotype.spec import MemberSpec
from holotype.types import AnyScores, Checkpoint, Floats, ImageTable, TopScores

__all__ = ["CLOSE", "GraphMember", "held_against", "is_whole", "some_images"]

CHECKED = 8  # images
CLOSE = 1e-4  # of a logit
WRONG = 1e-2  # beyond the rounding of any network: the graph computes something else
LIKELIEST = 5  # classes that are compared where the run keeps the likeliest alone

Asked = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]


@dataclass(frozen=True)
class GraphMember:
    """One member as a graph reads it.

    Args:
        name: The member's name.
        section: The recipe's section, with the views and the pooling that the graph has.
        routes: The domains for which its specialists answer.
        checkpoints: The networks that the graph holds, one entry a fold.
    """

    name: str
    section: MemberSpec
    routes: tuple[str, ...]
    checkpoints: tuple[Checkpoint, ...]


def is_whole(opened: OpenedRun, voices: Sequence[GraphMember]) -> bool:
    """Whether the graph says what the run says, so that the run's calibration, decision and score are its own.

    Args:
        opened: The run.
        voices: The members that the graph holds.
    """
    return len(voices) == len(opened.ensemble.members) and not opened.ensemble.stack


def held_against(opened: OpenedRun, voices: Sequence[GraphMember], asked: Asked, domain: str | None) -> dict[str, Any]:
    """What the graph says of images of the run, beside what the run says of them.

    Args:
        opened: The run.
        voices: The members that the graph holds.
        asked: The graph.
        domain: The domain that it is for.

    Returns:
        How many images were compared, the largest difference of a logit, and in words what that means.

    Raises:
        HolotypeError: They do not say the same.
    """
    opened = replace(opened, runtime=replace(opened.runtime, progress=Progress(quiet=True)))
    images = some_images(opened, domain)
    try:
        new = look_at(images, opened.runtime, opened.usual)
        pixels = specimens_for(voices[0].checkpoints[0].card, new).pack.pixels.astype(np.float32)
    except (InputError, OSError):
        return {"images": 0, "largest_difference": None, "words": "not checked: the run's images are not here"}
    truth = _said(opened, voices, new)
    logits, _ = asked(pixels)
    alone, _ = asked(pixels[:1])
    difference = max(_difference(truth, logits), float(np.abs(alone[0] - logits[0]).max()))
    size = max(1.0, float(np.abs(logits).max()))
    if not difference <= WRONG * size:
        raise HolotypeError(f"the graph differs from the run by {difference:.2g} of a logit",
                            remedy="try the other --format, and tell us which backbone it was")  # fmt: skip
    words = f"the same as the run, within {CLOSE:g}" if difference <= CLOSE else f"not within {CLOSE:g} of the run"
    of = "log-probability of the likeliest" if isinstance(truth, TopScores) else "logit"
    return {"images": len(images), "largest_difference": difference, "of": of, "words": words}


def some_images(opened: OpenedRun, domain: str | None) -> ImageTable:
    """A few images of the run, as ones that it has never seen, each a sample of its own.

    Args:
        opened: The run.
        domain: What they are taken to be of.
    """
    frame = opened.folder.images()
    rows = np.unique(np.linspace(0, frame.height - 1, CHECKED).astype(int))
    frame = frame[rows].with_columns(
        pl.col("id").alias("sample"), pl.lit("test").alias("role"), pl.lit(None, pl.List(pl.Int64)).alias("labels"),
        pl.lit(domain, pl.String).alias("domain"),
    )  # fmt: skip
    decision, data = opened.decision, opened.recipe.data
    channels = tuple(data.channels) if data.channels else None
    return ImageTable(frame, decision.classes, decision.kind, channels, projection=data.projection)


def _said(opened: OpenedRun, voices: Sequence[GraphMember], new: NewImages) -> AnyScores:
    """What the run says, its views those of the graph."""
    if is_whole(opened, voices):
        members = opened.recipe.model_copy(update={"members": [one.section for one in voices]})
        return replace(opened, recipe=members).logits(new.images)
    (one,) = voices
    own = next(voice for voice in opened.voices if voice.section.name == one.name)
    return hear_member(replace(own, section=one.section, pool=one.section.predict.pool, routes=one.routes), new).logits


def _difference(truth: AnyScores, logits: Floats) -> float:
    if not isinstance(truth, TopScores):
        return float(np.abs(np.asarray(truth) - logits).max())
    places = truth.top[:, :LIKELIEST].astype(int)
    known = truth.logit[:, :LIKELIEST] - truth.total[:, None]
    own = np.take_along_axis(log_softmax(logits.astype(np.float64), axis=1), places, axis=1)
    return float(np.abs(known - own).max())
