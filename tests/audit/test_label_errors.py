"""Labels that are likely wrong, and labels that come together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from holotype.audit import find_label_errors, label_cooccurrence, label_error_mask
from holotype.types import OofPredictions, SampleTable


def scores(kind: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Well separated probabilities, labels with one in twenty turned over, and which were."""
    generator = np.random.default_rng(seed)
    if kind == "multiclass":
        right = generator.integers(0, 5, 800)
        logits = generator.normal(0, 1, (800, 5)) + 6 * np.eye(5)[right]
        probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        wrong = generator.random(800) < 0.05
        return probability, np.eye(5, dtype=bool)[np.where(wrong, (right + 1) % 5, right)], wrong
    right = generator.random((800, 5)) < 0.3
    probability = 1 / (1 + np.exp(-(generator.normal(0, 1, (800, 5)) + np.where(right, 4, -4))))
    wrong = generator.random(800) < 0.05
    truth = right.copy()
    truth[wrong, generator.integers(0, 5, wrong.sum())] ^= True
    return probability, truth, wrong


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_turned_labels_are_found(kind):
    probability, truth, wrong = scores(kind)
    suspect, suggested = label_error_mask(probability, truth, kind)
    assert suspect[wrong].mean() > (0.9 if kind == "multiclass" else 0.7)
    assert wrong[suspect].mean() > 0.8
    assert (suggested != truth).any(axis=1)[suspect].all()
    assert (suggested == truth)[~suspect].all()


def test_confident_learning_agrees_with_cleanlab():
    cleanlab = pytest.importorskip("cleanlab.filter", reason="the extra `labels` is not installed")
    probability, truth, _ = scores("multiclass")
    theirs = cleanlab.find_label_issues(truth.argmax(axis=1), probability, filter_by="confident_learning")
    ours, _ = label_error_mask(probability, truth, "multiclass")
    assert (ours == theirs).mean() > 0.995


def labels(kind: str, truth: np.ndarray) -> SampleTable:
    lists = [np.flatnonzero(row).tolist() for row in truth]
    frame = pl.DataFrame({"sample": [f"s{row}" for row in range(len(truth))], "role": "train", "labels": lists})
    return SampleTable(frame, np.arange(len(truth)), tuple("abcde"), kind)


def test_suspects_come_with_names_and_the_most_doubtful_first():
    probability, truth, wrong = scores("multiclass")
    oof = OofPredictions(np.arange(800), np.log(probability).astype(np.float32), np.zeros(800, np.int64))
    found = find_label_errors(oof, labels("multiclass", truth))
    assert found.height == 800
    top = found.row(0, named=True)
    assert top["suspect"]
    assert wrong[top["position"]]
    assert top["sample"] == f"s{top['position']}"
    assert top["given_label"] != top["predicted_label"]
    assert len(top["predicted_label"]) == 1


def test_links_are_the_counts_of_pairs():
    truth = scores("multilabel")[1]
    links = label_cooccurrence(labels("multilabel", truth))
    row = links.filter((pl.col("class") == "a") & (pl.col("other") == "b")).row(0, named=True)
    both = int((truth[:, 0] & truth[:, 1]).sum())
    assert (row["samples"], row["samples_with_both"]) == (int(truth[:, 0].sum()), both)
    assert row["share"] == pytest.approx(both / truth[:, 0].sum())
    assert row["lift"] == pytest.approx(row["share"] / truth[:, 1].mean())
    assert label_cooccurrence(labels("multiclass", np.eye(5, dtype=bool))).height == 0
