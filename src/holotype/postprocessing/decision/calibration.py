"""Probability calibration, conformal prediction sets and abstention."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, log_expit, log_softmax

from holotype.evaluation.metrics import log_loss, probabilities
from holotype.postprocessing.decision.back_off import back_off_answers, fit_back_off
from holotype.recipe.sections import CalibrationSpec
from holotype.types import (
    NO_RANKS,
    AnyLabels,
    AnyScores,
    Booleans,
    Calibration,
    Doubles,
    Floats,
    Integers,
    Kind,
    LabelMatrix,
    OofPredictions,
    Ranks,
    TestPredictions,
    TopKScores,
    to_dense,
)

EPSILON = 1e-6
MIN_POSITIVES = 10  # a class with fewer is not calibrated
PRIOR_STRENGTH = 1.0


def fit_calibration(
    logits: AnyScores, truth: AnyLabels, kind: Kind, spec: CalibrationSpec, ranks: Ranks = NO_RANKS
) -> Calibration:
    """Fit calibration, prediction sets, abstention and back-off on out-of-fold scores."""
    calibration = Calibration()
    if spec.method == "temperature":
        calibration = Calibration("temperature", ((_fit_temperature(logits, truth, kind),),))
    if spec.method == "temperature" and spec.prediction_sets is None and spec.abstain is None and spec.back_off is None:
        return calibration  # works on top-k scores too
    logits, truth = to_dense(logits, "a calibration other than `temperature`"), LabelMatrix.from_dense(truth)[:]
    if spec.method == "beta":
        odds = _log_odds(logits, kind)
        calibration = Calibration("beta", tuple(_fit_beta(odds[:, k], truth[:, k]) for k in range(truth.shape[1])))
    elif spec.method == "isotonic":
        odds = _log_odds(logits, kind)
        stairs = [_fit_isotonic(odds[:, k], truth[:, k]) for k in range(truth.shape[1])]
        calibration = Calibration(
            "isotonic", tuple(values for _, values in stairs), tuple(knots for knots, _ in stairs)
        )
    probability = probabilities(to_dense(calibrate(calibration, logits, kind), "a prediction set"), kind)
    if spec.prediction_sets is not None:
        calibration = replace(calibration, set_threshold=_conformal_quantile(probability, truth, spec.prediction_sets))
    if spec.abstain is not None:
        abstain_threshold = float(np.quantile(confidence_margin(probability, kind), spec.abstain))
        calibration = replace(calibration, abstain_threshold=abstain_threshold)
    if spec.back_off is not None:
        calibration = replace(calibration, back_off=fit_back_off(probability, truth, spec.back_off, ranks))
    return calibration


def calibrate(calibration: Calibration, logits: AnyScores, kind: Kind) -> AnyScores:
    """Apply a calibration to logits."""
    if calibration.method is None:
        return logits
    if calibration.method == "temperature":
        return _scale_logits(logits, calibration.parameters[0][0])
    odds = _log_odds(to_dense(logits, "a calibration by class"), kind)
    calibrated = np.empty(odds.shape)
    for number, parameters in enumerate(calibration.parameters):
        if calibration.method == "beta":
            rise, fall, constant = parameters
            calibrated[:, number] = rise * log_expit(odds[:, number]) - fall * log_expit(-odds[:, number]) + constant
        else:
            calibrated[:, number] = np.interp(odds[:, number], calibration.knots[number], parameters)
    if kind == "multilabel":
        return calibrated.astype(np.float32)
    return np.asarray(log_expit(calibrated), np.float32)  # a softmax normalizes them


def prediction_sets(calibration: Calibration, probability: Doubles) -> Booleans:
    """Conformal prediction sets (Sadinle, Lei & Wasserman 2019): all labels not ruled out, at least the top one."""
    included = 1 - probability <= (1.0 if calibration.set_threshold is None else calibration.set_threshold)
    included[np.arange(len(included)), probability.argmax(axis=1)] = True
    return np.asarray(included)


def confidence_margin(probability: Doubles, kind: Kind) -> Doubles:
    """Confidence margin, shape (n,): top-1 minus top-2 probability, or the smallest distance from 0.5 (multilabel)."""
    if kind == "multilabel":
        return np.asarray(np.abs(probability - 0.5).min(axis=1))
    if probability.shape[1] < 2:
        return np.ones(len(probability))
    best = np.partition(probability, -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


@dataclass(frozen=True)
class CalibrationStep:
    """Calibration as a postprocessing step that `score_nested` can refit."""

    spec: CalibrationSpec
    kind: Kind
    name: str = "the calibration"
    ranks: Ranks = NO_RANKS

    @property
    def learns(self) -> bool:
        """True if the calibration changes scores or scored answers."""
        return self.spec.method is not None or self.spec.back_off is not None

    def fit(self, evidence: OofPredictions, truth: AnyLabels, /) -> FittedCalibration:
        """Fit the calibration on out-of-fold scores and return its application."""
        return FittedCalibration(fit_calibration(evidence.logits, truth, self.kind, self.spec, self.ranks), self.kind)


@dataclass(frozen=True)
class FittedCalibration:
    """Fitted calibration, a function of scores."""

    calibration: Calibration
    kind: Kind

    def __call__(self, scores: OofPredictions | TestPredictions) -> AnyScores:
        """Calibrated logits."""
        return calibrate(self.calibration, scores.logits, self.kind)

    def answers(self, logits: AnyScores) -> tuple[Integers, Integers] | None:
        """Return rank and taxon of each answer, shape (n,) each, or None without back-off.

        `logits`: after calibration, shape (n, classes).
        """
        back_off = self.calibration.back_off
        if back_off is None:
            return None
        return back_off_answers(back_off, probabilities(to_dense(logits, "an answer that backs off"), self.kind))


def _fit_temperature(logits: AnyScores, truth: AnyLabels, kind: Kind) -> float:
    """Temperature scaling (Guo et al. 2017): the factor 1 / T of smallest log loss."""
    from scipy.optimize import minimize_scalar

    def loss(exponent: float) -> float:
        return log_loss(truth, None, _scale_logits(logits, float(np.exp(exponent))), kind) + 1e-4 * exponent**2

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def _scale_logits(logits: AnyScores, factor: float) -> AnyScores:
    return logits.scaled(factor) if isinstance(logits, TopKScores) else np.asarray(logits * np.float32(factor))


def _fit_beta(odds: Doubles, truth: Booleans) -> tuple[float, float, float]:
    """Beta calibration (Kull, Silva Filho & Flach 2017), regularized towards the identity."""
    from scipy.optimize import minimize

    if min(truth.sum(), (~truth).sum()) < MIN_POSITIVES:
        return 1.0, 1.0, 0.0
    rise, fall = log_expit(odds), -log_expit(-odds)
    sign = np.where(truth, 1.0, -1.0)

    def loss(parameters: Doubles) -> tuple[float, Doubles]:
        scores = parameters[0] * rise + parameters[1] * fall + parameters[2]
        derivative = -sign * expit(-sign * scores)
        offset = parameters - np.array([1.0, 1.0, 0.0])
        gradient = np.array([derivative @ rise, derivative @ fall, derivative.sum()]) + 2 * PRIOR_STRENGTH * offset
        return float(-log_expit(sign * scores).sum() + PRIOR_STRENGTH * offset @ offset), gradient

    bounds = [(0, None), (0, None), (None, None)]
    solution = minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(solution[0]), float(solution[1]), float(solution[2])


def _fit_isotonic(odds: Doubles, truth: Booleans) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Isotonic calibration (Zadrozny & Elkan 2002) in log-odds; one pseudo-sample keeps the ends away from 0 and 1."""
    from sklearn.isotonic import IsotonicRegression

    if min(truth.sum(), (~truth).sum()) < MIN_POSITIVES:
        ends = (float(odds.min()) - 1, float(odds.max()) + 1)
        return ends, ends
    edge = 1 / (len(truth) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(odds, truth.astype(float))
    values = np.clip(fitted.y_thresholds_, EPSILON, 1 - EPSILON)
    return tuple(map(float, fitted.X_thresholds_)), tuple(map(float, np.log(values) - np.log1p(-values)))


def _conformal_quantile(probability: Doubles, truth: Booleans, share: float) -> float:
    """Conformal quantile (Vovk et al. 2005) of 1 - probability of the least likely true label."""
    has_label = truth.any(axis=1)
    worst = np.where(truth, 1 - probability, -np.inf).max(axis=1)[has_label]
    if not len(worst):
        return 1.0
    level = min(np.ceil((len(worst) + 1) * share) / len(worst), 1.0)
    return float(np.quantile(worst, level, method="higher"))


def _log_odds(logits: Floats, kind: Kind) -> Doubles:
    doubles = np.asarray(logits, np.float64)
    if kind == "multilabel":
        return doubles
    log_p = log_softmax(doubles, axis=1)
    return np.asarray(log_p - np.log(np.maximum(-np.expm1(log_p), EPSILON)))
