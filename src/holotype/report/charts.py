"""Charts as SVG that scales with its column.

Positions are percentages of the width, so that one drawing fits a wide screen, a phone and paper while text keeps its
size. Colors are classes of the style sheet, so that light and dark mode share one drawing.
"""

from __future__ import annotations

from collections.abc import Sequence

from holotype.report.formatting import escape_control, format_difference, format_score
from holotype.report.svg import Scale, element, nice_scale, tick_label, title

HEIGHT = 22
MIDDLE = HEIGHT / 2
PLOT_HEIGHT = 210
PLOT_TOP = 14
PLOT_BOTTOM = 8


def interval_strip(
    value: float | None,
    low: float | None,
    high: float | None,
    scale: Scale,
    fresh: tuple[float, float] | None = None,
    name: str = "",
) -> str:
    """Score as a dot on its 95 % confidence interval (bar) and prediction interval (thin line).

    `fresh`: lower and upper end of the prediction interval, the score of a new test set.
    """
    marks = _grid_lines(scale)
    words = f"{name} {format_score(value)}".strip()
    if fresh is not None:
        words += f"\n95 % prediction interval: {format_score(fresh[0])} to {format_score(fresh[1])}"
        marks += [_interval_bar(fresh[0], fresh[1], scale, "fresh", 2)]
    if low is not None and high is not None:
        words += f"\n95 % confidence interval: {format_score(low)} to {format_score(high)}"
        marks += [_interval_bar(low, high, scale, "interval", 8)]
    if value is not None:
        marks += [element("circle", cx=scale.percent(value), cy=MIDDLE, r=4.5, class_="dot")]
    return _render_strip(marks, words)


def waterfall_strip(
    before: float | None,
    value: float,
    scale: Scale,
    name: str,
    *,
    sure: bool,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """One step of a waterfall chart: a bar from the score before to the score after.

    `before`: score that the step is compared with; None if it is compared with nothing; `sure`: the interval of the
    difference excludes zero; otherwise the bar is gray; `low`: lower end of the 95 % interval of the score; `high`:
    upper end of the 95 % interval of the score.
    """
    marks = _grid_lines(scale)
    words = f"{name} {format_score(value)}".strip()
    if low is not None and high is not None:
        words += f"\n95 % interval: {format_score(low)} to {format_score(high)}"
        marks += [_interval_bar(low, high, scale, "fresh", 2)]
    if before is not None:
        words += f"\n{format_difference(value - before)} from {format_score(before)}" + (
            "" if sure else ", not significant"
        )
        kind = "chance" if not sure else "gain" if value >= before else "loss"
        marks += [_interval_bar(before, value, scale, kind, 12)]
        across = scale.percent(before)
        marks += [element("line", x1=across, x2=across, y1=-6, y2=HEIGHT - 4, class_="from")]
    marks += [element("circle", cx=scale.percent(value), cy=MIDDLE, r=4.5, class_="dot")]
    return _render_strip(marks, words)


def difference_strip(value: float, ends: tuple[float, float], scale: Scale, better: bool, name: str) -> str:
    """Paired difference as a dot on its interval, with a line at zero; gray if the interval contains zero.

    `ends`: lower and upper end of the 95 % interval.
    """
    low, high = ends
    kind = "chance" if low <= 0 <= high else "better" if better else "worse"
    zero = scale.percent(0.0)
    marks = [*_grid_lines(scale), element("line", x1=zero, x2=zero, y1=-5, y2=HEIGHT + 5, class_="zero")]
    marks += [_interval_bar(low, high, scale, f"span {kind}", 8)]
    shade = {"chance": "dot chance", "better": "dot", "worse": "dot low"}[kind]
    marks += [element("circle", cx=scale.percent(value), cy=MIDDLE, r=4.5, class_=shade)]
    return _render_strip(
        marks,
        f"{name} {format_difference(value)}\n95 % interval: {format_difference(low)} to {format_difference(high)}",
    )


def dot_strip(value: float | None, weight: float, scale: Scale, reference: float | None = None, name: str = "") -> str:
    """Score as a dot whose area shows the number of samples."""
    marks = _grid_lines(scale)
    if reference is not None:
        marks += [
            element(
                "line",
                x1=scale.percent(reference),
                x2=scale.percent(reference),
                y1=-5,
                y2=HEIGHT + 5,
                class_="reference",
            )
        ]
    if value is not None:
        if reference is not None:
            marks += [_interval_bar(value, reference, scale, "stem", 2)]
        kind = "dot low" if reference is not None and value < reference else "dot"
        marks += [element("circle", cx=scale.percent(value), cy=MIDDLE, r=3 + 4 * weight**0.5, class_=kind)]
    return _render_strip(marks, name)


def bar_strip(value: float, largest: float, marker: float | None = None, name: str = "") -> str:
    """Horizontal bar from zero, with an optional mark."""
    scale = Scale(0.0, max(largest, 1e-9), ())
    marks = [element("rect", x=0, y=5, width="100%", height=12, rx=2, class_="trough")]
    if value > 0:
        marks += [element("rect", x=0, y=5, width=scale.percent(value), height=12, rx=2, class_="bar")]
    if marker is not None:
        across = scale.percent(marker)
        marks += [element("line", x1=across, x2=across, y1=2, y2=20, class_=kind) for kind in ("marker halo", "marker")]
    return _render_strip(marks, name)


def axis_strip(scale: Scale) -> str:
    """Axis labels shared by the strips above it."""
    marks = [
        element("text", tick_label(tick), x=scale.percent(tick), y=12, text_anchor="middle", class_="tick")
        for tick in scale.ticks
    ]
    return element("svg", *marks, class_="strip axis", width="100%", height=16, aria_hidden="true")


def ranked_dots(
    values: Sequence[float],
    weights: Sequence[float],
    names: Sequence[str],
    reference: float | None,
    label: str,
    axis: str = "score",
) -> str:
    """Dot plot of many scores, sorted from the lowest to the highest.

    `values`: scores, shape (n,); `weights`: areas of the dots, 0 to 1, shape (n,); `names`: tooltips, shape (n,).
    """
    scale = nice_scale([*values, reference], count=4)
    marks = _value_axis(scale, axis)
    if reference is not None:
        height = _height_of(reference, scale)
        marks += [element("line", x1="0%", x2="100%", y1=height, y2=height, class_="reference")]
    order = sorted(range(len(values)), key=lambda index: values[index])
    for rank, index in enumerate(order):
        low = reference is not None and values[index] < reference
        across = 6 + 92 * (rank + 0.5) / len(order)
        marks += [
            element(
                "circle",
                title(names[index]),
                cx=f"{across:.2f}%",
                cy=_height_of(values[index], scale),
                r=3 + 5 * weights[index] ** 0.5,
                class_="dot low" if low else "dot",
            )
        ]
    return _render_plot(marks, label)


def ranked_columns(values: Sequence[float], names: Sequence[str], label: str, ranked: bool = True) -> str:
    """Column chart of many counts.

    `values`: counts, shape (n,); `names`: tooltips, shape (n,); `ranked`: sort from the largest to the smallest;
    otherwise keep the order, as in a histogram.
    """
    scale = nice_scale([0.0, *values], count=4)
    marks = _value_axis(scale, "samples")
    floor = _height_of(scale.low, scale)
    width = 92 / max(len(values), 1)
    for rank, index in enumerate(sorted(range(len(values)), key=lambda index: -values[index] if ranked else index)):
        height = _height_of(values[index], scale)
        # The transparent column beneath makes the smallest class as easy to point at as the largest.
        extent = {"x": f"{6 + rank * width:.3f}%", "width": f"{width * 0.82:.3f}%"}
        column = element("rect", y=height, height=max(floor - height, 1.0), class_="bar", **extent)
        target = element("rect", y=PLOT_TOP, height=floor - PLOT_TOP, class_="target", **extent)
        marks += [element("g", title(names[index]), target, column)]
    return _render_plot(marks, label)


def _render_strip(marks: list[str], words: str) -> str:
    label = escape_control(words, keep="\n").replace("\n", "; ") or None
    head = [title(words)] if words else []
    accessibility = (
        {"aria_hidden": "true"} if label is None else {"role": "img", "aria_label": label}
    )  # or the number beside it
    return element("svg", *head, *marks, class_="strip", width="100%", height=HEIGHT, **accessibility)


def _render_plot(marks: list[str], label: str) -> str:
    return element("svg", *marks, class_="plot", width="100%", height=PLOT_HEIGHT, role="img", aria_label=label)


def _grid_lines(scale: Scale) -> list[str]:
    return [
        element("line", x1=scale.percent(tick), x2=scale.percent(tick), y1=-5, y2=HEIGHT + 5, class_="grid")
        for tick in scale.ticks
    ]


def _value_axis(scale: Scale, axis: str) -> list[str]:
    marks = [element("text", axis, x=0, y=-2, class_="tick")]
    for tick in scale.ticks:
        height = _height_of(tick, scale)
        marks += [element("line", x1="0%", x2="100%", y1=height, y2=height, class_="grid")]
        marks += [element("text", tick_label(tick), x=0, y=height - 3, class_="tick")]
    return marks


def _height_of(value: float, scale: Scale) -> float:
    return PLOT_TOP + (1 - scale.share(value)) * (PLOT_HEIGHT - PLOT_TOP - PLOT_BOTTOM)


def _interval_bar(start: float, end: float, scale: Scale, kind: str, thickness: float) -> str:
    low, high = sorted((scale.share(start), scale.share(end)))
    width = max(100 * (high - low), 0.15)
    return element(
        "rect",
        x=f"{100 * low:.2f}%",
        y=MIDDLE - thickness / 2,
        width=f"{width:.2f}%",
        height=thickness,
        rx=min(thickness / 2, 3.0),
        class_=kind,
    )
