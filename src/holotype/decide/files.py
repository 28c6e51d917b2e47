"""A decision as `decision.json` holds it, and what it adds to a spreadsheet."""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.decide.back_off import answer_columns
from holotype.decide.calibrate import label_sets, sureness
from holotype.decide.decision import label_names
from holotype.types import BackOff, Calibration, Decision, Kind, Ranks

__all__ = ["calibration_from_json", "decision_from_json", "decision_to_json", "prediction_marks"]

RENAMED = {"rule": "kind", "kind": "labels"}


def decision_to_json(decision: Decision, calibration: Calibration | None = None) -> dict[str, Any]:
    """A decision as `decision.json` holds it: only what the rule uses.

    Args:
        decision: From `fit_decision`.
        calibration: What is done with the scores before.
    """
    content: dict[str, Any] = {}
    for field in fields(decision):
        value = getattr(decision, field.name)
        if value in ((), None) or (field.name == "fallback" and decision.rule in {"argmax", "top", "assign"}):
            continue
        content[RENAMED.get(field.name, field.name)] = _plain(value)
    if calibration is not None and calibration != Calibration():
        known = {field.name: getattr(calibration, field.name) for field in fields(calibration)}
        content["calibration"] = {name: _plain(value) for name, value in known.items() if value not in ((), None)}
    return content


def decision_from_json(content: dict[str, Any]) -> Decision:
    """The decision of a finished run.

    Args:
        content: Of `decision.json`.
    """
    named = {field.name: content[RENAMED.get(field.name, field.name)] for field in fields(Decision)
             if RENAMED.get(field.name, field.name) in content}  # fmt: skip
    for name in ("classes", "levels", "shares"):
        named[name] = tuple(named.get(name, ()))
    named["thresholds"] = tuple(-np.inf if value is None else value for value in named.get("thresholds", ()))
    named["sets"] = tuple(tuple(one) for one in named.get("sets", ()))
    return Decision(**named)


def calibration_from_json(content: dict[str, Any]) -> Calibration:
    """The calibration of a finished run.

    Args:
        content: Of `decision.json`.
    """
    held = content.get("calibration", {})
    rows: dict[str, Any] = {name: _rows(held[name]) for name in ("numbers", "steps") if name in held}
    if "back_off" in held:
        rows["back_off"] = _back_off_from_json(held["back_off"])
    return Calibration(**(held | rows))


def prediction_marks(
    calibration: Calibration, probability: NDArray[np.float64], classes: tuple[str, ...], kind: Kind, separator: str
) -> list[pl.Series]:
    """Columns for `predictions.csv`: what cannot be ruled out, whether a person should look, what is sure enough.

    Args:
        calibration: Knows how large a set is, who is unsure and what is enough; without that there are no columns.
        probability: Shape (n, classes).
        classes: The class names in order.
        kind: `multiclass` or `multilabel`.
        separator: What stands between labels.

    Returns:
        `set`, `abstain`, and `answer` with its `rank`, each where the calibration knows it.
    """
    marks = []
    if calibration.largest is not None:
        held = label_sets(calibration, probability)
        marks.append(pl.Series("set", [separator.join(row) for row in label_names(held, classes)]))
    if calibration.band is not None:
        marks.append(pl.Series("abstain", sureness(probability, kind) < calibration.band))
    if calibration.back_off is not None:
        marks += answer_columns(calibration.back_off, probability, classes)
    return marks


def _back_off_from_json(content: dict[str, Any]) -> BackOff:
    thresholds = tuple(np.inf if value is None else value for value in content["thresholds"])
    held = content["ranks"]
    ranks = Ranks(tuple(held["names"]), _rows(held["taxa"]), _rows(held["parents"]), tuple(held["alike"]))
    return BackOff(content["target"], thresholds, ranks)


def _rows(held: list[list[Any]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in held)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(entry) for name, entry in asdict(value).items()}
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
