"""`holotype init` a second time: what it wrote itself is no table of a person's."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.inspect.conftest import Bench

from holotype.cli.check import propose_recipe
from holotype.core.errors import DataError
from holotype.core.progress import Progress
from holotype.inspect.inspect_folder import inspect_folder


def propose_again(bench: Bench) -> tuple[str, list[str]]:
    answer = propose_recipe(bench.folder, bench.folder / "recipe.yaml", True, Progress(quiet=True))
    return answer.data["text"], answer.data["notes"]


def classes(bench: Bench) -> None:
    for name in ("diatom", "copepod", "none"):
        bench.images(*(f"{name}/plate1_{name}{number}.png" for number in range(4)))
        bench.images(*(f"{name}/plate2_{name}{number}.png" for number in range(4)))


@pytest.mark.parametrize("layout", ["classes", "test", "channels", "deeper"])
def test_a_second_look_at_folders_of_classes_writes_the_same(bench: Bench, layout: str) -> None:
    classes(bench)
    if layout == "test":
        bench.images(*(f"unlabelled/n{number}.png" for number in range(5)))
    if layout == "channels":
        bench.images(*(f"more/m{number}_{channel}.tif" for number in range(4) for channel in ("dna", "actin")))
    if layout == "deeper":
        bench.images(*(f"more/day{number % 2}/m{number}.png" for number in range(4)))
    first, notes = propose_again(bench)
    tables = {path.name: path.read_bytes() for path in bench.folder.glob("*.csv")}
    assert "train.csv" in tables
    assert not any("earlier" in note for note in notes)
    again, notes = propose_again(bench)
    assert again == first
    assert {path.name: path.read_bytes() for path in bench.folder.glob("*.csv")} == tables
    assert any("written from the folders by an earlier `holotype init`" in note for note in notes)


def test_images_that_came_went_or_moved_since_then_are_read_from_the_folders(bench: Bench) -> None:
    classes(bench)
    propose_again(bench)
    bench.images("diatom/new.png")
    (bench.folder / "copepod/plate1_copepod0.png").rename(bench.folder / "diatom/plate1_copepod0.png")
    (bench.folder / "none/plate1_none0.png").unlink()
    text, _ = propose_again(bench)
    rows = (bench.folder / "train.csv").read_text().splitlines()
    assert len(rows) == 1 + 24
    assert any(row.startswith("plate1_copepod0,diatom,") for row in rows)
    assert "from the folders" in text


def test_a_table_in_which_a_person_changed_a_label_is_read(bench: Bench) -> None:
    classes(bench)
    propose_again(bench)
    table = bench.folder / "train.csv"
    table.write_text(table.read_text().replace("plate1_diatom0,diatom,", "plate1_diatom0,copepod,"))
    findings = inspect_folder(bench.folder)
    assert (findings.layout, findings.rewritten) == ("table", ())


def test_a_table_that_is_named_is_read(bench: Bench) -> None:
    classes(bench)
    propose_again(bench)
    assert inspect_folder(bench.folder / "train.csv").layout == "table"


@pytest.mark.parametrize("name", ["train.xls", "annotations/labels.ods"])
def test_a_spreadsheet_that_is_not_read_is_named_where_there_is_no_other_table(bench: Bench, name: str) -> None:
    bench.images(*(f"images/i{number}.png" for number in range(6)))
    path = bench.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(60))
    with pytest.raises(DataError, match=f"{Path(name).name} cannot be read") as caught:
        inspect_folder(bench.folder)
    assert "save it as .xlsx" in str(caught.value)
