"""Graph layout and label placement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
NEAR, FAR = 1.0, 2.5
LINE = 13.0


def force_layout(count: int, pairs: Sequence[tuple[int, int, float]]) -> Points:
    """Force-directed layout (Kamada & Kawai 1989) that starts from a circle.

    `pairs`: two nodes and the strength of their edge; a stronger edge is shorter. Returns positions from 0 to 1, shape
    (count, 2); deterministic.
    """
    import networkx  # drawings only, and slow to load

    graph = networkx.Graph()
    graph.add_nodes_from(range(count))
    strongest = max((strength for _, _, strength in pairs), default=1.0)
    for a, b, strength in pairs:
        graph.add_edge(a, b, length=FAR - (FAR - NEAR) * strength / max(strongest, 1e-12))
    if count < 3:
        return np.array([[0.25, 0.5], [0.75, 0.5]])[:count]
    path_lengths = dict(networkx.all_pairs_dijkstra_path_length(graph, weight="length"))
    disconnected_length = (
        max(length for ends in path_lengths.values() for length in ends.values()) + FAR
    )  # of what no path joins
    distance = {a: {b: path_lengths[a].get(b, disconnected_length) for b in range(count)} for a in range(count)}
    layout = networkx.kamada_kawai_layout(graph, dist=distance, weight=None)
    points = np.array([layout[node] for node in range(count)])
    low, high = points.min(axis=0), points.max(axis=0)
    return np.round((points - low) / np.maximum(high - low, 1e-9), 4)


def circular_order(points: Points) -> list[int]:
    """Nodes sorted by angle around their center, so that neighbors on the map are neighbors on a circle."""
    from_middle = points - points.mean(axis=0)
    return [int(number) for number in np.argsort(np.arctan2(from_middle[:, 1], from_middle[:, 0]), kind="stable")]


@dataclass
class LabelBoxes:
    """Occupied boxes of a drawing, used to place labels without overlap.

    Args:
        taken: Left, top, right and bottom of each box.
    """

    width: float
    height: float
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def reserve(self, left: float, top: float, right: float, bottom: float) -> None:
        """Mark a box as occupied."""
        self.taken.append((left, top, right, bottom))

    def find_label_position(
        self, x: float, y: float, radius: float, length: float, leftwards: bool = False
    ) -> tuple[float, float, str] | None:
        """Reserve a free position for a label beside a point: right, left, below or above.

        Returns position and text anchor; None if every position is occupied.
        """
        gap = radius + 4
        right, left_hand = (x + gap, y + 4, "start"), (x - gap, y + 4, "end")
        sides = (left_hand, right) if leftwards else (right, left_hand)
        for across, down, alignment in (*sides, (x, y + gap + 9, "middle"), (x, y - gap, "middle")):
            left = across - {"start": 0.0, "middle": length / 2, "end": length}[alignment]
            box = (left, down - LINE + 3, left + length, down + 3)
            inside = box[0] >= 0 and box[2] <= self.width and box[1] >= 0 and box[3] <= self.height
            if inside and not any(
                box[0] < right and left_of < box[2] and box[1] < bottom and top < box[3]
                for left_of, top, right, bottom in self.taken
            ):
                self.reserve(*box)
                return across, down, alignment
        return None
