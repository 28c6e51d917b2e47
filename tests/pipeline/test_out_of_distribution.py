"""Signs that an image is unlike those of the training."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from holotype.audit import describe_training
from holotype.core.run_folder import RunFolder
from holotype.pipeline.out_of_distribution import (
    TrainingRanges,
    best_scores,
    low_score_threshold,
    ood_reasons,
    read_training_ranges,
)
from holotype.types import keep_top_k

TRAINING = {
    "images": 100,
    "depths": ["uint8"],
    "channels": [2],
    "sides": [40, 50],
    "missing": 0.0,
    "ranges": {
        "mean": [[10.0, 1.0], [20.0, 2.0]],
        "deviation": [[1.0, 1.0], [3.0, 3.0]],
        "value": [[0.0, 0.0], [100.0, 10.0]],
    },
}
USUAL = TrainingRanges("multiclass", float(np.log(0.5)), TRAINING)
PLAIN = {
    "mean": [15.0, 1.5],
    "deviation": [2.0, 2.0],
    "min": [0.0, 0.0],
    "max": [90.0, 9.0],
    "lowest": [0.0, 0.0],
    "highest": [90.0, 9.0],
    "missing": [0.0, 0.0],
    "height": 40,
    "width": 48,
}


def test_an_ordinary_image_is_not_warned_of():
    assert ood_reasons(USUAL, float(np.log(0.6)), PLAIN, ()) == ()


@pytest.mark.parametrize(
    ("facts", "what", "channel", "words"),
    [
        (
            {"mean": [4.0, 1.5]},
            "mean",
            "dna",
            "channel dna is darker than the training images: mean 4, usually 10 to 20",
        ),
        ({"mean": [15.0, 3.0]}, "mean", "actin", "brighter"),
        ({"deviation": [2.0, -0.5]}, "deviation", "actin", "of less contrast"),
        (
            {"max": [900.0, 9.0], "highest": [900.0, 9.0]},
            "range",
            "dna",
            "channel dna has values from 0 to 900, the training images from 0 to 100",
        ),
        ({"highest": [90.0, 1e6]}, "range", "actin", "single pixels of channel actin reach from 0 to 1e+06"),
        ({"missing": [0.0, 0.25]}, "missing", None, "25.00% of its pixels hold no data"),
        ({"height": 400}, "size", None, "its longer side has 400 pixels, that of the training images 40 to 50"),
    ],
)
def test_each_sign_is_said_in_words(facts, what, channel, words):
    (found,) = ood_reasons(USUAL, 0.0, PLAIN | facts, ("dna", "actin"))
    assert (found.what, found.channel) == (what, channel)
    assert words in found.message


def test_unseen_images_of_the_same_distribution_are_hardly_warned_of():
    generator = np.random.default_rng(3)
    warned = half = 0
    for _ in range(50):
        background = generator.gamma(4.0, 50.0, 68)  # skewed, as brightness and contrast of fields are
        contrast = generator.gamma(160.0, 5.0, 68)
        drawn = pl.DataFrame(
            {
                "error": pl.Series([None] * 48, dtype=pl.String),
                "channels": [1] * 48,
                "depth": ["uint16"] * 48,
                "height": [48] * 48,
                "width": [48] * 48,
                "mean": background[:48, None].tolist(),
                "deviation": contrast[:48, None].tolist(),
                "min": [[0.0]] * 48,
                "max": [[4095.0]] * 48,
            }
        )
        usual = TrainingRanges("multiclass", None, describe_training(drawn))
        for mean, deviation in zip(background[48:], contrast[48:], strict=True):
            plain = {"mean": [mean], "deviation": [deviation], "height": 48, "width": 48}
            warned += len(ood_reasons(usual, 0.0, plain, ())) > 0
            half += len(ood_reasons(usual, 0.0, plain | {"deviation": [deviation / 2]}, ())) > 0
    assert warned <= 10  # of 1,000
    assert half >= 800


def test_the_least_sure_of_a_few_images_are_no_limit_for_others():
    generator = np.random.default_rng(4)
    falls = [
        (
            best_scores(generator.normal(0, 2, (20, 3)), "multiclass")
            < low_score_threshold(generator.normal(0, 2, (48, 3)), "multiclass")
        ).sum()
        for _ in range(50)
    ]
    assert sum(falls) <= 5  # of 1,000; one in fifty falls below the least of 48


def test_another_depth_and_other_channels_are_no_warnings_but_refusals():
    assert USUAL.mismatch("uint8", 2) is None
    assert USUAL.mismatch("uint16", 2) == (
        "its pixels are uint16, but those of the training images are uint8, so its values mean something else"
    )
    assert USUAL.mismatch("uint8", 1) == "it has 1 channel, but the training images have 2"


def test_a_run_without_statistics_knows_nothing_and_says_nothing(tmp_path):
    usual = read_training_ranges(RunFolder(tmp_path), "multiclass", 2)
    assert not usual.is_available
    assert usual.mismatch("float32", 7) is None
    assert ood_reasons(usual, -9.0, PLAIN, ()) == ()


def test_an_image_that_is_like_no_class_is_warned_of():
    (found,) = ood_reasons(USUAL, float(np.log(0.25)), PLAIN, ())
    assert found.message == (
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
    assert best_scores(keep_top_k(many), "multiclass") == pytest.approx(best_scores(many, "multiclass"), abs=1e-4)


def test_no_training_image_lies_outside_its_own_ranges(finished):
    usual = read_training_ranges(RunFolder(finished), "multilabel", 8)
    frame = pl.read_parquet(finished / "audit" / "statistics.parquet")
    roles = pl.read_parquet(finished / "images.parquet")["role"]
    for row in frame.filter(roles == "train").iter_rows(named=True):
        assert ood_reasons(usual, np.inf, row, ()) == ()
    assert usual.training["images"] == 60
    assert usual.score is not None
