"""Signs that an image is unlike those of the training."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from holotype.finished.unusual import Usual, best_scores, read_usual, unusual
from holotype.runs import RunFolder
from holotype.types import condense

USUAL = Usual("multiclass", float(np.log(0.5)), {"mean": np.array([[10.0, 1.0], [20.0, 2.0]]),
              "deviation": np.array([[1.0, 1.0], [3.0, 3.0]])}, ("uint8",), 100)  # fmt: skip
PLAIN = {"mean": [15.0, 1.5], "deviation": [2.0, 2.0], "depth": "uint8"}


def test_an_ordinary_image_is_not_warned_of():
    assert unusual(USUAL, float(np.log(0.6)), PLAIN, ()) == ()


@pytest.mark.parametrize(
    ("facts", "what", "channel", "words"),
    [
        (
            {"mean": [9.0, 1.5]},
            "mean",
            "dna",
            "channel dna is darker than nearly all training images: mean 9, usually 10 to 20",
        ),
        ({"mean": [15.0, 3.0]}, "mean", "actin", "brighter"),
        ({"deviation": [2.0, 0.5]}, "deviation", "actin", "of less contrast"),
        ({"depth": "uint16"}, "depth", None, "its pixels are uint16, and those of the training images uint8"),
    ],
)
def test_each_sign_is_said_in_words(facts, what, channel, words):
    (found,) = unusual(USUAL, 0.0, PLAIN | facts, ("dna", "actin"))
    assert (found.what, found.channel) == (what, channel)
    assert words in found.words


def test_an_image_that_is_like_no_class_is_warned_of():
    (found,) = unusual(USUAL, float(np.log(0.25)), PLAIN, ())
    assert found.words == (
        "no class is likely: the best has 25.0%, and 99% of the run's own images had more than 50.0% when they were "
        "held out"
    )
    assert found.value == pytest.approx(0.25)


def test_best_scores_are_those_of_the_likeliest_class():
    logits = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    plain = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.exp(best_scores(logits, "multiclass")) == pytest.approx(plain.max(axis=1))
    assert best_scores(logits, "multilabel") == pytest.approx(logits.max(axis=1))
    many = np.random.default_rng(1).normal(size=(5, 3000)).astype(np.float32)
    assert best_scores(condense(many), "multiclass") == pytest.approx(best_scores(many, "multiclass"), abs=1e-4)


def test_no_training_image_lies_outside_its_own_ranges(finished):
    usual = read_usual(RunFolder(finished), "multilabel", 8)
    frame = pl.read_parquet(finished / "audit" / "statistics.parquet")
    roles = pl.read_parquet(finished / "images.parquet")["role"]
    for row in frame.filter(roles == "train").iter_rows(named=True):
        assert unusual(usual, np.inf, row, ()) == ()
    assert usual.images == 60
    assert usual.score is not None
