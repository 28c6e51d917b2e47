"""SVG elements with escaping, and axis scales with round ticks."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from holotype.report.formatting import escape_control, finite

NARROW, WIDE = frozenset("iljtfrI.,:;|!'()[]- "), frozenset("mwMWOQ@%…")


def element(tag: str, *children: str, **attributes: object) -> str:
    """SVG element as text.

    `**attributes`: `class_` becomes `class`, other underscores become hyphens, None is left out.
    """
    written = "".join(
        f' {_attribute_name(key)}="{_attribute_value(value)}"' for key, value in attributes.items() if value is not None
    )
    content = "".join(children)
    return f"<{tag}{written}>{content}</{tag}>" if content else f"<{tag}{written}/>"


def text_element(text: str, **attributes: object) -> str:
    """SVG text element with escaped content."""
    return element("text", escape(escape_control(text)), **attributes)


def title(text: str) -> str:
    """Tooltip of a mark (SVG title)."""
    return f"<title>{escape(escape_control(text, keep=chr(10)))}</title>"


@dataclass(frozen=True)
class Scale:
    """Linear axis scale. `high`: value at the end, above `low`."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Position along the axis, 0 to 1, clipped to the axis."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def percent(self, value: float) -> str:
        """Position along the axis as an SVG percentage."""
        return f"{100 * self.share(value):.2f}%"


def nice_scale(values: Iterable[float | None], count: int = 5) -> Scale:
    """Smallest scale with round ends that contains the values.

    `values`: None and NaN are ignored; without any number the scale is 0 to 1.
    """
    numbers = finite(values) or [0.0, 1.0]
    low, high = min(numbers), max(numbers)
    if high - low < 1e-12 * max(abs(high), 1.0):
        margin = 0.05 * max(abs(high), 1e-9)
        low, high = low - margin, high + margin
    step = _round_step((high - low) / count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(index * step, 12) for index in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def tick_label(value: float) -> str:
    """Tick value in as few characters as possible."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1000:,.6g}k"
    text = f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.0e}".replace("e-0", "e-")
    return text.replace("-", "−")


def text_width(text: str, size: float) -> float:
    """Estimated width of a text in a sans-serif font, in pixels; rather too wide than too narrow. `size`: font size."""
    return size * sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> float:
    if letter in NARROW:
        return 0.43
    if letter in WIDE or unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    return 0.76 if letter.isupper() else 0.65


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _attribute_name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _attribute_value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return escape(escape_control(str(value)))
