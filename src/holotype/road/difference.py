"""What a review changed: the same scores judged by the labels before and after, and two runs judged by the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from holotype.decide import DecisionChoice
from holotype.errors import counted
from holotype.metrics import Judged, bootstrap_interval, draw_groups, paired_difference
from holotype.prepared import Prepared
from holotype.report import ReviewContents
from holotype.review import Reviewed
from holotype.score import NestedScore, cross_apply, score_apart
from holotype.submit import read_scores
from holotype.table_files import read_csv
from holotype.types import AnyScores, Integers, Metric, OofPredictions, some_rows

__all__ = ["ReviewOutcome", "RunDifference", "review_contents", "review_words", "what_the_review_changed"]

HOW = (
    "both runs' out-of-fold scores of the same samples, judged by the reviewed labels and decided alike: what a "
    "decision learns, it learned on these labels without the fold that is judged; dropped samples are in neither; the "
    "networks were trained anew, so that the difference also holds the chance of training and whatever else the two "
    "recipes differ in; the reviewer saw what the earlier run says, so that the reviewed labels lean towards it"
)


@dataclass(frozen=True)
class RunDifference:
    """Two runs on the same samples, judged by the reviewed labels.

    Args:
        samples: How many there are.
        groups: How many independent groups they form.
        earlier: The score of the run that was reviewed.
        now: The score of this run.
        difference: `value` (now less earlier), `low` and `high` of 95 %, by groups.
        how: In words.
    """

    samples: int
    groups: int
    earlier: float
    now: float
    difference: dict[str, float]
    how: str = HOW


@dataclass(frozen=True)
class ReviewOutcome:
    """What a review changed.

    Args:
        relabelled: Samples with other labels.
        scored: Of these, how many are scored.
        dropped: Samples that left training and scoring.
        split: Sets of duplicates that were taken apart.
        confirmed: Samples whose labels a person settled.
        before: This run's scores judged by the labels before the review; empty where no scored label changed.
        runs: This run against the one that was reviewed; none where that cannot be said.
        why: Why it cannot be said.
    """

    relabelled: int
    scored: int
    dropped: int
    split: int
    confirmed: int
    before: dict[str, Metric]
    runs: RunDifference | None = None
    why: str = ""


def review_contents(outcome: ReviewOutcome, metric: str) -> ReviewContents:
    """What the report shows of it.

    Args:
        outcome: What the review changed.
        metric: The recipe's metric.
    """
    counts = [f"{counted(outcome.relabelled, 'sample')} with other labels" if outcome.relabelled else "",
              f"{outcome.scored:,} of them scored" if outcome.relabelled else "",
              f"{counted(outcome.dropped, 'sample')} left out" if outcome.dropped else "",
              f"{counted(outcome.split, 'set')} of duplicates taken apart" if outcome.split else "",
              f"{counted(outcome.confirmed, 'sample')} with settled labels" if outcome.confirmed else ""]  # fmt: skip
    own = outcome.before.get(metric)
    before = None if own is None else (own.value, own.low, own.high)
    runs = None if outcome.runs is None else asdict(outcome.runs)
    return ReviewContents(tuple(one for one in counts if one), before, runs, outcome.why)


def review_words(outcome: ReviewOutcome, metric: str) -> str:
    """What a review changed, in one sentence.

    Args:
        outcome: What the review changed.
        metric: The recipe's metric.
    """
    counts = ", ".join(review_contents(outcome, metric).counts) or "nothing was to be changed"
    runs = outcome.runs
    if runs is None:
        return f"review: {counts}; not compared with the run that was reviewed: {outcome.why}"
    change = runs.difference
    return (
        f"review: {counts}; on the {runs.samples:,} samples that both runs scored, judged by the reviewed labels, "
        f"{metric} goes from {runs.earlier:.3f} to {runs.now:.3f} ({change['value']:+.3f}; 95 % interval "
        f"{change['low']:+.3f} to {change['high']:+.3f})"
    )


@dataclass(frozen=True)
class _AsGiven:
    """The first choice of a chain, where there is nothing to choose: one member, as it is."""

    name: str = "the scores as they are"
    learns: bool = False

    def fit(self, _evidence: Any, _truth: Any) -> Any:
        return lambda members: members[0].logits


def what_the_review_changed(
    ready: Prepared, nested: NestedScore | None, decision: DecisionChoice, earlier: Path | None, metric: str
) -> ReviewOutcome | None:
    """What a review changed, in numbers.

    Args:
        ready: With the review.
        nested: This run's honest score.
        decision: What decides; it is refitted on both sides.
        earlier: The kept scores of the run that was reviewed.
        metric: The recipe's metric.

    Returns:
        None where there was no review, or nothing could be scored.
    """
    review = ready.review
    if review is None or nested is None:
        return None
    seed, kind = decision.facts.seed, ready.images.kind
    scored = np.isin(nested.samples, review.relabelled)
    before: dict[str, Metric] = {}
    if scored.any():
        given = Judged(review.given.samples.truth(nested.samples), nested.decided, nested.logits, kind)
        before = score_apart(given, ready.folds.groups_of(nested.samples), metric, seed)
        before = {name: replace(one, how=f"judged by the labels before the review; {one.how}")
                  for name, one in before.items()}  # fmt: skip
    gone = len(np.unique(ready.images.sample_numbers[review.dropped]))
    outcome = ReviewOutcome(
        len(review.relabelled), int(scored.sum()), gone, review.split, len(review.confirmed), before
    )
    if earlier is None:
        return replace(outcome, why=_why_unknown(review))
    found = _compared(ready, nested, decision, earlier, metric)
    return replace(outcome, why=found) if isinstance(found, str) else replace(outcome, runs=found)


def _why_unknown(review: Reviewed) -> str:
    if any(row.run for row in review.standing.decisions):
        return "the run that was reviewed is not there any more"
    return "the decisions do not say which run they are about"


def _compared(
    ready: Prepared, nested: NestedScore, decision: DecisionChoice, earlier: Path, metric: str
) -> RunDifference | str:
    """Two runs on the samples that both scored, or why they cannot be compared."""
    images, seed = ready.images, decision.facts.seed
    if tuple(read_csv(earlier / "classes.csv")["name"]) != images.classes:
        return "the run that was reviewed knew other classes"
    ids, scores = read_scores(earlier / "oof.parquet", len(images.classes))
    place = dict(zip(ids.cast(pl.String), range(len(ids)), strict=True))
    names = images.samples.frame["sample"].gather(nested.samples).cast(pl.String).to_list()
    both = np.array([number for number, name in enumerate(names) if name in place], np.int64)
    if not len(both):
        return "the run that was reviewed scored none of these samples"
    samples = nested.samples[both]
    groups, truth = ready.folds.groups_of(samples), images.samples.truth(samples)
    if not truth.any():
        return "none of the samples that both runs scored has a label"
    sides = (some_rows(scores, np.array([place[names[number]] for number in both])), some_rows(nested.logits, both))
    judged = [_judged(ready, samples, side, decision, groups) for side in sides]
    draws = draw_groups(truth, groups, seed)
    values = [bootstrap_interval(metric, side, draws).value for side in judged]
    return RunDifference(len(samples), draws.count, values[0], values[1],
                         paired_difference(metric, judged[0], judged[1], draws))  # fmt: skip


def _judged(
    ready: Prepared, samples: Integers, logits: AnyScores, decision: DecisionChoice, groups: Integers
) -> Judged:
    folds, truth = ready.folds.fold_of_sample[samples], ready.images.samples.truth(samples)
    evidence: Sequence[OofPredictions] = [OofPredictions(samples, logits, folds)]
    chain: list[Any] = [_AsGiven(), decision]
    decided = cross_apply(chain, evidence, truth, folds, groups, decision.facts.seed)[-1]
    return Judged(truth, decided, logits, ready.images.kind)
