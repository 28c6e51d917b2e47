"""Unsupported exports: models and ensembles that one graph cannot express."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holotype.core.errors import InputError, join_names
from holotype.recipe.sections import ModelSpec
from holotype.types import Ensemble

LINEAR_CLASSIFIERS = ("logistic", "ridge", "lda")


def require_exportable_model(section: ModelSpec, name: str, views: object, alone: bool, others: Sequence[str]) -> None:
    """Refuse a model that needs more than the pixels of one image. `views`: its `tta` setting."""
    rest = [other for other in others if other != name]
    remedy = f"export another model: --model {rest[0]}" if rest else "the run itself predicts: holotype predict"
    remedy = f"export the models that are networks: --model {join_names(rest)}" if rest and not alone else remedy
    if section.predictions is not None:
        raise InputError(f"the scores of {name!r} were made elsewhere, so there is no network", remedy=remedy)
    if section.measurements is not None:
        raise InputError(f"{name!r} predicts from a table of measurements and has no network", remedy=remedy)
    if name != section.name:
        raise InputError(f"{name!r} needs an index of training images, which a graph does not contain", remedy=remedy)
    if section.classifier is not None and section.classifier.kind not in LINEAR_CLASSIFIERS:
        raise InputError(
            f"{name!r} has a classifier of the kind {section.classifier.kind!r}, and a graph contains linear ones only",
            field=f"models.{name}.classifier",
            value=section.classifier.kind,
            allowed=LINEAR_CLASSIFIERS,
            remedy=f"choose a linear classifier and run again (the features stay in the cache), or {remedy}",
        )
    whose = {"image": "of each file", "plate": "of each plate"}.get(section.input.normalize)
    if whose is not None:
        raise InputError(
            f"{name!r} normalizes pixels by the mean {whose}, which a graph does not know",
            field="input.normalize",
            value=section.input.normalize,
            allowed=("dataset",),
            remedy=f"train with `dataset`, or {remedy}",
        )
    if isinstance(views, Mapping) and "train_augmentation" in views:
        raise InputError(
            f"{name!r} uses random training augmentation as views",
            field="predict.tta",
            remedy="add --views none, flips or d4",
        )


def require_exportable_ensemble(
    ensemble: Ensemble, models: Mapping[str, ModelSpec], cards: Mapping[str, Mapping[str, Any]], domain: str | None
) -> None:
    """Refuse an ensemble that is not a mean or vote of networks with the same input."""
    alone = f"export single models: --model {join_names(models)}"
    if ensemble.stack:
        raise InputError(
            "a stack of gradient-boosted trees cannot be part of a graph",
            field="ensemble.kind",
            value=ensemble.kind,
            remedy=alone,
        )
    if ensemble.rank_quantiles is not None:
        raise InputError(
            "a mean of ranks needs tables that cannot be part of a graph", field="ensemble.space", remedy=alone
        )
    if len(models) == 1:
        return
    partial = [name for name, section in models.items() if section.classes != "all"]
    if partial:
        raise InputError(
            f"{join_names(partial)} predicts some of the classes; the other models fill in the rest",
            field="models.classes",
            remedy=alone,
        )
    forms = {name: _storage_format(card) for name, card in cards.items()}
    if len(set(forms.values())) > 1:
        sides = ", ".join(f"{name} {form[2]}x{form[1]}" for name, form in forms.items())
        raise InputError(
            f"the models read images of different cache formats ({sides} pixels)", field="models.input", remedy=alone
        )
    domains = sorted(ensemble.weights_by_domain)
    if domains and domain is None:
        raise InputError(
            "the models' weights depend on the domain",
            field="--domain",
            allowed=domains,
            remedy="export one graph per domain: --domain NAME",
        )


def _storage_format(card: Mapping[str, Any]) -> tuple[Any, ...]:
    resize, tile = card["model"]["input"]["resize"], card["model"]["input"]["tile"]
    return card["channels"], *card["canvas"], "stretch" if resize == "stretch" else "fit", tile is not None
