"""Artefacts: whole or not there, under the digest of what they were made from."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holotype.errors import DataError, StoreError
from holotype.store import StageKey, Store

KEY = StageKey("fit main 0", 1, {"epochs": 2, "lr": 0.1}, {"pixels": "aa", "labels": "bb"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def write(folder: Path) -> None:
    (folder / "weights").write_text("1 2 3")


def files_of(store: Store) -> set[str]:
    return {path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file()}


def test_an_artefact_is_there_once_it_is_made(store: Store) -> None:
    assert not store.holds(KEY)
    place = store.make(KEY, write)
    assert store.holds(KEY)
    assert place == store.place(KEY)
    assert (place / "weights").read_text() == "1 2 3"
    facts = json.loads((place / "stage.json").read_text())
    assert (facts["stage"], facts["parts"]["pixels"]) == ("fit main 0", "aa")
    assert files_of(store) == {f"fit/{KEY.digest}/weights", f"fit/{KEY.digest}/stage.json"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("no"), DataError("no")], ids=repr)
def test_what_fails_half_way_leaves_nothing(store: Store, error: Any) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise error

    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        store.make(KEY, fail)
    assert not store.holds(KEY)
    assert files_of(store) == set()


def test_a_half_written_folder_at_its_place_does_not_count_and_is_replaced(store: Store) -> None:
    store.place(KEY).mkdir(parents=True)
    (store.place(KEY) / "torn").touch()
    assert not store.holds(KEY)
    place = store.make(KEY, write)
    assert {path.name for path in place.iterdir()} == {"weights", "stage.json"}


def test_while_it_is_made_it_is_not_there(store: Store) -> None:
    seen = []

    def look(folder: Path) -> None:
        write(folder)
        seen.append((store.holds(KEY), store.place(KEY).exists()))

    store.make(KEY, look)
    assert seen == [(False, False)]


def test_of_two_runs_that_make_the_same_the_faster_one_counts(store: Store) -> None:
    def slow(folder: Path) -> None:
        (folder / "weights").write_text("second")
        store.make(KEY, write)

    assert (store.make(KEY, slow) / "weights").read_text() == "1 2 3"
    assert files_of(store) == {f"fit/{KEY.digest}/weights", f"fit/{KEY.digest}/stage.json"}


def test_a_slower_run_whose_workspace_the_faster_one_cleared_takes_what_that_made(store: Store) -> None:
    def slower(folder: Path) -> None:
        workspace = store.workspace(KEY)
        workspace.mkdir(parents=True)
        store.make(KEY, lambda place: (place / "made.txt").write_text("by the faster run"))
        (workspace / "state.txt").write_text("of epoch 7")

    assert (store.make(KEY, slower) / "made.txt").read_text() == "by the faster run"


def test_the_workspace_survives_a_failure_and_is_gone_after_success(store: Store) -> None:
    workspace = store.workspace(KEY)

    def train(folder: Path) -> None:
        workspace.mkdir(parents=True)
        (workspace / "epoch-00001").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.make(KEY, train)
    assert (workspace / "epoch-00001").exists()
    store.make(KEY, write)
    assert not workspace.exists()


def test_a_full_disk_is_one_sentence_with_a_way_out(store: Store) -> None:
    def fill(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreError) as caught:
        store.make(KEY, fill)
    sentence = str(caught.value)
    assert sentence.startswith(f"{store.root} cannot be written: No space left on device; free some room")
    assert "HOLOTYPE_STORE" in sentence
    assert sentence.count("\n") == 0
    assert files_of(store) == set()


def test_a_place_that_cannot_be_a_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written: Not a directory"):
        Store(tmp_path / "file").make(KEY, write)


def test_what_a_killed_process_left_unfinished_is_swept_and_what_a_live_one_makes_stays(store: Store) -> None:
    code = (
        "import os, sys; from pathlib import Path; from holotype.store import StageKey, Store\n"
        "Store(Path(sys.argv[1])).make(StageKey('pack 32', 1), lambda folder: os._exit(9))"
    )
    source = Path(sys.modules["holotype"].__file__ or "").parents[1]
    environment = os.environ | {"PYTHONPATH": str(source)}
    assert subprocess.run([sys.executable, "-c", code, str(store.root)], env=environment, check=False).returncode == 9
    (left,) = (store.root / "temporary").iterdir()
    other = left.with_name(f"{os.getppid()}-{left.name.partition('-')[2]}")
    shutil.copytree(left, other)
    store.make(KEY, write)
    assert list((store.root / "temporary").iterdir()) == [other]


@pytest.mark.parametrize(
    "other",
    [
        StageKey("fit main 0", 2, KEY.section, KEY.inputs),
        StageKey("fit main 0", 1, {**KEY.section, "lr": 0.2}, KEY.inputs),
        StageKey("fit main 0", 1, KEY.section, {**KEY.inputs, "labels": "cc"}),
        StageKey("fit main 0", 1, KEY.section, {**KEY.inputs, "more": "cc"}),
        StageKey("predict main 0", 1, KEY.section, KEY.inputs),
    ],
    ids=["version", "section", "an input", "one more input", "family"],
)
def test_whatever_counts_changes_the_address(store: Store, other: StageKey) -> None:
    assert store.place(other) != store.place(KEY)


def test_the_order_of_keys_and_the_name_within_a_family_do_not_count(store: Store) -> None:
    turned = StageKey("fit renamed 3", 1, {"lr": 0.1, "epochs": 2}, {"labels": "bb", "pixels": "aa"})
    assert store.place(turned) == store.place(KEY)


def test_the_parts_of_a_key_name_what_counts() -> None:
    assert set(KEY.parts) == {"recipe: epochs", "recipe: lr", "pixels", "labels", "version of the stage"}
    assert StageKey("statistics", 3).parts["version of the stage"] == "3"


def test_the_digest_of_the_content_hangs_on_the_content_alone(store: Store) -> None:
    other = StageKey("fit main 0", 7)
    third = StageKey("fit main 0", 8)
    store.make(KEY, write)
    store.make(other, write)
    store.make(third, lambda folder: (folder / "weights").write_text("1 2 4"))
    assert store.content_digest(KEY) == store.content_digest(other) != store.content_digest(third)
