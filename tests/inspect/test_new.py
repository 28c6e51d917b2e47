from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from holotype.core.errors import DataError, InputError
from holotype.inspect import FileMatch, FolderFindings, LabelGuess, TrialReading
from holotype.inspect.headers import read_headers
from holotype.inspect.inspect_folder import inspect_folder
from holotype.inspect.propose import propose
from holotype.inspect.propose_training import propose_model, propose_size
from holotype.inspect.write_recipe import recipe_text, write_recipe
from holotype.recipe.load import load_recipe, parse_recipe

Bench = Any  # of conftest.py


def plates(bench: Bench) -> None:
    """Twenty-four images on six plates, eight to predict on two others."""
    rows = [f"c{n:02}_w{n % 7},{'AB'[n % 2]},P{n // 4},{n * 3}" for n in range(24)]
    bench.table("train.csv", "id,label,plate,x", rows)
    bench.table("test.csv", "id,plate,x", [f"t{n}_w1,Q{n // 4},{n}" for n in range(8)])
    bench.images(*(f"images/{row.split(',')[0]}.png" for row in rows), *(f"images/t{n}_w1.png" for n in range(8)))


def test_tables_and_images_become_a_recipe_that_loads_and_finds_its_files(bench: Bench) -> None:
    plates(bench)
    proposal, text, path = bench.written()
    recipe = load_recipe(path)
    assert recipe.data.groups == ["plate"]
    assert (recipe.data.id, recipe.data.labels.column, recipe.data.labels.kind) == ("id", "label", "multiclass")
    assert recipe.models[0].input.size == 64
    assert recipe.name == "cells"
    assert "../cells/images/{id}.png" in text
    assert Path(recipe.data.train).resolve() == (bench.folder / "train.csv").resolve()
    assert Path(str(recipe.data.images).format(id="c00_w0")).exists()
    assert not proposal.tables
    assert any("x: numbers" in note for note in proposal.notes)


def test_every_reason_stands_as_a_comment_above_its_key(bench: Bench) -> None:
    plates(bench)
    proposal, text, _ = bench.written()
    lines = text.splitlines()
    for place, reason in proposal.reasons.items():
        key = place.rpartition(".")[2]
        at = next(n for n, line in enumerate(lines) if f"{key}:" in line and not line.lstrip().startswith("#"))
        above = at - 1
        while lines[above - 1].lstrip().startswith("#"):
            above -= 1
        comment = " ".join(line.strip().lstrip("#").strip() for line in lines[above:at])
        assert reason in comment, place
    assert set(proposal.reasons) >= {"data.id", "data.images", "data.labels", "data.groups", "models.0.input.size"}


def test_the_recipe_stays_short(bench: Bench) -> None:
    plates(bench)
    _, text, _ = bench.written()
    assert sum(bool(line) and not line.lstrip().startswith("#") for line in text.splitlines()) <= 14


def test_looking_leaves_the_data_folder_as_it_was(bench: Bench) -> None:
    for name in "ab":
        bench.images(*(f"{name}/{name}{n}.png" for n in range(5)))
    before = sorted(bench.folder.rglob("*"))
    bench.written()
    assert sorted(bench.folder.rglob("*")) == before


def test_nothing_is_overwritten_unless_forced(bench: Bench) -> None:
    plates(bench)
    proposal, _, path = bench.written()
    path.write_text("mine")
    with pytest.raises(
        InputError, match=r"recipe\.yaml' exists already; choose another path with -o, or replace it with --force"
    ):
        write_recipe(proposal, path)
    assert path.read_text() == "mine"
    write_recipe(proposal, path, force=True)
    assert load_recipe(path).data.id == "id"
    assert [file.name for file in path.parent.iterdir()] == ["recipe.yaml"]


def test_a_table_that_would_be_replaced_stops_the_writing_too(bench: Bench) -> None:
    for name in "ab":
        bench.images(*(f"{name}/{name}{n}.png" for n in range(5)))
    place = bench.folder.parent / "recipe.yaml"
    (place.parent / "train.csv").write_text("mine")
    with pytest.raises(InputError, match=r"train\.csv' exists already"):
        bench.written(place)
    assert not place.exists()


def test_a_folder_a_class_becomes_a_table_beside_the_recipe(bench: Bench) -> None:
    for label in ("round", "long one"):
        bench.images(*(f"train/{label}/{label[0]}{n}.png" for n in range(6)))
    bench.images("test/7.png", "test/8.png")
    proposal, _, path = bench.written()
    recipe = load_recipe(path)
    train = pl.read_csv(path.parent / "train.csv")
    assert train.columns == ["id", "label", "file"]
    assert set(train["label"]) == {"round", "long one"}
    assert all(Path(str(recipe.data.images).format(file=name)).exists() for name in train["file"])
    assert pl.read_csv(path.parent / "test.csv").height == 2
    assert set(proposal.tables) == {"train.csv", "test.csv"}


def test_folders_inside_class_folders_are_groups(bench: Bench) -> None:
    for label in "ab":
        bench.images(*(f"{label}/patient{n % 5}/{label}{n}.png" for n in range(10)))
    proposal, _, path = bench.written()
    assert load_recipe(path).data.groups == ["subfolder"]
    assert proposal.tables["train.csv"]["subfolder"].n_unique() == 5


def test_a_validation_folder_joins_the_training_rows_and_says_so(bench: Bench) -> None:
    for label in "ab":
        bench.images(*(f"train/{label}/{n}.png" for n in range(6)), *(f"val/{label}/{n}.png" for n in range(3)))
    proposal = propose(inspect_folder(bench.folder))
    assert proposal.tables["train.csv"].height == 18
    assert proposal.tables["train.csv"]["id"].n_unique() == 18
    assert any("validation folder" in note for note in proposal.notes)


def test_channels_in_class_folders_are_found(bench: Bench) -> None:
    for label in "ab":
        bench.images(*(f"{label}/{label}{n}_{word}.tif" for n in range(5) for word in ("red", "green")))
    content = propose(inspect_folder(bench.folder)).content
    assert content["data"]["images"].endswith("/{file}_{channel}.tif")
    assert content["data"]["channels"] == ["red", "green"]


def test_folders_of_one_image_each_are_refused_in_words(bench: Bench) -> None:
    bench.images(*(f"specimen{n}/scan.png" for n in range(6)))
    with pytest.raises(DataError, match="6 of 6 folders hold a single image, but a class needs several"):
        inspect_folder(bench.folder)


def test_folders_of_a_specimen_each_are_not_taken_for_classes(bench: Bench) -> None:
    bench.images(*(f"specimen{n}/{word}.png" for n in range(6) for word in ("dna", "actin")))
    with pytest.raises(DataError, match="each folder seems to be a specimen"):
        inspect_folder(bench.folder)


def test_test_images_of_another_depth_are_asked_about(bench: Bench) -> None:
    bench.table("train.csv", "id,label", [f"a{n},{'xy'[n % 2]}" for n in range(10)])
    bench.table("test.csv", "id", ["b1", "b2"])
    bench.images(*(f"a{n}.tif" for n in range(10)), bits=16)
    bench.images("b1.tif", "b2.tif", bits=8)
    warnings = propose(inspect_folder(bench.folder)).warnings
    assert any("The test images have 8 bits per channel and the training images 16" in warning for warning in warnings)


def test_images_with_other_channel_counts_are_warned_about(bench: Bench) -> None:
    bench.table("train.csv", "id,label", [f"a{n},{'xy'[n % 2]}" for n in range(10)])
    bench.images(*(f"a{n}.tif" for n in range(9)), bits=16)
    bench.images("a9.tif", bits=16, channels=3)
    warnings = propose(inspect_folder(bench.folder)).warnings
    assert any(
        "different numbers of channels, which stops a run: 1 (as a0.tif), 3 (as a9.tif)" in warning
        for warning in warnings
    )


def test_further_tables_are_noted_and_the_submission_takes_its_names(bench: Bench) -> None:
    plates(bench)
    bench.table("taxonomy.csv", "label,family", ["A,F", "B,F"])
    bench.table("extra.csv", "id,label", ["q,A"])
    bench.table("sample_submission.csv", "Id,Predicted", [f"t{n}_w1,A" for n in range(8)])
    proposal, text, path = bench.written()
    assert "# - taxonomy.csv: gives family of each label" in text
    assert "# - extra.csv: 1 more labeled row; add the table to `external:`" in text
    assert load_recipe(path).submission.model_dump()["id"] == "Id"
    assert proposal.content["submission"] == {"id": "Id", "column": "Predicted"}


def test_a_table_of_ranks_is_named_as_the_taxonomy(bench: Bench) -> None:
    rows = [f"i{n},{'abcd'[n % 4]}" for n in range(20)]
    bench.table("train.csv", "id,label", rows)
    bench.table("ranks.csv", "label,genus,family", ["a,G,X", "b,G,X", "c,H,X", "d,I,Y"])
    bench.images(*(f"i{n}.png" for n in range(20)))
    proposal, text, path = bench.written()
    assert Path(str(load_recipe(path).data.labels.taxonomy)).samefile(bench.folder / "ranks.csv")
    assert "taxonomy: ../cells/ranks.csv" in text
    assert "ranks.csv gives genus, family of each" in proposal.reasons["data.labels"]
    assert not any("ranks.csv" in note for note in proposal.notes)


@pytest.mark.parametrize(
    "rows",
    [
        ["a,G,X", "b,G,Y", "c,H,X", "d,I,Y"],
        ["a,G,X", "b,G,X", "c,H,X"],
        ["a,G,X", "b,G,X", "c,,X", "d,I,Y"],
        ["a,G,X", "a,H,X", "b,G,X", "c,H,X", "d,I,Y"],
    ],
    ids=["a genus of two families", "a class is missing", "a rank is empty", "a class of two genera"],
)
def test_a_table_whose_ranks_do_not_nest_is_only_noted(bench: Bench, rows: list[str]) -> None:
    bench.table("train.csv", "id,label", [f"i{n},{'abcd'[n % 4]}" for n in range(20)])
    bench.table("ranks.csv", "label,genus,family", rows)
    bench.images(*(f"i{n}.png" for n in range(20)))
    proposal = propose(inspect_folder(bench.folder))
    assert "taxonomy" not in proposal.content["data"]["labels"]
    assert any("ranks.csv" in note for note in proposal.notes)


def test_a_table_by_itself_is_taken_with_the_test_table_beside_it(bench: Bench) -> None:
    plates(bench)
    assert inspect_folder(bench.folder / "train.csv").test_path == (bench.folder / "test.csv").resolve()


def test_parquet_tables_are_read_as_text(bench: Bench) -> None:
    frame = pl.DataFrame({"id": [f"0{n}" for n in range(10)], "label": [n % 2 for n in range(10)]})
    frame.write_parquet(bench.folder / "train.parquet")
    bench.images(*(f"0{n}.png" for n in range(10)))
    content = propose(inspect_folder(bench.folder)).content
    assert content["data"]["labels"] == {"column": "label", "kind": "multiclass"}


def test_two_tables_that_could_hold_the_labels_are_asked_about(bench: Bench) -> None:
    for name in ("first.csv", "second.csv"):
        bench.table(name, "id,label", [f"a{n},{'xy'[n % 2]}" for n in range(6)])
    bench.images(*(f"a{n}.png" for n in range(6)))
    with pytest.raises(DataError, match=r"2 tables could hold the labels: first\.csv, second\.csv"):
        inspect_folder(bench.folder)
    assert inspect_folder(bench.folder / "second.csv").file_match.id == "id"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("train.csv", "id,label\n", "no rows"),
        ("train.csv", "", "is empty"),
        ("train.xlsx", "x", "open it in Excel and save it"),
    ],
)
def test_a_table_that_is_none_is_refused_in_words(bench: Bench, name: str, text: str, words: str) -> None:
    (bench.folder / name).write_text(text)
    bench.images("1.png")
    with pytest.raises(DataError, match=words):
        inspect_folder(bench.folder / name)


def test_a_folder_without_readable_images_names_what_it_has(bench: Bench) -> None:
    (bench.folder / "a.dcm").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 \.dcm file is not read"):
        inspect_folder(bench.folder)


def test_a_misspelt_folder_is_suggested(bench: Bench) -> None:
    with pytest.raises(DataError, match="did you mean 'cells'"):
        inspect_folder(bench.folder.parent / "cels")


def test_few_images_a_class_lower_the_folds_and_rare_classes_are_named(bench: Bench) -> None:
    labels = "aaabbbcccd"
    bench.table("train.csv", "id,label", [f"i{n},{label}" for n, label in enumerate(labels)])
    bench.images(*(f"i{n}.png" for n in range(len(labels))))
    proposal = propose(inspect_folder(bench.folder))
    assert proposal.content["split"] == {"folds": 3}
    assert any("fewer than 3 images: d (1)" in warning for warning in proposal.warnings)


def test_names_that_yaml_could_misread_come_back_as_they_were(bench: Bench, tmp_path: Path) -> None:
    rows = [f"i{n},{'ab'[n % 2]}" for n in range(10)]
    bench.table("train.csv", "id,label", rows)
    bench.images(*(f"yes # no/on: {{x}}/i{n}.png".replace("{x}", "x") for n in range(10)))
    proposal = propose(inspect_folder(bench.folder))
    content = YAML(typ="safe", pure=True).load(recipe_text(proposal, bench.folder))
    assert content["data"]["images"] == "yes # no/on: x/{id}.png"
    assert parse_recipe(content, bench.folder).data.id == "id"


def test_a_proposal_is_legal_before_it_is_written(bench: Bench, tmp_path: Path) -> None:
    plates(bench)
    proposal = propose(inspect_folder(bench.folder))
    assert parse_recipe(proposal.content, tmp_path).data.train == str((bench.folder / "train.csv").resolve())


@pytest.mark.parametrize(
    ("counts", "model"),
    [
        ((60, 60), {"phases": [{"epochs": 24}]}),  # 3 steps an epoch
        ((1200, 1200), {"phases": [{"epochs": 14}]}),
        ((1400, 1400), {}),  # the usual 12 epochs are 800 steps
        ((9000, 9000), {"phases": [{"epochs": 6}]}),
        ((1200, 140), {"phases": [{"epochs": 24}], "sampler": "sqrt"}),
        ((40, 40, 40), {"phases": [{"epochs": 24}], "neighbors": {"k": 5}}),
        ((60, 60, 4), {"phases": [{"epochs": 24}], "sampler": "sqrt"}),
    ],
)
def test_epochs_sampling_and_neighbours_follow_how_many_images_there_are(
    bench: Bench, counts: tuple[int, ...], model: dict[str, Any]
) -> None:
    bench.table("train.csv", "id,label", ["i0,c0"])
    bench.images("i0.png")
    naming = FileMatch("id", "id", "{id}.png", (), pl.DataFrame({"id": ["i0"] * sum(counts)}), None)
    found = FolderFindings(
        bench.folder, "table", None, None, naming, TrialReading(read_headers(bench.folder, ["i0.png"]), 1, True), {}, 1
    )
    labels = LabelGuess("label", "multiclass", None, {f"c{n}": count for n, count in enumerate(counts)}, 0)
    assert propose_model(found, labels, 5)[0] == {"input": {"size": 64}} | model


def test_the_reason_of_a_size_names_the_bound_it_met() -> None:
    for side, words in ((40, "below 64"), (64, "enlarged"), (100, "rounded up"), (640, "slower")):
        assert words in propose_size(pl.DataFrame({"height": [side], "width": [side]}))[1]


def test_the_page_on_planning_explains_a_size_in_the_words_of_the_recipe() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs" / "plan.md").read_text(encoding="utf-8").split()).lower()
    why = propose_size(pl.DataFrame({"height": [64], "width": [64]}))[1]
    assert why == "the longest side of the images is 64 px; small images train better when enlarged"
    assert "the longest side of the images, rounded up" in page
    assert "small images train better when enlarged" in page


def test_ids_in_both_tables_are_warned_about(bench: Bench) -> None:
    bench.table("train.csv", "id,label", [f"a{n},{'xy'[n % 2]}" for n in range(10)])
    bench.table("test.csv", "id", ["a1", "b1"])
    bench.images(*(f"a{n}.png" for n in range(10)), "b1.png")
    assert (
        "The two tables share 1 id (a1), which stops a run: rename or remove them."
        in propose(inspect_folder(bench.folder)).warnings
    )


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(40, 40, 64), (64, 64, 96), (70, 100, 128), (128, 128, 160), (224, 10, 224), (480, 640, 224)],
)
def test_the_size_is_the_longest_side_within_bounds_and_half_as_much_more_where_that_is_small(
    height: int, width: int, size: int
) -> None:
    assert propose_size(pl.DataFrame({"height": [height] * 3, "width": [width] * 3}))[0] == size


def test_folders_of_classes_are_not_reported_as_unused(bench: Bench) -> None:
    for label in "ab":
        bench.images(*(f"{label}/{n}.png" for n in range(6)))
    proposal, text, _ = bench.written()
    assert (proposal.notes, "not used" in text) == ((), False)
