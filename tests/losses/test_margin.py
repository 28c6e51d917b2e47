"""Losses with a margin, against pytorch-metric-learning, and where angles are hard."""

from __future__ import annotations

import math

import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss, SubCenterArcFaceLoss
from torch.nn import functional

from holotype.losses import arcface, compose_loss, cosface, cross_entropy
from holotype.networks.heads import CosineClassifier
from holotype.recipe.sections import MarginSpec

CLASSES, WIDTH, ROWS = 7, 16, 64


def problem(centres: int = 1, scale: float = 30.0) -> tuple[torch.Tensor, torch.Tensor, CosineClassifier]:
    torch.manual_seed(3)
    layer = CosineClassifier(WIDTH, CLASSES, MarginSpec(scale=scale, subcenters=centres))
    return torch.randn(ROWS, WIDTH), torch.arange(ROWS) % CLASSES, layer


def theirs(loss: torch.nn.Module, layer: CosineClassifier, features: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    loss.W.data = layer.weight.detach().T.clone()
    return loss(features, own).detach()


@pytest.mark.parametrize("scale", [1.0, 30.0, 64.0])
@pytest.mark.parametrize("margin", [0.0, 0.1, 0.5, 1.2])
@pytest.mark.parametrize("centres", [1, 3])
def test_arcface_is_the_published_one(scale: float, margin: float, centres: int) -> None:
    features, own, layer = problem(centres, scale)
    shape = {"num_classes": CLASSES, "embedding_size": WIDTH, "margin": math.degrees(margin), "scale": scale}
    oracle = ArcFaceLoss(**shape) if centres == 1 else SubCenterArcFaceLoss(**shape, sub_centers=centres)
    found = arcface(layer(features), functional.one_hot(own, CLASSES).float(), margin=margin, scale=scale)
    assert float(found.detach()) == pytest.approx(float(theirs(oracle, layer, features, own)), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("scale", [1.0, 64.0])
@pytest.mark.parametrize("margin", [0.0, 0.35])
def test_cosface_is_the_published_one(scale: float, margin: float) -> None:
    features, own, layer = problem(1, scale)
    oracle = CosFaceLoss(num_classes=CLASSES, embedding_size=WIDTH, margin=margin, scale=scale)
    found = cosface(layer(features), functional.one_hot(own, CLASSES).float(), margin=margin, scale=scale)
    assert float(found.detach()) == pytest.approx(float(theirs(oracle, layer, features, own)), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("turned", [1.0, -1.0])
def test_gradients_are_finite_where_a_feature_lies_on_its_centre_or_opposite(dtype: torch.dtype, turned: float) -> None:
    _, own, layer = problem()
    features = (turned * layer.weight.detach()[own]).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        logits = layer(features)
    assert logits.dtype == torch.float32
    arcface(logits, functional.one_hot(own, CLASSES).float()).backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    assert torch.isfinite(layer.weight.grad).all()


def test_a_feature_of_nothing_has_finite_gradients() -> None:
    _, own, layer = problem()
    features = torch.zeros(ROWS, WIDTH, requires_grad=True)
    arcface(layer(features), functional.one_hot(own, CLASSES).float()).backward()
    assert torch.isfinite(features.grad).all()


def test_a_mixture_has_its_share_of_the_margin_and_no_margin_is_cross_entropy() -> None:
    features, own, layer = problem()
    hard = functional.one_hot(own, CLASSES).float()
    mixed = 0.7 * hard + 0.3 * hard.roll(1, dims=0)
    logits = layer(features).detach()
    assert float(arcface(logits, mixed, margin=0.0)) == pytest.approx(float(cross_entropy(logits, mixed)), rel=1e-6)
    assert float(arcface(logits, mixed)) > float(cross_entropy(logits, mixed))
    by_hand = cross_entropy(logits - 30 * 0.35 * mixed, mixed)
    assert float(cosface(logits, mixed)) == pytest.approx(float(by_hand), rel=1e-6)


def test_losses_are_mixed_as_the_recipe_says() -> None:
    features, own, layer = problem()
    logits, hard = layer(features).detach(), functional.one_hot(own, CLASSES).float()
    parts = {"cross_entropy": 0.8, "arcface": {"weight": 0.2, "margin": 0.3, "scale": 30.0}}
    by_hand = 0.8 * cross_entropy(logits, hard) + 0.2 * arcface(logits, hard, margin=0.3)
    assert float(compose_loss(parts, kind="multiclass")(logits, hard)) == pytest.approx(float(by_hand), rel=1e-6)


def test_the_nearest_of_several_centres_counts() -> None:
    features, _, layer = problem(centres=3)
    cosines = functional.normalize(features, dim=1) @ functional.normalize(layer.weight, dim=1).T
    nearest = torch.stack([cosines[:, 3 * number : 3 * number + 3].max(dim=1).values for number in range(CLASSES)], 1)
    assert torch.allclose(layer(features), 30 * nearest, atol=1e-5)


def test_a_margin_grows_over_its_warm_up() -> None:
    features, own, layer = problem()
    logits, hard = layer(features).detach(), functional.one_hot(own, CLASSES).float()
    loss = compose_loss({"arcface": {"margin": 0.4, "warmup_epochs": 2.0}}, kind="multiclass")
    for epochs, margin in ((0.0, 0.0), (0.5, 0.1), (2.0, 0.4), (7.0, 0.4)):
        assert float(loss(logits, hard, epochs=epochs)) == pytest.approx(float(arcface(logits, hard, margin=margin)))
    assert float(loss(logits, hard)) == pytest.approx(float(arcface(logits, hard, margin=0.4)))
