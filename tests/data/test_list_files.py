"""The image files below a folder: links are followed and never end, and what is not used is counted and named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image

from holotype.core.errors import DataError
from holotype.core.progress import Progress
from holotype.data import folder_warnings, read_images
from holotype.data.list_files import list_image_files
from holotype.recipe.sections import DataSpec
from holotype.runs.new_images import read_new_images


def draw(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format=None if path.suffix else "PNG")
    return path


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in list_image_files(folder).files]


def test_files_behind_links_are_found_and_hidden_ones_are_not(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = tmp_path / "data"
    for name in (".hidden", "inner", "__MACOSX"):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.png").touch()
    (folder / ".thumbs").touch()
    (elsewhere / "b.png").touch()
    (folder / "images").symlink_to(elsewhere)
    (folder / "c.png").symlink_to(elsewhere / "b.png")
    assert names(folder) == ["c.png", "images/b.png", "inner/a.png"]


def test_a_link_to_a_folder_above_ends_and_two_links_to_a_folder_count_once(tmp_path: Path) -> None:
    folder, other = tmp_path / "data", tmp_path / "other"
    (folder / "deep").mkdir(parents=True)
    other.mkdir()
    (other / "a.png").touch()
    (folder / "deep" / "above").symlink_to(folder)
    (folder / "first").symlink_to(other)
    (folder / "second").symlink_to(other)
    assert list_image_files(folder).files == (folder / "first" / "a.png",)


@pytest.mark.parametrize(
    "leftover",
    [
        "@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg",
        ".thumbnails/a.png",
        "__MACOSX/._a.png",
        "._a.png",
        ".hidden.png",
        "#recycle/a.png",
        "$RECYCLE.BIN/a.png",
        ".ipynb_checkpoints/a-checkpoint.png",
        "Thumbs.db",
        "desktop.ini",
    ],
)
def test_what_systems_leave_behind_is_no_image_and_is_counted(tmp_path: Path, leftover: str) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / leftover).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / leftover).write_bytes((tmp_path / "a.png").read_bytes())
    listed = list_image_files(tmp_path)
    assert names(tmp_path) == ["a.png"]
    assert sum(listed.leftovers.values()) == 1
    assert "systems leave behind" in " ".join(listed.notes())


def test_images_of_formats_that_are_not_read_are_counted_by_ending_with_a_way_out(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    for number in range(3):
        (tmp_path / f"{number}.heic").write_bytes(b"x")
    (tmp_path / "slide.SVS").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    listed = list_image_files(tmp_path)
    assert {ending: len(files) for ending, files in listed.unread.items()} == {".heic": 3, ".svs": 1}
    assert listed.others == {".txt": 1}
    first, second, third = listed.notes()
    assert first.startswith("3 .heic files are not read (the first is 0.heic): convert them")
    assert second.startswith("1 .svs file is not read (the first is slide.SVS): cut the slides")
    assert third == "Files that are not images are not used: 1 .txt."


def test_a_zarr_folder_is_one_image_and_a_file_without_an_ending_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    zarr.save_array(str(tmp_path / "a.zarr"), np.zeros((3, 8, 8), np.uint8))
    draw(tmp_path / "bare")
    (tmp_path / "README").write_text("no image")
    assert names(tmp_path) == ["a.zarr", "bare"]
    assert list_image_files(tmp_path).others == {"without an ending": 1}


def test_names_that_are_not_utf8_are_counted_and_named_readably(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", os.fsencode(tmp_path / "caf") + b"\xe9.png")  # noqa: PTH104  (bytes)
    draw(tmp_path / "b.png")
    listed = list_image_files(tmp_path)
    assert names(tmp_path) == ["b.png"]
    assert listed.unnamed == ("caf\\xe9.png",)
    assert "not UTF-8" in listed.notes()[0]


def test_a_folder_per_class_says_what_it_leaves_out_and_which_folders_are_empty(tmp_path: Path) -> None:
    for name in ("cat/a.png", "cat/b.png", "dog/a.png", "dog/@eaDir/a.jpg"):
        draw(tmp_path / name)
    (tmp_path / "dog" / "b.heic").write_bytes(b"x")
    (tmp_path / "bird").mkdir()
    spec = DataSpec(train=str(tmp_path))
    assert read_images(spec).classes == ("cat", "dog")
    notes = " ".join(folder_warnings(spec))
    assert "1 .heic file is not read (the first is dog/b.heic)" in notes
    assert "1 in @eaDir" in notes
    assert "The folder bird in" in notes


def test_a_folder_without_readable_images_says_what_it_holds_instead(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no images in the folder.*1 \.heic file is not read"):
        read_images(DataSpec(train=str(tmp_path)))


def test_predicting_a_folder_names_what_it_leaves_out_and_reads_zarr_folders(tmp_path: Path, capsys) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "b.dcm").write_bytes(b"x")
    zarr.save_array(str(tmp_path / "c.zarr"), np.zeros((1, 8, 8), np.uint8))
    table = read_new_images(tmp_path, DataSpec(train="x"), ("p", "q"), "multiclass", Progress())
    assert table.frame["id"].to_list() == ["a", "c", "b"]
    assert table.frame["unread"].to_list() == [None, None, f"{tmp_path}/b.dcm: files ending in .dcm are not read here"]
    captured = capsys.readouterr()
    assert "1 .dcm file is not read" in captured.err + captured.out
    assert len(read_new_images(tmp_path / "c.zarr", DataSpec(train="x"), ("p", "q"), "multiclass")) == 1
