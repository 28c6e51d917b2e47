"""Files of a finished run, read and checked: what was torn or changed by hand is one sentence with the way out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from holotype.decide import calibration_from_json, decision_from_json
from holotype.ensemble import ensemble_from_json
from holotype.errors import InputError, StoreError
from holotype.nets import hold_networks, open_checkpoint
from holotype.runs import AGAIN, RunFolder
from holotype.spec import MemberSpec
from holotype.train.job import REST as OTHER_CLASSES
from holotype.types import Calibration, Checkpoint, Decision, Ensemble, Normalisation

__all__ = ["intact", "open_network", "read_decision", "read_ensemble"]

RULES = ("argmax", "threshold", "cascade", "per-class", "prior", "top", "assign")
KINDS = ("mean", "weighted", "greedy", "vote", "stack")
LARGEST_SIDE = 65_536
CARD = ("member", "classes", "kind", "channels", "canvas", "normalisation", "size", "input_channels")


@contextmanager
def intact(path: Path) -> Iterator[None]:
    """Say of a file of a run that it is damaged, whatever was raised while it was read.

    Args:
        path: The file.

    Raises:
        InputError: It could not be read or understood.
    """
    try:
        yield
    except InputError:
        raise
    except StoreError as error:
        raise _damaged(path, error.what) from error
    except (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, RuntimeError, TypeError,
            ValueError) as error:  # fmt: skip
        reason = (
            f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0] if str(error) else ""
        )
        raise _damaged(path, reason or type(error).__name__) from error


def read_decision(folder: RunFolder) -> tuple[Decision, Calibration]:
    """The decision and the calibration of a run.

    Args:
        folder: The run's.

    Raises:
        InputError: `decision.json` is not there, or is damaged.
    """
    path = folder.existing("decision.json")
    with intact(path):
        content = _object(path)
        decision, calibration = decision_from_json(content), calibration_from_json(content)
        TypeAdapter(Decision).validate_python(vars(decision))
        TypeAdapter(Calibration).validate_python(vars(calibration))
        count = len(decision.classes)
        _require(count > 0 and len(set(decision.classes)) == count, "its classes are not names of their own")
        _require(decision.rule in RULES, f"there is no rule {decision.rule!r}")
        of_classes = ["per-class", "threshold"] if decision.kind == "multilabel" else []
        _require(len(decision.thresholds) in ({count} if decision.rule in of_classes else {0, count}),
                 f"it has {len(decision.thresholds):,} thresholds for {count:,} classes")  # fmt: skip
        _require(len(decision.shares) in {0, count}, f"it has {len(decision.shares):,} shares for {count:,} classes")
        _require(not np.isnan([*decision.thresholds, *decision.levels, *decision.shares]).any(), "it holds no number")
        _require(decision.k is None or decision.k >= 1, f"k is {decision.k}")
        _require(decision.rule != "cascade" or len(decision.levels) > 0, "its cascade has no levels")
        numbers = [number for own in decision.sets for number in own]
        _require(all(0 <= number < count for number in numbers), "its sets name classes that are not there")
        _require(len(calibration.numbers) in {0, 1, count}, "its calibration is of other classes")
    return decision, calibration


def read_ensemble(folder: RunFolder, members: Sequence[MemberSpec]) -> Ensemble:
    """The ensemble of a run.

    Args:
        folder: The run's.
        members: The recipe's sections.

    Raises:
        InputError: `ensemble.json` is not there, is damaged, or is of other members than the recipe.
    """
    path = folder.existing("ensemble.json")
    with intact(path):
        ensemble = ensemble_from_json(_object(path))
        TypeAdapter(tuple[float, ...]).validate_python(ensemble.weights)
        names, count = {name for member in members for name in member.names}, len(ensemble.members)
        _require(ensemble.kind in KINDS, f"there is no ensemble {ensemble.kind!r}")
        _require(ensemble.space in {"logit", "probability", "rank"}, f"there is no space {ensemble.space!r}")
        _require(set(ensemble.members) == names and len(names) == count, "its members are not those of recipe.yaml")
        weights = [ensemble.weights, *ensemble.parts.values()]
        _require(all(len(own) == count and np.isfinite(own).all() for own in weights), "its weights do not fit")
        _require(len(ensemble.pools) == count, "its pools do not fit")
        _require(len(ensemble.routes) in {0, count}, "its specialists do not fit")
    return ensemble


def open_network(folder: Path, classes: Sequence[str], held: bool = False) -> Checkpoint:
    """A network of a run, its card read and checked.

    Args:
        folder: Where it lies.
        classes: The run's classes.
        held: Read the weights now, and keep them.

    Raises:
        InputError: Its card or its weights are damaged.
    """
    path = folder / "card.json"
    with intact(path):
        checkpoint = open_checkpoint(folder)
        card: Any = checkpoint.card
        _require(isinstance(card, dict), "it holds no object")
        for name in CARD:
            _require(name in card, f"it has no {name!r}")
        MemberSpec.model_validate(card["member"])
        scale = Normalisation.from_facts(card["normalisation"])
        channels, canvas = card["channels"], card["canvas"]
        _require(isinstance(channels, int) and channels > 0, f"channels is {channels!r}")
        _require(len(scale.mean) == len(scale.deviation) == channels, "its normalisation is of other channels")
        _require(bool(np.isfinite([*scale.mean, *scale.deviation]).all()) and min(scale.deviation) > 0,
                 "its normalisation is no number above zero")  # fmt: skip
        sides = [*canvas, card["size"]]
        _require(len(canvas) == 2 and all(isinstance(side, int) and 0 < side <= LARGEST_SIDE for side in sides),
                 f"its sizes are {canvas!r} and {card['size']!r}")  # fmt: skip
        known = {*classes, OTHER_CLASSES}
        _require(len(card["classes"]) > 0 and set(card["classes"]) <= known, "its classes are not the run's")
        files = len(list(folder.glob("weights*.safetensors")))
        _require(files > 0, "there are no weights beside it")
        _require(
            card.get("networks", 1) == files, f"networks is {card.get('networks')!r} and there are {files:,} files"
        )
    if not held:
        return checkpoint
    with intact(folder):
        return hold_networks(checkpoint)


def _object(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    _require(isinstance(content, dict), "it holds no object")
    return content  # type: ignore[no-any-return]


def _require(right: bool, what: str) -> None:
    if not right:
        raise ValueError(what)


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{str(path)!r} is damaged or was changed: {reason.rstrip('.')}",
                      remedy=AGAIN)  # fmt: skip
