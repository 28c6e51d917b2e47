"""Decision step: the recipe's rule, fitted on out-of-fold scores and applied to any scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from holotype.core.errors import RecipeError, join_names
from holotype.evaluation.metrics import probabilities
from holotype.postprocessing.decision.custom import decide_custom
from holotype.postprocessing.decision.rules import (
    above_thresholds,
    argmax_labels,
    assign_per_group,
    cascade_thresholds,
    limit_labels,
    prior_offsets,
    prior_thresholds,
    top_classes,
)
from holotype.postprocessing.decision.thresholds import average_thresholds
from holotype.recipe.sections import (
    ArgmaxSpec,
    AssignSpec,
    CascadeSpec,
    CustomDecisionSpec,
    DecisionSpec,
    PerClassSpec,
    PriorSpec,
    ThresholdSpec,
    TopSpec,
)
from holotype.types import (
    AnyLabels,
    AnyScores,
    Decision,
    Integers,
    Kind,
    LabelMatrix,
    OofPredictions,
    TestPredictions,
    to_dense,
)

MIN_SAMPLES_FOR_PRIOR = 100  # with fewer samples, class frequencies are too coarse


@dataclass(frozen=True)
class DecisionContext:
    """Inputs of a decision besides the scores.

    Args:
        plate: Plate by sample number, for `assign`; -1 if unknown.
        class_priors: Frequency of each class, for `prior`; by default that of the evidence.
        class_sets: Class numbers that occur together, for `assign`.
        set_group: Group by sample number in which every set occurs once, for `assign` (such as the experiment of a
            plate); -1 if unknown, None if every plate chooses independently.
        unscored: Label counts by class, and the number, of training samples that are never scored; `prior` includes
            them in the class frequencies.
    """

    classes: tuple[str, ...]
    kind: Kind
    metric: str = "macro_f1"
    seed: int = 1
    units: Integers | None = None
    plate: Integers | None = None
    class_priors: tuple[float, ...] | None = None
    class_sets: tuple[tuple[int, ...], ...] = ()
    set_group: Integers | None = None
    unscored: tuple[Integers, int] | None = None


def fit_decision(
    oof: OofPredictions | None, truth: AnyLabels | None, spec: DecisionSpec | None, context: DecisionContext
) -> Decision:
    """Fit the decision of a recipe; only `per-class` and `prior` use the scores.

    `oof`: out-of-fold scores; required by `per-class`; `spec`: by default that of `default_decision`, or thresholds of
    0.5 for multilabel without scores. Raises RecipeError if thresholds of unknown classes or outside 0 to 1, or no
    scores to fit thresholds on.
    """
    if spec is None:
        spec = default_decision(context.kind) if oof is not None or context.kind == "multiclass" else ThresholdSpec()
    decision = Decision(spec.kind, context.classes, context.kind)
    if isinstance(spec, ThresholdSpec | CascadeSpec | PerClassSpec | PriorSpec):
        decision = replace(decision, fallback=spec.fallback, max_labels=spec.max_labels)
    if isinstance(spec, ThresholdSpec):
        return replace(decision, thresholds=thresholds_by_class(spec.thresholds, context.classes))
    if isinstance(spec, CascadeSpec):
        return replace(decision, levels=tuple(spec.levels))
    if isinstance(spec, CustomDecisionSpec):
        return replace(decision, name=spec.name, options=spec.options)
    if isinstance(spec, TopSpec):
        return replace(decision, k=spec.k)
    if isinstance(spec, AssignSpec):
        return replace(
            decision,
            unique_class_per=spec.unique_class_per,
            class_sets=context.class_sets,
            unique_set_per=spec.unique_set_per,
        )
    if isinstance(spec, PerClassSpec):
        return _fit_thresholds_per_class(oof, truth, spec, context, decision)
    return _fit_prior(oof, truth, context, decision) if isinstance(spec, PriorSpec) else decision


def default_decision(kind: Kind) -> DecisionSpec:
    """Default decision rule: `argmax` for multiclass, `per-class` thresholds for multilabel."""
    return ArgmaxSpec() if kind == "multiclass" else PerClassSpec(kind="per-class")


def _fit_thresholds_per_class(
    oof: OofPredictions | None,
    truth: AnyLabels | None,
    spec: PerClassSpec,
    context: DecisionContext,
    decision: Decision,
) -> Decision:
    if oof is None or truth is None:
        raise RecipeError(
            "thresholds by class are fitted to out-of-fold scores, but there are none",
            field="decision.kind",
            value=spec.kind,
            remedy="give `predictions.oof`, or write {kind: threshold}",
        )
    units = np.arange(len(oof.samples)) if context.units is None else context.units[oof.samples]
    metric = "micro_f1" if context.metric == "micro_f1" else "macro_f1"
    probability = probabilities(to_dense(oof.logits, "a threshold"), "multilabel")
    labels, folds = LabelMatrix.from_dense(truth)[:], (spec.folds, spec.repeats)
    thresholds = average_thresholds(probability, labels, units, folds, context.seed, spec.shrink, metric)
    return replace(decision, thresholds=tuple(thresholds.tolist()))


def _fit_prior(
    oof: OofPredictions | None, truth: AnyLabels | None, context: DecisionContext, base: Decision
) -> Decision:
    class_priors = context.class_priors
    if class_priors is None and truth is not None:
        counts, samples = context.unscored or (0, 0)
        counts = LabelMatrix.from_dense(truth).counts() + counts
        class_priors = tuple((counts / max(len(truth) + samples, 1)).tolist())
    if class_priors is None:
        raise RecipeError(
            "the class frequencies are unknown", field="decision.class_frequencies_from", remedy="name a table"
        )
    decision = replace(base, class_priors=class_priors)
    return decision if oof is None else refit_prior(decision, oof.logits)


def refit_prior(decision: Decision, logits: AnyScores) -> Decision:
    """Refit a `prior` decision to the scores that are decided, so that they get its class frequencies."""
    if decision.rule != "prior" or (len(logits) < MIN_SAMPLES_FOR_PRIOR and decision.thresholds):
        return decision
    class_priors, logits = np.asarray(decision.class_priors), to_dense(logits, "a decision by class frequencies")
    if decision.kind == "multiclass":
        return replace(decision, thresholds=tuple(prior_offsets(logits, class_priors).tolist()))
    thresholds = prior_thresholds(probabilities(logits, "multilabel"), class_priors)
    return replace(decision, thresholds=tuple(thresholds.tolist()))


def thresholds_by_class(setting: float | list[float] | dict[str, float], classes: tuple[str, ...]) -> tuple[float, ...]:
    """Expand a threshold setting to one threshold per class.

    `setting`: one value for all, a list in class order, or a mapping by class name (others get 0.5). Raises RecipeError
    if thresholds of unknown classes, or outside 0 to 1.
    """
    field_name = "decision.thresholds"
    if isinstance(setting, list) and len(setting) != len(classes):
        raise RecipeError(
            f"there are {len(setting)} thresholds but {len(classes)} classes",
            field=field_name,
            remedy="give one per class, or a mapping by name",
        )
    if isinstance(setting, dict):
        unknown = [name for name in setting if name not in classes]
        if unknown:
            raise RecipeError("unknown class", field=f"{field_name}.{unknown[0]}", value=unknown[0], allowed=classes)
        setting = [setting.get(name, 0.5) for name in classes]
    thresholds = tuple(setting) if isinstance(setting, list) else (setting,) * len(classes)
    outside = [value for value in thresholds if not 0 <= value <= 1]
    if outside:
        raise RecipeError(
            f"thresholds must be from 0 to 1, got {join_names(dict.fromkeys(outside), 5)}", field=field_name
        )
    return thresholds


def decide(
    decision: Decision, logits: AnyScores, plate: Integers | None = None, set_group: Integers | None = None
) -> AnyLabels:
    """Apply a decision rule to logits.

    `plate`: plate of each sample, shape (n,), for `assign`; -1 if unknown; `set_group`: experiment of each sample,
    shape (n,), whose plates get different sets; -1 if unknown.
    """
    rule, thresholds = decision.rule, np.asarray(decision.thresholds)
    if rule == "top":
        return top_classes(logits, decision.k or 1)
    if rule == "argmax":
        return argmax_labels(logits)
    logits = to_dense(logits, f"the decision {rule!r}")
    if rule == "custom":
        return decide_custom(str(decision.name), decision.options or {}, logits, decision.kind)
    if rule == "assign":
        groups = np.full(len(logits), -1) if plate is None else plate
        return assign_per_group(logits, groups, list(map(np.asarray, decision.class_sets)) or None, set_group)
    if rule == "prior" and decision.kind == "multiclass":
        return argmax_labels(np.asarray(np.log(probabilities(logits, "multiclass") + 1e-300) + thresholds, np.float64))
    if rule == "cascade":
        decided = cascade_thresholds(logits, decision.levels, decision.fallback)
    else:
        decided = above_thresholds(logits, thresholds, decision.fallback)
    return limit_labels(decided, logits, decision.max_labels)


def label_names(decided: AnyLabels, classes: tuple[str, ...]) -> list[list[str]]:
    """Return the names of the decided classes of each sample, in class order."""
    return [[classes[number] for number in row] for row in LabelMatrix.from_dense(decided).lists()]


@dataclass(frozen=True)
class DecisionStep:
    """Decision as a postprocessing step that `score_nested` can refit."""

    spec: DecisionSpec | None
    context: DecisionContext
    name: str = "the decision"

    @property
    def learns(self) -> bool:
        """True if the rule depends on the scores or their labels."""
        return isinstance(self.spec or default_decision(self.context.kind), PerClassSpec | PriorSpec)

    def fit(self, evidence: OofPredictions | None, truth: AnyLabels | None, /) -> FittedDecision:
        """Fit the decision on out-of-fold scores and return its application."""
        return FittedDecision(fit_decision(evidence, truth, self.spec, self.context), self.context)


@dataclass(frozen=True)
class FittedDecision:
    """Fitted decision, a function of scores; `prior` is refitted to the scores that it decides."""

    decision: Decision
    context: DecisionContext

    def __call__(self, scores: OofPredictions | TestPredictions) -> AnyLabels:
        """Labels of some samples."""
        columns = (self.context.plate, self.context.set_group)
        groups = [None if column is None else column[scores.samples] for column in columns]
        return decide(refit_prior(self.decision, scores.logits), scores.logits, *groups)
