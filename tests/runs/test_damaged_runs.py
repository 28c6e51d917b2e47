"""Files of a finished run that were torn or changed by hand: one sentence with the file and the way out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holotype.cli.main import main

Copy = Callable[[Path, Path], Path]
CARD = "models/main/fold0/card.json"


def changed(name: str, **values: Any) -> Callable[[Path], str]:
    """Sets keys of a JSON file; None takes the key away."""

    def change(run: Path) -> str:
        content = json.loads((run / name).read_text(encoding="utf-8")) | values
        left = {key: value for key, value in content.items() if value is not None}
        (run / name).write_text(json.dumps(left), encoding="utf-8")
        return Path(name).name

    return change


def replaced(name: str, content: bytes) -> Callable[[Path], str]:
    def change(run: Path) -> str:
        (run / name).write_bytes(content)
        return Path(name).name

    return change


def cut(name: str) -> Callable[[Path], str]:
    def change(run: Path) -> str:
        (run / name).write_bytes((run / name).read_bytes()[:-40])
        return Path(name).name

    return change


DAMAGES: dict[str, Callable[[Path], str]] = {
    "no classes": changed("decision.json", classes=None),
    "classes that are a number": changed("decision.json", classes=7),
    "fewer classes than thresholds": changed("decision.json", classes=["a", "b"]),
    "a threshold that is a word": changed("decision.json", thresholds=["high"] * 8),
    "an unknown rule": changed("decision.json", kind="astrology"),
    "a calibration that is a list": changed("decision.json", calibration=[1, 2]),
    "a decision that is a list": replaced("decision.json", b"[1, 2]"),
    "a decision that is empty": replaced("decision.json", b""),
    "a decision that is no text": replaced("decision.json", b"\xff\xfe\x00"),
    "a decision of 100,000 brackets": replaced("decision.json", b"[" * 100_000),
    "a torn decision": cut("decision.json"),
    "other models": changed("ensemble.json", models=["else"]),
    "weights of two models": changed("ensemble.json", weights=[0.5, 0.5]),
    "a weight that is a word": changed("ensemble.json", weights=["much"]),
    "no pools": changed("ensemble.json", pools=None),
    "a torn ensemble": cut("ensemble.json"),
    "a billion networks": changed(CARD, networks=10**9),
    "a card without its model": changed(CARD, model=None),
    "a card of other classes": changed(CARD, classes=["x"]),
    "a card of a huge canvas": changed(CARD, canvas=[10**9, 10**9]),
    "a card with a word for a side": changed(CARD, canvas=["a", "b"]),
    "a deviation of zero": changed(CARD, normalization={"mean": [0.0] * 4, "deviation": [0.0] * 4}),
    "moments of one channel": changed(CARD, normalization={"mean": [0.0], "deviation": [1.0]}),
    "a torn card": cut(CARD),
    "torn weights": cut("models/main/fold0/weights.safetensors"),
    "no statistics of ours": replaced("audit/statistics.parquet", b"PAR1 nothing PAR1"),
    "a torn recipe": replaced("recipe.yaml", b"name: [\n"),
}


@pytest.fixture(scope="module")
def run(finished: Path, tmp_path_factory: pytest.TempPathFactory, copy_without_digests: Copy) -> Path:
    """A run without digests: every file must be checked by its content."""
    return copy_without_digests(finished, tmp_path_factory.mktemp("damaged") / "run")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_named_in_one_sentence(
    damage: Callable[[Path], str], run: Path, finished: Path, screen: Path, copy_without_digests: Copy, capsys
) -> None:
    try:
        name = damage(run)
        assert main(["predict", str(run), str(screen / "test.csv"), "--quiet"]) in {1, 2}
        error = capsys.readouterr().err
        assert "Traceback" not in error
        assert len(error.strip().splitlines()) == 1
        assert name in error
        assert ";" in error or name == "recipe.yaml"  # and the way out; of YAML the line is enough
    finally:
        shutil.rmtree(run)
        copy_without_digests(finished, run)


@pytest.mark.parametrize("name", ["decision.json", "oof.parquet", "models/main/fold0/weights.safetensors"])
def test_a_changed_byte_that_leaves_a_file_readable_is_refused_too(
    name: str, finished: Path, screen: Path, tmp_path: Path, capsys
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    content = bytearray((run / name).read_bytes())
    content[-20] ^= 1
    (run / name).write_bytes(content)
    assert main(["predict", str(run), str(screen / "test.csv"), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert f"{Path(name).name}' is damaged, or was modified after the run; run the recipe again" in error
