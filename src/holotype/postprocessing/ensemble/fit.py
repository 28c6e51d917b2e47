"""Ensemble step: the recipe's ensemble, fitted on out-of-fold scores and applied to any scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit, softmax

from holotype.core.errors import HolotypeError, RecipeError
from holotype.evaluation.metrics import METRICS
from holotype.postprocessing.ensemble.mean import mean_ranks, mean_scores, rank_quantiles, votes
from holotype.postprocessing.ensemble.stack import StackTable, apply_stack, fit_stack, stack_table
from holotype.postprocessing.ensemble.topk_mean import fit_top_k_weights, mean_of_top_k
from holotype.postprocessing.ensemble.weights import fit_weights, greedy_weights, mean_log_loss
from holotype.recipe.sections import EnsembleSpec, GreedySpec, MeanSpec, StackSpec, VoteSpec, WeightedSpec
from holotype.types import (
    AnyLabels,
    AnyScores,
    Booleans,
    Ensemble,
    Floats,
    Integers,
    Kind,
    LabelMatrix,
    OofPredictions,
    SampleFeatures,
    TestPredictions,
    TopKScores,
    to_dense,
)

Scores = OofPredictions | TestPredictions
MIN_DOMAIN_SAMPLES = 50
EPSILON = 1e-7


@dataclass(frozen=True)
class FittedEnsemble:
    """Fitted ensemble, a function of the models' scores.

    Args:
        oof_logits: Ensemble logits of the evidence by stack models that left it out; None for other kinds.
    """

    ensemble: Ensemble
    kind: Kind
    sample_features: SampleFeatures | None = None
    oof_logits: Floats | None = None

    def __call__(self, models: Sequence[Scores]) -> AnyScores:
        """Combine the models' scores."""
        return apply_ensemble(self.ensemble, models, self.kind, self.sample_features)


@dataclass(frozen=True)
class EnsembleStep:
    """Ensemble as a postprocessing step that `score_nested` can refit.

    Args:
        cache_dir: Folder that keeps the fitted classes of a stack for the next run.
    """

    spec: EnsembleSpec
    names: tuple[str, ...]
    kind: Kind
    metric: str = "macro_f1"
    sample_features: SampleFeatures | None = None
    seed: int = field(default=1, kw_only=True)
    threads: int = field(default=1, kw_only=True)
    cache_dir: Path | None = field(default=None, kw_only=True)

    @property
    def name(self) -> str:
        """Name in the method text of the score."""
        return {
            "mean": "the mean over models",
            "weighted": "the weighting of the models",
            "greedy": "the choice of models",
            "vote": "the vote of the models",
            "stack": "the stack",
        }[self.spec.kind]

    @property
    def learns(self) -> bool:
        """True if the ensemble depends on labels; a mean of ranks depends on the scores only."""
        if isinstance(self.spec, StackSpec):
            return True
        return len(self.names) > 1 and isinstance(self.spec, WeightedSpec | GreedySpec)

    def fit(self, evidence: Sequence[OofPredictions], truth: AnyLabels, /) -> Callable[[Sequence[Scores]], AnyScores]:
        """Fit the ensemble on out-of-fold scores, one entry per model, and return its application."""
        return fit_ensemble(evidence, truth, self)


def fit_ensemble(models: Sequence[OofPredictions], truth: AnyLabels, step: EnsembleStep) -> FittedEnsemble:
    """Fit an ensemble of models. Raises HolotypeError if the models were scored on different samples."""
    spec, names, kind, samples = step.spec, step.names, step.kind, models[0].samples
    for name, model in zip(names, models, strict=True):
        if not np.array_equal(model.samples, samples):
            raise HolotypeError(
                f"models {name!r} and {names[0]!r} were scored on different samples; run both on the same folds"
            )
    space = "probability" if isinstance(spec, VoteSpec) else "logit" if isinstance(spec, StackSpec) else spec.space
    ensemble = Ensemble(spec.kind, space, names, (1.0 / len(names),) * len(names))
    topk_scores = [model.logits for model in models if isinstance(model.logits, TopKScores)]
    if topk_scores and isinstance(spec, MeanSpec | WeightedSpec) and space != "rank":
        if isinstance(spec, WeightedSpec) and len(names) > 1:
            weights = fit_top_k_weights(topk_scores, truth, space, spec.shrink_to_equal)
            ensemble = replace(ensemble, weights=weights)
        return FittedEnsemble(ensemble, kind, step.sample_features)
    scores = [to_dense(model.logits, f"the ensemble {spec.kind!r}") for model in models]
    truth = LabelMatrix.from_dense(truth)[:]
    if isinstance(spec, StackSpec):
        return _fit_stacked(scores, samples, truth, step, spec, start=ensemble)
    if isinstance(spec, MeanSpec) and space == "rank" and len(names) > 1:
        ensemble = replace(ensemble, rank_quantiles=rank_quantiles(scores, kind))
    if isinstance(spec, WeightedSpec | GreedySpec):
        domains = rows_by_domain(samples, step.sample_features) if spec.by else {}
        weights_by_domain = {
            name: _fit_weights([model_scores[rows] for model_scores in scores], truth[rows], step, spec)
            for name, rows in domains.items()
            if len(rows) >= MIN_DOMAIN_SAMPLES
        }
        weights = _fit_weights(scores, truth, step, spec)
        ensemble = replace(ensemble, weights=weights, weights_by_domain=weights_by_domain)
    return FittedEnsemble(ensemble, kind, step.sample_features)


def apply_ensemble(
    ensemble: Ensemble, models: Sequence[Scores], kind: Kind, sample_features: SampleFeatures | None = None
) -> AnyScores:
    """Combine the models' scores to logits, shape (n, classes)."""
    topk_scores = [model.logits for model in models if isinstance(model.logits, TopKScores)]
    if topk_scores:
        return mean_of_top_k(topk_scores, ensemble.weights, ensemble.space)
    scores = [to_dense(model.logits, "an ensemble") for model in models]
    samples = models[0].samples
    if ensemble.kind == "vote" and len(scores) > 1:
        return votes(scores, kind)
    if ensemble.rank_quantiles is not None:
        return mean_ranks(scores, ensemble.rank_quantiles, kind)
    if ensemble.stack:
        logits = apply_stack(ensemble.stack, _make_stack_table(scores, samples, ensemble, kind, sample_features))
        return _odds_to_logits(logits, kind)
    logits = mean_scores(scores, ensemble.weights, ensemble.space, kind)
    for name, rows in rows_by_domain(samples, sample_features).items():
        if name in ensemble.weights_by_domain:
            logits = logits.copy() if logits is scores[0] else logits
            logits[rows] = mean_scores(
                [model_scores[rows] for model_scores in scores], ensemble.weights_by_domain[name], ensemble.space, kind
            )
    return logits


def _fit_weights(
    scores: Sequence[Floats], truth: Booleans, step: EnsembleStep, spec: WeightedSpec | GreedySpec
) -> tuple[float, ...]:
    kind = step.kind
    if isinstance(spec, WeightedSpec):
        return fit_weights(scores, truth, spec.space, kind, spec.shrink_to_equal)
    in_logits = spec.space == "logit"
    averaged = (
        scores
        if in_logits
        else [expit(model_scores) if kind == "multilabel" else softmax(model_scores, axis=1) for model_scores in scores]
    )

    def score(mean: NDArray[np.float64]) -> float:
        logits = mean if in_logits else np.log(np.clip(mean, EPSILON, 1))
        if kind == "multilabel" and not in_logits:
            logits = logit(np.clip(mean, EPSILON, 1 - EPSILON))
        decided = logits > 0 if kind == "multilabel" else logits == logits.max(axis=1, keepdims=True)
        value = METRICS[step.metric](truth, decided, logits.astype(np.float32), kind)
        value = 0.0 if np.isnan(value) else value  # without positives, only the log loss decides
        return float(value) - 1e-6 * mean_log_loss(logits.astype(np.float32), truth, kind)

    return greedy_weights([np.asarray(model_scores, np.float64) for model_scores in averaged], score, spec.rounds)


def rows_by_domain(samples: Integers, sample_features: SampleFeatures | None) -> dict[str, Integers]:
    """Group the samples by domain; empty if there are no domains."""
    if sample_features is None or not any(sample_features.domains):
        return {}
    domains = np.array([sample_features.domains[number] or "" for number in samples])
    return {str(name): np.flatnonzero(domains == name) for name in np.unique(domains) if name}


def _fit_stacked(
    scores: Sequence[Floats],
    samples: Integers,
    truth: Booleans,
    step: EnsembleStep,
    spec: StackSpec,
    *,
    start: Ensemble,
) -> FittedEnsemble:
    sample_features = step.sample_features
    if sample_features is not None and "image-statistics" not in spec.features:
        sample_features = replace(sample_features, names=(), features=sample_features.features[:, :0])
    domains = sorted({name for name in sample_features.domains if name}) if sample_features is not None else []
    start = replace(start, domains=tuple(domains) if len(domains) > 1 else ())
    units = np.arange(len(samples)) if sample_features is None else sample_features.groups[samples]
    table = _make_stack_table(scores, samples, start, step.kind, sample_features)
    stack, oof_logits = fit_stack(
        table, truth, units, spec, seed=step.seed, threads=step.threads, cache_dir=step.cache_dir
    )
    fitted = replace(start, stack=stack, columns=table.names)
    return FittedEnsemble(fitted, step.kind, sample_features, _odds_to_logits(oof_logits, step.kind))


def _make_stack_table(
    scores: Sequence[Floats], samples: Integers, ensemble: Ensemble, kind: Kind, sample_features: SampleFeatures | None
) -> StackTable:
    model_log_odds = [_log_odds(model_scores, kind) for model_scores in scores]
    mean = _log_odds(mean_scores(scores, ensemble.weights, ensemble.space, kind), kind)
    if sample_features is None:
        return stack_table(model_log_odds, mean, ensemble.models)
    sample_domains = np.array([sample_features.domains[number] or "" for number in samples])
    flags = [(sample_domains == name).astype(np.float32) for name in ensemble.domains]
    return stack_table(
        model_log_odds,
        mean,
        ensemble.models,
        features=np.column_stack([sample_features.features[samples], *flags]),
        feature_names=[*sample_features.names, *(f"domain {name}" for name in ensemble.domains)],
    )


def _log_odds(logits: Floats, kind: Kind) -> Floats:
    if kind == "multilabel":
        return logits
    log_p = log_softmax(np.asarray(logits, np.float64), axis=1)
    return np.asarray(log_p - np.log(np.maximum(-np.expm1(log_p), EPSILON)), np.float32)


def _odds_to_logits(odds: Floats, kind: Kind) -> Floats:
    if kind == "multilabel":
        return odds.astype(np.float32)
    return np.asarray(np.log(np.clip(expit(np.asarray(odds, np.float64)), EPSILON, 1)), np.float32)


def unfitted_ensemble(step: EnsembleStep) -> FittedEnsemble:
    """Build an ensemble that needs no fitting.

    Raises RecipeError if the ensemble is of a kind that is fitted on out-of-fold scores.
    """
    spec = step.spec
    in_ranks = isinstance(spec, MeanSpec) and spec.space == "rank"
    if (len(step.names) > 1 and (in_ranks or not isinstance(spec, MeanSpec | VoteSpec))) or isinstance(spec, StackSpec):
        raise RecipeError(
            f"an ensemble of kind {spec.kind!r} learns from out-of-fold scores, but there are none",
            field="ensemble.kind",
            value=spec.kind,
            remedy="give `predictions.oof`, or write {kind: mean}",
        )
    space = spec.space if isinstance(spec, MeanSpec) and not in_ranks else "probability"
    ensemble = Ensemble(spec.kind, space, step.names, (1.0 / len(step.names),) * len(step.names))
    return FittedEnsemble(ensemble, step.kind, step.sample_features)
