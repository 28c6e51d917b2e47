"""Links between classes → the same links as a map, as a circle and as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from holotype.report.heatmap import LABELLED_UP_TO, heat_map
from holotype.report.placing import Boxes, around, spread_out
from holotype.report.svg import element, lettering, title
from holotype.report.words import percent, shortened

__all__ = ["ClassLinks", "Linked", "network"]

NODES_AT_MOST, LINKS_A_NODE = 60, 2.5
WIDTH, HEIGHT, MARGIN = 720, 500, 84
ROUND, RADIUS = 640, 205
LETTER, NAME = 6.3, 20


class Linked(Protocol):
    """Two classes and what lies between them, from `holotype.score`."""

    @property
    def first(self) -> int:
        """Number of one class."""

    @property
    def second(self) -> int:
        """Number of the other."""

    @property
    def strength(self) -> float:
        """From 0 to 1."""

    @property
    def forward(self) -> int:
        """Samples of the first that were taken for the second, or that have both."""

    @property
    def backward(self) -> int:
        """Samples of the second that were taken for the first, or that have both."""

    @property
    def expected(self) -> float | None:
        """How many would have both by chance; none for a confusion."""


@dataclass(frozen=True)
class ClassLinks:
    """Which classes have to do with each other.

    Args:
        supports: Samples of each class, shape (classes,).
        confused: Those that are taken for each other, the strongest first.
        together: Labels that come together beyond chance, the strongest first.
    """

    supports: NDArray[np.int64]
    confused: Sequence[Linked] = ()
    together: Sequence[Linked] = ()


def network(links: ClassLinks | None, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One entry a kind of link that there is, with its three drawings.

    Args:
        links: What there is to draw.
        classes: The class names in order.
    """
    if links is None:
        return []
    kinds = (("confused", links.confused, "miss"), ("together", links.together, "both"))
    return [_drawn(kind, found, style, links.supports, classes) for kind, found, style in kinds if found]


def _drawn(
    kind: str, found: Sequence[Linked], style: str, supports: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[str, Any]:
    shown, nodes = _strongest(found)
    place = {node: number for number, node in enumerate(nodes)}
    pairs = [(place[one.first], place[one.second], one.strength) for one in shown]
    points = spread_out(len(nodes), pairs)
    order = around(points)
    names = [classes[node] for node in nodes]
    sizes = [_radius(int(supports[node]), int(supports[nodes].max())) for node in nodes]
    words = [_words(one, supports, classes) for one in shown]
    about = [f"{name}\n{int(supports[node]):,} samples" for name, node in zip(names, nodes, strict=True)]
    lines = list(zip(pairs, words, strict=True))
    label = "Classes that are confused" if kind == "confused" else "Labels that come together"
    inside = np.column_stack([MARGIN + points[:, 0] * (WIDTH - 2 * MARGIN), 36 + points[:, 1] * (HEIGHT - 72)])
    return {
        "kind": kind,
        "map": Markup(_map(inside, sizes, names, about, (lines, style, label))),
        "circle": Markup(_circle(order, sizes, names, about, (lines, style, label))),
        "matrix": Markup(_matrix(found, [nodes[number] for number in order], supports, classes)),
        "nodes": len(nodes),
        "left_out": len({end for one in found for end in (one.first, one.second)}) - len(nodes),
        "strongest": words[0].replace("\n", ": ").replace("; ", ", "),
    }


def _strongest(found: Sequence[Linked]) -> tuple[list[Linked], list[int]]:
    """The strongest links among at most so many classes, and those classes in the order of their numbers."""
    nodes: set[int] = set()
    shown: list[Linked] = []
    for one in found:
        more = nodes | {one.first, one.second}
        if len(more) <= NODES_AT_MOST:
            nodes = more
            shown.append(one)
    return shown[: int(LINKS_A_NODE * max(len(nodes), 4))], sorted(
        {end for one in shown[: int(LINKS_A_NODE * max(len(nodes), 4))] for end in (one.first, one.second)}
    )


def _words(one: Linked, supports: NDArray[np.int64], classes: tuple[str, ...]) -> str:
    first, second = shortened(classes[one.first], 60), shortened(classes[one.second], 60)
    if one.expected is not None:
        return f"{first} and {second}\n{one.forward:,} samples have both; {one.expected:,.1f} would by chance"
    ways = [(first, second, one.forward, one.first), (second, first, one.backward, one.second)]
    said = [
        f"{count:,} of {a} taken for {b} ({percent(count / max(int(supports[number]), 1))})"
        for a, b, count, number in ways
        if count
    ]
    return f"{first} and {second}\n" + "; ".join(said)


def _map(
    points: NDArray[np.float64], sizes: list[float], names: list[str], about: list[str], drawn: tuple[Any, str, str]
) -> str:
    lines, style, label = drawn
    marks = [_line(points[a], points[b], strength, said, lines, style) for (a, b, strength), said in lines]
    boxes = Boxes(WIDTH, HEIGHT)
    for point, size in zip(points, sizes, strict=True):
        boxes.hold(point[0] - size, point[1] - size, point[0] + size, point[1] + size)
    for number in sorted(range(len(names)), key=lambda number: -sizes[number]):
        x, y, size = float(points[number][0]), float(points[number][1]), sizes[number]
        text = shortened(names[number], NAME)
        marks += [element("circle", title(about[number]), cx=x, cy=y, r=size, class_="node")]
        ends = [points[b if a == number else a][0] for (a, b, _), _ in lines if number in (a, b)]
        spot = boxes.beside(x, y, size, LETTER * len(text), float(np.mean(ends)) > x)  # away from links
        if spot is not None:
            across, down, anchor = spot
            marks += [lettering(text, x=across, y=down, text_anchor=anchor, class_="name")]
    return _figure(marks, WIDTH, HEIGHT, label)


def _circle(
    order: list[int], sizes: list[float], names: list[str], about: list[str], drawn: tuple[Any, str, str]
) -> str:
    lines, style, label = drawn
    middle = ROUND / 2
    angle = {node: 2 * np.pi * rank / len(order) for rank, node in enumerate(order)}
    ends = {node: middle + RADIUS * np.array([np.cos(turn), np.sin(turn)]) for node, turn in angle.items()}
    marks = [_line(ends[a], ends[b], strength, said, lines, style, bent=middle) for (a, b, strength), said in lines]
    for node, turn in angle.items():
        x, y = middle + (RADIUS + 14) * np.cos(turn), middle + (RADIUS + 14) * np.sin(turn)
        left = np.cos(turn) < -1e-9
        degrees = np.degrees(turn) + (180 if left else 0)
        dot = ends[node]
        marks += [element("circle", title(about[node]), cx=float(dot[0]), cy=float(dot[1]), r=min(sizes[node], 9.0),
                          class_="node")]  # fmt: skip
        turned = f"rotate({degrees:.1f} {x:.1f} {y:.1f})"
        marks += [lettering(shortened(names[node], NAME), x=float(x), y=float(y), dy="0.35em",
                          text_anchor="end" if left else "start", transform=turned, class_="name")]  # fmt: skip
    return _figure(marks, ROUND, ROUND, label)


def _matrix(found: Sequence[Linked], ordered: list[int], supports: NDArray[np.int64], classes: tuple[str, ...]) -> str:
    kept = ordered
    if len(ordered) > LABELLED_UP_TO:
        strongest: dict[int, None] = {}
        for one in found:
            for end in (one.first, one.second):
                if len(strongest) < LABELLED_UP_TO:
                    strongest[end] = None
        kept = [node for node in ordered if node in strongest]
    place = {node: number for number, node in enumerate(kept)}
    counts = np.zeros((len(kept), len(kept)), np.int64)
    for one in found:
        if one.first in place and one.second in place:
            counts[place[one.first], place[one.second]] = one.forward
            counts[place[one.second], place[one.first]] = one.backward
    shares = counts / np.maximum(supports[kept], 1)[:, None]
    return heat_map(counts, shares, [classes[node] for node in kept], errors=found[0].expected is None)


def _line(
    start: NDArray[np.float64], end: NDArray[np.float64], strength: float, said: str, lines: Any, style: str,
    bent: float | None = None,
) -> str:  # fmt: skip
    share = strength / max(*(pair[2] for pair, _ in lines), 1e-12)
    path = f"M{start[0]:.1f} {start[1]:.1f}"
    if bent is None:
        path += f"L{end[0]:.1f} {end[1]:.1f}"
    else:
        towards = (start + end) / 2 * 0.35 + bent * 0.65
        path += f"Q{towards[0]:.1f} {towards[1]:.1f} {end[0]:.1f} {end[1]:.1f}"
    return element("path", title(said), d=path, class_=f"link {style}", stroke_width=1.0 + 8 * share**0.8,
                   stroke_opacity=0.25 + 0.5 * share)  # fmt: skip


def _radius(support: int, largest: int) -> float:
    return 4.0 + 10.0 * float(np.sqrt(support / max(largest, 1)))


def _figure(marks: list[str], width: int, height: int, label: str) -> str:
    return element("svg", *marks, class_="network", viewBox=f"0 0 {width} {height}", role="img", aria_label=label)
