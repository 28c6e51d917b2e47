"""Images with a file for each channel: a mapping from channel to pattern, and the channels of new files."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
import polars as pl
import pytest
from PIL import Image
from pydantic import ValidationError

from holotype.core.errors import DataError, InputError
from holotype.core.progress import Progress
from holotype.data import read_image, read_images
from holotype.data.channel_files import ChannelFileMatcher, make_channel_matcher
from holotype.recipe.load import parse_recipe
from holotype.recipe.sections import DataSpec
from holotype.runs.new_images import read_new_images

MAPPING = {"dna": "{FileName_DNA}", "er": "{FileName_ER}"}


@pytest.fixture
def screen(tmp_path: Path) -> Path:
    """Three images of two channels whose names share nothing, and their table."""
    rows = []
    for number in range(3):
        row = {"id": f"i{number}", "label": "ab"[number % 2]}
        for channel, value in (("DNA", 10), ("ER", 200)):
            name = f"{channel.lower()}/{number}{channel[0]}.png"
            (tmp_path / name).parent.mkdir(exist_ok=True)
            Image.fromarray(np.full((6, 6), value + number, np.uint8)).save(tmp_path / name)
            row[f"FileName_{channel}"] = name
        rows.append(row)
    pl.DataFrame(rows).write_csv(tmp_path / "train.csv")
    return tmp_path


def recipe(folder: Path, **data: object) -> DataSpec:
    return parse_recipe({"data": {"train": "train.csv", **data}}, folder).data


def test_each_channel_has_a_column_of_its_own_in_the_order_of_the_mapping(screen: Path) -> None:
    images = read_images(recipe(screen, images=MAPPING))
    assert images.channels == ("dna", "er")
    assert images.files_of_row(1) == [str(screen / "dna/1D.png"), str(screen / "er/1E.png")]
    assert read_image(images.files_of_row(1))[:, 0, 0].tolist() == [11, 201]


def test_the_order_of_channels_is_that_of_channels_where_they_are_given(screen: Path) -> None:
    images = read_images(recipe(screen, images=MAPPING, channels=["er", "dna"]))
    assert read_image(images.files_of_row(2))[:, 0, 0].tolist() == [202, 12]


def test_paths_from_the_root_stand_by_themselves_and_leave_a_folder_name_behind(screen: Path) -> None:
    table = pl.read_csv(screen / "train.csv").with_columns(
        pl.lit(str(screen)).alias("PathName_DNA"), pl.lit(f"file://{screen}").alias("PathName_ER")
    )
    table.write_csv(screen / "train.csv")
    other = screen / "elsewhere"
    other.mkdir()
    (screen / "train.csv").rename(other / "train.csv")
    pattern = {"dna": "{PathName_DNA}/{FileName_DNA}", "er": "{PathName_ER}/{FileName_ER}"}
    images = read_images(recipe(other, images=pattern))
    assert images.files_of_row(0) == [f"{screen}/dna/0D.png", f"file://{screen}/er/0E.png"]
    assert read_image(images.files_of_row(0))[:, 0, 0].tolist() == [10, 200]


def test_a_path_from_the_root_behind_part_of_a_name_is_refused(screen: Path) -> None:
    table = pl.read_csv(screen / "train.csv").with_columns(pl.lit("/etc/passwd").alias("FileName_DNA"))
    table.write_csv(screen / "train.csv")
    with pytest.raises(DataError, match=r"data\.images\.dna: '/etc/passwd'.*leads outside"):
        read_images(recipe(screen, images={**MAPPING, "dna": "scans/a{FileName_DNA}"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": {}}, "needs a pattern for each channel"),
        ({"images": {"dna": ""}}, "needs a pattern for each channel"),
        ({"images": MAPPING, "channels": ["dna", "mito"]}, "dna, mito should be the channels of data.images: dna, er"),
    ],
)
def test_a_mapping_that_does_not_fit_its_channels_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DataSpec(train="t.csv", **change)  # type: ignore[arg-type]


def test_a_column_that_is_not_there_and_two_channels_of_one_file_are_refused_by_name(screen: Path) -> None:
    with pytest.raises(DataError, match=r"data\.images\.er:.*'FileName_RE', which is no column.*FileName_ER"):
        read_images(recipe(screen, images={**MAPPING, "er": "{FileName_RE}"}))
    with pytest.raises(DataError, match="'dna' and 'er' name the same file"):
        read_images(recipe(screen, images={**MAPPING, "er": "{FileName_DNA}"}))


def test_new_files_are_told_apart_by_the_patterns_of_their_channels() -> None:
    names = ChannelFileMatcher({"dna": "/data/img/{id}_w1.tif", "er": "/data/img/{id}_w2.tif"})
    assert names.match(PurePath("new/A01_w2.tif")) == ("new/A01", "er")
    assert names.match(PurePath("new/A01_w3.tif")) is None
    folders = ChannelFileMatcher({"dna": "dna/{id}.tif", "er": "er/{id}.tif"})
    assert folders.match(PurePath("x/er/7.tif")) == ("x/7", "er")
    both = ChannelFileMatcher(dict.fromkeys(["r", "g"], "{channel}/{id}_{channel}.png"))
    assert both.match(PurePath("x/g/7_g.png")) == ("x/7", "g")
    longer = ChannelFileMatcher({"plain": "{id}.png", "marked": "{id}_b.png"})
    assert longer.match(PurePath("7_b.png")) == ("7", "marked")
    assert longer.match(PurePath("7.png")) == ("7", "plain")


def test_names_of_columns_are_learnt_from_the_files_of_the_run_or_a_table_is_asked_for(screen: Path) -> None:
    data = recipe(screen, images=MAPPING)
    with pytest.raises(InputError, match=r"named by columns of a table.*give a table"):
        make_channel_matcher(data)
    files = pl.Series([["/a/r1_s1_ch1.tif", "/a/r1_s1_ch2.tif"], ["/a/r2_s1_ch1.tif", "/a/r2_s1_ch2.tif"]])
    learnt = make_channel_matcher(data, files)
    assert learnt is not None
    assert learnt.match(PurePath("n/r9_s4_ch2.tif")) == ("n/r9_s4", "er")
    with pytest.raises(InputError, match="give a table"):
        make_channel_matcher(data, pl.Series([["/a/x1.tif", "/a/y9.tif"], ["/a/p.tif", "/a/q.tif"]]))


def test_a_folder_and_a_table_to_predict_are_read_by_channel(screen: Path, capsys) -> None:
    data = recipe(screen, images={"dna": "dna/{n}D.png", "er": "er/{n}E.png"})
    (screen / "er" / "notes.png").write_bytes((screen / "er/0E.png").read_bytes())
    found = read_new_images(screen, data, ("a", "b"), "multiclass", Progress())
    assert found.frame["id"].to_list() == ["0", "1", "2"]
    assert [Path(file).name for file in found.files_of_row(2)] == ["2D.png", "2E.png"]
    assert "1 file not named as in" in "".join(capsys.readouterr())
    asked = read_new_images(screen / "train.csv", recipe(screen, images=MAPPING), ("a", "b"), "multiclass")
    assert [Path(file).name for file in asked.files_of_row(2)] == ["2D.png", "2E.png"]
    assert asked.channels == ("dna", "er")
