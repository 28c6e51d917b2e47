"""Running reductions against the same reductions of stacked views."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, logit, softmax

from holotype.core.errors import RecipeError
from holotype.prediction import RunningPool

VIEWS = np.random.default_rng(0).normal(0, 2, (8, 5, 4)).astype(np.float32)


def pooled(rule: str, kind: str, views: np.ndarray) -> np.ndarray:
    pool = RunningPool(rule, kind)
    for view in views:
        pool.add(torch.from_numpy(view))
    return pool.logits().numpy()


def stacked(rule: str, kind: str, views: np.ndarray) -> np.ndarray:
    """The same by an array of all views."""
    views = views.astype(np.float64)
    if rule == "mean-logit":
        return views.mean(axis=0)
    if rule == "max":
        return (log_softmax(views, axis=2) if kind == "multiclass" else views).max(axis=0)
    if kind == "multilabel":
        return logit(expit(views).mean(axis=0))
    return np.log(softmax(views, axis=2).mean(axis=0))


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
@pytest.mark.parametrize("rule", ["mean-logit", "mean-probability", "max"])
def test_running_is_stacking(rule: str, kind: str) -> None:
    np.testing.assert_allclose(pooled(rule, kind, VIEWS), stacked(rule, kind, VIEWS), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
@pytest.mark.parametrize("rule", ["mean-logit", "mean-probability", "max"])
def test_one_view_says_what_it_said(rule: str, kind: str) -> None:
    one = pooled(rule, kind, VIEWS[:1])
    said = softmax if kind == "multiclass" else lambda scores, axis: expit(scores)
    np.testing.assert_allclose(said(one, axis=1), said(VIEWS[0], axis=1), rtol=1e-4, atol=1e-6)


@given(st.permutations(range(8)), st.sampled_from(["mean-logit", "mean-probability", "max"]))
def test_the_order_of_views_does_not_count(order: list[int], rule: str) -> None:
    np.testing.assert_allclose(
        pooled(rule, "multilabel", VIEWS[order]), pooled(rule, "multilabel", VIEWS), rtol=1e-4, atol=1e-5
    )


def test_a_shift_of_a_softmax_changes_no_maximum() -> None:
    shifted = VIEWS + np.arange(8, dtype=np.float32)[:, None, None] * 10  # says the same: a softmax has no zero
    one, other = pooled("max", "multiclass", VIEWS), pooled("max", "multiclass", shifted)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_certainty_stays_finite_and_in_order(kind: str) -> None:
    sure = np.array([[[200.0, -200.0, 3.0]]] * 2, dtype=np.float32)
    mean = pooled("mean-probability", kind, sure)
    assert np.isfinite(mean).all()
    assert mean[0].argsort().tolist() == [1, 2, 0]


def test_what_was_added_is_not_changed() -> None:
    view = torch.ones(2, 3)
    pool = RunningPool("mean-logit", "multilabel")
    pool.add(view)
    pool.add(view)
    assert torch.equal(view, torch.ones(2, 3))


def test_an_unknown_rule_is_refused_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'mean-logit'"):
        RunningPool("mean-logits", "multilabel")


def test_without_a_view_there_is_nothing_to_say() -> None:
    with pytest.raises(ValueError, match="no view was added"):
        RunningPool("max", "multilabel").logits()
