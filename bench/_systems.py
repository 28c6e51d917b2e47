"""The six systems on drawn stand-ins: which stand-in each has, and what makes a recipe small enough for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from _common import CHECKOUT, DATA
from ruamel.yaml import YAML

from holotype.simulate.herbarium import LeavesPlan, simulate_leaves
from holotype.simulate.hpa import HpaPlan, simulate_hpa
from holotype.simulate.rxrx1 import PerturbationPlan, simulate_perturbations

ATLAS = ("community-b1b2", "one-more-layer-of-stacking", "bestfitting", "pudae")
SYSTEMS = (*ATLAS, "cellular-silver", "herbarium-focal")
STAND_INS = {**dict.fromkeys(ATLAS, "atlas"), "cellular-silver": "perturbations", "herbarium-focal": "leaves"}
QUICK_ATLAS = HpaPlan(train=120, external=24, test=24, train_train=4, train_external=6, external_test=6)
QUICK_SCREEN = PerturbationPlan(perturbations=8, plates=2, train_experiments=3)
FULL_SCREEN = PerturbationPlan(perturbations=200, plates=4, train_experiments=2)
QUICK_LEAVES = LeavesPlan(species=2, sheets=10, test=2)
BACKBONE = "test_efficientnet"
ATLAS_SIZE, SCREEN_SIZE, EPOCHS = 48, 32, 18


def draw(kind: str, folder: Path, quick: bool) -> Path:
    """A stand-in in a folder of its own, drawn once."""
    place = folder / kind
    if (place / "truth.csv").is_file():
        return place
    if kind == "atlas":
        simulate_hpa(place, replace(QUICK_ATLAS if quick else HpaPlan(), size=ATLAS_SIZE))
    elif kind == "perturbations":
        simulate_perturbations(place, replace(QUICK_SCREEN if quick else FULL_SCREEN, size=SCREEN_SIZE))
    else:
        simulate_leaves(place, QUICK_LEAVES if quick else LeavesPlan())
    return place


def original(system: str) -> dict[str, Any]:
    """The recipe as it stands in recipes/."""
    text = (CHECKOUT / "recipes" / f"{system}.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))  # without shared parts
    return content


def reduced(system: str, quick: bool, epochs: int = EPOCHS) -> dict[str, Any]:
    """The recipe for its stand-in: other sizes, epochs, networks, folds and counts of views; all its parts stay.

    Quick: one epoch a phase and one fold. The screen has ten times the images of the others: a sixth of the epochs,
    larger batches, and the first model alone is seen in all its views.
    """
    content = original(system)
    content["run"] = {"threads": 1, "workers": 0, "device": "cpu", "batch": 16}
    large = STAND_INS[system] == "perturbations" and not quick
    folds, epochs = (2, max(epochs // 6, 1)) if large else (3, epochs)
    content["split"] = content.get("split", {}) | {"folds": folds} | ({"folds_to_train": [0]} if quick else {})
    if large:
        content["run"]["batch"] = 32
    for number, model in enumerate(content["models"]):
        model |= {"backbone": BACKBONE, "weights": "none"}
        if quick and number:
            _as_the_first(model)
        phases = [*model["phases"], *(model.get("specialists") or {}).get("phases", [])]
        for phase in phases:
            _shorten(phase, 1 if quick else epochs)
        for key, most in (("best", 1), ("last", 2)):
            if key in model.get("checkpoints", {}):
                model["checkpoints"][key] = min(model["checkpoints"][key], most if quick else epochs // 2)
        FITTING[STAND_INS[system]](model)
        views = model.get("predict", {}).get("tta")
        if large and number:
            model["predict"]["tta"] = "none"
        elif isinstance(views, dict):
            views |= {
                name: min(views[name], 2 if quick else 8) for name in ("train_augmentation", "crops") if name in views
            }
        if model.get("specialists"):
            model["specialists"]["min_samples"] = 4
        if model.get("pseudo_labels") and quick:
            model["pseudo_labels"]["confidence"] = 0.5001
    if quick and content.get("decision", {}).get("kind") == "per-class":
        content["decision"] |= {"folds": 2, "repeats": 2}
    return content


def write_reduced(system: str, place: Path, quick: bool, epochs: int = EPOCHS, **changes: Any) -> Path:
    """The reduced recipe as a file beside its stand-in."""
    path = place / f"{system}.yaml"
    path.write_text(json.dumps(reduced(system, quick, epochs) | changes, indent=1), encoding="utf-8")
    return path


def real_leaves() -> dict[str, Any] | None:
    """The `data` section for photographed leaves and their taxonomy, where they are."""
    place = DATA / "leaf"
    if not place.is_dir():
        return None
    tables = {
        "train": str(place / "train.csv"),
        "test": str(place / "test.csv"),
        "images": f"{place}/images/{{id}}.png",
    }
    return tables | {"labels": {"column": "species", "taxonomy": str(place / "taxonomy.csv")}}


def _shorten(phase: dict[str, Any], epochs: int) -> None:
    """Fewer epochs, a rate for a small untrained network, and steps in proportion."""
    share = epochs / phase["epochs"]
    phase["epochs"] = min(phase["epochs"], epochs)
    if isinstance(phase.get("lr"), dict):
        steps = {int(step): rate for step, rate in phase["lr"].items()}
        kept = {min(int(step * share), epochs): 10 * rate for step, rate in steps.items()}
        phase["lr"] = kept
    elif isinstance(phase.get("lr"), float):
        phase["lr"] = min(10 * phase["lr"], 0.01)
    if phase.get("schedule", {}) and isinstance(phase["schedule"], dict) and "every" in phase["schedule"]:
        phase["schedule"]["every"] = max(1, round(phase["schedule"]["every"] * share))
    if "accumulate" in phase:
        phase["accumulate"] = 2


def _as_the_first(model: dict[str, Any]) -> None:
    """What takes long and is the same for all models is seen once: the search of a rate, and specialists."""
    model["specialists"] = None
    for phase in model["phases"]:
        if phase.get("lr") == "find":
            phase["lr"] = 0.003


def _fit_atlas(model: dict[str, Any]) -> None:
    whole = model["input"].get("resize") == "none"
    cropped = isinstance(model.get("augment", {}).get("crop"), dict)
    model["input"]["size"] = ATLAS_SIZE if whole else 32
    if cropped:
        model["augment"]["crop"] = {"image_size": ATLAS_SIZE}
        model["predict"]["tta"]["image_size"] = ATLAS_SIZE
    if "hidden" in model.get("head", {}):
        model["head"]["hidden"] = 32


def _fit_screen(model: dict[str, Any]) -> None:
    model["input"] |= {"size": 32, "tile": model["input"]["tile"] | {"size": SCREEN_SIZE // 2}}


def _fit_leaves(model: dict[str, Any]) -> None:
    model["input"]["size"] = 48


FITTING: dict[str, Callable[[dict[str, Any]], None]] = {
    "atlas": _fit_atlas,
    "perturbations": _fit_screen,
    "leaves": _fit_leaves,
}
