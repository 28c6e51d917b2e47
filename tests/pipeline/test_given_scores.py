"""Models whose scores were made elsewhere, on the whole road: without images, with and without out-of-fold scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from ruamel.yaml import YAML
from scipy.special import expit

from holotype.api import run
from holotype.core.errors import InputError

ROWS, TESTS, CLASSES = 400, 150, ("actin", "golgi", "nucleus")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Labels of three classes, plates, and two models' probabilities of train and test rows."""
    random = np.random.default_rng(1)
    hidden = random.normal(0, 1.5, (ROWS + TESTS, 3)) - np.array([0, 1, 2])
    truth = random.random(hidden.shape) < expit(hidden)
    names = [" ".join(np.array(CLASSES)[row]) for row in truth]
    ids = [f"s{number:03d}" for number in range(ROWS + TESTS)]
    plate = [f"p{number // 20:02d}" for number in range(ROWS + TESTS)]
    table = pl.DataFrame({"id": ids, "label": names, "plate": plate})
    table[:ROWS].write_csv(tmp_path / "train.csv")
    table[ROWS:].drop("label").write_csv(tmp_path / "test.csv")
    for model in range(2):
        said = expit(hidden + random.normal(0, 1, hidden.shape))
        np.save(tmp_path / f"oof{model}.npy", said[:ROWS])
        np.save(tmp_path / f"test{model}.npy", said[ROWS:])
    return tmp_path


@pytest.fixture
def write(place: Path) -> Callable[..., Path]:
    def made(models: list[dict[str, Any]] | None = None, **more: Any) -> Path:
        both = [{"name": f"m{k}", "predictions": {"oof": f"oof{k}.npy", "test": f"test{k}.npy"}} for k in range(2)]
        labels = {"kind": "multilabel", "classes": list(CLASSES)}
        recipe = {
            "data": {"train": "train.csv", "test": "test.csv", "groups": ["plate"], "labels": labels},
            "models": models or both,
            **more,
        }
        path = place / "recipe.yaml"
        with path.open("w") as stream:
            YAML(typ="safe", pure=True).dump(recipe, stream)
        return path

    return made


def scores(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "scores.json").read_text())


def test_scores_alone_are_ensembled_decided_scored_and_submitted_without_an_image(write: Callable[..., Path]) -> None:
    folder = run(write(ensemble={"kind": "weighted"}, calibration="beta", decision={"kind": "per-class"})).folder.root
    told = scores(folder)
    steps = [entry["step"] for entry in told["steps"]]
    assert steps == ["m0", "m1", "weighted of 2", "calibration: beta", "decision: per-class"]
    how = told["metrics"]["macro_f1"]["method"]
    assert "the weighting of the models and the calibration and the decision were refitted" in how
    assert "the scores of m0 are declared as out of fold, but they do not name their folds" in how
    assert pl.read_csv(folder / "submission.csv").height == TESTS
    assert (folder / "report.html").stat().st_size > 10_000
    assert (folder / "models" / "diversity.csv").is_file()


def test_test_rows_are_decided_by_the_thresholds_that_were_written(write: Callable[..., Path], place: Path) -> None:
    decide = {"kind": "threshold", "thresholds": 0.3, "fallback": "none"}
    folder = run(write([{"name": "m0", "predictions": {"test": "test0.npy"}}], decision=decide)).folder.root
    given = np.load(place / "test0.npy") > 0.3
    expected = [" ".join(np.array(CLASSES)[row]) for row in given]
    found = pl.read_csv(folder / "submission.csv", infer_schema=False)["label"].fill_null("").to_list()
    assert found == expected
    assert scores(folder)["metrics"] == {}
    assert "no sample has an out-of-fold score" in scores(folder)["method"]


def test_a_stack_and_a_prior_go_the_whole_road(write: Callable[..., Path], place: Path) -> None:
    stack = {"kind": "stack", "repeats": 1, "features": ["scores"]}
    folder = run(write(ensemble=stack, decision={"kind": "prior", "fallback": "none"})).folder.root
    told = scores(folder)
    assert "the stack" in told["metrics"]["macro_f1"]["method"]
    shares = pl.read_csv(folder / "submission.csv", infer_schema=False)["label"].fill_null("").str.contains("golgi")
    known = pl.read_csv(place / "train.csv", infer_schema=False)["label"].fill_null("").str.contains("golgi")
    assert shares.mean() == pytest.approx(known.mean(), abs=0.01)


def test_a_report_shows_what_the_stack_looks_at_and_how_far_its_probabilities_can_be_believed(
    write: Callable[..., Path],
) -> None:
    folder = run(write(ensemble={"kind": "stack", "repeats": 1, "features": ["scores"]})).folder.root
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Feature importance of the stack" in page
    assert "mean score of" in page
    assert "<h2>Calibration</h2>" in page


def test_models_are_weighted_where_nothing_else_is_said_and_the_mean_where_nothing_can_be_learnt(
    write: Callable[..., Path],
) -> None:
    told = json.loads((run(write()).folder.root / "ensemble.json").read_text())
    assert told["kind"] == "weighted"
    assert sum(told["weights"]) == pytest.approx(1)
    alone = [{"name": f"m{k}", "predictions": {"test": f"test{k}.npy"}} for k in range(2)]
    assert json.loads((run(write(alone)).folder.root / "ensemble.json").read_text())["kind"] == "mean"


def test_the_run_says_how_the_priors_labels_differ_from_the_plain_rules(write: Callable[..., Path]) -> None:
    folder = run(write(decision={"kind": "prior", "fallback": "none"})).folder.root
    said = [line for line in (folder / "log.jsonl").read_text().splitlines() if "decision prior: " in line]
    assert len(said) == 1
    assert f"of {TESTS} test samples get other labels than with thresholds of 0.5" in said[0]


def test_a_sample_submission_gives_the_order_and_has_the_same_ids(write: Callable[..., Path], place: Path) -> None:
    ids = pl.read_csv(place / "test.csv")["id"].to_list()
    turned = pl.DataFrame({"id": ids[::-1], "label": [""] * len(ids)})
    turned.write_csv(place / "sample.csv")
    folder = run(write(submission={"order": "sample.csv"})).folder.root
    found = pl.read_csv(folder / "submission.csv", infer_schema=False)
    plain = pl.read_csv(run(write()).folder.root / "submission.csv", infer_schema=False)
    assert found["id"].to_list() == ids[::-1]
    assert found.reverse().equals(plain)
    for table, words in (
        (turned[1:], "1 id of the test table is not in the sample submission"),
        (turned.with_columns(pl.col("id").replace(ids[0], "strange")), "of the sample submission is not in the test"),
        (pl.concat([turned, turned[:2]]), "2 ids of the sample submission are repeated"),
        (turned.rename({"id": "Id"}), "there is no column 'id'"),
    ):
        table.write_csv(place / "sample.csv")
        with pytest.raises(InputError, match=words):
            run(write(submission={"order": "sample.csv"}))


def test_tables_are_matched_by_names_of_classes_and_ids(write: Callable[..., Path], place: Path) -> None:
    plain = run(write()).folder.root
    table = pl.read_csv(place / "test.csv")
    for role, ids in (("oof", pl.read_csv(place / "train.csv")["id"]), ("test", table["id"])):
        for model in range(2):
            values = np.load(place / f"{role}{model}.npy")
            columns = {name: values[:, CLASSES.index(name)] for name in reversed(CLASSES)}
            pl.DataFrame({"id": ids, **columns}).reverse().write_parquet(place / f"{role}{model}.parquet")
    models = [
        {"name": f"m{k}", "predictions": {"oof": f"oof{k}.parquet", "test": f"test{k}.parquet", "rows": "id"}}
        for k in range(2)
    ]
    named = run(write(models, name="named")).folder.root
    for name in ("oof.parquet", "test.parquet", "submission.csv"):
        assert (plain / name).read_bytes() == (named / name).read_bytes()


def test_what_a_run_wrote_is_a_model_of_another(write: Callable[..., Path]) -> None:
    first = run(write(name="first")).folder.root / "models" / "m0"
    files = {"oof": str(first / "oof.parquet"), "test": str(first / "test.parquet"), "kind": "logit", "rows": "id"}
    again = run(write([{"name": "m0", "predictions": files}], name="again")).folder.root
    for name in ("oof.parquet", "test.parquet"):
        assert (again / "models" / "m0" / name).read_bytes() == (first / name).read_bytes()
    whole = {"oof": str(first.parents[1] / "oof.parquet"), "kind": "logit", "rows": "id"}
    together = run(write([{"name": "both", "predictions": whole}], name="together")).folder.root
    assert scores(together)["metrics"]["macro_f1"]["value"] > 0.5


def test_folds_that_are_named_and_are_ours_need_no_caveat(write: Callable[..., Path], place: Path) -> None:
    plain = run(write()).folder.root
    folds = dict(pl.read_parquet(plain / "folds.parquet").filter(pl.col("role") == "train").select("id", "fold").rows())
    ids = pl.read_csv(place / "train.csv")["id"].to_list()
    for model in range(2):
        held = np.load(place / f"oof{model}.npy")
        own = np.array([f"part {folds[name]}" for name in ids])
        np.savez(place / f"named{model}.npz", scores=held, ids=np.array(ids), folds=own)
    models = [{"name": f"m{k}", "predictions": {"oof": f"named{k}.npz", "test": f"test{k}.npy"}} for k in range(2)]
    how = scores(run(write(models, name="named")).folder.root)["metrics"]["macro_f1"]["method"]
    assert "declared as" not in how


def named(place: Path, fold: list[str]) -> list[dict[str, Any]]:
    ids = pl.read_csv(place / "train.csv")["id"].to_list()
    for model in range(2):
        held = np.load(place / f"oof{model}.npy")
        np.savez(place / f"named{model}.npz", scores=held, ids=np.array(ids), folds=np.array(fold))
    return [{"name": f"m{k}", "predictions": {"oof": f"named{k}.npz", "test": f"test{k}.npy"}} for k in range(2)]


def test_folds_that_all_scores_name_are_the_runs_own_where_no_plate_crosses_them(
    write: Callable[..., Path], place: Path
) -> None:
    plates = pl.read_csv(place / "train.csv")["plate"].to_list()
    theirs = ["b" if int(plate[1:]) % 3 == 0 else f"a{int(plate[1:]) % 3}" for plate in plates]
    folder = run(write(named(place, theirs))).folder.root
    found = pl.read_parquet(folder / "folds.parquet").filter(pl.col("role") == "train")
    assert found["fold"].to_list() == [["a1", "a2", "b"].index(name) for name in theirs]
    assert pl.read_parquet(folder / "folds.parquet").filter(pl.col("role") == "test")["fold"].null_count() == TESTS
    how = scores(folder)["metrics"]["macro_f1"]["method"]
    assert "declared as" not in how
    assert "(3 folds)" in how


def test_folds_that_tear_plates_apart_are_not_taken_over(write: Callable[..., Path], place: Path) -> None:
    folder = run(write(named(place, [str(number % 4) for number in range(ROWS)]))).folder.root
    assert "have other folds than the run" in scores(folder)["metrics"]["macro_f1"]["method"]
    words = json.loads((folder / "audit" / "warnings.json").read_text())
    assert any("the folds in the imported scores are not used" in word for word in words)


def spoiled(place: Path, what: str) -> dict[str, Any]:
    """A model whose out-of-fold file is wrong in one way."""
    values = np.load(place / "oof0.npy")
    ids = pl.read_csv(place / "train.csv")["id"].to_list()
    columns = {name: values[:, number] for number, name in enumerate(CLASSES)}
    table = pl.DataFrame({"id": ids, **columns})
    spec: dict[str, Any] = {"oof": f"{what}.parquet", "test": "test0.npy", "rows": "id"}
    if what == "nan":
        table[5, "golgi"] = float("nan")
    if what == "missing":
        table = table[:-3]
    if what == "twice":
        table = pl.concat([table, table[:2]])
    if what == "strange class":
        table = table.rename({"golgi": "gollgi"})
    if what == "logits":
        table = table.with_columns(pl.col("golgi") * 9 - 4)
    if what == "strangers":
        table = table.with_columns(pl.Series("id", [f"x{number}" for number in range(ROWS)]))
    table.write_parquet(place / f"{what}.parquet")
    if what == "rows":
        np.save(place / "rows.npy", values[:-1])
        spec = {"oof": "rows.npy", "test": "test0.npy"}
    if what == "no file":
        spec["oof"] = "nowhere.npy"
    return {"name": "m0", "predictions": spec}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nan", r"predictions\.oof: 1 row of .* hold a score that is not a number: s005"),
        ("missing", r"predictions\.oof: 3 training samples have no score: s397, s398, s399"),
        ("twice", r"predictions\.oof: 2 ids occur more than once: s000, s001"),
        ("strange class", r"has no column for golgi; one column a class"),
        ("logits", r"are not probabilities: -3.*to .*; write `kind: logit`"),
        ("strangers", r"none of the ids is one of the train table: x0, x1"),
        ("rows", r"399 rows of scores for 400 rows of the train table; write `rows: id`"),
        ("no file", r"the file '.*nowhere\.npy' does not exist"),
    ],
)
def test_wrong_files_are_refused_with_their_place_and_the_way_out(
    write: Callable[..., Path], place: Path, what: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(write([spoiled(place, what)]))


def test_probabilities_given_as_logits_are_noticed_and_said(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run(write([{"name": "m0", "predictions": {"oof": "oof0.npy", "test": "test0.npy", "kind": "logit"}}]))
    assert "lie between 0 and 1: if they are probabilities, write `kind: probability`" in "".join(capsys.readouterr())


def test_a_class_without_a_positive_row_falls_back(write: Callable[..., Path], place: Path) -> None:
    table = pl.read_csv(place / "train.csv", infer_schema=False)
    without = pl.col("label").fill_null("").str.replace("nucleus", "").str.strip_chars()
    table.with_columns(without).write_csv(place / "train.csv")
    folder = run(write(decision={"kind": "per-class", "repeats": 2})).folder.root
    decision = json.loads((folder / "decision.json").read_text())
    assert len(decision["thresholds"]) == 3
    assert 0 < decision["thresholds"][2] < 1
    assert "nucleus" in scores(folder)["metrics"]["macro_f1"]["method"]


def test_scores_made_elsewhere_cannot_predict_new_images(write: Callable[..., Path], place: Path) -> None:
    opened = run(write())
    with pytest.raises(InputError, match="the scores of m0, m1 were made elsewhere"):
        opened.predict(place / "test.csv")


def test_networks_need_images(write: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"data\.images: the recipe has no pattern for image files"):
        run(write([{"name": "net"}]))
