from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotype.core.errors import HolotypeError
from holotype.neighbors import require_no_scored_fold

FOLDS = np.array([0, 1, 2, 0, 1, -1])


def test_an_index_of_the_other_folds_passes() -> None:
    require_no_scored_fold(np.array([1, 2, 4, 4]), FOLDS, 0)
    require_no_scored_fold(np.array([0, 1, 2, 3, 4]), FOLDS, -2)
    require_no_scored_fold(np.array([], np.int64), FOLDS, 0)


def test_a_sample_of_the_scored_fold_is_named() -> None:
    names = ["a", "b", "c", "d", "e", "f"]
    with pytest.raises(HolotypeError, match="fold 0 holds 2 samples of the fold that it scores: a, d;"):
        require_no_scored_fold(np.array([3, 0, 3, 1]), FOLDS, 0, names)
    with pytest.raises(HolotypeError, match="1 sample of the fold that it scores: 2;"):
        require_no_scored_fold(np.array([2]), FOLDS, 2)


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=12), st.integers(0, 3), st.data())
def test_exactly_the_indexes_that_leak_are_refused(folds: list[int], fold: int, data: st.DataObject) -> None:
    samples = np.array(data.draw(st.lists(st.integers(0, len(folds) - 1), max_size=12)), np.int64)
    leaks = any(folds[sample] == fold for sample in samples)
    try:
        require_no_scored_fold(samples, np.array(folds), fold)
    except HolotypeError:
        assert leaks
    else:
        assert not leaks
