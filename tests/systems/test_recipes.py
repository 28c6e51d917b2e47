"""Each system's parts, as they stand in its resolved recipe: a path and a value for every part that is told of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from holotype.cli import main
from holotype.pipeline import check_names
from holotype.recipe import Recipe, load_recipe

LookUp = Callable[[Any, str], list[Any]]
CHECKOUT = Path(__file__).resolve().parents[2]
STAINS = ["red", "green", "blue", "yellow"]
ATLAS = {"metric": "macro_f1", "data.id": "Id", "data.labels.column": "Target", "data.labels.kind": "multilabel",
         "submit.column": "Predicted"}  # fmt: skip

EXPECTED: dict[str, dict[str, Any]] = {
    "community-b1b2": ATLAS | {
        "members.0.backbone": "efficientnet_b1",
        "members.1.backbone": "efficientnet_b2",
        "members.*.input.size": 512,
        "members.*.input.resize": "none",
        "members.*.augment.flip": True,
        "members.*.augment.rotate": 180.0,
        "members.*.augment.brightness": 0.2,
        "members.*.augment.contrast": 0.2,
        "members.*.augment.saturation": 0.2,
        "members.*.phases.0.epochs": 26,
        "members.*.phases.0.lr": 1.0e-4,
        "members.*.phases.0.schedule.name": "one-cycle",
        "members.*.phases.0.loss": "bce",
        "members.*.phases.0.optimizer.name": "adamw",
        "members.*.phases.0.optimizer.amsgrad": True,
        "members.*.phases.0.optimizer.weight_decay": 0.01,
        "members.*.keep.best": 6,
        "members.*.keep.on": "inner",
        "decide.kind": "cascade",
        "decide.levels": [0.5, 0.46, 0.445],
        "decide.fallback": "argmax",
    },
    "one-more-layer-of-stacking": ATLAS | {
        "audit.on_leak": {"within_train": "group", "train_external": "group", "external_test": "validate"},
        "split.like_test": True,
        "split.use": [0],
        "split.by": ["groups", "duplicates"],
        "members.0.backbone": "seresnext50_32x4d",
        "members.1.backbone": "inception_v4",
        "members.2.backbone": "inception_v3",
        "members.3.backbone": "legacy_xception",
        "members.0.input.channels": None,
        "members.4.input.channels": STAINS[:3],
        "members.7.input.channels": STAINS[:3],
        "members.*.head.pool": "concat",
        "members.*.head.batch_norm": True,
        "members.*.head.dropout": 0.5,
        "members.*.augment.flip": True,
        "members.*.augment.brightness": 0.2,
        "members.*.augment.warp": 0.05,
        "members.*.augment.crop": "random",
        "members.*.phases.0.freeze": "backbone",
        "members.*.phases.1.lr": "find",
        "members.*.phases.1.loss": {"focal": 1.0, "lsep": 1.0},
        "members.*.phases.1.schedule.name": "cosine-restarts",
        "members.*.phases.1.layer_decay": 0.7,
        "members.*.predict.views": {"as_trained": 32},
        "ensemble.kind": "stack",
        "ensemble.features": ["scores", "image-statistics"],
        "decide.kind": "per-class",
        "decide.folds": 5,
        "decide.repeats": 20,
    },
    "bestfitting": ATLAS | {
        "data.channels": STAINS,
        "members.0.backbone": "densenet121",
        "members.0.input.size": 512,
        "members.0.augment.crop": {"from": 768},
        "members.0.phases.0.loss": {"focal": 1.0, "lovasz": 1.0},
        "members.0.phases.0.optimizer.name": "adam",
        "members.0.phases.0.schedule.name": "constant",
        "members.0.phases.0.lr": {0: 30e-5, 25: 15e-5, 30: 7.5e-5, 35: 3e-5, 40: 1e-5},
        "members.0.predict.views": {"crops": 4, "from": 768},
        "members.0.predict.pool": "max",
        "members.0.neighbours.k": 1,
        "members.0.neighbours.take_over": 0.9,
    },
    "pudae": ATLAS | {
        "run.batch": 1,
        "data.channels": STAINS,
        "members.0.backbone": "seresnext50_32x4d",
        "members.1.backbone": "inception_v3",
        "members.2.backbone": "resnet34",
        "members.*.input.size": 1024,
        "members.*.phases.0.accumulate": 32,
        "members.*.phases.0.loss": {"focal": {"weight": 1.0, "gamma": 2.0}},
        "members.*.keep.last": 10,
        "members.*.predict.views": "d4",
        "ensemble.kind": "weighted",
        "decide.kind": "prior",
    },
    "cellular-silver": {
        "metric": "accuracy",
        "data.sample": "id_code",
        "data.channels": ["1", "2", "3", "4", "5", "6"],
        "data.domain": "cell_type",
        "data.groups": ["batch", "experiment"],
        "members.0.backbone": "efficientnet_b2",
        "members.1.backbone": "efficientnet_b3",
        "members.2.backbone": "efficientnet_b4",
        "members.0.activation": None,
        "members.3.activation": "mish",
        "members.4.activation": "mish",
        "members.5.activation": "mish",
        "members.*.input.size": 256,
        "members.*.input.tile": {"side": 256, "training": "grid"},
        "members.*.augment.flip": True,
        "members.*.augment.rotate": 180.0,
        "members.*.augment.brightness": 0.0,
        "members.*.phases.0.stop_after.on": "loss",
        "members.*.keep.by": "loss",
        "members.*.specialise.by": "domain",
        "members.*.specialise.phases.0.stop_after.on": "loss",
        "members.*.predict.views": "d4",
        "members.6.head.margin.scale": 30.0,
        "members.6.phases.0.loss": {"cross_entropy": 0.8, "arcface": 0.2},
        "members.6.pseudo.confidence": 0.95,
        "ensemble.kind": "weighted",
        "ensemble.by": "domain",
        "decide.kind": "assign",
        "decide.one_class_per": "batch",
        "submit.id": "id_code",
    },
    "herbarium-focal": {
        "metric": "macro_f1",
        "data.labels.column": "category_id",
        "data.labels.taxonomy": ["genus", "family"],
        "members.0.backbone": "seresnext50_32x4d",
        "members.1.backbone": "efficientnet_b3",
        "members.*.input.normalise": "dataset",
        "members.*.head.levels.kind": "heads",
        "members.*.head.levels.weights": {"class": 1.0, "genus": 0.3, "family": 0.1},
        "members.*.augment.crop": "random",
        "members.*.augment.flip": "horizontal",
        "members.*.augment.brightness": 0.0,
        "members.*.augment.contrast": 0.0,
        "members.*.augment.saturation": 0.0,
        "members.*.phases.0.loss": {"focal": {"weight": 1.0, "gamma": 2.0}},
        "members.*.phases.0.class_weights": "inverse",
        "members.*.phases.0.optimizer.name": "adam",
        "members.*.phases.0.lr": 30e-5,
        "members.*.phases.0.schedule": {"name": "step", "every": 5, "factor": 0.5},
        "members.*.phases.1.optimizer.name": "sgd",
        "members.*.phases.2.optimizer.name": "adam",
        "members.*.phases.2.schedule": {"name": "step", "every": 10, "factor": 0.5},
        "members.*.predict.views": {"as_trained": 3, "plain": 1},
        "ensemble.kind": "mean",
        "ensemble.space": "logit",
        "submit.column": "Predicted",
    },
}  # fmt: skip
MEMBERS = {"community-b1b2": 2, "one-more-layer-of-stacking": 8, "bestfitting": 1, "pudae": 3, "cellular-silver": 7,
           "herbarium-focal": 2}  # fmt: skip


def recipe_of(name: str) -> Recipe:
    return load_recipe(CHECKOUT / "recipes" / f"{name}.yaml")


def test_every_part_stands_in_the_resolved_recipe(name: str, look_up: LookUp) -> None:
    content = recipe_of(name).model_dump()
    assert len(content["members"]) == MEMBERS[name]
    found = {path: look_up(content, path) for path in EXPECTED[name]}
    wrong = {path: values for path, values in found.items() if any(one != EXPECTED[name][path] for one in values)}
    assert wrong == {}


def test_the_recipe_is_right_without_its_data(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--recipe-only", str(CHECKOUT / "recipes" / f"{name}.yaml")]) == 0
    assert "is right" in capsys.readouterr().out


def test_every_network_loss_and_optimiser_exists(name: str) -> None:
    check_names(recipe_of(name))


def test_the_script_knows_the_same_systems_as_these_tests(systems: ModuleType) -> None:
    assert set(systems.SYSTEMS) == set(EXPECTED)


def test_what_is_made_small_keeps_every_part(name: str, systems: ModuleType) -> None:
    """Numbers and networks may change; no section, member, phase, loss or rule may go."""
    whole, small = systems.original(name), systems.reduced(name, quick=False)
    kept = ("metric", "data", "audit", "ensemble", "calibrate", "submit", "decide")
    assert {key: small.get(key) for key in kept} == {key: whole.get(key) for key in kept}
    assert [member["name"] for member in small["members"]] == [member["name"] for member in whole["members"]]
    for large, member in zip(whole["members"], small["members"], strict=True):
        assert set(member) - set(large) <= {"weights"}
        assert set(large) <= set(member)
        for key in ("activation", "pseudo", "neighbours"):
            assert member.get(key) == large.get(key)
        assert set(member.get("head", {})) == set(large.get("head", {}))
        assert len(member["phases"]) == len(large["phases"])
        for long, phase in zip(large["phases"], member["phases"], strict=True):
            assert set(phase) == set(long)
            assert phase.get("loss") == long.get("loss")
            assert phase.get("optimizer") == long.get("optimizer")
