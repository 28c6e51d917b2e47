"""Artefacts: whole or not there, under the digest of what they were made from."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holotype.cache import StepKey, Store
from holotype.core.errors import DataError, StoreError

KEY = StepKey("fit main 0", 1, {"epochs": 2, "lr": 0.1}, {"pixels": "aa", "labels": "bb"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def write(folder: Path) -> None:
    (folder / "weights").write_text("1 2 3")


def files_of(store: Store) -> set[str]:
    files = {path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file()}
    return {name for name in files if not name.startswith("locks/")}


def test_an_artefact_is_there_once_it_is_made(store: Store) -> None:
    assert not store.contains(KEY)
    place = store.create(KEY, write)
    assert store.contains(KEY)
    assert place == store.path(KEY)
    assert (place / "weights").read_text() == "1 2 3"
    facts = json.loads((place / "step.json").read_text())
    assert (facts["step"], facts["parts"]["pixels"]) == ("fit main 0", "aa")
    assert files_of(store) == {f"fit/{KEY.digest}/weights", f"fit/{KEY.digest}/step.json"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("no"), DataError("no")], ids=repr)
def test_what_fails_half_way_leaves_nothing(store: Store, error: Any) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise error

    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        store.create(KEY, fail)
    assert not store.contains(KEY)
    assert files_of(store) == set()


def test_a_half_written_folder_at_its_place_does_not_count_and_is_replaced(store: Store) -> None:
    store.path(KEY).mkdir(parents=True)
    (store.path(KEY) / "torn").touch()
    assert not store.contains(KEY)
    place = store.create(KEY, write)
    assert {path.name for path in place.iterdir()} == {"weights", "step.json"}


def test_while_it_is_made_it_is_not_there(store: Store) -> None:
    seen = []

    def look(folder: Path) -> None:
        write(folder)
        seen.append((store.contains(KEY), store.path(KEY).exists()))

    store.create(KEY, look)
    assert seen == [(False, False)]


MAKER = """
import sys, time
from pathlib import Path
from holotype.cache import StepKey, Store
store, name = Store(Path(sys.argv[1])), sys.argv[2]
key = StepKey("fit main 0", 1, {"epochs": 2, "lr": 0.1}, {"pixels": "aa", "labels": "bb"})
def write(folder):
    (store.root / f"{name} writes").touch()
    time.sleep(0.5)
    (folder / "weights").write_text(name)
store.create(key, write, waits=lambda: print("waits"))
"""


def test_of_two_runs_that_make_the_same_one_makes_it_and_the_other_waits(store: Store) -> None:
    store.root.mkdir()
    source = Path(sys.modules["holotype"].__file__ or "").parents[1]
    environment = os.environ | {"PYTHONPATH": str(source)}
    calls = [[sys.executable, "-c", MAKER, str(store.root), name] for name in ("first", "second")]
    runs = [subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, text=True) for call in calls]
    told = [one.communicate(timeout=60)[0] for one in runs]
    assert [one.returncode for one in runs] == [0, 0]
    (winner,) = [path.name.removesuffix(" writes") for path in store.root.glob("* writes")]
    assert (store.path(KEY) / "weights").read_text() == winner
    assert sorted(told) in (["", ""], ["", "waits\n"])  # the slower one may begin when all is done
    assert store.contains(KEY)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("1 2 4"),
        lambda path: path.write_text("1 2"),
        lambda path: path.unlink(),
        lambda path: path.with_name("step.json").write_text("{"),
        lambda path: path.with_name("step.json").write_text("[]"),
        lambda path: path.with_name("step.json").write_text('{"step": "fit main 0"}'),
    ],
    ids=["another byte", "truncated", "lost", "torn facts", "other facts", "facts of an older version"],
)
def test_a_damaged_artefact_counts_as_not_there_and_is_made_again(store: Store, damage: Any) -> None:
    place = store.create(KEY, write)
    damage(place / "weights")
    assert not store.contains(KEY)
    assert store.describe_damage(place)
    store.create(KEY, write)
    assert store.contains(KEY)
    assert files_of(store) == {f"fit/{KEY.digest}/weights", f"fit/{KEY.digest}/step.json"}


def test_a_damage_that_keeps_size_and_time_is_seen_by_the_process_that_had_read_the_file(store: Store) -> None:
    path = store.create(KEY, write) / "weights"
    facts = path.stat()
    assert store.contains(KEY)
    path.write_text("1 2 4")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert store.contains(KEY, read=False)
    assert store.describe_damage(store.path(KEY)) == "weights was changed after it was stored"


def test_the_workspace_survives_a_failure_and_is_gone_after_success(store: Store) -> None:
    workspace = store.workspace(KEY)

    def train(folder: Path) -> None:
        workspace.mkdir(parents=True)
        (workspace / "epoch-00001").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.create(KEY, train)
    assert (workspace / "epoch-00001").exists()
    store.create(KEY, write)
    assert not workspace.exists()


def test_a_full_disk_is_one_sentence_with_a_way_out(store: Store) -> None:
    def fill(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreError) as caught:
        store.create(KEY, fill)
    sentence = str(caught.value)
    assert sentence.startswith(f"{store.root} cannot be written: No space left on device; free some disk space")
    assert "HOLOTYPE_STORE" in sentence
    assert sentence.count("\n") == 0
    assert files_of(store) == set()


@pytest.mark.parametrize(
    ("error", "words", "remedy"),
    [
        (OSError(errno.EACCES, os.strerror(errno.EACCES)), "Permission denied", "allow this user to write there"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "Read-only file system", "allow this user to write there"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "Input/output error", "fix that"),
        (OSError("2 requested and 1 written"), "2 requested and 1 written", "free some disk space"),
        (RuntimeError("cannot write: No space left on device (os error 28)"), "No space left", "free some disk space"),
    ],
    ids=["no permission", "read-only", "a broken disk", "numpy", "a library in Rust"],
)
def test_what_the_disk_refuses_is_told_with_its_own_reason(
    store: Store, error: Exception, words: str, remedy: str
) -> None:
    def refuse(folder: Path) -> None:
        raise error

    with pytest.raises(StoreError, match=f"cannot be written: .*{words}.*; {remedy}"):
        store.create(KEY, refuse)


def test_a_file_elsewhere_that_cannot_be_read_is_not_said_to_be_the_stores(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"fit main 0 failed: .*lost.png: No such file"):
        store.create(KEY, lambda folder: (tmp_path / "lost.png").read_bytes())


def test_other_errors_stay_what_they_are(store: Store) -> None:
    def fail(folder: Path) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.create(KEY, fail)


def test_a_place_that_cannot_be_a_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written: Not a directory"):
        Store(tmp_path / "file").create(KEY, write)


def test_what_a_killed_process_left_unfinished_is_swept_and_what_a_live_one_makes_stays(store: Store) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from holotype.cache import StepKey, Store\n"
        "def write(folder):\n"
        "    (folder / 'half').touch(); print('writes', flush=True)\n"
        "    os._exit(9) if sys.argv[2] == 'dies' else time.sleep(60)\n"
        "Store(Path(sys.argv[1])).create(StepKey(f'pack {sys.argv[2]}', 1, sys.argv[2]), write)"
    )
    source = Path(sys.modules["holotype"].__file__ or "").parents[1]
    environment = os.environ | {"PYTHONPATH": str(source)}
    live, dead = (
        subprocess.Popen([sys.executable, "-c", code, str(store.root), name], env=environment, stdout=subprocess.PIPE)
        for name in ("lives", "dies")
    )
    try:
        assert [one.stdout.readline() for one in (live, dead)] == [b"writes\n"] * 2  # type: ignore[union-attr]
        assert dead.wait() == 9
        store.create(KEY, write)
        kept = StepKey("pack lives", 1, "lives")
        assert [path.name for path in (store.root / "temporary").iterdir()] == [f"pack-{kept.digest}"]
    finally:
        live.kill()
        live.wait()


@pytest.mark.parametrize("name", ["x@host", "notes", f"12-ab@{platform.node()}", "fit-0123"])
def test_a_folder_of_somebody_elses_in_the_temporary_one_is_left_alone(store: Store, name: str) -> None:
    (store.root / "temporary" / name).mkdir(parents=True)
    store.create(KEY, write)
    assert (store.root / "temporary" / name).is_dir()


@pytest.mark.parametrize(
    "other",
    [
        StepKey("fit main 0", 2, KEY.section, KEY.inputs),
        StepKey("fit main 0", 1, {**KEY.section, "lr": 0.2}, KEY.inputs),
        StepKey("fit main 0", 1, KEY.section, {**KEY.inputs, "labels": "cc"}),
        StepKey("fit main 0", 1, KEY.section, {**KEY.inputs, "more": "cc"}),
        StepKey("predict main 0", 1, KEY.section, KEY.inputs),
    ],
    ids=["version", "section", "an input", "one more input", "family"],
)
def test_whatever_counts_changes_the_address(store: Store, other: StepKey) -> None:
    assert store.path(other) != store.path(KEY)


def test_the_order_of_keys_and_the_name_within_a_family_do_not_count(store: Store) -> None:
    turned = StepKey("fit renamed 3", 1, {"lr": 0.1, "epochs": 2}, {"labels": "bb", "pixels": "aa"})
    assert store.path(turned) == store.path(KEY)


def test_the_parts_of_a_key_name_what_counts() -> None:
    assert set(KEY.parts) == {"recipe: epochs", "recipe: lr", "pixels", "labels", "version of the step"}
    assert StepKey("statistics", 3).parts["version of the step"] == "3"


def test_the_digest_of_the_content_hangs_on_the_content_alone(store: Store) -> None:
    other = StepKey("fit main 0", 7)
    third = StepKey("fit main 0", 8)
    store.create(KEY, write)
    store.create(other, write)
    store.create(third, lambda folder: (folder / "weights").write_text("1 2 4"))
    assert store.content_digest(KEY) == store.content_digest(other) != store.content_digest(third)
