"""Columns of files for channels, and names of files that systems spell in their own ways."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from tests.inspect.conftest import Bench

from holotype.data import read_image, read_images
from holotype.recipe.load import load_recipe

PATHS = ("scans/{plate}", "/mnt/robot/2024/scans/{plate}", r"D:\robot\scans\{plate}", "{folder}/scans/{plate}/")
LEVELS = {"DNA": 10, "ER": 100, "AGP": 200}


def screen(
    bench: Bench, path_of: str, prefix: str = "", channels: tuple[str, ...] = ("DNA", "ER", "AGP")
) -> pl.DataFrame:
    """A table as CellProfiler's LoadData reads: twelve sites of two plates, three channels in files of their own."""
    rows = []
    for number in range(12):
        plate = f"P{number % 2}"
        row = {
            f"{prefix}Metadata_Plate": plate,
            f"{prefix}Metadata_Well": f"A{number:02d}",
            "label": "ab"[number // 2 % 2],
        }
        for channel in channels:
            name = f"{channel}_{number * 7}.png"
            file = bench.folder / "scans" / plate / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), LEVELS[channel] + number, np.uint8)).save(file)
            row[f"{prefix}FileName_{channel}"] = name
            row[f"{prefix}PathName_{channel}"] = path_of.format(folder=bench.folder, plate=plate)
        rows.append(row)
    table = pl.DataFrame(rows)
    table.write_csv(bench.folder / "load_data.csv")
    return table


@pytest.mark.parametrize(
    "path_of", ["scans/{plate}", "/mnt/robot/2024/scans/{plate}", r"D:\robot\scans\{plate}", "{folder}/scans/{plate}/"]
)
@pytest.mark.parametrize("prefix", ["", "Image_"])
def test_the_columns_of_loaddata_become_a_mapping_that_leads_to_each_channels_file(
    bench: Bench, path_of: str, prefix: str
) -> None:
    screen(bench, path_of, prefix)
    proposal, _, path = bench.written()
    assert list(proposal.content["data"]["images"]) == ["DNA", "ER", "AGP"]
    assert any("the channels DNA, ER, AGP of one image?" in question for question in proposal.questions)
    assert proposal.content["data"]["groups"] == [f"{prefix}Metadata_Plate"]
    images = read_images(load_recipe(path).data)
    assert images.channels == ("DNA", "ER", "AGP")
    levels = sorted(tuple(read_image(images.files_of_row(row))[:, 0, 0].tolist()) for row in range(12))
    assert levels == [(10 + n, 100 + n, 200 + n) for n in range(12)]


def test_addresses_of_files_are_found_here(bench: Bench) -> None:
    table = screen(bench, "scans/{plate}", channels=("DNA", "ER"))
    folder = pl.lit("file:///mnt/a%20b/scans/") + pl.col("Metadata_Plate") + "/"
    urls = [(folder + pl.col(f"FileName_{channel}")).alias(f"URL_{channel}") for channel in ("DNA", "ER")]
    table.select("Metadata_Plate", "Metadata_Well", "label", *urls).write_csv(bench.folder / "load_data.csv")
    proposal, _, path = bench.written()
    assert list(proposal.content["data"]["images"]) == ["DNA", "ER"]
    images = read_images(load_recipe(path).data)
    assert all(Path(file).is_file() for row in range(12) for file in images.files_of_row(row))


def test_two_columns_of_files_are_two_channels_and_masks_are_none(bench: Bench) -> None:
    rows = []
    for number in range(10):
        names = [f"{kind}/{number}x{kind[0]}.png" for kind in ("nuclei", "tubulin", "outlines")]
        bench.images(*names)
        rows.append(f"s{number},{names[0]},{names[1]},{names[2]},{'ab'[number % 2]}")
    bench.table("train.csv", "id,image_dna,image_tub,image_mask,label", rows)
    images = bench.written()[0].content["data"]["images"]
    assert {channel: pattern.rpartition("/")[2] for channel, pattern in images.items()} == {
        "dna": "{image_dna}",
        "tub": "{image_tub}",
    }


def test_names_in_another_case_are_matched_where_one_file_alone_can_be_meant(bench: Bench) -> None:
    bench.images(*(f"images/img_{number}.jpg" for number in range(10)))
    bench.table("train.csv", "file,label", [f"images\\IMG_{n}.JPG,{'ab'[n % 2]}" for n in range(10)])
    proposal, _, path = bench.written()
    assert any("(IMG_0.JPG is img_0.jpg)" in question for question in proposal.questions)
    images = read_images(load_recipe(path).data)
    assert [Path(images.files_of_row(row)[0]).name for row in range(10)] == [f"img_{n}.jpg" for n in range(10)]


@pytest.mark.parametrize("count", [2, 10])
def test_accents_stored_as_two_letters_are_the_same_name_and_said_so(bench: Bench, count: int) -> None:
    names = [f"caf\u00e9{n}" if n < count else f"plain{n}" for n in range(10)]
    bench.images(*(f"{unicodedata.normalize('NFD', name)}.png" for name in names))
    bench.table("train.csv", "id,label", [f"{name},{'ab'[n % 2]}" for n, name in enumerate(names)])
    proposal, _, path = bench.written()
    images = read_images(load_recipe(path).data)
    assert all(Path(images.files_of_row(row)[0]).is_file() for row in range(10))
    assert images.frame["id"].to_list() == names
    if count == 2:
        assert any("Do 2 files belong to the table although names differ in case" in q for q in proposal.questions)


def test_some_names_in_another_case_are_matched_by_channel_as_well(bench: Bench) -> None:
    bench.images(*(f"i{number}_{color}.png" for number in range(10) for color in ("red", "green")))
    (bench.folder / "i3_green.png").rename(bench.folder / "I3_Green.png")
    bench.table("train.csv", "id,label", [f"i{n},{'ab'[n % 2]}" for n in range(10)])
    proposal, _, path = bench.written()
    images = read_images(load_recipe(path).data)
    assert images.channels == ("red", "green")
    assert [Path(file).name for file in images.files_of_row(3)] == ["i3_red.png", "I3_Green.png"]
    assert any("i3_green.png is I3_Green.png" in question for question in proposal.questions)


def test_two_columns_that_name_the_same_files_are_no_channels(bench: Bench) -> None:
    bench.images(*(f"images/i{number}.png" for number in range(10)))
    bench.table("train.csv", "path,filename,label", [f"images/i{n}.png,i{n}.png,{'ab'[n % 2]}" for n in range(10)])
    data = bench.written()[0].content["data"]
    assert isinstance(data["images"], str)
    assert "channels" not in data


def test_a_label_that_the_pattern_names_stays_the_label(bench: Bench) -> None:
    bench.images(*(f"train/{'ab'[n % 2]}/i{n}.png" for n in range(10)))
    bench.table("train.csv", "file,label", [f"{'ab'[n % 2]}/i{n}.png,{'ab'[n % 2]}" for n in range(10)])
    assert bench.written()[0].content["data"]["labels"]["column"] == "label"
    bench.table("train.csv", "id,label", [f"i{n},{'ab'[n % 2]}" for n in range(10)])
    data = bench.written(bench.folder.parent / "second" / "recipe.yaml")[0].content["data"]
    assert data["images"].endswith("/train/{label}/{id}.png")
    assert data["labels"]["column"] == "label"
