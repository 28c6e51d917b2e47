"""How models are read: specialists answer for the domains in which they did better out of fold."""

from __future__ import annotations

import numpy as np

from holotype.postprocessing.ensemble import EnsembleStep, ModelSelection, ensemble_from_json, ensemble_to_json
from holotype.recipe.sections import MeanSpec
from holotype.types import OofPredictions, SampleFeatures, TestPredictions

ROWS = 40
TRUTH = np.eye(2, dtype=bool)[np.arange(ROWS) % 2]
DOMAINS = tuple("A" if number < 20 else "B" if number < 36 else None for number in range(ROWS))
FACTS = SampleFeatures((), np.empty((ROWS, 0), np.float32), DOMAINS, np.arange(ROWS))


def said(sure: float) -> np.ndarray:
    return np.where(TRUTH, sure, -sure).astype(np.float32)


def oof(logits: np.ndarray) -> OofPredictions:
    return OofPredictions(np.arange(ROWS), logits, np.arange(ROWS) % 4)


def choice(*names: str) -> ModelSelection:
    inner = EnsembleStep(MeanSpec(), names, "multiclass", "macro_f1", FACTS)
    return ModelSelection(inner, (("mean-logit",),) * len(names), (True,) + (False,) * (len(names) - 1))


def test_a_domain_is_answered_by_whoever_did_better_there() -> None:
    overall, special = said(1.0), said(1.0)
    special[:20], special[20:] = 2.0 * overall[:20], -overall[20:]  # better in A, wrong in B
    fitted = choice("main").fit([oof(overall), oof(special)], TRUTH)
    assert fitted.ensemble.specialist_domains == (("A",),)
    made = fitted([oof(overall), oof(special)])
    assert np.array_equal(made[:20], special[:20])
    assert np.array_equal(made[20:], overall[20:])  # B, and the rows whose domain is unknown
    assert not np.shares_memory(made, overall)


def test_new_samples_go_the_way_of_their_domain() -> None:
    overall, special = said(1.0), said(2.0)
    fitted = choice("main").fit([oof(overall), oof(special)], TRUTH)
    asked = np.array([0, 30, 39])
    pair = [TestPredictions(asked, logits[asked]) for logits in (overall, special)]
    assert np.array_equal(fitted(pair), np.stack([special[0], special[30], overall[39]]))


def test_readings_of_several_models_stand_in_their_order() -> None:
    scores = [said(1.0), said(2.0), said(0.5)]
    fitted = choice("main", "other").fit([oof(one) for one in scores], TRUTH)
    assert [reading.index for reading in fitted.variants] == [0, 2]
    assert fitted.ensemble.specialist_domains == (("A", "B"), ())
    again = ensemble_from_json(ensemble_to_json(fitted.ensemble))
    assert again.specialist_domains == fitted.ensemble.specialist_domains
    assert choice("main").learns
    assert "the domains that specialists answer for" in choice("main").name
