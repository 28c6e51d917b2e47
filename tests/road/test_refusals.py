"""What goes with very many classes, and what is refused before anything is trained."""

from __future__ import annotations

import pytest

from holotype.errors import DataError, RecipeError
from holotype.road.refusals import refuse_for_many_classes, refuse_sampling
from holotype.spec import CalibrationSpec, MeanSpec, MemberSpec, StackSpec, TopSpec, WeightedSpec


def test_up_to_two_thousand_classes_nothing_is_refused() -> None:
    refuse_for_many_classes(2_000, "multilabel", "map", StackSpec(kind="stack"), None, None)


def test_means_weights_temperature_and_the_likeliest_go_with_very_many_classes() -> None:
    for ensemble in (None, MeanSpec(), WeightedSpec(kind="weighted", space="probability")):
        calibrate = CalibrationSpec(method="temperature")
        refuse_for_many_classes(32_093, "multiclass", "macro_f1", ensemble, calibrate, TopSpec(kind="top", k=5))


def test_many_labels_a_sample_do_not_go_with_very_many_classes() -> None:
    with pytest.raises(DataError, match=r"data\.labels\.kind: there are 32,093 classes, .* likeliest"):
        refuse_for_many_classes(32_093, "multilabel", "macro_f1", None, None, None)


def test_weights_by_domain_and_abstaining_are_refused_by_name() -> None:
    with pytest.raises(RecipeError, match=r"ensemble\.by"):
        refuse_for_many_classes(3_000, "multiclass", "macro_f1", WeightedSpec(kind="weighted", by="domain"), None, None)
    with pytest.raises(RecipeError, match=r"calibrate\.abstain"):
        refuse_for_many_classes(3_000, "multiclass", "macro_f1", None, CalibrationSpec(abstain=0.1), None)


def test_steps_over_some_classes_are_for_one_label_a_sample_and_losses_without_a_number_a_class() -> None:
    member = MemberSpec.model_validate({"head": {"sampled": 50}})
    refuse_sampling([member], 100, "multiclass")
    with pytest.raises(RecipeError, match=r"members\.0\.head\.sampled"):
        refuse_sampling([member], 100, "multilabel")
    uneven = MemberSpec.model_validate({"phases": [{"epochs": 1, "loss": {"focal": {"weight": 1, "alpha": [0.5, 1]}}}]})
    refuse_sampling([uneven], 2, "multiclass")
    with pytest.raises(RecipeError, match=r"members\.0\.phases\.0\.loss\.focal\.alpha"):
        refuse_sampling([uneven], 2_500, "multiclass")


def test_a_member_of_some_classes_does_not_go_with_very_many() -> None:
    member = MemberSpec.model_validate({"classes": ["Quercus robur"]})
    refuse_sampling([member], 2_000, "multiclass")
    with pytest.raises(RecipeError, match=r"members\.0\.classes: above 2,000 classes"):
        refuse_sampling([member], 2_001, "multiclass")
