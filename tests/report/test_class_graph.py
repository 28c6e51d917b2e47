"""Class links as drawings: bounded, readable, the same every time."""

from __future__ import annotations

import time
from xml.etree import ElementTree

import numpy as np
import pytest

from holotype.report.class_graph import MAX_NODES, class_graph
from holotype.report.layout import LabelBoxes, circular_order, force_layout


def marks(drawing: str, kind: str) -> list[ElementTree.Element]:
    return [node for node in ElementTree.fromstring(drawing).iter() if kind in (node.get("class") or "").split()]


def test_each_kind_of_link_is_a_map_a_circle_and_a_matrix_of_the_same_links(make_charted):
    contents = make_charted(classes=12, kind="multilabel")
    confused, together = class_graph(contents.links, contents.classes)
    for one, links in ((confused, contents.links.confused), (together, contents.links.cooccurring)):
        assert len(marks(one["map"], "link")) == len(marks(one["circle"], "link")) == len(links)
        assert len(marks(one["map"], "node")) == len(marks(one["circle"], "node")) == one["nodes"]
        assert len(marks(one["circle"], "name")) == one["nodes"]
    assert (len(marks(confused["map"], "both")), len(marks(together["map"], "miss"))) == (0, 0)
    assert "expected by chance" in together["map"]
    assert "predicted as" in confused["map"]


def test_five_hundred_classes_are_drawn_by_their_strongest_links_in_a_second_or_two(make_charted):
    contents = make_charted(classes=500, links=4000, models=1, mistakes=0, samples=[])
    began = time.perf_counter()
    one = class_graph(contents.links, contents.classes)[0]
    assert time.perf_counter() - began < 20  # a second on a machine that does nothing else
    assert one["nodes"] <= MAX_NODES
    assert one["left_out"] > 400
    assert len(marks(one["map"], "link")) <= 2.5 * MAX_NODES
    assert max(len(one[face]) for face in ("map", "circle", "matrix")) < 250_000


def test_the_drawing_is_the_same_every_time(make_charted):
    contents = make_charted(classes=20)
    assert class_graph(contents.links, contents.classes) == class_graph(contents.links, contents.classes)


def test_nothing_is_drawn_without_a_link(make_charted):
    contents = make_charted(classes=3, links=0)
    assert class_graph(contents.links, contents.classes) == []
    assert class_graph(None, contents.classes) == []


def test_what_is_linked_strongly_lies_closer_than_what_is_not():
    chain = [(number, number + 1, 1.0) for number in range(9)]
    points = force_layout(10, chain)
    near = np.mean([np.linalg.norm(points[a] - points[b]) for a, b, _ in chain])
    far = np.linalg.norm(points[0] - points[9])
    assert far > 3 * near
    assert points.min() >= 0
    assert points.max() <= 1
    two = force_layout(4, [(0, 1, 1.0), (2, 3, 1.0)])  # no path joins the pairs
    assert np.linalg.norm(two[0] - two[1]) < np.linalg.norm(two[0] - two[2])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_point_or_two_have_a_place_too(count):
    points = force_layout(count, [(0, 1, 1.0)] if count == 2 else [])
    assert points.shape == (count, 2)
    assert sorted(circular_order(points) if count else []) == list(range(count))


def test_no_name_covers_another():
    draw = np.random.default_rng(1)
    boxes = LabelBoxes(720, 500)
    placed = [boxes.find_label_position(*draw.uniform((0, 0), (720, 500)), 6.0, 90.0) for _ in range(200)]
    assert 20 < sum(place is not None for place in placed) < 200
    for number, one in enumerate(boxes.taken):
        for other in boxes.taken[:number]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
