from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn.neighbors import KNeighborsClassifier

from holotype.core.errors import DataError, HolotypeError
from holotype.neighbors import Neighbors, fit_temperature, nearest, neighbor_logits, override_scores

NONE = -np.inf


def drawn(seed: int, count: int, noise: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings around four centres, and their classes."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, count)
    return (np.eye(4, 6)[labels] + noise * generator.standard_normal((count, 6))).astype(np.float32), labels


def test_votes_are_those_of_scikit_learn_where_the_prior_counts_for_nothing() -> None:
    keys, labels = drawn(1, 300)
    queries, _ = drawn(2, 80)
    votes = KNeighborsClassifier(7, metric="cosine", weights=lambda far: np.exp(-far / 0.1), algorithm="brute")
    expected = votes.fit(keys, labels).predict_proba(queries)
    found = nearest(queries, keys, 7)
    prior = np.full(4, 0.25)
    ours = neighbor_logits(found, labels, "multiclass", prior, 0.1, prior_count=1e-9)
    assert np.exp(ours) == pytest.approx(expected, abs=1e-5)
    several = neighbor_logits(found, np.eye(4, dtype=bool)[labels], "multilabel", prior, 0.1, prior_count=1e-9)
    assert expit(several) == pytest.approx(expected, abs=1e-5)
    assert np.array_equal(neighbor_logits(found, np.eye(4, dtype=bool)[labels], "multiclass", prior, 0.1, 1e-9), ours)


def test_votes_and_prior_by_hand() -> None:
    found = Neighbors(np.array([[0, 1], [2, -1], [-1, -1]]), np.float32([[0.5, 0.5], [0.9, NONE], [NONE, NONE]]))
    truth = np.array([[True, False], [True, True], [False, True]])
    prior = np.array([0.5, 0.25])
    odds = np.exp(neighbor_logits(found, truth, "multilabel", prior, 0.1))
    # two specimens speak, then one, then the prior alone
    likely = np.array([[2.5 / 3, 1.25 / 3], [0.5 / 2, 1.25 / 2], [0.5, 0.25]])
    assert odds / (1 + odds) == pytest.approx(likely, abs=1e-6)
    shares = np.exp(neighbor_logits(found, np.array([0, 1, 1]), "multiclass", np.array([0.8, 0.2]), 0.1))
    assert shares == pytest.approx(np.array([[1.8 / 3, 1.2 / 3], [0.4, 0.6], [0.8, 0.2]]), abs=1e-6)


@given(st.floats(1e-4, 100), st.sampled_from(["multiclass", "multilabel"]), st.integers(0, 2**31))
def test_scores_are_finite_whatever_the_temperature_and_the_labels(temperature: float, kind, seed: int) -> None:
    generator = np.random.default_rng(seed)
    similarity = -np.sort(-generator.uniform(-1, 1, (6, 3)).astype(np.float32), axis=1)
    found = Neighbors(generator.integers(0, 5, (6, 3)), similarity)
    found.rows[0, 1:], found.similarity[0, 1:] = -1, NONE
    truth = generator.integers(0, 2, (5, 4)).astype(bool)
    logits = neighbor_logits(found, truth, kind, truth.mean(axis=0), temperature)
    assert logits.shape == (6, 4)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    if kind == "multiclass":
        assert np.exp(logits).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_pieces_of_many_classes_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from holotype.neighbors import votes

    keys, labels = drawn(3, 200)
    found = nearest(keys[:50], keys, 4)
    whole = neighbor_logits(found, labels, "multiclass", np.full(4, 0.25), 0.1)
    monkeypatch.setattr(votes, "MAX_SCORES", 12)
    assert np.array_equal(neighbor_logits(found, labels, "multiclass", np.full(4, 0.25), 0.1), whole)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_the_temperature_is_the_best_of_its_candidates_on_rows_left_out(kind) -> None:
    keys, labels = drawn(4, 400)
    truth = np.eye(4, dtype=bool)[labels] if kind == "multilabel" else labels
    own, ties, prior = np.arange(0, 400, 2), np.arange(400), np.bincount(labels) / 400
    found = nearest(keys[own], keys, 20, forbidden=(ties[own], ties))
    chosen = fit_temperature(found, truth, own, kind, prior, temperatures=(0.001, 0.03, 0.3, 5.0))

    def loss(temperature: float) -> float:
        logits = neighbor_logits(found, truth, kind, prior, temperature).astype(float)
        likely = softmax(logits, axis=1) if kind == "multiclass" else expit(logits)
        told = np.eye(4)[labels[own]]
        both = told * np.log(likely) + (0 if kind == "multiclass" else (1 - told) * np.log1p(-likely))
        return -both.sum()

    assert chosen == min((0.001, 0.03, 0.3, 5.0), key=loss)


def test_labels_that_tell_themselves_choose_no_temperature() -> None:
    keys, labels = drawn(5, 30)
    own = np.arange(30)
    with pytest.raises(HolotypeError, match="30 keys are neighbors of themselves: rows 0, 1, 2, 3, 4 and 25 more"):
        fit_temperature(nearest(keys, keys, 3), labels, own, "multiclass", np.full(4, 0.25))
    with pytest.raises(DataError, match="26 candidates, 0 keys"):
        fit_temperature(nearest(keys[:0], keys, 3), labels, own[:0], "multiclass", np.full(4, 0.25))


def test_scores_are_taken_over_from_a_similarity_on() -> None:
    own, theirs = np.zeros((3, 2), np.float32), np.ones((3, 2), np.float32)
    similarity = np.float32([[0.95, 0.1], [0.9, 0.9], [NONE, NONE]])
    assert override_scores(own, theirs, similarity, 0.95).tolist() == [[1, 1], [0, 0], [0, 0]]
    assert override_scores(own, theirs, similarity[:, 0], 0.9).tolist() == [[1, 1], [1, 1], [0, 0]]
    with pytest.raises(DataError, match="do not match"):
        override_scores(own, theirs[:2], similarity, 0.9)


BAD = {
    "a temperature of zero": ({"temperature": 0.0}, "got 0.0"),
    "a temperature that is no number": ({"temperature": np.nan}, "got nan"),
    "other classes": ({"truth": np.zeros((3, 4), bool)}, "do not match 2 classes"),
    "a class that is not there": ({"truth": np.array([0, 1, 2]), "kind": "multiclass"}, "do not match 2 classes"),
    "numbers for many labels": ({"truth": np.array([0, 1, 1])}, "multilabel labels of shape"),
    "too few labels": ({"truth": np.zeros((1, 2), bool)}, "neighbors up to row 1"),
    "another kind": ({"kind": "ordinal"}, "unknown kind of labels 'ordinal'"),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_labels_that_do_not_fit_are_refused(change, words: str) -> None:
    found = Neighbors(np.array([[0, 1]]), np.float32([[0.5, 0.4]]))
    given = {"truth": np.zeros((3, 2), bool), "kind": "multilabel", "temperature": 0.1} | change
    with pytest.raises(DataError, match=words):
        neighbor_logits(found, given["truth"], given["kind"], np.array([0.5, 0.5]), given["temperature"])
