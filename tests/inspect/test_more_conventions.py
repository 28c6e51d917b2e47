"""Folders, flags and columns of files as people keep them, whose first reading was wrong without a word."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.inspect.conftest import Bench

from holotype.core.errors import DataError
from holotype.data import read_images
from holotype.inspect.inspect_folder import inspect_folder
from holotype.recipe.load import load_recipe


def labels_by_file(path: Path) -> dict[str, list[str]]:
    images = read_images(load_recipe(path).data)
    return {
        "/".join(Path(files[0]).parts[-2:]): [images.classes[number] for number in labels]
        for files, labels in images.frame.select("files", "labels").iter_rows()
    }


def test_plates_with_files_of_the_same_names_lead_each_row_to_its_own_plate(bench: Bench) -> None:
    rows, right = [], []
    for number in range(24):
        plate, site = number // 8, number % 8
        names = [f"site{site}_{channel}.png" for channel in ("dna", "er")]
        bench.images(*(f"plate{plate}/{name}" for name in names))
        rows.append(
            f"{number},{names[0]},C:\\screen\\plate{plate},{names[1]},C:\\screen\\plate{plate},{'ab'[site % 2]}"
        )
        right.append([f"plate{plate}/{name}" for name in names])
    header = (
        "ImageNumber,Image_FileName_DNA,Image_PathName_DNA,Image_FileName_ER,Image_PathName_ER,Image_Metadata_Class"
    )
    bench.table("Image.csv", header, rows)
    files = read_images(load_recipe(bench.written()[2]).data).frame["files"].to_list()
    assert [["/".join(Path(file).parts[-2:]) for file in of_row] for of_row in files] == right


@pytest.mark.parametrize(
    "classes",
    [
        ("positive", "negative", "test positive"),
        ("NA", "EU", "US"),
        ("None", "mild"),
        ("1", "1.0", "2"),
        ("a, b", "a", "b"),
    ],
)
def test_each_folders_whole_name_is_one_class_in_the_recipe_and_in_the_run(
    bench: Bench, classes: tuple[str, ...]
) -> None:
    bench.images(*(f"{name}/{number}_{n}.png" for number, name in enumerate(classes) for n in range(6)))
    path = bench.written()[2]
    assert load_recipe(path).data.labels.kind == "multiclass"
    found = labels_by_file(path)
    assert len(found) == 6 * len(classes)
    assert all(labels == [file.split("/")[0]] for file, labels in found.items())


def test_folders_called_after_dates_are_refused_as_folders(bench: Bench) -> None:
    bench.images(*(f"2024-01-0{day}/{day}_{n}.png" for day in (1, 2) for n in range(6)))
    with pytest.raises(DataError, match=r"the folder names are dates.*put the images into one folder per class"):
        bench.written()


@pytest.mark.parametrize(("yes", "no"), [("x", ""), ("Y", "N"), ("positive", "negative"), ("present", "absent")])
def test_columns_that_mark_a_class_with_a_word_are_flags(bench: Bench, yes: str, no: str) -> None:
    rows = [f"i{n}.png,{n % 2},{yes if n % 2 else no},{yes if n % 3 == 0 else no}" for n in range(18)]
    bench.table("train.csv", "file,Male,rust,scab", rows)
    bench.images(*(f"images/i{n}.png" for n in range(18)))
    found = labels_by_file(bench.written()[2])
    assert [found[f"images/i{n}.png"] for n in range(4)] == [["scab"], ["rust"], [], ["rust", "scab"]]


def test_labels_that_are_parted_by_blanks_are_asked_about(bench: Bench) -> None:
    names = ("positive", "negative", "test positive", "test")
    bench.table("train.csv", "file,label", [f"i{n}.png,{names[n % 4]}" for n in range(24)])
    bench.images(*(f"i{n}.png" for n in range(24)))
    questions = bench.written()[0].questions
    assert any("Is 'test positive' several labels ('test', 'positive')?" in question for question in questions)


def test_names_of_two_folders_that_a_table_could_mean_end_in_a_sentence(bench: Bench) -> None:
    bench.table("train.csv", "file,label", [f"{n}.png,{'ab'[n % 2]}" for n in range(12)])
    bench.images(*(f"{folder}/{n}.png" for folder in ("x", "y") for n in range(12)), channels=3)
    with pytest.raises(DataError, match="images cannot be read"):
        inspect_folder(bench.folder)


@pytest.mark.parametrize("word", ["", "NA", "?"])
def test_rows_without_a_label_go_into_a_table_of_their_own_and_the_recipe_is_right(bench: Bench, word: str) -> None:
    rows = [f"i{n}.png,{word if n % 6 == 0 else 'ab'[n % 2]},P{n // 3}" for n in range(24)]
    bench.table("cells.csv", "file,label,patient", [*rows, f"signed,{word},"])
    bench.images(*(f"images/i{n}.png" for n in range(24)))
    proposal, text, path = bench.written()
    assert list(labels_by_file(path)) == [f"images/i{n}.png" for n in range(24) if n % 6]
    unlabelled = pl.read_csv(path.parent / "cells.unlabeled.new.csv")
    assert unlabelled["file"].to_list() == ["i0.png", "i6.png", "i12.png", "i18.png", "signed"]
    assert any(
        "5 rows without a label are left out, and written to cells.unlabeled.new.csv" in warning
        for warning in proposal.warnings
    )
    assert "Image files are missing" not in text


@pytest.mark.parametrize("word", ["", "NA"])
def test_rows_that_name_no_image_are_counted_and_left_out(bench: Bench, word: str) -> None:
    bench.table("train.csv", "file,label", [f"{word if n == 3 else f'i{n}.png'},{'ab'[n % 2]}" for n in range(18)])
    bench.images(*(f"images/i{n}.png" for n in range(18)))
    proposal, _, path = bench.written()
    assert len(labels_by_file(path)) == 17
    assert "1 row without an image name is left out." in proposal.warnings
    assert not any("Several rows name the same image" in question for question in proposal.questions)


def test_groups_are_counted_as_the_run_reads_them(bench: Bench) -> None:
    spelling = ("{}", "{}.0", " {}")
    rows = [f"i{n}.png,{'ab'[n % 2]},{spelling[n % 3].format(n // 6 + 1)}" for n in range(24)]
    bench.table("train.csv", "file,label,plate", rows)
    bench.images(*(f"images/i{n}.png" for n in range(24)))
    proposal = bench.written()[0]
    assert proposal.content["split"] == {"folds": 4}
    assert "(4 independent sets of rows)" in proposal.reasons["data.groups"]


def test_a_table_without_a_header_is_refused_before_its_first_row_is_lost(bench: Bench) -> None:
    bench.table("train.csv", "i0.png,a", [f"i{n}.png,{'ab'[n % 2]}" for n in range(1, 18)])
    bench.images(*(f"images/i{n}.png" for n in range(18)))
    with pytest.raises(DataError, match=r"the first row of train.csv names the image 'i0.png'.*`file,label` above it"):
        inspect_folder(bench.folder)


@pytest.mark.parametrize("folder", ["scans {x}", "a{b}/c", "{label}"])
def test_braces_in_the_name_of_a_folder_are_no_column(bench: Bench, folder: str) -> None:
    bench.table("train.csv", "file,label", [f"i{n}.png,{'ab'[n % 2]}" for n in range(18)])
    bench.images(*(f"{folder}/i{n}.png" for n in range(18)))
    files = read_images(load_recipe(bench.written()[2]).data).frame["files"].explode().to_list()
    assert [Path(file).resolve() for file in files] == [
        bench.folder.resolve() / folder / f"i{n}.png" for n in range(18)
    ]


def test_an_empty_cell_of_a_channel_is_called_so(bench: Bench) -> None:
    rows = [f"red{n}.png,{'' if n == 4 else f'green{n}.png'},{'ab'[n % 2]}" for n in range(18)]
    bench.table("train.csv", "red,green,label", rows)
    bench.images(*(f"{channel}{n}.png" for n in range(18) for channel in ("red", "green")))
    proposal = bench.written()[0]
    assert (
        "Image files are missing for 1 row (an empty cell), which stops a run: add them or remove the rows."
        in proposal.warnings
    )
    assert not any("is a folder" in question for question in proposal.questions)
