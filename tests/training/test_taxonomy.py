"""The ranks of a model, and a phase's loss on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from holotype.core.errors import RecipeError
from holotype.core.runtime import Runtime
from holotype.loading import ImageDataset
from holotype.losses import cross_entropy, rank_log_probabilities, rank_targets, softmax_focal
from holotype.networks import load_network
from holotype.recipe.sections import HeadSpec, PhaseSpec, TaxonomySpec
from holotype.training import FitJob, fit_model, model_taxonomy
from holotype.training.phases import phase_loss
from holotype.types import RankHeads, Ranks

RANKS = Ranks(("genus", "family"), (("G", "H"), ("F", "E")), ((0, 0, 1), (0, 0, 1)), ("phylum",))
LEVELS = RankHeads(("genus",), ((0, 0, 1),), (0.5,))
TRUTH = np.eye(3, dtype=bool)[[0, 0, 0, 1, 1, 2]]
LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.from_numpy(TRUTH).float()
GENUS = torch.tensor([0, 0, 1])


def test_ranks_that_weigh_nothing_are_left_out() -> None:
    spec = TaxonomySpec(weights={"family": 0.2, "genus": 0.0, "class": 2.0})
    assert model_taxonomy(spec, RANKS) == RankHeads(("family",), ((0, 0, 1),), (0.2,), 2.0)
    assert model_taxonomy(None, RANKS) is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"famliy": 0.2}, "did you mean 'family'"),
        ({"genus": 0.2, "order": 1.0}, "no rank 'order'; allowed: class, genus, family"),
        ({"phylum": 0.2}, "every class has the same phylum"),
        ({"class": 1.0}, "no rank above the classes has a weight"),
    ],
)
def test_ranks_that_cannot_be_learnt_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        model_taxonomy(TaxonomySpec(weights=weights), RANKS)
    assert message in str(caught.value)


def loss_of(levels: RankHeads = LEVELS, logits: torch.Tensor = LOGITS, **section: object) -> float:
    phase = PhaseSpec.model_validate(section)
    return float(phase_loss(phase, TRUTH, "multiclass", HeadSpec(), levels)(logits, TARGETS))


def test_a_rank_has_the_phases_loss_on_sums() -> None:
    known, wanted = rank_log_probabilities(LOGITS, GENUS, 2), rank_targets(TARGETS, GENUS, 2)
    expected = cross_entropy(LOGITS, TARGETS) + 0.5 * cross_entropy(known, wanted)
    assert loss_of() == pytest.approx(float(expected), rel=1e-5)
    expected = softmax_focal(LOGITS, TARGETS, gamma=3.0) + 0.5 * softmax_focal(known, wanted, gamma=3.0)
    assert loss_of(loss={"focal": {"weight": 1.0, "gamma": 3.0}}) == pytest.approx(float(expected), rel=1e-5)


def test_class_weights_and_smoothing_are_those_of_the_taxa() -> None:
    known, wanted = rank_log_probabilities(LOGITS, GENUS, 2), rank_targets(TARGETS, GENUS, 2)
    # Species come 3, 2 and 1 times in 6, genera 5 and 1 times: the mean weight of a row is 1.
    species, genera = torch.tensor([2 / 3, 1.0, 2.0]), torch.tensor([3 / 5, 3.0])
    expected = cross_entropy(LOGITS, TARGETS, species, 0.1) + 0.5 * cross_entropy(known, wanted, genera, 0.1)
    assert loss_of(class_weights="inverse", label_smoothing=0.1) == pytest.approx(float(expected), rel=1e-5)


def test_a_frozen_head_is_learnt_by_sums() -> None:
    beside = torch.cat([LOGITS, torch.zeros(6, 2)], dim=1)
    assert loss_of(logits=beside) != pytest.approx(loss_of())
    assert loss_of(logits=beside[:, :3]) == pytest.approx(loss_of())


def test_soft_targets_and_adjusted_logits_are_learnt() -> None:
    phase = PhaseSpec.model_validate({"logit_adjustment": 1.0, "class_weights": "sqrt"})
    loss = phase_loss(phase, TRUTH, "multiclass", HeadSpec(), LEVELS)
    mixed = 0.6 * TARGETS + 0.4 * TARGETS.flip(0)
    for logits in (LOGITS, torch.cat([LOGITS, torch.zeros(6, 2)], dim=1)):
        held = logits.clone().requires_grad_()
        value = loss(held, mixed)
        value.backward()
        assert torch.isfinite(value)
        assert held.grad is not None
        assert held.grad.abs().sum(0).min() > 0


@pytest.mark.parametrize("frozen", [None, "backbone", "head"], ids=["all", "head alone", "backbone alone"])
@pytest.mark.parametrize("kind", ["marginal", "separate"])
def test_a_network_learns_ranks_whatever_is_frozen(
    plan_job: Callable[..., FitJob], specimens: ImageDataset, runtime: Runtime, tmp_path: Path, kind: str, frozen: Any
) -> None:
    head = {"taxonomy": {"kind": kind, "weights": {"half": 0.5}}}
    phase = {
        "epochs": 1,
        "freeze": [frozen] if frozen == "head" else frozen,
        "augmentation_draws": 1 if frozen == "backbone" else None,
    }
    levels = RankHeads(("half",), ((0, 0, 1, 1),), (0.5,))
    job = replace(plan_job(phase, head=head), rank_heads=levels)
    (tmp_path / "out").mkdir()
    made = fit_model(job, specimens, tmp_path / "out", tmp_path / "work", runtime)
    assert made.card["taxonomy"] == {
        "names": ["half"],
        "parents": [[0, 0, 1, 1]],
        "weights": [0.5],
        "class_weight": 1.0,
    }
    with torch.inference_mode():
        assert load_network(made)(torch.zeros(2, 2, 32, 32)).shape == (2, 4)
