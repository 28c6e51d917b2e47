"""A taxonomy along the whole road: learnt, decided, backed off to, scored and reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

import holotype
from holotype.api import FittedRun
from holotype.cache import RunLog, Steps, Store
from holotype.core.errors import RecipeError
from holotype.networks import open_checkpoint
from holotype.pipeline.prepare import prepare
from holotype.pipeline.runtime import make_runtime
from holotype.recipe.load import load_recipe, parse_recipe

SPECIES = [f"{genus} {kind}" for genus in ("Acer", "Alnus", "Quercus") for kind in ("alba", "nigra")]
GENUS = {name: name.split()[0] for name in SPECIES}
FAMILY = {"Acer": "Sapindaceae", "Alnus": "Fagales", "Quercus": "Fagales"}
WEIGHTS = {"genus": 0.3, "family": 0.1, "species": 1.0}
WriteTaxa = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty drawn images of six species, two a genus, and twelve to predict; the genus is a colour, the kind a half."""
    folder, random = tmp_path_factory.mktemp("leaves"), np.random.default_rng(4)
    (folder / "images").mkdir()
    rows = []
    for number in range(72):
        place = number % 6
        pixels = random.integers(0, 90, (24, 24, 3))
        half = slice(0, 12) if place % 2 else slice(12, 24)
        pixels[half, :, place // 2] += 150
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number}.png")
        rows.append({"id": number, "species": SPECIES[place]})
    table = pl.DataFrame(rows)
    table[:60].write_csv(folder / "train.csv")
    table[60:].select("id").write_csv(folder / "test.csv")
    ranks = [{"species": name, "genus": GENUS[name], "family": FAMILY[GENUS[name]]} for name in SPECIES]
    pl.DataFrame(ranks).write_csv(folder / "taxonomy.csv")
    return folder


@pytest.fixture(scope="module")
def content(leaves: Path) -> WriteTaxa:
    """The content of a recipe with some `levels`, one epoch a fold."""

    def write(levels: Any, labels: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        own = {"column": "species", "taxonomy": str(leaves / "taxonomy.csv"), **(labels or {})}
        model = {
            "backbone": "test_efficientnet",
            "weights": "none",
            "input": {"size": 24},
            "head": {"taxonomy": levels},
            "phases": [
                {
                    "epochs": 1,
                    "lr": 0.005,
                    "accumulate": 2,
                    "label_smoothing": 0.1,
                    "class_weights": "sqrt",
                    "loss": "focal",
                }
            ],
            "augment": {"mix": {"kind": "mixup", "alpha": 0.4}},
            "predict": {"tta": "flips"},
        }
        data = {
            "train": str(leaves / "train.csv"),
            "test": str(leaves / "test.csv"),
            "images": f"{leaves}/images/{{id}}.png",
            "labels": own,
        }
        run = {"threads": 1, "workers": 0, "batch": 8, "device": "cpu"}
        return {"run": run, "data": data, "split": {"folds": 3}, "models": [model], **more}

    return write


@pytest.fixture(scope="module", params=["marginal", "separate"])
def opened(request: pytest.FixtureRequest, content: WriteTaxa, tmp_path_factory: pytest.TempPathFactory) -> FittedRun:
    folder = tmp_path_factory.mktemp(request.param)
    levels = {"kind": request.param, "weights": WEIGHTS}
    made = content(levels, calibration={"method": "temperature", "back_off": 0.6})
    (folder / "recipe.yaml").write_text(json.dumps(made), encoding="utf-8")
    return holotype.run(folder / "recipe.yaml")


def test_an_opened_run_predicts_as_the_run_did(opened: FittedRun, leaves: Path) -> None:
    known = dict(pl.read_parquet(opened.folder.root / "test.parquet").iter_rows())
    table = opened.read_images(leaves / "test.csv")
    ids = table.samples.frame["id"].to_list()
    logits = opened.logits(table)
    assert logits.shape == (12, 6)
    assert np.abs(logits - np.array([known[str(name)] for name in ids])).max() < 1e-5
    written = pl.read_csv(opened.folder.root / "predictions.csv")
    again = opened.predict(leaves / "test.csv")
    assert again["answer"].to_list() == written["answer"].to_list()
    assert again["rank"].to_list() == written["rank"].to_list()


def test_the_card_knows_the_ranks(opened: FittedRun) -> None:
    card = open_checkpoint(opened.folder.root / "models" / "main" / "fold0").card
    assert card["taxonomy"]["names"] == ["genus", "family"]
    assert card["taxonomy"]["parents"] == [[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1]]
    assert card["model"]["head"]["taxonomy"]["weights"] == {"genus": 0.3, "family": 0.1, "class": 1.0}


def test_what_is_answered_is_a_species_or_stands_above_one(opened: FittedRun) -> None:
    table = pl.read_csv(opened.folder.root / "predictions.csv")
    taxa = {"class": set(SPECIES), "genus": set(FAMILY), "family": set(FAMILY.values()), None: {None}}
    assert all(answer in taxa[rank] for answer, rank in table.select("answer", "rank").iter_rows())
    decided = table["labels"].to_list()
    assert set(decided) <= set(SPECIES)


def test_scores_are_told_by_rank_and_nest(opened: FittedRun) -> None:
    scores = json.loads((opened.folder.root / "scores.json").read_text(encoding="utf-8"))
    assert [(one["rank"], one["classes"]) for one in scores["ranks"]] == [("class", 6), ("genus", 3), ("family", 2)]
    species, genus, family = scores["ranks"]
    assert species["accuracy"] == pytest.approx(scores["metrics"]["accuracy"]["value"])
    assert species["low"] == pytest.approx(scores["metrics"]["accuracy"]["low"])
    assert species["macro_f1"] == pytest.approx(scores["metrics"]["macro_f1"]["value"])
    # Whoever has the species right has the genus right: what is predicted is one species with all above it.
    assert species["accuracy"] <= genus["accuracy"] <= family["accuracy"]
    whole = np.mean([one["accuracy"] for one in scores["ranks"]])
    assert species["hierarchical_f1"] == pytest.approx(whole)  # every sample gives and has three ancestors
    assert family["hierarchical_f1"] == pytest.approx(family["accuracy"])
    for one in scores["ranks"]:
        assert one["low"] <= one["accuracy"] <= one["high"]
        assert one["curve"][-1]["coverage"] == 1
        assert one["curve"][-1]["accuracy"] == pytest.approx(one["accuracy"])
    assert [one["rank"] for one in scores["back_off"]] == ["class", "genus", "family"]
    covered = [one["coverage"] for one in scores["back_off"]]
    assert covered == sorted(covered)
    assert sum(one["share"] for one in scores["back_off"]) == pytest.approx(covered[-1])
    assert "the calibration" in scores["metrics"]["accuracy"]["method"]


def test_the_report_has_a_section_by_rank(opened: FittedRun) -> None:
    page = (opened.folder.root / "report.html").read_text(encoding="utf-8")
    section = page.split('id="ranks"')[1].split("</section>")[0]
    assert "genus" in section
    assert section.count('class="curve') == 1


def levels_of(content: dict[str, Any], folder: Path) -> None:
    """Read and check a recipe as `holotype check` does, without training."""
    recipe = parse_recipe(content, folder)
    steps = Steps(Store(folder / "store"), RunLog(folder / "log.jsonl"), make_runtime(recipe, folder).progress)
    prepare(recipe, steps, make_runtime(recipe, folder))


@pytest.mark.parametrize(
    ("levels", "more", "message"),
    [
        (
            {"genuss": 0.3},
            {},
            "models.0.head.taxonomy.weights: the taxonomy has no rank 'genuss'; did you mean 'genus'",
        ),
        ({"genus": -0.3}, {}, "models.0.head.taxonomy.genus: -0.3 should be greater than or equal to 0"),
        ({"genus": 0.0}, {}, "no rank above the classes has a weight"),
        ({"genus": 0.3, "class": 0}, {}, "the classes would not be learned"),
        ({"genus": 0.3, "species": 0}, {}, "the classes would not be learned"),
        ({"genus": 0.3, "species": 1, "class": 1}, {}, "'species' and 'class' are the same"),
        ({"kind": "marginal"}, {}, "weights"),
        ({"kind": "separate", "weights": {}}, {}, "weights"),
        ({"kind": "trees", "weights": {"genus": 1}}, {}, "'marginal' or 'separate'"),
        ({"genus": 0.3}, {"taxonomy": None}, "requires data.labels.taxonomy"),
        ({"genus": 0.3}, {"kind": "multilabel", "taxonomy": None}, "head.taxonomy: requires multiclass labels"),
        (None, {"kind": "multilabel"}, "taxonomy: requires multiclass labels"),
    ],
)
def test_levels_that_have_no_meaning_are_refused_before_training(
    content: WriteTaxa, tmp_path: Path, levels: Any, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        levels_of(content(levels, more), tmp_path)
    assert message in str(caught.value)


def test_many_labels_do_not_back_off(content: WriteTaxa, tmp_path: Path) -> None:
    labels = {"kind": "multilabel", "taxonomy": None}
    with pytest.raises(RecipeError, match=r"calibration.back_off: requires multiclass labels"):
        parse_recipe(content(None, labels, calibration={"back_off": 0.9}), tmp_path)


def test_the_short_form_is_the_weights_of_marginal(content: WriteTaxa, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(json.dumps(content({"family": 1})), encoding="utf-8")
    levels = load_recipe(tmp_path / "recipe.yaml").models[0].head.taxonomy
    assert levels is not None
    assert (levels.kind, levels.weights) == ("marginal", {"family": 1.0})


def test_only_who_learns_ranks_is_trained_again_by_another_taxonomy(
    content: WriteTaxa, leaves: Path, tmp_path: Path, steps_of: Callable[[Path], dict[str, str]]
) -> None:
    other = tmp_path / "other.csv"
    taxa = pl.read_csv(leaves / "taxonomy.csv")
    taxa.with_columns(family=pl.Series([*["Sapindaceae"] * 4, *["Fagales"] * 2])).write_csv(other)
    states = {}
    for name, levels in (("plain", None), ("learnt", {"family": 0.5})):
        for labels in ({}, {"taxonomy": str(other)}):
            made = content(levels, labels, split={"folds": 3, "folds_to_train": [0]})
            (tmp_path / "recipe.yaml").write_text(json.dumps(made), encoding="utf-8")
            holotype.run(tmp_path / "recipe.yaml", tmp_path / name)
            states[name] = steps_of(tmp_path / name)["fit main 0"]
    assert states == {"plain": "reused", "learnt": "made"}
