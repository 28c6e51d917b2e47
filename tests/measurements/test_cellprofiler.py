"""CellProfiler's exports of a drawn screen: CSV files and databases are read as the same measurements."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.measurements.drawn_tables import image_table

from holotype.core.errors import DataError
from holotype.core.table_files import write_table
from holotype.measurements import measurements_digest, prepare_measurements, read_measurements
from holotype.recipe.sections import DataSpec, LabelSpec, MeasurementsSpec
from holotype.simulate.cellprofiler import COMPARTMENTS, measure_drawn_images, write_cellprofiler_export
from holotype.simulate.microscopy import CHANNELS
from holotype.types import ImageTable

DATA = DataSpec(train="train.csv", labels=LabelSpec(column="labels"), groups=["plate"])


@pytest.fixture(scope="module")
def truth(screen: Path) -> pl.DataFrame:
    return pl.read_csv(screen / "truth.csv").head(40)


@pytest.fixture(scope="module")
def images(screen: Path, truth: pl.DataFrame) -> ImageTable:
    classes = truth["labels"].str.split(" ").list.first().rank("dense").cast(pl.Int64) - 1
    files = [[str(screen / "images" / f"{name}_{channel}.png") for channel in CHANNELS] for name in truth["id"]]
    return image_table(classes.to_list(), truth["plate"].to_list(), files=files)


@pytest.fixture(scope="module")
def tables(screen: Path, truth: pl.DataFrame) -> dict[str, pl.DataFrame]:
    first = truth.with_columns(pl.col("labels").str.split(" ").list.first())
    return measure_drawn_images(first, screen / "images")


def test_csv_files_and_a_database_hold_the_same_measurements(tmp_path, tables, images):
    csv = write_cellprofiler_export(tmp_path / "csv", tables, prefix="MyExpt_")
    database = write_cellprofiler_export(tmp_path / "db", tables, "sqlite", prefix="MyExpt_")
    first, second = (read_measurements(MeasurementsSpec(table=str(path)), images, DATA) for path in (csv, database))
    assert first.columns == second.columns
    assert {name.split("_")[0] for name in first.columns} == {"Image", *COMPARTMENTS}
    np.testing.assert_allclose(first.values, second.values, rtol=1e-12)
    assert not len(first.missing_samples)
    column = first.columns.index("Nuclei_AreaShape_Area")
    expected = tables["Nuclei"].group_by("ImageNumber").agg(pl.median("AreaShape_Area")).sort("ImageNumber")
    images_with_nuclei = expected["ImageNumber"].to_numpy() - 1
    np.testing.assert_array_equal(first.by_sample[images_with_nuclei, column], expected["AreaShape_Area"])


def test_the_planted_leak_is_left_out_and_measurements_are_features(tmp_path, tables, images):
    spec = MeasurementsSpec(table=str(write_cellprofiler_export(tmp_path, tables)), normalize_by="plate")
    prepared = prepare_measurements(spec, images, DATA)
    assert np.isfinite(prepared.features).all()
    left_out = dict(prepared.left_out.select("column", "reason").iter_rows())
    assert left_out["Image_Classify_Batch"] == "code of the label"
    assert left_out["Image_FileName_nucleus"] == "identifier"
    assert "Cells_AreaShape_Area" in prepared.fitted.columns


def test_several_folders_of_csv_files_are_one_export(tmp_path, tables, images):
    together = write_cellprofiler_export(tmp_path / "one", tables)
    early = {name: frame.filter(pl.col("ImageNumber") <= 20) for name, frame in tables.items()}
    late = {
        name: frame.filter(pl.col("ImageNumber") > 20).with_columns(pl.col("ImageNumber") - 20)
        for name, frame in tables.items()
    }
    for name, part in (("plate1", early), ("plate2", late)):
        write_cellprofiler_export(tmp_path / "parts" / name, part)
    first, second = (
        read_measurements(MeasurementsSpec(table=str(path)), images, DATA) for path in (together, tmp_path / "parts")
    )
    np.testing.assert_allclose(first.by_sample, second.by_sample, rtol=1e-12)


def test_files_and_objects_that_are_not_used_are_named(tmp_path, tables, images):
    folder = write_cellprofiler_export(tmp_path / "export", tables)
    write_table(pl.DataFrame({"Key": ["Pipeline"], "Value": ["x"]}), folder / "Experiment.csv")
    write_table(tables["Image"].filter(pl.col("ImageNumber") != 3), folder / "Image.csv")
    lost = tables["Nuclei"].filter(ImageNumber=3).height
    notes = " ".join(read_measurements(MeasurementsSpec(table=str(folder)), images, DATA).notes)
    assert "CSV files without object numbers are not used: Experiment.csv." in notes
    assert f"{lost} objects of Nuclei belong to no image of the table of images, and are left out." in notes
    assert "1 of 40 train samples have no measurements: a2" in notes


def test_a_file_that_combines_compartments_is_refused(tmp_path, tables, images):
    folder = write_cellprofiler_export(tmp_path, tables)
    lines = ["Image,Cells,Cells,Nuclei", "ImageNumber,ObjectNumber,AreaShape_Area,AreaShape_Area", "1,1,30,10"]
    (folder / "object.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"measurements\.table: '.*object\.csv' combines several compartments"):
        read_measurements(MeasurementsSpec(table=str(folder)), images, DATA)


def test_one_table_of_a_database_may_be_named(tmp_path, images):
    profiles = [(f"a{number}", number / 7, None if number == 4 else 1.0) for number in range(40)]
    path = tmp_path / "profiles.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE profiles (id, x, y)")
        database.executemany("INSERT INTO profiles VALUES (?, ?, ?)", profiles)
        database.execute("CREATE TABLE remarks (id, remark)")
    database.close()
    with pytest.raises(DataError, match=r"measurements\.table: the database has 0 tables of images"):
        read_measurements(MeasurementsSpec(table=str(path)), images, DATA)
    with pytest.raises(DataError, match=r"the database has no table 'profile'; did you mean 'profiles'\?"):
        read_measurements(MeasurementsSpec(table=f"{path}#profile"), images, DATA)
    table = read_measurements(MeasurementsSpec(table=f"{path}#profiles"), images, DATA)
    assert table.by_sample[7].tolist() == [1, 1]
    assert np.isnan(table.by_sample[4]).tolist() == [False, True]


def test_numbers_and_words_of_a_database_are_told_apart_by_its_first_rows(tmp_path, images, monkeypatch):
    monkeypatch.setattr("holotype.measurements.cellprofiler.ROWS_AT_ONCE", 10)
    rows = [
        (f"a{number}", "bad" if number == 12 else 0.5, 2 if number > 20 else "low", number + 0.5)
        for number in range(40)
    ]
    with closing(sqlite3.connect(tmp_path / "p.db")) as database, database:
        database.execute("CREATE TABLE profiles (id, mostly, grade, number)")
        database.executemany("INSERT INTO profiles VALUES (?, ?, ?, ?)", rows)
    table = read_measurements(MeasurementsSpec(table=str(tmp_path / "p.db")), images, DATA)
    assert table.columns == ("mostly", "number")
    assert np.flatnonzero(np.isnan(table.by_sample[:, 0])).tolist() == [12]
    assert "profiles: 1 cell of 'mostly' hold no number and count as missing." in table.notes


def test_reading_a_database_leaves_its_folder_as_it_was(tmp_path, tables, images):
    path = write_cellprofiler_export(tmp_path, tables, "sqlite")
    before = path.read_bytes()
    read_measurements(MeasurementsSpec(table=str(path)), images, DATA)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_database_with_a_log_of_changes_is_read_with_them(tmp_path, tables, images):
    path = write_cellprofiler_export(tmp_path, tables, "sqlite")
    spec = MeasurementsSpec(table=str(path))
    before, values = measurements_digest(spec), read_measurements(spec, images, DATA).values
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("UPDATE Per_Nuclei SET Nuclei_AreaShape_Area = 2 * Nuclei_AreaShape_Area")
        changed = measurements_digest(spec)
        assert changed != before
        table = read_measurements(spec, images, DATA)
        column = table.columns.index("Nuclei_AreaShape_Area")
        np.testing.assert_array_equal(table.values[:, column], 2 * values[:, column])
    read_measurements(spec, images, DATA)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert measurements_digest(spec) not in {before, measurements_digest(MeasurementsSpec(table=f"{path}#Per_Image"))}


def test_a_broken_database_and_a_folder_without_images_are_named(tmp_path, images):
    (tmp_path / "broken.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(
        DataError, match=r"measurements\.table: the database '.*' cannot be read: file is not a database"
    ):
        read_measurements(MeasurementsSpec(table=str(tmp_path / "broken.sqlite")), images, DATA)
    with pytest.raises(DataError, match=r"measurements\.table: the folder '.*' has no Image\.csv"):
        read_measurements(MeasurementsSpec(table=str(tmp_path)), images, DATA)


def test_the_digest_of_a_folder_is_of_its_tables(tmp_path, tables):
    folder = write_cellprofiler_export(tmp_path / "a", tables)
    spec = MeasurementsSpec(table=str(folder))
    before = measurements_digest(spec)
    moved = shutil.copytree(folder, tmp_path / "b")
    (folder / "notes.txt").write_text("none")
    assert measurements_digest(spec) == measurements_digest(MeasurementsSpec(table=str(moved))) == before
    write_table(tables["Cells"].reverse(), folder / "Cells.csv")
    assert measurements_digest(spec) != before
