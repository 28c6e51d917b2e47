"""The command line: what a person reads, and the exit status."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

import holotype
import holotype.cli.commands
from holotype.cli.demo import DEMO_RECIPE
from holotype.cli.main import main
from holotype.pipeline.validate import validate_names
from holotype.recipe.load import load_recipe

IDS = [f"i{number:02d}" for number in range(12)]
Captured = pytest.CaptureFixture[str]
Change = Callable[[Path, dict[str, Any]], object]


@pytest.fixture
def toy(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """Twelve grey images of two classes on four plates, and a recipe for them that nothing is wrong with."""
    (tmp_path / "images").mkdir()
    random = np.random.default_rng(0)
    for name in IDS:
        pixels = random.integers(0, 255, (32, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
    plates = [f"p{number // 3}" for number in range(12)]
    pl.DataFrame({"id": IDS, "label": ["a", "b"] * 6, "plate": plates}).write_csv(tmp_path / "train.csv")
    recipe: dict[str, Any] = {
        "name": "toy",
        "run": {"threads": 1, "batch": 4, "device": "cpu"},
        "data": {"train": "train.csv", "images": "images/{id}.png", "labels": {}},
        "split": {"folds": 2},
        "models": [
            {"backbone": "test_efficientnet", "weights": "none", "input": {"size": 32}, "phases": [{"epochs": 1}]}
        ],
    }
    return tmp_path, recipe


def setting(address: str, value: Any) -> Change:
    """Write a value into the recipe."""

    def change(folder: Path, recipe: dict[str, Any]) -> None:
        place: Any = recipe
        *way, last = (int(key) if key.isdigit() else key for key in address.split("."))
        for key in way:
            place = place[key]
        place[last] = value

    return change


def in_table(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Change:
    """Write another training table."""

    def write(folder: Path, recipe: dict[str, Any]) -> None:
        change(pl.read_csv(folder / "train.csv", infer_schema=False)).write_csv(folder / "train.csv")

    return write


def in_file(name: str, content: bytes) -> Change:
    return lambda folder, recipe: (folder / name).write_bytes(content)


def one_rgb(folder: Path, recipe: dict[str, Any]) -> None:
    Image.new("RGB", (32, 32)).save(folder / "images" / "i03.png")


def without_three_images(folder: Path, recipe: dict[str, Any]) -> None:
    for name in ("i02", "i05", "i07"):
        (folder / "images" / f"{name}.png").unlink()


def run_with(toy: tuple[Path, dict[str, Any]], change: Change | None, *arguments: str) -> int:
    folder, recipe = toy
    if change is not None:
        change(folder, recipe)
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    return main([*(arguments or ("run",)), str(folder / "recipe.yaml")])


ONE_LABEL_RARE = in_table(lambda table: table.with_columns(label=pl.Series(["a", "b"] * 5 + ["a", "rare"])))
BAD_INPUT: dict[str, tuple[Change, list[str]]] = {
    "missing column": (
        setting("data.labels.column", "labell"),
        ["data.labels.column: there is no column 'labell'", "did you mean 'label'?"],
    ),
    "missing id column": (setting("data.id", "Id"), ["data.id: there is no column 'Id'", "did you mean 'id'?"]),
    "missing group": (setting("data.groups", ["plates"]), ["data.groups.0", "did you mean 'plate'?"]),
    "unknown column in the pattern": (setting("data.images", "images/{Id}.png"), ["data.images", "'Id'", "mean 'id'?"]),
    "missing images": (
        without_three_images,
        ["3 of 12 image files do not exist: 'i02'", "i02.png does not exist", "run `holotype init` again"],
    ),
    "unreadable image": (in_file("images/i03.png", b"no\nimage"), ["1 of 12 images", "i03.png is not an image"]),
    "another number of channels": (one_rgb, ["11 images of 1 channel, but 1 of another number: 'i03' (3)"]),
    "unknown label": (
        setting("data.labels.classes", ["a", "B"]),
        ["data.labels.classes: 6 labels", "'b'", "'i01'", "did you mean 'B'?"],
    ),
    "duplicate ids": (in_table(lambda table: pl.concat([table, table[:2]])), ["data.id: 2 ids", "i00, i01"]),
    "empty table": (in_table(lambda table: table[:0]), ["data.train: the table", "no rows"]),
    "empty file": (in_file("train.csv", b""), ["data.train: the table", "is empty"]),
    "missing table": (setting("data.train", "trian.csv"), ["data.train: there is no table", "mean 'train.csv'?"]),
    "misspelt section": (setting("splitt", {}), ["unknown key 'splitt'; did you mean 'split'?"]),
    "misspelt key": (setting("split.fold", 2), ["split: unknown key 'fold'; did you mean 'folds'?"]),
    "too many folds": (setting("split.folds", 20), ["split.folds", "lower split.folds to 12"]),
    "unknown backbone": (
        setting("models.0.backbone", "test_efficientnett"),
        ["models.0.backbone: timm has no network", "the nearest are test_efficientnet,"],
    ),
    "unknown optimiser": (
        setting("models.0.phases.0.optimizer", "adammw"),
        ["models.0.phases.0: no optimizer is named 'adammw'; did you mean 'adamw'?"],
    ),
    "unknown schedule": (
        setting("models.0.phases.0.schedule", "one-cicle"),
        ["models.0.phases.0.schedule: no schedule", "did you mean 'one-cycle'?"],
    ),
    "unknown loss": (setting("models.0.phases.0.loss", "bcee"), ["models.0.phases.0: no loss", "mean 'bce'?"]),
    "missing weights": (
        setting("models.0.weights", "best.safetensors"),
        ["models.0.weights: there is no weights file"],
    ),
    "weights for another backbone": (setting("models.0.weights", "lite"), ["models.0.weights", "efficientnet_lite0"]),
    "no such device": (setting("run.device", "gpu"), ["run.device: there is no device 'gpu' here"]),
    "thresholds of other classes": (
        lambda folder, recipe: recipe.update(
            data=recipe["data"] | {"labels": {"kind": "multilabel"}},
            decision={"kind": "threshold", "thresholds": {"A": 0.2}},
        ),
        ["decision.thresholds.A: unknown class; did you mean 'a'?"],
    ),
    "a run's folder that is a file": (
        lambda folder, recipe: (folder / "runs").touch(),
        ["runs/toy' cannot be created", "--out"],
    ),
}


@pytest.mark.parametrize(("change", "parts"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_one_sentence_before_any_training(
    toy: tuple[Path, dict[str, Any]], change: Change, parts: list[str], capsys: Captured
) -> None:
    assert run_with(toy, change) == 2
    told = capsys.readouterr()
    said = [line for line in told.err.splitlines() if not line.startswith(("Reading images: ", "Caching images "))]
    assert len(said) == 1
    (sentence,) = said
    assert sentence.startswith("holotype: ")
    assert [part for part in parts if part not in sentence] == []
    assert sentence.endswith(".")
    assert ".." not in sentence.replace("...", "")
    assert told.out == ""
    assert not list(toy[0].glob(".holotype/fit/*"))


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (setting("data.labels.classes", ["a", "b", "c"]), "note: No row has the class c;"),
        (ONE_LABEL_RARE, "note: One class has a single sample, which can be trained on or scored, not both: rare."),
    ],
    ids=["a class without rows", "a class too rare for the folds"],
)
def test_what_is_odd_is_noted_and_the_run_goes_on(
    toy: tuple[Path, dict[str, Any]], change: Change, note: str, capsys: Captured
) -> None:
    assert run_with(toy, change) == 0
    told = capsys.readouterr()
    notes = [line for line in told.err.splitlines() if line.startswith("note: ")]
    assert [line for line in notes if line.startswith(note)]
    assert sum("rare" in line for line in notes) == note.count("rare")  # one note for one fact
    assert "macro_f1" in told.out
    assert (toy[0] / "runs" / "toy" / "scores.json").is_file()


WRONG_USE = {
    "no such command": (["rum", "x"], "No such command 'rum'. Did you mean 'run'? See `holotype --help`."),
    "no such option": (["run", "x", "--sett", "a=b"], "No such option"),
    "nothing to run": (["run"], "Missing argument 'RECIPE'. See `holotype run --help`."),
    "an option without a value": (["run", "x", "--set"], "requires an argument. See `holotype run --help`."),
    "nothing to check": (["check"], "give a recipe, or --schema"),
    "no such recipe": (["run", "no/recipe.yaml"], "cannot read the recipe 'no/recipe.yaml': No such file or"),
    "no such run": (["report", "no/run"], "'no/run' is not a finished run: it has no scores.json"),
    "no such run to ask": (["predict", "no/run", "x"], "'no/run' is not a finished run"),
    "no such run to explain": (["run", "no/recipe.yaml", "--dry-run"], "cannot read the recipe 'no/recipe.yaml'"),
    "no such data": (["init", "no/data"], "no/data: no such folder or table"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG_USE.values(), ids=WRONG_USE)
def test_a_wrong_use_is_one_sentence(arguments: list[str], message: str, capsys: Captured) -> None:
    assert main(arguments) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("holotype: ")
    assert message in sentence


@pytest.mark.parametrize("arguments", [[], ["--help"]], ids=["nothing", "--help"])
def test_without_a_command_the_commands_are_listed(arguments: list[str], capsys: Captured) -> None:
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.out.startswith("Usage: holotype ")
    commands = ("demo", "init", "check", "audit", "run", "tune", "predict", "embed", "report", "compare", "score")
    assert [name for name in commands if f"\n  {name} " not in told.out] == []
    assert told.err == ""


def test_a_change_without_a_value_and_one_of_an_unknown_key_are_refused(
    toy: tuple[Path, dict[str, Any]], capsys: Captured
) -> None:
    assert run_with(toy, None, "run", "--set", "name") == 2
    assert "holotype: --set 'name' has no value; write --set " in capsys.readouterr().err
    assert run_with(toy, None, "run", "--set", "models.0.backbon=resnet18") == 2
    assert "models.0: unknown key 'backbon'; did you mean 'backbone'?" in capsys.readouterr().err


@pytest.mark.parametrize("order", [["--debug", "check"], ["check", "--debug"]], ids=" ".join)
def test_debug_shows_where_an_error_came_from(toy: tuple[Path, dict[str, Any]], order: list[str]) -> None:
    with pytest.raises(holotype.core.errors.DataError):
        run_with(toy, setting("data.id", "Id"), *order)


def test_a_recipe_is_checked_with_its_data_and_without(toy: tuple[Path, dict[str, Any]], capsys: Captured) -> None:
    assert run_with(toy, None, "check") == 0
    told = capsys.readouterr().out
    assert "Images: 12 train; 1 channel, 32x32 pixels, uint8\n" in told
    assert "Classes: 2 (multiclass); folds: 2\n" in told
    assert told.endswith("its data are valid.\n")
    assert not list(toy[0].glob(".holotype/fit/*"))
    assert run_with(toy, without_three_images, "check", "--recipe-only") == 0
    assert capsys.readouterr().out.endswith("is valid (data not checked).\n")


def test_decisions_beside_a_recipe_that_does_not_name_them_are_noted(
    toy: tuple[Path, dict[str, Any]], capsys: Captured
) -> None:
    review = toy[0] / "review.csv"
    review.write_text("kind,id,action\nsample,i01,drop\nsample,i02,keep\nsample,i02,undo\n", encoding="utf-8")
    note = "review.csv with 1 decision is not used; add `review: review.csv` under `data:` of the recipe to apply it."
    assert run_with(toy, None, "check") == 0
    assert note in capsys.readouterr().out
    assert run_with(toy, None, "run", "--dry-run") == 0
    assert f"note: {note}" in capsys.readouterr().out
    assert run_with(toy, setting("data.labels.column", "absent"), "run") == 2
    assert f"note: {note}" in capsys.readouterr().err
    assert run_with(toy, setting("data.labels", {}), "run", "--dry-run", "--set", "data.review=review.csv") == 0
    assert "is not used" not in capsys.readouterr().out
    review.write_text("id,label\ni01,a\n", encoding="utf-8")
    assert run_with(toy, None, "check") == 0
    assert "is not used" not in capsys.readouterr().out


def test_the_schema_is_json(capsys: Captured) -> None:
    assert main(["check", "--schema"]) == 0
    assert "data" in json.loads(capsys.readouterr().out)["properties"]


def test_an_audit_writes_its_tables_and_a_page(toy: tuple[Path, dict[str, Any]], capsys: Captured) -> None:
    folder = toy[0]
    assert run_with(toy, None, "audit", "--out", str(folder / "looked")) == 0
    assert "Duplicates: none; unreadable images: 0\n" in capsys.readouterr().out
    (folder / "images" / "i05.png").write_bytes((folder / "images" / "i00.png").read_bytes())
    assert run_with(toy, None, "audit", "--out", str(folder / "looked")) == 0
    out = capsys.readouterr().out
    assert "Duplicates: 2 images in 1 cluster; unreadable images: 0\n" in out
    assert "2 training images have the same pixels as another one" in out
    written = {path.name for path in (folder / "looked" / "audit").iterdir()}
    tables = ("statistics", "clusters", "duplicate_pairs", "conflicts", "image_problems", "label_cooccurrence")
    assert written == {f"{name}.parquet" for name in tables} | {"warnings.json", "report.html"}


def test_a_new_recipe_is_written_and_is_right(toy: tuple[Path, dict[str, Any]], capsys: Captured) -> None:
    folder = toy[0]
    assert main(["init", str(folder), "-o", str(folder / "new.yaml")]) == 0
    assert f"holotype run {folder / 'new.yaml'} --budget 30m" in capsys.readouterr().err
    assert main(["check", str(folder / "new.yaml")]) == 0
    assert "Classes: 2 (multiclass)" in capsys.readouterr().out
    assert main(["init", str(folder), "-o", str(folder / "new.yaml")]) == 2
    assert "--force" in capsys.readouterr().err


def test_a_finished_run_is_reported_explained_and_asked(
    finished: Path, screen: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["report", str(finished)]) == 0
    told = capsys.readouterr().out
    assert "macro_f1 0." in told
    assert f"Report:     {finished / 'report.html'}" in told
    assert f"Submission: {finished / 'submission.csv'}" in told
    assert main(["run", str(finished / "recipe.yaml"), "--out", str(finished), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "from the cache: train main, folds 0 to 2" in lines
    assert lines[-1].startswith("All ")
    assert main(["predict", str(finished), str(screen / "test.csv")]) == 0
    shown = pl.read_csv(capsys.readouterr().out.encode())
    assert main(["predict", str(finished), str(screen / "test.csv"), "-o", str(tmp_path / "out" / "new.csv")]) == 0
    assert "20 predictions written to" in capsys.readouterr().out
    assert shown.equals(pl.read_csv(tmp_path / "out" / "new.csv"))
    written = pl.read_csv(finished / "predictions.csv")
    assert shown.equals(written.select(shown.columns))
    assert set(written.columns) - set(shown.columns) == {"plate"}


OURS = "this is a bug in Holotype: please report it with the output of `--debug`."
NO_MEMORY = (
    "out of memory: use smaller images, a smaller batch (`run.batch`) or fewer threads; `--debug` shows the traceback."
)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "holotype: interrupted; run the same command again to resume."),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/toy/oof.parquet"),
            "holotype: runs/toy/oof.parquet: No space left on device; `--debug` shows the traceback.",
        ),
        (holotype.core.errors.TrainingError("two\nlines"), "holotype: two lines."),
        (ValueError("no\nsuch"), f"holotype: internal error: ValueError: no; {OURS}"),
        (KeyError(), f"holotype: internal error: KeyError; {OURS}"),
        (RecursionError("too deep"), f"holotype: internal error: RecursionError: too deep; {OURS}"),
        (pl.exceptions.PanicException("rust"), f"holotype: internal error: PanicException: rust; {OURS}"),
        (MemoryError(), f"holotype: {NO_MEMORY}"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), f"holotype: {NO_MEMORY}"),
    ],
    ids=["stopped", "disk full", "two lines", "value", "key", "recursion", "panic", "memory", "memory of torch"],
)
def test_work_that_fails_ends_in_one_sentence_and_status_1(
    error: BaseException, message: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(holotype.cli.commands, "run_recipe", fail)
    assert main(["run", "recipe.yaml"]) == 1
    assert capsys.readouterr().err.strip() == message


def test_debug_shows_where_a_mistake_of_ours_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holotype.cli.commands, "run_recipe", lambda *_: list(range(0))[1])
    with pytest.raises(IndexError):
        main(["run", "recipe.yaml", "--debug"])


def test_nothing_is_said_where_nobody_reads_on() -> None:
    call = "import sys; from holotype.cli.main import main; sys.exit(main(['check', '--schema']))"
    environment = os.environ | {"PYTHONPATH": str(Path(holotype.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


def test_the_demonstrations_recipe_is_right(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(DEMO_RECIPE % {"channels": "red, green", "epochs": 1})
    validate_names(load_recipe(tmp_path / "recipe.yaml"))


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "holotype", "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.split()[:1]) == (0, ["holotype"]), done.stderr


def test_swapped_arguments_and_misspelt_files_are_answered_with_the_right_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("images", ".hidden", "run1"):
        Path(name).mkdir()
    for name in ("run1/scores.json", "recipe.yaml", "photo.png", "train.csv"):
        Path(name).touch()
    assert main(["predict", "images", "run1"]) == 2
    assert "'images' is not a finished run, but 'run1' is; the run comes first" in capsys.readouterr().err
    assert main(["check", "recipe.yml"]) == 2
    assert "did you mean 'recipe.yaml'? `holotype init` writes a new one." in capsys.readouterr().err
    assert main(["init", "nothere"]) == 2
    assert capsys.readouterr().err == "holotype: nothere: no such folder or table; allowed: images, run1, train.csv.\n"
