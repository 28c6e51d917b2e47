"""Tuning page: trials over time, parallel coordinates, importance of the settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from holotype.report.charts import PLOT_BOTTOM, PLOT_HEIGHT, PLOT_TOP, bar_strip
from holotype.report.formatting import truncate
from holotype.report.svg import Scale, element, nice_scale, text_element, tick_label, title

BOX, LEFT, RIGHT = 640, 44, 12
Axis = tuple[float, float, bool] | Sequence[str]
"""Ends of a numeric range and whether it is on a log scale, or the options of a categorical setting."""


@dataclass(frozen=True)
class Trial:
    """One tuning trial.

    Args:
        state: `finished`, `pruned` or `failed`.
        score: Last known score; None if there is none.
    """

    number: int
    state: str
    score: float | None
    epochs: int
    drawn: Mapping[str, Any]


@dataclass(frozen=True)
class TrialsData:
    """Data of a tuning page.

    Args:
        axes: Search space: by name the ends of a range and whether it is on a log scale, or the options in order.
        importance: Share of the score variance explained by each setting, the largest first; empty if unknown.
    """

    name: str
    metric: str
    words: str
    trials: Sequence[Trial]
    best: int
    axes: Mapping[str, Axis]
    importance: Mapping[str, float] = field(default_factory=dict)


def trials_page(contents: TrialsData) -> dict[str, Any]:
    """Template values of the tuning page."""
    scored = [trial for trial in contents.trials if trial.score is not None]
    largest = max(contents.importance.values(), default=1.0)
    bars = [
        {"name": name, "share": share, "bar": Markup(bar_strip(share, largest, name=f"{name}: {share:.0%}"))}
        for name, share in contents.importance.items()
    ]
    ranked = sorted(contents.trials, key=lambda trial: (trial.state != "finished", -(trial.score or 0.0), trial.number))
    return {
        "name": contents.name,
        "contents": contents,
        "best": next(trial for trial in contents.trials if trial.number == contents.best),
        "over_time": Markup(trials_over_time(contents.trials)),
        "parallel": Markup(parallel_trials(scored, contents.axes, contents.best)),
        "importance": bars,
        "settings": list(contents.axes),
        "ranked": ranked,
        "states": {state: sum(trial.state == state for trial in contents.trials) for state in ("pruned", "failed")},
    }


def trials_over_time(trials: Sequence[Trial]) -> str:
    """Scores of the trials in order, with a line along the best finished one so far."""
    scale = nice_scale([trial.score for trial in trials], count=4)
    marks, path, best = _grid_lines(scale), "", None
    words = "trials in order"
    marks += [element("text", words, x=BOX / 2, y=PLOT_HEIGHT + 8, text_anchor="middle", class_="tick")]
    for index, trial in enumerate(trials):
        if trial.score is None:
            continue
        across, down = _x_position(index, len(trials)), _y_position(scale.share(trial.score))
        if trial.state == "finished" and (best is None or trial.score > best):
            best = trial.score
            path += f"{'L' if path else 'M'}{across:.1f} {down:.1f}"
        elif best is not None:
            path += f"L{across:.1f} {_y_position(scale.share(best)):.1f}"
        words = f"trial {trial.number}: {trial.state}, {trial.score:.4f}"
        kind = "dot" if trial.state == "finished" else "dot low"
        marks += [element("circle", title(words), cx=across, cy=down, r=4.5, class_=kind)]
    line = element("g", element("path", d=path), class_="line line-0") if path else ""
    return _render_plot([line, *marks], "scores of the trials in order")


def parallel_trials(trials: Sequence[Trial], axes: Mapping[str, Axis], best: int) -> str:
    """Parallel coordinates: one line per trial, one axis per setting, the score at the end."""
    scale = nice_scale([trial.score for trial in trials], count=4)
    count = len(axes) + 1
    marks = []
    for index, name in enumerate([*axes, "score"]):
        across = _x_position(index, count)
        marks += [element("line", x1=across, x2=across, y1=PLOT_TOP, y2=PLOT_HEIGHT - PLOT_BOTTOM, class_="grid")]
        marks += [text_element(truncate(name, 24), x=across, y=PLOT_TOP - 4, text_anchor="middle", class_="tick")]
    for trial in sorted(trials, key=lambda trial: trial.number == best):
        shares = [_axis_share(axes[name], trial.drawn[name]) for name in axes] + [scale.share(trial.score or 0.0)]
        path = "".join(
            f"{'L' if index else 'M'}{_x_position(index, count):.1f} {_y_position(share):.1f}"
            for index, share in enumerate(shares)
        )
        words = f"trial {trial.number}: {trial.score:.4f}\n" + ", ".join(
            f"{k} {format_setting(v)}" for k, v in trial.drawn.items()
        )
        style = "line line-1" if trial.number == best else "line train"
        marks += [element("g", title(words), element("path", d=path), class_=style)]
    return _render_plot(marks, "settings and scores of the trials")


def format_setting(value: Any) -> str:
    """Setting in few characters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _axis_share(axis: Axis, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(axis[0], str):
        options = [str(option) for option in axis]
        return (options.index(str(value)) + 0.5) / len(options)
    low, high, by_factors = float(axis[0]), float(axis[1]), bool(axis[2])
    if by_factors:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return 0.5 if high <= low else (value - low) / (high - low)


def _grid_lines(scale: Scale) -> list[str]:
    marks = []
    for tick in scale.ticks:
        down = _y_position(scale.share(tick))
        marks += [element("line", x1=LEFT, x2=BOX - RIGHT, y1=down, y2=down, class_="grid")]
        marks += [element("text", tick_label(tick), x=LEFT - 8, y=down + 3.5, text_anchor="end", class_="tick")]
    return marks


def _x_position(index: int, count: int) -> float:
    share = 0.5 if count == 1 else index / (count - 1)
    return LEFT + 24 + share * (BOX - RIGHT - LEFT - 48)


def _y_position(share: float) -> float:
    return PLOT_TOP + (1 - share) * (PLOT_HEIGHT - PLOT_TOP - PLOT_BOTTOM)


def _render_plot(marks: list[str], label: str) -> str:
    box = f"0 0 {BOX} {PLOT_HEIGHT + 12}"
    return element("svg", *marks, class_="curve", viewBox=box, width="100%", role="img", aria_label=label)
