"""The losses for rare classes against published libraries, or the papers' formulas written out slowly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from holotype.core.errors import RecipeError
from holotype.losses import (
    LOSSES,
    asymmetric,
    bce,
    check_loss,
    class_weights,
    compose_loss,
    cross_entropy,
    focal,
    lovasz,
    lsep,
    soft_f1,
    soft_margin,
    softmax_focal,
)

EXACT = {"rtol": 0, "atol": 1e-6}


def case(seed: int, rows: int = 7, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn((rows, classes), generator=generator, dtype=torch.float64)
    return logits, (torch.rand((rows, classes), generator=generator) < 0.4).double()


seeds = st.integers(0, 10_000)


@given(seeds, st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]), st.sampled_from([None, 0.25, 0.9]))
def test_focal_is_that_of_torchvision(seed, gamma, alpha):
    logits, targets = case(seed)
    expected = sigmoid_focal_loss(logits, targets, alpha=-1 if alpha is None else alpha, gamma=gamma, reduction="mean")
    torch.testing.assert_close(focal(logits, targets, gamma=gamma, alpha=alpha), expected, **EXACT)


def test_focal_takes_an_alpha_a_class():
    logits, targets = case(1, classes=3)
    share = [0.2, 0.5, 0.9]
    each = [focal(logits[:, [one]], targets[:, [one]], alpha=value) for one, value in enumerate(share)]
    torch.testing.assert_close(focal(logits, targets, alpha=share), torch.stack(each).mean(), **EXACT)


def test_focal_without_fading_is_cross_entropy():
    logits, targets = case(2)
    weights = torch.linspace(0.5, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(focal(logits, targets, weights, 0.1, gamma=0.0), bce(logits, targets, weights, 0.1))
    one = functional.one_hot(targets.argmax(dim=1), 5).double()
    torch.testing.assert_close(softmax_focal(logits, one, weights, gamma=0.0), cross_entropy(logits, one, weights))


@given(seeds, st.sampled_from([0.5, 2.0, 3.0]))
def test_softmax_focal_is_the_papers_formula(seed, gamma):
    logits, targets = case(seed)
    right = targets.argmax(dim=1)
    chances = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(axis=1, keepdims=True)
    slow = np.mean(
        [-((1 - row[truth]) ** gamma) * np.log(row[truth]) for row, truth in zip(chances, right.tolist(), strict=True)]
    )
    one = functional.one_hot(right, 5).double()
    assert float(softmax_focal(logits, one, gamma=gamma)) == pytest.approx(slow, abs=1e-6)


@given(seeds, st.sampled_from([(0.0, 4.0, 0.05), (1.0, 2.0, 0.2), (0.0, 1.0, 0.0)]))
def test_asymmetric_is_the_papers_formula(seed, settings):
    (positive, negative, margin), (logits, targets) = settings, case(seed)
    slow = 0.0
    for score, truth in zip(logits.flatten().tolist(), targets.flatten().tolist(), strict=True):
        chance = 1 / (1 + np.exp(-score))
        shifted = max(chance - margin, 0.0)
        slow -= (1 - chance) ** positive * np.log(chance) if truth else shifted**negative * np.log(1 - shifted)
    found = asymmetric(logits, targets, gamma_positive=positive, gamma_negative=negative, margin=margin)
    assert float(found) == pytest.approx(slow / logits.numel(), abs=1e-6)


@given(seeds)
def test_lsep_is_the_papers_sum_over_pairs(seed):
    logits, targets = case(seed)
    slow = 0.0
    for scores, held in zip(logits.tolist(), targets.tolist(), strict=True):
        pairs = [np.exp(scores[v] - scores[u]) for u in range(5) if held[u] for v in range(5) if not held[v]]
        slow += np.log1p(sum(pairs))
    assert float(lsep(logits, targets)) == pytest.approx(slow / len(logits), abs=1e-6)


def jaccard_loss(wrong: set[int], held: set[int]) -> float:
    """1 - intersection over union, where the classes in `wrong` are mistaken (Berman et al., equation 6)."""
    given = held ^ wrong
    return 1 - (len(given & held) / len(given | held) if given | held else 1.0)


@given(seeds)
def test_lovasz_is_the_extension_of_the_jaccard_loss(seed):
    logits, targets = case(seed)
    slow = 0.0
    for scores, truth in zip(logits.tolist(), targets.tolist(), strict=True):
        held = {number for number, there in enumerate(truth) if there}
        errors = [1 - score * (1 if number in held else -1) for number, score in enumerate(scores)]
        order = sorted(range(5), key=lambda number, kept=errors: -kept[number])
        for rank, number in enumerate(order):  # equation 9: the sorted errors times the steps of the set function
            step = jaccard_loss(set(order[: rank + 1]), held) - jaccard_loss(set(order[:rank]), held)
            slow += max(errors[number], 0.0) * step
    assert float(lovasz(logits, targets)) == pytest.approx(slow / len(logits), abs=1e-6)


@given(seeds)
def test_soft_f1_of_certain_scores_is_scikit_learns(seed):
    from sklearn.metrics import f1_score

    logits, targets = case(seed, rows=30)
    decided = (logits > 0).double()
    truth, said = targets.numpy(), decided.numpy()
    macro = (
        f1_score(truth, said, average="macro", zero_division=0)
        + f1_score(1 - truth, 1 - said, average="macro", zero_division=0)
    ) / 2
    assert float(soft_f1(1e3 * (2 * decided - 1), targets)) == pytest.approx(1 - macro, abs=1e-6)


@given(seeds, st.booleans())
def test_soft_margin_is_that_of_pytorch(seed, weighted):
    logits, targets = case(seed)
    weights = torch.linspace(0.5, 3, 5, dtype=torch.float64) if weighted else None
    expected = torch.nn.MultiLabelSoftMarginLoss(weight=weights)(logits, targets)
    torch.testing.assert_close(soft_margin(logits, targets, weights), expected, **EXACT)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("size", [0.0, 1e4, -1e4])
def test_rows_with_every_class_or_none_stay_finite(name, value, size):
    logits = torch.full((2, 4), size, requires_grad=True)
    loss = LOSSES[name](logits, torch.full((2, 4), value))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


# ---- options and kinds


def test_options_reach_their_loss():
    logits, targets = case(4)
    loss = compose_loss({"focal": {"weight": 0.5, "gamma": 1.0, "alpha": 0.3}, "lovasz": 2.0})
    expected = 0.5 * focal(logits, targets, gamma=1.0, alpha=0.3) + 2 * lovasz(logits, targets)
    torch.testing.assert_close(loss(logits, targets), expected)


def test_focal_is_under_a_softmax_where_a_sample_has_one_label():
    logits, targets = case(5)
    one = functional.one_hot(targets.argmax(dim=1), 5).double()
    found = compose_loss({"focal": {"gamma": 3.0}}, kind="multiclass")(logits, one)
    torch.testing.assert_close(found, softmax_focal(logits, one, gamma=3.0))


@pytest.mark.parametrize(
    ("parts", "kind", "weights", "smoothing", "message"),
    [
        ({"lsep": 1.0}, "multiclass", False, 0.0, "'lsep' is for multilabel labels; allowed|allowed: "),
        ({"lovaz": 1.0}, "multilabel", False, 0.0, "did you mean 'lovasz'"),
        ({"focal": {"gama": 2}}, "multilabel", False, 0.0, "no option 'gama'.*did you mean 'gamma'"),
        ({"lovasz": 1.0}, "multilabel", True, 0.0, "does not support class weights"),
        ({"soft_f1": 1.0}, "multilabel", False, 0.1, "does not support label smoothing"),
    ],
)
def test_a_loss_is_refused_for_what_it_is_not(parts, kind, weights, smoothing, message):
    with pytest.raises(RecipeError, match=message):
        check_loss(parts, kind, weights, smoothing)


def test_the_effective_number_lies_between_no_weights_and_the_inverse():
    truth = np.repeat(np.eye(3, dtype=bool), [5000, 500, 50], axis=0)
    plain, effective = (class_weights(truth, rule, "multiclass").numpy() for rule in ("inverse", "effective"))
    numbers = [(1 - 0.999**count) / (1 - 0.999) for count in (5000, 500, 50)]  # Cui et al. 2019, equation 2
    np.testing.assert_allclose(effective / effective[0], numbers[0] / np.array(numbers), rtol=1e-4)
    assert 1 < effective[2] / effective[0] < plain[2] / plain[0]
    many = class_weights(truth, "effective", "multilabel").numpy()
    assert many.sum() == pytest.approx(3.0, rel=1e-5)
