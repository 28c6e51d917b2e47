"""What was measured, drawn: the change that each part makes, and the score that each budget bought."""

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
    """A line a part and set: the change, its interval, and whether that leaves out zero.

    Args:
        rows: As in `measured.json`, rows of a part beside each other; changes of the nested score.
    """
    left, right = LABELS + 96, WIDE - 84
    span = max(
        LEAST_SPAN, *(min(max(abs(one["low"]), abs(one["high"])), 3 * abs(one["change"]) + LEAST_SPAN) for one in rows)
    )

    def at(value: float) -> float:
        return left + (right - left) * (min(max(value, -span), span) + span) / (2 * span)

    parts, y, before = [], TOP, None
    for one in rows:
        if one["part"] != before:
            y += PART_GAP if before else 0
            parts.append(words(20, y + 5, one["part"], font_weight=600))
            before = one["part"]
        gains, loses = one["low"] > 0, one["high"] < 0
        colour = BLUE if gains else ORANGE if loses else "#8a8d91"
        value = f"{one['change']:+.3f}".replace("-", "−")
        parts += [
            words(left - 12, y + 5, one["set"], fill=SOFT, text_anchor="end", font_size=12),
            f'<path d="M{at(one["low"]):.1f} {y}H{at(one["high"]):.1f}" stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{at(one["change"]):.1f}" cy="{y}" r="4.5" fill="{colour}"/>',
            words(
                WIDE - 20,
                y + 5,
                value,
                text_anchor="end",
                fill=colour if gains or loses else SOFT,
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
    return svg(WIDE, y + 12, "What each part changes, with its 95 % interval", [*axis, *parts])


def draw_budgets(rows: Sequence[dict[str, Any]]) -> str:
    """Scores against the seconds that a run took: of the submission, and what the run said of itself.

    Args:
        rows: `budget`, `seconds`, `score`, `own` and `plan` of each run, from the smallest budget to the largest.
    """
    left, right, top, foot = 70, 870, 40, 300
    scores = [one[kind] for one in rows for kind in ("score", "own")]
    low, high = math.floor(20 * min(scores)) / 20, math.ceil(20 * max(scores)) / 20
    times = [math.log(one["seconds"]) for one in rows]
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
    groups = [[one for one in rows if one["budget"] == name] for name in dict.fromkeys(one["budget"] for one in rows)]
    middles = [across(math.exp(mean(math.log(one["seconds"]) for one in own))) for own in groups]
    for x, own in zip(middles, groups, strict=True):
        parts.append(words(x, foot + 24, own[0]["budget"], text_anchor="middle", font_weight=600))
        for number, line in enumerate(own[0]["plan"].split(", ")):
            parts.append(words(x, foot + 42 + 15 * number, line, fill=SOFT, text_anchor="middle", font_size=11))
    looks = {"own": (SOFT, "its own score", "5 5"), "score": (BLUE, "plates put aside", "none")}
    for kind, (colour, said, dashes) in looks.items():
        means = [(x, up(mean(one[kind] for one in own))) for x, own in zip(middles, groups, strict=True)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in means)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dashes}"/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>' for x, y in means]
        parts.append(words(means[-1][0] - 8, means[-1][1] - 12, said, fill=colour, text_anchor="end", font_weight=600))
    parts.append(words(left - 50, top - 16, "macro F1", fill=SOFT))
    return svg(WIDE, foot + 92, "The score that a budget buys", parts)
