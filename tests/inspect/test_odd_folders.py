"""Folders with more in them than images and one table: what is used is not called unused, nothing gets in the way."""

from __future__ import annotations

import pytest
from tests.inspect.conftest import Bench

from holotype.inspect import inspect_folder, propose
from holotype.inspect.data_warnings import question_on_masks


def classes(bench: Bench) -> None:
    for name in "ab":
        bench.images(*(f"{name}/{name}{n}.png" for n in range(8)))


def rows(count: int = 12) -> list[str]:
    return [f"i{n},{'ab'[n % 2]}" for n in range(count)]


@pytest.mark.parametrize("name", ["classes.csv", "labels.csv", "names.csv"])
def test_a_list_of_classes_beside_their_folders_is_no_table_of_images(bench: Bench, name: str) -> None:
    classes(bench)
    bench.table(name, "class", ["a", "b"])
    proposal = propose(inspect_folder(bench.folder))
    assert proposal.content["data"]["train"] == "train.csv"
    assert proposal.tables["train.csv"]["label"].n_unique() == 2


def test_a_table_in_each_folder_that_holds_no_label_leaves_the_folders_as_classes(bench: Bench) -> None:
    classes(bench)
    for name in "ab":
        bench.table(f"{name}/info.csv", "file,zoom", [f"{name}{n}.png,4" for n in range(8)])
    assert inspect_folder(bench.folder).layout == "folders"


def test_of_labels_and_metadata_the_table_with_a_column_called_label_is_taken(bench: Bench) -> None:
    bench.images(*(f"i{n}.png" for n in range(12)))
    bench.table("labels.csv", "id,label", rows())
    bench.table("metadata.csv", "id,patient", [f"i{n},p{n % 4}" for n in range(12)])
    proposal = propose(inspect_folder(bench.folder))
    assert proposal.content["data"]["train"].endswith("/labels.csv")
    assert proposal.notes == ("metadata.csv: 12 rows with id, patient",)


def test_a_column_that_a_question_names_is_not_called_unused_too(bench: Bench) -> None:
    bench.images(*(f"i{n}.png" for n in range(12)))
    bench.table("train.csv", "id,label,label_name", [f"i{n},{n % 2},{('cat', 'dog')[n % 2]}" for n in range(12)])
    proposal = propose(inspect_folder(bench.folder))
    assert any("could also be label_name. If it is, answer with" in question for question in proposal.questions)
    assert proposal.notes == ()


def test_files_that_are_read_are_not_called_unused(bench: Bench) -> None:
    bench.images(*(f"images/i{n}.png" for n in range(16)), *(f"masks/i{n}.png" for n in range(12)), ".hidden/x.png")
    bench.table("train.csv", "id,label", [f"i{n},{'abcd'[n % 4]}" for n in range(12)])
    bench.table("test.csv", "id", [f"i{n}" for n in range(12, 16)])
    bench.table("sample_submission.csv", "id,label", [f"i{n},a" for n in range(12, 16)])
    bench.table("ranks.csv", "label,genus,family", ["a,G,F", "b,G,F", "c,H,F", "d,I,E"])
    (bench.folder / "README.md").write_text("about")
    (bench.folder / ".DS_Store").write_text("system")
    findings = inspect_folder(bench.folder)
    text = " ".join(propose(findings).notes)
    assert "12 image files belong to no row (12 .png)" in text
    assert "1 .md" in text
    for used in ("train.csv", "test.csv", "sample_submission", "ranks.csv", "DS_Store", "hidden"):
        assert used not in text


def test_masks_beside_their_images_are_asked_about(bench: Bench) -> None:
    for name in ("benign", "malignant"):
        bench.images(*(f"{name}/{name} ({n}){end}.png" for n in range(6) for end in ("", "_mask")))
    (question,) = (text for text in propose(inspect_folder(bench.folder)).questions if "masks" in text)
    assert "Are 12 images such as benign/benign (0)_mask.png masks of other images?" in question
    assert question_on_masks(["a/1_mask.png", "a/2_mask.png"]) == ()  # no image beside them
    assert question_on_masks(["a/1.png", "a/1_2.png", "a/gt.png"]) == ()
    assert question_on_masks(["a/1.png", "a/1_mask_1.tif"]) != ()
