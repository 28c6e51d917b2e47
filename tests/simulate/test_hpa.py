"""The stand-in for the Human Protein Atlas: its classes can be told apart, and every planted copy is written down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from holotype.core.digest import digest_folder
from holotype.core.errors import DataError
from holotype.core.seeds import keyed_generator
from holotype.simulate.hpa import COLORS, STANDARD_HPA, HpaPlan, other_lab_appearance, plan_hpa, simulate_hpa
from holotype.simulate.microscopy import Optics, draw_cell_field
from holotype.simulate.organelles import ORGANELLES

SMALL = HpaPlan(train=30, external=12, test=10, size=32, train_train=3, train_external=3, external_test=3)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("atlas")
    simulate_hpa(folder, SMALL, seed=2)
    return folder


def pixels_of(folder: Path, name: str) -> np.ndarray:
    return np.stack([np.asarray(Image.open(folder / "images" / f"{name}_{colour}.png")) for colour in COLORS])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(atlas: Path, tmp_path: Path) -> None:
    simulate_hpa(tmp_path / "again", SMALL, seed=2)
    simulate_hpa(tmp_path / "other", replace(SMALL, train=6, train_train=0), seed=3)
    assert digest_folder(tmp_path / "again") == digest_folder(atlas)
    assert not np.array_equal(pixels_of(tmp_path / "other", "train-00000"), pixels_of(atlas, "train-00000"))


def test_tables_have_the_original_s_columns_and_say_what_the_truth_says(atlas: Path) -> None:
    truth = pl.read_csv(atlas / "truth.csv", infer_schema=False)
    for role in ("train", "external", "test"):
        table = pl.read_csv(atlas / f"{role}.csv", infer_schema=False)
        assert table.columns == (["Id"] if role == "test" else ["Id", "Target"])
        assert table.equals(truth.filter(role=role).select(table.columns))
    found = {path.name for path in (atlas / "images").iterdir()}
    assert found == {f"{name}_{colour}.png" for name in truth["Id"] for colour in COLORS}


def test_every_planted_copy_is_in_the_truth_and_shows_the_same_specimen(atlas: Path) -> None:
    truth = pl.read_csv(atlas / "truth.csv", infer_schema=False)
    copies = truth.drop_nulls("duplicate_of").join(truth, left_on="duplicate_of", right_on="Id", suffix="_source")
    kinds = copies.group_by("role", "role_source").len().sort("role", "role_source").rows()
    assert kinds == [("external", "test", 3), ("external", "train", 3), ("train", "train", 3)]
    assert copies["Target"].equals(copies["Target_source"], check_names=False)
    for name, source, role in copies.select("Id", "duplicate_of", "role").iter_rows():
        these, those = pixels_of(atlas, name), pixels_of(atlas, source)
        if role == "train":
            assert np.array_equal(these, those)
        else:
            made = np.rint(other_lab_appearance(those.astype(np.float32) / 255, seed=2) * 255)
            assert np.abs(made - these).max() <= 1  # the source was rounded before it was written
    rest = [name for name in truth["Id"] if name not in set(copies["Id"])]
    assert len({pixels_of(atlas, name).tobytes() for name in rest}) == len(rest)


def test_images_from_outside_are_of_other_optics() -> None:
    field = np.random.default_rng(1).uniform(0, 1, (4, 32, 32)).astype(np.float32)
    other = other_lab_appearance(field, seed=1)
    assert other.shape == field.shape
    assert np.abs(other.mean((1, 2)) - field.mean((1, 2))).max() > 0.05
    assert np.ptp(other.mean((1, 2)) / field.mean((1, 2))) > 0.05  # each stain its own way
    assert (other.std((1, 2)) < field.std((1, 2))).all()


def test_the_standard_stand_in_holds_every_class_and_keeps_the_tail() -> None:
    truth = plan_hpa(STANDARD_HPA, 1).filter(role="train")
    counts = dict(truth["Target"].str.split(" ").explode().value_counts().iter_rows())
    assert set(counts) == {str(number) for number in range(28)}
    assert max(counts.values()) > 12 * min(counts.values())


def test_every_class_is_drawn_otherwise_in_the_same_cells() -> None:
    assert len(ORGANELLES) == 28
    drawn = {}
    for name in ORGANELLES:
        field = draw_cell_field({name: 1.0}, "U-2 OS", 64, Optics(), keyed_generator(5, "field"), ORGANELLES)
        drawn[name] = field[3] - field[3].mean()
    for name, one in drawn.items():
        for other, two in drawn.items():
            likeness = float((one * two).sum() / np.sqrt((one**2).sum() * (two**2).sum()))
            assert name == other or likeness < 0.97, (name, other)


@settings(max_examples=15)
@given(st.integers(2, 80), st.integers(0, 40), st.integers(0, 20), st.integers(0, 30), st.integers(0, 9))
def test_any_plan_keeps_its_promises(train: int, test: int, outside: int, more: int, seed: int) -> None:
    share = min(train // 3, test, outside // 2)
    plan = HpaPlan(train, outside, test, train_train=share, train_external=share, external_test=share)
    truth = plan_hpa(plan, seed)
    assert [truth.filter(role=role).height for role in ("train", "external", "test")] == [train, outside, test]
    assert truth["duplicate_of"].count() == 3 * share
    assert not set(truth["duplicate_of"].drop_nulls()) & set(truth.drop_nulls("duplicate_of")["Id"])
    grown = plan_hpa(replace(plan, test=test + more), seed)
    assert truth.filter(role="train").equals(grown.filter(role="train"))


@pytest.mark.parametrize("field", ["train", "external", "test", "size", "train_train", "train_external"])
def test_a_plan_that_cannot_be_drawn_is_refused_by_the_field_s_name(field: str) -> None:
    value = {"train": 1, "external": 5, "test": 2, "size": 16, "train_train": 99, "train_external": -1}[field]
    with pytest.raises(DataError, match=field):
        replace(SMALL, **{field: value})
