"""Folders and names of classes that only a person can judge: asked on top of the recipe, and by the command."""

from __future__ import annotations

import pytest
from tests.inspect.conftest import Bench

from holotype.cli.check import propose_recipe
from holotype.core.progress import Progress
from holotype.inspect import questions_on_classes


def drawn(bench: Bench, *folders: str, count: int = 6) -> None:
    for number, folder in enumerate(folders):
        bench.images(*(f"{folder}/i{number}_{n}.png" for n in range(count)))


@pytest.mark.parametrize("name", ["test", "Testing", "predict", "val", "train"])
def test_a_folder_with_the_name_of_a_role_beside_classes_is_a_class_and_a_question(bench: Bench, name: str) -> None:
    drawn(bench, "control", name, "blank")
    proposal, text, _ = bench.written()
    assert set(proposal.tables["train.csv"]["label"]) == {"control", name, "blank"}
    assert "test" not in proposal.content["data"]
    assert [
        question for question in proposal.questions if f"Is the folder {name.lower()!r} (6 images) a class?" in question
    ]
    assert "# Question: Is the folder" in text


def test_a_test_folder_with_the_same_folders_as_the_classes_is_predicted_and_asked_about(bench: Bench) -> None:
    drawn(bench, "control", "drug", "test/control", "test/drug")
    proposal, _, _ = bench.written()
    assert set(proposal.tables["train.csv"]["label"]) == {"control", "drug"}
    assert proposal.tables["test.csv"].height == 12
    assert any("the images to predict?" in question for question in proposal.questions)


def test_a_folder_beside_one_of_training_classes_is_left_out_with_a_warning(bench: Bench) -> None:
    drawn(bench, "train/a", "train/b", "test", "extra")
    proposal, _, _ = bench.written()
    assert set(proposal.tables["train.csv"]["label"]) == {"a", "b"}
    assert proposal.tables["test.csv"].height == 6
    assert any("not used: extra (6 images)" in warning for warning in proposal.warnings)


@pytest.mark.parametrize(
    "name", ["to be sorted", "To_Be_Sorted", "unknown", "???", "misc", "trash", "New folder (2)", "cells copy"]
)
def test_a_folder_that_sounds_unsorted_is_a_question(bench: Bench, name: str) -> None:
    drawn(bench, "round", "long", name)
    proposal, _, _ = bench.written()
    assert any(repr(name) in question and "read as one" in question for question in proposal.questions)


@pytest.mark.parametrize("name", ["control", "basophil", "type 1", "oldenburgia", "copepod", "G2M", "tmem16"])
def test_an_honest_name_is_no_question(name: str) -> None:
    assert questions_on_classes({name: 4, "other name": 4}) == ()


def test_names_that_differ_by_case_blanks_or_the_form_of_accents_are_a_question() -> None:
    (question,) = questions_on_classes({"Basophil": 12, "basophil ": 3, "b": 5})
    assert "'Basophil' (12), 'basophil ' (3)" in question
    assert "read as 2" in question
    (accents,) = questions_on_classes({"Caf\u00e9": 2, "Cafe\u0301": 2})
    assert "one class?" in accents
    (blanks,) = questions_on_classes({"b": 2, "b ": 2})
    assert "read as one" in blanks


def test_an_empty_folder_of_a_class_is_a_question_and_the_command_prints_it(bench: Bench, capsys) -> None:
    drawn(bench, "data/a", "data/b")
    (bench.folder / "data" / "c").mkdir()
    (bench.folder / "data" / "@eaDir").mkdir()
    answer = propose_recipe(bench.folder, bench.folder.parent / "r.yaml", False, Progress())
    question = "The folder 'c' contains no readable image"
    assert any(question in note for note in answer.data["notes"])
    assert not any("@eaDir" in note for note in answer.data["notes"])
    assert question in "".join(capsys.readouterr())


def test_labels_of_a_table_are_asked_about_as_well(bench: Bench) -> None:
    names = ["Round", "round", "long", "unknown"]
    bench.images(*(f"i{n}.png" for n in range(16)))
    bench.table("train.csv", "id,label", [f"i{n},{names[n % 4]}" for n in range(16)])
    questions = " ".join(bench.written()[0].questions)
    assert "'Round' (4), 'round' (4)" in questions
    assert "'unknown' (4)" in questions
