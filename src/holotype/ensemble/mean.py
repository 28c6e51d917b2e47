"""The plain mean of members' scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, softmax

from holotype.errors import HolotypeError
from holotype.spec import MeanSpec
from holotype.types import Ensemble, Floats, Kind, OofPredictions, TestPredictions

__all__ = ["EnsembleChoice", "apply_ensemble", "fit_ensemble", "mean_scores"]

Scores = OofPredictions | TestPredictions
SMALLEST = 1e-7


def mean_scores(members: Sequence[Floats], weights: Sequence[float], space: str, kind: Kind) -> Floats:
    """The weighted mean of several arrays of logits.

    Args:
        members: One array a member, shape (n, classes) each.
        weights: One a member, summing to 1.
        space: `logit` averages as they are; `probability` averages what they say and turns it back.
        kind: `multiclass` (softmax) or `multilabel` (sigmoid).

    Returns:
        Logits, shape (n, classes).
    """
    if len(members) == 1:
        return members[0]
    if space == "logit":
        return np.asarray(sum(weight * one for weight, one in zip(weights, members, strict=True)), dtype=np.float32)
    said = [expit(one) if kind == "multilabel" else softmax(one, axis=1) for one in members]
    mean = np.clip(sum(weight * one for weight, one in zip(weights, said, strict=True)), SMALLEST, 1 - SMALLEST)
    return np.asarray(logit(mean) if kind == "multilabel" else np.log(mean), dtype=np.float32)


def fit_ensemble(members: Sequence[OofPredictions], names: Sequence[str], spec: MeanSpec) -> Ensemble:
    """The ensemble of some members; a mean learns nothing from their scores.

    Args:
        members: Out-of-fold scores of the same samples, one entry a member.
        names: The members' names.
        spec: The recipe's section.

    Raises:
        HolotypeError: Members have scored other samples than each other.
    """
    for name, member in zip(names, members, strict=True):
        if not np.array_equal(member.samples, members[0].samples):
            raise HolotypeError(
                f"member {name!r} has scored other samples than {names[0]!r}; run both on the same folds"
            )
    return Ensemble(spec.kind, spec.space, tuple(names), tuple(1.0 / len(names) for _ in names))


def apply_ensemble(ensemble: Ensemble, members: Sequence[Scores], kind: Kind) -> Floats:
    """The members' scores as one.

    Args:
        ensemble: From `fit_ensemble`.
        members: Scores of the same samples, in the ensemble's order.
        kind: `multiclass` or `multilabel`.

    Returns:
        Logits, shape (n, classes).
    """
    return mean_scores([member.logits for member in members], ensemble.weights, ensemble.space, kind)


@dataclass(frozen=True)
class EnsembleChoice:
    """The ensemble as a choice that `score_nested` can refit.

    Args:
        spec: The recipe's section.
        names: The members' names.
        kind: `multiclass` or `multilabel`.
        name: What it is called in the score's words.
        learns: A mean learns nothing.
    """

    spec: MeanSpec
    names: tuple[str, ...]
    kind: Kind
    name: str = "the mean over members"
    learns: bool = False

    def fit(
        self, evidence: Sequence[OofPredictions], truth: NDArray[np.bool_], /
    ) -> Callable[[Sequence[Scores]], Floats]:
        """Fit the ensemble and return its application.

        Args:
            evidence: Out-of-fold scores, one entry a member.
            truth: Which classes each sample has.
        """
        ensemble = fit_ensemble(evidence, self.names, self.spec)
        return lambda members: apply_ensemble(ensemble, members, self.kind)
