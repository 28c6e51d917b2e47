"""Tables of measurements beside the images are no tables of labels; `init` names the model that uses them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.inspect.conftest import Bench

from holotype.core.table_files import write_table
from holotype.simulate.cellprofiler import measure_drawn_images, write_cellprofiler_export
from holotype.simulate.cells import SimulationPlan, simulate_cells

IDS = [f"c{number}" for number in range(24)]


@pytest.fixture
def cells(bench: Bench) -> Bench:
    rows = [f"{name},{'ab'[number % 2]},P{number // 6}" for number, name in enumerate(IDS)]
    bench.table("labels.csv", "id,label,plate", rows)
    bench.images(*(f"images/{name}.png" for name in IDS))
    return bench


def profiles(**columns: object) -> pl.DataFrame:
    values = np.random.default_rng(0).normal(size=(len(IDS), 5))
    return pl.DataFrame({**columns, **{f"Cells_F{number}": values[:, number] for number in range(5)}})


@pytest.mark.parametrize("name", ["profiles.parquet", "profiles.csv"])
def test_profiles_beside_the_images_are_proposed_as_a_model(cells, name):
    before = cells.written()[0].content
    write_table(profiles(Metadata_id=IDS), cells.folder / name)
    proposal, text, _ = cells.written(cells.folder.parent / "again" / "recipe.yaml")
    assert proposal.content == before
    expected = f"measurements: {{table: {name}, normalize_by: plate}}, classifier: {{kind: lightgbm}}}}"
    assert any(note.startswith(f"{name}: 5 measurements.") and note.endswith(expected) for note in proposal.notes)
    assert "# Found, but not used:" in text


def test_the_column_of_ids_is_asked_for_where_none_has_their_name(cells):
    write_table(profiles(Metadata_Site=IDS), cells.folder / "profiles.parquet")
    (note,) = (note for note in cells.written()[0].notes if "profiles" in note)
    assert "{table: profiles.parquet, id: ..., normalize_by: plate}" in note
    assert note.endswith("put the column with the ids of the images for the dots")


def test_one_hot_labels_and_small_tables_of_numbers_are_no_measurements(cells):
    flags = {f"flag{number}": np.arange(24) % (number + 2) == 0 for number in range(60)}
    write_table(
        pl.DataFrame({"id": IDS, **flags}).with_columns(pl.col(pl.Boolean).cast(int)), cells.folder / "flags.csv"
    )
    write_table(pl.DataFrame({"id": IDS, "age": range(24), "dose": range(24)}), cells.folder / "donors.csv")
    assert all("lightgbm" not in note for note in cells.written()[0].notes)


@pytest.mark.parametrize("form", ["csv", "sqlite"])
def test_an_export_of_cellprofiler_is_recognized(tmp_path, form):
    screen = simulate_cells(tmp_path / "cells", SimulationPlan(train=24, test=6, size=32, plates=4, multilabel=False))
    bench = Bench(screen.folder)
    (screen.folder / "truth.csv").unlink()
    before = bench.written()[0].content
    write_cellprofiler_export(
        screen.folder / "output", measure_drawn_images(screen.truth, screen.folder / "images"), form
    )
    if form == "sqlite":
        (screen.folder / "output" / "measurements.sqlite").rename(screen.folder / "measurements.sqlite")
    proposal = bench.written(tmp_path / "again" / "recipe.yaml")[0]
    assert proposal.content == before
    name = "output" if form == "csv" else "measurements.sqlite"
    assert any(note.startswith(f"{name}: measurements of CellProfiler. To use") for note in proposal.notes)
