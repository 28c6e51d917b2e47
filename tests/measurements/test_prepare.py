"""Features of samples: normalized by plate, filled, and the same for new rows as for training rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from tests.measurements.drawn_tables import DATA, draw, image_table

from holotype.cache import read_value, write_value
from holotype.core.errors import DataError
from holotype.core.table_files import write_table
from holotype.measurements import FittedMeasurements, PreparedMeasurements, measure_new_samples, prepare_measurements
from holotype.recipe.sections import MeasurementsSpec
from holotype.types import ImageTable

PLATES = np.repeat([0, 1, 2, 3], 10)
IMAGES = image_table([0, 1] * 20, [f"P{plate}" for plate in PLATES])
TRUE = draw(40, 3)
MEASURED = TRUE * (1 + PLATES[:, None]) + 10 * PLATES[:, None]
CONTROLS = np.tile([True, False, True, False, False], 8)


def write(folder: Path, values: np.ndarray = MEASURED, **more: object) -> Path:
    columns = {f"x{number}": values[:, number] for number in range(values.shape[1])}
    ids = [f"a{number}" for number in range(len(values))]
    write_table(pl.DataFrame({"id": ids, **columns, **more}), folder / "table.parquet")
    return folder / "table.parquet"


def prepare(path: Path, images: ImageTable = IMAGES, **keys: object) -> PreparedMeasurements:
    return prepare_measurements(MeasurementsSpec(table=str(path), **keys), images, DATA)


def test_plates_are_normalized_each_by_its_rows(tmp_path):
    features = prepare(write(tmp_path), normalize_by="plate").features
    for plate in range(4):
        part = TRUE[plate == PLATES]
        np.testing.assert_allclose(features[plate == PLATES], (part - part.mean(0)) / part.std(0), atol=1e-5)
    np.testing.assert_allclose(prepare(tmp_path / "table.parquet").features, MEASURED, rtol=1e-6)


def test_controls_without_a_label_normalize_the_others(tmp_path):
    """Control rows are in the table of measurements and in no table of the recipe."""
    path = write(tmp_path, treatment=np.where(CONTROLS, "DMSO", "drug"), batch=[f"P{plate}" for plate in PLATES])
    rows = np.flatnonzero(~CONTROLS)
    frame = IMAGES.frame[rows]
    images = ImageTable(frame, IMAGES.classes, "multiclass")
    keys = {"normalize_by": "batch", "controls": {"treatment": "DMSO"}}
    prepared = prepare(path, images, **keys)
    for plate in range(4):
        control, part = (TRUE[(plate == PLATES) & mask] for mask in (CONTROLS, ~CONTROLS))
        expected = (part - control.mean(0)) / control.std(0)
        np.testing.assert_allclose(prepared.features[PLATES[rows] == plate], expected, atol=1e-5)
    assert "4 plates normalized by fewer than 5 control rows: P0, P1, P2, P3." in prepared.warnings
    with pytest.raises(
        DataError, match=r"measurements\.controls: no row of batch 'P0' is a control \(treatment = dmso\)"
    ):
        prepare(path, images, normalize_by="batch", controls={"treatment": "dmso"})


def test_controls_without_plates_normalize_all_rows_alike(tmp_path):
    path = write(tmp_path, dose=np.where(CONTROLS, 0.0, 1.5))
    features = prepare(path, controls={"dose": 0}).features
    control = MEASURED[CONTROLS]
    np.testing.assert_allclose(features, (MEASURED - control.mean(0)) / control.std(0), atol=1e-5)


def test_labels_do_not_change_the_normalization(tmp_path):
    path = write(tmp_path)
    other = image_table([1, 1, 0, 0] * 10, [f"P{plate}" for plate in PLATES])
    first, second = (prepare(path, images, normalize_by="plate").features for images in (IMAGES, other))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("missing", "expected"), [("median", 11.0), ("zero", 0.0), ("keep", np.nan)])
def test_missing_values_are_filled_as_the_recipe_says(tmp_path, missing, expected):
    values = np.stack([np.arange(40.0) % 23, np.arange(40.0) ** 2], axis=1)
    values[[3, 8], 0] = np.nan, np.inf
    median = np.nanmedian(np.delete(values[:, 0], [3, 8]))
    prepared = prepare(write(tmp_path, values), missing=missing)
    fill = median if missing == "median" else expected
    np.testing.assert_array_equal(prepared.features[[3, 8], 0], [fill, fill])
    assert any(note.startswith("2 values of 1 measurement are missing or infinite:") for note in prepared.notes)


def test_a_sample_without_a_row_is_filled_and_counted(tmp_path):
    prepared = prepare(write(tmp_path, MEASURED[:39]), normalize_by="plate")
    assert prepared.missing_samples.tolist() == [39]
    np.testing.assert_allclose(prepared.features[39], np.median(prepared.features[:39], axis=0), atol=0.05)


def test_a_row_without_a_plate_is_an_error(tmp_path):
    plates = [None, *[f"P{plate}" for plate in PLATES[1:]]]
    with pytest.raises(
        DataError, match=r"measurements\.normalize_by: 1 row of measurements without a value of 'plate'"
    ):
        prepare(write(tmp_path), image_table([0, 1] * 20, plates), normalize_by="plate")


def test_training_rows_predicted_again_have_the_same_features(tmp_path):
    spec = MeasurementsSpec(table=str(write(tmp_path)), normalize_by="plate")
    prepared = prepare_measurements(spec, IMAGES, DATA)
    (tmp_path / "new").mkdir()
    rows = [3, 12, 35]
    few = image_table([None] * 3, [f"P{plate}" for plate in PLATES[rows]], classes=2)
    new = spec.model_copy(update={"table": str(write(tmp_path / "new", MEASURED[rows]))})
    features, _ = measure_new_samples(prepared.fitted, new, few, DATA)
    np.testing.assert_array_equal(features, prepared.features[rows])


def test_a_new_plate_is_normalized_by_its_rows(tmp_path):
    spec = MeasurementsSpec(table=str(write(tmp_path)), normalize_by="plate")
    fitted = prepare_measurements(spec, IMAGES, DATA).fitted
    (tmp_path / "new").mkdir()
    path = write(tmp_path / "new", 1000 * TRUE[:10] - 7)
    new_images = image_table([None] * 10, ["P9"] * 10, classes=2)
    features, _ = measure_new_samples(fitted, spec.model_copy(update={"table": str(path)}), new_images, DATA)
    np.testing.assert_allclose(features, (TRUE[:10] - TRUE[:10].mean(0)) / TRUE[:10].std(0), atol=1e-5)


def test_a_new_plate_of_one_row_is_named(tmp_path):
    spec = MeasurementsSpec(table=str(write(tmp_path)), normalize_by="plate")
    fitted = prepare_measurements(spec, IMAGES, DATA).fitted
    write(tmp_path, MEASURED[:1])
    features, notes = measure_new_samples(fitted, spec, image_table([None], ["P9"], classes=2), DATA)
    assert (features == 0).all()
    assert "1 plate with 1 of the rows: P9; all their measurements are 0." in notes


def test_features_and_their_fit_are_stored_and_read_back(tmp_path):
    prepared = prepare(write(tmp_path), normalize_by="plate")
    folder = tmp_path / "stored"
    folder.mkdir()
    write_value(prepared, folder)
    again = read_value(PreparedMeasurements, folder, {"fitted": FittedMeasurements})
    np.testing.assert_array_equal(again.features, prepared.features)
    np.testing.assert_array_equal(again.fitted.scale, prepared.fitted.scale)
    assert (again.fitted.columns, again.fitted.groups) == (prepared.fitted.columns, prepared.fitted.groups)


def test_no_column_left_is_an_error(tmp_path):
    codes = np.stack([np.arange(40) % 2, PLATES], axis=1)
    with pytest.raises(DataError, match="none of 2 measurements is left: code of a group, code of the label"):
        prepare(write(tmp_path, codes))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"method": "mad-robustize"}, "method: needs normalize_by or controls"),
        ({"controls": {}}, "controls"),
        ({"columns": []}, "columns"),
        ({"normalise_by": "plate"}, "did you mean 'normalize_by'?"),
        ({"missing": "mean"}, "'median', 'zero' or 'keep'"),
    ],
)
def test_a_wrong_section_is_refused(keys, words):
    with pytest.raises(ValidationError) as caught:
        MeasurementsSpec(table="t.csv", **keys)
    assert words in str(caught.value)
