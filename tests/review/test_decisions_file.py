"""The file is written before anything is confirmed, whoever else touches it and whenever the process dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import holotype
from holotype.core.errors import InputError, StoreError
from holotype.review import DecisionsFile, ReviewRow, read_rows

SOURCE = Path(holotype.__file__).parents[1]
WRITER = """
import sys
from pathlib import Path
from holotype.review import DecisionsFile, ReviewRow
record = DecisionsFile(Path(sys.argv[1]), "runs/x 0123")
number = record.count
while True:
    if number % 5 == 4:
        record.undo()
    else:
        record.decide([ReviewRow("sample", f"s{number}", "relabel", ("a",), ("b", "c\\n"))])
    number += 1
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_nothing_confirmed_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    path, confirmed = tmp_path / "review.csv", 0
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    for turn in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(3 + 11 * turn):
            line = process.stdout.readline()
            assert line.strip().isdigit(), line + process.stdout.read()
            confirmed = int(line)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        confirmed = int(rest[-1]) if rest else confirmed
        read = read_rows(path)
        assert len(read.rows) >= confirmed
        assert read.warnings == ()
        assert all(row.after in {("b", "c\n"), ("a",)} for row in read.rows)


@pytest.mark.parametrize("cut", [1, 5, 20, 60])
def test_a_torn_line_is_marked_and_what_follows_stands_alone(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "review.csv"
    record = DecisionsFile(path)
    record.decide([ReviewRow("sample", "a", "keep")])
    whole = path.read_bytes()
    record.decide([ReviewRow("sample", "bé\n", "relabel", ("one",), ("two",), "a note, with a comma")])
    record.close()
    torn = path.read_bytes()[len(whole) :][:cut]
    path.write_bytes(whole + torn)
    again = DecisionsFile(path)
    assert [row.id for row in again.active.decisions] == ["a"]
    again.decide([ReviewRow("sample", "c", "drop")])
    again.close()
    assert [row.id for row in read_rows(path).rows] == ["a", "c"]
    assert path.read_bytes().startswith(whole + torn)


def test_two_servers_do_not_write_to_one_file(tmp_path: Path) -> None:
    first = DecisionsFile(tmp_path / "review.csv")
    with pytest.raises(InputError, match="another `holotype review`"):
        DecisionsFile(tmp_path / "review.csv")
    first.close()
    DecisionsFile(tmp_path / "review.csv").close()


def test_rows_that_a_person_adds_meanwhile_are_kept_in_their_own_form(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    record = DecisionsFile(path)
    record.decide([ReviewRow("sample", "a", "keep")])
    path.write_text("id;action;after\r\na;keep;\r\nhand;relabel;cat", encoding="utf-8-sig")
    record.decide([ReviewRow("sample", "b", "drop")])
    assert [(row.id, row.action) for row in record.active.decisions] == [
        ("a", "keep"),
        ("hand", "relabel"),
        ("b", "drop"),
    ]
    assert path.read_bytes().startswith(b"\xef\xbb\xbfid;action;after\r\n")
    assert [row.id for row in read_rows(path).rows] == ["a", "hand", "b"]
    record.close()


def test_rows_that_another_program_lost_are_missed(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    record = DecisionsFile(path)
    record.decide([ReviewRow("sample", name, "keep") for name in "abc"])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]))
    record.refresh()
    assert "2 rows fewer" in record.warnings[-1]
    record.close()


def test_undo_and_redo_go_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    record = DecisionsFile(path)
    record.decide([ReviewRow("sample", name, "keep") for name in "abc"])
    record.undo()
    record.close()
    record = DecisionsFile(path)
    assert record.undo().id == "b"  # type: ignore[union-attr]
    assert record.redo().id == "b"  # type: ignore[union-attr]
    assert record.redo().id == "c"  # type: ignore[union-attr]
    assert record.redo() is None
    for name in "cba":
        assert record.undo().id == name  # type: ignore[union-attr]
    assert record.undo() is None
    assert record.active.decisions == ()
    assert len(read_rows(path).rows) == 3 + 2 + 2 + 3
    record.close()


def test_a_full_disk_leaves_the_file_as_it_was_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "review.csv"
    record = DecisionsFile(path)
    record.decide([ReviewRow("sample", "a", "keep")])
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        record.decide([ReviewRow("sample", "b", "keep")])
    monkeypatch.undo()
    assert path.read_bytes() == before
    record.decide([ReviewRow("sample", "c", "keep")])
    assert [row.id for row in read_rows(path).rows] == ["a", "c"]
    record.close()


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--decisions"):
        DecisionsFile(tmp_path / "file" / "review.csv")
