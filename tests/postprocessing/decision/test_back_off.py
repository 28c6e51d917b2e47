"""Answers at the nearest rank that is sure enough."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotype.postprocessing.decision import (
    CalibrationStep,
    back_off_answers,
    calibration_from_json,
    decision_to_json,
    fit_back_off,
    prediction_flag_columns,
    top_taxa,
)
from holotype.recipe.sections import CalibrationSpec
from holotype.types import NO_RANKS, BackOff, Calibration, Decision, OofPredictions, Ranks

RANKS = Ranks(("genus", "family"), (("G", "H", "I"), ("F", "E")), ((0, 0, 1, 2), (0, 0, 0, 1)))
SPECIES = np.eye(4, dtype=bool)
CLASSES = tuple("abcd")


def simulated(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities, and truths drawn by them."""
    draw = np.random.default_rng(seed)
    probability = draw.dirichlet(np.full(4, 0.4), count)
    return probability, np.stack([draw.multinomial(1, row) for row in probability]).astype(bool)


def test_the_nearest_rank_that_is_sure_enough_answers():
    said = np.array([[0.9, 0.05, 0.03, 0.02], [0.5, 0.4, 0.06, 0.04], [0.4, 0.1, 0.4, 0.1], [0.3, 0.1, 0.2, 0.4]])
    rank, taxon = back_off_answers(BackOff(0.9, (0.8, 0.85, 0.85), RANKS), said)
    assert rank.tolist() == [0, 1, 2, -1]
    assert taxon.tolist() == [0, 0, 0, -1]


def test_the_likeliest_genus_need_not_hold_the_likeliest_species():
    taxa, sure = top_taxa(np.array([[0.3, 0.25, 0.05, 0.4]]), RANKS)
    assert taxa.tolist() == [[3, 0, 0]]
    np.testing.assert_allclose(sure, [[0.4, 0.55, 0.6]])


def test_thresholds_are_those_worked_out_by_hand():
    # A target of 0.75. Species: sureness falls 0.9 to 0.4, right right right wrong wrong right. With a wrong one more,
    # 1 of 4 is allowed after three answers, 2 of 5 after four is not; so three species, from 0.7.
    sure = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    said = np.array([[one, 0.95 - one, 0.03, 0.02] for one in sure])
    truth = SPECIES[[0, 0, 0, 1, 2, 0]]
    said[5] = [0.4, 0.38, 0.2, 0.02]
    fitted = fit_back_off(said, truth, 0.75, RANKS)
    # Genera of the others: 0.95 right, 0.95 wrong (two at once, 1 + 1 of 5 + 1 is not allowed), 0.78 right: 2 of 7
    # neither. Families: all right; 0 + 1 of 6 + 1 is.
    assert fitted.thresholds[:2] == (0.7, np.inf)
    assert fitted.thresholds[2] == pytest.approx(0.98)
    assert back_off_answers(fitted, said)[0].tolist() == [0, 0, 0, 2, 2, 2]


@given(st.integers(0, 200), st.sampled_from([0.6, 0.8, 0.9]))
def test_answers_so_far_keep_the_target_at_every_rank(seed, target):
    said, truth = simulated(120, seed)
    rank, taxon = back_off_answers(fit_back_off(said, truth, target, RANKS), said)
    known = [
        truth,
        *(truth @ np.eye(size, dtype=int)[list(row)] > 0 for size, row in zip((3, 2), RANKS.parents, strict=True)),
    ]
    right = np.array(
        [
            known[one][number, two] if one >= 0 else False
            for number, (one, two) in enumerate(zip(rank, taxon, strict=True))
        ]
    )
    for number in range(3):
        so_far = (rank >= 0) & (rank <= number)
        assert not so_far.any() or (~right[so_far]).sum() + 1 <= (1 - target) * (so_far.sum() + 1) + 1e-9


def test_fresh_samples_are_answered_right_about_as_often_as_was_asked():
    shares = []
    for seed in range(60):  # 300 of them gave 0.905 with a standard error of 0.002
        said, truth = simulated(400, seed)
        fresh, known = simulated(2000, 1000 + seed)
        rank, taxon = back_off_answers(fit_back_off(said, truth, 0.9, NO_RANKS), fresh)
        shares.append(known[rank == 0, taxon[rank == 0]].mean())
    assert 0.89 < np.mean(shares) < 0.92


def test_nothing_is_answered_where_nothing_is_sure_and_it_survives_json():
    said, truth = np.full((5, 4), 0.25), SPECIES[[0, 1, 2, 3, 3]]
    fitted = fit_back_off(said, truth, 0.95, NO_RANKS)
    assert fitted.thresholds == (np.inf,)
    decision = Decision("argmax", CLASSES, "multiclass")
    calibration = Calibration(back_off=BackOff(0.95, (np.inf, 0.5, 0.25), RANKS))
    text = json.dumps(decision_to_json(decision, calibration), allow_nan=False)
    assert calibration_from_json(json.loads(text)) == calibration


def test_predictions_get_the_answer_and_its_rank():
    said = np.array([[0.9, 0.05, 0.03, 0.02], [0.5, 0.4, 0.06, 0.04], [0.3, 0.1, 0.2, 0.4]])
    calibration = Calibration(back_off=BackOff(0.9, (0.8, 0.85, np.inf), RANKS))
    answer, rank = prediction_flag_columns(calibration, said, CLASSES, "multiclass", " ")
    assert (answer.name, answer.to_list()) == ("answer", ["a", "G", None])
    assert (rank.name, rank.to_list()) == ("rank", ["class", "genus", None])


def test_backing_off_is_a_choice_that_learns_and_leaves_scores_alone():
    said, truth = simulated(60, 1)
    evidence = OofPredictions(np.arange(60), np.log(said).astype(np.float32), np.zeros(60, np.int64))
    choice = CalibrationStep(CalibrationSpec(back_off=0.8), "multiclass", ranks=RANKS)
    assert choice.learns
    fitted = choice.fit(evidence, truth)
    np.testing.assert_array_equal(fitted(evidence), evidence.logits)
    assert fitted.answers(evidence.logits)[0].shape == (60,)
    plain = CalibrationStep(CalibrationSpec(abstain=0.1), "multiclass")
    assert not plain.learns
    assert plain.fit(evidence, truth).answers(evidence.logits) is None
