"""Numbers and names as text for people."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

DASH = "–"
# Characters that nobody sees, that turn text around, or that XML and UTF-8 refuse. The joiners U+200C and U+200D stay:
# names in Persian and several Indian scripts are spelt with them.
CONTROL_CHARACTERS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
SIGNS = {"\n": "↵", "\r": "↵", "\t": "⇥"}

METRICS = {
    "macro_f1": (
        "macro F1",
        "the mean of the F1 of all classes, so that a rare class counts as much as a common one "
        "(F1: harmonic mean of precision and recall)",
    ),
    "micro_f1": ("micro F1", "the F1 of all predictions pooled, so that common classes count most"),
    "accuracy": ("accuracy", "the share of samples with the right prediction"),
    "balanced_accuracy": (
        "balanced accuracy",
        "the mean recall of all classes (recall: share of a class that is found)",
    ),
    "top_5_accuracy": ("top-5 accuracy", "the share of samples whose class is among the five most probable"),
    "calibration_error": (
        "calibration error",
        "the mean distance between probabilities and the share of right predictions; 0 is best",
    ),
    "auroc": (
        "AUROC",
        "the mean over the classes of the probability that a sample of the class gets a higher score than any other "
        "(area under the ROC curve; 0.5 is chance)",
    ),
    "mcc": (
        "Matthews correlation",
        "the correlation of predicted and true labels: 1 is perfect, 0 chance, and below 0 worse than chance",
    ),
    "cohen_kappa": ("Cohen's kappa", "the agreement of predicted and true labels above chance: 1 is perfect, 0 chance"),
    "quadratic_weighted_kappa": (
        "quadratic weighted kappa",
        "the agreement above chance of ordered classes, where a mistake counts by the square of its distance",
    ),
    "map": (
        "mean average precision",
        "the mean over the classes of how well the scores rank samples of the class above all others",
    ),
}


def escape_control(text: str, keep: str = "") -> str:
    """Text with control, direction and zero-width characters written out."""
    return CONTROL_CHARACTERS.sub(
        lambda match: match[0] if match[0] in keep else SIGNS.get(match[0], f"‹U+{ord(match[0]):04X}›"), text
    )


def truncate(text: str, at_most: int) -> str:
    """Text of limited length; an ellipsis replaces the end."""
    text = escape_control(text)
    return text if len(text) <= at_most else text[: max(at_most - 1, 1)].rstrip() + "…"


def format_score(value: float | None) -> str:
    """Score with three decimals; a dash for None or NaN."""
    return DASH if value is None or not math.isfinite(value) else f"{value:.3f}".replace("-", "−")


def format_difference(value: float | None) -> str:
    """Signed difference with three decimals; a dash for None or NaN."""
    return DASH if value is None or not math.isfinite(value) else f"{value:+.3f}".replace("-", "−")


def format_p_value(value: float) -> str:
    """P-value as a clause, with three decimals or as a bound."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def percent(share: float | None) -> str:
    """Share (0 to 1) as a percentage that never rounds to 0 % or 100 %."""
    if share is None or not math.isfinite(share):
        return DASH
    if 0.995 <= share < 1:
        return ">99 %"
    if 0 < share < 0.005:
        return "<1 %"
    return f"{100 * share:.0f} %"


def metric_title(metric: str) -> str:
    """Display name of a metric."""
    return METRICS[metric][0] if metric in METRICS else metric.replace("_", " ")


def metric_meaning(metric: str) -> str:
    """Explanation of a metric; empty for an unknown one."""
    return METRICS[metric][1] if metric in METRICS else ""


def finite(values: Iterable[float | None]) -> list[float]:
    """Finite values; None and NaN are dropped."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]
