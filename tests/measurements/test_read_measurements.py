"""Tables of measurements from files: types, ids, levels, missing rows, and errors that name the recipe's field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.measurements.drawn_tables import DATA, draw, image_table

from holotype.core.errors import DataError
from holotype.core.table_files import write_table
from holotype.measurements import MeasurementTable, measurements_digest, read_measurements
from holotype.measurements import sources as sources_module
from holotype.measurements.column_names import is_identifier
from holotype.recipe.sections import MeasurementsSpec
from holotype.types import ImageTable

IMAGES = image_table([0, 1, 0, 1, None], ["P0", "P0", "P1", "P1", "P1"])
VALUES = draw(5, 3)


def frame(**more: object) -> pl.DataFrame:
    columns = {"Metadata_id": [f"a{number}" for number in range(5)], "Nuclei_Area": VALUES[:, 0]}
    return pl.DataFrame({**columns, "Cells_Texture": VALUES[:, 1], **more})


def read(path: Path, images: ImageTable = IMAGES, columns: list[str] | None = None, **keys: object) -> MeasurementTable:
    return read_measurements(MeasurementsSpec(table=str(path), **keys), images, DATA, columns=columns)


def written(table: pl.DataFrame, path: Path) -> Path:
    write_table(table, path)
    return path


@pytest.mark.parametrize("name", ["table.parquet", "table.csv", "table.tsv", "table.xlsx"])
def test_every_form_of_a_table_reads_the_same(tmp_path, name):
    shuffled = frame().sample(fraction=1.0, shuffle=True, seed=1)
    table = read(written(shuffled, tmp_path / name))
    assert table.columns == ("Nuclei_Area", "Cells_Texture")
    np.testing.assert_allclose(table.by_sample, VALUES[:, :2], rtol=1e-12)
    assert table.features_for(np.array([3, 0])).dtype == np.float32
    np.testing.assert_allclose(table.features_for(np.array([3, 0])), VALUES[[3, 0], :2], rtol=1e-6)


def test_a_sheet_of_a_workbook_is_a_table(tmp_path):
    path = written(frame(), tmp_path / "table.xlsx")
    table = read(Path(f"{path}#table"))
    np.testing.assert_allclose(table.by_sample, VALUES[:, :2], rtol=1e-12)
    digests = {measurements_digest(MeasurementsSpec(table=name)) for name in (f"{path}#table", f"{path}#other")}
    assert len(digests) == 2


def test_large_text_is_read_in_parts_and_is_the_same(tmp_path, monkeypatch):
    rows = 700
    columns = {"id": [f"a{row % 5}" for row in range(rows)], "x": draw(rows, 1)[:, 0], "word": ['b,"\n'] * rows}
    table = pl.DataFrame(columns).with_columns(mostly=pl.Series(["?"] + ["7", "nan", "text"] * 233))
    path = written(table, tmp_path / "table.csv")
    together = read(path)
    monkeypatch.setattr(sources_module, "PART_BYTES", 2000)
    parts = read(path)
    assert parts.columns == together.columns == ("x", "mostly")
    np.testing.assert_allclose(parts.values, together.values, rtol=1e-12)
    assert any("233 cells of 'mostly' hold no number and count as missing" in note for note in parts.notes)


def test_lists_of_numbers_are_columns(tmp_path):
    path = written(frame(embedding=[[float(row), -1.0] for row in range(5)]), tmp_path / "table.parquet")
    table = read(path, columns=["embedding.1", "embedding.0"])
    assert table.values.tolist() == [[-1, row] for row in range(5)]


def test_objects_are_aggregated_to_images_and_images_to_samples(tmp_path):
    images = image_table([0, 0, 1, 1, None], samples=["s0", "s0", "s1", "s1", "s2"])
    objects = pl.DataFrame({"id": ["a0", "a0", "a0", "a1", "a2", "a3", "a4"], "x": [1.0, 2, 9, 5, np.inf, 4, np.nan]})
    path = written(objects, tmp_path / "table.parquet")
    median, mean = (read(path, images, aggregate=method) for method in ("median", "mean"))
    np.testing.assert_array_equal(median.by_sample, [[3.5], [4], [np.nan]])
    np.testing.assert_array_equal(mean.by_sample, [[4.5], [4], [np.nan]])
    assert "7 rows of measurements are aggregated to 5 images (median)." in median.notes


def test_objects_without_an_id_are_counted_and_change_nothing(tmp_path):
    objects = pl.DataFrame({"id": ["a0", "a0", "a1", "a2", "a3", "a4", "a4", None, None], "x": [1.0] * 7 + [50.0] * 2})
    table = read(written(objects, tmp_path / "t.parquet"))
    assert table.by_sample[:, 0].tolist() == [1] * 5
    assert "2 rows of measurements without an id in 'id' left out." in table.notes


def test_batches_of_columns_are_aggregated_as_all_at_once(tmp_path, monkeypatch):
    objects = pl.DataFrame({f"x{column}": draw(40, 1, column)[:, 0] for column in range(9)})
    path = written(objects.with_columns(id=pl.Series([f"a{row % 5}" for row in range(40)])), tmp_path / "t.parquet")
    expected = read(path).values
    monkeypatch.setattr("holotype.measurements.aggregate.BATCH_BYTES", 40 * 8 * 2)
    np.testing.assert_array_equal(read(path).values, expected)
    np.testing.assert_allclose(expected[3], np.median(objects.to_numpy()[3::5], axis=0))


def test_rows_may_be_samples_with_a_pattern_of_columns(tmp_path):
    images = image_table([0, 0, 1, None], samples=["P1/A01", "P1/A01", "P1/B02", "P1/C03"])
    wells = pl.DataFrame({"Metadata_Plate": ["P1"] * 3, "Metadata_Well": ["C03", "A01", "B02"], "x": [3.0, 1.0, 2.0]})
    table = read(written(wells, tmp_path / "wells.csv"), images, id="{Metadata_Plate}/{Metadata_Well}")
    assert table.by_sample[:, 0].tolist() == [1, 2, 3]
    with pytest.raises(
        DataError, match=r"measurements\.id: there is no column 'Metadata_Plat'; did you mean 'Metadata_Plate'"
    ):
        read(tmp_path / "wells.csv", images, id="{Metadata_Plat}")


@pytest.mark.parametrize(
    ("files", "columns"),
    [
        ([["/d/A/one_r.tif", "/d/A/one_g.tif"], ["/d/A/two_r.tif"]], {"FileName_R": ["two_r.tif", "one_r.tif"]}),
        ([["/A/x.tif"], ["/B/x.tif"]], {"FileName_R": ["x.tif", "x.tif"], "PathName_R": ["C:\\B", "C:\\A"]}),
    ],
)  # fmt: skip
def test_file_names_match_images_where_there_is_no_id(tmp_path, files, columns):
    images = image_table([0, 1], files=files)
    table = read(written(pl.DataFrame({**columns, "x": [2.0, 1.0]}), tmp_path / "t.csv"), images)
    assert table.by_sample[:, 0].tolist() == [1, 2]
    assert any("matched to images by the file names" in note for note in table.notes)


def test_a_file_of_another_folder_is_not_an_image_of_the_same_name(tmp_path):
    images = image_table([0, 1], files=[["/d/A/x.tif"], ["/d/A/y.tif"]])
    rows = pl.DataFrame(
        {"FileName_R": ["x.tif", "x.tif", "y.tif"], "PathName_R": ["/d/A", "/d/B", "/moved"], "x": [1.0, 9.0, 2.0]}
    )
    table = read(written(rows, tmp_path / "t.csv"), images)
    assert table.by_sample[:, 0].tolist() == [1, 2]
    assert any("1 row of measurements of no sample of the recipe: /d/B/x.tif" in note for note in table.notes)


def test_no_id_and_no_file_name_is_an_error_with_the_way_out(tmp_path):
    path = written(pl.DataFrame({"name": ["a0"], "x": [1.0]}), tmp_path / "t.csv")
    with pytest.raises(
        DataError, match=r"measurements\.id: the table has no column 'id'; allowed: name, x; name the col"
    ):
        read(path)
    path = written(pl.DataFrame({"id": ["b0", "b1"], "x": [1.0, 2.0]}), tmp_path / "t.csv")
    with pytest.raises(DataError, match="no row of the table belongs to an image of the recipe: 'id' has 'b0', 'b1'"):
        read(path)


def test_samples_without_rows_and_rows_without_samples_are_counted(tmp_path):
    images = image_table([0, 1] * 5)
    rows = pl.DataFrame({"id": [f"a{number}" for number in range(1, 12)], "x": np.arange(11.0)})
    table = read(written(rows, tmp_path / "t.csv"), images)
    assert table.missing_samples.tolist() == [0]
    assert np.isnan(table.features_for(np.array([0, 1]))).tolist() == [[True], [False]]
    assert "1 of 10 train samples have no measurements: a0; their values count as missing." in table.notes
    assert any(note.startswith("2 rows of measurements of no sample of the recipe: a10, a11") for note in table.notes)
    with pytest.raises(DataError, match=r"3 of 10 train samples have no measurements: a0, a1, a2; at most 20%"):
        read(written(rows[2:], tmp_path / "t.csv"), images)


def test_rows_to_predict_need_measurements_too(tmp_path):
    with pytest.raises(DataError, match="1 of 1 test sample have no measurements: a4"):
        read(written(frame()[:4], tmp_path / "t.csv"))


def test_a_repeated_id_is_refused_where_the_recipe_says_images(tmp_path):
    path = written(pl.concat([frame(), frame()[:1]]), tmp_path / "t.csv")
    with pytest.raises(
        DataError, match=r"measurements\.level: 1 id in 'Metadata_id' with more than one row: a0; write"
    ):
        read(path, level="image")
    assert read(path, level="object").by_sample.shape == (5, 2)


def test_identifiers_labels_and_text_are_left_out_and_named(tmp_path):
    path = written(
        frame(
            ImageNumber=[1, 2, 3, 4, 5], Cells_Location_Center_X=VALUES[:, 2], Image_MD5Digest_DNA=VALUES[:, 2],
            label=[0, 1, 0, 1, 0], plate=[0, 0, 1, 1, 1], Image_ExecutionTime_01=VALUES[:, 2], remark=list("abcde"),
            Cells_Children_Spots_Count=[1, 2, 3, 4, 6], Cells_AreaShape_BoundingBoxMaximum_X=VALUES[:, 2],
        ),
        tmp_path / "t.parquet",
    )  # fmt: skip
    table = read(path)
    assert table.columns == ("Nuclei_Area", "Cells_Texture", "Cells_Children_Spots_Count")
    left_out = {name: (reason, detail) for name, reason, detail in table.left_out.iter_rows()}
    assert left_out["remark"] == ("not numbers", "its type is String")
    assert left_out["label"] == ("identifier", "it is the label")
    assert left_out["plate"] == ("identifier", "it is a group")
    assert set(left_out) == set(pl.read_parquet(path).columns) - set(table.columns)


def test_columns_are_selected_and_excluded_by_patterns(tmp_path):
    path = written(frame(ImageNumber=[1, 2, 3, 4, 6]), tmp_path / "t.csv")
    listed = MeasurementsSpec(table=str(path), columns=["ImageNumber", "*_Area"])
    assert read_measurements(listed, IMAGES, DATA).columns == ("Nuclei_Area", "ImageNumber")
    assert read(path, exclude=["Nuclei_*"]).columns == ("Cells_Texture",)
    with pytest.raises(DataError, match=r"measurements\.exclude\.0: no column matches 'Nucleus_\*'"):
        read(path, exclude=["Nucleus_*"])
    with pytest.raises(DataError, match=r"measurements\.columns: none of the 4 columns of the table is a measurement"):
        read(path, exclude=["*"])


def test_a_missing_table_and_a_missing_measurement_are_named(tmp_path):
    path = written(frame(), tmp_path / "table.csv")
    with pytest.raises(DataError, match=r"measurements\.table: there is no table '.*'; did you mean 'table\.csv'"):
        read(tmp_path / "tabel.csv")
    with pytest.raises(DataError, match="lacks 1 of the 2 measurements that the model was trained on"):
        read(path, columns=["Nuclei_Area", "Nuclei_Perimeter"])


def test_the_plate_of_an_id_is_one(tmp_path):
    path = written(pl.concat([frame(well=[1.0] * 5), frame(well=[2.0] * 5)]), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"measurements\.normalize_by: rows of one id have different values in 'well'"):
        read(path, normalize_by="well")
    with pytest.raises(DataError, match=r"measurements\.normalize_by: there is no column 'wel'; did you mean 'well'\?"):
        read(path, normalize_by="wel")
    assert read(path, normalize_by="plate").frame["group"].to_list() == ["P0", "P0", "P1", "P1", "P1"]


def test_the_digest_is_of_the_bytes(tmp_path):
    path = written(frame(), tmp_path / "t.csv")
    before = measurements_digest(MeasurementsSpec(table=str(path)))
    assert measurements_digest(MeasurementsSpec(table=str(path), missing="zero")) == before
    written(frame().reverse(), path)
    assert measurements_digest(MeasurementsSpec(table=str(path))) != before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Metadata_Plate", True),
        ("Image_FileName_OrigDNA", True),
        ("Nuclei_AreaShape_Center_X", True),
        ("Cells_AreaShape_BoundingBoxMinimum_Y", True),
        ("Cells_AreaShape_BoundingBoxArea", False),
        ("Cells_Location_CenterMassIntensity_X_DNA", True),
        ("Cells_Neighbors_FirstClosestObjectNumber_5", True),
        ("Cells_Neighbors_FirstClosestDistance_5", False),
        ("Cells_Children_Cytoplasm_Count", False),
        ("Image_Count_Cells", False),
        ("Image_Group_Index", True),
        ("Cells_Intensity_MassDisplacement_DNA", False),
        ("Unnamed: 0", True),
        ("row_index", True),
        ("index", True),
        ("mitotic index", False),
    ],
)
def test_identifiers_are_known_by_their_names(name, expected):
    assert is_identifier(name) is expected
