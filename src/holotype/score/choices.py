"""Choices that are made on out-of-fold scores, and their application to samples they were not made on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from holotype.errors import HolotypeError
from holotype.seeds import keyed_generator
from holotype.types import AnyLabels, AnyScores, Integers, OofPredictions, TestPredictions, joined, some_rows

__all__ = [
    "Choice",
    "Crossed",
    "FittedChain",
    "Scores",
    "apply_crossed",
    "cross_apply",
    "cross_chains",
    "fit_chain",
    "folds_to_cross",
    "grouped_folds",
]

INNER_FOLDS = 5
Scores = OofPredictions | TestPredictions
Made = AnyLabels | AnyScores
Step = Callable[[Any], Any]


class Choice(Protocol):
    """One choice of the chain from members' scores to labels: pooling, weights, calibration, thresholds.

    The first choice takes a list, one entry a member; each later one takes what the one before it made. All but the
    last give logits (n, classes), the last gives decisions (n, classes). A choice that learns nothing from the
    scores (a plain mean, a fixed threshold) says so by an attribute `learns = False`, and is not refitted.
    """

    @property
    def name(self) -> str:
        """What it is called in the score's words."""

    def fit(self, evidence: Any, truth: AnyLabels, /) -> Step:
        """Learn from out-of-fold scores.

        Args:
            evidence: A list of `OofPredictions` (the first choice) or one.
            truth: Which classes each of the samples has, shape (n, classes).

        Returns:
            A function of a list of `Scores`, or of one, that gives logits or decisions.
        """


@dataclass(frozen=True)
class FittedChain:
    """Fitted choices in order.

    Args:
        steps: What each choice's `fit` returned.
    """

    steps: tuple[Step, ...]

    def apply(self, members: Sequence[Scores]) -> list[Any]:
        """What each choice makes of some samples, in order; the last is the decision, where the chain ends in one.

        Args:
            members: Scores of the same samples, one entry a member.
        """
        made: list[Any] = []
        evidence: Any = list(members)
        for step in self.steps:
            made.append(step(evidence))
            evidence = replace(members[0], logits=made[-1])
        return made


Crossed = list[tuple[NDArray[np.bool_], FittedChain]]
"""Chains, each with the samples that it was fitted without, and that it may thus be scored on."""


def fit_chain(
    choices: Sequence[Choice],
    members: Sequence[OofPredictions],
    truth: AnyLabels,
    blocks: Integers,
    units: Integers,
    seed: int,
) -> FittedChain:
    """Fit every choice; a later one learns from scores that the one before made of samples it was not fitted on.

    A fitted choice that knows such scores itself (a stack, from its inner folds) has them as `crossed`; any other is
    fitted once more for each fold, without it.

    Args:
        choices: In order.
        members: Out-of-fold scores of the same samples, one entry a member.
        truth: Which classes each sample has, shape (n, classes).
        blocks: The fold of each sample, shape (n,).
        units: What is independent, shape (n,); it makes folds where `blocks` are of one fold only.
        seed: The recipe's seed.
    """
    steps: list[Step] = []
    evidence: Any = list(members)
    for depth, choice in enumerate(choices):
        step = choice.fit(evidence, truth)
        steps.append(step)
        later = choices[depth + 1 :]
        if not later:
            break
        if not _learns(choice) or not any(_learns(other) for other in later):
            logits = step(evidence)
        else:
            known: AnyScores | None = getattr(step, "crossed", None)
            if known is None:
                known = _crossed(choice, evidence, truth, folds_to_cross(blocks, units, seed))
            logits = known
        evidence = replace(members[0], logits=logits)
    return FittedChain(tuple(steps))


def _crossed(choice: Choice, evidence: Any, truth: AnyLabels, folds: Integers) -> Any:
    """What a choice makes of its own evidence, fitted without the fold it is applied to."""
    parts = []
    for fold in np.unique(folds):
        inside, outside = folds == fold, folds != fold
        seen, asked = (_some(evidence, chosen) for chosen in (outside, inside))
        parts.append(choice.fit(seen, some_rows(truth, outside))(asked))
    if not parts:
        raise HolotypeError("there are no scores to cross")
    return _in_place(parts, folds)


def _in_place(parts: Sequence[Any], folds: Integers) -> Any:
    """What was made fold by fold, in the order of the samples."""
    return some_rows(joined(parts), np.argsort(np.argsort(folds, kind="stable")))


def _some(evidence: Any, chosen: NDArray[np.bool_]) -> Any:
    if isinstance(evidence, list):
        return [_rows(one, chosen) for one in evidence]
    return _rows(evidence, chosen)


def cross_apply(
    choices: Sequence[Choice],
    members: Sequence[OofPredictions],
    truth: AnyLabels,
    blocks: Integers,
    units: Integers,
    seed: int,
) -> list[Any]:
    """What each choice makes of every sample when it is fitted without the sample's fold.

    Args:
        choices: In order.
        members: Out-of-fold scores of the same samples, one entry a member.
        truth: Which classes each sample has, shape (n, classes).
        blocks: The fold of each sample, shape (n,).
        units: What is independent, shape (n,); it makes folds where `blocks` are of one fold only.
        seed: The recipe's seed.

    Returns:
        One array a choice, each of shape (n, classes).

    Raises:
        HolotypeError: A choice gave an array of another shape.
    """
    return apply_crossed(cross_chains(choices, members, truth, blocks, units, seed), choices, members, truth.shape)


def cross_chains(
    choices: Sequence[Choice],
    members: Sequence[OofPredictions],
    truth: AnyLabels,
    blocks: Integers,
    units: Integers,
    seed: int,
) -> Crossed:
    """The whole chain fitted once for each fold, without it; once for all where it learns nothing.

    Args:
        choices: In order.
        members: Out-of-fold scores of the same samples, one entry a member.
        truth: Which classes each sample has, shape (n, classes).
        blocks: The fold of each sample, shape (n,).
        units: What is independent, shape (n,); it makes folds where `blocks` are of one fold only.
        seed: The recipe's seed.
    """
    if not any(_learns(choice) for choice in choices):
        return [(np.ones(len(truth), bool), fit_chain(choices, members, truth, blocks, units, seed))]
    crossed = folds_to_cross(blocks, units, seed)
    chains = []
    for fold in np.unique(crossed):
        outside = crossed != fold
        seen = [_rows(member, outside) for member in members]
        chains.append(
            (~outside, fit_chain(choices, seen, some_rows(truth, outside), crossed[outside], units[outside], seed))
        )
    return chains


def apply_crossed(
    chains: Crossed, choices: Sequence[Choice], members: Sequence[OofPredictions], shape: tuple[int, ...]
) -> list[Any]:
    """What each choice makes of every sample by the chain that was fitted without it.

    Args:
        chains: From `cross_chains`.
        choices: In order.
        members: Out-of-fold scores of the same samples, one entry a member.
        shape: Samples and classes.

    Returns:
        One array a choice, each of that shape.

    Raises:
        HolotypeError: A choice gave an array of another shape.
    """
    made: list[list[Any]] = [[] for _ in choices]
    for inside, chain in chains:
        parts = chain.apply([_rows(member, inside) for member in members])
        for choice, whole, part in zip(choices, made, parts, strict=True):
            if part.shape != (int(inside.sum()), shape[1]):
                raise HolotypeError(f"{choice.name} gave an array of shape {part.shape} for {inside.sum()} samples")
            whole.append(part)
    rows = np.concatenate([np.flatnonzero(inside) for inside, _ in chains])
    return [some_rows(joined(parts), np.argsort(rows, kind="stable")) for parts in made]


def folds_to_cross(blocks: Integers, units: Integers, seed: int) -> Integers:
    """The folds themselves where there are two or more, else grouped folds inside the one.

    Args:
        blocks: The fold of each sample, shape (n,).
        units: What is independent, shape (n,).
        seed: The recipe's seed.

    Raises:
        HolotypeError: There is one sample only.
    """
    if len(np.unique(blocks)) > 1:
        return blocks
    if len(np.unique(units)) < 2:
        units = np.arange(len(units))  # one group alone: samples have to do, and the score says so
    if len(units) < 2:
        raise HolotypeError("one sample alone cannot both fit a choice and score it", remedy="label more samples")
    return grouped_folds(units, INNER_FOLDS, seed)


def grouped_folds(units: Integers, count: int, seed: int) -> Integers:
    """Folds that keep units whole and are of like size: the largest first, each to the smallest fold.

    Args:
        units: The unit of each sample, shape (n,).
        count: How many folds; fewer where there are fewer units.
        seed: Decides the order of units of one size.

    Returns:
        The fold of each sample, shape (n,).
    """
    _, inverse, sizes = np.unique(units, return_inverse=True, return_counts=True)
    shuffled = keyed_generator(seed, "score", "grouped folds").permutation(len(sizes))
    filled = np.zeros(min(count, len(sizes)), np.int64)
    fold_of_unit = np.empty(len(sizes), np.int64)
    for unit in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold = int(np.argmin(filled))
        fold_of_unit[unit] = fold
        filled[fold] += sizes[unit]
    return fold_of_unit[inverse]


def _learns(choice: Choice) -> bool:
    return bool(getattr(choice, "learns", True))


def _rows(evidence: OofPredictions, chosen: NDArray[np.bool_]) -> OofPredictions:
    return OofPredictions(evidence.samples[chosen], evidence.logits[chosen], evidence.folds[chosen])
