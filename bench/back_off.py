"""How often answers that back off are right on fresh samples, by the rule that fits their thresholds.

Probabilities that mean what they say are drawn (Dirichlet), truths by them; thresholds are fitted to some samples, many
times, and answer 40,000 others. `plain` keeps the target on the samples it is fitted to, `one more` is the rule of
`holotype.postprocessing.decision.fit_back_off`, `bound` keeps it with 90 % confidence (Clopper & Pearson 1934).

python bench/back_off.py [--fits 300]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
from scipy.stats import beta

from holotype.evaluation.metrics import rank_labels
from holotype.postprocessing.decision import back_off_answers, fit_back_off
from holotype.types import NO_RANKS, Ranks

RANKS = Ranks(("genus", "family"), (("G", "H", "I"), ("F", "E")), ((0, 0, 1, 2), (0, 0, 0, 1)))
FRESH = 40_000
Allowed = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
RULES: dict[str, Allowed] = {
    "plain": lambda answers, wrong, most: wrong <= most * answers + 1e-9,
    "one more": lambda answers, wrong, most: wrong + 1 <= most * (answers + 1) + 1e-9,
    "bound": lambda answers, wrong, most: beta.ppf(0.9, wrong + 1, np.maximum(answers - wrong, 1)) <= most,
}


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of four classes, and truths drawn by them."""
    random = np.random.default_rng(seed)
    said = random.dirichlet(np.full(4, 0.4), count)
    return said, np.stack([random.multinomial(1, row) for row in said]).astype(bool)


def on_fresh(ranks: Ranks, rows: int, target: float, fits: int) -> tuple[np.ndarray, np.ndarray]:
    """The share that is right of the answers to fresh samples, and the share answered, a fit each."""
    fresh, truth = drawn(FRESH, 10**6)
    known = [truth, *(rank_labels(truth, np.asarray(row)) for row in ranks.parents)]
    right, share = np.full(fits, np.nan), np.zeros(fits)
    for seed in range(fits):
        rank, taxon = back_off_answers(fit_back_off(*drawn(rows, seed), target, ranks), fresh)
        hits = [side[rank == number, taxon[rank == number]] for number, side in enumerate(known)]
        share[seed] = (rank >= 0).mean()
        right[seed] = np.concatenate(hits).mean() if share[seed] else np.nan
    return right, share


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=300)
    fits = parser.parse_args().fits
    print(
        "ranks  rows  target  rule      right of the fits that answer   answered   below target  fits without an answer"
    )
    for ranks in (NO_RANKS, RANKS):
        for rows in (50, 100, 400):
            for target in (0.8, 0.9, 0.95):
                for name, rule in RULES.items():
                    with patch("holotype.postprocessing.decision.back_off.meets_target", rule):
                        right, share = on_fresh(ranks, rows, target, fits)
                    known = right[np.isfinite(right)]
                    words = "none" if not len(known) else f"{known.mean():.3f} +- {known.std() / len(known) ** 0.5:.3f}"
                    low = (known < target).mean() if len(known) else 0.0
                    case = f"{1 + len(ranks.names):5}{rows:6}{target:8}"
                    print(
                        f"{case}  {name:9} {words:31} {share.mean():.3f}      {low:4.0%}          {fits - len(known)}"
                    )
