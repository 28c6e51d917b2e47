from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_score

from holotype.core.errors import DataError
from holotype.core.seeds import keyed_generator
from holotype.simulate.cell_geometry import SHAPES, grow_cells, grow_fibers, render_points, sample_points
from holotype.simulate.microscopy import CHANNELS, PATTERNS, PHOTONS, READ_NOISE, Optics, draw_cell_field, plate_optics


def drawn(names: list[str], cell_type: str, size: int, *key: str | int, optics: Optics | None = None) -> np.ndarray:
    amounts, random = dict.fromkeys(names, 1.0), keyed_generator(1, "t", *key)
    return draw_cell_field(amounts, cell_type, size, optics or Optics(), random)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


# ---- the pictures


@pytest.mark.parametrize("cell_type", sorted(SHAPES))
@pytest.mark.parametrize("size", [32, 64, 100])
def test_a_field_is_four_channels_between_zero_and_one_with_cells_and_gaps_of_light(cell_type, size):
    field = drawn(["cytosol"], cell_type, size, size)
    assert (field.shape, field.dtype) == ((4, size, size), np.float32)
    assert (field.min() >= 0, field.max() <= 1) == (True, True)
    assert (field.std(axis=(1, 2)) > 0.03).all()


@pytest.mark.parametrize(("names", "cell_type"), [(["nucleolus"], "A-431"), (["nucleoli"], "A431")])
def test_what_has_no_drawing_is_refused_with_the_nearest_name(names, cell_type):
    with pytest.raises(DataError, match=r"did you mean '(nucleoli|A-431)'"):
        drawn(names, cell_type, 64)


def test_larger_fields_show_more_cells_and_larger_ones():
    shape = SHAPES["A-431"]
    small, large = (grow_cells(shape, size, keyed_generator(1, "grow", size)) for size in (64, 256))
    assert len(large.centers) > len(small.centers)
    assert large.axes.mean() > 1.5 * small.axes.mean()


def test_cell_lines_differ_in_size_and_in_the_share_of_their_nuclei():
    def nuclear_share(name: str) -> float:
        fields = [grow_cells(SHAPES[name], 64, keyed_generator(1, "share", number)) for number in range(10)]
        return float(np.mean([cells.nuclei.sum() / cells.body.sum() for cells in fields]))

    shares = {name: nuclear_share(name) for name in SHAPES}
    assert shares["U-2 OS"] < 0.75 * shares["A-431"] < shares["HEK 293"]


@pytest.mark.parametrize("cell_type", sorted(SHAPES))
def test_geometry_agrees_with_itself(cell_type):
    for number in range(6):
        cells = grow_cells(SHAPES[cell_type], 64, keyed_generator(1, "geometry", number))
        assert (cells.nuclei <= cells.body + 1e-9).all()
        assert (cells.nucleoli <= cells.nuclei + 1e-9).all()
        assert ((cells.depth > 0) == (cells.body > 0.5)).all()
        assert (cells.reach >= 0).all()
        assert (cells.reach <= 1).all()
        assert (cells.reach[(cells.depth < 0) & (cells.height > 0)] == 1).all()


def test_patterns_lie_where_their_names_say():
    def overlap(name: str, channel: str) -> float:
        scores = []
        for number in range(8):
            field = drawn([name], "A-431", 64, name, number)
            scores.append(correlation(field[CHANNELS.index(channel)], field[CHANNELS.index("protein")]))
        return float(np.mean(scores))

    assert overlap("nucleoplasm", "nucleus") > 0.8
    assert overlap("microtubules", "microtubules") > 0.7
    assert overlap("cytosol", "nucleus") < 0.1
    for name in ("mitochondria", "golgi", "vesicles", "plasma-membrane"):
        assert overlap(name, "nucleus") < 0.15
        assert overlap(name, "nucleus") < overlap("nucleoli", "nucleus") < overlap("nucleoplasm", "nucleus")


def test_simple_statistics_of_the_protein_tell_patterns_apart_well_above_chance():
    rows, labels = [], []
    for name in PATTERNS:
        for number in range(14):
            cell_type, plate = sorted(SHAPES)[number % 3], f"P{number % 5}"
            field = drawn([name], cell_type, 64, name, number, optics=plate_optics(1, plate))
            protein = field[CHANNELS.index("protein")]
            quantiles = np.quantile(protein, [0.1, 0.5, 0.8, 0.9, 0.97, 0.995])
            edges = [np.abs(np.diff(protein, n=order)).mean() for order in (1, 2)]
            rows.append([*quantiles, *edges, *(correlation(protein, channel) for channel in field[:3])])
            labels.append(name)
    forest = ExtraTreesClassifier(60, random_state=0)
    accuracy = cross_val_score(forest, np.array(rows), labels, cv=4).mean()
    assert 0.55 < accuracy < 0.995  # chance is 0.125


def test_a_mixture_shows_both_patterns():
    random = keyed_generator(1, "mixture")
    cells = grow_cells(SHAPES["A-431"], 64, random)
    line, ground = (cells.depth > 0) & (cells.depth < 1.2), cells.depth < -2
    field = draw_cell_field(
        {"nucleoplasm": 1.0, "plasma-membrane": 1.0}, "A-431", 64, Optics(blur=0.5), keyed_generator(1, "mixture")
    )
    protein = field[CHANNELS.index("protein")]
    middle = (cells.depth > 3) & (cells.height > 2.5)
    assert protein[cells.nuclei > 0.9].mean() > 1.5 * protein[middle].mean()
    assert protein[line].mean() > 1.5 * protein[middle].mean() > protein[ground].mean()


def test_plates_change_brightness_background_and_sharpness():
    dark, bright = Optics(gain=(0.5,) * 4), Optics(gain=(1.0,) * 4)
    light = {optics: drawn(["cytosol"], "A-431", 64, "g", optics=optics).mean() for optics in (dark, bright)}
    assert 1.5 < light[bright] / light[dark] < 2.1
    misty = drawn(["golgi"], "A-431", 64, "b", optics=Optics(background=(0.2,) * 4))
    assert misty.min() > drawn(["golgi"], "A-431", 64, "b").min() + 0.05
    sharp, soft = (drawn(["vesicles"], "U-2 OS", 64, "s", optics=Optics(blur=blur))[3] for blur in (0.4, 1.6))
    assert np.quantile(np.abs(np.diff(sharp)), 0.98) > 1.5 * np.quantile(np.abs(np.diff(soft)), 0.98)
    assert plate_optics(1, "P01") == plate_optics(1, "P01") != plate_optics(1, "P02")


def test_noise_is_that_of_photons_and_a_camera():
    field = drawn(["cytosol"], "U-2 OS", 128, "noise", optics=Optics(blur=7.0))[CHANNELS.index("nucleus")]
    level = gaussian_filter(field, 2.0)[:, 1:-1]
    squares = np.diff(field, n=2) ** 2 / 6  # of a smooth image nothing but noise is left
    for low, high in ((0.1, 0.2), (0.35, 0.6)):
        chosen = (level > low) & (level < high)
        assert chosen.sum() > 300
        expected = level[chosen].mean() / PHOTONS[1] + (READ_NOISE / PHOTONS[1]) ** 2
        assert squares[chosen].mean() == pytest.approx(expected, rel=0.2)


# ---- the tools


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(-4, 24), st.floats(-4, 24), st.floats(0, 5)), min_size=1, max_size=20))
def test_splatted_light_is_kept_and_stays_where_it_was(points):
    places, light = np.array(points)[:, :2], np.array(points)[:, 2]
    field = render_points(places, light, 20)
    inside = ((places >= 0) & (places < 19)).all(axis=1)
    assert field.sum() == pytest.approx(light[inside].sum())
    grid = np.arange(20)
    assert (field.sum(axis=1) @ grid, field.sum(axis=0) @ grid) == pytest.approx(light[inside] @ places[inside])


def test_scattered_points_fall_where_the_map_is_high_and_nowhere_else():
    weights = np.zeros((10, 10))
    weights[3, 4], weights[8, 1] = 3.0, 1.0
    pixels = np.rint(sample_points(weights, 400, keyed_generator(1, "scatter"))).astype(int)
    counts = Counter(map(tuple, pixels.tolist()))
    assert set(counts) == {(3, 4), (8, 1)}
    assert counts[3, 4] == pytest.approx(300, abs=40)


def test_fibres_take_even_steps_from_their_starts():
    starts, angles = np.array([[5.0, 5.0], [9.0, 2.0]]), np.array([0.0, np.pi / 2])
    paths = grow_fibers(starts, angles, 30, 0.05, keyed_generator(1, "fibres"))
    lengths = np.linalg.norm(np.diff(np.concatenate([starts[:, None], paths], axis=1), axis=1), axis=-1)
    assert lengths == pytest.approx(0.8, rel=1e-4)
    straight = grow_fibers(starts, angles, 3, 0.0, keyed_generator(1, "fibres"))
    assert straight[:, -1] == pytest.approx(np.array([[5.0, 7.4], [11.4, 2.0]]), abs=1e-5)
