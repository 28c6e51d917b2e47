"""A search: trials are ordinary runs of the store, given up where they lag, and an interruption changes none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import holotype.tuning.tune
from holotype.cache import RunLog
from holotype.cli.main import main
from holotype.recipe.load import load_recipe
from holotype.tuning.tune import TuneOptions, run_trials

WriteRecipe = Callable[..., Path]
Captured = pytest.CaptureFixture[str]
SHORT = TuneOptions(trials=3, size=32, epochs=12, rows="scored-fold")


def table(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / "runs" / "cells.tune" / "trials.csv")


@pytest.fixture(scope="module")
def searched(write_recipe: WriteRecipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a recipe that was searched without an interruption, and what was said."""
    recipe = write_recipe(tmp_path_factory.mktemp("searched"))
    return recipe.parent, run_trials(recipe, (), SHORT).lines


def test_a_search_ends_in_a_table_a_page_and_a_recipe(searched: tuple[Path, list[str]]) -> None:
    folder, said = searched
    trials = table(folder)
    assert trials["number"].to_list() == [0, 1, 2]
    best = trials.filter(pl.col("state") == "finished").sort("score", descending=True).row(0, named=True)
    assert f"Best: trial {best['number']}, macro F1 {best['score']:.4f}, selected on the scored fold" in "\n".join(said)
    page = (folder / "runs" / "cells.tune" / "tune.html").read_text(encoding="utf-8")
    assert page.count("<circle") >= 3
    assert "http" not in page.replace("http-equiv", "")
    found = load_recipe(folder / "recipe.tuned.yaml").models[0]
    assert found.phases[0].epochs == best["epochs"]
    assert found.head.dropout == pytest.approx(best["dropout"], rel=1e-2)
    assert found.sampler == best["sampler"]
    assert (folder / "recipe.tuned.yaml").read_text().startswith("# Written by `holotype tune`: trial ")


def test_every_trial_is_a_network_of_the_store(searched: tuple[Path, list[str]]) -> None:
    folder, _ = searched
    finished = table(folder).filter(pl.col("state") == "finished").height
    assert len(list((folder / ".holotype" / "fit").iterdir())) == finished


def test_more_trials_go_on_from_those_that_are_there(
    searched: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = searched
    before = table(folder)
    begun = len(RunLog(folder / "runs" / "cells.tune" / "log.jsonl").read("trial"))
    again = run_trials(folder / "recipe.yaml", (), SHORT).lines  # all three are there
    assert again == searched[1]
    assert len(RunLog(folder / "runs" / "cells.tune" / "log.jsonl").read("trial")) == begun
    assert table(folder).equals(before)


def test_an_interrupted_search_ends_in_the_same_trials(
    searched: tuple[Path, list[str]], write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path)
    true_history, calls = holotype.tuning.tune._read_history, []

    def interrupted(*given: object) -> object:
        calls.append(given)
        if len(calls) == 5:  # within the second trial
            raise KeyboardInterrupt
        return true_history(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(holotype.tuning.tune, "_read_history", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_trials(recipe, (), SHORT)
    run_trials(recipe, (), SHORT)
    assert table(tmp_path).equals(table(searched[0]))


def test_a_trial_that_lags_is_given_up_and_it_is_said(
    write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    scores = iter([0.5] * 3 + [0.6] * 3 + [0.7] * 3 + [0.1] * 3)
    rows = [{"inner_score": 0.0, "validation_score": 0.0}]
    monkeypatch.setattr(holotype.tuning.tune, "_read_history", lambda recipe, bench, halt: rows * (halt or 4))
    monkeypatch.setattr(holotype.tuning.tune, "_best_score", lambda history, on: next(scores))
    options = ["--trials", "4", "--size", "32", "--epochs", "12", "--set", "models.0.phases=[{epochs: 12}]"]
    assert main(["tune", str(write_recipe(tmp_path)), *options]) == 0
    told = capsys.readouterr()
    assert "trial 3: pruned after " in told.err
    assert "Best: trial 2, macro F1 0.7000, scored on inner rows" in told.out
    assert "1 pruned" in (tmp_path / "runs" / "cells.tune" / "tune.html").read_text(encoding="utf-8")


def test_no_trial_begins_that_would_end_after_the_budget_but_one_there_is(
    write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holotype.tuning.tune, "_read_history", lambda recipe, bench, halt: [{"inner_score": 0.5}])
    run_trials(write_recipe(tmp_path), (), TuneOptions(trials=1_000, budget="1s", size=32))
    trials = table(tmp_path).height
    assert 1 <= trials < 1_000
    run_trials(tmp_path / "recipe.yaml", (), TuneOptions(trials=trials + 2, budget="1h", size=32))
    assert table(tmp_path).height == trials + 2


REFUSED = {
    "no trial": (["--trials", "0"], "--trials: too few trials"),
    "other rows": (["--rows", "test"], "--rows: unknown rows; allowed: inner, scored-fold"),
    "no time": (["--budget", "soon"], "--budget: a budget is a number followed by s, m or h"),
    "two models": (["--set", "models.1={name: other}"], "models: a search tunes a single model, which must be trained"),
}


@pytest.mark.parametrize(("options", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_searched_is_one_sentence_and_status_2(
    write_recipe: WriteRecipe, tmp_path: Path, options: list[str], words: str, capsys: Captured
) -> None:
    assert main(["tune", str(write_recipe(tmp_path)), *options]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert words in sentence


def test_a_recipe_of_somebody_else_is_not_replaced(write_recipe: WriteRecipe, tmp_path: Path, capsys: Captured) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "recipe.tuned.yaml").write_text("name: mine\n")
    assert main(["tune", str(recipe)]) == 2
    assert "exists and was not written by `holotype tune`; move it or delete it" in capsys.readouterr().err
    assert (tmp_path / "recipe.tuned.yaml").read_text() == "name: mine\n"
