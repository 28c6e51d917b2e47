"""Inspection and pruning of the cache."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from holotype.cache import StepKey, Store, find_damaged, list_stored_artifacts, prune, size_of
from holotype.cli.main import main

KEYS = [StepKey("fit main 0", 1, number) for number in range(3)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / ".holotype")
    for number, key in enumerate(KEYS):
        store.create(key, lambda folder: (folder / "weights").write_bytes(b"x" * 1000 * (number + 1)))  # noqa: B023
    return store


def use_last(store: Store, key: StepKey, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(store.path(key) / "step.json", (then, then))


def test_artefacts_are_listed_by_size(store: Store) -> None:
    use_last(store, KEYS[0], 3)
    assert [one.folder for one in list_stored_artifacts(store)] == [store.path(key) for key in reversed(KEYS)]
    assert list_stored_artifacts(store)[-1].idle_days == pytest.approx(3, abs=0.01)
    assert size_of(store.root) == sum(one.bytes for one in list_stored_artifacts(store))


def test_every_file_is_read_to_find_the_damaged_ones(store: Store) -> None:
    assert find_damaged(store) == []
    path = store.path(KEYS[1]) / "weights"
    path.write_bytes(b"y" * path.stat().st_size)
    assert find_damaged(store) == [(path.parent, "weights was changed after it was stored")]


def test_pruning_removes_what_is_damaged_left_behind_or_long_unused(store: Store) -> None:
    (store.path(KEYS[1]) / "weights").write_bytes(b"")
    (store.root / "temporary" / f"pack-{'0' * 16}").mkdir(parents=True)
    for name, days in (("0" * 16, 9), ("1" * 16, 1)):
        state = store.root / "unfinished" / "fit" / name
        state.mkdir(parents=True)
        (state / "state").write_bytes(b"x")
        for path in (state / "state", state):
            os.utime(path, (time.time() - days * 24 * 3600,) * 2)
    use_last(store, KEYS[2], 9)
    assert prune(store) > 0
    assert [store.contains(key) for key in KEYS] == [True, False, True]
    assert list((store.root / "temporary").iterdir()) == []
    assert prune(store, days=7) >= 3000
    assert [store.contains(key) for key in KEYS] == [True, False, False]
    assert [path.name for path in (store.root / "unfinished" / "fit").iterdir()] == ["1" * 16]


def test_the_command_lists_verifies_and_prunes(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOLOTYPE_STORE", raising=False)
    project = str(store.root.parent)
    assert main(["--json", "cache", "list", project]) == 0
    assert len(json.loads(capsys.readouterr().out)["artifacts"]) == 3
    assert main(["cache", "verify", str(store.root)]) == 0
    assert "3 artifacts" in capsys.readouterr().out
    path = store.path(KEYS[0]) / "weights"
    path.write_bytes(b"y" * path.stat().st_size)
    assert main(["cache", "verify", project]) == 1
    told = capsys.readouterr().err
    assert str(path.parent.name) in told.replace("\n", "")
    assert "1 damaged artifact" in told
    assert main(["cache", "prune", project]) == 0
    assert main(["cache", "verify", project]) == 0
    assert main(["cache", "size", project]) == 0
    assert "2 artifacts" in capsys.readouterr().out
    assert main(["cache", "polish", project]) == 2
    assert main(["cache", "size", str(store.root.parent / "nowhere" / "recipe.yaml")]) == 2
