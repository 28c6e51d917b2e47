"""Answers to the questions of `init`: each question names a key, and the key is written with the answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.inspect.conftest import Bench

from holotype.api import init
from holotype.cli.main import main
from holotype.core.errors import DataError, RecipeError
from holotype.inspect import Answers, inspect_folder, propose
from holotype.recipe.load import load_recipe


def slides(bench: Bench) -> None:
    """Twelve images with two columns that could be the label, and slides that no name gives away."""
    rows = [f"i{n},{'xyz'[n % 3]},{'ab'[n % 2]},{'jklm'[n % 4]}" for n in range(12)]
    bench.table("train.csv", "id,phase,state,origin", rows)
    bench.images(*(f"i{n}.png" for n in range(12)))


def test_each_question_with_a_key_names_a_change_that_answers_it(bench: Bench, tmp_path: Path) -> None:
    slides(bench)
    notes = " ".join(init(bench.folder, tmp_path / "a.yaml").notes)
    assert re.findall(r"`--set (.*?)`", notes) == ["data.labels.column=state", "data.groups=[COLUMN]"]
    answered = init(bench.folder, tmp_path / "b.yaml", changes=["data.labels.column=state", "data.groups=[origin]"])
    assert answered.notes == ()
    data = load_recipe(tmp_path / "b.yaml").data
    assert (data.labels.column, data.groups) == ("state", ["origin"])
    assert "column 'state': 2 classes" in answered.text
    assert "# set with --set\n  groups: [origin]" in answered.text
    assert load_recipe(tmp_path / "b.yaml").split.folds == 4  # as many as origins


def test_the_recipe_has_a_line_for_groups_even_if_there_are_none(bench: Bench, tmp_path: Path) -> None:
    slides(bench)
    text = init(bench.folder, tmp_path / "recipe.yaml").text
    assert re.search(r"# no column of patients, slides or plates was found; .*\[COLUMN\]\n  groups: \[\]\n", text)


def test_other_keys_are_written_too_and_wrong_ones_are_refused_before_anything_is_written(
    bench: Bench, tmp_path: Path
) -> None:
    slides(bench)
    recipe = tmp_path / "recipe.yaml"
    for change, message in (
        ("data.groups=[slide]", r"--set data.groups: there is no column 'slide'; allowed: id"),
        ("data.labels.column=states", "--set data.labels.column: there is no column 'states'; did you mean 'state'"),
    ):
        with pytest.raises(DataError, match=re.escape(message) if "slide" in change else message):
            init(bench.folder, recipe, changes=[change])
    with pytest.raises(RecipeError, match="did you mean 'groups'"):
        init(bench.folder, recipe, changes=["data.group=[origin]"])
    assert not recipe.exists()
    text = init(bench.folder, recipe, changes={"models.0.input.size": 128, "seed": 3, "data.test": None}).text
    assert "# set with --set\n  - input: {size: 128}" in text
    assert (load_recipe(recipe).models[0].input.size, load_recipe(recipe).seed) == (128, 3)


def test_a_name_with_a_blank_is_one_label_if_so_answered(bench: Bench) -> None:
    labels = ["test positive", "test", "positive"] * 4
    bench.table("train.csv", "id,label", [f"i{n},{label}" for n, label in enumerate(labels)])
    bench.images(*(f"i{n}.png" for n in range(12)))
    findings = inspect_folder(bench.folder)
    assert any("`--set data.labels.kind=multiclass`" in question for question in propose(findings).questions)
    proposal = propose(findings, Answers({"data": {"labels": {"kind": "multiclass"}}}))
    assert proposal.content["data"]["labels"] == {"column": "label", "kind": "multiclass"}
    assert "3 classes" in proposal.reasons["data.labels"]
    assert not any("several labels" in question for question in proposal.questions)


def test_the_command_takes_answers(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slides(bench)
    recipe: Any = tmp_path / "recipe.yaml"
    assert main(["init", str(bench.folder), "-o", str(recipe), "--set", "data.groups=[origin]"]) == 0
    assert "patient" not in capsys.readouterr().err
    assert load_recipe(recipe).data.groups == ["origin"]
