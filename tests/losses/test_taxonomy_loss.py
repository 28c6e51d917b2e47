"""Losses on ranks: sums of classes, logits beside, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from holotype.losses import RankLoss, cross_entropy, rank_log_probabilities, rank_targets, softmax_focal, taxonomy_loss

GENUS, FAMILY = (0, 0, 1, 2), (0, 0, 0, 1)
LEAVES = torch.eye(4)


def of(parents: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(parents)


@given(st.lists(st.floats(-200, 200), min_size=4, max_size=4))
def test_a_taxon_is_as_likely_as_its_classes_together(row):
    logits = torch.tensor([row], dtype=torch.float64)
    probability = logits.softmax(1)
    expected = torch.stack([probability[:, :2].sum(1), probability[:, 2], probability[:, 3]], 1)
    found = rank_log_probabilities(logits, of(GENUS), 3)
    torch.testing.assert_close(found.exp(), expected)
    own = logits.log_softmax(1)
    torch.testing.assert_close(found, torch.stack([own[:, :2].logsumexp(1), own[:, 2], own[:, 3]], 1))
    assert torch.isfinite(found).all()


def test_the_sum_has_the_gradient_of_a_logsumexp():
    logits = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda said: rank_log_probabilities(said, of(GENUS), 3), (logits,))


def test_targets_of_a_mixture_are_shared_by_its_taxa():
    mixed = torch.tensor([[0.7, 0.0, 0.0, 0.3], [0.25, 0.75, 0.0, 0.0]])
    torch.testing.assert_close(rank_targets(mixed, of(GENUS), 3), torch.tensor([[0.7, 0, 0.3], [1, 0, 0]]))


def classes(logits: torch.Tensor, targets: torch.Tensor, epochs: float) -> torch.Tensor:
    """A phase's loss on the classes, which knows how far the phase is."""
    return cross_entropy(logits, targets)


def test_the_loss_is_the_weighted_sum_of_classes_and_ranks():
    # Logits are log-probabilities 0.1, 0.2, 0.3, 0.4, the truth is species 1: its genus has 0.3, its family 0.6.
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    ranks = [RankLoss(of(GENUS), 3, 0.5, cross_entropy), RankLoss(of(FAMILY), 2, 0.25, softmax_focal)]
    loss = taxonomy_loss(classes, 2.0, ranks)
    expected = -2 * np.log(0.2) - 0.5 * np.log(0.3) - 0.25 * 0.4**2 * np.log(0.6)
    assert loss(logits, LEAVES[[1]]).item() == pytest.approx(expected, rel=1e-5)


def test_logits_beside_the_classes_are_the_ranks_own():
    logits = torch.randn(5, 4 + 3 + 2, generator=torch.Generator().manual_seed(2))
    rows = torch.tensor([0, 1, 2, 3, 0])
    ranks = [RankLoss(of(GENUS), 3, 0.3, cross_entropy), RankLoss(of(FAMILY), 2, 0.1, cross_entropy)]
    expected = functional.cross_entropy(logits[:, :4], rows)
    expected = expected + 0.3 * functional.cross_entropy(logits[:, 4:7], of(GENUS)[rows])
    expected = expected + 0.1 * functional.cross_entropy(logits[:, 7:], of(FAMILY)[rows])
    torch.testing.assert_close(taxonomy_loss(classes, 1.0, ranks)(logits, LEAVES[rows]), expected)


def test_sums_are_learnt_under_the_prior_of_the_classes():
    logits, prior = torch.zeros(1, 4), torch.tensor([0.1, 0.2, 0.3, 0.4]).log()
    ranks = [RankLoss(of(GENUS), 3, 1.0, cross_entropy)]
    loss = taxonomy_loss(lambda said, targets, epochs: cross_entropy(said + prior, targets), 1.0, ranks, prior)
    assert loss(logits, LEAVES[[0]]).item() == pytest.approx(-np.log(0.1) - np.log(0.3), rel=1e-5)


def test_logits_of_half_precision_are_summed_in_single():
    logits = torch.tensor([[20.0, -20.0, 0.0, 5.0]], dtype=torch.float16)
    loss = taxonomy_loss(classes, 1.0, [RankLoss(of(GENUS), 3, 1.0, cross_entropy)])(logits, LEAVES[[0]])
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
