"""Scores that can be taken at their word, label sets that hold the truth as often as they say, and abstaining."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_expit, log_softmax

from holotype.decide.back_off import back_off_answers, fit_back_off
from holotype.decide.rules import probabilities
from holotype.metrics import log_loss
from holotype.spec import CalibrationSpec
from holotype.types import (
    NO_RANKS,
    AnyLabels,
    AnyScores,
    Calibration,
    Floats,
    Integers,
    Kind,
    LabelMatrix,
    OofPredictions,
    Ranks,
    TestPredictions,
    TopScores,
    dense,
)

__all__ = ["CalibrationChoice", "FittedCalibration", "calibrate", "fit_calibration", "label_sets", "sureness"]

Doubles = NDArray[np.float64]
Booleans = NDArray[np.bool_]
SMALLEST = 1e-6
FEWEST_POSITIVES = 10  # a class with fewer keeps its scores: a curve through a few points says nothing
PRIOR_STRENGTH = 1.0


def fit_calibration(
    logits: AnyScores, truth: AnyLabels, kind: Kind, spec: CalibrationSpec, ranks: Ranks = NO_RANKS
) -> Calibration:
    """Learn what to do with scores.

    Args:
        logits: Out of fold, shape (n, classes).
        truth: Which classes each sample has, shape (n, classes).
        kind: `multiclass` or `multilabel`.
        spec: The recipe's section.
        ranks: Above the classes, to back off to.
    """
    made = Calibration()
    if spec.method == "temperature":
        made = Calibration("temperature", ((_temperature(logits, truth, kind),),))
    if spec.method == "temperature" and spec.sets is None and spec.abstain is None and spec.back_off is None:
        return made  # the one calibration that can do without the scores of all classes
    logits, truth = dense(logits, "a calibration but for `temperature`"), LabelMatrix.of(truth)[:]
    if spec.method == "beta":
        odds = _odds(logits, kind)
        made = Calibration("beta", tuple(_beta(odds[:, k], truth[:, k]) for k in range(truth.shape[1])))
    elif spec.method == "isotonic":
        odds = _odds(logits, kind)
        stairs = [_staircase(odds[:, k], truth[:, k]) for k in range(truth.shape[1])]
        made = Calibration("isotonic", tuple(values for _, values in stairs), tuple(places for places, _ in stairs))
    said = probabilities(dense(calibrate(made, logits, kind), "a label set"), kind)
    largest = None if spec.sets is None else _largest(said, truth, spec.sets)
    band = None if spec.abstain is None else float(np.quantile(sureness(said, kind), spec.abstain))
    backs = None if spec.back_off is None else fit_back_off(said, truth, spec.back_off, ranks)
    return Calibration(made.method, made.numbers, made.steps, largest, band, backs)


def calibrate(calibration: Calibration, logits: AnyScores, kind: Kind) -> AnyScores:
    """Scores as the calibration would have them.

    Args:
        calibration: From `fit_calibration`.
        logits: Shape (n, classes).
        kind: `multiclass` or `multilabel`.

    Returns:
        Logits, shape (n, classes).
    """
    if calibration.method is None:
        return logits
    if calibration.method == "temperature":
        return _scaled(logits, calibration.numbers[0][0])
    odds = _odds(dense(logits, "a calibration by class"), kind)
    made = np.empty(odds.shape)
    for number, own in enumerate(calibration.numbers):
        if calibration.method == "beta":
            rise, fall, constant = own
            made[:, number] = rise * log_expit(odds[:, number]) - fall * log_expit(-odds[:, number]) + constant
        else:
            made[:, number] = np.interp(odds[:, number], calibration.steps[number], own)
    if kind == "multilabel":
        return made.astype(np.float32)
    return np.asarray(log_expit(made), np.float32)  # a softmax scales them to sum to 1


def label_sets(calibration: Calibration, probability: Doubles) -> Booleans:
    """The labels that cannot be ruled out (Sadinle, Lei & Wasserman 2019): at least the likeliest.

    Args:
        calibration: With `largest`.
        probability: Shape (n, classes).
    """
    kept = 1 - probability <= (1.0 if calibration.largest is None else calibration.largest)
    kept[np.arange(len(kept)), probability.argmax(axis=1)] = True
    return np.asarray(kept)


def sureness(probability: Doubles, kind: Kind) -> Doubles:
    """How sure a prediction is: the lead of the likeliest class, or the distance from one half of the closest call.

    Args:
        probability: Shape (n, classes).
        kind: `multiclass` or `multilabel`.

    Returns:
        Shape (n,).
    """
    if kind == "multilabel":
        return np.asarray(np.abs(probability - 0.5).min(axis=1))
    if probability.shape[1] < 2:
        return np.ones(len(probability))
    best = np.partition(probability, -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


@dataclass(frozen=True)
class CalibrationChoice:
    """The calibration as a choice that `score_nested` can refit.

    Args:
        spec: The recipe's section.
        kind: `multiclass` or `multilabel`.
        name: What it is called in the score's words.
        ranks: Above the classes, to back off to.
    """

    spec: CalibrationSpec
    kind: Kind
    name: str = "the calibration"
    ranks: Ranks = NO_RANKS

    @property
    def learns(self) -> bool:
        """Whether what was learnt changes scores, or answers that are scored."""
        return self.spec.method is not None or self.spec.back_off is not None

    def fit(self, evidence: OofPredictions, truth: AnyLabels, /) -> FittedCalibration:
        """Fit the calibration and return its application.

        Args:
            evidence: Out-of-fold scores.
            truth: Which classes each sample has.
        """
        return FittedCalibration(fit_calibration(evidence.logits, truth, self.kind, self.spec, self.ranks), self.kind)


@dataclass(frozen=True)
class FittedCalibration:
    """A calibration that can be applied.

    Args:
        calibration: From `fit_calibration`.
        kind: `multiclass` or `multilabel`.
    """

    calibration: Calibration
    kind: Kind

    def __call__(self, scores: OofPredictions | TestPredictions) -> AnyScores:
        """Logits of some samples.

        Args:
            scores: Before calibration.
        """
        return calibrate(self.calibration, scores.logits, self.kind)

    def answers(self, logits: AnyScores) -> tuple[Integers, Integers] | None:
        """The rank and the taxon that some samples are answered with; none where nothing backs off.

        Args:
            logits: After calibration, shape (n, classes).
        """
        backs = self.calibration.back_off
        if backs is None:
            return None
        return back_off_answers(backs, probabilities(dense(logits, "an answer that backs off"), self.kind))


def _temperature(logits: AnyScores, truth: AnyLabels, kind: Kind) -> float:
    """The one factor that makes the log loss smallest (Guo et al. 2017), as 1 / T."""

    def loss(exponent: float) -> float:
        return log_loss(truth, None, _scaled(logits, float(np.exp(exponent))), kind) + 1e-4 * exponent**2

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def _scaled(logits: AnyScores, factor: float) -> AnyScores:
    return logits.scaled(factor) if isinstance(logits, TopScores) else np.asarray(logits * np.float32(factor))


def _beta(odds: Doubles, truth: Booleans) -> tuple[float, float, float]:
    """Beta calibration (Kull, Silva Filho & Flach 2017), drawn towards leaving scores as they are."""
    if min(truth.sum(), (~truth).sum()) < FEWEST_POSITIVES:
        return 1.0, 1.0, 0.0
    rise, fall = log_expit(odds), -log_expit(-odds)
    sign = np.where(truth, 1.0, -1.0)

    def loss(numbers: Doubles) -> tuple[float, Doubles]:
        made = numbers[0] * rise + numbers[1] * fall + numbers[2]
        slope = -sign * expit(-sign * made)
        away = numbers - np.array([1.0, 1.0, 0.0])
        gradient = np.array([slope @ rise, slope @ fall, slope.sum()]) + 2 * PRIOR_STRENGTH * away
        return float(-log_expit(sign * made).sum() + PRIOR_STRENGTH * away @ away), gradient

    bounds = [(0, None), (0, None), (None, None)]
    found = minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(found[0]), float(found[1]), float(found[2])


def _staircase(odds: Doubles, truth: Booleans) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A rising staircase (Zadrozny & Elkan 2002) in log-odds; its ends are kept from nought and one by one sample."""
    from sklearn.isotonic import IsotonicRegression

    if min(truth.sum(), (~truth).sum()) < FEWEST_POSITIVES:
        ends = (float(odds.min()) - 1, float(odds.max()) + 1)
        return ends, ends
    edge = 1 / (len(truth) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(odds, truth.astype(float))
    values = np.clip(fitted.y_thresholds_, SMALLEST, 1 - SMALLEST)
    return tuple(map(float, fitted.X_thresholds_)), tuple(map(float, np.log(values) - np.log1p(-values)))


def _largest(probability: Doubles, truth: Booleans, share: float) -> float:
    """The conformal quantile of how unlikely the least likely true label is (Vovk et al. 2005)."""
    known = truth.any(axis=1)
    worst = np.where(truth, 1 - probability, -np.inf).max(axis=1)[known]
    if not len(worst):
        return 1.0
    level = min(np.ceil((len(worst) + 1) * share) / len(worst), 1.0)
    return float(np.quantile(worst, level, method="higher"))


def _odds(logits: Floats, kind: Kind) -> Doubles:
    wide = np.asarray(logits, np.float64)
    if kind == "multilabel":
        return wide
    log_p = log_softmax(wide, axis=1)
    return np.asarray(log_p - np.log(np.maximum(-np.expm1(log_p), SMALLEST)))
