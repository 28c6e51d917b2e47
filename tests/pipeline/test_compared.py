"""Finished runs side by side: what is compared, what is not, and in which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.api import run
from holotype.cli.main import main
from holotype.core.errors import InputError
from holotype.runs.compare import compare_runs, write_comparison
from holotype.runs.recipe_diff import setting_differences

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs a small recipe whose scores were made elsewhere: no image, no network, less than a second."""

    def make(
        name: str,
        ids: range = range(160),
        classes: tuple[str, ...] = ("round", "star", HOSTILE),
        skill: float = 2.0,
        kind: str = "multiclass",
        shift: int = 0,
        **sections: Any,
    ) -> Path:
        folder = tmp_path_factory.mktemp(name)
        numbers = np.arange(max(ids) + 1)
        draw = np.random.default_rng(4)
        noise = draw.normal(0, 1, (len(numbers), 6))[:, : len(classes)]
        own = ((numbers * 7 + shift * (numbers % 11 == 0)) % 3) % len(classes)
        scores = noise + skill * np.eye(len(classes))[own]
        chosen = list(ids)
        pl.DataFrame(
            {
                "id": [f"w{number}" for number in chosen],
                "label": [classes[own[number]] for number in chosen],
                "plate": [f"p{number % 20}" for number in chosen],
            }
        ).write_csv(folder / "train.csv")
        folds = np.array([f"f{number % 20 % 4}" for number in chosen])
        names = np.array([f"w{number}" for number in chosen])
        np.savez(folder / "said.npz", scores=scores[chosen], ids=names, folds=folds)
        labels = {"column": "label", "kind": kind, "separator": "|", "classes": list(classes)}
        content = {
            "name": name,
            "run": {"threads": 1},
            "split": {"folds": 4},
            "data": {"train": "train.csv", "groups": ["plate"], "labels": labels},
            "models": [{"name": "said", "predictions": {"oof": "said.npz", "kind": "logit", "rows": "id"}}],
        } | sections
        (folder / "recipe.yaml").write_text(json.dumps(content), encoding="utf-8")
        return run(folder / "recipe.yaml").folder.root

    return make


def test_a_run_against_itself_is_the_same(finished: Path) -> None:
    contents = compare_runs([finished, finished])
    (pair,) = contents.pairs
    assert contents.settings == ()
    assert pair.notes == ()
    assert pair.samples == pl.read_parquet(finished / "oof.parquet").height
    assert all((one.value, one.low, one.high) == (0, 0, 0) for one in pair.metrics)
    assert all(row["value"] == 0 for row in pair.table if row["support"])


def test_differences_are_those_of_the_scores_and_settings_those_that_were_set(finished: Path, tmp_path: Path) -> None:
    recipe = finished.parent.parent / "recipe.yaml"
    other = run(recipe, tmp_path / "other", ("decision.thresholds=0.3", "name=other")).folder.root
    contents = compare_runs([finished, other])
    (pair,) = contents.pairs
    before, after = (json.loads((place / "scores.json").read_text())["metrics"] for place in (finished, other))
    for one in pair.metrics:
        assert one.value == pytest.approx(after[one.name]["value"] - before[one.name]["value"], abs=1e-6)
        assert one.low <= one.value <= one.high
    assert next(one for one in pair.metrics if one.name == "map").value == 0  # thresholds rank nothing anew
    assert contents.settings == (("decision.thresholds", ("0.5", "0.3")),)
    assert [run.name for run in contents.runs] == ["cells", "other"]
    assert contents.runs[0].seconds > 0
    assert contents.runs[0].megabytes > 50
    f1 = [json.loads((place / "scores.json").read_text())["classes"] for place in (finished, other)]
    for row, one, two in zip(pair.table, *f1, strict=True):
        assert (row["before"], row["after"]) == pytest.approx((one["f1"], two["f1"]), nan_ok=True)


def test_a_better_run_is_called_better_and_an_equal_one_chance(given: Callable[..., Path]) -> None:
    plain, better, like = given("plain"), given("better", skill=5.0), given("like", skill=2.02)
    sure, unsure = compare_runs([plain, better, like]).pairs
    assert sure.metrics[0].sentence(sure.samples).startswith("better: +0.")
    assert unsure.metrics[0].sentence(unsure.samples).startswith("not significantly different")
    loss = next(one for one in sure.metrics if one.name == "log_loss")
    assert loss.value < 0
    assert loss.better


def test_p_values_are_adjusted_for_the_number_of_runs_and_groups_are_compared(given: Callable[..., Path]) -> None:
    plain, better, like = given("a"), given("b", skill=5.0), given("c", skill=2.02)
    (alone,) = compare_runs([plain, better]).pairs
    pairs = compare_runs([plain, better, like]).pairs
    first = alone.metrics[0]
    assert first.p_adjusted == first.p_value < 0.025
    assert pairs[0].metrics[0].p_adjusted == pytest.approx(2 * first.p_value)
    assert f"p = {pairs[1].metrics[0].p_adjusted:.3f}" in pairs[1].metrics[0].sentence(160)
    assert not replace(first, p_adjusted=0.06).sure
    assert len(alone.group_table) == 20
    plate = json.loads((plain / "scores.json").read_text())["groups"][0]
    row = next(row for row in alone.group_table if row["group"] == plate["group"])
    assert (row["before"], row["samples"]) == (pytest.approx(plate["value"]), plate["samples"])
    assert row["value"] == pytest.approx(row["after"] - row["before"])


def test_only_shared_samples_are_compared_and_the_others_are_counted(given: Callable[..., Path]) -> None:
    every, some = given("every"), given("some", ids=range(40, 200))
    (pair,) = compare_runs([every, some]).pairs
    assert pair.samples == 120
    assert "120 samples are shared and compared; 40 scored only by A and 40 only by B are not" in pair.notes
    (none,) = compare_runs([every, given("strange", ids=range(500, 600))]).pairs
    assert (none.metrics, none.samples) == ((), 0)
    assert none.notes == ("B and A share no samples: their scores are only shown side by side",)


def test_other_classes_leave_out_what_looks_at_all_probabilities(given: Callable[..., Path]) -> None:
    three, four = given("three"), given("four", classes=("extra", "star", "round", HOSTILE))
    (pair,) = compare_runs([three, four]).pairs
    assert {one.name for one in pair.metrics} == {"macro_f1", "micro_f1", "accuracy", "balanced_accuracy"}
    assert [row["name"] for row in pair.table] == ["round", "star", HOSTILE]
    assert any("3 classes are shared" in note and "1 of B's" in note for note in pair.notes)
    two = given("two", classes=("round", "star"))
    (pair,) = compare_runs([three, two]).pairs
    assert pair.samples < 160  # samples of a class that only one knows are no question that both were asked
    (pair,) = compare_runs([three, given("unlike", classes=("a", "b", "c"))]).pairs
    assert pair.notes == ("they have no class in common",)


def test_other_labels_and_other_kinds_are_said(given: Callable[..., Path]) -> None:
    plain = given("labels")
    (pair,) = compare_runs([plain, given("moved", shift=1)]).pairs
    assert any(
        "shared samples have other labels in B; both are scored by the labels of A" in note for note in pair.notes
    )
    (pair,) = compare_runs([plain, given("many", kind="multilabel")]).pairs
    assert pair.metrics == ()
    assert "their scores cannot be compared" in pair.notes[0]


def test_a_run_without_its_own_decisions_is_decided_by_its_rule_and_that_is_said(
    finished: Path, tmp_path: Path, copy_without_digests: Callable[[Path, Path], Path]
) -> None:
    copy_without_digests(finished, tmp_path / "old")
    pl.read_parquet(finished / "oof.parquet").drop("decided").write_parquet(tmp_path / "old" / "oof.parquet")
    (pair,) = compare_runs([finished, tmp_path / "old"]).pairs
    assert pair.metrics[0].value == 0  # a threshold of one half learnt nothing
    assert any("B has no out-of-fold labels" in note for note in pair.notes)


def test_a_run_that_scored_nothing_stands_beside_the_others(
    given: Callable[..., Path], tmp_path: Path, copy_without_digests: Callable[[Path, Path], Path]
) -> None:
    plain = given("scored")
    copy_without_digests(plain, tmp_path / "bare")
    (tmp_path / "bare" / "oof.parquet").unlink()
    (tmp_path / "bare" / "scores.json").write_text(json.dumps({"metrics": {}}))
    _, lines = write_comparison([plain, tmp_path / "bare"], tmp_path / "compare.html")
    assert lines[1].startswith("B  nothing was scored")
    assert "ne of the two runs has no scores" in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_the_page_is_text_whatever_classes_are_called(given: Callable[..., Path], tmp_path: Path) -> None:
    write_comparison([given("one"), given("two", skill=3.0)], tmp_path / "deep" / "compare.html")
    page = (tmp_path / "deep" / "compare.html").read_text(encoding="utf-8")
    assert HOSTILE not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_command_compares_several_and_keeps_out_of_their_folders(
    given: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [str(given("first")), str(given("second", skill=2.5))]
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *runs]) == 0
    told = capsys.readouterr().out
    assert told.startswith("A  macro_f1 0.")
    assert "B against A: " in told
    assert told.endswith("Comparison: compare.html\n")
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "By <bdi>plate</bdi>" in page
    assert main(["compare", *runs, "--json"]) == 0
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert {"name", "value", "low", "high", "p_value", "p_adjusted"} == set(pair["metrics"][0])
    assert (tmp_path / "compare.html").is_file()
    assert main(["compare", *runs, "--output", f"{runs[0]}/compare.html"]) == 2
    assert "is in a run folder" in capsys.readouterr().err
    assert main(["compare", runs[0], "--output", "x.html"]) == 2
    assert main(["compare", runs[0], str(tmp_path)]) == 2
    assert main(["report", runs[0]]) == 0


def test_too_few_or_too_many_runs_are_refused(finished: Path) -> None:
    for folders in ([], [finished], [finished] * 27):
        with pytest.raises(InputError, match="cannot be compared"):
            compare_runs(folders)


def test_only_what_differs_of_settings_is_named_and_a_part_that_one_lacks_is_one_line() -> None:
    model = {"name": "b1", "backbone": "resnet18", "head": {"pool": "concat"}}
    first = {"seed": 1, "models": [model], "calibration": None, "data": {"groups": ["plate"]}}
    other = {
        "seed": 1,
        "models": [{**model, "head": {"pool": "max"}}, model],
        "calibration": {"kind": "beta"},
        "data": {"groups": []},
    }
    assert dict(setting_differences([first, other])) == {
        "models.0.head.pool": ("concat", "max"),
        "models.1": ("–", "b1 (resnet18)"),
        "calibration": ("null", '{"kind": "beta"}'),
        "data.groups": ('["plate"]', "[]"),
    }
    assert list(setting_differences([first, first, first])) == []


def test_runs_of_one_name_are_headed_by_their_folders(given: Callable[..., Path], tmp_path: Path) -> None:
    folders = [given("same"), given("same", shift=1)]
    write_comparison(folders, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert [f"{letter} <bdi>{folder}</bdi></th>" in page for letter, folder in zip("AB", folders, strict=True)] == [
        True,
        True,
    ]
    assert "<bdi>same</bdi>" not in page
