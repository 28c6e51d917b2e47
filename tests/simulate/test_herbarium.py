"""Drawn herbarium sheets: JSON of COCO's form that our reader takes, and leaves that are like their kin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotype.core.digest import digest_folder
from holotype.core.errors import DataError
from holotype.core.seeds import keyed_generator
from holotype.data import read_images
from holotype.recipe.sections import DataSpec, LabelSpec
from holotype.simulate.herbarium import (
    STANDARD_LEAVES,
    LeavesPlan,
    draw_leaf,
    plan_leaves,
    simulate_leaves,
    species_leaf_form,
)

SMALL = LeavesPlan(families=2, genera=2, species=2, sheets=4, test=1, size=32)


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sheets")
    simulate_leaves(folder, SMALL, seed=2)
    return folder


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(sheets: Path, tmp_path: Path) -> None:
    simulate_leaves(tmp_path / "again", SMALL, seed=2)
    simulate_leaves(tmp_path / "other", SMALL, seed=3)
    assert digest_folder(tmp_path / "again") == digest_folder(sheets)
    assert digest_folder(tmp_path / "other") != digest_folder(sheets)


def test_the_reader_takes_the_sheets_with_their_taxonomy(sheets: Path) -> None:
    labels = LabelSpec(column="category_id", taxonomy=["genus", "family"])
    files = {role: str(sheets / role / "metadata.json") for role in ("train", "test")}
    images = read_images(DataSpec(**files, labels=labels))
    truth = pl.read_csv(sheets / "truth.csv", infer_schema=False)
    assert len(images) == truth.height
    assert all(Path(images.files_of_row(row)[0]).is_file() for row in range(len(images)))
    assert images.taxonomy is not None
    known = dict(truth.select("category_id", pl.concat_list("genus", "family")).iter_rows())
    for name, genus, family in images.taxonomy.iter_rows():
        assert known[name] == [genus, family]
    told = [images.classes[numbers[0]] for numbers in images.frame["labels"].drop_nulls().to_list()]
    assert told == truth.filter(role="train")["category_id"].to_list()


@settings(max_examples=15)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(3, 12), st.integers(0, 3))
def test_any_plan_has_unequal_classes_and_nested_ranks(
    families: int, genera: int, species: int, most: int, test: int
) -> None:
    plan = LeavesPlan(families, genera, species, most, test)
    truth = plan_leaves(plan, 1)
    train = truth.filter(role="train")
    counts = train.group_by("species").len()["len"]
    assert train["species"].n_unique() == families * genera * species
    assert (counts.max(), counts.min()) == (most, most if len(counts) == 1 else round(most / 3))
    assert truth.filter(role="test").height == test * families * genera * species
    for near, far in (("species", "genus"), ("genus", "family"), ("species", "category_id")):
        assert (truth.group_by(near).agg(pl.col(far).n_unique())[far] == 1).all()


def test_leaves_of_a_species_are_nearer_to_each_other_than_to_another_genus() -> None:
    def mean_sheet(form: str, first: int) -> np.ndarray:
        draws = [
            draw_leaf(species_leaf_form(1, form), 48, keyed_generator(number, "sheet"))
            for number in range(first, first + 12)
        ]
        return np.mean(draws, axis=0)

    forms = [f"{family}.{genus}.0" for family in range(3) for genus in range(2)]
    here, there = (np.array([mean_sheet(form, first) for form in forms]) for first in (0, 100))
    distances = ((here[:, None] - there[None]) ** 2).mean(axis=(2, 3, 4))
    assert (distances.argmin(axis=1) == np.arange(len(forms))).all()


def test_kin_share_what_their_rank_decides() -> None:
    family = {species_leaf_form(1, f"0.{genus}.{species}").veins for genus in range(2) for species in range(3)}
    genus = {species_leaf_form(1, f"1.1.{species}").lobes for species in range(4)}
    species = {species_leaf_form(1, f"1.1.{species}").color for species in range(4)}
    assert (len(family), len(genus), len(species)) == (1, 1, 4)


@pytest.mark.parametrize(("field", "value"), [("families", 0), ("sheets", 2), ("test", -1), ("size", 8)])
def test_a_plan_that_cannot_be_drawn_is_refused_by_the_field_s_name(field: str, value: int) -> None:
    with pytest.raises(DataError, match=field):
        replace(STANDARD_LEAVES, **{field: value})
