"""The graph's parts against those of a run, and the graph in its formats against itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import holotype.runs.export.formats
from holotype.core.errors import InputError
from holotype.data import PixelCache
from holotype.evaluation.metrics import probabilities
from holotype.networks import build_network
from holotype.postprocessing.decision import calibrate
from holotype.postprocessing.ensemble import apply_ensemble
from holotype.prediction import InferenceOptions, infer_logits
from holotype.recipe.sections import ModelSpec, PredictSpec
from holotype.runs.export import CalibratedGraph, EnsembleGraph, ModelGraph, load_session, require_extra, write_graph
from holotype.runs.export.onnx_graph import input_format
from holotype.types import Calibration, Ensemble, RankHeads, TestPredictions

KINDS = pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
LEVELS = RankHeads(("genus",), ((0, 0, 1),), (0.5,), 1.0)
CASES: dict[str, dict[str, Any]] = {
    "hidden layers behind a concatenated pooling": {"head": {"pool": "concat", "hidden": 16}},
    "images that are not square": {"canvas": (24, 32), "views": "flips"},
    "tiles": {"input": {"size": 32, "tile": 32}, "canvas": (48, 64), "views": "none", "head": {"pool": "attention"}},
    "a crop": {"canvas": (48, 48), "views": {"crops": 3, "image_size": 48}},
    "some of the channels, stretched": {
        "input": {"size": 32, "resize": "stretch", "channels": ["d", "b"]},
        "canvas": (20, 32),
        "pool": "max",
    },
    "margins with several centres": {
        "head": {"margin": {"scale": 30.0, "subcenters": 3}},
        "kind": "multiclass",
        "pool": "geometric",
        "views": "flips",
    },
    "ranks above the classes": {
        "head": {"taxonomy": {"kind": "separate", "weights": {"genus": 0.5}}},
        "kind": "multiclass",
        "levels": LEVELS,
        "pool": "mean-probability",
    },
    "a vision transformer": {"backbone": "test_vit", "input": {"size": 160}, "canvas": (160, 160), "views": "none"},
    "resnet18": {"backbone": "resnet18", "views": "flips", "head": {"pool": "gem"}},
    "efficientnet_lite0": {"backbone": "efficientnet_lite0", "views": "none"},
}
QUICK = ["hidden layers behind a concatenated pooling", "images that are not square", "margins with several centres"]


def graph_of(case: dict[str, Any], folds: int = 2) -> tuple[ModelGraph, list[Any], dict[str, Any]]:
    """A model of untrained networks, one a fold, each with a scale of its own."""
    given = {"backbone": "test_efficientnet", "weights": "none", "input": {"size": 32}, "head": {}} | {
        key: value for key, value in case.items() if key in {"backbone", "input", "head"}
    }
    model = ModelSpec.model_validate(given)
    canvas, kind = case.get("canvas", (32, 32)), case.get("kind", "multilabel")
    seen = len(model.input.channels or "abcd")
    cards = [
        {
            "model": model.model_dump(mode="json"),
            "channels": 4,
            "canvas": list(canvas),
            "classes": ["a", "b", "c"],
            "kind": kind,
            "size": model.input.size,
            "channel_names": ["a", "b", "c", "d"],
            "normalization": {"mean": [1000.0 + fold] * 4, "deviation": [500.0, 400.0, 300.0, 200.0]},
        }
        for fold in range(folds)
    ]
    networks = [build_network(model, 3, seen, fold, rank_heads=case.get("levels"))[0].eval() for fold in range(folds)]
    with torch.no_grad():
        for network in networks:
            last = network.head.last
            last.weight.copy_(torch.randn_like(last.weight))  # untrained ones say next to nothing
    views = PredictSpec(tta=case.get("views", "d4"), pooling=case.get("pool", "mean-logit"))
    forms = [input_format(card) for card in cards]
    return ModelGraph([[one] for one in networks], forms, views, cards[0]).eval(), networks, cards[0]


def pixels_for(card: dict[str, Any], count: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 4000, (count, card["channels"], *card["canvas"])).astype(np.uint16)


def said_by_the_run(graph: ModelGraph, networks: list[Any], card: dict[str, Any], pixels: np.ndarray) -> np.ndarray:
    """The mean over folds of what the one inference loop says."""
    parts = []
    for network, (mean, deviation) in zip(networks, graph.scales, strict=True):
        form = input_format(card)
        form = replace(
            form,
            pixel_cache=PixelCache(pixels, form.pixel_cache.resize_mode),
            normalization=type(form.normalization)(mean, deviation),
        )
        reading = InferenceOptions(card["size"], card["kind"], graph.spec)
        parts.append(np.asarray(infer_logits(network, form, np.arange(len(pixels)), reading, torch.device("cpu"))))
    return np.mean(parts, axis=0)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in CASES]
)
def test_a_written_graph_says_what_the_inference_loop_says(name: str, tmp_path: Path) -> None:
    model, networks, card = graph_of(CASES[name])
    graph = EnsembleGraph([model], (1.0,), "logit", CalibratedGraph(Calibration(), card["kind"])).eval()
    pixels = pixels_for(card, 5)
    truth = said_by_the_run(model, networks, card, pixels)
    assert np.ptp(truth) > 0.1
    said = load_session(write_graph(graph, (4, *card["canvas"]), "onnx", tmp_path, {"made by": "a test"}), 1)
    for count in (5, 1):  # the batch is dynamic
        logits, sure = said(pixels[:count].astype(np.float32))
        np.testing.assert_allclose(logits, truth[:count], atol=1e-4)
        np.testing.assert_allclose(sure, probabilities(truth[:count], card["kind"]), atol=1e-5)


def test_what_torch_exports_says_the_same(tmp_path: Path) -> None:
    model, networks, card = graph_of({"views": "flips"}, folds=1)
    graph = EnsembleGraph([model], (1.0,), "logit", CalibratedGraph(Calibration(), card["kind"])).eval()
    path = write_graph(graph, (4, *card["canvas"]), "torch", tmp_path, {})
    assert path.name == "model.pt2"
    pixels = pixels_for(card, 3)
    logits, _ = load_session(path, 1)(pixels.astype(np.float32))
    np.testing.assert_allclose(logits, said_by_the_run(model, networks, card, pixels), atol=1e-4)


@KINDS
@given(seed=st.integers(0, 999))
def test_a_calibration_in_the_graph_is_the_runs(kind: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 4, (20, 3)).astype(np.float32)
    steps = tuple(tuple(np.sort(random.normal(0, 3, 2 + number)).tolist()) for number in range(3))
    stairs = tuple(tuple(np.sort(random.normal(0, 3, 2 + number)).tolist()) for number in range(3))
    beta = tuple(tuple(row) for row in random.uniform(0.2, 2, (3, 3)).tolist())
    made = [
        Calibration(),
        Calibration("temperature", ((0.7,),)),
        Calibration("beta", beta),
        Calibration("isotonic", stairs, steps),
    ]
    for calibration in made:
        own = CalibratedGraph(calibration, kind)(torch.from_numpy(logits)).numpy()
        np.testing.assert_allclose(own, np.asarray(calibrate(calibration, logits, kind)), atol=1e-4, rtol=1e-5)


@KINDS
@pytest.mark.parametrize(("ensemble", "space"), [("weighted", "logit"), ("weighted", "probability"), ("vote", "logit")])
def test_models_together_are_the_runs_ensemble(kind: Any, ensemble: str, space: Any) -> None:
    random = np.random.default_rng(3)
    said = [random.normal(0, 2, (9, 3)).astype(np.float32) for _ in range(3)]
    weights = (0.2, 0.5, 0.3)
    fitted = Ensemble(ensemble, space, ("a", "b", "c"), weights)
    truth = apply_ensemble(fitted, [TestPredictions(np.arange(9), one) for one in said], kind)
    model, _, _ = graph_of({"kind": kind}, folds=1)
    given_weights = None if ensemble == "vote" else weights
    graph = EnsembleGraph([model] * 3, given_weights, space, CalibratedGraph(Calibration(), kind))
    np.testing.assert_allclose(graph.combine([torch.from_numpy(one) for one in said]).numpy(), truth, atol=1e-5)


def test_without_the_extra_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holotype.runs.export.formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"onnx, onnxruntime, onnxscript are not installed; pip install 'holotype\[exp"
    ):
        require_extra("onnx")
    require_extra("torch")
    with pytest.raises(InputError, match="--format: there is no such format; did you mean 'onnx'"):
        require_extra("onx")
