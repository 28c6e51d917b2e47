"""Which columns are features: codes of the label or the plate are not, perfect measurements are."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.measurements.drawn_tables import draw, image_table

from holotype.measurements import MeasurementTable, select_columns
from holotype.recipe.sections import MeasurementsSpec
from holotype.types import ImageTable

SPEC = MeasurementsSpec(table="table.parquet")
LABELS = np.arange(120) % 3
PLATES = np.arange(120) // 3 % 8
IMAGES = image_table(LABELS.tolist(), [f"P{plate}" for plate in PLATES])


def table_of(columns: dict[str, np.ndarray], images: ImageTable = IMAGES) -> MeasurementTable:
    values = np.stack(list(columns.values()), axis=1).astype(np.float64)
    rows = np.arange(len(images))
    frame = pl.DataFrame(
        {"key": images.frame["id"], "sample": rows, "group": [""] * len(rows), "control": [False] * len(rows)}
    )
    return MeasurementTable(tuple(columns), values, frame, len(images), "mean", pl.DataFrame())


def reasons(columns: dict[str, np.ndarray], images: ImageTable = IMAGES, spec: MeasurementsSpec = SPEC, **options):
    columns = {"honest": draw(len(images), 1)[:, 0], **columns}
    selection = select_columns(table_of(columns, images), images, spec, **options)
    assert set(selection.columns) | set(selection.left_out["column"]) == set(columns)
    assert "honest" in selection.columns
    return dict(selection.left_out.select("column", "reason").iter_rows()), selection.warnings


def permuted(codes: np.ndarray, order: list[float]) -> np.ndarray:
    return np.array(order)[codes]


CODES = {
    "a copy of the class number": (LABELS, "code of the label"),
    "any other numbers of the classes": (permuted(LABELS, [0.31, -7, 2.5]), "code of the label"),
    "one class against all others": (LABELS == 1, "code of the label"),
    "the complement of a class": (LABELS != 2, "code of the label"),
    "a class number that is often missing": (np.where(np.arange(120) % 5, LABELS, np.nan), "code of the label"),
    "a number of the compound": (permuted(LABELS + 3 * (np.arange(120) % 2), [3, 0, 5, 1, 4, 2]), "code of the label"),
    "a number of the plate": (PLATES, "code of a group"),
    "a number of the batch of plates": (PLATES // 3, "code of a group"),
    "one value for each plate": (draw(8, 1)[PLATES, 0], "code of a group"),
    "a row number": (np.arange(120) + 17, "row counter"),
    "a shuffled row number": (np.random.default_rng(1).permutation(120), "row counter"),
    "a constant": (np.full(120, 3.0), "constant"),
    "a constant with gaps": (np.where(np.arange(120) % 2, 3.0, np.nan), "constant"),
    "no value": (np.full(120, np.nan), "no values"),
}  # fmt: skip


@pytest.mark.parametrize("name", CODES)
def test_a_code_is_left_out_and_named(name):
    values, reason = CODES[name]
    left_out, warnings = reasons({"code": values})
    assert left_out == {"code": reason}
    assert warnings == ()


def test_a_code_of_labels_of_which_some_are_wrong_is_still_one():
    code = LABELS.copy()
    code[:3] = (code[:3] + 1) % 3
    assert reasons({"code": code})[0] == {"code": "code of the label"}
    code[:20] = np.random.default_rng(0).integers(0, 3, 20)
    assert reasons({"noisy": code})[0] == {}


@pytest.mark.parametrize(
    "values",
    [
        LABELS + 0.2 * draw(120, 1)[:, 0].clip(-2, 2),  # a perfect measurement, over a continuous range
        100 * LABELS + np.arange(120) % 7,  # one in whole numbers
    ],
)
def test_a_perfect_measurement_is_used_with_a_warning(values):
    left_out, (warning,) = reasons({"perfect": values})
    assert left_out == {}
    assert "1 measurement predicts the label alone and without an error: perfect." in warning


def test_a_good_measurement_needs_no_warning():
    assert reasons({"good": LABELS + 0.5 * draw(120, 1)[:, 0], "counts": LABELS + np.arange(120) // 3 % 2}) == ({}, ())


def test_a_measurement_that_is_perfect_in_one_group_only_is_not_perfect():
    label, group = np.arange(120) % 2, np.arange(120) // 40
    images = image_table(label.tolist(), ["P0"] * 120)
    values = 10 * group + (label ^ group % 2) + 0.1 * draw(120, 1)[:, 0].clip(-2, 2)
    assert reasons({"x": values}, images, independent_groups=group) == ({}, ())
    assert len(reasons({"x": values}, images)[1]) == 1


def test_a_code_of_plates_is_one_where_some_plates_are_unknown():
    plates = [None if row < 5 else f"P{plate}" for row, plate in enumerate(PLATES)]
    images = image_table(LABELS.tolist(), plates)
    assert reasons({"plate": PLATES}, images)[0] == {"plate": "code of a group"}


def test_few_samples_prove_no_code():
    images = image_table([0, 1] * 5, ["P0"] * 10)
    assert reasons({"lucky": np.arange(10) % 2}, images)[0] == {}


def test_values_that_are_missing_for_one_class_alone_are_named():
    values = np.where(LABELS == 1, np.nan, draw(120, 1)[:, 0])
    left_out, (warning,) = reasons({"x": values})
    assert left_out == {}
    assert warning.startswith("1 measurement missing for some classes and for no other: x.")
    assert reasons({"x": np.where(np.arange(120) % 4, np.nan, values)}) == ({}, ())


def test_a_column_that_is_listed_by_name_is_used_with_a_warning():
    listed = MeasurementsSpec(table="t.parquet", columns=["honest", "code"])
    left_out, (warning,) = reasons({"code": LABELS}, spec=listed)
    assert left_out == {}
    assert warning == "The column 'code' is used because the recipe lists it: its 3 values correspond to the label."
    by_pattern = MeasurementsSpec(table="t.parquet", columns=["honest", "co*"])
    assert reasons({"code": LABELS}, spec=by_pattern)[0] == {"code": "code of the label"}


def test_labels_of_rows_to_predict_are_not_needed():
    images = image_table([*LABELS.tolist(), *[None] * 30], ["P0"] * 150)
    code = np.concatenate([LABELS, np.full(30, np.nan)])
    assert reasons({"code": code}, images)[0] == {"code": "code of the label"}


def test_random_columns_are_hardly_ever_codes():
    binary = np.random.default_rng(5).integers(0, 2, (120, 300))
    columns = {f"binary{number}": binary[:, number] for number in range(300)}
    columns |= {f"plate{number}": np.random.default_rng(number).integers(0, 8, 120) for number in range(100)}
    assert reasons(columns) == ({}, ())


def test_many_labels_have_codes_too():
    frame = IMAGES.frame.with_columns(labels=pl.Series([[label, 3] if label else [label] for label in LABELS.tolist()]))
    images = ImageTable(frame, ("a", "b", "c", "d"), "multilabel")
    assert reasons({"d": LABELS > 0, "sets": LABELS}, images)[0] == dict.fromkeys(["d", "sets"], "code of the label")
