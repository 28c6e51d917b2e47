"""The public functions of the package: `init`, `check`, `run` with a mapping, and `compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import holotype
from holotype.core.errors import InputError, RecipeError
from holotype.core.run_folder import RunFolder
from holotype.planning.reruns import predict_reruns
from holotype.recipe.load import list_changes, load_recipe


@pytest.fixture
def classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with twelve images in a folder for each of two classes."""
    draws = np.random.default_rng(3)
    for number in range(12):
        folder = tmp_path / "images" / ("round", "star")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = draws.integers(0, 120, (32, 32)).astype(np.uint8) + np.uint8(100 * (number % 2))
        Image.fromarray(pixels).save(folder / f"s{number}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A recipe as a mapping, with scores that were made elsewhere; its paths start at the working directory."""
    ids = range(60)
    rows = [f"w{number},{'ab'[number % 2]},p{number % 10}" for number in ids]
    (tmp_path / "train.csv").write_text("\n".join(["id,label,plate", *rows]), encoding="utf-8")
    scores = np.random.default_rng(4).normal(0, 1, (60, 2)) + 2 * np.eye(2)[[number % 2 for number in ids]]
    names, folds = np.array([f"w{number}" for number in ids]), np.array([f"f{number % 10 % 2}" for number in ids])
    np.savez(tmp_path / "scores.npz", scores=scores, ids=names, folds=folds)
    monkeypatch.chdir(tmp_path)
    return {
        "name": "numbers",
        "run": {"threads": 1},
        "split": {"folds": 2},
        "data": {"train": "train.csv", "groups": ["plate"]},
        "models": [{"name": "elsewhere", "predictions": {"oof": "scores.npz", "kind": "logit", "rows": "id"}}],
    }


def test_init_writes_a_recipe_that_check_accepts(classes: Path) -> None:
    proposed = holotype.init("images")
    assert proposed.path == Path("recipe.yaml")
    assert proposed.text == (classes / "recipe.yaml").read_text(encoding="utf-8")
    assert all(isinstance(note, str) for note in proposed.notes)
    with pytest.raises(InputError, match="exists already"):
        holotype.init("images")
    assert holotype.init("images", force=True).text == proposed.text

    summary = holotype.check("recipe.yaml", {"split.folds": 2})
    assert summary.images == {"train": 12}
    assert summary.forms == [{"channels": 1, "height": 32, "width": 32, "depth": "uint8", "len": 12}]
    assert (summary.classes, summary.kind, summary.folds) == (("round", "star"), "multiclass", 2)


def test_check_refuses_a_wrong_recipe(numbers: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"split\.folds"):
        holotype.check(numbers, {"split.folds": 1})
    with pytest.raises(RecipeError, match="data: Field required"):
        holotype.check({})


def test_a_run_takes_a_mapping_as_recipe_and_as_changes(numbers: dict[str, Any], tmp_path: Path) -> None:
    before = json.dumps(numbers)
    run = holotype.run(numbers, changes={"seed": 7, "decision.kind": "prior"})
    assert json.dumps(numbers) == before
    assert run.folder.root == tmp_path / "runs" / "numbers"
    assert (run.recipe.seed, run.decision.rule) == (7, "prior")
    assert run.recipe.data.train == str(tmp_path / "train.csv")
    assert RunFolder(run.folder.root).recorded()["recipe"] == "recipe.yaml"
    # the folder's own recipe stands for the mapping
    assert {forecast.state for forecast in predict_reruns(run.folder.root)} == {"kept"}

    (tmp_path / "recipe.yaml").write_text(before, encoding="utf-8")
    same = holotype.run("recipe.yaml", "again", ["seed=7", "decision.kind=prior"])
    for name in ("scores.json", "decision.json", "recipe.yaml"):
        assert (same.folder.root / name).read_bytes().replace(b"../..", b"..") == (
            run.folder.root / name
        ).read_bytes().replace(b"../..", b"..")


def test_changes_as_a_mapping_are_those_of_the_command_line(numbers: dict[str, Any]) -> None:
    values = {
        "data.labels.classes": ["007", "b"],
        "data.labels.separator": "\u00fc|",
        "models.0.predictions.test": None,
    }
    recipe = load_recipe(numbers, values)
    assert recipe.data.labels.classes == ["007", "b"]
    assert recipe.data.labels.separator == "\u00fc|"
    assert list_changes({"a.b": 1e-05, "c": True}) == ("a.b=1e-05", "c=true")
    assert load_recipe(numbers, {"ensemble": {"kind": "weighted", "shrink_to_equal": 1e-05}}) == load_recipe(
        numbers, ["ensemble={kind: weighted, shrink_to_equal: 0.00001}"]
    )
    assert list_changes("seed=3") == ("seed=3",)


def test_compare_pairs_runs_by_their_samples(numbers: dict[str, Any]) -> None:
    first = holotype.run(numbers, "first")
    holotype.run(numbers, "second", {"decision.kind": "prior"})
    compared = holotype.compare(first, "second")
    assert [run.folder for run in compared.runs] == ["first", "second"]
    assert [pair.samples for pair in compared.pairs] == [60]
    with pytest.raises(InputError, match="1 runs cannot be compared"):
        holotype.compare(first)
