"""Caveats of a run's scores, from its recipe."""

from __future__ import annotations

from holotype.networks import pretraining_leak_reason, weights_identity
from holotype.recipe.load import Recipe


def score_caveats(recipe: Recipe) -> list[str]:
    """Caveats that follow from how the networks are trained and selected."""
    selected_on_scored_fold = [
        model.name for model in recipe.models if model.selects and model.checkpoints.rows == "scored-fold"
    ]
    caveats = (
        [f"selected on the scored fold ({', '.join(selected_on_scored_fold)}): the value is too high"]
        if selected_on_scored_fold
        else []
    )
    for model in recipe.models:
        reason = pretraining_leak_reason(model.weights) if model.reads_images else None
        caveats += [f"{model.name}: {reason}; the value may be too high"] if reason else []
    caveats += random_weight_warnings(recipe)
    kinds = [name for name, exist in (("groups", recipe.data.groups), ("duplicates", True)) if exist]
    crossing = [name for name in kinds if name not in recipe.split.keep_together]
    if crossing:
        caveats.append(
            f"{' and '.join(crossing)} may cross folds (`split.keep_together`): networks may have been trained on "
            "samples related to those they are scored on"
        )
    if recipe.final_model == "refit":
        caveats.append("test rows are predicted by networks trained on all rows, which were not scored")
    return caveats


def random_weight_warnings(recipe: Recipe) -> list[str]:
    """Warnings of networks that start from random weights although the recipe says `auto`."""
    return [
        f"{model.name} starts from random weights: no pretrained weights of {model.backbone} are installed"
        for model in recipe.models
        if model.reads_images
        and model.weights == "auto"
        and weights_identity(model.backbone, model.weights) == "random"
    ]
