"""The files below a folder: links are followed and never end."""

from __future__ import annotations

from pathlib import Path

from holotype.data.walk import files_below


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
    found = [path.relative_to(folder).as_posix() for path in files_below(folder)]
    assert found == ["c.png", "images/b.png", "inner/a.png"]


def test_a_link_to_a_folder_above_ends_and_two_links_to_a_folder_count_once(tmp_path: Path) -> None:
    folder, other = tmp_path / "data", tmp_path / "other"
    (folder / "deep").mkdir(parents=True)
    other.mkdir()
    (other / "a.png").touch()
    (folder / "deep" / "above").symlink_to(folder)
    (folder / "first").symlink_to(other)
    (folder / "second").symlink_to(other)
    assert files_below(folder) == [folder / "first" / "a.png"]
