"""Consistency checks across the sections of a recipe."""

from __future__ import annotations

from collections.abc import Sequence

from holotype.core.errors import join_names
from holotype.recipe.sections.data import DataSpec
from holotype.recipe.sections.decision import DecisionSpec
from holotype.recipe.sections.ensemble import CalibrationSpec, EnsembleSpec, GreedySpec, WeightedSpec
from holotype.recipe.sections.model import ModelSpec
from holotype.recipe.sections.split import SplitSpec
from holotype.types import CLASS_RANK

FOR_ONE_LABEL = ("argmax", "prior", "assign", "top", "custom")
FOR_MANY_LABELS = ("threshold", "cascade", "per-class", "prior", "top", "custom")


def validate_sections(
    data: DataSpec,
    models: Sequence[ModelSpec],
    split: SplitSpec,
    ensemble: EnsembleSpec | None,
    calibration: CalibrationSpec | None,
    decision: DecisionSpec | None,
) -> None:
    """Check that the sections of a recipe fit each other."""
    for number, model in enumerate(models):
        _validate_channels(model, data, f"models.{number}")
        _validate_learning(model, data, f"models.{number}")
        _validate_classifier(model, data, f"models.{number}")
        _validate_taxonomy(model, data, f"models.{number}.head.taxonomy")
    if calibration is not None and calibration.back_off is not None and data.labels.kind == "multilabel":
        raise ValueError("calibration.back_off: requires multiclass labels; data.labels.kind is 'multilabel'")
    if decision is not None:
        _validate_decision(decision, data)
    adversarial_model = split.adversarial_model
    if adversarial_model is not None and adversarial_model not in [
        spec.name for spec in models if spec.reads_images and not spec.is_frozen
    ]:
        raise ValueError(
            f"split.adversarial_model: {adversarial_model!r} should be the name of a model that is trained"
        )
    if isinstance(ensemble, WeightedSpec | GreedySpec) and ensemble.by and data.domain is None:
        raise ValueError("ensemble.by: 'domain' requires data.domain")


def _validate_decision(section: DecisionSpec, data: DataSpec) -> None:
    allowed = FOR_ONE_LABEL if data.labels.kind == "multiclass" else FOR_MANY_LABELS
    if section.kind not in allowed:
        gives = "one label per sample" if section.kind in FOR_ONE_LABEL else "any number of labels per sample"
        raise ValueError(
            f"decision: {section.kind!r} gives {gives}, but data.labels.kind is {data.labels.kind!r}; "
            f"allowed: {join_names(allowed)}"
        )
    if section.kind == "assign" and section.unique_class_per not in data.groups:
        raise ValueError(f"decision.unique_class_per: {section.unique_class_per!r} should be one of data.groups")
    if section.kind == "assign" and section.unique_set_per not in {None, *data.groups}:
        raise ValueError(f"decision.unique_set_per: {section.unique_set_per!r} should be one of data.groups")


def _validate_channels(model: ModelSpec, data: DataSpec, address: str) -> None:
    input_channels = model.input.channels or data.channels
    for section, requested, available in (
        ("input", model.input.channels, data.channels),
        ("augment", model.augment.channels, input_channels),
    ):
        unknown = [name for name in requested or [] if name not in (available or [])]
        if unknown:
            allowed = join_names(available) if available else "none; list them in data.channels"
            raise ValueError(f"{address}.{section}.channels: there is no channel {unknown[0]!r}; allowed: {allowed}")
    if model.input.normalize == "plate" and not data.groups:
        raise ValueError(f"{address}.input.normalize: 'plate' requires data.groups, whose first column is the plate")


def _validate_learning(model: ModelSpec, data: DataSpec, address: str) -> None:
    if model.specialists is not None and data.domain is None:
        raise ValueError(f"{address}.specialists: requires data.domain")
    if model.pseudo_labels is None:
        return
    has = {"test": data.test is not None, "external": bool(data.external)}
    has["both"] = has["test"] and has["external"]
    if not has[model.pseudo_labels.roles]:
        raise ValueError(
            f"{address}.pseudo_labels.roles: {model.pseudo_labels.roles!r} requires rows that `data` does not have"
        )


def _validate_classifier(model: ModelSpec, data: DataSpec, address: str) -> None:
    if model.classifier is None:
        return
    kind = model.classifier.kind
    if kind == "lda" and data.labels.kind == "multilabel":
        raise ValueError(
            f"{address}.classifier: 'lda' requires multiclass labels, and data.labels.kind is 'multilabel'; allowed: "
            "logistic, ridge, knn, lightgbm"
        )
    if model.measurements is not None and model.measurements.missing == "keep" and kind != "lightgbm":
        raise ValueError(
            f"{address}.measurements.missing: 'keep' requires classifier: lightgbm, and the classifier is {kind!r}; "
            "allowed: median, zero"
        )


def _validate_taxonomy(model: ModelSpec, data: DataSpec, address: str) -> None:
    levels, column = model.head.taxonomy, data.labels.column
    if levels is None:
        return
    if data.labels.kind == "multilabel":
        raise ValueError(f"{address}: requires multiclass labels; data.labels.kind is 'multilabel'")
    if data.labels.taxonomy is None:
        raise ValueError(f"{address}: requires data.labels.taxonomy, the ranks of the classes")
    if column != CLASS_RANK and {column, CLASS_RANK} <= set(levels.weights):
        raise ValueError(f"{address}.weights: {column!r} and {CLASS_RANK!r} are the same rank; write one of them")
    if levels.weights.get(column) == 0:
        raise ValueError(f"{address}.weights: {column!r} should be above 0, or the classes would not be learned")


def normalize_class_rank(model: ModelSpec, column: str) -> ModelSpec:
    """Rename the classes' own rank to `class`, if the model calls it by the labels' column."""
    levels = model.head.taxonomy
    if levels is None or column not in levels.weights:
        return model
    weights = {CLASS_RANK if name == column else name: weight for name, weight in levels.weights.items()}
    renamed = levels.model_copy(update={"weights": weights})
    return model.model_copy(update={"head": model.head.model_copy(update={"taxonomy": renamed})})
