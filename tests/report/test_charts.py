"""Every drawing is well-formed XML and stands where its numbers say."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from holotype.report import charts
from holotype.report.confusion_matrix import MAX_TITLED_CELLS, confusion_matrix_svg, row_normalize
from holotype.report.svg import Scale, element, nice_scale, tick_label
from holotype.report.training_curves import Series, line_chart, phase_starts, series_of

UNIT = Scale(0.0, 1.0, (0.0, 0.5, 1.0))
NASTY = "<b>&\"'\x00\u202e\ud800]]>"
numbers = st.floats(-1e9, 1e9, allow_nan=False)


def marks(drawing: str, kind: str) -> list[ElementTree.Element]:
    return [node for node in ElementTree.fromstring(drawing).iter() if kind in (node.get("class") or "").split()]


@pytest.mark.parametrize(
    "drawing",
    [
        charts.interval_strip(0.5, 0.4, 0.6, UNIT, (0.3, 0.7), NASTY),
        charts.interval_strip(None, None, None, UNIT),
        charts.waterfall_strip(0.4, 0.5, UNIT, NASTY, sure=True),
        charts.dot_strip(0.5, 0.3, UNIT, 0.6, NASTY),
        charts.dot_strip(None, 0.0, UNIT),
        charts.bar_strip(3, 9, 4, NASTY),
        charts.bar_strip(0, 0),
        charts.axis_strip(UNIT),
        charts.ranked_dots([0.2, 0.9], [0.1, 1.0], [NASTY, "b"], 0.5, NASTY),
        charts.ranked_dots([], [], [], None, ""),
        charts.ranked_columns([3.0, 0.0], [NASTY, "b"], NASTY),
        charts.ranked_columns([], [], ""),
        line_chart([Series(NASTY, (1.0, None, 2.0), "train")], NASTY, (1,)),
        line_chart([], "nothing"),
        line_chart([Series("one", (1.0,), "train")], "one epoch"),
        confusion_matrix_svg(np.eye(3, dtype=np.int64), np.eye(3), (NASTY, "b", "c"), errors=True),
        confusion_matrix_svg(np.zeros((0, 0), np.int64), np.zeros((0, 0)), (), errors=True),
    ],
)
def test_every_drawing_is_well_formed(drawing):
    assert ElementTree.fromstring(drawing).tag == "svg"


def test_an_interval_lies_where_its_numbers_say():
    drawing = charts.interval_strip(0.5, 0.25, 0.75, UNIT)
    assert marks(drawing, "dot")[0].get("cx") == "50.00%"
    assert (marks(drawing, "interval")[0].get("x"), marks(drawing, "interval")[0].get("width")) == ("25.00%", "50.00%")


def test_a_waterfall_step_spans_from_before_to_after_in_the_colour_of_its_sign():
    loss = marks(charts.waterfall_strip(0.8, 0.6, UNIT, "a", sure=True), "loss")[0]
    assert (loss.get("x"), loss.get("width")) == ("60.00%", "20.00%")
    assert marks(charts.waterfall_strip(0.6, 0.8, UNIT, "a", sure=True), "gain")
    assert marks(charts.waterfall_strip(0.6, 0.8, UNIT, "a", sure=False), "chance")
    assert not marks(charts.waterfall_strip(None, 0.8, UNIT, "a", sure=False), "chance")


def test_ranked_dots_rise_from_left_to_right():
    drawing = charts.ranked_dots([0.9, 0.1, 0.5], [1, 1, 1], ["a", "b", "c"], 0.4, "scores")
    dots = marks(drawing, "dot")
    assert [dot.find("title").text for dot in dots] == ["b", "c", "a"]
    assert [float(dot.get("cy")) for dot in dots] == sorted((float(dot.get("cy")) for dot in dots), reverse=True)
    assert ["low" in dot.get("class").split() for dot in dots] == [True, False, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.just(float("nan")), numbers), max_size=6))
def test_a_nice_scale_holds_its_numbers_between_round_ends(values):
    scale = nice_scale(values)
    known = [value for value in values if value is not None and not math.isnan(value)]
    width = scale.high - scale.low
    assert width > 0
    assert scale.ticks[0] == scale.low
    assert scale.ticks[-1] == scale.high
    assert 2 <= len(scale.ticks) <= 12
    assert list(scale.ticks) == sorted(scale.ticks)
    assert all(scale.low - 1e-6 * width <= value <= scale.high + 1e-6 * width for value in known)
    assert all(0 <= scale.share(value) <= 1 for value in known)


def test_scores_never_make_a_scale_that_leaves_zero_to_one():
    for low in np.linspace(0, 1, 21):
        scale = nice_scale([low, 1.0]) if low < 1 else nice_scale([0.0, 1.0])
        assert scale.low >= 0
        assert scale.high <= 1


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.75, "0.75"), (0.0005, "0.0005"), (-2, "−2"), (5e-6, "5e−6"), (20_000, "20k")]
)
def test_ticks_are_short(value, text):
    assert tick_label(value) == text


def test_attributes_and_names_are_escaped():
    node = ElementTree.fromstring(element("rect", class_='a"b', fill_opacity=0.5, x=None))
    assert node.attrib == {"class": 'a"b', "fill-opacity": "0.5"}


def test_a_gap_in_a_history_lifts_the_pen():
    history = pl.DataFrame({"train_loss": [1.0, None, 3.0, float("nan"), 2.0], "phase": [0, 0, 1, 1, 2]})
    line = series_of(history, "train_loss", "a", "train")
    assert line.values == (1.0, None, 3.0, None, 2.0)
    path = next(ElementTree.fromstring(line_chart([line], "loss")).iter("path")).get("d")
    assert path.count("M") == 3
    assert "L" not in path
    assert phase_starts(history) == (2, 4)
    assert series_of(history, "absent", "a", "train").values == ()


def test_rows_are_shares_of_their_own_class():
    counts = np.array([[3, 1], [0, 0]])
    np.testing.assert_allclose(row_normalize(counts), [[0.75, 0.25], [0, 0]])
    np.testing.assert_allclose(row_normalize(counts, np.array([6, 5])), [[0.5, 1 / 6], [0, 0]])


def test_a_heat_map_says_each_count_and_colours_errors_apart():
    counts = np.array([[8, 2], [0, 5]])
    drawing = confusion_matrix_svg(counts, row_normalize(counts), ("cat", "dog"), errors=True)
    assert [node.find("title").text for node in marks(drawing, "miss")] == ["cat → dog\n2 samples, 20 % of cat"]
    assert len(marks(drawing, "hit")) == 2
    assert not marks(confusion_matrix_svg(counts, row_normalize(counts), ("cat", "dog"), errors=False), "miss")


def test_names_are_hidden_above_forty_classes():
    for size, shown in ((40, 80), (41, 0)):
        counts = np.eye(size, dtype=np.int64)
        drawing = confusion_matrix_svg(counts, row_normalize(counts), tuple(f"c{n}" for n in range(size)), errors=True)
        assert len(marks(drawing, "name")) == shown


def test_a_thousand_classes_stay_a_file_and_keep_their_largest_cells_named():
    counts = np.random.default_rng(0).integers(0, 3, (300, 300))
    counts[7, 9] = 999
    drawing = confusion_matrix_svg(counts, row_normalize(counts), tuple(f"c{n}" for n in range(300)), errors=True)
    titles = [node.text for node in ElementTree.fromstring(drawing).iter("title")]
    assert len(titles) == MAX_TITLED_CELLS
    assert titles[0].startswith("c7 → c9\n999")
    assert len(drawing) < 4_000_000


@pytest.mark.parametrize("names", [("alpha", "beta", "gamma"), ("MMMMMMMMWW", "i"), ("i", "mitochondria membrane")])
def test_the_names_of_a_confusion_matrix_lie_inside_the_drawing(names: tuple[str, ...]) -> None:
    counts = np.eye(len(names), dtype=np.int64)
    drawing = confusion_matrix_svg(counts, counts.astype(float), names, errors=True)
    width = float(ElementTree.fromstring(drawing).get("viewBox").split()[2])
    try:
        font = ImageFont.truetype("DejaVuSans.ttf", 11.5)  # the widest of the common fonts
    except OSError:
        font = ImageFont.load_default(size=11.5)
    slope = math.radians(50)
    for node in marks(drawing, "name"):
        length, x, y = font.getlength(node.text), float(node.get("x")), float(node.get("y"))
        if node.get("text-anchor") == "end":
            assert length <= x
        else:
            assert x + length * math.cos(slope) <= width
            assert y - length * math.sin(slope) >= 0
