"""A finished run exported: the file says what the run says, the example needs nothing of ours, the rest is refused."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tifffile
from PIL import Image

import holotype.runs.export.formats
from holotype.api import run
from holotype.cli.main import main
from holotype.core.errors import HolotypeError, InputError
from holotype.core.tensor_files import load_tensors, save_tensors
from holotype.data import measure_image, read_image
from holotype.data.resize import letterbox, resize_image
from holotype.pipeline.out_of_distribution import ood_reasons
from holotype.postprocessing.decision import decide, label_names
from holotype.recipe.sections import ModelSpec
from holotype.runs.export import require_exportable_ensemble, require_exportable_model, simple_rule
from holotype.runs.export.example import TEXT
from holotype.runs.export.export_check import _largest_difference, compare_with_run, sample_images
from holotype.runs.export.export_run import ExportOptions, ExportResult, export_run
from holotype.runs.fitted_run import FittedRun, open_run
from holotype.types import Decision, Ensemble, keep_top_k

WriteRecipe = Callable[..., Path]
Captured = pytest.CaptureFixture[str]
TAKES = "give a .npy array (channels, height, width) of the training images' depth, uint8"
ALONE = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"holotype", "torch", "timm", "PIL", "scipy", "polars", "onnx", "tifffile"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def exported(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """The finished run of the screen as ONNX."""
    return export_run(open_run(finished), tmp_path_factory.mktemp("exported") / "cells", ExportOptions())


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> FittedRun:
    """A run on 16-bit images of many sizes with four channels: two models weighted, calibrated, one label an image."""
    folder = tmp_path_factory.mktemp("deep")
    random = np.random.default_rng(0)
    ids = [f"i{number:02d}" for number in range(24)]
    for number, name in enumerate(ids):
        for channel in "abcd":
            pixels = random.integers(0, 30_000, (40 + number, 56)).astype(np.uint16) * (1 + number % 2)
            Image.fromarray(pixels).save(folder / f"{name}_{channel}.png")
    pl.DataFrame({"id": ids, "label": ["x", "y"] * 12, "place": ["p", "q"] * 12}).write_csv(folder / "train.csv")
    model = {"weights": "none", "input": {"size": 48}, "phases": [{"epochs": 1}]}
    recipe = {
        "name": "deep",
        "run": {"threads": 1, "workers": 0, "batch": 8, "device": "cpu"},
        "data": {
            "train": "train.csv",
            "images": "{id}_{channel}.png",
            "channels": list("abcd"),
            "labels": {},
            "domain": "place",
        },
        "split": {"folds": 2},
        "models": [
            {
                **model,
                "name": "conv",
                "backbone": "test_efficientnet",
                "head": {"margin": {"scale": 10.0}},
                "predict": {"tta": "flips", "pooling": "mean-probability"},
            },
            {
                **model,
                "name": "vit",
                "backbone": "test_vit",
                "head": {"pool": "concat", "hidden": 8},
                "predict": {"tta": "none"},
            },
        ],
        "ensemble": {"kind": "weighted", "space": "probability"},
        "calibration": "beta",
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    return run(folder / "recipe.yaml")


def test_the_file_says_what_the_run_says_and_the_card_says_so(exported: ExportResult, finished: Path) -> None:
    assert set(exported.files) == {"model.onnx", "card.json", "example.py"}
    card = json.loads((exported.folder / "card.json").read_text())
    assert card["check"]["images"] == 8
    assert card["check"]["largest_difference"] <= 1e-4
    assert card["input"]["shape"] == ["batch", 4, 32, 32]
    assert card["input"]["channels"] == ["microtubules", "nucleus", "reticulum", "protein"]
    assert (card["input"]["depth"], card["input"]["range"]) == ("uint8", [0, 255])
    assert card["networks"] == len(card["weights"]) == 3
    assert card["metric"]["low"] <= card["metric"]["value"] <= card["metric"]["high"]
    assert card["classes"] == list(open_run(finished).decision.classes)
    assert "random weights" in card["weights"][0]["license"]
    assert not [path for path in exported.folder.parent.iterdir() if path.name.startswith(".")]


def test_the_example_prints_the_runs_labels_with_onnxruntime_and_numpy_alone(
    exported: ExportResult, finished: Path, screen: Path, tmp_path: Path
) -> None:
    predicted = open_run(finished).predict(screen / "test.csv")
    channels = open_run(finished).recipe.data.channels or []
    files = []
    for name in predicted["id"][:6]:
        files.append(tmp_path / f"{name}.npy")
        np.save(files[-1], read_image([screen / "images" / f"{name}_{channel}.png" for channel in channels]))
    command = [sys.executable, "-c", ALONE, str(exported.folder / "example.py"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = [[part.rpartition(" (")[0] for part in line.split("\t")[1:]] for line in done.stdout.splitlines()]
    assert said == [(labels or "").split() for labels in predicted["labels"][:6]]


def test_the_example_makes_the_checks_of_the_run_in_the_same_words(
    exported: ExportResult, finished: Path, screen: Path, tmp_path: Path
) -> None:
    opened = open_run(finished)
    channels = opened.recipe.data.channels or []
    name = opened.predict(screen / "test.csv")["id"][0]
    pixels = read_image([screen / "images" / f"{name}_{channel}.png" for channel in channels])
    odd = {"negative": 255 - pixels, "large": np.tile(pixels, (1, 4, 4))}
    refused = {"deep": pixels.astype(np.uint16) * 16, "grey": pixels[:1]}
    files = [tmp_path / f"{key}.npy" for key in (*odd, *refused)]
    for file, array in zip(files, (*odd.values(), *refused.values()), strict=True):
        np.save(file, array)
    command = [sys.executable, "-c", ALONE, str(exported.folder / "example.py"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [str(file) for file in files[: len(odd)]]
    expected = []
    for file, array in zip(files, odd.values(), strict=False):
        words = [one.message for one in ood_reasons(opened.training_ranges, np.inf, measure_image(array), channels)]
        assert words
        expected += [f"{file}: warning: {text}" for text in words]
    for file, array in zip(files[len(odd) :], refused.values(), strict=True):
        expected.append(f"{file}: {opened.training_ranges.mismatch(array.dtype.name, len(array))}")
    assert done.stderr.splitlines() == expected


@pytest.mark.slow
def test_sixteen_bits_two_models_a_calibration_and_odd_sizes(deep: FittedRun, tmp_path: Path) -> None:
    made = export_run(deep, tmp_path / "both", ExportOptions())
    assert made.card["check"]["largest_difference"] <= 1e-4
    assert made.card["input"]["depth"] == "uint16"
    assert made.card["calibration"] == "beta"
    assert made.card["networks"] == 4
    assert made.card["what"] == "the ensemble of conv, vit"
    source = deep.folder.root.parents[1]
    files = [str(source / f"i05_{channel}.png") for channel in "abcd"]
    np.save(tmp_path / "i05.npy", read_image(files))
    command = [sys.executable, "-c", ALONE, str(made.folder / "example.py"), str(tmp_path / "i05.npy")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\t")[1]
    row = deep.predict(files).row(0, named=True)
    label, sure = printed.strip().removesuffix(")").split(" (")
    assert label == row["labels"]
    assert float(sure) == pytest.approx(max(value for value in row.values() if isinstance(value, float)), abs=2e-3)


@pytest.mark.slow
def test_a_model_by_itself_is_decided_plainly(deep: FittedRun, tmp_path: Path) -> None:
    made = export_run(deep, tmp_path / "conv", ExportOptions(model="conv", views="d4"))
    card = made.card
    assert card["check"]["largest_difference"] <= 1e-4
    assert (card["what"], card["networks"], card["metric"]) == ("the model conv", 2, None)
    assert (card["tta"]["conv"]["tta"], card["tta_as_in_run"]) == ("d4", False)
    assert card["rule"] == {"kind": "top", "k": 1, "offsets": 0.0}


@pytest.mark.slow
def test_weights_of_a_domain_are_those_of_its_own_graph(deep: FittedRun, tmp_path: Path) -> None:
    by_place = replace(deep, ensemble=replace(deep.ensemble, weights_by_domain={"p": (0.9, 0.1), "q": (0.1, 0.9)}))
    with pytest.raises(InputError, match="--domain: the models' weights depend on the domain; allowed: p, q"):
        export_run(by_place, tmp_path / "no", ExportOptions())
    with pytest.raises(InputError, match="--domain: this domain has no weights or specialists of its own"):
        export_run(by_place, tmp_path / "no", ExportOptions(domain="r"))
    made = export_run(by_place, tmp_path / "p", ExportOptions(domain="p"))
    assert made.card["check"]["largest_difference"] <= 1e-4
    assert made.card["ensemble"]["weights"] == [0.9, 0.1]


@pytest.mark.slow
def test_specialists_answer_in_the_graph_of_their_domain(finished: Path, tmp_path: Path) -> None:
    root = tmp_path / "cells"
    for path in finished.rglob("*"):
        if path.is_file():
            target = root / path.relative_to(finished)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    special = root / "models" / "main" / "specialists" / "U2OS.fold0"
    special.mkdir(parents=True)
    card = json.loads((root / "models" / "main" / "fold0" / "card.json").read_text())
    (special / "card.json").write_text(json.dumps(card | {"domain": "U2OS"}))
    tensors, _ = load_tensors(root / "models" / "main" / "fold0" / "weights.safetensors")
    turned = {name: -part if name.startswith("head.last") else part for name, part in tensors.items()}
    save_tensors(special / "weights.safetensors", turned, {})
    opened = open_run(root)
    opened = replace(opened, ensemble=replace(opened.ensemble, specialist_domains=(("U2OS",),)))
    with pytest.raises(InputError, match="'main' has specialists in some domains; allowed: U2OS"):
        export_run(opened, tmp_path / "no", ExportOptions())
    made = export_run(opened, tmp_path / "special", ExportOptions(domain="U2OS"))
    assert made.card["check"]["largest_difference"] <= 1e-4
    assert made.card["weights"][0]["sha256"] != made.card["weights"][1]["sha256"]


def test_a_graph_that_says_something_else_is_no_export(finished: Path) -> None:
    opened = open_run(finished)
    from holotype.runs.export.export_run import _select_graph_models

    voices = _select_graph_models(opened, ExportOptions())
    with pytest.raises(HolotypeError, match="the graph differs from the run by "):
        compare_with_run(opened, voices, lambda pixels: (np.ones((len(pixels), 8), np.float32),) * 2, None)


def test_without_the_runs_images_nothing_is_checked_and_it_is_said(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_run(finished)
    gone = sample_images(opened, None)
    gone = replace(gone, frame=gone.frame.with_columns(files=pl.Series([["no.png"]] * len(gone))))
    monkeypatch.setattr("holotype.runs.export.export_check.sample_images", lambda opened, domain: gone)
    held = compare_with_run(opened, [], lambda pixels: (pixels, pixels), None)
    assert held == {"images": 0, "largest_difference": None, "words": "not checked: the images of the run are missing"}


def test_where_the_run_keeps_the_likeliest_their_log_probabilities_are_compared() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (3, 2_500)).astype(np.float32)
    truth = keep_top_k(logits)
    assert _largest_difference(truth, logits + 3) <= 1e-5  # the arguments of a softmax are known up to a constant
    logits[1, truth.top_classes[1, 0]] -= 0.5
    assert _largest_difference(truth, logits) > 0.1


NETWORK = ModelSpec(name="a")
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "made elsewhere": ({"predictions": {"test": "x.npy"}}, "a", "were made elsewhere.*--model b"),
    "neighbors": ({"neighbors": {}}, "a.neighbors", "an index of training images.*--model b"),
    "scaled by image": (
        {"input": {"normalize": "image"}},
        "a",
        "input.normalize: 'a' normalizes pixels by the mean of e",
    ),
    "drawn views": ({"predict": {"tta": {"train_augmentation": 4}}}, "a", "predict.tta.*add --views none, flips or d4"),
}


@pytest.mark.parametrize(("section", "name", "words"), REFUSED.values(), ids=REFUSED)
def test_a_model_that_is_no_graph_is_refused_with_the_way_out(section: dict[str, Any], name: str, words: str) -> None:
    model = ModelSpec.model_validate({"name": "a", **section})
    with pytest.raises(InputError, match=words):
        require_exportable_model(model, name, model.predict.tta, True, ["b"])


def test_an_ensemble_that_is_no_graph_is_refused_with_the_way_out() -> None:
    models = {"a": NETWORK, "b": ModelSpec(name="b", classes=["x"])}
    card = {"channels": 3, "canvas": [32, 32], "model": NETWORK.model_dump()}
    cards = {"a": card, "b": card}
    mean = Ensemble("mean", "logit", ("a", "b"), (0.5, 0.5))
    with pytest.raises(InputError, match=r"ensemble.kind: a stack of .*--model a, b"):
        require_exportable_ensemble(replace(mean, kind="stack", stack=(({},),)), models, cards, None)
    with pytest.raises(InputError, match=r"ensemble.space: a mean of ranks .*--model a, b"):
        require_exportable_ensemble(replace(mean, rank_quantiles=np.zeros((3, 2, 2))), models, cards, None)
    with pytest.raises(InputError, match=r"models.classes: b predicts some of the classes"):
        require_exportable_ensemble(mean, models, cards, None)
    models = {"a": NETWORK, "b": NETWORK}
    with pytest.raises(InputError, match=r"different cache formats \(a 32x32, b 64x32 pixels\)"):
        require_exportable_ensemble(mean, models, {"a": card, "b": card | {"canvas": [32, 64]}}, None)


def test_on_the_command_line(finished: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["export", str(finished), "-o", str(tmp_path / "out"), "--views", "none", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"folder", "files", "card"}
    assert told["card"]["check"]["largest_difference"] <= 1e-4
    assert main(["export", str(finished), "--model", "mian"]) == 2
    assert "--model: unknown model; did you mean 'main'?" in capsys.readouterr().err
    assert main(["export", str(finished), "--views", "flip"]) == 2
    assert "--views: unknown views; did you mean 'flips'?" in capsys.readouterr().err
    monkeypatch.setattr(holotype.runs.export.formats.importlib.util, "find_spec", lambda name: None)
    assert main(["export", str(finished)]) == 2
    assert capsys.readouterr().err.endswith("are not installed; pip install 'holotype[export]'.\n")


RULES = {
    "argmax": Decision("argmax", ("a", "b", "c"), "multiclass"),
    "top": Decision("top", ("a", "b", "c"), "multiclass", k=2),
    "prior": Decision("prior", ("a", "b", "c"), "multiclass", thresholds=(0.5, -np.inf, 0.1)),
    "per-class": Decision("per-class", ("a", "b", "c"), "multilabel", thresholds=(0.2, 0.9, 0.5), fallback="argmax"),
    "no fallback": Decision("threshold", ("a", "b", "c"), "multilabel", thresholds=(0.7, 0.9, 0.5), fallback="none"),
    "at most one": Decision("threshold", ("a", "b", "c"), "multilabel", thresholds=(0.1, 0.1, 0.1), max_labels=1),
    "cascade": Decision("cascade", ("a", "b", "c"), "multilabel", levels=(0.8, 0.4), fallback="none"),
}


def functions_of_the_example(**names: Any) -> dict[str, Any]:
    tree = ast.parse(TEXT.replace("@library@", "onnxruntime").replace("@model@", "0").replace("@answer@", "0, 0"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    held: dict[str, Any] = {"np": np, **names}
    exec(compile(tree, "example.py", "exec"), held)
    return held


def test_the_example_reads_image_files_as_the_run_does(tmp_path: Path) -> None:
    load = functions_of_the_example(Path=Path)["loaded"]
    random = np.random.default_rng(0)
    color, gray = random.integers(0, 255, (3, 20, 24), np.uint8), random.integers(0, 60_000, (20, 24), np.uint16)
    Image.fromarray(color.transpose(1, 2, 0)).save(tmp_path / "color.png")
    Image.fromarray(color.transpose(1, 2, 0)).save(tmp_path / "color.jpg")
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(color[0]).save(tmp_path / "turned.png", exif=turned)
    Image.fromarray(gray).save(tmp_path / "gray.PNG")
    tifffile.imwrite(tmp_path / "gray.tif", gray)
    tifffile.imwrite(tmp_path / "planes.tif", color, metadata={"axes": "CYX"}, photometric="minisblack")
    tifffile.imwrite(tmp_path / "color.tiff", color.transpose(1, 2, 0), photometric="rgb")
    np.save(tmp_path / "gray.npy", gray)
    np.save(tmp_path / "planes.npy", color)
    for path in sorted(tmp_path.iterdir()):
        image, truth = load(path), read_image([path])
        assert image.dtype == truth.dtype, path
        assert np.array_equal(image, truth), path


def test_the_example_says_in_one_sentence_what_it_takes(exported: ExportResult, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    gray = random.integers(0, 255, (20, 24), np.uint8)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(gray).convert("P").save(tmp_path / "palette.png")
    tifffile.imwrite(tmp_path / "inverted.tif", gray, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "turned.tif", gray, extratags=[(274, "H", 1, 6, True)])
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([gray] * 4), metadata={"axes": "ZYX"}, photometric="minisblack")
    np.save(tmp_path / "text.npy", np.array(["a", "b"]))
    np.save(tmp_path / "line.npy", gray.ravel())
    for name in ("broken.npy", "broken.png", "broken.tif"):
        (tmp_path / name).write_bytes(b"no image")
    files = [*sorted(map(str, tmp_path.iterdir())), str(tmp_path / "absent.npy")]
    command = [sys.executable, str(exported.folder / "example.py"), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == files
    for file, line in zip(files, lines, strict=True):
        assert line.startswith(f"{file}: it has 1 channel,") if "gray.png" in file else line.endswith(f"; {TAKES}"), (
            line
        )


def test_the_example_without_pillow_and_tifffile_takes_arrays(exported: ExportResult, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 24), np.uint8)).save(tmp_path / "gray.png")
    tifffile.imwrite(tmp_path / "gray.tif", np.zeros((20, 24), np.uint8))
    files = [str(tmp_path / "gray.png"), str(tmp_path / "gray.tif")]
    command = [sys.executable, "-c", ALONE, str(exported.folder / "example.py"), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"{file}: Pillow and tifffile read image files, and {name} is missing; {TAKES}"
        for file, name in zip(files, ("PIL", "tifffile"), strict=True)
    ]


@pytest.mark.parametrize("decision", RULES.values(), ids=RULES)
def test_the_example_decides_as_the_run_does(decision: Decision) -> None:
    logits = np.random.default_rng(2).normal(0, 2, (40, 3)).astype(np.float32)
    truth = label_names(decide(decision, logits), decision.classes)
    example = functions_of_the_example(RULE=json.loads(json.dumps(simple_rule(decision, decision.kind))))
    from holotype.evaluation.metrics import probabilities

    chances = probabilities(logits, decision.kind)
    assert [[decision.classes[place] for place in example["predicted"](row)] for row in chances] == truth


@pytest.mark.parametrize("fitting", ["fit", "stretch"])
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("size", [(40, 60), (64, 48), (300, 111), (48, 48)])
def test_the_example_stores_an_image_as_the_run_does(fitting: str, depth: str, size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).uniform(0, 250, (2, *size)).astype(depth)
    truth = letterbox(image, 48, 56, 0.9) if fitting == "fit" else resize_image(image, 48, 56)
    example = functions_of_the_example(FORM={"scale": 0.9, "fitting": fitting}, HEIGHT=48, WIDTH=56)
    away = np.abs(example["stored"](image) - truth.astype(np.float32))
    assert away.max() <= (1 if depth != "float32" else 1e-2)  # a rounding that falls the other way
    assert (away > 0.01).mean() < 0.03
