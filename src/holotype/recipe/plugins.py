"""Plugins of a recipe: loaded, and recorded with their folder and the digest of their source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from holotype.core.errors import RecipeError, join_names
from holotype.core.plugins import load_installed_plugins, load_plugin
from holotype.core.registry import plugin_parts, plugins_named
from holotype.recipe.paths import AbsolutePaths
from holotype.recipe.sections import CustomClassifierSpec, CustomDecisionSpec, DecisionSpec, ModelSpec, PluginSpec


def load_plugins(plugins: Sequence[PluginSpec], settings: Mapping[str, Any], paths: AbsolutePaths) -> list[PluginSpec]:
    """Load the plugins of a recipe, and the installed ones.

    Args:
        settings: The recipe as plain values; an installed plugin is recorded if it names one of its parts.
        paths: Their folder is the recipe's, where modules are looked for first.

    Returns:
        The plugins, with folder and digest.

    Raises:
        RecipeError: A plugin is missing or not the recorded one, it fails, or it registers a name that exists.
    """
    loaded = []
    for spec in plugins:
        plugin = load_plugin(spec.module, Path(spec.folder) if spec.folder else paths.folder, spec.digest)
        folder = None if plugin.folder is None else spec.folder or paths.path(".")
        loaded.append(PluginSpec(module=spec.module, folder=folder, digest=plugin.digest))
    installed = load_installed_plugins()
    packages = plugins_named(settings) - {spec.module.partition(".")[0] for spec in plugins}
    loaded += [
        PluginSpec(module=plugin.module, digest=plugin.digest)
        for plugin in installed
        if plugin.module.partition(".")[0] in packages
    ]
    return loaded


def require_parts(models: Sequence[ModelSpec], decision: DecisionSpec | None) -> None:
    """Refuse augmentations, classifiers and a decision that no plugin registers, and options that they do not have.

    Raises:
        RecipeError: No part has this name, or it lacks an option or has no such one.
    """
    for number, model in enumerate(models):
        for index, entry in enumerate(model.augment.custom):
            field = f"models.{number}.augment.custom.{index}"
            _require_part("augmentation", entry.name, entry.options, field)
        if isinstance(model.classifier, CustomClassifierSpec):
            field = f"models.{number}.classifier"
            _require_part("classifier", model.classifier.name, model.classifier.options, field)
    if isinstance(decision, CustomDecisionSpec):
        _require_part("decision", decision.name, decision.options, "decision")


def _require_part(kind: str, name: str, options: Mapping[str, Any], field: str) -> None:
    parts = plugin_parts(kind)
    function = parts.get(name.replace("-", "_"))
    if function is None:
        remedy = "" if parts else "name the module that registers it in run.plugins"
        raise RecipeError(f"no {kind} is named {name!r}", field=field, value=name, allowed=parts, remedy=remedy)
    called = getattr(function, "fit", function)  # of a classifier
    fixed = 3 if kind == "classifier" else 2
    try:
        signature(called).bind(*[None] * fixed, **options)
    except TypeError as error:
        allowed = list(signature(called).parameters)[fixed:]
        raise RecipeError(
            f"the options of the {kind} {name!r} do not fit: {error}",
            field=f"{field}.options",
            remedy=f"its options are {join_names(allowed)}" if allowed else "it has none",
        ) from error


def require_metric(metric: str, kind: str, built_in: Iterable[str]) -> None:
    """Refuse a metric that is neither built in nor registered by a plugin.

    Raises:
        RecipeError: No metric has this name, or it is for the other kind of labels.
    """
    allowed = [*built_in, *plugin_parts("metric")]
    if metric not in allowed:
        raise RecipeError(f"no metric is named {metric!r}", field="metric", value=metric, allowed=allowed)
    if metric == "quadratic_weighted_kappa" and kind == "multilabel":
        raise RecipeError(
            f"{metric!r} compares ordered classes of samples with a single label; data.labels.kind is 'multilabel'",
            field="metric",
            value=metric,
            remedy="write cohen_kappa, its mean over the classes",
        )
