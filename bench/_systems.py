"""The six systems on drawn stand-ins: which stand-in each has, and what makes a recipe small enough for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from _common import CHECKOUT, DATA
from ruamel.yaml import YAML

from holotype.data.atlas import AtlasPlan, simulate_atlas
from holotype.data.leaves import LeavesPlan, simulate_leaves
from holotype.data.perturbations import PerturbationPlan, simulate_perturbations

ATLAS = ("community-b1b2", "one-more-layer-of-stacking", "bestfitting", "pudae")
SYSTEMS = (*ATLAS, "cellular-silver", "herbarium-focal")
STAND_INS = {**dict.fromkeys(ATLAS, "atlas"), "cellular-silver": "perturbations", "herbarium-focal": "leaves"}
QUICK_ATLAS = AtlasPlan(train=120, external=24, test=24, train_train=4, train_external=6, external_test=6)
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
        simulate_atlas(place, replace(QUICK_ATLAS if quick else AtlasPlan(), size=ATLAS_SIZE))
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
    larger batches, and the first member alone is seen in all its views.
    """
    content = original(system)
    content["run"] = {"threads": 1, "workers": 0, "device": "cpu", "batch": 16}
    large = STAND_INS[system] == "perturbations" and not quick
    folds, epochs = (2, max(epochs // 6, 1)) if large else (3, epochs)
    content["split"] = content.get("split", {}) | {"folds": folds} | ({"use": [0]} if quick else {})
    if large:
        content["run"]["batch"] = 32
    for number, member in enumerate(content["members"]):
        member |= {"backbone": BACKBONE, "weights": "none"}
        if quick and number:
            _as_the_first(member)
        phases = [*member["phases"], *(member.get("specialise") or {}).get("phases", [])]
        for phase in phases:
            _shorten(phase, 1 if quick else epochs)
        for key, most in (("best", 1), ("last", 2)):
            if key in member.get("keep", {}):
                member["keep"][key] = min(member["keep"][key], most if quick else epochs // 2)
        FITTING[STAND_INS[system]](member)
        views = member.get("predict", {}).get("views")
        if large and number:
            member["predict"]["views"] = "none"
        elif isinstance(views, dict):
            views |= {name: min(views[name], 2 if quick else 8) for name in ("as_trained", "crops") if name in views}
        if member.get("specialise"):
            member["specialise"]["least"] = 4
        if member.get("pseudo") and quick:
            member["pseudo"]["confidence"] = 0.5001
    if quick and content.get("decide", {}).get("kind") == "per-class":
        content["decide"] |= {"folds": 2, "repeats": 2}
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


def _as_the_first(member: dict[str, Any]) -> None:
    """What takes long and is the same for all members is seen once: the search of a rate, and specialists."""
    member["specialise"] = None
    for phase in member["phases"]:
        if phase.get("lr") == "find":
            phase["lr"] = 0.003


def _fit_atlas(member: dict[str, Any]) -> None:
    whole = member["input"].get("resize") == "none"
    cropped = isinstance(member.get("augment", {}).get("crop"), dict)
    member["input"]["size"] = ATLAS_SIZE if whole else 32
    if cropped:
        member["augment"]["crop"] = {"from": ATLAS_SIZE}
        member["predict"]["views"]["from"] = ATLAS_SIZE
    if "hidden" in member.get("head", {}):
        member["head"]["hidden"] = 32


def _fit_screen(member: dict[str, Any]) -> None:
    member["input"] |= {"size": 32, "tile": member["input"]["tile"] | {"side": SCREEN_SIZE // 2}}


def _fit_leaves(member: dict[str, Any]) -> None:
    member["input"]["size"] = 48


FITTING: dict[str, Callable[[dict[str, Any]], None]] = {
    "atlas": _fit_atlas,
    "perturbations": _fit_screen,
    "leaves": _fit_leaves,
}
