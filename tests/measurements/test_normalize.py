"""Normalization by plate: pycytominer's formulas, controls, constants, and plates of new rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import median_abs_deviation
from sklearn.preprocessing import StandardScaler
from tests.measurements.drawn_tables import draw

from holotype.measurements import center_and_scale, normalize_rows


def pycytominer_normalize(values: np.ndarray, controls: np.ndarray, method: str) -> np.ndarray:
    """pycytominer.normalize(samples=...): StandardScaler, or RobustMAD with epsilon 1e-18."""
    if method == "standardize":
        return StandardScaler().fit(values[controls]).transform(values)
    center = np.nanmedian(values[controls], axis=0)
    mad = median_abs_deviation(values[controls], nan_policy="omit", scale=1 / 1.4826, axis=0)
    return (values - center) / (mad + 1e-18)


def normalize(values: np.ndarray, controls: np.ndarray | None, method: str) -> np.ndarray:
    fit = center_and_scale(values, controls, method)
    return normalize_rows(values, np.zeros(len(values), np.int64), fit.center[None], fit.scale[None])


@pytest.mark.parametrize("method", ["standardize", "mad-robustize"])
def test_pycytominer_normalizes_the_same(method):
    values = 100 * draw(60, 7) + 20
    values[3, 2] = values[40, 2] = np.nan
    controls = np.arange(60) % 4 == 0
    for mask in (np.ones(60, bool), controls):
        expected = pycytominer_normalize(values, mask, method)
        np.testing.assert_allclose(normalize(values, mask, method), expected, rtol=1e-9)


@pytest.mark.parametrize("method", ["standardize", "mad-robustize"])
def test_a_constant_becomes_zero_and_never_infinite(method):
    values = draw(9, 4)
    values[:, 0] = 0.1 + 1e-17 * np.arange(9)  # a constant but for rounding
    values[:, 1] = [0, 0, 0, 0, 0, 0, 0, 1, 3]  # its MAD is zero
    controls = np.arange(9) < 5
    result = normalize(values, controls, method)
    assert np.isfinite(result).all()
    assert (result[:, 0] == 0).all()
    assert result[8, 1] == pytest.approx(3 / values[:, 1].std())
    assert center_and_scale(values, controls, method).replaced == 1


def test_missing_values_stay_missing_and_do_not_count():
    values = draw(8, 2)
    values[2, 0] = np.nan
    result = normalize(values, None, "standardize")
    assert np.isnan(result).sum() == 1
    np.testing.assert_allclose(np.delete(result[:, 0], 2).mean(), 0, atol=1e-12)


def test_rows_without_a_plate_become_missing():
    result = normalize_rows(np.ones((2, 1)), np.array([0, -1]), np.zeros((1, 1)), np.ones((1, 1)))
    assert result[0, 0] == 1
    assert np.isnan(result[1, 0])


@given(arrays(np.float64, (12, 3), elements=st.floats(-1e6, 1e6)), st.floats(0.1, 1e3), st.floats(-1e4, 1e4))
def test_another_unit_or_offset_of_a_plate_changes_nothing(values, factor, offset):
    before, after = (normalize(rows, None, "standardize") for rows in (values, factor * values + offset))
    spread = values.std(axis=0) > 1e-3 * (np.abs(values).max(axis=0) + abs(offset / factor))
    np.testing.assert_allclose(before[:, spread], after[:, spread], atol=1e-6)
    assert np.isfinite(after).all()
