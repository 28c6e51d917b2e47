"""A process killed in the middle of training, and the same command once more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import holotype
from holotype.api import run
from holotype.cli.main import main
from holotype.core.stop import STOPPED_STATUS

WriteRecipe = Callable[..., Path]
EPOCHS, PATIENCE = 12, 120.0
COMPARED = (
    "oof.parquet",
    "test.parquet",
    "submission.csv",
    "predictions.csv",
    "scores.json",
    "folds.parquet",
    "models/main/fold0/weights.safetensors",
    "models/main/fold2/weights.safetensors",
)


@contextmanager
def command(recipe: Path, store: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`holotype run` as a process of its own, which never outlives the test."""
    source = Path(holotype.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(source), "HOLOTYPE_STORE": str(store), "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-m", "holotype.cli.main", "run", str(recipe)]
    with log.open("wb") as stream:
        process = subprocess.Popen(call, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for_an_epoch(store: Path, process: subprocess.Popen[bytes], log: Path, after: str = "") -> None:
    """Return as soon as the state of an epoch lies in the store, after that of another state."""
    end = time.monotonic() + PATIENCE
    pattern = "unfinished/fit/*/state-000-0000[1-9]-*.safetensors"
    while not any(path.name > after for path in store.glob(pattern)):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, "no epoch was finished in time"
        time.sleep(0.002)


def events(folder: Path, event: str) -> list[dict[str, str]]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == event]


def test_sigterm_kill_9_and_the_same_command_end_in_the_bytes_of_a_run_left_alone(
    write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model = {
        "name": "main",
        "backbone": "test_efficientnet",
        "weights": "none",
        "input": {"size": 32},
        "phases": [{"epochs": EPOCHS, "lr": 0.003}],
    }
    recipe = write_recipe(tmp_path / "killed", models=[model], split={"folds_to_train": [0, 2]})
    store, folder, output = tmp_path / "store", tmp_path / "killed" / "runs" / "cells", tmp_path / "output"
    with command(recipe, store, output) as process:
        wait_for_an_epoch(store, process, output)
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == STOPPED_STATUS, output.read_text()
        assert time.monotonic() - asked < 10
    assert "SIGTERM: the training saves its state and stops" in output.read_text()
    assert "stopped by SIGTERM; run the same command again to resume." in output.read_text()
    (state,) = store.glob("unfinished/fit/*")
    stopped = max(path.name for path in state.glob("state-*"))
    with command(recipe, store, output) as process:
        wait_for_an_epoch(store, process, output, after=stopped)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (folder / "oof.parquet").exists()
    assert not list(store.glob("fit/*"))  # a half-written artefact does not exist

    monkeypatch.setenv("HOLOTYPE_STORE", str(store))
    assert main(["run", str(recipe)]) == 0
    said = [line["text"] for line in events(folder, "message")]
    *_, where = [sentence for sentence in said if "resumes after epoch" in sentence]
    assert where.startswith("main, fold 0: resumes after epoch ")
    assert where.endswith(f" of {EPOCHS}")
    assert where in capfd.readouterr().err
    states = {line["step"]: line["state"] for line in events(folder, "step")}
    assert (states["statistics"], states["fit main 0"], states["fit main 2"]) == ("reused", "resumed", "made")
    assert not list(store.glob("unfinished/fit/*"))

    monkeypatch.setenv("HOLOTYPE_STORE", str(tmp_path / "another store"))
    alone = run(write_recipe(tmp_path / "alone", models=[model], split={"folds_to_train": [0, 2]})).folder.root
    for name in COMPARED:
        assert (folder / name).read_bytes() == (alone / name).read_bytes(), name
