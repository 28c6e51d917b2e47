"""Validated files of a finished run: a damaged or edited file is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from holotype.core.errors import InputError, StoreError
from holotype.core.run_folder import RERUN_REMEDY, RunFolder
from holotype.networks import cache_networks, open_checkpoint
from holotype.postprocessing.decision import calibration_from_json, decision_from_json
from holotype.postprocessing.ensemble import ensemble_from_json
from holotype.recipe.sections import ModelSpec
from holotype.training.job import OTHER_CLASSES
from holotype.types import Calibration, Checkpoint, Decision, Ensemble, Normalization

RULES = ("argmax", "threshold", "cascade", "per-class", "prior", "top", "assign", "custom")
KINDS = ("mean", "weighted", "greedy", "vote", "stack")
MAX_SIDE = 65_536
CARD_KEYS = ("model", "classes", "kind", "channels", "canvas", "normalization", "size", "input_channels")


@contextmanager
def intact(path: Path) -> Iterator[None]:
    """Turn any error while a file of a run is read into the message that it is damaged."""
    try:
        yield
    except InputError:
        raise
    except StoreError as error:
        raise _damage_error(path, error.what) from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        OSError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = (
            f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0] if str(error) else ""
        )
        raise _damage_error(path, reason or type(error).__name__) from error


def read_decision(folder: RunFolder) -> tuple[Decision, Calibration]:
    """Read the decision and calibration of a run. Raises InputError if `decision.json` is missing or damaged."""
    path = folder.require("decision.json")
    with intact(path):
        content = _read_object(path)
        decision, calibration = decision_from_json(content), calibration_from_json(content)
        TypeAdapter(Decision).validate_python(vars(decision))
        TypeAdapter(Calibration).validate_python(vars(calibration))
        count = len(decision.classes)
        _require(count > 0 and len(set(decision.classes)) == count, "its class names are not unique")
        _require(decision.rule in RULES, f"there is no rule {decision.rule!r}")
        of_classes = ["per-class", "threshold"] if decision.kind == "multilabel" else []
        _require(
            len(decision.thresholds) in ({count} if decision.rule in of_classes else {0, count}),
            f"it has {len(decision.thresholds):,} thresholds for {count:,} classes",
        )
        _require(
            len(decision.class_priors) in {0, count},
            f"it has {len(decision.class_priors):,} priors for {count:,} classes",
        )
        _require(
            not np.isnan([*decision.thresholds, *decision.levels, *decision.class_priors]).any(), "it contains NaN"
        )
        _require(decision.k is None or decision.k >= 1, f"k is {decision.k}")
        _require(decision.rule != "cascade" or len(decision.levels) > 0, "its cascade has no levels")
        numbers = [number for class_set in decision.class_sets for number in class_set]
        _require(all(0 <= number < count for number in numbers), "its sets contain unknown classes")
        _require(len(calibration.parameters) in {0, 1, count}, "its calibration is of other classes")
    return decision, calibration


def read_ensemble(folder: RunFolder, models: Sequence[ModelSpec]) -> Ensemble:
    """Read the ensemble of a run."""
    path = folder.require("ensemble.json")
    with intact(path):
        ensemble = ensemble_from_json(_read_object(path))
        TypeAdapter(tuple[float, ...]).validate_python(ensemble.weights)
        names, count = {name for model in models for name in model.names}, len(ensemble.models)
        _require(ensemble.kind in KINDS, f"there is no ensemble {ensemble.kind!r}")
        _require(ensemble.space in {"logit", "probability", "rank"}, f"there is no space {ensemble.space!r}")
        _require(set(ensemble.models) == names and len(names) == count, "its models are not those of recipe.yaml")
        weights = [ensemble.weights, *ensemble.weights_by_domain.values()]
        _require(
            all(len(model_weights) == count and np.isfinite(model_weights).all() for model_weights in weights),
            "its weights do not fit",
        )
        _require(len(ensemble.pools) == count, "its pools do not fit")
        _require(len(ensemble.specialist_domains) in {0, count}, "its specialists do not fit")
    return ensemble


def open_network(folder: Path, classes: Sequence[str], in_memory: bool = False) -> Checkpoint:
    """Open a network of a run and check its card. Raises InputError if its card or its weights are damaged."""
    path = folder / "card.json"
    with intact(path):
        checkpoint = open_checkpoint(folder)
        card: Any = checkpoint.card
        _require(isinstance(card, dict), "it is not a JSON object")
        for name in CARD_KEYS:
            _require(name in card, f"it has no {name!r}")
        ModelSpec.model_validate(card["model"])
        scale = Normalization.from_facts(card["normalization"])
        channels, canvas = card["channels"], card["canvas"]
        _require(isinstance(channels, int) and channels > 0, f"channels is {channels!r}")
        _require(len(scale.mean) == len(scale.deviation) == channels, "its normalization is of other channels")
        _require(
            bool(np.isfinite([*scale.mean, *scale.deviation]).all()) and min(scale.deviation) > 0,
            "its normalization is not a number above zero",
        )
        sides = [*canvas, card["size"]]
        _require(
            len(canvas) == 2 and all(isinstance(side, int) and 0 < side <= MAX_SIDE for side in sides),
            f"its sizes are {canvas!r} and {card['size']!r}",
        )
        allowed = {*classes, OTHER_CLASSES}
        _require(len(card["classes"]) > 0 and set(card["classes"]) <= allowed, "its classes are not the run's")
        files = len(list(folder.glob("weights*.safetensors")))
        _require(files > 0, "there are no weights beside it")
        _require(
            card.get("networks", 1) == files, f"networks is {card.get('networks')!r} and there are {files:,} files"
        )
    if not in_memory:
        return checkpoint
    with intact(folder):
        return cache_networks(checkpoint)


def _read_object(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    _require(isinstance(content, dict), "it is not a JSON object")
    return content  # type: ignore[no-any-return]


def _require(right: bool, what: str) -> None:
    if not right:
        raise ValueError(what)


def _damage_error(path: Path, reason: str) -> InputError:
    return InputError(f"{str(path)!r} is damaged or was changed: {reason.rstrip('.')}", remedy=RERUN_REMEDY)
