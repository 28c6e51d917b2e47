"""Model variants: the pooling of views and the domains of specialists of each model, selected out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from holotype.postprocessing.ensemble.fit import EnsembleStep, FittedEnsemble, Scores, fit_ensemble, rows_by_domain
from holotype.postprocessing.ensemble.weights import mean_log_loss
from holotype.types import (
    AnyLabels,
    AnyScores,
    Ensemble,
    OofPredictions,
    SampleFeatures,
    TestPredictions,
    replace_rows,
    take_rows,
)

Evidence = TypeVar("Evidence", OofPredictions, TestPredictions)


@dataclass(frozen=True)
class ModelVariant:
    """Selected variant of a model.

    Args:
        specialists: Index of the scores that include the specialists; None if there are none.
    """

    index: int
    pool: str
    specialists: int | None = None
    domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelSelection:
    """Ensemble whose models come with several pooling rules, and some with specialists."""

    ensemble_step: EnsembleStep
    pools: tuple[tuple[str, ...], ...]
    has_specialists: tuple[bool, ...] = ()

    @property
    def name(self) -> str:
        """Name in the method text of the score."""
        words = ["the pooling of views"] if any(len(pools) > 1 for pools in self.pools) else []
        words += ["the domains that specialists answer for"] if any(self.has_specialists) else []
        return f"{' and '.join(words)} with {self.ensemble_step.name}" if words else self.ensemble_step.name

    @property
    def learns(self) -> bool:
        """True if the selection depends on labels."""
        return any(len(pools) > 1 for pools in self.pools) or any(self.has_specialists) or self.ensemble_step.learns

    def fit(self, evidence: Sequence[OofPredictions], truth: AnyLabels, /) -> FittedModelSelection:
        """Select the variant of each model by log loss, and fit the ensemble on the selected scores.

        `evidence`: out-of-fold scores: per model one entry per pooling rule, then those with its specialists.
        """
        variants, start = [], 0
        for pools, has_specialists in zip(self.pools, self.has_specialists or (False,) * len(self.pools), strict=True):
            parts = evidence[start : start + len(pools)]
            best = 0
            if len(pools) > 1:
                losses = [mean_log_loss(part.logits, truth, self.ensemble_step.kind) for part in parts]
                best = int(np.argmin(losses))
            variant = ModelVariant(start + best, pools[best])
            if has_specialists:
                special = start + len(pools) + best
                domains = self._improved_domains(parts[best], evidence[special], truth)
                variant = replace(variant, specialists=special, domains=domains)
            variants.append(variant)
            start += len(pools) * (2 if has_specialists else 1)
        sample_features = self.ensemble_step.sample_features
        selected = [select_model_scores(evidence, variant, sample_features) for variant in variants]
        return FittedModelSelection(fit_ensemble(selected, truth, self.ensemble_step), tuple(variants), sample_features)

    def _improved_domains(self, overall: OofPredictions, special: OofPredictions, truth: AnyLabels) -> tuple[str, ...]:
        improved = []
        for name, rows in rows_by_domain(overall.samples, self.ensemble_step.sample_features).items():
            labels = take_rows(truth, rows)
            losses = [
                mean_log_loss(scores.logits[rows], labels, self.ensemble_step.kind) for scores in (special, overall)
            ]
            improved += [name] if losses[0] < losses[1] else []
        return tuple(improved)


@dataclass(frozen=True)
class FittedModelSelection:
    """Fitted ensemble of selected model variants."""

    fitted_ensemble: FittedEnsemble
    variants: tuple[ModelVariant, ...]
    sample_features: SampleFeatures | None = None

    @property
    def ensemble(self) -> Ensemble:
        """Ensemble including the selected variants."""
        pools = tuple(variant.pool for variant in self.variants)
        routes = tuple(variant.domains for variant in self.variants)
        return replace(self.fitted_ensemble.ensemble, pools=pools, specialist_domains=routes if any(routes) else ())

    @property
    def oof_logits(self) -> AnyScores | None:
        """Ensemble logits of the evidence by stack models that left it out, or None."""
        return self.fitted_ensemble.oof_logits

    def select(self, models: Sequence[Any]) -> list[Any]:
        """Select one entry per model.

        `models`: as they were fitted: one entry per model and pooling rule, and those with specialists.
        """
        return [select_model_scores(models, variant, self.sample_features) for variant in self.variants]

    def __call__(self, models: Sequence[Scores]) -> AnyScores:
        """Combine the models' scores."""
        return self.fitted_ensemble(self.select(models))


def select_model_scores(
    models: Sequence[Evidence], variant: ModelVariant, sample_features: SampleFeatures | None
) -> Evidence:
    """Select the scores of one model, those of its specialists in their domains."""
    overall = models[variant.index]
    if variant.specialists is None or not variant.domains:
        return overall
    logits, special = overall.logits, models[variant.specialists].logits
    for name, rows in rows_by_domain(overall.samples, sample_features).items():
        if name in variant.domains:
            logits = replace_rows(logits, rows, special[rows])
    return replace(overall, logits=logits)
