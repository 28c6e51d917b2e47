"""Caveats of a run's scores, from its recipe."""

from __future__ import annotations

from holotype.networks import pretraining_leak_reason, weights_identity
from holotype.recipe.load import Recipe

__all__ = ["random_weight_warnings", "score_caveats"]


def score_caveats(recipe: Recipe) -> list[str]:
    """Caveats that follow from how the networks are trained and selected."""
    selected_on_scored_fold = [
        model.name for model in recipe.models if model.selects and model.checkpoints.rows == "scored-fold"
    ]
    caveats = (
        [f"selected on the scored fold ({', '.join(selected_on_scored_fold)}), so that the value is too high"]
        if selected_on_scored_fold
        else []
    )
    for model in recipe.models:
        reason = pretraining_leak_reason(model.weights) if model.predictions is None else None
        caveats += [f"{model.name}: {reason}, so that the value may be too high"] if reason else []
    caveats += random_weight_warnings(recipe)
    kinds = [name for name, exist in (("groups", recipe.data.groups), ("duplicates", True)) if exist]
    crossing = [name for name in kinds if name not in recipe.split.keep_together]
    if crossing:
        caveats.append(
            f"{' and '.join(crossing)} may cross folds (`split.keep_together`), so that networks may have trained on "
            "relatives of what they are scored on"
        )
    if recipe.final_model == "refit":
        caveats.append("the test rows are predicted by networks trained on all rows, which were not scored themselves")
    return caveats


def random_weight_warnings(recipe: Recipe) -> list[str]:
    """Warnings of networks that start from random weights although the recipe says `auto`."""
    return [
        f"{model.name} begins with random weights, since this machine has no pretrained ones of {model.backbone}"
        for model in recipe.models
        if model.predictions is None
        and model.weights == "auto"
        and weights_identity(model.backbone, model.weights) == "random"
    ]
