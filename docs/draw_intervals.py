"""Figure and table of `python bench/intervals.py --record` (docs/intervals.json): coverage of intervals of macro F1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drawing import BLUE, INK, LINE, ORANGE, SOFT, svg, words

__all__ = ["draw_intervals", "interval_table"]

METHODS = {
    "holotype": ("Holotype", BLUE),
    "percentile, rows": ("percentile bootstrap of rows", ORANGE),
    "percentile, groups": ("percentile bootstrap of groups", "#c2609a"),
    "bca, rows": ("BCa of rows", "#7a7a7a"),
}
TIES = {"independent": "independent samples", "duplicates": "duplicates", "plates": "30 plates"}
WIDE, LEFT, RIGHT, TOP, LINE_HIGH, GAP = 900, 300, 720, 84, 22, 12


def draw_intervals(results: Sequence[dict[str, Any]]) -> str:
    """Dot plot: one line per problem, the coverage of each kind of interval, and how often one lacks its own score."""

    def at(share: float) -> float:
        return LEFT + (RIGHT - LEFT) * share

    parts, y, before = [], TOP, None
    for result in results:
        if result["classes"] != before:
            y += GAP if before else 0
            parts.append(words(20, y + 5, f"{result['classes']:,} classes", font_weight=600))
            parts.append(words(20, y + 21, f"{result['samples']:,} samples", fill=SOFT, font_size=11))
            before = result["classes"]
        methods = result["methods"]
        parts.append(words(LEFT - 16, y + 5, TIES[result["tie"]], fill=SOFT, text_anchor="end", font_size=12))
        parts.append(f'<path d="M{LEFT} {y}H{RIGHT}" stroke="{LINE}"/>')
        parts += [
            f'<circle cx="{at(methods[name]["coverage"]):.1f}" cy="{y}" r="{6 if name == "holotype" else 5}" '
            f'fill="{color}"/>'
            for name, (_, color) in reversed(METHODS.items())
        ]
        lost = methods["percentile, rows"]["without_own_value"]
        style = {"fill": ORANGE, "font_weight": 600} if lost > 0.05 else {"fill": SOFT}
        parts.append(words(WIDE - 20, y + 5, f"{100 * lost:.0f} %", text_anchor="end", **style))
        y += LINE_HIGH
    axis, x = [], 20.0
    for text, color in METHODS.values():
        axis += [f'<circle cx="{x + 5:.0f}" cy="24" r="5" fill="{color}"/>', words(x + 16, 28, text, font_size=12)]
        x += 40 + 6.6 * len(text)
    for share in (0.0, 0.25, 0.5, 0.75, 0.95):
        color, weight = (INK, 600) if share == 0.95 else (SOFT, 400)
        axis.append(f'<path d="M{at(share):.1f} {TOP - 14}V{y - 8}" stroke="{INK if share == 0.95 else LINE}"/>')
        label = f"{100 * share:.0f} %"
        axis.append(
            words(at(share), TOP - 22, label, fill=color, text_anchor="middle", font_size=11, font_weight=weight)
        )
    axis.append(words(WIDE - 20, TOP - 36, "percentile interval", fill=SOFT, text_anchor="end", font_size=11))
    axis.append(words(WIDE - 20, TOP - 22, "without its own score", fill=SOFT, text_anchor="end", font_size=11))
    return svg(WIDE, y + 8, "Coverage of 95 % intervals of macro F1 on long-tailed problems", [*axis, *parts])


def interval_table(results: Sequence[dict[str, Any]]) -> str:
    """Table of the coverage of each kind of interval, with the figure above it."""
    lines = [
        "![Coverage of 95 % intervals of macro F1: Holotype near 95 % on all problems, the others far below on many "
        "classes](images/intervals.svg)",
        "",
        "| classes | samples | problem | Holotype | percentile, rows | percentile, groups | BCa, rows "
        "| percentile, rows: without its own score |",
        "| --- " * 8 + "|",
    ]
    for result in results:
        methods = result["methods"]
        cells = [f"{result['classes']:,}", f"{result['samples']:,}", TIES[result["tie"]]]
        cells += [f"{methods[name]['coverage']:.3f}" for name in METHODS]
        cells.append(f"{100 * methods['percentile, rows']['without_own_value']:.0f} %")
        lines.append(f"| {' | '.join(cells)} |")
    counts = sorted({result["replicates"] for result in results})
    sizes = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    lines += ["", f"Coverage of the average score of a test set, in {sizes} drawn test sets per line."]
    return "\n".join(lines)
