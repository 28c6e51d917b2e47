"""The score of a whole chain of choices, each refitted without the fold it is scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from holotype.decide import FittedCalibration
from holotype.errors import DataError, HolotypeError, listing
from holotype.metrics import (
    MAP_CELLS_AT_MOST,
    Draws,
    Judged,
    bootstrap_intervals,
    classes_without_positives,
    draw_groups,
)
from holotype.score.choices import Choice, Crossed, apply_crossed, cross_chains
from holotype.score.levels import back_off_table, level_table
from holotype.score.tables import class_table, domain_table, group_table
from holotype.types import (
    MANY,
    AnyLabels,
    AnyScores,
    Folds,
    Integers,
    Kind,
    LabelMatrix,
    Labels,
    Metric,
    OofPredictions,
    Scorecard,
    as_scores,
)

__all__ = ["NestedScore", "add_caveats", "metric_names", "score_nested"]

MANY_CLASSES = 10
NAMED = 20
AVERAGED_OVER_CLASSES = {"macro_f1", "balanced_accuracy", "map"}


@dataclass(frozen=True)
class NestedScore:
    """A scorecard with what was scored.

    Args:
        scorecard: The scores; its ledger is empty until `make_ledger` fills it.
        samples: Sample numbers, shape (n,), ascending.
        truth: Which classes each sample has, shape (n, classes).
        decided: What the chain gave each sample, fitted without the sample's fold, shape (n, classes).
        logits: The scores that were decided on, made the same way, shape (n, classes).
        steps: What each choice but the last made of the samples, in order, shape (n, classes) each.
    """

    scorecard: Scorecard
    samples: Integers
    truth: AnyLabels
    decided: AnyLabels
    logits: AnyScores
    steps: tuple[AnyScores, ...] = ()


def score_nested(
    oof_members: Sequence[OofPredictions],
    labels: Labels,
    folds: Folds,
    choices: Sequence[Choice],
    metric: str,
    seed: int,
    next_rows: int | None = None,
) -> NestedScore:
    """Score the chain from members' scores to labels.

    Every choice is fitted on the out-of-fold scores of the other folds and applied to the fold that is scored; a
    choice that follows another learns from scores the other made in the same way. With one used fold the choices are
    cross-fitted by grouped folds inside it.

    Args:
        oof_members: One entry a member, all of the same samples.
        labels: The samples of the run.
        folds: The folds.
        choices: At least one; the first takes the members, the last decides.
        metric: The recipe's metric; it stands first in the scorecard.
        seed: The recipe's seed.
        next_rows: Rows of the submission; as many as were scored where there is none.

    Raises:
        HolotypeError: Members differ in their samples or folds, or there is no choice.
        DataError: No sample has a label to score.
    """
    first = _checked_members(oof_members, folds)
    if not choices:
        raise HolotypeError("a score needs at least one choice, the decision")
    truth = _known_truth(labels, first.samples)
    groups = folds.groups_of(first.samples)
    chains = cross_chains(choices, oof_members, truth, first.folds, groups, seed)
    made = apply_crossed(chains, choices, oof_members, truth.shape)
    decided = made[-1] if isinstance(made[-1], LabelMatrix) else np.asarray(made[-1], dtype=bool)
    logits = as_scores(made[-2] if len(made) > 1 else first.logits)
    judged = Judged(truth, decided, logits, labels.kind)
    draws = draw_groups(truth, groups, seed, next_rows)
    names = metric_names(metric, labels.kind, truth.size, truth.shape[1])
    metrics = bootstrap_intervals(names, judged, draws)
    how = _what_was_refitted(choices, first.folds, groups)
    left_out = classes_without_positives(truth, labels.classes)
    scorecard = Scorecard(
        {name: _with_words(name, value, how, left_out) for name, value in metrics.items()},
        ledger=[],
        classes=class_table(judged, labels.classes, draws),
        groups=group_table(judged, labels, first.samples, metric),
        domains=domain_table(judged, labels, first.samples, metric),
        levels=level_table(judged, labels.ranks, draws),
        back_off=_backed_off(chains, judged, labels, draws, seed),
    )
    steps = tuple(as_scores(part) for part in made[:-1])
    return NestedScore(scorecard, first.samples, truth, decided, logits, steps)


def _backed_off(chains: Crossed, judged: Judged, labels: Labels, draws: Draws, seed: int) -> list[dict[str, Any]]:
    """How often answers are right, each at the thresholds that were fitted without its fold."""
    rank, taxon = (np.full(len(judged.truth), -1, np.int64) for _ in range(2))
    target = None
    for inside, chain in chains:
        for step in chain.steps:
            fitted: Any = step
            said = fitted.answers(judged.logits[inside]) if isinstance(fitted, FittedCalibration) else None
            if said is not None:
                rank[inside], taxon[inside] = said
                target = fitted.calibration.back_off.target
    if target is None:
        return []
    return back_off_table((rank, taxon), target, judged.truth, labels.ranks, draws, seed)


def metric_names(metric: str, kind: Kind, cells: int, classes: int = 0) -> list[str]:
    """The metrics of a scorecard in order: the recipe's own first.

    Args:
        metric: The recipe's metric.
        kind: One label a sample, or many.
        cells: Samples times classes; where they are very many, average precision is left out unless it was asked for.
        classes: How many there are; above ten, the five likeliest of one label a sample are worth a score, and above
            2,000 average precision is left out, since it ranks all samples within every class.
    """
    names = [metric, "macro_f1", "micro_f1", "accuracy"]
    names += ["balanced_accuracy"] if kind == "multiclass" else []
    names += ["top_5_accuracy"] if kind == "multiclass" and classes > MANY_CLASSES else []
    names += ["map"] if cells <= MAP_CELLS_AT_MOST and classes <= MANY else []
    return list(dict.fromkeys([*names, "log_loss", "calibration_error"]))


def _checked_members(members: Sequence[OofPredictions], folds: Folds) -> OofPredictions:
    if not members or not len(members[0].samples):
        raise HolotypeError("there are no out-of-fold scores to judge", remedy="train at least one fold of one member")
    first = members[0]
    for number, member in enumerate(members):
        same = np.array_equal(member.samples, first.samples) and member.logits.shape == first.logits.shape
        if not same or not np.array_equal(member.folds, first.folds):
            raise HolotypeError(f"member {number} has other samples, classes or folds than member 0; gather each whole")
    strange = np.flatnonzero(folds.fold_of_sample[first.samples] != first.folds)
    if len(strange):
        raise HolotypeError(
            f"{len(strange):,} samples carry another fold than the folds say; the first is number "
            f"{first.samples[strange[0]]}",
            remedy="gather the predictions again",
        )
    return first


def _known_truth(labels: Labels, samples: Integers) -> AnyLabels:
    unknown = samples[labels.frame["labels"].gather(samples).is_null().to_numpy()]
    if len(unknown):
        names = listing(labels.frame["sample"].gather(unknown), 5)
        raise DataError(f"{len(unknown):,} samples to be scored have no known labels: {names}", field="data.train")
    truth = labels.truth(samples)
    if not truth.any():
        raise DataError("none of the samples to be scored has a label", field="data.train")
    return truth


def _what_was_refitted(choices: Sequence[Choice], folds: Integers, groups: Integers) -> str:
    learned = [choice.name for choice in choices if getattr(choice, "learns", True)]
    fixed = [choice.name for choice in choices if not getattr(choice, "learns", True)]
    used = np.unique(folds)
    parts = []
    verb = "was" if len(learned) == 1 and " and " not in learned[0] else "were"
    if learned and len(used) > 1:
        parts.append(f"{' and '.join(learned)} {verb} refitted without the fold that is scored ({len(used)} folds)")
    elif learned:
        what = "groups" if 1 < len(np.unique(groups)) < len(groups) else "samples"
        inner = f"by folds of {what} inside fold {used[0]}, the one that is used"
        inner += ", since all are of one independent group" if len(np.unique(groups)) < 2 else ""
        parts.append(f"{' and '.join(learned)} {verb} cross-fitted {inner}")
    if fixed:
        parts.append(f"{' and '.join(fixed)} learned nothing from the scores")
    parts.append("each sample was scored by networks that never saw its fold; training was not repeated")
    return "; ".join(parts)


def add_caveats(nested: NestedScore, caveats: Sequence[str]) -> NestedScore:
    """Scores whose words also say what a reader must know to believe them.

    Args:
        nested: From `score_nested`.
        caveats: Clauses without a full stop.
    """
    metrics = {
        name: replace(metric, how="; ".join([*caveats, metric.how]))
        for name, metric in nested.scorecard.metrics.items()
    }
    return replace(nested, scorecard=replace(nested.scorecard, metrics=metrics)) if caveats else nested


def _with_words(name: str, metric: Metric, how: str, left_out: tuple[str, ...]) -> Metric:
    parts: list[Any] = [how, metric.how]
    if left_out and name in AVERAGED_OVER_CLASSES:
        parts.append(f"left out of the mean, having no positive row: {listing(left_out, NAMED)}")
    return replace(metric, how="; ".join(parts))
