"""Figures of measurements: the change of the score with each part of a recipe, and the score by time budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean
from typing import Any

from drawing import BLUE, INK, LINE, ORANGE, SOFT, svg, words

__all__ = ["draw_budgets", "draw_parts"]

WIDE, LABELS, LINE_HIGH, PART_GAP, TOP = 900, 380, 19, 12, 56
LEAST_SPAN = 0.05


def draw_parts(rows: Sequence[dict[str, Any]]) -> str:
    """Forest plot: one line per part and data set with the change of the nested score and its 95 % interval.

    Args:
        rows: Rows of `measured.json`, sorted by part.
    """
    left, right = LABELS + 96, WIDE - 84
    span = max(
        LEAST_SPAN, *(min(max(abs(row["low"]), abs(row["high"])), 3 * abs(row["change"]) + LEAST_SPAN) for row in rows)
    )

    def at(value: float) -> float:
        return left + (right - left) * (min(max(value, -span), span) + span) / (2 * span)

    parts, y, before = [], TOP, None
    for row in rows:
        if row["part"] != before:
            y += PART_GAP if before else 0
            parts.append(words(20, y + 5, row["part"], font_weight=600))
            before = row["part"]
        gains, loses = row["low"] > 0, row["high"] < 0
        color = BLUE if gains else ORANGE if loses else "#8a8d91"
        value = f"{row['change']:+.3f}".replace("-", "−")
        parts += [
            words(left - 12, y + 5, row["set"], fill=SOFT, text_anchor="end", font_size=12),
            f'<path d="M{at(row["low"]):.1f} {y}H{at(row["high"]):.1f}" stroke="{color}" stroke-width="2"/>',
            f'<circle cx="{at(row["change"]):.1f}" cy="{y}" r="4.5" fill="{color}"/>',
            words(
                WIDE - 20,
                y + 5,
                value,
                text_anchor="end",
                fill=color if gains or loses else SOFT,
                font_weight=600 if gains or loses else 400,
            ),
        ]
        y += LINE_HIGH
    axis = [f'<path d="M{at(0):.1f} {TOP - 14}V{y - 6}" stroke="{INK}" stroke-width="1"/>']
    for value in (-span / 2, span / 2):
        axis.append(f'<path d="M{at(value):.1f} {TOP - 14}V{y - 6}" stroke="{LINE}" stroke-width="1"/>')
        axis.append(
            words(at(value), TOP - 22, f"{value:+.2f}".replace("-", "−"), fill=SOFT, text_anchor="middle", font_size=11)
        )
    axis.append(words(at(0), TOP - 22, "no change", fill=SOFT, text_anchor="middle", font_size=11))
    return svg(WIDE, y + 12, "Change of the score with each part, with its 95 % interval", [*axis, *parts])


def draw_budgets(rows: Sequence[dict[str, Any]]) -> str:
    """Line plot of the out-of-fold and the held-out score against the time that a run took.

    Args:
        rows: `budget`, `seconds`, `score`, `own` and `plan` of each run, from the smallest budget to the largest.
    """
    left, right, top, foot = 70, 870, 40, 300
    scores = [row[kind] for row in rows for kind in ("score", "own")]
    low, high = math.floor(20 * min(scores)) / 20, math.ceil(20 * max(scores)) / 20
    times = [math.log(row["seconds"]) for row in rows]
    first, last = min(times) - 0.25, max(times) + 0.35

    def across(seconds: float) -> float:
        return left + (right - left) * (math.log(seconds) - first) / (last - first)

    def up(score: float) -> float:
        return foot - (foot - top) * (score - low) / (high - low)

    parts = []
    for step in range(round((high - low) * 20) + 1):
        score = low + step / 20
        parts.append(f'<path d="M{left} {up(score):.1f}H{right}" stroke="{LINE}"/>')
        parts.append(words(left - 10, up(score) + 4, f"{score:.2f}", fill=SOFT, text_anchor="end", font_size=12))
    groups = [[row for row in rows if row["budget"] == name] for name in dict.fromkeys(row["budget"] for row in rows)]
    middles = [across(math.exp(mean(math.log(row["seconds"]) for row in repeats))) for repeats in groups]
    for x, repeats in zip(middles, groups, strict=True):
        parts.append(words(x, foot + 24, repeats[0]["budget"], text_anchor="middle", font_weight=600))
        for number, line in enumerate(repeats[0]["plan"].split(", ")):
            parts.append(words(x, foot + 42 + 15 * number, line, fill=SOFT, text_anchor="middle", font_size=11))
    styles = {"own": (SOFT, "out of fold", "5 5"), "score": (BLUE, "held-out plates", "none")}
    for kind, (color, text, dashes) in styles.items():
        means = [(x, up(mean(row[kind] for row in repeats))) for x, repeats in zip(middles, groups, strict=True)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in means)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2.5" stroke-dasharray="{dashes}"/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{color}"/>' for x, y in means]
        parts.append(words(means[-1][0] - 8, means[-1][1] - 12, text, fill=color, text_anchor="end", font_weight=600))
    parts.append(words(left - 50, top - 16, "macro F1", fill=SOFT))
    return svg(WIDE, foot + 92, "Score by time budget", parts)
