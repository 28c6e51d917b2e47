"""Losses against PyTorch's own, their gradients, and the edges of their domain."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from holotype.core.errors import RecipeError
from holotype.losses import LOSSES, bce, check_loss, class_weights, compose_loss, cross_entropy, prior_logits

every_loss = pytest.mark.parametrize("name", sorted(LOSSES))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def one_hot(rows: int, classes: int) -> torch.Tensor:
    return functional.one_hot(torch.arange(rows) * 7 % classes, classes).float()


def soft(rows: int, classes: int) -> torch.Tensor:
    return noise(rows, classes, seed=5).softmax(dim=1)


# ---- a loss of one's own


def test_a_plain_function_is_a_loss_by_its_registration_alone():
    @LOSSES.register
    def squared_distance(logits, targets, scale=1.0):
        return scale * (logits - targets).square().mean()

    try:
        logits, targets = noise(4, 3), one_hot(4, 3)
        for kind in ("multiclass", "multilabel"):
            check_loss({"squared-distance": {"weight": 0.5, "scale": 3.0}}, kind, weights=False, smoothing=0.0)
            loss = compose_loss({"squared-distance": {"weight": 0.5, "scale": 3.0}}, kind=kind)
            torch.testing.assert_close(loss(logits, targets), 1.5 * functional.mse_loss(logits, targets))
        with pytest.raises(RecipeError, match="does not support class weights"):
            check_loss({"squared-distance": 1.0}, "multiclass", weights=True, smoothing=0.0)
        with pytest.raises(RecipeError, match="does not support label smoothing"):
            check_loss({"squared-distance": 1.0}, "multiclass", weights=False, smoothing=0.1)
    finally:
        del LOSSES._functions["squared_distance"]


# ---- cross-entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("shape", [(9, 4), (1, 3), (5, 1)])
def test_cross_entropy_is_that_of_pytorch_for_hard_and_soft_targets(shape, smoothing):
    logits = 3 * noise(*shape)
    for targets in (one_hot(*shape), soft(*shape)):
        expected = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
        torch.testing.assert_close(cross_entropy(logits, targets, smoothing=smoothing), expected)


def test_class_weights_of_cross_entropy_are_those_of_pytorch():
    logits, targets, weights = noise(9, 4), one_hot(9, 4), torch.tensor([0.1, 1.0, 3.0, 0.5])
    expected = functional.cross_entropy(logits, targets.argmax(dim=1), weight=weights)
    torch.testing.assert_close(cross_entropy(logits, targets, weights), expected)


def test_a_row_weighs_what_its_classes_weigh():
    logits, targets, weights = noise(9, 4), soft(9, 4), torch.tensor([0.1, 1.0, 3.0, 0.5])
    rows = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=0.2)
    expected = (rows * (targets @ weights)).sum() / (targets @ weights).sum()
    torch.testing.assert_close(cross_entropy(logits, targets, weights, smoothing=0.2), expected)


# ---- binary cross-entropy


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(9, 4), (1, 3), (5, 1)])
def test_bce_is_that_of_pytorch(shape, weighted):
    logits, targets = 3 * noise(*shape), noise(*shape, seed=3).sigmoid()
    weights = torch.linspace(0.2, 4, shape[1]) if weighted else None
    for truth in (targets, targets.round()):
        torch.testing.assert_close(
            bce(logits, truth, weights), torch.nn.BCEWithLogitsLoss(pos_weight=weights)(logits, truth)
        )


def test_smoothing_moves_a_share_of_bce_towards_one_half():
    logits, targets = noise(9, 4), one_hot(9, 4)
    expected = functional.binary_cross_entropy_with_logits(logits, targets * 0.8 + 0.1)
    torch.testing.assert_close(bce(logits, targets, smoothing=0.2), expected)


# ---- every loss


@every_loss
def test_gradients_are_right_in_double_precision(name):
    logits = noise(4, 3).double().requires_grad_()
    for targets in (one_hot(4, 3).double(), soft(4, 3).double()):
        for weights in (None, torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)):
            for smoothing in (0.0, 0.1):
                settings = (targets, weights, smoothing)
                assert torch.autograd.gradcheck(lambda these, kept=settings: LOSSES[name](these, *kept), logits)


@every_loss
@pytest.mark.parametrize("classes", [1, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_no_rows_cost_nothing(name, classes, weighted):
    logits = torch.zeros(0, classes, requires_grad=True)
    loss = LOSSES[name](logits, torch.zeros(0, classes), torch.ones(classes) if weighted else None)
    assert (loss.shape, loss.item()) == ((), 0.0)
    loss.backward()
    assert logits.grad.shape == (0, classes)


@every_loss
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits_stay_finite(name, size):
    logits = torch.tensor([[size, -size, 0.0], [0.0, size, size]], requires_grad=True)
    for targets in (one_hot(2, 3), 1 - one_hot(2, 3)):
        loss = LOSSES[name](logits, targets, torch.tensor([1.0, 5.0, 0.2]), 0.1)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert math.isfinite(loss.item())
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"soft_f1"}))  # which counts over the batch
def test_a_batch_is_the_mean_of_its_rows(name):
    logits, targets = noise(6, 3), one_hot(6, 3)
    alone = [LOSSES[name](logits[row : row + 1], targets[row : row + 1]) for row in range(6)]
    torch.testing.assert_close(LOSSES[name](logits, targets), torch.stack(alone).mean())


# ---- composition


def test_parts_are_added_by_their_weights():
    logits, targets, weights = noise(6, 3), one_hot(6, 3), torch.tensor([0.5, 2.0, 1.0])
    loss = compose_loss({"bce": 2.0, "cross-entropy": 0.5}, weights, smoothing=0.1)
    expected = 2 * bce(logits, targets, weights, 0.1) + 0.5 * cross_entropy(logits, targets, weights, 0.1)
    torch.testing.assert_close(loss(logits, targets), expected)


def test_half_precision_logits_are_weighed_in_single_precision():
    logits, targets = noise(6, 3), one_hot(6, 3)
    loss = compose_loss({"cross_entropy": 1.0})(logits.half(), targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, cross_entropy(logits.half().float(), targets))


def test_logit_adjustment_adds_the_scaled_log_prior_in_training():
    logits, targets = noise(6, 3), one_hot(6, 3)
    prior = torch.tensor([0.7, 0.2, 0.1])
    adjusted = compose_loss({"cross_entropy": 1.0}, adjustment=1.5 * prior.log())(logits, targets)
    odds = logits.exp() * prior**1.5  # Menon et al. 2021, equation 10
    expected = -(targets * (odds / odds.sum(dim=1, keepdim=True)).log()).sum(dim=1).mean()
    torch.testing.assert_close(adjusted, expected)


def test_an_unknown_loss_is_refused_when_it_is_composed():
    with pytest.raises(RecipeError, match="no loss is named 'cross-entropi'; did you mean 'cross_entropy'"):
        compose_loss({"cross-entropi": 1.0})


# ---- class weights and priors

labels = st.lists(st.integers(0, 3), min_size=1, max_size=30)


@given(labels, st.sampled_from(["inverse", "sqrt"]))
def test_weights_of_one_label_a_row_have_mean_1_over_the_rows_even_where_a_class_is_absent(rows, rule):
    truth = np.eye(4, dtype=bool)[rows]
    weights = class_weights(truth, rule, "multiclass").numpy()
    assert weights[rows].mean() == pytest.approx(1.0, abs=1e-5)
    counts = truth.sum(axis=0)
    ratio = weights[:, None] / weights[None, :]
    expected = (counts[None, :] / np.maximum(counts, 1)[:, None]) ** (0.5 if rule == "sqrt" else 1.0)
    present = np.ix_(counts > 0, counts > 0)
    np.testing.assert_allclose(ratio[present], expected[present], rtol=1e-4)


@pytest.mark.parametrize(("rule", "power"), [("inverse", 1.0), ("sqrt", 0.5)])
def test_weights_of_many_labels_are_negatives_over_positives(rule, power):
    truth = np.zeros((100, 3), bool)
    truth[:10, 0], truth[:50, 1] = True, True
    weights = class_weights(truth, rule, "multilabel").numpy()
    np.testing.assert_allclose(weights, np.array([91 / 10, 51 / 50, 100.0]) ** power, rtol=1e-5)


def test_no_rule_gives_no_weights():
    for kind in ("multiclass", "multilabel"):
        assert class_weights(np.eye(3, dtype=bool), None, kind) is None


@given(labels)
def test_priors_are_the_smoothed_frequencies(rows):
    truth = np.eye(4, dtype=bool)[rows]
    counts = truth.sum(axis=0) + 1
    prior = prior_logits(truth, "multiclass").softmax(dim=0).numpy()
    np.testing.assert_allclose(prior, counts / counts.sum(), rtol=1e-5)
    apart = prior_logits(truth, "multilabel").sigmoid().numpy()
    np.testing.assert_allclose(apart, counts / (len(rows) + 2), rtol=1e-5)
