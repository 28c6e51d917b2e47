"""The recipe's ensemble: fitted on out-of-fold scores, applied to any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit, softmax

from holotype.ensemble.many import mean_of_likeliest, weights_of_likeliest
from holotype.ensemble.mean import mean_ranks, mean_scores, rank_ladder, votes
from holotype.ensemble.stack import StackTable, apply_stack, fit_stack, stack_table
from holotype.ensemble.weights import fit_weights, greedy_weights, mean_log_loss
from holotype.errors import HolotypeError, RecipeError
from holotype.metrics import METRICS
from holotype.spec import EnsembleSpec, GreedySpec, MeanSpec, StackSpec, VoteSpec, WeightedSpec
from holotype.types import (
    AnyLabels,
    AnyScores,
    Ensemble,
    Floats,
    Integers,
    Kind,
    LabelMatrix,
    OofPredictions,
    SampleFacts,
    TestPredictions,
    TopScores,
    dense,
)

__all__ = ["EnsembleChoice", "FittedEnsemble", "apply_ensemble", "fit_ensemble", "plain_ensemble", "rows_by_domain"]

Scores = OofPredictions | TestPredictions
Booleans = NDArray[np.bool_]
FEWEST_OF_A_DOMAIN = 50
SMALLEST = 1e-7


@dataclass(frozen=True)
class FittedEnsemble:
    """An ensemble that can be applied, with what it says of its own evidence without having seen it.

    Args:
        ensemble: From `fit_ensemble`.
        kind: `multiclass` or `multilabel`.
        facts: What is known of the samples beside their scores.
        crossed: Logits of the evidence, each by models that left it out; none where nothing was crossed.
    """

    ensemble: Ensemble
    kind: Kind
    facts: SampleFacts | None = None
    crossed: Floats | None = None

    def __call__(self, members: Sequence[Scores]) -> AnyScores:
        """The members' scores as one.

        Args:
            members: Scores of the same samples, in the ensemble's order.
        """
        return apply_ensemble(self.ensemble, members, self.kind, self.facts)


@dataclass(frozen=True)
class EnsembleChoice:
    """The ensemble as a choice that `score_nested` can refit.

    Args:
        spec: The recipe's section.
        names: The members' names.
        kind: `multiclass` or `multilabel`.
        metric: What greedy selection makes largest.
        facts: What is known of the samples; a stack and ensembles by domain look at it.
        machine: The seed, the number of threads, and a folder where a stack keeps its finished classes.
    """

    spec: EnsembleSpec
    names: tuple[str, ...]
    kind: Kind
    metric: str = "macro_f1"
    facts: SampleFacts | None = None
    machine: tuple[int, int, Path | None] = field(default=(1, 1, None))

    @property
    def name(self) -> str:
        """What it is called in the score's words."""
        return {
            "mean": "the mean over members",
            "weighted": "the weighting of the members",
            "greedy": "the choice of members",
            "vote": "the vote of the members",
            "stack": "the stack",
        }[self.spec.kind]

    @property
    def learns(self) -> bool:
        """Whether it hangs on the labels of the scores; a mean of ranks hangs on the scores alone."""
        if isinstance(self.spec, StackSpec):
            return True
        return len(self.names) > 1 and isinstance(self.spec, WeightedSpec | GreedySpec)

    def fit(self, evidence: Sequence[OofPredictions], truth: AnyLabels, /) -> Callable[[Sequence[Scores]], AnyScores]:
        """Fit the ensemble and return its application.

        Args:
            evidence: Out-of-fold scores, one entry a member.
            truth: Which classes each sample has.
        """
        return fit_ensemble(evidence, truth, self)


def fit_ensemble(members: Sequence[OofPredictions], truth: AnyLabels, choice: EnsembleChoice) -> FittedEnsemble:
    """The ensemble of some members.

    Args:
        members: Out-of-fold scores of the same samples, one entry a member.
        truth: Which classes each sample has, shape (n, classes).
        choice: The recipe's section and what else is known.

    Raises:
        HolotypeError: Members have scored other samples than each other.
    """
    spec, names, kind = choice.spec, choice.names, choice.kind
    for name, member in zip(names, members, strict=True):
        if not np.array_equal(member.samples, members[0].samples):
            raise HolotypeError(
                f"member {name!r} has scored other samples than {names[0]!r}; run both on the same folds"
            )
    samples = members[0].samples
    even = tuple(1.0 / len(names) for _ in names)
    likeliest = [member.logits for member in members if isinstance(member.logits, TopScores)]
    if likeliest and isinstance(spec, MeanSpec | WeightedSpec) and spec.space != "rank":
        learnt = isinstance(spec, WeightedSpec) and len(names) > 1
        own = weights_of_likeliest(likeliest, truth, spec.space, spec.even) if learnt else even  # type: ignore[union-attr]
        return FittedEnsemble(Ensemble(spec.kind, spec.space, names, own), kind, choice.facts)
    scores = [dense(member.logits, f"the ensemble {spec.kind!r}") for member in members]
    truth = LabelMatrix.of(truth)[:]
    if isinstance(spec, MeanSpec):
        ladder = rank_ladder(scores, kind) if spec.space == "rank" and len(names) > 1 else None
        return FittedEnsemble(Ensemble(spec.kind, spec.space, names, even, ladder=ladder), kind, choice.facts)
    if isinstance(spec, VoteSpec):
        return FittedEnsemble(Ensemble(spec.kind, "probability", names, even), kind, choice.facts)
    if isinstance(spec, StackSpec):
        return _stacked(scores, samples, truth, choice, Ensemble("stack", "logit", names, even))
    weights = _weights(scores, truth, choice)
    parts = {}
    for name, rows in _domains(samples, choice).items():
        parts[name] = _weights([one[rows] for one in scores], truth[rows], choice)
    return FittedEnsemble(Ensemble(spec.kind, spec.space, names, weights, parts), kind, choice.facts)


def apply_ensemble(
    ensemble: Ensemble, members: Sequence[Scores], kind: Kind, facts: SampleFacts | None = None
) -> AnyScores:
    """The members' scores as one.

    Args:
        ensemble: From `fit_ensemble`.
        members: Scores of the same samples, in the ensemble's order.
        kind: `multiclass` or `multilabel`.
        facts: What is known of the samples beside their scores.

    Returns:
        Logits, shape (n, classes).
    """
    likeliest = [member.logits for member in members if isinstance(member.logits, TopScores)]
    if likeliest:
        return mean_of_likeliest(likeliest, ensemble.weights, ensemble.space)
    scores = [dense(member.logits, "an ensemble") for member in members]
    samples = members[0].samples
    if ensemble.kind == "vote" and len(scores) > 1:
        return votes(scores, kind)
    if ensemble.ladder is not None:
        return mean_ranks(scores, ensemble.ladder, kind)
    if ensemble.stack:
        made = apply_stack(ensemble.stack, _table(scores, samples, ensemble, kind, facts))
        return _logits_of(made, kind)
    made = mean_scores(scores, ensemble.weights, ensemble.space, kind)
    for name, rows in rows_by_domain(samples, facts).items():
        if name in ensemble.parts:
            made = made.copy() if made is scores[0] else made
            made[rows] = mean_scores([one[rows] for one in scores], ensemble.parts[name], ensemble.space, kind)
    return made


def _weights(scores: Sequence[Floats], truth: Booleans, choice: EnsembleChoice) -> tuple[float, ...]:
    spec, kind = choice.spec, choice.kind
    if isinstance(spec, WeightedSpec):
        return fit_weights(scores, truth, spec.space, kind, spec.even)
    if not isinstance(spec, GreedySpec):
        raise HolotypeError(f"an ensemble of kind {spec.kind!r} has no weights")
    in_logits = spec.space == "logit"
    said = scores if in_logits else [expit(one) if kind == "multilabel" else softmax(one, axis=1) for one in scores]

    def score(mean: NDArray[np.float64]) -> float:
        logits = mean if in_logits else np.log(np.clip(mean, SMALLEST, 1))
        if kind == "multilabel" and not in_logits:
            logits = logit(np.clip(mean, SMALLEST, 1 - SMALLEST))
        decided = logits > 0 if kind == "multilabel" else logits == logits.max(axis=1, keepdims=True)
        value = METRICS[choice.metric](truth, decided, logits.astype(np.float32), kind)
        value = 0.0 if np.isnan(value) else value  # no class has a sample here: the log loss decides alone
        return float(value) - 1e-6 * mean_log_loss(logits.astype(np.float32), truth, kind)

    return greedy_weights([np.asarray(one, np.float64) for one in said], score, spec.rounds)


def _domains(samples: Integers, choice: EnsembleChoice) -> dict[str, Integers]:
    spec = choice.spec
    if not isinstance(spec, WeightedSpec | GreedySpec) or spec.by is None:
        return {}
    found = rows_by_domain(samples, choice.facts)
    return {name: rows for name, rows in found.items() if len(rows) >= FEWEST_OF_A_DOMAIN}


def rows_by_domain(samples: Integers, facts: SampleFacts | None) -> dict[str, Integers]:
    """The places of the samples of each domain.

    Args:
        samples: Sample numbers, shape (n,).
        facts: Know the domains; without them there are none.
    """
    if facts is None or not any(facts.domains):
        return {}
    own = np.array([facts.domains[number] or "" for number in samples])
    return {str(name): np.flatnonzero(own == name) for name in np.unique(own) if name}


def _stacked(
    scores: Sequence[Floats], samples: Integers, truth: Booleans, choice: EnsembleChoice, start: Ensemble
) -> FittedEnsemble:
    spec = choice.spec
    if not isinstance(spec, StackSpec):
        raise HolotypeError("only a stack can be stacked")
    facts = choice.facts
    if facts is not None and "image-statistics" not in spec.features:
        facts = replace(facts, names=(), features=facts.features[:, :0])
    found = sorted({name for name in facts.domains if name}) if facts is not None else []
    start = replace(start, domains=tuple(found) if len(found) > 1 else ())
    units = np.arange(len(samples)) if facts is None else facts.units[samples]
    table = _table(scores, samples, start, choice.kind, facts)
    stack, crossed = fit_stack(table, truth, units, spec, choice.machine)
    fitted = replace(start, stack=stack, columns=table.names)
    return FittedEnsemble(fitted, choice.kind, facts, _logits_of(crossed, choice.kind))


def _table(
    scores: Sequence[Floats], samples: Integers, ensemble: Ensemble, kind: Kind, facts: SampleFacts | None
) -> StackTable:
    own = [_odds(one, kind) for one in scores]
    mean = _odds(mean_scores(scores, ensemble.weights, ensemble.space, kind), kind)
    beside: tuple[Floats, list[str]] = (np.empty((len(samples), 0), np.float32), [])
    if facts is not None:
        named = np.array([facts.domains[number] or "" for number in samples])
        flags = [(named == name).astype(np.float32) for name in ensemble.domains]
        columns = [facts.features[samples], *flags]
        beside = np.column_stack(columns), [*facts.names, *(f"domain {name}" for name in ensemble.domains)]
    return stack_table(own, mean, beside, ensemble.members, mean.shape[1])


def _odds(logits: Floats, kind: Kind) -> Floats:
    """Log-odds of each class against all others."""
    if kind == "multilabel":
        return logits
    log_p = log_softmax(np.asarray(logits, np.float64), axis=1)
    return np.asarray(log_p - np.log(np.maximum(-np.expm1(log_p), SMALLEST)), np.float32)


def _logits_of(odds: Floats, kind: Kind) -> Floats:
    """Log-odds of single classes as logits: for one label a sample their probabilities are scaled to sum to 1."""
    if kind == "multilabel":
        return odds.astype(np.float32)
    return np.asarray(np.log(np.clip(expit(np.asarray(odds, np.float64)), SMALLEST, 1)), np.float32)


def plain_ensemble(choice: EnsembleChoice) -> FittedEnsemble:
    """An ensemble that has nothing to learn from.

    Args:
        choice: The recipe's section.

    Raises:
        RecipeError: It is of a kind that learns from out-of-fold scores.
    """
    spec = choice.spec
    in_ranks = isinstance(spec, MeanSpec) and spec.space == "rank"
    if (len(choice.names) > 1 and (in_ranks or not isinstance(spec, MeanSpec | VoteSpec))) or isinstance(
        spec, StackSpec
    ):
        raise RecipeError(
            f"an ensemble of kind {spec.kind!r} learns from out-of-fold scores, and there are none",
            field="ensemble.kind", value=spec.kind, remedy="give `predictions.oof`, or write {kind: mean}",
        )  # fmt: skip
    space = spec.space if isinstance(spec, MeanSpec) and not in_ranks else "probability"
    even = tuple(1.0 / len(choice.names) for _ in choice.names)
    return FittedEnsemble(Ensemble(spec.kind, space, choice.names, even), choice.kind, choice.facts)
