"""What people keep: tables of spreadsheets, paths of other machines, folders of years, photographs of all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from holotype.core.errors import DataError
from holotype.core.progress import Progress
from holotype.core.runtime import Runtime
from holotype.data import measure_images, read_images
from holotype.inspect.inspect_folder import inspect_folder
from holotype.inspect.propose import propose
from holotype.inspect.write_recipe import write_recipe
from holotype.recipe.load import load_recipe

Bench = Any  # of conftest.py


@pytest.mark.parametrize(("name", "separator"), [("labels.csv", ";"), ("metadata.tsv", "\t"), ("cells.csv", "\t")])
def test_tables_of_european_spreadsheets_are_read_by_the_plan_and_by_the_run(
    bench: Bench, name: str, separator: str
) -> None:
    rows = [separator.join([f"i{n}.png", "ab"[n % 2], f"P{n // 3}"]) for n in range(18)]
    bench.table(name, separator.join(["Datei", "Art lateinisch", "plate"]), rows)
    bench.images(*(f"bilder/i{n}.png" for n in range(18)))
    recipe = load_recipe(bench.written()[2])
    assert (recipe.data.id, recipe.data.labels.column, recipe.data.groups) == ("Datei", "Art lateinisch", ["plate"])
    assert read_images(recipe.data).classes == ("a", "b")


def test_a_column_a_class_is_written_as_one_column_beside_the_recipe_and_the_table_is_left_alone(bench: Bench) -> None:
    place = bench.table("train.csv", "image,rust,scab", [f"i{n},{n % 2},{int(n % 3 == 0)}" for n in range(18)])
    before = place.read_bytes()
    bench.images(*(f"i{n}.png" for n in range(18)))
    for _ in range(2):  # the second time beside the first one's table
        proposal = propose(inspect_folder(bench.folder))
        write_recipe(proposal, bench.folder / "recipe.yaml", force=True)
    assert place.read_bytes() == before
    recipe = load_recipe(bench.folder / "recipe.yaml")
    assert Path(recipe.data.train).name == "train.new.csv"
    labels = read_images(recipe.data).frame["labels"].to_list()
    assert labels[:4] == [[1], [0], [], [0, 1]]


@pytest.mark.parametrize(
    "written_as", ["/home/anna/screen/{0}/{1}.png", "C:\\scans\\screen\\{0}\\{1}.png", "./{0}/{1}.png", "old/{1}.png"]
)
def test_paths_of_another_machine_lead_to_the_files_that_are_here(bench: Bench, written_as: str) -> None:
    rows = [f"{written_as.format('ab'[n % 2], n)},{'xy'[n % 2]}" for n in range(16)]
    bench.table("train.csv", "path,label", rows)
    bench.images(*(f"{'ab'[n % 2]}/{n}.png" for n in range(16)))
    recipe = load_recipe(bench.written()[2])
    files = read_images(recipe.data).frame["files"].explode().to_list()
    assert [Path(file).resolve() for file in files] == [
        (bench.folder / "ab"[n % 2] / f"{n}.png").resolve() for n in range(16)
    ]


def test_one_table_for_training_and_test_is_divided_by_its_column(bench: Bench) -> None:
    parts = ("train", "Val", "test")
    rows = [f"i{n},{parts[n % 3]},{'xy'[n % 2]},p{n % 3}{n // 6}" for n in range(36)]
    bench.table("metadata.csv", "image_id,split,diagnosis,patient_id", rows)
    bench.images(*(f"images/i{n}.jpg" for n in range(36)))
    proposal, _, path = bench.written()
    data = proposal.content["data"]
    assert (data["train"], data["test"]) == ("metadata.new.csv", "metadata.test.new.csv")
    assert (data["labels"]["column"], data["groups"]) == ("diagnosis", ["patient_id"])
    assert "diagnosis" not in proposal.tables["metadata.test.new.csv"].columns
    roles = read_images(load_recipe(path).data).frame["role"].value_counts()
    assert dict(roles.iter_rows()) == {"train": 24, "test": 12}


@pytest.mark.parametrize("values", ["train", "test", "train test other", "1 2"])
def test_a_column_that_divides_nothing_leaves_the_table_whole(bench: Bench, values: str) -> None:
    every = values.split()
    bench.table("labels.csv", "id,split,label", [f"i{n},{every[n % len(every)]},{'xy'[n % 2]}" for n in range(24)])
    bench.images(*(f"i{n}.png" for n in range(24)))
    assert inspect_folder(bench.folder).role_column is None


def test_a_table_of_boxes_becomes_many_labels_and_a_question(bench: Bench) -> None:
    boxes = [f"i{n}.png,{kind},{n},{n + place}" for n in range(16) for place, kind in enumerate("ab" if n % 3 else "b")]
    bench.table("annotations.csv", "filename,cell_type,xmin,ymin", boxes)
    bench.images(*(f"JPEGImages/i{n}.png" for n in range(16)))
    proposal, _, path = bench.written()
    recipe = load_recipe(path)
    assert recipe.data.labels.kind == "multilabel"
    assert read_images(recipe.data).frame["labels"].to_list()[:3] == [[1], [0, 1], [0, 1]]
    assert any("apply to the whole image?" in question for question in proposal.questions)


def test_a_table_that_names_no_image_is_told_where_there_are_no_folders_either(bench: Bench) -> None:
    bench.table("labels.csv", "id,label", [f"x{n},{'ab'[n % 2]}" for n in range(6)])
    bench.images(*(f"i{n}.png" for n in range(6)))
    with pytest.raises(DataError, match=r"no folder per class: .*; labels\.csv: "):
        inspect_folder(bench.folder)


@pytest.mark.parametrize("batches", [("2013", "2014", "2015"), ("plate_1", "plate_2", "plate_3")])
def test_folders_of_years_or_plates_that_hold_the_same_classes_are_no_classes(bench: Bench, batches: list[str]) -> None:
    kinds = ("Acantharia", "mix élongé", "Chaetoceros")
    bench.images(*(f"{batch}/{kind}/{batch}_{kind}{n}.png" for batch in batches for kind in kinds for n in range(3)))
    proposal = propose(inspect_folder(bench.folder))
    assert sorted(set(proposal.tables["train.csv"]["label"])) == sorted(kinds)
    assert proposal.content["data"]["groups"] == ["subfolder"]
    assert set(proposal.tables["train.csv"]["subfolder"]) == set(batches)


def test_patients_with_whom_file_names_begin_are_groups(bench: Bench) -> None:
    bench.images(*(f"{kind}/Patient{p:02}_{n:04}.png" for kind in "ab" for p in range(8) for n in range(p, p + 2)))
    proposal = propose(inspect_folder(bench.folder))
    assert proposal.content["data"]["groups"] == ["patient"]
    assert set(proposal.tables["train.csv"]["patient"]) == {f"Patient{p:02}" for p in range(8)}


@pytest.mark.parametrize(
    "names", [[f"patient{n}" for n in range(12)], ["plate1"] * 12, [f"p{n % 3}" for n in range(12)]]
)
def test_file_names_that_tie_nothing_are_no_groups(bench: Bench, names: list[str]) -> None:
    bench.images(*(f"{'ab'[n % 2]}/{name}_{n}.png" for n, name in enumerate(names)))
    assert propose(inspect_folder(bench.folder)).content["data"]["groups"] == []


def test_plates_below_their_classes_stay_there(bench: Bench) -> None:
    bench.images(*(f"{kind}/plate{p}/{kind}{p}{n}.png" for kind in "abc" for p in range(3) for n in range(3)))
    assert set(propose(inspect_folder(bench.folder)).tables["train.csv"]["label"]) == set("abc")


def test_classes_whose_images_are_numbered_alike_are_classes(bench: Bench) -> None:
    bench.images(*(f"{kind}/{n}.png" for kind in ("round", "long", "flat") for n in range(8)))
    assert propose(inspect_folder(bench.folder)).content["data"]["labels"] == {"column": "label", "kind": "multiclass"}


def test_photographs_in_grey_and_in_colour_are_read_in_colour(bench: Bench) -> None:
    bench.images(*(f"{kind}/g{kind}{n}.png" for kind in "ab" for n in range(5)))
    bench.images(*(f"{kind}/c{kind}{n}.png" for kind in "ab" for n in range(5)), channels=3)
    proposal, _, path = bench.written()
    assert proposal.content["data"]["channels"] == ["red", "green", "blue"]
    assert not any("numbers of channels" in warning for warning in proposal.warnings)
    runtime = Runtime(store=bench.folder / "store", progress=Progress(quiet=True))
    assert set(measure_images(read_images(load_recipe(path).data), runtime).frame["channels"]) == {3}


@pytest.mark.parametrize("ending", ["bmp", "gif", "webp", "npy"])
def test_whatever_a_run_can_read_is_found(bench: Bench, ending: str) -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        path = bench.folder / "ab"[number % 2] / f"i{number}.{ending}"
        path.parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 255, (20, 24), dtype=np.uint8)
        np.save(path, pixels) if ending == "npy" else Image.fromarray(pixels).save(path)
    findings = inspect_folder(bench.folder)
    assert findings.headers.select("height", "width").unique().rows() == [(20, 24)]
    assert len(read_images(load_recipe(bench.written()[2]).data)) == 12


def test_images_that_nothing_can_read_are_told_with_the_reason(bench: Bench) -> None:
    for number in range(8):
        path = bench.folder / "ab"[number % 2] / f"i{number}.tif"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"8 of 8 images cannot be read \(a/i0\.tif: is not an image"):
        inspect_folder(bench.folder)
