"""The one reader and writer of table files by path."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from openpyxl import load_workbook

from holotype.core.errors import InputError, StoreError
from holotype.core.table_files import (
    WRITTEN_SUFFIXES,
    parquet_columns,
    read_csv,
    read_parquet,
    require_table_suffix,
    write_parquet,
    write_table,
    write_table_parts,
)

TABLE = pl.DataFrame({"id": ["007", "b", "=1+1"], "label": ["Größe", None, "x,y"], "share": [0.25, 1.0, None]})
PATTERNS = ["exp[1]", "all*", "what?", "[!a]", "{a,b}", "~home", "**"]


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_a_path_is_the_name_of_one_file_and_never_a_pattern(tmp_path: Path, name: str, ending: str) -> None:
    other = pl.DataFrame({"id": ["wrong"]})
    for sibling in ("exp1", "all1", "whatx", "b", "a"):
        (tmp_path / sibling).mkdir()
        write_table(other, tmp_path / sibling / f"table{ending}")
    folder = tmp_path / name
    folder.mkdir()
    path = folder / f"table{ending}"
    write_table(pl.DataFrame({"id": ["right"]}), path)
    assert [entry.name for entry in folder.iterdir()] == [path.name]
    table = read_parquet(path) if ending == ".parquet" else read_csv(path)
    assert table["id"].to_list() == ["right"]
    rows = write_table_parts([other, pl.DataFrame({"id": ["right"]})], folder / f"{name}{ending}")
    parts = read_parquet if ending == ".parquet" else read_csv
    assert rows == 2
    assert parts(folder / f"{name}{ending}")["id"].to_list() == ["wrong", "right"]


@pytest.mark.parametrize("ending", [".parquet", ".pq", ".csv", ".tsv", ".xlsx", ".CSV", ".XLSX"])
def test_a_table_is_written_in_the_form_that_its_ending_names(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table{ending}"
    assert write_table_parts([TABLE.head(1), TABLE.tail(2)], path, byte_order_mark=True) == 3
    if ending in {".parquet", ".pq"}:
        assert read_parquet(path).equals(TABLE)
    elif ending.lower() == ".xlsx":
        book = load_workbook(path)
        rows = [tuple(cell.value for cell in row) for row in book.active.iter_rows()]  # type: ignore[union-attr]
        assert rows == [tuple(TABLE.columns), *TABLE.rows()]
        assert book.active["A4"].data_type == "s"  # type: ignore[index]
    else:
        assert path.read_bytes().startswith(b"\xef\xbb\xbfid")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(map(tuple, csv.reader(stream, delimiter="," if ending in {".CSV", ".csv"} else "\t")))
        assert rows == [("id", "label", "share"), ("007", "Größe", "0.25"), ("b", "", "1.0"), ("=1+1", "x,y", "")]


def test_lists_are_written_as_json_where_a_cell_is_text(tmp_path: Path) -> None:
    write_table(pl.DataFrame({"id": ["a"], "scores": [[0.5, 1.25]]}), tmp_path / "table.csv")
    assert json.loads(read_csv(tmp_path / "table.csv")["scores"][0]) == [0.5, 1.25]


@pytest.mark.parametrize("name", ["table.json", "table", "table.xls", "table.csv.gz"])
def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        write_table(TABLE, tmp_path / name)
    assert caught.value.allowed == WRITTEN_SUFFIXES
    assert list(tmp_path.iterdir()) == []
    assert require_table_suffix("x.PQ") == ".pq"


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".xlsx"])
def test_a_table_is_written_whole_or_not_at_all(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table{ending}"
    write_table(TABLE, path)
    before = path.read_bytes()

    def torn():  # type: ignore[no-untyped-def]
        yield TABLE
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table_parts(torn(), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".xlsx"])
def test_a_full_disk_is_the_system_s_error(tmp_path: Path, ending: str) -> None:
    code = f"""
import errno, resource
import polars as pl
from holotype.core.table_files import write_table_parts
resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))
part = pl.DataFrame({{"id": [str(hash(str(n))) for n in range(20000)]}})
for parts in ([part], [part, part]):
    try:
        write_table_parts(parts, {str(tmp_path / ("table" + ending))!r})
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["EFBIG", "EFBIG"]
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_parquet_file_is_one_sentence_whatever_polars_raises(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_parquet(TABLE, path)
    whole = path.read_bytes()
    for damaged in (b"", b"no parquet", whole[: len(whole) // 2], whole[:-8] + b"\xff\xff\xff\x7fPAR1"):
        path.write_bytes(damaged)
        for read in (read_parquet, parquet_columns):
            with pytest.raises(StoreError, match="cannot be read"):
                read(path)


def test_a_panic_of_polars_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*_: object, **__: object) -> None:
        raise pl.exceptions.PanicException("index out of bounds")

    path = tmp_path / "table.parquet"
    write_parquet(TABLE, path)
    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(StoreError, match="index out of bounds"):
        read_parquet(path)


def test_columns_are_read_alone_and_a_missing_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_parquet(TABLE, path)
    assert read_parquet(path, ["share"]).columns == ["share"]
    assert parquet_columns(path) == TABLE.columns
    with pytest.raises(StoreError, match="absent"):
        read_parquet(path, ["absent"])
