"""Each system's parts, as they stand in its resolved recipe: a path and a value for every part that is told of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from holotype.cli.main import main
from holotype.pipeline.validate import validate_names
from holotype.recipe.load import Recipe, load_recipe

LookUp = Callable[[Any, str], list[Any]]
CHECKOUT = Path(__file__).resolve().parents[2]
STAINS = ["red", "green", "blue", "yellow"]
ATLAS = {
    "metric": "macro_f1",
    "data.id": "Id",
    "data.labels.column": "Target",
    "data.labels.kind": "multilabel",
    "submission.column": "Predicted",
}

EXPECTED: dict[str, dict[str, Any]] = {
    "community-b1b2": ATLAS
    | {
        "models.0.backbone": "efficientnet_b1",
        "models.1.backbone": "efficientnet_b2",
        "models.*.input.size": 512,
        "models.*.input.resize": "none",
        "models.*.augment.flip": True,
        "models.*.augment.rotate": 180.0,
        "models.*.augment.brightness": 0.2,
        "models.*.augment.contrast": 0.2,
        "models.*.augment.saturation": 0.2,
        "models.*.phases.0.epochs": 26,
        "models.*.phases.0.lr": 1.0e-4,
        "models.*.phases.0.schedule.name": "one-cycle",
        "models.*.phases.0.loss": "bce",
        "models.*.phases.0.optimizer.name": "adamw",
        "models.*.phases.0.optimizer.amsgrad": True,
        "models.*.phases.0.optimizer.weight_decay": 0.01,
        "models.*.checkpoints.best": 6,
        "models.*.checkpoints.rows": "inner",
        "decision.kind": "cascade",
        "decision.levels": [0.5, 0.46, 0.445],
        "decision.fallback": "argmax",
    },
    "one-more-layer-of-stacking": ATLAS
    | {
        "audit.duplicates": {"within_train": "group", "train_external": "group", "external_test": "validate"},
        "split.like_test": True,
        "split.folds_to_train": [0],
        "split.keep_together": ["groups", "duplicates"],
        "models.0.backbone": "seresnext50_32x4d",
        "models.1.backbone": "inception_v4",
        "models.2.backbone": "inception_v3",
        "models.3.backbone": "legacy_xception",
        "models.0.input.channels": None,
        "models.4.input.channels": STAINS[:3],
        "models.7.input.channels": STAINS[:3],
        "models.*.head.pool": "concat",
        "models.*.head.batch_norm": True,
        "models.*.head.dropout": 0.5,
        "models.*.augment.flip": True,
        "models.*.augment.brightness": 0.2,
        "models.*.augment.elastic": 0.05,
        "models.*.augment.crop": "random",
        "models.*.phases.0.freeze": "backbone",
        "models.*.phases.1.lr": "find",
        "models.*.phases.1.loss": {"focal": 1.0, "lsep": 1.0},
        "models.*.phases.1.schedule.name": "cosine-restarts",
        "models.*.phases.1.layer_decay": 0.7,
        "models.*.predict.tta": {"train_augmentation": 32},
        "ensemble.kind": "stack",
        "ensemble.features": ["scores", "image-statistics"],
        "decision.kind": "per-class",
        "decision.folds": 5,
        "decision.repeats": 20,
    },
    "bestfitting": ATLAS
    | {
        "data.channels": STAINS,
        "models.0.backbone": "densenet121",
        "models.0.input.size": 512,
        "models.0.augment.crop": {"image_size": 768},
        "models.0.phases.0.loss": {"focal": 1.0, "lovasz": 1.0},
        "models.0.phases.0.optimizer.name": "adam",
        "models.0.phases.0.schedule.name": "constant",
        "models.0.phases.0.lr": {0: 30e-5, 25: 15e-5, 30: 7.5e-5, 35: 3e-5, 40: 1e-5},
        "models.0.predict.tta": {"crops": 4, "image_size": 768},
        "models.0.predict.pooling": "max",
        "models.0.neighbors.k": 1,
        "models.0.neighbors.override_similarity": 0.9,
    },
    "pudae": ATLAS
    | {
        "run.batch": 1,
        "data.channels": STAINS,
        "models.0.backbone": "seresnext50_32x4d",
        "models.1.backbone": "inception_v3",
        "models.2.backbone": "resnet34",
        "models.*.input.size": 1024,
        "models.*.phases.0.accumulate": 32,
        "models.*.phases.0.loss": {"focal": {"weight": 1.0, "gamma": 2.0}},
        "models.*.checkpoints.last": 10,
        "models.*.predict.tta": "d4",
        "ensemble.kind": "weighted",
        "decision.kind": "prior",
    },
    "cellular-silver": {
        "metric": "accuracy",
        "data.sample": "id_code",
        "data.channels": ["1", "2", "3", "4", "5", "6"],
        "data.domain": "cell_type",
        "data.groups": ["batch", "experiment"],
        "models.0.backbone": "efficientnet_b2",
        "models.1.backbone": "efficientnet_b3",
        "models.2.backbone": "efficientnet_b4",
        "models.0.activation": None,
        "models.3.activation": "mish",
        "models.4.activation": "mish",
        "models.5.activation": "mish",
        "models.*.input.size": 256,
        "models.*.input.tile": {"size": 256, "sampling": "grid"},
        "models.*.augment.flip": True,
        "models.*.augment.rotate": 180.0,
        "models.*.augment.brightness": 0.0,
        "models.*.phases.0.early_stopping.metric": "loss",
        "models.*.checkpoints.metric": "loss",
        "models.*.specialists.by": "domain",
        "models.*.specialists.phases.0.early_stopping.metric": "loss",
        "models.*.predict.tta": "d4",
        "models.6.head.margin.scale": 30.0,
        "models.6.phases.0.loss": {"cross_entropy": 0.8, "arcface": 0.2},
        "models.6.pseudo_labels.confidence": 0.95,
        "ensemble.kind": "weighted",
        "ensemble.by": "domain",
        "decision.kind": "assign",
        "decision.unique_class_per": "batch",
        "submission.id": "id_code",
    },
    "herbarium-focal": {
        "metric": "macro_f1",
        "data.labels.column": "category_id",
        "data.labels.taxonomy": ["genus", "family"],
        "models.0.backbone": "seresnext50_32x4d",
        "models.1.backbone": "efficientnet_b3",
        "models.*.input.normalize": "dataset",
        "models.*.head.taxonomy.kind": "separate",
        "models.*.head.taxonomy.weights": {"class": 1.0, "genus": 0.3, "family": 0.1},
        "models.*.augment.crop": "random",
        "models.*.augment.flip": "horizontal",
        "models.*.augment.brightness": 0.0,
        "models.*.augment.contrast": 0.0,
        "models.*.augment.saturation": 0.0,
        "models.*.phases.0.loss": {"focal": {"weight": 1.0, "gamma": 2.0}},
        "models.*.phases.0.class_weights": "inverse",
        "models.*.phases.0.optimizer.name": "adam",
        "models.*.phases.0.lr": 30e-5,
        "models.*.phases.0.schedule": {"name": "step", "every": 5, "factor": 0.5},
        "models.*.phases.1.optimizer.name": "sgd",
        "models.*.phases.2.optimizer.name": "adam",
        "models.*.phases.2.schedule": {"name": "step", "every": 10, "factor": 0.5},
        "models.*.predict.tta": {"train_augmentation": 3, "identity": 1},
        "ensemble.kind": "mean",
        "ensemble.space": "logit",
        "submission.column": "Predicted",
    },
}
MODELS = {
    "community-b1b2": 2,
    "one-more-layer-of-stacking": 8,
    "bestfitting": 1,
    "pudae": 3,
    "cellular-silver": 7,
    "herbarium-focal": 2,
}


def recipe_of(name: str) -> Recipe:
    return load_recipe(CHECKOUT / "recipes" / f"{name}.yaml")


def test_every_part_stands_in_the_resolved_recipe(name: str, look_up: LookUp) -> None:
    content = recipe_of(name).model_dump()
    assert len(content["models"]) == MODELS[name]
    found = {path: look_up(content, path) for path in EXPECTED[name]}
    wrong = {path: values for path, values in found.items() if any(one != EXPECTED[name][path] for one in values)}
    assert wrong == {}


def test_the_recipe_is_right_without_its_data(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--recipe-only", str(CHECKOUT / "recipes" / f"{name}.yaml")]) == 0
    assert "is valid" in capsys.readouterr().out


def test_every_network_loss_and_optimiser_exists(name: str) -> None:
    validate_names(recipe_of(name))


def test_the_script_knows_the_same_systems_as_these_tests(systems: ModuleType) -> None:
    assert set(systems.SYSTEMS) == set(EXPECTED)


def test_what_is_made_small_keeps_every_part(name: str, systems: ModuleType) -> None:
    """Numbers and networks may change; no section, model, phase, loss or rule may go."""
    whole, small = systems.original(name), systems.reduced(name, quick=False)
    kept = ("metric", "data", "audit", "ensemble", "calibration", "submission", "decision")
    assert {key: small.get(key) for key in kept} == {key: whole.get(key) for key in kept}
    assert [model["name"] for model in small["models"]] == [model["name"] for model in whole["models"]]
    for large, model in zip(whole["models"], small["models"], strict=True):
        assert set(model) - set(large) <= {"weights"}
        assert set(large) <= set(model)
        for key in ("activation", "pseudo_labels", "neighbors"):
            assert model.get(key) == large.get(key)
        assert set(model.get("head", {})) == set(large.get("head", {}))
        assert len(model["phases"]) == len(large["phases"])
        for long, phase in zip(large["phases"], model["phases"], strict=True):
            assert set(phase) == set(long)
            assert phase.get("loss") == long.get("loss")
            assert phase.get("optimizer") == long.get("optimizer")
