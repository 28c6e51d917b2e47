"""Review effect: this run scored by the labels before and after the review, and compared with the reviewed run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from holotype.core.errors import pluralize
from holotype.core.table_files import read_csv
from holotype.evaluation import NestedScore, cross_fit_predict, score_subset
from holotype.evaluation.metrics import ScoredSamples, bootstrap_interval, paired_difference, resample_groups
from holotype.pipeline.prepared import PreparedData
from holotype.postprocessing.decision import DecisionStep
from holotype.postprocessing.submission import read_scores
from holotype.report import ReviewEffectData
from holotype.review import Reviewed
from holotype.types import AnyScores, Integers, Metric, OofPredictions, take_rows

METHOD = (
    "out-of-fold scores of both runs for the same samples, scored by the reviewed labels; the decision is fitted to "
    "these labels without the fold it is scored on; dropped samples are in neither; the networks were trained anew, so "
    "the difference includes the randomness of training and other changes of the recipe; the reviewer saw the "
    "predictions of the earlier run, so the reviewed labels may favor it"
)


@dataclass(frozen=True)
class RunDifference:
    """Difference of two runs on the same samples, both scored by the reviewed labels.

    Args:
        groups: Number of independent groups.
        difference: `value` (now minus earlier), `low` and `high` of the 95 % interval, resampled by groups.
    """

    samples: int
    groups: int
    earlier: float
    now: float
    difference: dict[str, float]
    method: str = METHOD


@dataclass(frozen=True)
class ReviewEffect:
    """Review effect: numbers of samples, duplicate clusters and scores.

    Args:
        scored: Number of relabeled samples that are scored.
        dropped: Samples removed from training and scoring.
        split: Duplicate clusters that were split.
        before: This run's scores by the labels before the review; empty if no scored label changed.
        runs: Difference to the reviewed run; None if they cannot be compared.
        reason: Why they cannot be compared.
    """

    relabeled: int
    scored: int
    dropped: int
    split: int
    confirmed: int
    before: dict[str, Metric]
    runs: RunDifference | None = None
    reason: str = ""


def review_effect_data(result: ReviewEffect, metric: str) -> ReviewEffectData:
    """Review effect as the report takes it."""
    counts = [
        f"{pluralize(result.relabeled, 'sample')} with changed labels" if result.relabeled else "",
        f"{result.scored:,} of them scored" if result.relabeled else "",
        f"{pluralize(result.dropped, 'sample')} dropped" if result.dropped else "",
        f"{pluralize(result.split, 'duplicate cluster')} split" if result.split else "",
        f"{pluralize(result.confirmed, 'sample')} with confirmed labels" if result.confirmed else "",
    ]
    headline = result.before.get(metric)
    before = None if headline is None else (headline.value, headline.low, headline.high)
    runs = None if result.runs is None else asdict(result.runs)
    return ReviewEffectData(tuple(text for text in counts if text), before, runs, result.reason)


def describe_review_effect(result: ReviewEffect, metric: str) -> str:
    """Describe a review effect in one sentence."""
    counts = ", ".join(review_effect_data(result, metric).counts) or "no changes"
    runs = result.runs
    if runs is None:
        return f"review: {counts}; not compared with the reviewed run: {result.reason}"
    change = runs.difference
    return (
        f"review: {counts}; on the {runs.samples:,} samples that both runs scored, by the reviewed labels, "
        f"{metric} goes from {runs.earlier:.3f} to {runs.now:.3f} ({change['value']:+.3f}; 95 % interval "
        f"{change['low']:+.3f} to {change['high']:+.3f})"
    )


@dataclass(frozen=True)
class _FirstModelScores:
    """First step of a chain with one model: its logits as they are."""

    name: str = "the scores as they are"
    learns: bool = False

    def fit(self, _evidence: Any, _truth: Any) -> Any:
        return lambda models: models[0].logits


def measure_review_effect(
    prepared: PreparedData, nested: NestedScore | None, decision: DecisionStep, earlier: Path | None, metric: str
) -> ReviewEffect | None:
    """Measure a review effect.

    Args:
        decision: Decision step, refitted on both sides.
        earlier: Folder of the scores kept from the reviewed run.

    Returns:
        None if there was no review, or nothing was scored.
    """
    review = prepared.review
    if review is None or nested is None:
        return None
    seed, kind = decision.context.seed, prepared.images.kind
    scored = np.isin(nested.samples, review.relabeled)
    before: dict[str, Metric] = {}
    if scored.any():
        scored_before = ScoredSamples(
            review.original.samples.truth(nested.samples), nested.decided, nested.logits, kind
        )
        before = score_subset(scored_before, prepared.folds.groups_of(nested.samples), metric, seed)
        before = {
            name: replace(score, method=f"by the labels before the review; {score.method}")
            for name, score in before.items()
        }
    gone = len(np.unique(prepared.images.sample_numbers[review.dropped]))
    result = ReviewEffect(len(review.relabeled), int(scored.sum()), gone, review.split, len(review.confirmed), before)
    if earlier is None:
        return replace(result, reason=_reason_not_compared(review))
    comparison = _compare_runs(prepared, nested, decision, earlier, metric)
    return replace(result, reason=comparison) if isinstance(comparison, str) else replace(result, runs=comparison)


def _reason_not_compared(review: Reviewed) -> str:
    if any(row.run for row in review.active.decisions):
        return "the reviewed run no longer exists"
    return "the decisions do not name a run"


def _compare_runs(
    prepared: PreparedData, nested: NestedScore, decision: DecisionStep, earlier: Path, metric: str
) -> RunDifference | str:
    """Compare two runs on the samples that both scored, or explain why they cannot be compared."""
    images, seed = prepared.images, decision.context.seed
    if tuple(read_csv(earlier / "classes.csv")["name"]) != images.classes:
        return "the run that was reviewed knew other classes"
    ids, scores = read_scores(earlier / "oof.parquet", len(images.classes))
    row_of_id = dict(zip(ids.cast(pl.String), range(len(ids)), strict=True))
    names = images.samples.frame["sample"].gather(nested.samples).cast(pl.String).to_list()
    both = np.array([number for number, name in enumerate(names) if name in row_of_id], np.int64)
    if not len(both):
        return "the reviewed run scored none of these samples"
    samples = nested.samples[both]
    groups, truth = prepared.folds.groups_of(samples), images.samples.truth(samples)
    if not truth.any():
        return "none of the samples that both runs scored has a label"
    sides = (take_rows(scores, np.array([row_of_id[names[number]] for number in both])), take_rows(nested.logits, both))
    scored = [_score_samples(prepared, samples, side, decision, groups) for side in sides]
    draws = resample_groups(truth, groups, seed)
    values = [bootstrap_interval(metric, side, draws).value for side in scored]
    return RunDifference(
        len(samples), draws.count, values[0], values[1], paired_difference(metric, scored[0], scored[1], draws)
    )


def _score_samples(
    prepared: PreparedData, samples: Integers, logits: AnyScores, decision: DecisionStep, groups: Integers
) -> ScoredSamples:
    folds, truth = prepared.folds.fold_of_sample[samples], prepared.images.samples.truth(samples)
    evidence: Sequence[OofPredictions] = [OofPredictions(samples, logits, folds)]
    chain: list[Any] = [_FirstModelScores(), decision]
    decided = cross_fit_predict(chain, evidence, truth, folds, groups, decision.context.seed)[-1]
    return ScoredSamples(truth, decided, logits, prepared.images.kind)
