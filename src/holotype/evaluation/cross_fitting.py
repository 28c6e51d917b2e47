"""Choices that are made on out-of-fold scores, and their application to samples they were not made on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import HolotypeError
from holotype.core.seeds import keyed_generator
from holotype.types import (
    AnyLabels,
    AnyScores,
    Calibration,
    Integers,
    OofPredictions,
    TestPredictions,
    concatenate,
    take_rows,
)

__all__ = [
    "BackOffStep",
    "CrossFittedChains",
    "FittedChain",
    "PostprocessingStep",
    "Scores",
    "apply_cross_fitted",
    "cross_fit",
    "cross_fit_predict",
    "cross_fitting_folds",
    "fit_chain",
    "grouped_folds",
]

INNER_FOLDS = 5
Scores = OofPredictions | TestPredictions
StepResult = AnyLabels | AnyScores
FittedStep = Callable[[Any], Any]


@runtime_checkable
class BackOffStep(Protocol):
    """A fitted calibration that may answer with a higher rank of the taxonomy where the class is uncertain."""

    @property
    def calibration(self) -> Calibration:
        """Its parameters, with the target of the back-off."""

    def answers(self, logits: AnyScores) -> tuple[Integers, Integers] | None:
        """Rank and taxon of each answer, shape (n,) each; None where nothing backs off.

        Args:
            logits: After calibration, shape (n, classes).
        """


class PostprocessingStep(Protocol):
    """One choice of the chain from models' scores to labels: pooling, weights, calibration, thresholds.

    The first choice takes a list, one entry a model; each later one takes what the one before it made. All but the
    last give logits (n, classes), the last gives decisions (n, classes). A choice that learns nothing from the
    scores (a plain mean, a fixed threshold) says so by an attribute `learns = False`, and is not refitted.
    """

    @property
    def name(self) -> str:
        """What it is called in the score's words."""

    def fit(self, evidence: Any, truth: AnyLabels, /) -> FittedStep:
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

    steps: tuple[FittedStep, ...]

    def apply(self, models: Sequence[Scores]) -> list[Any]:
        """What each choice makes of some samples, in order; the last is the decision, where the chain ends in one.

        Args:
            models: Scores of the same samples, one entry a model.
        """
        results: list[Any] = []
        evidence: Any = list(models)
        for step in self.steps:
            results.append(step(evidence))
            evidence = replace(models[0], logits=results[-1])
        return results


CrossFittedChains = list[tuple[NDArray[np.bool_], FittedChain]]
"""Chains, each with the samples that it was fitted without, and that it may thus be scored on."""


def fit_chain(
    choices: Sequence[PostprocessingStep],
    models: Sequence[OofPredictions],
    truth: AnyLabels,
    folds: Integers,
    units: Integers,
    seed: int,
) -> FittedChain:
    """Fit every choice; a later one learns from scores that the one before made of samples it was not fitted on.

    A fitted choice that knows such scores itself (a stack, from its inner folds) has them as `oof_logits`; any other is
    fitted once more for each fold, without it.

    Args:
        choices: In order.
        models: Out-of-fold scores of the same samples, one entry a model.
        truth: Which classes each sample has, shape (n, classes).
        folds: The fold of each sample, shape (n,).
        units: What is independent, shape (n,); it makes folds where `folds` are of one fold only.
        seed: The recipe's seed.
    """
    steps: list[FittedStep] = []
    evidence: Any = list(models)
    for depth, choice in enumerate(choices):
        step = choice.fit(evidence, truth)
        steps.append(step)
        later = choices[depth + 1 :]
        if not later:
            break
        if not _learns(choice) or not any(_learns(other) for other in later):
            logits = step(evidence)
        else:
            oof_logits: AnyScores | None = getattr(step, "oof_logits", None)
            if oof_logits is None:
                oof_logits = _cross_fit_step(choice, evidence, truth, cross_fitting_folds(folds, units, seed))
            logits = oof_logits
        evidence = replace(models[0], logits=logits)
    return FittedChain(tuple(steps))


def _cross_fit_step(choice: PostprocessingStep, evidence: Any, truth: AnyLabels, folds: Integers) -> Any:
    """What a choice makes of its own evidence, fitted without the fold it is applied to."""
    parts = []
    for fold in np.unique(folds):
        inside, outside = folds == fold, folds != fold
        training, held_out = (_select_samples(evidence, mask) for mask in (outside, inside))
        parts.append(choice.fit(training, take_rows(truth, outside))(held_out))
    if not parts:
        raise HolotypeError("there are no scores to cross")
    return _restore_order(parts, folds)


def _restore_order(parts: Sequence[Any], folds: Integers) -> Any:
    """What was made fold by fold, in the order of the samples."""
    return take_rows(concatenate(parts), np.argsort(np.argsort(folds, kind="stable")))


def _select_samples(evidence: Any, mask: NDArray[np.bool_]) -> Any:
    if isinstance(evidence, list):
        return [_select_rows(scores, mask) for scores in evidence]
    return _select_rows(evidence, mask)


def cross_fit_predict(
    choices: Sequence[PostprocessingStep],
    models: Sequence[OofPredictions],
    truth: AnyLabels,
    folds: Integers,
    units: Integers,
    seed: int,
) -> list[Any]:
    """What each choice makes of every sample when it is fitted without the sample's fold.

    Args:
        choices: In order.
        models: Out-of-fold scores of the same samples, one entry a model.
        truth: Which classes each sample has, shape (n, classes).
        folds: The fold of each sample, shape (n,).
        units: What is independent, shape (n,); it makes folds where `folds` are of one fold only.
        seed: The recipe's seed.

    Returns:
        One array a choice, each of shape (n, classes).

    Raises:
        HolotypeError: A choice gave an array of another shape.
    """
    return apply_cross_fitted(cross_fit(choices, models, truth, folds, units, seed), choices, models, truth.shape)


def cross_fit(
    choices: Sequence[PostprocessingStep],
    models: Sequence[OofPredictions],
    truth: AnyLabels,
    folds: Integers,
    units: Integers,
    seed: int,
) -> CrossFittedChains:
    """The whole chain fitted once for each fold, without it; once for all where it learns nothing.

    Args:
        choices: In order.
        models: Out-of-fold scores of the same samples, one entry a model.
        truth: Which classes each sample has, shape (n, classes).
        folds: The fold of each sample, shape (n,).
        units: What is independent, shape (n,); it makes folds where `folds` are of one fold only.
        seed: The recipe's seed.
    """
    if not any(_learns(choice) for choice in choices):
        return [(np.ones(len(truth), bool), fit_chain(choices, models, truth, folds, units, seed))]
    fold_ids = cross_fitting_folds(folds, units, seed)
    chains = []
    for fold in np.unique(fold_ids):
        outside = fold_ids != fold
        training = [_select_rows(model, outside) for model in models]
        chains.append(
            (~outside, fit_chain(choices, training, take_rows(truth, outside), fold_ids[outside], units[outside], seed))
        )
    return chains


def apply_cross_fitted(
    chains: CrossFittedChains,
    choices: Sequence[PostprocessingStep],
    models: Sequence[OofPredictions],
    shape: tuple[int, ...],
) -> list[Any]:
    """What each choice makes of every sample by the chain that was fitted without it.

    Args:
        chains: From `cross_fit`.
        choices: In order.
        models: Out-of-fold scores of the same samples, one entry a model.
        shape: Samples and classes.

    Returns:
        One array a choice, each of that shape.

    Raises:
        HolotypeError: A choice gave an array of another shape.
    """
    results: list[list[Any]] = [[] for _ in choices]
    for inside, chain in chains:
        parts = chain.apply([_select_rows(model, inside) for model in models])
        for choice, collected, part in zip(choices, results, parts, strict=True):
            if part.shape != (int(inside.sum()), shape[1]):
                raise HolotypeError(f"{choice.name} gave an array of shape {part.shape} for {inside.sum()} samples")
            collected.append(part)
    rows = np.concatenate([np.flatnonzero(inside) for inside, _ in chains])
    return [take_rows(concatenate(parts), np.argsort(rows, kind="stable")) for parts in results]


def cross_fitting_folds(folds: Integers, units: Integers, seed: int) -> Integers:
    """The folds themselves where there are two or more, else grouped folds inside the one.

    Args:
        folds: The fold of each sample, shape (n,).
        units: What is independent, shape (n,).
        seed: The recipe's seed.

    Raises:
        HolotypeError: There is one sample only.
    """
    if len(np.unique(folds)) > 1:
        return folds
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


def _learns(choice: PostprocessingStep) -> bool:
    return bool(getattr(choice, "learns", True))


def _select_rows(evidence: OofPredictions, mask: NDArray[np.bool_]) -> OofPredictions:
    return OofPredictions(evidence.samples[mask], evidence.logits[mask], evidence.folds[mask])
