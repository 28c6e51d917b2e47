"""Expected score and expected interval of a plan, before anything is trained.

The learning curve and the gains were measured on small sets (`bench/learning_curves.py`); they rank plans, and are no
promise of a score. The interval follows from the numbers of images, classes and independent groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit  # Student's t, without the slow import of scipy.stats

from holotype.planning.costs import DatasetSize, TrainingPlan, count_views

__all__ = [
    "FINAL_SCORE",
    "FROZEN_SHARE",
    "PlanValue",
    "expected_interval",
    "expected_probe_value",
    "expected_value",
    "learned_share",
    "steps_worth_taking",
]

CURVE_POWER = 1.5
IMAGES_PER_STEP = 32
HALF_STEPS, HALF_STEPS_PER_CLASS = 30.0, 0.8  # steps of 32 images after which half of the final score is reached
UNTRAINED = 3.0  # factor on these steps without pretrained weights
WORTH = 0.008  # twice the steps must gain this share of the final score
FINAL_SCORE = 0.85  # assumed, since nothing is known before the training
DETAIL = 0.04  # share of the score that each halving of the input size costs
PROBE_SHARE = 0.5  # of the final score: a logistic regression on frozen features (measured: 0.35 to 1)
FROZEN_SHARE = {1: 0.42, 4: 0.5}  # of the final score, by augmentation draws of a frozen backbone
MORE_ROWS = 0.3  # power of the error in the number of training images
AVERAGING = 0.15  # share of the error that the mean of very many networks removes
UNSCORED = 0.2  # worth of out-of-fold predictions for all images, which thresholds and label errors need too
VIEWS_GAIN = 0.08  # share of the error that the mean of very many views removes
GROUP_CORRELATION = 0.05  # of the correctness of two images of one group, beyond their classes
MAX_CLASS_VARIANCE = 0.25
FEW_GROUPS = 20
TAIL = 0.025


@dataclass(frozen=True)
class PlanValue:
    """Expected worth of a plan.

    Args:
        score: Expected out-of-fold macro F1.
        low: Lower end of its expected 95 % interval.
        high: Upper end.
        gain: Expected gain for new images, which several networks, or one on all rows, predict.
        scored_share: Share of the images that get an out-of-fold prediction.
    """

    score: float
    low: float
    high: float
    gain: float
    scored_share: float

    @property
    def value(self) -> float:
        """Value that a plan is chosen by: the lower end of the interval, plus the gain, less what is not scored."""
        return self.low + self.gain - UNSCORED * (1 - self.scored_share)


def expected_value(candidate: TrainingPlan, epochs: int, facts: DatasetSize, best_size: int) -> PlanValue:
    """Expected score of a plan, its interval and the gain for new images.

    Args:
        epochs: Epochs of every network.
        best_size: Largest suitable input size in pixels.
    """
    classes, folds = max(len(facts.counts), 2), candidate.of_folds
    if candidate.draws is None:
        steps = epochs * facts.count_steps(folds) * facts.batch / IMAGES_PER_STEP
        learned = learned_share(steps, classes, facts.pretrained)
    else:
        learned = FROZEN_SHARE[candidate.draws]
    size = max(candidate.sizes)
    score = FINAL_SCORE * learned * (1 - DETAIL * max(math.log2(best_size / size), 0.0))
    seen_share = 1 - 1 / folds
    error = (1 - score) * seen_share**-MORE_ROWS
    error *= (1 - _averaged(VIEWS_GAIN, count_views(candidate.views))) * (
        1 - _averaged(AVERAGING, len(candidate.sizes))
    )
    score = max(1 - error, 0.0)
    counts = [count * candidate.folds / folds for count in facts.counts]
    groups = facts.group_count * candidate.folds // folds
    low, high = expected_interval(score, counts, groups)
    gain = error * (1 - seen_share**MORE_ROWS) if candidate.refit else error * _averaged(AVERAGING, candidate.folds)
    return PlanValue(score, low, high, gain, candidate.folds / folds)


def expected_probe_value(facts: DatasetSize) -> PlanValue:
    """Expected score, interval and gain of a logistic regression on frozen features, for all folds."""
    score = FINAL_SCORE * PROBE_SHARE
    low, high = expected_interval(score, facts.counts, facts.group_count)
    return PlanValue(score, low, high, (1 - score) * _averaged(AVERAGING, facts.folds), 1.0)


def _averaged(gain: float, count: int) -> float:
    """Share of the error that a mean of `count` predictions removes, of the largest such share."""
    return gain * (1 - 1 / count)


def learned_share(steps: float, classes: int, pretrained: bool = True) -> float:
    """Learning curve: expected share of a network's final score after some training steps, in [0, 1)."""
    return 1.0 / (1.0 + (_half_steps(classes, pretrained) / max(steps, 1e-9)) ** CURVE_POWER)


def steps_worth_taking(classes: int, pretrained: bool = True) -> int:
    """Count the training steps from which twice as many gain less than a hundredth of the score."""
    missing = WORTH / (1 - 0.5**CURVE_POWER)
    return round(_half_steps(classes, pretrained) * ((1 - missing) / missing) ** (1 / CURVE_POWER))


def expected_interval(score: float, counts: Sequence[float], groups: int) -> tuple[float, float]:
    """Expected 95 % interval of macro F1: a normal approximation of the group bootstrap.

    The F1 of a class with n images varies like a proportion of n, times the design effect of its groups (Kish 1965,
    Survey Sampling): 1 + (images of the class per group - 1) * correlation. The center and half-width are those of
    Wilson's interval with Student's t, as in `holotype.evaluation.metrics.bootstrap`.

    Args:
        score: Expected macro F1.
        counts: Expected scored images per class.
        groups: Independent groups that are scored.

    Returns:
        Lower and upper end; 0 and 1 for a single group.
    """
    if groups < 2 or not counts:
        return 0.0, 1.0
    score = min(max(score, 0.01), 0.99)
    variance = sum(_class_variance(score, count, groups) for count in counts) / len(counts) ** 2
    if groups < FEW_GROUPS:
        variance = max(variance, score * (1 - score) / sum(counts))
    z = float(stdtrit(groups - 1, 1 - TAIL))
    size = score * (1 - score) / variance
    middle = (score + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * math.sqrt(score * (1 - score) / size + z**2 / (4 * size**2)) / (1 + z**2 / size)
    return max(0.0, middle - half), min(1.0, middle + half)


def _class_variance(score: float, count: float, groups: int) -> float:
    """Variance of a class's F1, with one more image from the Jeffreys prior, which counts for rare classes."""
    smooth = (score * count + 0.5) / (count + 1)
    design_effect = 1 + max(count / groups - 1, 0) * GROUP_CORRELATION
    return min(max(score * (1 - score) / max(count, 1e-9), smooth * (1 - smooth) / (count + 2)), MAX_CLASS_VARIANCE) * (
        design_effect
    )


def _half_steps(classes: int, pretrained: bool) -> float:
    return (HALF_STEPS + HALF_STEPS_PER_CLASS * classes) * (1.0 if pretrained else UNTRAINED)
