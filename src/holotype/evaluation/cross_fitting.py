"""Cross-fitting of postprocessing: fit on out-of-fold scores, apply to samples that were not used for fitting."""

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

INNER_FOLDS = 5
Scores = OofPredictions | TestPredictions
StepResult = AnyLabels | AnyScores
FittedStep = Callable[[Any], Any]


@runtime_checkable
class BackOffStep(Protocol):
    """Fitted calibration that may answer with a higher taxonomic rank if the class is uncertain."""

    @property
    def calibration(self) -> Calibration:
        """Parameters, with the target of the back-off."""

    def answers(self, logits: AnyScores) -> tuple[Integers, Integers] | None:
        """Return rank and taxon of each answer, shape (n,) each, or None without back-off.

        `logits`: after calibration, shape (n, classes).
        """


class PostprocessingStep(Protocol):
    """Step of the chain from models' scores to labels: pooling, weights, calibration or thresholds.

    The first step takes a list with one entry per model, each later step the result of the step before. All but the
    last return logits, the last returns decisions, shape (n, classes). A step that fits nothing on the scores (an equal
    mean, a fixed threshold) has an attribute `learns = False` and is not refitted.
    """

    @property
    def name(self) -> str:
        """Name in the method text of the score."""

    def fit(self, evidence: Any, truth: AnyLabels, /) -> FittedStep:
        """Fit the step on out-of-fold scores.

        `evidence`: a list of `OofPredictions` (first step) or one. Returns a function of a list of `Scores`, or of one,
        that returns logits or decisions.
        """


@dataclass(frozen=True)
class FittedChain:
    """Fitted postprocessing steps, in order."""

    steps: tuple[FittedStep, ...]

    def apply(self, models: Sequence[Scores]) -> list[Any]:
        """Return the result of every step for some samples; the last one is the decision if the chain ends in one."""
        results: list[Any] = []
        evidence: Any = list(models)
        for step in self.steps:
            results.append(step(evidence))
            evidence = replace(models[0], logits=results[-1])
        return results


CrossFittedChains = list[tuple[NDArray[np.bool_], FittedChain]]
"""Chains, each with the mask of the samples that it was fitted without and may be scored on."""


def learns(choice: PostprocessingStep) -> bool:
    """Check that a step fits something on the scores; it does unless it says otherwise."""
    return bool(getattr(choice, "learns", True))


def fit_chain(
    choices: Sequence[PostprocessingStep],
    models: Sequence[OofPredictions],
    truth: AnyLabels,
    folds: Integers,
    units: Integers,
    seed: int,
) -> FittedChain:
    """Fit every step on the out-of-fold results of the step before.

    If a fitted step has out-of-fold results itself (a stack, from its inner folds), they are its `oof_logits`;
    otherwise it is fitted once more per fold, without that fold.

    `units`: independent group of each sample, shape (n,); makes the folds if `folds` has only one.
    """
    steps: list[FittedStep] = []
    evidence: Any = list(models)
    for depth, choice in enumerate(choices):
        step = choice.fit(evidence, truth)
        steps.append(step)
        later = choices[depth + 1 :]
        if not later:
            break
        if not learns(choice) or not any(learns(other) for other in later):
            logits = step(evidence)
        else:
            oof_logits: AnyScores | None = getattr(step, "oof_logits", None)
            if oof_logits is None:
                oof_logits = _cross_fit_step(choice, evidence, truth, cross_fitting_folds(folds, units, seed))
            logits = oof_logits
        evidence = replace(models[0], logits=logits)
    return FittedChain(tuple(steps))


def _cross_fit_step(choice: PostprocessingStep, evidence: Any, truth: AnyLabels, folds: Integers) -> Any:
    parts = []
    for fold in np.unique(folds):
        inside, outside = folds == fold, folds != fold
        training, held_out = (_select_samples(evidence, mask) for mask in (outside, inside))
        parts.append(choice.fit(training, take_rows(truth, outside))(held_out))
    if not parts:
        raise HolotypeError("there are no scores to cross-fit")
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
    """Return the result of each step for every sample, fitted without the sample's fold; arguments as in `fit_chain`.

    Raises HolotypeError if a step returned an array of another shape.
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
    """Fit the whole chain once per fold, without that fold; once in all if no step learns. See `fit_chain`."""
    if not any(learns(choice) for choice in choices):
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
    """Return the result of each step for every sample, by the chain that was fitted without it."""
    results: list[list[Any]] = [[] for _ in choices]
    for inside, chain in chains:
        parts = chain.apply([_select_rows(model, inside) for model in models])
        for choice, collected, part in zip(choices, results, parts, strict=True):
            if part.shape != (int(inside.sum()), shape[1]):
                raise HolotypeError(f"{choice.name} returned an array of shape {part.shape} for {inside.sum()} samples")
            collected.append(part)
    rows = np.concatenate([np.flatnonzero(inside) for inside, _ in chains])
    return [take_rows(concatenate(parts), np.argsort(rows, kind="stable")) for parts in results]


def cross_fitting_folds(folds: Integers, units: Integers, seed: int) -> Integers:
    """Return the folds if there are at least two, else grouped folds inside the one."""
    if len(np.unique(folds)) > 1:
        return folds
    if len(np.unique(units)) < 2:
        units = np.arange(len(units))  # with one group, samples are split instead, and the score says so
    if len(units) < 2:
        raise HolotypeError("a single sample cannot both fit a step and score it", remedy="label more samples")
    return grouped_folds(units, INNER_FOLDS, seed)


def grouped_folds(units: Integers, count: int, seed: int) -> Integers:
    """Assign groups to at most `count` folds of similar size: the largest group first, each to the smallest fold."""
    _, inverse, sizes = np.unique(units, return_inverse=True, return_counts=True)
    shuffled = keyed_generator(seed, "score", "grouped folds").permutation(len(sizes))
    filled = np.zeros(min(count, len(sizes)), np.int64)
    fold_of_unit = np.empty(len(sizes), np.int64)
    for unit in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold = int(np.argmin(filled))
        fold_of_unit[unit] = fold
        filled[fold] += sizes[unit]
    return fold_of_unit[inverse]


def _select_rows(evidence: OofPredictions, mask: NDArray[np.bool_]) -> OofPredictions:
    return OofPredictions(evidence.samples[mask], evidence.logits[mask], evidence.folds[mask])
