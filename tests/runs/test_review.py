"""`holotype review` on a finished run: what it reads, where it writes, what it refuses, what a kill costs."""

from __future__ import annotations

import builtins
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import holotype
from holotype.cli.main import main
from holotype.core.errors import InputError
from holotype.review import DecisionsFile, read_rows
from holotype.review.session import ReviewSession
from holotype.review.tiles import Region
from holotype.runs.review import decisions_path, load_review_data, open_review, review_key_hint

SOURCE = Path(holotype.__file__).parents[1]


def test_a_finished_run_is_laid_out(finished: Path, tmp_path: Path) -> None:
    materials = load_review_data(finished)
    record = DecisionsFile(tmp_path / "review.csv")
    desk = ReviewSession(materials, record)
    suspects = pl.read_parquet(finished / "audit/label_errors.parquet").filter("suspect")
    assert [item.id for item in desk.tabs["label_errors"]] == suspects["sample"].to_list()
    assert len(desk.tabs["uncertain"]) == pl.read_parquet(finished / "oof.parquet").height
    item = desk.item("uncertain", 0)
    assert item["facts"][0][0] == "plate"
    tile = desk.tile(item["rows"][0], Region())
    assert tile.facts["names"] == ["microtubules", "nucleus", "reticulum", "protein"]
    record.close()


def test_decisions_lie_beside_the_recipe_or_where_it_says(
    finished: Path, tmp_path: Path, write_recipe: Callable[..., Path]
) -> None:
    assert decisions_path(finished) == finished.parent.parent / "review.csv"
    moved = tmp_path / "elsewhere" / "run"
    shutil.copytree(finished, moved)
    (moved / "log.jsonl").write_text(
        json.dumps({"event": "run", "recipe": str(tmp_path / "gone.yaml"), "time": "", "changes": []}) + "\n"
    )
    assert decisions_path(moved) == tmp_path / "elsewhere" / "review.csv"


def test_a_review_says_which_key_applies_its_decisions(
    finished: Path, tmp_path: Path, write_recipe: Callable[..., Path]
) -> None:
    hint = "To apply the decisions, add `review: {}` under `data:` of the recipe."
    assert review_key_hint(finished, decisions_path(finished)) == hint.format("review.csv")
    moved = tmp_path / "run"
    shutil.copytree(finished, moved)
    data = json.loads(write_recipe(tmp_path).read_text())["data"]
    recipe = write_recipe(tmp_path, data={**data, "review": "review.csv"})
    (moved / "log.jsonl").write_text(json.dumps({"event": "run", "recipe": str(recipe), "time": "", "changes": []}))
    assert review_key_hint(moved, tmp_path / "review.csv") is None
    assert review_key_hint(moved, tmp_path / "of" / "ann.csv") == hint.format("of/ann.csv")
    recipe.unlink()
    assert review_key_hint(moved, tmp_path / "x.csv") == hint.format((tmp_path / "x.csv").resolve())


def test_without_the_libraries_of_a_server_one_sentence_says_what_to_install(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] in {"fastapi", "uvicorn"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return usual(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["review", str(finished)]) == 2
    said = capsys.readouterr().err
    assert "pip install 'holotype[serve]'" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--port", "-1"]])
def test_a_port_that_cannot_be_had_is_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["review", str(finished), "--decisions", str(tmp_path / "review.csv"), *arguments]) == 2
    assert "--port" in capsys.readouterr().err


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", str(tmp_path)]) == 2
    assert "is not a finished run" in capsys.readouterr().err


def test_a_second_server_on_the_same_decisions_is_refused(finished: Path, tmp_path: Path) -> None:
    first = open_review(finished, 0, tmp_path / "review.csv")
    with pytest.raises(InputError, match="another `holotype review`"):
        open_review(finished, 0, tmp_path / "review.csv")
    first.record.close()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_server_lost_nothing_that_it_confirmed(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    process = subprocess.Popen(
        [sys.executable, "-m", "holotype.cli.main", "review", str(finished), "--port", "0", "--decisions", str(path)],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdout is not None
    lines = iter(process.stdout)
    address = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
    assert "To apply the decisions, add `review: " in next(lines)
    page = urllib.request.urlopen(address).read().decode()
    token = re.search('name="holotype-token" content="([^"]+)"', page)[1]  # type: ignore[index]
    samples = pl.read_parquet(finished / "oof.parquet")["id"].to_list()
    confirmed = []
    for number, sample in enumerate(samples[:25]):
        body = json.dumps({"decisions": [{"kind": "sample", "id": sample, "action": "keep"}]}).encode()
        headers = {"Content-Type": "application/json", "X-Holotype-Token": token}
        answer = urllib.request.urlopen(urllib.request.Request(f"{address}api/decide", body, headers))
        confirmed.append(sample)
        assert answer.status == 200
        if number == 24:
            process.send_signal(signal.SIGKILL)
    process.wait()
    rows = read_rows(path).rows
    assert [row.id for row in rows] == confirmed
    place, digest = rows[0].run.split(" ")
    assert (path.parent / place).resolve() == finished.resolve()
    assert len(digest) == 16
