"""What the report shows of a run: mistakes, specimens, duplicates, doubtful labels, how members become one."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.data import read_row, resize_image, usable_pixels
from holotype.decide import label_names, surest_of_classes, wrong_surely
from holotype.ensemble import diversity_table, stack_importance
from holotype.prepared import Prepared
from holotype.report import EnsembleContents, Mistake, Pair, Specimen, Suspect
from holotype.road.outcome import Outcome
from holotype.score import NestedScore
from holotype.types import Integers, some_rows

__all__ = [
    "duplicate_pairs",
    "how_members_become_one",
    "member_pairs",
    "mistakes",
    "pixels_of_row",
    "row_of_sample",
    "small",
    "small_pixels",
    "specimens",
    "surely_wrong",
    "suspects",
]

MISTAKES_SHOWN, SPECIMENS_SHOWN, PAIRS_SHOWN, SUSPECTS_SHOWN = 36, 48, 24, 36
LARGEST = 384  # pixels of the longer side
OF_CHANNELS = {
    "mean": "mean", "deviation": "deviation", "nonzero_mean": "mean above zero", "masked_mean": "masked mean",
}  # fmt: skip
WORST_FIRST = {("external", "test"): 0, ("train", "test"): 1, ("external", "train"): 2, ("train", "train"): 3}


def surely_wrong(outcome: Outcome, nested: NestedScore) -> tuple[Integers, NDArray[np.float64]]:
    """The samples whose wrong labels the run is surest of, the surest first.

    Args:
        outcome: What the run came to.
        nested: Its honest score.

    Returns:
        Their places among the scored samples, and the probability of what was decided of each.
    """
    surest = wrong_surely(nested.truth, nested.decided, nested.logits, outcome.prepared.images.kind)
    wrong = np.flatnonzero(surest >= 0)
    shown = wrong[np.argsort(-surest[wrong], kind="stable")][:MISTAKES_SHOWN]
    return shown, surest[shown]


def mistakes(outcome: Outcome, nested: NestedScore) -> list[Mistake]:
    """The samples whose wrong labels the run is surest of, the surest first.

    Args:
        outcome: What the run came to.
        nested: Its honest score.
    """
    images = outcome.prepared.images
    shown, sure = surely_wrong(outcome, nested)
    truths, decisions = (
        label_names(some_rows(array, shown), images.classes) for array in (nested.truth, nested.decided)
    )
    return [
        Mistake(
            id=str(images.samples.frame["sample"][int(nested.samples[row])]),
            fold=int(outcome.prepared.folds.fold_of_sample[nested.samples[row]]),
            truth=tuple(truth),
            decided=tuple(decided),
            confidence=float(confidence),
            pixels=_pixels_of_sample(outcome.prepared, int(nested.samples[row])),
        )
        for row, confidence, truth, decided in zip(shown, sure, truths, decisions, strict=True)
    ]


def specimens(outcome: Outcome, nested: NestedScore) -> list[Specimen]:
    """One sample a class, the one that the run is surest of among those it got right.

    Args:
        outcome: What the run came to.
        nested: Its honest score.
    """
    images = outcome.prepared.images
    rows = surest_of_classes(nested.truth, nested.decided, nested.logits, SPECIMENS_SHOWN)
    return [
        Specimen(
            str(images.samples.frame["sample"][int(nested.samples[row])]),
            tuple(names),
            _pixels_of_sample(outcome.prepared, int(nested.samples[row])),
        )
        for row, names in zip(rows, label_names(some_rows(nested.truth, rows), images.classes), strict=True)
    ]


def duplicate_pairs(ready: Prepared) -> tuple[Pair, ...]:
    """Pairs of images that are the same specimen: leaks into the test rows first, and near ones before exact ones.

    Args:
        ready: What is known before training.
    """
    images, links = ready.images, ready.audit.links
    roles, action = images.frame["role"], dict(ready.audit.clusters.select("row", "action").iter_rows())
    cluster_seen: dict[int, int] = {}
    ranked = []
    for link in links.iter_rows(named=True):
        joined = tuple(sorted((roles[link["row"]], roles[link["other"]])))
        turn = cluster_seen[link["cluster"]] = cluster_seen.get(link["cluster"], -1) + 1
        ranked.append((turn, WORST_FIRST.get(joined, 4), link["kind"] == "exact", link["similarity"], link))  # type: ignore[call-overload]
    shown = [entry[-1] for entry in sorted(ranked, key=lambda entry: entry[:-1])[:PAIRS_SHOWN]]
    return tuple(
        Pair(
            ids=_both(images.frame["id"], link),
            roles=_both(roles, link),
            labels=(_labels(ready, link["row"]), _labels(ready, link["other"])),
            kind=link["kind"],
            similarity=float(link["similarity"]),
            action=action.get(link["other"]) or action.get(link["row"], ""),
            pixels=(pixels_of_row(ready, link["row"]), pixels_of_row(ready, link["other"])),
        )
        for link in shown
    )


def suspects(outcome: Outcome, nested: NestedScore) -> tuple[Suspect, ...]:
    """The samples whose given labels are likely wrong, the surest first.

    Args:
        outcome: What the run came to.
        nested: Its honest score.
    """
    doubtful = outcome.suspects.filter("suspect").sort("quality").head(SUSPECTS_SHOWN)
    return tuple(
        Suspect(
            id=str(row["sample"]),
            given=tuple(row["given"]),
            suggested=tuple(row["suggested"]),
            quality=float(row["quality"]),
            pixels=_pixels_of_sample(outcome.prepared, int(nested.samples[row["position"]])),
        )
        for row in doubtful.iter_rows(named=True)
    )


def _both(column: pl.Series, link: dict[str, Any]) -> tuple[str, str]:
    return str(column[link["row"]]), str(column[link["other"]])


def _labels(ready: Prepared, row: int) -> tuple[str, ...]:
    numbers = ready.images.frame["labels"][int(row)]
    return () if numbers is None else tuple(ready.images.classes[number] for number in numbers)


def _pixels_of_sample(ready: Prepared, sample: int) -> NDArray[Any]:
    return pixels_of_row(ready, row_of_sample(ready, sample))


def row_of_sample(ready: Prepared, sample: int) -> int:
    """The first image of a sample that can be read.

    Args:
        ready: What is known before training.
        sample: The sample's number.
    """
    rows = np.flatnonzero(ready.images.sample_numbers == sample)
    return int(np.setdiff1d(rows, ready.folds.unreadable)[0])


def pixels_of_row(ready: Prepared, row: int) -> NDArray[Any]:
    """An image as its file has it, but for isolated values and pixels without data, shape (channels, height, width).

    Args:
        ready: What is known before training.
        row: The image's row.
    """
    return usable_pixels(read_row(ready.images, row))


def small_pixels(ready: Prepared, row: int) -> NDArray[Any]:
    """An image no larger than a picture of the report needs, so that many can be held.

    Args:
        ready: What is known before training.
        row: The image's row.
    """
    return small(pixels_of_row(ready, row))


def small(pixels: NDArray[Any]) -> NDArray[Any]:
    """An image no larger than a picture of the report needs, averaged over what becomes one pixel.

    Args:
        pixels: Shape (channels, height, width).

    Returns:
        The same type.
    """
    share = min(1.0, LARGEST / max(pixels.shape[1:]))
    return resize_image(pixels, *(max(1, round(side * share)) for side in pixels.shape[1:]))


def member_pairs(outcome: Outcome, nested: NestedScore) -> list[dict[str, Any]]:
    """How alike the members are, one entry a pair.

    Args:
        outcome: What the run came to.
        nested: Its honest score.
    """
    names, scores = [member.name for member in outcome.members], [member.logits for member in outcome.oof]
    return diversity_table(scores, names, nested.truth, outcome.prepared.images.kind) if len(scores) > 1 else []


def how_members_become_one(outcome: Outcome, nested: NestedScore) -> EnsembleContents:
    """The ensemble as the report shows it.

    Args:
        outcome: What the run came to.
        nested: Its honest score.
    """
    ensemble, classes = outcome.chosen.ensemble, outcome.prepared.images.classes
    means = {f"mean of class {number}": f"mean score of {name}" for number, name in enumerate(classes)}
    for number, channel in enumerate(outcome.prepared.images.channels or ()):
        means |= {f"{name}.{number}": f"{words} of {channel}" for name, words in OF_CHANNELS.items()}
    importance = stack_importance(ensemble.stack, ensemble.columns) if any(ensemble.stack) else {}
    return EnsembleContents(
        ensemble.kind,
        dict(zip(ensemble.members, ensemble.weights, strict=True)),
        {name: dict(zip(ensemble.members, own, strict=True)) for name, own in ensemble.parts.items()},
        {means.get(name, name): share for name, share in importance.items()},
        tuple(member_pairs(outcome, nested)),
    )
