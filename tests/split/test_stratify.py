"""Folds over components: whole, even, and the same for the same seed."""

from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import StratifiedGroupKFold

from holotype.core.errors import HolotypeError
from holotype.split import sample_keys, share_deviation, stratified_folds


def long_tailed_labels(rows: int, classes: int, seed: int) -> np.ndarray:
    """Label sets whose frequencies fall from a half to a few rows, as protein patterns do."""
    generator = np.random.default_rng(seed)
    frequency = np.geomspace(0.5, 8 / rows, classes)
    return generator.random((rows, classes)) < frequency


def labels_in_groups(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sixteen classes on plates of very different size, each plate with a liking for some classes."""
    generator = np.random.default_rng(seed)
    sizes = generator.lognormal(3.2, 0.8, 67).astype(int) + 1
    taste = generator.dirichlet(np.geomspace(1, 0.02, 16), 67)
    groups = np.repeat(np.arange(67), sizes)
    classes = np.concatenate([generator.choice(16, size, p=odds) for size, odds in zip(sizes, taste, strict=True)])
    return np.eye(16, dtype=bool)[classes], groups


def folds_of(splitter, labels, *others) -> np.ndarray:
    fold = np.empty(len(labels), int)
    for number, (_, held) in enumerate(splitter.split(labels, *others)):
        fold[held] = number
    return fold


def distribution_deviation(labels: np.ndarray, fold: np.ndarray, folds: int) -> float:
    whole = labels.mean(axis=0)
    return float(np.mean([np.abs(labels[fold == number].mean(axis=0) - whole).mean() for number in range(folds)]))


problems = (
    st.integers(0, 10_000)
    .map(np.random.default_rng)
    .flatmap(lambda generator: st.tuples(st.just(generator), st.integers(2, 6), st.integers(1, 5), st.integers(6, 60)))
)


@settings(max_examples=15, deadline=None)
@given(problems)
def test_components_stay_whole_and_every_fold_is_filled(problem):
    generator, folds, classes, rows = problem
    labels = generator.random((rows, classes)) < generator.random(classes)
    component = generator.integers(0, rows, rows)
    component[:folds] = np.arange(folds) + rows  # enough of them
    fold = stratified_folds(labels, component, folds, 3)
    assert fold.shape == (rows,)
    assert set(fold.tolist()) == set(range(folds))
    for number in np.unique(component):
        assert len(np.unique(fold[component == number])) == 1


@settings(max_examples=5, deadline=None)
@given(problems)
def test_the_seed_alone_decides(problem):
    generator, folds, classes, rows = problem
    labels, component = generator.random((rows, classes)) < 0.4, np.arange(rows)
    assert np.array_equal(stratified_folds(labels, component, folds, 5), stratified_folds(labels, component, folds, 5))


def test_seeds_differ():
    labels = long_tailed_labels(200, 4, 0)
    for component in (np.arange(200), np.arange(200) // 4):
        partitions = set()
        for seed in range(4):
            fold = stratified_folds(labels, component, 5, seed)
            partitions.add(frozenset(tuple(np.flatnonzero(fold == number).tolist()) for number in range(5)))
        assert len(partitions) == 4


def test_component_numbers_do_not_matter():
    labels, groups = labels_in_groups(1)
    assert np.array_equal(stratified_folds(labels, groups, 5, 1), stratified_folds(labels, groups * 7 - 100, 5, 1))


def test_sparse_labels_are_dense_labels():
    labels, groups = labels_in_groups(2)
    assert np.array_equal(stratified_folds(sp.csr_matrix(labels), groups, 5, 1), stratified_folds(labels, groups, 5, 1))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7))
def test_single_labels_without_groups_are_dealt_out_to_the_row(seed, folds):
    generator = np.random.default_rng(seed)
    labels = np.eye(6, dtype=bool)[generator.choice(6, 200, p=[0.5, 0.25, 0.12, 0.06, 0.04, 0.03])]
    fold = stratified_folds(labels, np.arange(200), folds, seed)
    counts = np.stack([labels[fold == number].sum(axis=0) for number in range(folds)])
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 1
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("seed", range(4))
def test_many_labels_are_as_even_as_iterative_stratification(seed):
    labels = long_tailed_labels(3000, 20, seed)
    ours = stratified_folds(labels, np.arange(3000), 5, seed)
    theirs = folds_of(MultilabelStratifiedKFold(5, shuffle=True, random_state=seed), labels, labels)
    assert share_deviation(labels, ours, 5) <= share_deviation(labels, theirs, 5) + 1e-9
    assert distribution_deviation(labels, ours, 5) <= distribution_deviation(labels, theirs, 5) + 1e-9
    assert np.ptp(np.bincount(ours)) <= 2
    held = np.stack([labels[ours == number].sum(axis=0) for number in range(5)])
    assert (held[:, labels.sum(axis=0) >= 5] > 0).all()


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_grouped_folds_are_evener_than_scikit_learns():
    shares, distributions = [], []
    for seed in range(5):
        labels, groups = labels_in_groups(seed)
        ours = stratified_folds(labels, groups, 5, seed)
        splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        theirs = folds_of(splitter, labels, labels.argmax(axis=1), groups)
        shares.append([share_deviation(labels, fold, 5) for fold in (ours, theirs)])
        distributions.append([distribution_deviation(labels, fold, 5) for fold in (ours, theirs)])
        assert np.ptp(np.bincount(ours)) < 0.5 * np.ptp(np.bincount(theirs))
        empty = [sum((~labels[fold == number].any(axis=0)).sum() for number in range(5)) for fold in (ours, theirs)]
        assert empty[0] <= empty[1]
    for ours, theirs in (np.mean(shares, axis=0), np.mean(distributions, axis=0)):
        assert ours < theirs


@pytest.mark.parametrize("seed", range(6))
def test_a_class_with_one_group_for_each_fold_reaches_every_fold(seed):
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(50), generator.integers(5, 60, 50))
    classes = generator.integers(0, 3, len(groups))
    for rare in (3, 4):
        homes = generator.choice(50, 5, replace=False)
        for home, rows in zip(homes, (30, 1, 1, 2, 1), strict=True):
            inside = np.flatnonzero(groups == home)
            classes[inside[:rows]] = rare
    labels = np.eye(5, dtype=bool)[classes]
    parts = np.array([len(np.unique(groups[labels[:, number]])) for number in range(5)])
    fold = stratified_folds(labels, groups, 5, seed)
    held = np.stack([labels[fold == number].sum(axis=0) for number in range(5)])
    assert (held[:, parts >= 5] > 0).all()


def test_placing_alone_is_nearly_even(monkeypatch):
    monkeypatch.setattr("holotype.split.stratify.improve_balance", lambda balance, fold, generator: fold)
    labels, groups = labels_in_groups(0)
    placed = stratified_folds(labels, groups, 5, 1)
    assert np.ptp(np.bincount(placed)) < 0.2 * len(labels) / 5
    assert distribution_deviation(labels, placed, 5) < 0.9 * distribution_deviation(labels, groups % 5, 5)


def test_a_giant_group_has_a_fold_and_the_others_share_the_rest():
    groups = np.concatenate([np.zeros(500, int), np.arange(1, 201)])
    labels = np.eye(2, dtype=bool)[np.arange(700) % 2]
    fold = stratified_folds(labels, groups, 5, 1)
    assert sorted(np.bincount(fold)) == [50, 50, 50, 50, 500]


def test_one_class_and_unlabelled_rows_and_no_classes_give_even_sizes():
    for labels in (np.ones((23, 1), bool), np.zeros((23, 4), bool), np.zeros((23, 0), bool)):
        fold = stratified_folds(labels, np.arange(23), 5, 1)
        assert sorted(np.bincount(fold)) == [4, 4, 5, 5, 5]


def test_as_many_folds_as_components_leaves_one_out():
    labels, groups = labels_in_groups(3)
    fold = stratified_folds(labels, groups, 67, 1)
    assert len(np.unique(np.stack([fold, groups]), axis=1).T) == 67


def test_fewer_components_than_folds_are_refused():
    with pytest.raises(HolotypeError, match="3 components cannot fill 4 folds"):
        stratified_folds(np.ones((6, 2), bool), np.array([0, 0, 1, 1, 2, 2]), 4, 1)


def test_labels_and_components_of_different_length_are_refused():
    with pytest.raises(HolotypeError, match="do not fit"):
        stratified_folds(np.ones((6, 2), bool), np.arange(5), 2, 1)


def test_a_hundred_thousand_rows_take_a_moment():
    rows = 100_000
    classes = np.minimum(np.random.default_rng(0).geometric(0.05, rows) - 1, 99)
    labels = sp.csr_array((np.ones(rows, bool), classes, np.arange(rows + 1)), shape=(rows, 100))
    begin = time.process_time()
    fold = stratified_folds(labels, np.arange(rows), 5, 1)
    assert time.process_time() - begin < 5
    counts = np.stack([np.bincount(classes[fold == number], minlength=100) for number in range(5)])
    assert np.ptp(counts, axis=0).max() <= 1


@pytest.mark.parametrize("change", ["label", "dropped", "added"])
def test_a_changed_sample_leaves_nearly_all_others_in_their_folds(change):
    """296 samples of eight classes, as a review would change them one by one."""
    generator = np.random.default_rng(4)
    classes = generator.choice(8, 296, p=[0.3, 0.2, 0.15, 0.1, 0.1, 0.07, 0.05, 0.03])
    names = [f"s{number}" for number in range(296)]
    fold = stratified_folds(np.eye(8, dtype=bool)[classes], np.arange(296), 5, 1, sample_keys(names))
    kept = []
    for number in range(0, 296, 37):
        other, still = classes.copy(), np.arange(296)
        if change == "label":
            other[number] = (other[number] + 1) % 8
        if change == "dropped":
            other, still = np.delete(other, number), np.delete(still, number)
        own = [names[place] for place in still]
        if change == "added":
            other, own = np.append(other, number % 8), [*own, f"new{number}"]
        again = stratified_folds(np.eye(8, dtype=bool)[other], np.arange(len(other)), 5, 1, sample_keys(own))
        kept.append((again[: len(still)] == fold[still]).mean())
    assert np.mean(kept) >= 0.95


@pytest.mark.parametrize("grouped", [True, False])
def test_known_folds_are_kept_after_a_change_and_stay_even(grouped):
    labels, groups = labels_in_groups(3)
    groups = groups if grouped else np.arange(len(labels))
    before = stratified_folds(labels, groups, 5, 1)
    changed, generator = labels.copy(), np.random.default_rng(2)
    for number in generator.choice(len(labels), 20, replace=False):
        changed[number] = np.roll(changed[number], 1)
    still = np.delete(np.arange(len(labels)), generator.choice(len(labels), 20, replace=False))
    after = stratified_folds(changed[still], groups[still], 5, 1, before=before[still])
    fresh = stratified_folds(changed[still], groups[still], 5, 1)
    assert (after == before[still]).mean() >= 0.95
    assert share_deviation(changed[still], after, 5) <= 1.3 * share_deviation(changed[still], fresh, 5) + 0.002
    for number in np.unique(groups):
        assert len(np.unique(after[groups[still] == number])) <= 1


def test_a_fold_that_lost_its_groups_is_filled_again():
    labels = np.eye(2, dtype=bool)[np.arange(40) % 2]
    before = np.where(np.arange(40) < 20, 0, 1)
    after = stratified_folds(labels[:22], np.arange(22), 2, 1, before=before[:22])
    assert np.ptp(np.bincount(after, minlength=2)) <= 3
