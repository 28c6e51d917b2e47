"""What a model learns beside its own training, on the whole road: specialists, pseudo-labels, some of the classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import holotype
from holotype.core.errors import RecipeError
from holotype.core.tensor_files import load_tensors
from holotype.recipe.load import load_recipe

WriteRecipe = Callable[..., Path]
QUICK = {
    "name": "main",
    "backbone": "test_efficientnet",
    "weights": "none",
    "phases": [{"epochs": 1}],
    "input": {"size": 32},
    "predict": {"tta": "flips"},
}
SPECIALISTS = {"phases": [{"epochs": 1, "lr": 0.01}], "min_samples": 8}


def card(folder: Path, place: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "models" / place / "card.json").read_text(encoding="utf-8"))
    return told


def agrees_with_its_opened_networks(opened: holotype.FittedRun, table: Path) -> bool:
    known = dict(pl.read_parquet(opened.folder.root / "test.parquet").iter_rows())
    images = opened.read_images(table)
    told = np.array([known[name] for name in images.samples.frame["id"].to_list()])
    return bool(np.abs(opened.logits(images) - told).max() < 1e-5)


def test_specialists_answer_for_their_domain_alone(write_recipe: WriteRecipe, screen: Path, tmp_path: Path) -> None:
    model = QUICK | {"specialists": SPECIALISTS}
    opened = holotype.run(write_recipe(tmp_path, models=[model], split={"folds": 3, "folds_to_train": [0, 1]}))
    folder = opened.folder.root
    cards = [card(folder, f"main/specialists/{path.name}") for path in sorted(opened.folder.specialists("main"))]
    domains = sorted(set(pl.read_csv(screen / "train.csv")["cell_type"]))
    assert sorted({(one["fold"], one["domain"]) for one in cards}) == [(f, name) for f in (0, 1) for name in domains]
    images = pl.read_parquet(folder / "images.parquet").filter(pl.col("role") == "train")
    folds = pl.read_parquet(folder / "folds.parquet").select("id", "fold")
    for one in cards:
        own = images.join(folds, on="id").filter((pl.col("domain") == one["domain"]) & (pl.col("fold") != one["fold"]))
        assert one["rows"]["train"] == own.height
    chosen = json.loads((folder / "ensemble.json").read_text())
    assert set(chosen.get("specialists", {"main": []})["main"]) <= set(domains)
    how = json.loads((folder / "scores.json").read_text())["metrics"]["macro_f1"]["method"]
    assert "the domains that specialists answer for" in how
    assert agrees_with_its_opened_networks(opened, screen / "test.csv")


def test_a_specialist_starts_from_the_overall_network(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    still = SPECIALISTS | {"phases": [{"epochs": 1, "lr": 1e-12, "freeze": "backbone", "optimizer": "sgd"}]}
    model = QUICK | {"specialists": still}
    folder = holotype.run(write_recipe(tmp_path, models=[model], split={"folds": 3, "folds_to_train": [0]})).folder.root
    overall, _ = load_tensors(folder / "models/main/fold0/weights.safetensors")
    special, _ = load_tensors(folder / "models/main/specialists/fold0-0/weights.safetensors")
    for name, tensor in overall.items():
        assert np.allclose(tensor.float(), special[name].float(), atol=1e-6), name


def test_a_domain_that_training_never_saw_is_answered_by_the_overall_network(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path
) -> None:
    table = pl.read_csv(screen / "test.csv")
    strange = pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("HeLa")).otherwise(pl.col("cell_type"))
    table.with_columns(strange.alias("cell_type")).write_csv(tmp_path / "test.csv")
    data = {"test": str(tmp_path / "test.csv")}
    scores = {}
    for name, part in (("plain", {}), ("special", {"specialists": SPECIALISTS})):
        recipe = write_recipe(
            tmp_path, name=name, models=[QUICK | part], data=data, split={"folds": 3, "folds_to_train": [0]}
        )
        opened = holotype.run(recipe)
        scores[name] = dict(pl.read_parquet(opened.folder.root / "test.parquet").iter_rows())
    for name in table["id"][:5]:
        assert scores["plain"][name] == scores["special"][name]
    assert agrees_with_its_opened_networks(opened, tmp_path / "test.csv")


def test_small_domains_have_no_specialist(write_recipe: WriteRecipe, tmp_path: Path, capsys: Any) -> None:
    model = QUICK | {"specialists": SPECIALISTS | {"min_samples": 1000}}
    opened = holotype.run(write_recipe(tmp_path, models=[model], split={"folds": 3, "folds_to_train": [0]}))
    assert "no domain has enough samples for a specialist" in capsys.readouterr().err
    assert opened.folder.specialists("main") == []


def test_a_domain_whose_rows_all_choose_is_left_to_the_overall_model(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path, capsys: Any
) -> None:
    """Each plate is a domain of its own, and the rows that choose the checkpoint are whole plates."""
    model = QUICK | {"specialists": SPECIALISTS | {"min_samples": 2}, "checkpoints": {"best": 1}}
    changes = {"data": {"domain": "plate"}, "split": {"folds": 3, "folds_to_train": [0]}}
    opened = holotype.run(write_recipe(tmp_path, models=[model], **changes))
    left_out = [line for line in capsys.readouterr().err.splitlines() if "no specialist in this fold" in line]
    cards = [card(opened.folder.root, f"main/specialists/{path.name}") for path in opened.folder.specialists("main")]
    images = pl.read_parquet(opened.folder.root / "images.parquet").filter(pl.col("role") == "train")
    folds = pl.read_parquet(opened.folder.root / "folds.parquet").select("id", "fold")
    outside = set(images.join(folds, on="id").filter(pl.col("fold") != 0)["domain"])
    assert len(left_out) == len(outside) - len(cards) > 0
    assert {one["domain"] for one in cards} < outside
    assert agrees_with_its_opened_networks(opened, screen / "test.csv")


def two_classes(screen: Path, tmp_path: Path) -> dict[str, Any]:
    """One label of two, so that a network is always more than half sure of one."""
    table = pl.read_csv(screen / "train.csv")
    path = tmp_path / "two.csv"
    table.with_columns(
        pl.col("labels").str.contains("nucleoplasm").replace_strict({True: "yes", False: "no"}).alias("nucleoplasm")
    ).write_csv(path)
    return {"train": str(path), "labels": {"column": "nucleoplasm"}}


def test_rows_that_join_are_not_tied_to_the_scored_fold(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path
) -> None:
    model = QUICK | {"pseudo_labels": {"confidence": 0.501, "rounds": 2, "ramp_epochs": 2}, "phases": [{"epochs": 2}]}
    data = two_classes(screen, tmp_path)
    opened = holotype.run(write_recipe(tmp_path, models=[model], data=data, split={"folds": 3, "folds_to_train": [0]}))
    told = card(opened.folder.root, "main/fold0")
    assert told["round"] >= 1  # two rounds with the same labels are the same network
    assert 0 < told["rows"]["pseudo_labels"] <= 20
    assert agrees_with_its_opened_networks(opened, screen / "test.csv")


def test_test_rows_of_the_plates_of_a_fold_never_join_it(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path
) -> None:
    table = pl.read_csv(screen / "test.csv").with_columns(pl.lit("somewhere").alias("plate"))
    plate = pl.read_csv(screen / "train.csv")["plate"][0]
    for name, column in (("apart", "somewhere"), ("tied", plate)):
        table.with_columns(pl.lit(column).alias("plate")).write_csv(tmp_path / f"{name}.csv")
    model = QUICK | {"pseudo_labels": {"confidence": 0.501}}
    joined = {}
    for name in ("apart", "tied"):
        data = two_classes(screen, tmp_path) | {"test": str(tmp_path / f"{name}.csv")}
        folder = holotype.run(write_recipe(tmp_path / name, models=[model], data=data)).folder.root
        joined[name] = [card(folder, f"main/fold{fold}")["rows"].get("pseudo_labels", 0) for fold in range(3)]
    assert all(joined["apart"])
    assert sum(count == 0 for count in joined["tied"]) == 1


def test_a_model_of_some_classes_says_of_the_others_what_the_other_says(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path
) -> None:
    own = ["golgi", "vesicles"]
    part = QUICK | {"name": "rare", "classes": own}
    recipe = write_recipe(tmp_path, models=[QUICK, part], split={"folds": 3, "folds_to_train": [0, 1]})
    opened = holotype.run(recipe)
    folder = opened.folder.root
    assert card(folder, "rare/fold0")["classes"] == own
    classes = pl.read_csv(folder / "classes.csv")["name"].to_list()
    said = [
        np.array(pl.read_parquet(folder / f"models/{name}/oof.parquet")["scores"].to_list())
        for name in ("main", "rare")
    ]
    same = [name for number, name in enumerate(classes) if np.allclose(said[0][:, number], said[1][:, number])]
    assert sorted(same) == sorted(set(classes) - set(own))
    assert agrees_with_its_opened_networks(opened, screen / "test.csv")


def test_one_label_a_sample_leaves_a_share_for_the_other_classes(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path
) -> None:
    table = pl.read_csv(screen / "train.csv").with_columns(pl.col("labels").str.split(" ").list.first().alias("one"))
    table.write_csv(tmp_path / "one.csv")
    name = table["one"][0]
    data = {"train": str(tmp_path / "one.csv"), "labels": {"column": "one"}}
    part = QUICK | {"name": "rare", "classes": [name]}
    recipe = write_recipe(tmp_path, models=[QUICK, part], data=data, split={"folds": 2, "folds_to_train": [0]})
    opened = holotype.run(recipe)
    assert card(opened.folder.root, "rare/fold0")["classes"] == [name, "none of these"]
    said = np.array(pl.read_parquet(opened.folder.root / "models/rare/oof.parquet")["scores"].to_list())
    assert np.allclose(np.exp(said).sum(axis=1), 1, atol=1e-5)
    assert agrees_with_its_opened_networks(opened, screen / "test.csv")


@pytest.mark.parametrize("take_over", [None, 0.5])
def test_neighbours_are_a_model_of_their_own(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path, take_over: float | None
) -> None:
    model = QUICK | {"neighbors": {"k": 3, "override_similarity": take_over}}
    opened = holotype.run(write_recipe(tmp_path, models=[model], split={"folds": 3}))
    folder = opened.folder.root
    images = pl.read_parquet(folder / "images.parquet")
    fold = dict(pl.read_parquet(folder / "folds.parquet").select("id", "fold").iter_rows())
    near = pl.read_parquet(folder / "models/main.neighbors/nearest.parquet")
    assert near.height == images.height
    for own, names, similar in near.iter_rows():
        assert len(names) == 3
        assert similar == sorted(similar, reverse=True)
        assert fold[own] is None or fold[own] not in {fold[name] for name in names}
    assert json.loads((folder / "ensemble.json").read_text())["models"] == ["main", "main.neighbors"]
    written = pl.read_csv(folder / "predictions.csv")
    told = opened.predict(screen / "test.csv")
    assert dict(told.select("id", "nearest").iter_rows()) == dict(written.select("id", "nearest").iter_rows())
    assert set(json.loads(written["nearest"][0])) <= set(images.filter(pl.col("role") == "train")["id"])
    assert agrees_with_its_opened_networks(opened, screen / "test.csv")


def test_a_duplicate_across_folds_is_no_neighbour(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    model = QUICK | {"neighbors": {"k": 3}}
    split = {"folds": 3, "keep_together": []}  # nothing keeps duplicates together
    folder = holotype.run(write_recipe(tmp_path, models=[model], split=split)).folder.root
    clusters = pl.read_parquet(folder / "audit/clusters.parquet")
    fold = dict(pl.read_parquet(folder / "folds.parquet").select("id", "fold").iter_rows())
    near = dict(pl.read_parquet(folder / "models/main.neighbors/nearest.parquet").select("id", "nearest").iter_rows())
    twins = [part["id"].to_list() for part in clusters.partition_by("cluster")]
    crossing = [names for names in twins if len({fold[name] for name in names}) > 1]
    assert crossing
    for names in twins:
        for name in names:
            assert not set(names) & set(near[name])


def test_one_network_of_all_rows_has_specialists_and_neighbours_too(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path
) -> None:
    model = QUICK | {"neighbors": {"k": 3}, "specialists": SPECIALISTS}
    recipe = write_recipe(tmp_path, models=[model], split={"folds": 3, "folds_to_train": [0, 1]}, final_model="refit")
    opened = holotype.run(recipe)
    folds = {
        card(opened.folder.root, f"main/specialists/{path.name}")["fold"] for path in opened.folder.specialists("main")
    }
    assert folds == {0, 1, -2}
    assert (opened.folder.root / "models/main.neighbors/refit/images.parquet").is_file()
    assert agrees_with_its_opened_networks(opened, screen / "test.csv")


def test_more_neighbours_than_there_are_specimens_is_said(
    write_recipe: WriteRecipe, tmp_path: Path, capsys: Any
) -> None:
    model = QUICK | {"neighbors": {"k": 500}}
    opened = holotype.run(write_recipe(tmp_path, models=[model], split={"folds": 3, "folds_to_train": [0]}))
    assert "neighbors.k is 500, and" in capsys.readouterr().err
    assert np.isfinite(pl.read_parquet(opened.folder.root / "oof.parquet")["scores"].to_list()).all()


def test_another_number_of_neighbours_trains_nothing_again(
    write_recipe: WriteRecipe, tmp_path: Path, steps_of: Callable[[Path], dict[str, str]]
) -> None:
    plain = holotype.run(write_recipe(tmp_path, models=[QUICK], split={"folds": 3, "folds_to_train": [0]}))
    model = QUICK | {"neighbors": {"k": 3}}
    holotype.run(write_recipe(tmp_path, models=[model], split={"folds": 3, "folds_to_train": [0]}))
    told = steps_of(plain.folder.root)
    assert told["fit main 0"] == told["predict main 0"] == "reused"
    assert told["neighbors main 0"] == "made"


@pytest.mark.parametrize(
    ("section", "data", "message"),
    [
        ({"specialists": {}}, {"domain": None}, "models.0.specialists: requires data.domain"),
        (
            {"pseudo_labels": {}},
            {"test": None},
            "models.0.pseudo_labels.roles: 'test' requires rows that `data` does not have",
        ),
        ({"pseudo_labels": {"roles": "external"}}, {}, "models.0.pseudo_labels.roles: 'external' requires rows"),
        ({"pseudo_labels": {"confidence": 0.4}}, {}, "models.0.pseudo_labels.confidence"),
        ({"classes": ["golgi", "golgi"]}, {}, "models.0.classes: classes must name each class once"),
        ({"specialists": {"by": "plate"}}, {}, "models.0.specialists.by"),
    ],
)
def test_what_cannot_be_learnt_is_refused(
    write_recipe: WriteRecipe, tmp_path: Path, section: dict[str, Any], data: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write_recipe(tmp_path, models=[QUICK | section], data=data))
    assert message in str(caught.value)


def test_a_class_that_does_not_exist_is_refused_before_training(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"models\.0\.classes: there is no such class; did you mean 'golgi'"):
        holotype.run(write_recipe(tmp_path, models=[QUICK | {"classes": ["golgy"]}]))


def test_a_model_tells_test_rows_apart_before_the_folds_are_drawn(
    write_recipe: WriteRecipe, tmp_path: Path, steps_of: Callable[[Path], dict[str, str]]
) -> None:
    split = {"folds": 3, "folds_to_train": [0], "like_test": True, "adversarial_model": "main"}
    folder = holotype.run(write_recipe(tmp_path, models=[QUICK], split=split)).folder.root
    told = steps_of(folder)
    assert [name for name in told if name.startswith("fit")] == [
        *(f"fit main.adversarial {fold}" for fold in range(3)),
        "fit main 0",
    ]
    assert list(told).index("folds") > list(told).index("fit main.adversarial 2")
    likeness = pl.read_parquet(folder / "audit/train_test_similarity.parquet")
    assert likeness["in_holdout"].sum() > 0
    separating = pl.read_parquet(folder / "audit/train_test_features.parquet")
    assert set(separating["feature"]) >= {"discriminator main"} or separating.height
    assert not (folder / "models/main.adversarial").exists()


def test_a_discriminator_without_a_use_is_refused(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    for split, message in (
        ({"adversarial_model": "main"}, "requires `like_test`"),
        ({"adversarial_model": "other", "like_test": True}, "'other' should be the name of a model"),
    ):
        with pytest.raises(RecipeError) as caught:
            load_recipe(write_recipe(tmp_path, split=split))
        assert message in str(caught.value)
