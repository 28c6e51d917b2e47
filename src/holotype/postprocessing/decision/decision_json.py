"""Serialization of decisions: `decision.json`, and the columns they add to `predictions.csv`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.evaluation.tables import to_json_value
from holotype.postprocessing.decision.back_off import answer_columns
from holotype.postprocessing.decision.calibration import confidence_margin, prediction_sets
from holotype.postprocessing.decision.decision import label_names
from holotype.types import BackOff, Calibration, Decision, Kind, Ranks

JSON_NAMES = {"rule": "kind", "kind": "labels"}


def decision_to_json(decision: Decision, calibration: Calibration | None = None) -> dict[str, Any]:
    """Convert a decision to the content of `decision.json`: only the fields that its rule uses."""
    content: dict[str, Any] = {}
    for field in fields(decision):
        value = getattr(decision, field.name)
        if value in ((), None) or (field.name == "fallback" and decision.rule in {"argmax", "top", "assign", "custom"}):
            continue
        content[JSON_NAMES.get(field.name, field.name)] = to_json_value(value)
    if calibration is not None and calibration != Calibration():
        values = {field.name: getattr(calibration, field.name) for field in fields(calibration)}
        content["calibration"] = {
            name: to_json_value(value) for name, value in values.items() if value not in ((), None)
        }
    return content


def decision_from_json(content: dict[str, Any]) -> Decision:
    """Read a decision from the content of `decision.json`."""
    named = {
        field.name: content[JSON_NAMES.get(field.name, field.name)]
        for field in fields(Decision)
        if JSON_NAMES.get(field.name, field.name) in content
    }
    for name in ("classes", "levels", "class_priors"):
        named[name] = tuple(named.get(name, ()))
    named["thresholds"] = tuple(-np.inf if value is None else value for value in named.get("thresholds", ()))
    named["class_sets"] = tuple(tuple(class_set) for class_set in named.get("class_sets", ()))
    return Decision(**named)


def calibration_from_json(content: dict[str, Any]) -> Calibration:
    """Read a calibration from the content of `decision.json`."""
    stored = content.get("calibration", {})
    converted: dict[str, Any] = {name: _to_tuples(stored[name]) for name in ("parameters", "knots") if name in stored}
    if "back_off" in stored:
        converted["back_off"] = _back_off_from_json(stored["back_off"])
    return Calibration(**(stored | converted))


def prediction_flag_columns(
    calibration: Calibration, probability: NDArray[np.float64], classes: tuple[str, ...], kind: Kind, separator: str
) -> list[pl.Series]:
    """Build the columns `set`, `abstain`, `answer` and `rank` of `predictions.csv` that the calibration has."""
    columns = []
    if calibration.set_threshold is not None:
        sets = prediction_sets(calibration, probability)
        columns.append(pl.Series("set", [separator.join(row) for row in label_names(sets, classes)]))
    if calibration.abstain_threshold is not None:
        columns.append(pl.Series("abstain", confidence_margin(probability, kind) < calibration.abstain_threshold))
    if calibration.back_off is not None:
        columns += answer_columns(calibration.back_off, probability, classes)
    return columns


def _back_off_from_json(content: dict[str, Any]) -> BackOff:
    thresholds = tuple(np.inf if value is None else value for value in content["thresholds"])
    stored = content["ranks"]
    ranks = Ranks(
        tuple(stored["names"]), _to_tuples(stored["taxa"]), _to_tuples(stored["parents"]), tuple(stored["constant"])
    )
    return BackOff(content["target"], thresholds, ranks)


def _to_tuples(rows: list[list[Any]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in rows)
