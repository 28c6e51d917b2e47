"""The six systems from end to end on their stand-ins: each part leaves what it should in the run's folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

import holotype

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HOLOTYPE_DATA") or CHECKOUT.parent / "shared" / "data")


class Ran:
    """A finished run of a system, and the stand-in that it ran on.

    Args:
        root: The run's folder.
        place: The stand-in's.
    """

    def __init__(self, root: Path, place: Path) -> None:
        self.root, self.place = root, place

    def json(self, name: str) -> Any:
        return json.loads((self.root / name).read_text(encoding="utf-8"))

    def card(self, place: str) -> dict[str, Any]:
        told: dict[str, Any] = self.json(f"models/{place}/card.json")
        return told

    def table(self, name: str) -> pl.DataFrame:
        path = self.root / name
        return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)

    def truth(self) -> pl.DataFrame:
        return pl.read_csv(self.place / "truth.csv", infer_schema=False)

    def said(self) -> str:
        lines = [json.loads(line) for line in (self.root / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        return "\n".join(line["text"] for line in lines if line["event"] == "message")


def precisions(ran: Ran) -> tuple[float, list[float]]:
    """Mean average precision over the classes of the out-of-fold scores, and that of scores dealt to other samples."""
    identity, label = next(
        pair
        for pair in (("id_code", "sirna"), ("Id", "Target"), ("id", "category_id"))
        if set(pair) <= set(ran.truth().columns)
    )
    known = dict(ran.truth().select(identity, pl.col(label).str.split(" ")).iter_rows())
    oof, classes = ran.table("oof.parquet"), ran.table("classes.csv")["name"].to_list()
    scores = np.array(oof["scores"].to_list())
    truth = np.array([[one in known[name] for one in classes] for name in oof["id"].to_list()])
    scores, truth = scores[:, truth.any(axis=0)], truth[:, truth.any(axis=0)]
    random = np.random.default_rng(1)
    orders = [np.arange(len(truth)), *(random.permutation(len(truth)) for _ in range(40))]
    own, *shuffled = (float(average_precision_score(truth[order], scores, average="macro")) for order in orders)
    return own, shuffled


@pytest.fixture(scope="module")
def quick(systems: ModuleType, drawn: Path) -> dict[str, Ran]:
    """Quick runs, made when they are first asked for."""

    class Runs(dict[str, Ran]):
        def __missing__(self, name: str) -> Ran:
            place = systems.draw(systems.STAND_INS[name], drawn, quick=True)
            opened = holotype.run(systems.write_reduced(name, place, quick=True))
            self[name] = Ran(opened.folder.root, place)
            return self[name]

    return Runs()


def check_what_every_run_writes(ran: Ran, name: str) -> None:
    truth = ran.truth().filter(role="test")
    identity = {"cellular-silver": "id_code", "herbarium-focal": "id"}.get(name, "Id")
    submission = ran.table("submission.csv")
    assert submission.columns == [
        {"cellular-silver": "id_code"}.get(name, "Id"),
        {"cellular-silver": "sirna"}.get(name, "Predicted"),
    ]
    wanted = truth[identity].unique(maintain_order=True).to_list()
    assert submission[submission.columns[0]].to_list() == wanted
    classes = set(ran.table("classes.csv")["name"])
    assert set(submission[submission.columns[1]].str.split(" ").explode()) <= classes
    scores = ran.json("scores.json")["metrics"]
    metric = "accuracy" if name == "cellular-silver" else "macro_f1"
    assert 0 <= scores[metric]["low"] <= scores[metric]["value"] <= scores[metric]["high"] <= 1
    assert scores[metric]["samples"] == ran.table("oof.parquet").height
    assert (ran.root / "report.html").stat().st_size > 10_000


def test_a_system_runs_from_end_to_end(name: str, quick: dict[str, Ran]) -> None:
    check_what_every_run_writes(quick[name], name)


def test_community_b1b2_averages_two_networks_and_lowers_its_threshold(quick: dict[str, Ran]) -> None:
    ran = quick["community-b1b2"]
    assert ran.json("ensemble.json")["weights"] == [0.5, 0.5]
    decision = ran.json("decision.json")
    assert (decision["kind"], decision["levels"]) == ("cascade", [0.5, 0.46, 0.445])
    assert (ran.table("submission.csv")["Predicted"].str.len_chars() > 0).all()  # argmax where all levels fail
    for model in ("b1", "b2"):
        card = ran.card(f"{model}/fold0")
        assert (card["model"]["checkpoints"]["best"], card["rows"]["inner"] > 0) == (1, True)


def test_one_more_layer_handles_every_planted_copy_by_its_kind(quick: dict[str, Ran]) -> None:
    ran = quick["one-more-layer-of-stacking"]
    clusters = ran.table("audit/clusters.parquet")
    cluster = dict(clusters.select("id", "cluster").iter_rows())
    action = dict(clusters.select("id", "action").iter_rows())
    fold = dict(ran.table("folds.parquet").select("id", "fold").iter_rows())
    truth = ran.truth()
    copies = truth.drop_nulls("duplicate_of")
    assert set(cluster) == set(copies["Id"]) | set(copies["duplicate_of"])
    for name, source in copies.select("Id", "duplicate_of").iter_rows():
        assert cluster[name] == cluster[source], name
        if source.startswith("test"):
            assert (action[name], fold[name]) == ("validated", None)
        else:
            assert action[name] == "grouped"
            assert fold[name] == fold[source]


def test_one_more_layer_is_scored_on_its_holdout_and_apart(quick: dict[str, Ran]) -> None:
    ran = quick["one-more-layer-of-stacking"]
    likeness = ran.table("audit/train_test_similarity.parquet")
    assert sorted(ran.table("oof.parquet")["id"]) == sorted(likeness.filter("in_holdout")["sample"])
    leaked = ran.truth().filter(pl.col("duplicate_of").str.starts_with("test"))
    assert ran.json("scores.json")["subsets"]["external like test"]["macro_f1"]["samples"] == leaked.height


def test_one_more_layer_stacks_networks_of_three_and_of_four_channels(quick: dict[str, Ran]) -> None:
    ran = quick["one-more-layer-of-stacking"]
    ensemble = ran.json("ensemble.json")
    assert (ensemble["kind"], len(ensemble["models"]), bool(ensemble["stack"])) == ("stack", 8, True)
    for model in ensemble["models"]:
        card = ran.card(f"{model}/fold0")
        assert card["input_channels"] == (3 if model.endswith("-rgb") else 4), model
    assert "seresnext50, fold 0: learning rate " in ran.said()
    assert ran.json("decision.json")["kind"] == "per-class"


def test_bestfitting_pools_crops_by_their_maximum_and_looks_for_neighbours(quick: dict[str, Ran]) -> None:
    ran = quick["bestfitting"]
    ensemble = ran.json("ensemble.json")
    assert ensemble["models"] == ["densenet121", "densenet121.neighbors"]
    assert ensemble["pools"][0] == "max"
    nearest = ran.table("models/densenet121.neighbors/nearest.parquet")
    assert set(nearest["id"]) >= set(ran.table("test.parquet")["id"])


def test_pudae_weighs_three_networks_and_gives_classes_their_shares(quick: dict[str, Ran]) -> None:
    ran = quick["pudae"]
    ensemble = ran.json("ensemble.json")
    assert (ensemble["kind"], len(ensemble["models"])) == ("weighted", 3)
    assert sum(ensemble["weights"]) == pytest.approx(1)
    decision = ran.json("decision.json")
    train = ran.table("folds.parquet").filter(role="train")["id"].to_list()  # those that are never scored count too
    labels = ran.truth().filter(pl.col("Id").is_in(train))["Target"].str.split(" ")
    shares = [labels.list.contains(name).mean() for name in decision["classes"]]
    assert decision["kind"] == "prior"
    assert decision["class_priors"] == pytest.approx(shares)


def test_cellular_silver_has_a_specialist_for_each_cell_type(quick: dict[str, Ran]) -> None:
    ran = quick["cellular-silver"]
    cards = [ran.card(f"b2/specialists/{path.name}") for path in (ran.root / "models/b2/specialists").iterdir()]
    assert sorted(card["domain"] for card in cards) == ["HEPG2", "HUVEC", "RPE", "U2OS"]
    folds = ran.table("folds.parquet").join(ran.truth().select("id", "cell_type"), on="id")
    for card in cards:
        own = folds.filter((pl.col("cell_type") == card["domain"]) & (pl.col("fold") == card["fold"]))
        assert card["rows"]["validation"] == own.height
    assert "specialist_domains" in ran.json("ensemble.json")


def test_cellular_silver_gives_a_perturbation_once_a_plate(quick: dict[str, Ran]) -> None:
    ran = quick["cellular-silver"]
    wells = ran.truth().filter(role="test", site="1").select("id_code", "batch")
    given = ran.table("submission.csv").join(wells, on="id_code").group_by("batch").agg(pl.col("sirna"))
    sets = dict(pl.read_csv(ran.place / "sets.csv", infer_schema=False).iter_rows())
    for (names,) in given.select("sirna").iter_rows():
        assert len(set(names)) == len(names)
        assert len({sets[name] for name in names}) == 1


def test_cellular_silver_s_models_differ_as_its_recipe_says(quick: dict[str, Ran]) -> None:
    ran = quick["cellular-silver"]
    cards = {name: ran.card(f"{name}/fold0") for name in ran.json("ensemble.json")["models"]}
    assert {name for name, card in cards.items() if card["model"]["activation"] == "mish"} == {
        "b2-mish",
        "b3-mish",
        "b4-mish",
    }
    assert cards["b4-arcface"]["model"]["head"]["margin"]["scale"] == 30
    assert cards["b4-arcface"]["round"] == 1
    assert cards["b4-arcface"]["rows"]["pseudo_labels"] > 0
    assert all(card["rows"].get("pseudo_labels", 0) == 0 for name, card in cards.items() if name != "b4-arcface")


def test_herbarium_focal_is_scored_by_rank_and_answers_with_category_ids(quick: dict[str, Ran]) -> None:
    ran = quick["herbarium-focal"]
    assert [level["rank"] for level in ran.json("scores.json")["ranks"]] == ["class", "genus", "family"]
    known = set(ran.truth()["category_id"])
    assert set(ran.table("submission.csv")["Predicted"]) <= known
    assert ran.json("ensemble.json")["weights"] == [0.5, 0.5]


def test_herbarium_focal_trains_by_adam_then_sgd_then_adam(quick: dict[str, Ran]) -> None:
    card = quick["herbarium-focal"].card("seresnext50/fold0")
    assert [phase["optimizer"]["name"] for phase in card["model"]["phases"]] == ["adam", "sgd", "adam"]
    history = quick["herbarium-focal"].table("models/seresnext50/fold0/history.parquet")
    assert history["phase"].to_list() == [0, 1, 2]


@pytest.mark.slow
def test_a_system_learns_its_stand_in(name: str, systems: ModuleType, tmp_path: Path) -> None:
    """A few epochs: the scores fit their own images better than they fit others."""
    place = systems.draw(systems.STAND_INS[name], tmp_path, quick=False)
    ran = Ran(holotype.run(systems.write_reduced(name, place, quick=False)).folder.root, place)
    check_what_every_run_writes(ran, name)
    own, shuffled = precisions(ran)
    few = ran.table("oof.parquet").height < 150  # one holdout: what is above nearly all shuffles is then luck as well
    assert own > np.quantile(shuffled, 0.5 if few else 0.95)


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "leaf").is_dir(), reason=f"{DATA}/leaf is not there; set HOLOTYPE_DATA")
def test_herbarium_focal_runs_on_photographed_leaves(systems: ModuleType, tmp_path: Path) -> None:
    data = systems.real_leaves()
    path = systems.write_reduced("herbarium-focal", tmp_path, quick=True, data=data)
    opened = holotype.run(path)
    ran = Ran(opened.folder.root, tmp_path)
    assert [level["rank"] for level in ran.json("scores.json")["ranks"]] == ["class", "genus", "family"]
    assert ran.table("submission.csv").height == pl.read_csv(data["test"]).height
