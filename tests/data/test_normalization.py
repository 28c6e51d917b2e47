"""Moments of sets, plates and images against NumPy on the pixels themselves."""

import numpy as np
import polars as pl
import pytest

from holotype.data import channel_statistics, dataset_normalization, row_normalization

SIZES = [(4, 6), (5, 5), (7, 3), (4, 4), (6, 6)]


@pytest.fixture(scope="module")
def pictures():
    random = np.random.default_rng(3)
    return [random.integers(0, 3000 * (number + 1), (2, *size)).astype(np.uint16) for number, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def frame(pictures):
    plain = {"channels": 2, "depth": "uint16", "error": None}
    rows = [{"height": one.shape[1], "width": one.shape[2], **plain, **channel_statistics(one)} for one in pictures]
    return pl.DataFrame(rows, schema_overrides={"error": pl.String})


def moments(pictures):
    flat = np.concatenate([picture.reshape(2, -1) for picture in pictures], axis=1)
    return flat.mean(axis=1), flat.std(axis=1)


def test_an_image_has_its_own_moments(pictures, frame):
    mean, deviation = row_normalization(frame)
    for row, picture in enumerate(pictures):
        np.testing.assert_allclose((mean[row], deviation[row]), moments([picture]), rtol=1e-5)


def test_a_plate_has_the_moments_of_all_its_pixels(pictures, frame):
    mean, deviation = row_normalization(frame, pl.Series(["a", "b", "a", None, "b"]))
    for rows in ([0, 2], [1, 4], [3]):
        expected = moments([pictures[row] for row in rows])
        for row in rows:
            np.testing.assert_allclose((mean[row], deviation[row]), expected, rtol=1e-5)


def test_one_plate_for_all_is_the_set(frame):
    mean, deviation = row_normalization(frame, pl.Series(["a"] * 5))
    whole = dataset_normalization(frame)
    np.testing.assert_allclose(mean[3], whole.mean, rtol=1e-6)
    np.testing.assert_allclose(deviation[1], whole.deviation, rtol=1e-6)


def test_what_cannot_be_read_and_what_is_constant_stay_harmless(frame):
    broken = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 1).then(pl.lit("torn")).otherwise(None).alias("error"),
        pl.when(pl.int_range(pl.len()) == 2).then(pl.lit([0.0, 0.0])).otherwise("deviation").alias("deviation"),
    )
    mean, deviation = row_normalization(broken)
    assert mean[1].tolist() == [0.0, 0.0]
    assert deviation[1].tolist() == deviation[2].tolist() == [1.0, 1.0]
