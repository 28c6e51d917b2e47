"""Pseudo-labels: what a network is sure of, and which labels may never join a fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from holotype.core.errors import HolotypeError
from holotype.recipe.sections import ModelSpec
from holotype.training import FitJob, confident_labels, join_pseudo_labels
from holotype.types import Normalization, Predictions

MODEL = ModelSpec.model_validate({"name": "m", "pseudo_labels": {"confidence": 0.9}, "input": {"size": 32}})
JOB = FitJob(
    MODEL, 0, 1, np.array([0, 1, 2]), np.array([3, 4]), ("a", "b"), "multiclass", None, Normalization((0.0,), (1.0,))
)
OWNERS = np.arange(10)
FREE = np.zeros(10, bool)


def said(rows: list[int], shares: list[float], fold: int = 0, model: str = "m") -> Predictions:
    likely = np.array(shares)
    return Predictions(model, fold, np.array(rows), np.log(np.stack([likely, 1 - likely], 1)).astype(np.float32))


def test_rows_that_the_network_is_sure_of_join_with_their_labels() -> None:
    job, labels = join_pseudo_labels(JOB, said([5, 6, 7], [0.95, 0.6, 0.03]), OWNERS, "multiclass", FREE)
    assert job.pseudo_rows.tolist() == [5, 7]
    assert labels.tolist() == [[True, False], [False, True]]
    assert (job.pseudo_round, job.label) == (1, "m, fold 0, round 1")
    assert job.phase_rows(0).tolist() == [0, 1, 2, 5, 7]
    assert job.seed_name == JOB.seed_name  # a round draws what the one before drew


@pytest.mark.parametrize("other", [{"fold": 1}, {"model": "other"}, {"fold": -2}])
def test_labels_of_another_folds_network_are_refused(other: dict) -> None:
    with pytest.raises(HolotypeError, match="was trained on rows that this one is scored on"):
        join_pseudo_labels(JOB, said([5], [0.99], **other), OWNERS, "multiclass", FREE)


@pytest.mark.parametrize("row", [0, 3])
def test_labelled_rows_do_not_join(row: int) -> None:
    with pytest.raises(HolotypeError, match="labeled already"):
        join_pseudo_labels(JOB, said([5, row], [0.99, 0.99]), OWNERS, "multiclass", FREE)


def test_rows_tied_to_the_scored_fold_are_refused_however_sure() -> None:
    tied = FREE.copy()
    tied[6] = True
    with pytest.raises(HolotypeError, match=r"tied to the scored fold.*6"):
        join_pseudo_labels(JOB, said([5, 6], [0.99, 0.5]), OWNERS, "multiclass", tied)


def test_the_images_of_a_sample_get_one_label() -> None:
    owners = np.array([0, 0, 1])
    likely = np.array([0.999, 0.5, 0.8])
    logits = np.log(np.stack([likely, 1 - likely], 1)).astype(np.float32)
    sure, labels = confident_labels(logits, owners, "multiclass", 0.9)
    assert sure.tolist() == [True, True, False]  # the mean of the first two logits is sure
    assert labels[0].tolist() == labels[1].tolist()


def test_of_many_labels_every_one_must_be_sure_and_one_present() -> None:
    shares = np.array([[0.95, 0.02], [0.95, 0.4], [0.01, 0.02]])
    sure, labels = confident_labels(logit(shares).astype(np.float32), np.arange(3), "multilabel", 0.9)
    assert sure.tolist() == [True, False, False]
    assert labels[0].tolist() == [True, False]


def test_a_weight_of_one_half_is_half_of_the_rows_an_epoch() -> None:
    half = MODEL.model_copy(update={"pseudo_labels": MODEL.pseudo_labels.model_copy(update={"weight": 0.5})})
    job = replace(JOB, model=half, pseudo_rows=np.array([5, 6, 7, 8]))
    assert (job.pseudo_rows_per_epoch, job.epoch_length(0)) == (2, 5)
