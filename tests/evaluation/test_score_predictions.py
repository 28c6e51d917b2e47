"""Scores of predictions from any tool: columns, labels, probabilities, pairs of models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, log_loss

import holotype
from holotype.cli.main import main
from holotype.core.errors import DataError, InputError
from holotype.evaluation.metrics import adjust_p_values
from holotype.evaluation.score_predictions import score_tables

CLASSES = ("cat", "dog", "owl")


def draw_table(skill: float = 1.0, seed: int = 0, samples: int = 240) -> pl.DataFrame:
    """Labels, plates and probabilities of a classifier; the labels do not depend on the seed of the classifier."""
    label = np.random.default_rng(1).choice(3, samples, p=[0.5, 0.35, 0.15])
    logits = np.random.default_rng(seed).normal(size=(samples, 3)) + skill * np.eye(3)[label]
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return pl.DataFrame(
        {
            "id": [f"s{number}" for number in range(samples)],
            "label": np.array(CLASSES)[label],
            "plate": np.arange(samples) % 12,
            **{f"prob_{name}": values[:, number] for number, name in enumerate(CLASSES)},
        }
    )


def with_predictions(table: pl.DataFrame, **names: str) -> pl.DataFrame:
    values = table.select(f"prob_{name}" for name in CLASSES).to_numpy()
    predicted = pl.Series("predicted", np.array(CLASSES)[values.argmax(axis=1)])
    return table.select("id", "label", "plate", predicted).rename(names)


def test_probabilities_are_scored_as_scikit_learn_does() -> None:
    table = draw_table()
    values = table.select(f"prob_{name}" for name in CLASSES).to_numpy()
    result = score_tables([table])
    truth, predicted = table["label"].to_numpy(), np.array(CLASSES)[values.argmax(axis=1)]
    metrics = result.scores["metrics"]
    assert metrics["macro_f1"]["value"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert metrics["accuracy"]["value"] == pytest.approx(accuracy_score(truth, predicted))
    assert metrics["log_loss"]["value"] == pytest.approx(log_loss(truth, values), rel=1e-5)
    each = [average_precision_score(truth == name, values[:, number]) for number, name in enumerate(CLASSES)]
    assert metrics["map"]["value"] == pytest.approx(np.mean(each), rel=1e-5)
    assert metrics["macro_f1"]["groups"] == 12
    assert metrics["macro_f1"]["low"] < metrics["macro_f1"]["value"] < metrics["macro_f1"]["high"]
    assert {row["group"] for row in result.scores["groups"]} == {str(number) for number in range(12)}
    assert "does not say whether" in metrics["macro_f1"]["method"]


def test_guessed_columns_are_noted() -> None:
    notes = score_tables([draw_table()]).models[0].notes
    assert "label: column 'label'" in notes
    assert "group: column 'plate'" in notes
    assert "probabilities: columns prob_cat, prob_dog, prob_owl, of 3 classes" in notes
    assert "predictions: the likeliest class" in notes


@pytest.mark.parametrize(
    "names", [{"label": "y_true", "predicted": "y_pred"}, {"label": "Ground truth", "predicted": "Predicted label"}]
)
def test_usual_names_are_recognized(names: dict[str, str]) -> None:
    result = score_tables([with_predictions(draw_table(), **names)])
    assert result.scores["metrics"]["macro_f1"]["value"] == pytest.approx(
        score_tables([draw_table()]).scores["metrics"]["macro_f1"]["value"]
    )
    assert "log_loss" not in result.scores["metrics"]  # it needs probabilities


def test_columns_named_like_the_classes_are_probabilities() -> None:
    table = draw_table().rename({f"prob_{name}": name for name in CLASSES})
    assert score_tables([table]).scores == score_tables([draw_table()]).scores


def test_named_columns_win_over_guesses() -> None:
    table = with_predictions(draw_table()).with_columns(truth=pl.col("label"), target=pl.lit("cat"))
    with pytest.raises(InputError, match=r"label, truth, target could each be the label.*its columns are id, label"):
        score_tables([table])
    result = score_tables([table], label="truth", predicted="predicted", groups=["none"])
    assert result.scores["metrics"]["macro_f1"]["groups"] == table.height


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"drop": "label"}, {}, "no column is named like a true label; its columns are"),
        ({"drop": "predicted"}, {}, "no column is named like a prediction or a probability"),
        ({}, {"label": "lable"}, "no column 'lable'; did you mean 'label'"),
        ({}, {"groups": ["well"]}, "has no column 'well'"),
        ({}, {"probabilities": ["p_*"]}, "no column that fits 'p_\\*'"),
        ({}, {"metric": "map"}, "map needs probabilities"),
        ({}, {"metric": "auroc"}, "auroc needs probabilities"),
        ({}, {"metric": "f1"}, "unknown metric 'f1'"),
        ({}, {"by": "model"}, "no column 'model'"),
        ({"add": "patient"}, {}, "plate, patient could each make samples dependent.*--group none"),
    ],
)
def test_what_is_not_clear_is_refused(change: dict[str, str], options: dict[str, object], message: str) -> None:
    table = with_predictions(draw_table())
    table = table.drop(change["drop"]) if "drop" in change else table
    table = table.with_columns(pl.lit("a").alias(change["add"])) if "add" in change else table
    with pytest.raises(InputError, match=message):
        score_tables([table], **options)  # type: ignore[arg-type]


def test_values_that_are_no_probabilities_are_refused() -> None:
    table = draw_table().with_columns(pl.col("prob_cat") * 9)
    with pytest.raises(DataError, match=r"no numbers between 0 and 1; .*softmax"):
        score_tables([table])


def test_a_missing_prediction_counts_as_wrong_and_a_missing_label_is_left_out() -> None:
    table = with_predictions(draw_table(skill=9))
    rows = pl.int_range(table.height)
    table = table.with_columns(
        pl.when(rows < 24).then(None).otherwise(pl.col("predicted")).alias("predicted"),
        pl.when(rows >= 228).then(pl.lit("NA")).otherwise(pl.col("label")).alias("label"),
    )
    result = score_tables([table])
    metric = result.scores["metrics"]["accuracy"]
    assert metric["samples"] == 228
    assert metric["value"] == pytest.approx(204 / 228)
    assert "24 rows without a prediction: counted as wrong" in result.models[0].notes
    assert "12 rows without a label (written 12 as 'NA'): left out" in result.models[0].notes


@pytest.mark.parametrize("form", ["separator", "guessed", "list", "json"])
def test_several_labels_per_sample(form: str) -> None:
    generator = np.random.default_rng(2)
    truth = generator.random((90, 3)) < 0.4
    values = 0.4 * truth + 0.6 * generator.random((90, 3))
    lists = [[CLASSES[number] for number in np.flatnonzero(row)] for row in truth]
    cells = {
        "separator": ["|".join(labels) for labels in lists],
        "guessed": ["|".join(labels) for labels in lists],
        "list": lists,
        "json": [json.dumps(labels) for labels in lists],
    }[form]
    table = pl.DataFrame({"label": cells, **{f"prob_{name}": values[:, i] for i, name in enumerate(CLASSES)}})
    result = score_tables([table], separator="|" if form == "separator" else None)
    expected = f1_score(truth, values >= 0.5, average="macro", zero_division=0)
    assert result.scores["metrics"]["macro_f1"]["value"] == pytest.approx(expected)
    assert result.scores["metrics"]["accuracy"]["value"] == pytest.approx(accuracy_score(truth, values >= 0.5))


def test_thousands_of_classes_are_scored_sparsely() -> None:
    generator = np.random.default_rng(3)
    label = np.concatenate([np.arange(2_100), generator.integers(0, 2_100, 900)])
    predicted = np.where(generator.random(3_000) < 0.7, label, generator.integers(0, 2_100, 3_000))
    result = score_tables([pl.DataFrame({"label": label, "predicted": predicted})])
    expected = f1_score(label, predicted, average="macro")
    assert result.scores["metrics"]["macro_f1"]["value"] == pytest.approx(expected)


def test_models_are_compared_on_their_shared_samples_whatever_their_order() -> None:
    worse, better = draw_table(0.5, seed=3), draw_table(2.5, seed=4)
    shuffled = better.sample(200, shuffle=True, seed=5)
    result = score_tables({"worse": worse, "better": shuffled, "same": worse})
    first, second = result.comparisons
    assert (first.model, first.against, first.samples, first.independent_groups) == ("better", "worse", 200, 12)
    both = worse.join(shuffled, on="id", suffix="_other")
    sides = [
        np.array(CLASSES)[both.select(f"prob_{name}{end}" for name in CLASSES).to_numpy().argmax(axis=1)]
        for end in ("", "_other")
    ]
    scores = [f1_score(both["label"].to_numpy(), side, average="macro") for side in sides]
    difference = first.metrics["macro_f1"]
    assert difference.value == pytest.approx(scores[1] - scores[0])
    assert 0 < difference.low < difference.value < difference.high
    assert first.adjusted["macro_f1"] == pytest.approx(2 * difference.p_value)  # the smaller of two
    assert (second.metrics["macro_f1"].value, second.adjusted["macro_f1"]) == (0, 1)
    assert "200 samples are shared and compared; 40 only of worse and 0 only of better are not" in first.notes
    assert len(first.groups) == 12
    plate = first.groups[0]
    rows = (both["plate"].cast(pl.String) == plate["group"]).to_numpy()
    expected = [
        f1_score(
            both["label"].to_numpy()[rows],
            side[rows],
            average="macro",
            labels=np.unique(both["label"].to_numpy()[rows]),
        )
        for side in sides
    ]
    assert (plate["before"], plate["after"]) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


def test_a_group_column_of_very_many_values_is_noted() -> None:
    tables = {skill: draw_table(skill, samples=410).with_columns(plate=pl.int_range(410) // 2) for skill in (1.0, 2.0)}
    (comparison,) = score_tables({str(skill): table for skill, table in tables.items()}).comparisons
    assert (comparison.groups, comparison.independent_groups) == ([], 205)
    assert comparison.notes == ("the column 'plate' has too many values to be compared one by one",)


def test_models_in_one_table_are_those_in_several() -> None:
    tables = {"a": draw_table(0.5), "b": draw_table(2.5, seed=4)}
    stacked = pl.concat(table.with_columns(model=pl.lit(name)) for name, table in tables.items())
    one, several = score_tables([stacked], by="model"), score_tables(tables)
    assert [model.scores for model in one.models] == [model.scores for model in several.models]
    assert one.comparisons == several.comparisons


def test_rows_without_ids_are_matched_by_order_only_if_their_labels_agree() -> None:
    table = draw_table().drop("id")
    result = score_tables({"a": table, "b": table})
    assert result.comparisons[0].notes == ("without an id, the rows were matched by their order",)
    with pytest.raises(InputError, match="have no id column"):
        score_tables({"a": table, "b": table.reverse()})


def test_holm_agrees_with_its_definition() -> None:
    np.testing.assert_allclose(adjust_p_values([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(adjust_p_values([0.5, 0.9]), [1, 1])
    generator = np.random.default_rng(0)
    for size in (1, 2, 7):
        values = generator.random(size) ** 3
        by_definition = [  # of each: the largest (m - rank) p among those not larger
            min(1, max((size - sorted(values).index(other)) * other for other in values if other <= value))
            for value in values
        ]
        np.testing.assert_allclose(adjust_p_values(values), by_definition)


def test_the_command_writes_scores_in_the_form_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_table().write_csv(tmp_path / "a.csv")
    draw_table(2.5, seed=4).write_parquet(tmp_path / "b.parquet")
    assert main(["score", str(tmp_path / "a.csv"), "--out", str(tmp_path / "scored")]) == 0
    scores = json.loads((tmp_path / "scored" / "scores.json").read_text())
    assert {"metrics", "steps", "classes", "groups", "domains"} <= set(scores)
    capsys.readouterr()
    assert main(["report", str(tmp_path / "scored"), "--quiet"]) == 0  # `report` reads the folder as it does a run's
    assert f"macro_f1 {scores['metrics']['macro_f1']['value']:.3f}" in capsys.readouterr().out
    arguments = ["score", str(tmp_path / "a.csv"), str(tmp_path / "b.parquet"), "--out", str(tmp_path / "both")]
    assert main([*arguments, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in data["models"]] == ["a", "b"]
    assert data["comparisons"] == json.loads((tmp_path / "both" / "comparisons.json").read_text())
    assert main([*arguments, "--quiet"]) == 0
    assert "b against a: different: macro_f1 +" in capsys.readouterr().out


def test_the_python_function_is_that_of_the_command(tmp_path: Path) -> None:
    draw_table().write_csv(tmp_path / "a.csv")
    result = holotype.score(tmp_path / "a.csv", probabilities="prob_*", groups="plate")
    assert result.scores == score_tables([draw_table()]).scores
