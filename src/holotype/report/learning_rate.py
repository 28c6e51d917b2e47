"""Learning-rate charts: the rate of every step, and learning-rate finder curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from markupsafe import Markup

from holotype.report.formatting import finite
from holotype.report.svg import Scale, element, nice_scale, tick_label, title

WIDTH, HEIGHT = 320, 200
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 22, 38
STYLES = 7
Line = tuple[str, list[tuple[float, float]], str]


def rate_chart(folds: Mapping[str, pl.DataFrame], label: str) -> str:
    """Learning rate over all epochs, step by step if the history has the steps.

    `folds`: one history per fold: `lr`, and optionally `rates`, evenly spaced rates within each epoch.
    """
    lines: list[Line] = []
    for number, (fold, history) in enumerate(folds.items()):
        points: list[tuple[float, float]] = []
        for epoch, row in enumerate(history.iter_rows(named=True)):
            rates = finite(row.get("rates") or [row.get("lr")])
            points += [(epoch + (step + 1) / len(rates), rate) for step, rate in enumerate(rates)]
        lines.append((fold, points, f"line-{number % STYLES}"))
    if not any(points for _, points, _ in lines):
        return ""
    longest = max(history.height for history in folds.values())
    across = Scale(0.0, float(longest), _integer_ticks(longest))
    return _render_lines(lines, across, _height_scale(lines), label, wide_name="epoch", high_name="rate")


def finder_charts(finders: Mapping[str, pl.DataFrame], model: str) -> list[dict[str, Any]]:
    """Learning-rate finder curves, one chart per phase.

    `finders`: by `model/fold0/phase`: `rate`, `loss`, `smoothed`, `suggestion`.
    """
    phases: dict[str, dict[str, pl.DataFrame]] = {}
    for address, curve in finders.items():
        of, _, rest = address.partition("/")
        fold, _, phase = rest.rpartition("/")
        if of == model and curve.height:
            phases.setdefault(phase, {})[fold] = curve
    return [_finder_chart(phase, folds, model) for phase, folds in sorted(phases.items())]


def _finder_chart(phase: str, folds: dict[str, pl.DataFrame], model: str) -> dict[str, Any]:
    lines: list[Line] = []
    selected_rates = []
    for number, (fold, curve) in enumerate(folds.items()):
        points = [(math.log10(rate), loss) for rate, loss in curve.select("rate", "smoothed").iter_rows()]
        lines.append((fold, points, f"line-{number % STYLES}"))
        selected_rates.append((math.log10(float(curve["suggestion"][0])), f"line-{number % STYLES}", fold))
    powers = [x for _, points, _ in lines for x, _ in points]
    low, high = math.floor(min(powers)), math.ceil(max(powers))
    across = Scale(float(low), float(max(high, low + 1)), tuple(float(power) for power in range(low, high + 1)))
    label = f"Rate finder of {model}, phase {phase}"
    rates = ", ".join(f"{10**power:.2g}" for power, _, _ in selected_rates)
    svg = _render_lines(
        lines,
        across,
        _height_scale(lines, sunk=True),
        label,
        wide_name="rate",
        high_name="loss",
        selected_rates=selected_rates,
    )
    return {"label": f"Rate finder, phase {int(phase) + 1}", "svg": Markup(svg), "rates": rates, "folds": list(folds)}


def _height_scale(lines: Sequence[Line], sunk: bool = False) -> Scale:
    """Vertical scale; a finder curve is cut a little above its start, because it ends in divergence."""
    heights = [y for _, points, _ in lines for _, y in points]
    if sunk and heights:
        begin = max(points[0][1] for _, points, _ in lines if points)
        lowest = min(heights)
        heights = [y for y in heights if y <= begin + 0.5 * max(begin - lowest, 1e-9)]
    return nice_scale(heights if sunk else [0.0, *heights], count=4)


def _render_lines(
    lines: Sequence[Line],
    wide: Scale,
    high: Scale,
    label: str,
    *,
    wide_name: str,
    high_name: str,
    selected_rates: Sequence[tuple[float, str, str]] = (),
) -> str:
    marks = []
    for tick in high.ticks:
        down = _y_position(tick, high)
        marks += [element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=down, y2=down, class_="grid")]
        marks += [element("text", tick_label(tick), x=LEFT - 6, y=down + 3.5, text_anchor="end", class_="tick")]
    for tick in wide.ticks:
        words = tick_label(tick) if wide_name != "rate" else f"1e{tick:.0f}".replace("-", "−")
        marks += [element("text", words, x=_x_position(tick, wide), y=HEIGHT - 22, text_anchor="middle", class_="tick")]
    middle = (LEFT + WIDTH - RIGHT) / 2
    marks += [element("text", wide_name, x=middle, y=HEIGHT - 6, text_anchor="middle", class_="tick")]
    marks += [element("text", high_name, x=LEFT - 6, y=9, text_anchor="end", class_="tick")]
    for name, points, style in lines:
        inside = [(x, min(y, high.high)) for x, y in points]
        path = "L".join(f"{_x_position(x, wide):.1f} {_y_position(y, high):.1f}" for x, y in inside)
        if path:
            marks += [element("g", title(name), element("path", d=f"M{path}"), class_=f"line {style}")]
    for log_rate, style, name in selected_rates:
        x = _x_position(log_rate, wide)
        line = element("path", d=f"M{x:.1f} {TOP}V{HEIGHT - BOTTOM}", stroke_dasharray="4 3")
        marks += [element("g", title(f"{name}: chosen rate {10**log_rate:.2g}"), line, class_=f"line {style}")]
    return element("svg", *marks, class_="curve", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def _integer_ticks(longest: int) -> tuple[float, ...]:
    step = max(1, math.ceil(longest / 6))
    return tuple(float(epoch) for epoch in range(0, longest + 1, step))


def _x_position(value: float, scale: Scale) -> float:
    return LEFT + 4 + scale.share(value) * (WIDTH - RIGHT - LEFT - 8)


def _y_position(value: float, scale: Scale) -> float:
    return TOP + (1 - scale.share(value)) * (HEIGHT - TOP - BOTTOM)
