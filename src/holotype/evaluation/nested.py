"""Nested score: the whole postprocessing chain is refitted without the fold it is scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from holotype.core.errors import DataError, HolotypeError, join_names
from holotype.evaluation.cross_fitting import (
    BackOffStep,
    CrossFittedChains,
    PostprocessingStep,
    apply_cross_fitted,
    cross_fit,
    learns,
)
from holotype.evaluation.metrics import (
    MAX_MAP_CELLS,
    GroupResamples,
    ScoredSamples,
    bootstrap_intervals,
    classes_without_positives,
    resample_groups,
)
from holotype.evaluation.tables import class_table, domain_table, group_table
from holotype.evaluation.taxonomy_scores import back_off_table, rank_table
from holotype.types import (
    MANY_CLASSES,
    AnyLabels,
    AnyScores,
    Folds,
    Integers,
    Kind,
    LabelMatrix,
    Metric,
    OofPredictions,
    SampleTable,
    Scorecard,
    as_scores,
)

MIN_CLASSES_FOR_TOP_5 = 10
MAX_NAMED = 20
AVERAGED_OVER_CLASSES = {"macro_f1", "balanced_accuracy", "map", "auroc"}


@dataclass(frozen=True)
class NestedScore:
    """Nested score with the scored samples.

    Args:
        scorecard: Its `steps` are empty until `step_effects` fills them.
        decided: Labels by the chain that was fitted without the sample's fold, shape (n, classes).
        logits: Scores before the decision, by the same chain, shape (n, classes).
        steps: Results of each step but the last, shape (n, classes) each.
    """

    scorecard: Scorecard
    samples: Integers
    truth: AnyLabels
    decided: AnyLabels
    logits: AnyScores
    steps: tuple[AnyScores, ...] = ()


def score_nested(
    oof_models: Sequence[OofPredictions],
    labels: SampleTable,
    folds: Folds,
    choices: Sequence[PostprocessingStep],
    metric: str,
    seed: int,
    next_rows: int | None = None,
) -> NestedScore:
    """Score the chain from models' scores to labels.

    Every step is fitted on the out-of-fold scores of the other folds and applied to the scored fold; a step that
    follows another is fitted on results that were obtained in the same way. With one trained fold, the steps are
    cross-fitted by grouped folds inside it.

    `choices`: at least one step; the first takes the models, the last decides; `next_rows`: rows of the submission, for
    the prediction interval; by default the number of scored samples. Raises HolotypeError if models differ in their
    samples or folds, or there is no step. Raises DataError if no sample has a label.
    """
    first = _require_same_samples(oof_models, folds)
    if not choices:
        raise HolotypeError("a score needs at least one step, the decision")
    truth = _require_labels(labels, first.samples)
    groups = folds.groups_of(first.samples)
    chains = cross_fit(choices, oof_models, truth, first.folds, groups, seed)
    results = apply_cross_fitted(chains, choices, oof_models, truth.shape)
    decided = results[-1] if isinstance(results[-1], LabelMatrix) else np.asarray(results[-1], dtype=bool)
    logits = as_scores(results[-2] if len(results) > 1 else first.logits)
    scored = ScoredSamples(truth, decided, logits, labels.kind)
    resamples = resample_groups(truth, groups, seed, next_rows)
    names = metric_names(metric, labels.kind, truth.size, truth.shape[1])
    metrics = bootstrap_intervals(names, scored, resamples)
    method = _describe_refitting(choices, first.folds, groups)
    left_out = classes_without_positives(truth, labels.classes)
    scorecard = Scorecard(
        {name: add_method(name, value, method, left_out) for name, value in metrics.items()},
        steps=[],
        classes=class_table(scored, labels.classes, resamples),
        groups=group_table(scored, labels, first.samples, metric),
        domains=domain_table(scored, labels, first.samples, metric),
        ranks=rank_table(scored, labels.ranks, resamples),
        back_off=_score_back_off(chains, scored, labels, resamples, seed),
    )
    steps = tuple(as_scores(part) for part in results[:-1])
    return NestedScore(scorecard, first.samples, truth, decided, logits, steps)


def _score_back_off(
    chains: CrossFittedChains, scored: ScoredSamples, labels: SampleTable, resamples: GroupResamples, seed: int
) -> list[dict[str, Any]]:
    """Accuracy of the answers, each at thresholds that were fitted without its fold."""
    rank, taxon = (np.full(len(scored.truth), -1, np.int64) for _ in range(2))
    target = None
    for inside, chain in chains:
        for step in chain.steps:
            fitted: Any = step
            answers = fitted.answers(scored.logits[inside]) if isinstance(fitted, BackOffStep) else None
            if answers is not None:
                rank[inside], taxon[inside] = answers
                target = fitted.calibration.back_off.target
    if target is None:
        return []
    return back_off_table((rank, taxon), target, scored.truth, labels.ranks, resamples, seed)


def metric_names(metric: str, kind: Kind, cells: int, classes: int = 0) -> list[str]:
    """List the metrics of a scorecard, the recipe's own first.

    `cells`: samples times classes; if it is very large, average precision is left out unless it is the recipe's metric;
    `classes`: above ten, multiclass gets top-5 accuracy; above 2,000, average precision is left out, since it ranks all
    samples within every class.
    """
    names = [metric, "macro_f1", "micro_f1", "accuracy"]
    names += ["balanced_accuracy"] if kind == "multiclass" else []
    names += ["top_5_accuracy"] if kind == "multiclass" and classes > MIN_CLASSES_FOR_TOP_5 else []
    names += ["map"] if cells <= MAX_MAP_CELLS and classes <= MANY_CLASSES else []
    return list(dict.fromkeys([*names, "log_loss", "calibration_error"]))


def _require_same_samples(models: Sequence[OofPredictions], folds: Folds) -> OofPredictions:
    if not models or not len(models[0].samples):
        raise HolotypeError(
            "there are no out-of-fold scores to evaluate", remedy="train at least one fold of one model"
        )
    first = models[0]
    for number, model in enumerate(models):
        same = np.array_equal(model.samples, first.samples) and model.logits.shape == first.logits.shape
        if not same or not np.array_equal(model.folds, first.folds):
            raise HolotypeError(
                f"model {number} has other samples, classes or folds than model 0; gather both on the same folds"
            )
    mismatched = np.flatnonzero(folds.fold_of_sample[first.samples] != first.folds)
    if len(mismatched):
        raise HolotypeError(
            f"{len(mismatched):,} samples have another fold than in `folds`; the first is number "
            f"{first.samples[mismatched[0]]}",
            remedy="gather the predictions again",
        )
    return first


def _require_labels(labels: SampleTable, samples: Integers) -> AnyLabels:
    unknown = samples[labels.frame["labels"].gather(samples).is_null().to_numpy()]
    if len(unknown):
        names = join_names(labels.frame["sample"].gather(unknown), 5)
        raise DataError(f"{len(unknown):,} samples to be scored have no labels: {names}", field="data.train")
    truth = labels.truth(samples)
    if not truth.any():
        raise DataError("none of the samples to be scored has a label", field="data.train")
    return truth


def _describe_refitting(choices: Sequence[PostprocessingStep], folds: Integers, groups: Integers) -> str:
    learned = [choice.name for choice in choices if learns(choice)]
    fixed = [choice.name for choice in choices if not learns(choice)]
    used = np.unique(folds)
    parts = []
    verb = "was" if len(learned) == 1 and " and " not in learned[0] else "were"
    if learned and len(used) > 1:
        parts.append(f"{' and '.join(learned)} {verb} refitted without the fold that is scored ({len(used)} folds)")
    elif learned:
        grouping = "groups" if 1 < len(np.unique(groups)) < len(groups) else "samples"
        inner = f"by folds of {grouping} inside fold {used[0]}, the only trained one"
        inner += ", since all belong to one independent group" if len(np.unique(groups)) < 2 else ""
        parts.append(f"{' and '.join(learned)} {verb} cross-fitted {inner}")
    if fixed:
        parts.append(f"{' and '.join(fixed)} learned nothing from the scores")
    parts.append("each sample was scored by networks that never saw its fold; training was not repeated")
    return "; ".join(parts)


def add_caveats(nested: NestedScore, caveats: Sequence[str]) -> NestedScore:
    """Prepend caveats to the method text of every metric. `caveats`: clauses without a full stop."""
    metrics = {
        name: replace(metric, method="; ".join([*caveats, metric.method]))
        for name, metric in nested.scorecard.metrics.items()
    }
    return replace(nested, scorecard=replace(nested.scorecard, metrics=metrics)) if caveats else nested


def add_method(name: str, metric: Metric, method: str, left_out: tuple[str, ...]) -> Metric:
    """Prepend a method to that of a metric, and name the classes that its mean leaves out."""
    parts: list[Any] = [method, metric.method]
    if left_out and name in AVERAGED_OVER_CLASSES:
        parts.append(f"left out of the mean for lack of a positive sample: {join_names(left_out, MAX_NAMED)}")
    return replace(metric, method="; ".join(parts))
