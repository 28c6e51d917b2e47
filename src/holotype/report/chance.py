"""Chance level of a score: what guessing by class frequency reaches, and whether a score is better than that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from holotype.report.formatting import format_score, metric_title
from holotype.report.report_data import ReportData
from holotype.types import Kind

Shares = NDArray[np.float64]

# Expected scores without looking at the images. One label: always the most frequent class, or a draw by class
# frequency, whichever scores more. Several labels: every class of every sample.
CHANCE: dict[Kind, dict[str, Callable[[Shares], float]]] = {
    "multiclass": {
        "accuracy": lambda shares: float(shares.max()),
        "micro_f1": lambda shares: float(shares.max()),
        "balanced_accuracy": lambda shares: 1 / len(shares),
        "macro_f1": lambda shares: 1 / len(shares),
        "map": lambda shares: float(shares.mean()),
        "top_5_accuracy": lambda shares: float(np.sort(shares)[-5:].sum()),
    },
    "multilabel": {
        "macro_f1": lambda shares: float((2 * shares / (1 + shares)).mean()),
        "micro_f1": lambda shares: float(2 * shares.mean() / (1 + shares.mean())),
        "balanced_accuracy": lambda shares: 0.5,
        "map": lambda shares: float(shares.mean()),
    },
}


def chance_level(metric: str, kind: Kind, supports: Sequence[int], samples: int) -> float | None:
    """Chance level of a metric from the class frequencies; None for a metric without one.

    Args:
        supports: Samples of each class; classes without samples do not count.
        samples: Number of all samples, at least 1.
    """
    shares = np.array([support for support in supports if support], np.float64) / samples
    rule = CHANCE[kind].get(metric)
    return None if rule is None or not len(shares) else rule(shares)


def is_chance(contents: ReportData) -> bool:
    """Check whether the confidence interval of the run's score includes the chance level."""
    return _chance_of(contents) is not None


def chance_warning(contents: ReportData) -> str | None:
    """Warning about a score whose confidence interval includes the chance level; None if the score is better."""
    level = _chance_of(contents)
    if level is None:
        return None
    metric, title = contents.scorecard.metrics[contents.metric], metric_title(contents.metric)
    return (
        f"The score is not better than chance: the confidence interval of the {title} ({format_score(metric.low)} to "
        f"{format_score(metric.high)}) includes {format_score(level)}, which guessing by class frequency reaches."
    )


def _chance_of(contents: ReportData) -> float | None:
    """Chance level of the run's metric, if its confidence interval includes it."""
    metric = contents.scorecard.metrics.get(contents.metric)
    if metric is None or metric.low is None or not metric.samples:
        return None
    supports = [int(entry.get("support") or 0) for entry in contents.scorecard.classes]
    level = chance_level(contents.metric, contents.kind, supports, metric.samples)
    return level if level is not None and metric.low <= level else None
