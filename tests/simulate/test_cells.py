from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from holotype.core.digest import digest_folder
from holotype.core.errors import DataError
from holotype.simulate.cells import (
    CHANNELS,
    CLASSES,
    SEPARATOR,
    STANDARD_PLAN,
    SimulationPlan,
    plan_images,
    simulate_cells,
)

SMALL = SimulationPlan(train=40, test=10, plates=5, duplicates=0.2, test_duplicates=0.2, wrong_labels=0.2)


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory):
    return simulate_cells(tmp_path_factory.mktemp("cells"), SMALL, seed=3)


def pixels_of(folder: Path, name: str) -> np.ndarray:
    return np.stack([np.asarray(Image.open(folder / "images" / f"{name}_{channel}.png")) for channel in CHANNELS])


# ---- files and tables


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path, simulation):
    again = simulate_cells(tmp_path / "again", SMALL, seed=3)
    other = simulate_cells(tmp_path / "other", replace(SMALL, train=4, test=2), seed=4)
    assert digest_folder(again.folder) == digest_folder(simulation.folder)
    assert not np.array_equal(pixels_of(other.folder, "train-00000"), pixels_of(simulation.folder, "train-00000"))


def test_more_images_leave_the_earlier_ones_as_they_were(tmp_path, simulation):
    fewer = simulate_cells(tmp_path, replace(SMALL, train=12, test=0), seed=3)
    for name in fewer.truth["id"]:
        assert np.array_equal(pixels_of(fewer.folder, name), pixels_of(simulation.folder, name))
    grown = plan_images(replace(STANDARD_PLAN, train=900, test=200), 1)
    assert plan_images(STANDARD_PLAN, 1).join(grown, on=grown.columns, how="anti", nulls_equal=True).is_empty()


def test_every_image_has_a_file_for_each_channel_and_nothing_else_is_there(simulation):
    found = {path.name for path in (simulation.folder / "images").iterdir()}
    assert found == {f"{name}_{channel}.png" for name in simulation.truth["id"] for channel in CHANNELS}
    assert {path.name for path in simulation.folder.iterdir()} == {"images", "train.csv", "test.csv", "truth.csv"}


def test_tables_say_what_the_truth_says_and_the_test_table_says_no_labels(simulation):
    train, test, truth = (pl.read_csv(simulation.folder / f"{name}.csv") for name in ("train", "test", "truth"))
    assert train.columns == ["id", "labels", "plate", "well", "cell_type"]
    assert test.columns == ["id", "plate", "well", "cell_type"]
    assert truth.equals(simulation.truth)
    labelled = truth.filter(role="train")
    assert train["labels"].equals(labelled["written"], check_names=False)
    assert truth.filter(role="test")["written"].is_null().all()
    for table in (train, test):
        assert table.join(truth, on=["id", "plate", "well", "cell_type"], how="anti").is_empty()


def test_copies_have_the_pixels_of_their_originals_and_no_other_two_images_do(simulation):
    truth = simulation.truth
    copies = truth.drop_nulls("duplicate_of")
    counts = Counter(copies["role"])
    assert (counts["train"], counts["test"]) == (pytest.approx(8, abs=1), pytest.approx(2, abs=1))
    for name, source in copies.select("id", "duplicate_of").iter_rows():
        assert np.array_equal(pixels_of(simulation.folder, name), pixels_of(simulation.folder, source))
        assert truth.filter(id=name)["labels"].item() == truth.filter(id=source)["labels"].item()
    assert not set(copies["duplicate_of"]) & set(copies["id"])
    distinct = {pixels_of(simulation.folder, name).tobytes() for name in truth["id"]}
    assert len(distinct) == truth.height - copies.height


def test_training_copies_stay_on_the_plate_of_their_original(simulation):
    copies = simulation.truth.drop_nulls("duplicate_of").filter(role="train")
    both = copies.join(simulation.truth, left_on="duplicate_of", right_on="id")
    assert both["plate"].equals(both["plate_right"], check_names=False)


def test_wrong_labels_differ_in_one_class_and_all_others_are_right(simulation):
    train = simulation.truth.filter(role="train")
    assert train["wrong_label"].sum() == 8
    for labels, written, wrong in train.select("labels", "written", "wrong_label").iter_rows():
        true, said = set(labels.split(SEPARATOR)), set(written.split(SEPARATOR))
        assert (len(true - said), len(said - true)) == ((1, 1) if wrong else (0, 0))


def test_tables_of_an_earlier_simulation_are_gone_while_images_are_drawn(tmp_path, monkeypatch):
    plan = SimulationPlan(train=2, test=1)
    simulate_cells(tmp_path, plan)
    monkeypatch.setattr("holotype.simulate.cells.draw_cell_field", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        simulate_cells(tmp_path, plan)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_sixteen_bits_are_used_and_eight_bits_stay_eight(tmp_path, simulation):
    deep = simulate_cells(tmp_path, SimulationPlan(train=1, test=0, depth=16))
    pixels = pixels_of(deep.folder, "train-00000")
    assert pixels.dtype == np.uint16
    assert len(np.unique(pixels[CHANNELS.index("protein")])) > 1000
    assert pixels_of(simulation.folder, "train-00000").dtype == np.uint8


# ---- the plan


@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 150), st.integers(0, 60), st.integers(2, 14), st.floats(0, 0.5), st.booleans(), st.integers(0, 99)
)
def test_any_plan_keeps_its_promises(train, test, plates, rate, multilabel, seed):
    plan = SimulationPlan(train, test, plates=plates, duplicates=rate, wrong_labels=rate, multilabel=multilabel)
    truth = plan_images(plan, seed)
    by_role = {role: truth.filter(role=role) for role in ("train", "test")}
    assert (by_role["train"].height, by_role["test"].height) == (train, test)
    assert not set(by_role["train"]["plate"]) & set(by_role["test"]["plate"])
    assert truth["plate"].n_unique() <= plates
    assert truth["id"].is_unique().all()
    originals = truth.filter(pl.col("duplicate_of").is_null())
    assert originals.select("plate", "well").is_unique().all()
    assert abs(by_role["train"]["wrong_label"].sum() - rate * train) < 2
    assert abs(by_role["train"]["duplicate_of"].count() - rate * train) < 2
    counts = truth["labels"].str.split(SEPARATOR).list.len()
    assert counts.max() <= (3 if multilabel else 1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_standard_screen_has_a_tail_that_can_still_be_learned(seed):
    truth = plan_images(STANDARD_PLAN, seed)
    train = truth.filter(role="train")
    support = Counter(train["labels"].str.split(SEPARATOR).explode().to_list())
    assert set(support) == set(CLASSES)
    rarest, commonest = min(support.values()), max(support.values())
    assert support["vesicles"] == rarest >= 12
    assert 0.02 <= rarest / train.height <= 0.045
    assert commonest > 8 * rarest
    assert 0.25 < (train["labels"].str.count_matches(SEPARATOR) > 0).mean() < 0.5
    assert truth.filter(role="test")["duplicate_of"].is_null().all()
    assert not truth.filter(role="test")["wrong_label"].any()


def test_plates_and_cell_types_are_dealt_evenly_and_do_not_follow_the_labels():
    train = plan_images(replace(STANDARD_PLAN, multilabel=False, duplicates=0.0), 1).filter(role="train")
    assert train["plate"].value_counts()["count"].to_list() == [60] * 10
    assert set(train["cell_type"].value_counts()["count"]) == {200}
    crossed = train.pivot("cell_type", index="labels", values="id", aggregate_function="len")
    assert crossed.filter(labels="nucleoplasm").drop("labels").row(0) == pytest.approx([52] * 3, abs=16)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("train", 0),
        ("test", -1),
        ("size", 16),
        ("depth", 12),
        ("plates", 1),
        ("cell_types", ()),
        ("cell_types", ("HeLa",)),
        ("duplicates", 0.9),
        ("test_duplicates", -0.1),
        ("wrong_labels", float("nan")),
    ],
)
def test_a_plan_that_cannot_be_drawn_is_refused_by_the_field_s_name(field, value):
    with pytest.raises(DataError, match=field):
        replace(STANDARD_PLAN, **{field: value})


def test_a_plan_documents_its_fields():
    for field in fields(SimulationPlan):
        assert f"        {field.name}: " in (SimulationPlan.__doc__ or "")
