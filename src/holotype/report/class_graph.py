"""Graph of related classes as a map, a circle and a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from holotype.report.confusion_matrix import MAX_LABELED, confusion_matrix_svg
from holotype.report.formatting import percent, truncate
from holotype.report.layout import LabelBoxes, circular_order, force_layout
from holotype.report.svg import element, text_element, title

MAX_NODES, LINKS_PER_NODE = 60, 2.5
WIDTH, HEIGHT, MARGIN = 720, 500, 84
CIRCLE_SIZE, RADIUS = 640, 205
LETTER_WIDTH, MAX_NAME_LENGTH = 6.3, 20


class ClassPairProtocol(Protocol):
    """Two classes and the strength of their relation, from `holotype.evaluation`."""

    @property
    def first(self) -> int:
        """Class index of one class."""

    @property
    def second(self) -> int:
        """Class index of the other."""

    @property
    def strength(self) -> float:
        """Relative strength, 0 to 1."""

    @property
    def forward(self) -> int:
        """Samples of the first class predicted as the second, or that have both labels."""

    @property
    def backward(self) -> int:
        """Samples of the second class predicted as the first, or that have both labels."""

    @property
    def expected(self) -> float | None:
        """Expected number of samples with both labels by chance; None for a confusion."""


@dataclass(frozen=True)
class ClassGraphData:
    """Pairs of related classes.

    Args:
        supports: Samples of each class, shape (classes,).
        cooccurring: Labels that occur together more often than by chance, the strongest first.
    """

    supports: NDArray[np.int64]
    confused: Sequence[ClassPairProtocol] = ()
    cooccurring: Sequence[ClassPairProtocol] = ()


def class_graph(links: ClassGraphData | None, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One entry per kind of relation, each with three drawings."""
    if links is None:
        return []
    kinds = (("confused", links.confused, "miss"), ("cooccurring", links.cooccurring, "both"))
    return [
        _render_kind(kind, class_pairs, style, links.supports, classes)
        for kind, class_pairs, style in kinds
        if class_pairs
    ]


def _render_kind(
    kind: str,
    class_pairs: Sequence[ClassPairProtocol],
    style: str,
    supports: NDArray[np.int64],
    classes: tuple[str, ...],
) -> dict[str, Any]:
    strongest, nodes = _select_strongest(class_pairs)
    index_of_node = {node: number for number, node in enumerate(nodes)}
    pairs = [(index_of_node[pair.first], index_of_node[pair.second], pair.strength) for pair in strongest]
    points = force_layout(len(nodes), pairs)
    order = circular_order(points)
    names = [classes[node] for node in nodes]
    sizes = [_node_radius(int(supports[node]), int(supports[nodes].max())) for node in nodes]
    words = [_describe_pair(pair, supports, classes) for pair in strongest]
    about = [f"{name}\n{int(supports[node]):,} samples" for name, node in zip(names, nodes, strict=True)]
    lines = list(zip(pairs, words, strict=True))
    label = "Confused classes" if kind == "confused" else "Labels that occur together"
    inside = np.column_stack([MARGIN + points[:, 0] * (WIDTH - 2 * MARGIN), 36 + points[:, 1] * (HEIGHT - 72)])
    return {
        "kind": kind,
        "map": Markup(_render_map(inside, sizes, names, about, lines=lines, style=style, label=label)),
        "circle": Markup(_render_circle(order, sizes, names, about, lines=lines, style=style, label=label)),
        "matrix": Markup(_render_matrix(class_pairs, [nodes[number] for number in order], supports, classes)),
        "nodes": len(nodes),
        "left_out": len({end for pair in class_pairs for end in (pair.first, pair.second)}) - len(nodes),
        "strongest": words[0].replace("\n", ": ").replace("; ", ", "),
    }


def _select_strongest(class_pairs: Sequence[ClassPairProtocol]) -> tuple[list[ClassPairProtocol], list[int]]:
    """Strongest pairs with at most `MAX_NODES` classes, and the sorted class indices."""
    nodes: set[int] = set()
    selected: list[ClassPairProtocol] = []
    for pair in class_pairs:
        more = nodes | {pair.first, pair.second}
        if len(more) <= MAX_NODES:
            nodes = more
            selected.append(pair)
    return selected[: int(LINKS_PER_NODE * max(len(nodes), 4))], sorted(
        {end for pair in selected[: int(LINKS_PER_NODE * max(len(nodes), 4))] for end in (pair.first, pair.second)}
    )


def _describe_pair(pair: ClassPairProtocol, supports: NDArray[np.int64], classes: tuple[str, ...]) -> str:
    first, second = truncate(classes[pair.first], 60), truncate(classes[pair.second], 60)
    if pair.expected is not None:
        return f"{first} and {second}\n{pair.forward:,} samples have both; {pair.expected:,.1f} expected by chance"
    ways = [(first, second, pair.forward, pair.first), (second, first, pair.backward, pair.second)]
    phrases = [
        f"{count:,} of {a} predicted as {b} ({percent(count / max(int(supports[number]), 1))})"
        for a, b, count, number in ways
        if count
    ]
    return f"{first} and {second}\n" + "; ".join(phrases)


def _render_map(
    points: NDArray[np.float64],
    sizes: list[float],
    names: list[str],
    about: list[str],
    *,
    lines: Any,
    style: str,
    label: str,
) -> str:
    marks = [_render_link(points[a], points[b], strength, tooltip, lines, style) for (a, b, strength), tooltip in lines]
    boxes = LabelBoxes(WIDTH, HEIGHT)
    for point, size in zip(points, sizes, strict=True):
        boxes.reserve(point[0] - size, point[1] - size, point[0] + size, point[1] + size)
    for number in sorted(range(len(names)), key=lambda number: -sizes[number]):
        x, y, size = float(points[number][0]), float(points[number][1]), sizes[number]
        text = truncate(names[number], MAX_NAME_LENGTH)
        marks += [element("circle", title(about[number]), cx=x, cy=y, r=size, class_="node")]
        ends = [points[b if a == number else a][0] for (a, b, _), _ in lines if number in (a, b)]
        spot = boxes.find_label_position(
            x, y, size, LETTER_WIDTH * len(text), float(np.mean(ends)) > x
        )  # away from links
        if spot is not None:
            across, down, alignment = spot
            marks += [text_element(text, x=across, y=down, text_anchor=alignment, class_="name")]
    return _wrap_svg(marks, WIDTH, HEIGHT, label)


def _render_circle(
    order: list[int], sizes: list[float], names: list[str], about: list[str], *, lines: Any, style: str, label: str
) -> str:
    middle = CIRCLE_SIZE / 2
    angle = {node: 2 * np.pi * rank / len(order) for rank, node in enumerate(order)}
    ends = {node: middle + RADIUS * np.array([np.cos(turn), np.sin(turn)]) for node, turn in angle.items()}
    marks = [
        _render_link(ends[a], ends[b], strength, tooltip, lines, style, bent=middle)
        for (a, b, strength), tooltip in lines
    ]
    for node, turn in angle.items():
        x, y = middle + (RADIUS + 14) * np.cos(turn), middle + (RADIUS + 14) * np.sin(turn)
        left = np.cos(turn) < -1e-9
        degrees = np.degrees(turn) + (180 if left else 0)
        dot = ends[node]
        marks += [
            element(
                "circle", title(about[node]), cx=float(dot[0]), cy=float(dot[1]), r=min(sizes[node], 9.0), class_="node"
            )
        ]
        turned = f"rotate({degrees:.1f} {x:.1f} {y:.1f})"
        marks += [
            text_element(
                truncate(names[node], MAX_NAME_LENGTH),
                x=float(x),
                y=float(y),
                dy="0.35em",
                text_anchor="end" if left else "start",
                transform=turned,
                class_="name",
            )
        ]
    return _wrap_svg(marks, CIRCLE_SIZE, CIRCLE_SIZE, label)


def _render_matrix(
    class_pairs: Sequence[ClassPairProtocol], ordered: list[int], supports: NDArray[np.int64], classes: tuple[str, ...]
) -> str:
    matrix_nodes = ordered
    if len(ordered) > MAX_LABELED:
        strongest: dict[int, None] = {}
        for pair in class_pairs:
            for end in (pair.first, pair.second):
                if len(strongest) < MAX_LABELED:
                    strongest[end] = None
        matrix_nodes = [node for node in ordered if node in strongest]
    index_of_node = {node: number for number, node in enumerate(matrix_nodes)}
    counts = np.zeros((len(matrix_nodes), len(matrix_nodes)), np.int64)
    for pair in class_pairs:
        if pair.first in index_of_node and pair.second in index_of_node:
            counts[index_of_node[pair.first], index_of_node[pair.second]] = pair.forward
            counts[index_of_node[pair.second], index_of_node[pair.first]] = pair.backward
    shares = counts / np.maximum(supports[matrix_nodes], 1)[:, None]
    return confusion_matrix_svg(
        counts, shares, [classes[node] for node in matrix_nodes], errors=class_pairs[0].expected is None
    )


def _render_link(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    strength: float,
    tooltip: str,
    lines: Any,
    style: str,
    bent: float | None = None,
) -> str:
    share = strength / max(*(pair[2] for pair, _ in lines), 1e-12)
    path = f"M{start[0]:.1f} {start[1]:.1f}"
    if bent is None:
        path += f"L{end[0]:.1f} {end[1]:.1f}"
    else:
        towards = (start + end) / 2 * 0.35 + bent * 0.65
        path += f"Q{towards[0]:.1f} {towards[1]:.1f} {end[0]:.1f} {end[1]:.1f}"
    return element(
        "path",
        title(tooltip),
        d=path,
        class_=f"link {style}",
        stroke_width=1.0 + 8 * share**0.8,
        stroke_opacity=0.25 + 0.5 * share,
    )


def _node_radius(support: int, largest: int) -> float:
    return 4.0 + 10.0 * float(np.sqrt(support / max(largest, 1)))


def _wrap_svg(marks: list[str], width: int, height: int, label: str) -> str:
    return element("svg", *marks, class_="class-graph", viewBox=f"0 0 {width} {height}", role="img", aria_label=label)
