"""The recipe's decision: fitted on out-of-fold scores, applied to any."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from holotype.decide.rules import (
    above_thresholds,
    assigned,
    at_most,
    cascaded,
    likeliest,
    prior_thresholds,
    prior_weights,
    probabilities,
    top_classes,
)
from holotype.decide.thresholds import average_thresholds
from holotype.errors import RecipeError, listing
from holotype.spec import (
    ArgmaxSpec,
    AssignSpec,
    CascadeSpec,
    DecideSpec,
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
    dense,
)

__all__ = [
    "DecisionChoice",
    "DecisionFacts",
    "FittedDecision",
    "decide",
    "default_decision",
    "fit_decision",
    "fitted_to_scores",
    "label_names",
    "thresholds_by_class",
]

FEWEST_FOR_PRIOR = 100  # below so many samples a class cannot come as often as its share says


@dataclass(frozen=True)
class DecisionFacts:
    """What decisions know beside the scores.

    Args:
        classes: The class names in the order of the scores.
        kind: `multiclass` or `multilabel`.
        metric: What fitted thresholds make largest.
        seed: The recipe's seed.
        units: What is independent of what, by sample number.
        places: The plate of each sample by sample number, for `assign`; -1 where it is unknown.
        shares: How often each class comes, a sample, for `prior`; that of the evidence where none are given.
        sets: Numbers of classes that come together, for `assign`.
        set_places: What takes each set once by sample number, for `assign`: the experiment of its plate, say; -1 where
            it is unknown, and none where every plate chooses by itself.
        unscored: Labels of each class, and the number, of the training samples that are never scored, for `prior`:
            their networks have seen them, and how often classes come is known of them as of the others.
    """

    classes: tuple[str, ...]
    kind: Kind
    metric: str = "macro_f1"
    seed: int = 1
    units: Integers | None = None
    places: Integers | None = None
    shares: tuple[float, ...] | None = None
    sets: tuple[tuple[int, ...], ...] = ()
    set_places: Integers | None = None
    unscored: tuple[Integers, int] | None = None


def fit_decision(
    oof: OofPredictions | None, truth: AnyLabels | None, spec: DecideSpec | None, facts: DecisionFacts
) -> Decision:
    """The decision of a recipe; only `per-class` and `prior` learn from the scores.

    Args:
        oof: Out-of-fold scores; none where there are none, which `per-class` cannot do without.
        truth: Which classes each of them has, shape (n, classes).
        spec: The recipe's section; without one that of `default_decision`, or thresholds of one half without scores.
        facts: Classes and what else is known.

    Raises:
        RecipeError: Thresholds for other classes, or outside 0 to 1; nothing to fit thresholds to.
    """
    if spec is None:
        spec = default_decision(facts.kind) if oof is not None or facts.kind == "multiclass" else ThresholdSpec()
    plain = Decision(spec.kind, facts.classes, facts.kind)
    if isinstance(spec, ThresholdSpec | CascadeSpec | PerClassSpec | PriorSpec):
        plain = replace(plain, fallback=spec.fallback, most=spec.most)
    if isinstance(spec, ThresholdSpec):
        return replace(plain, thresholds=thresholds_by_class(spec.thresholds, facts.classes))
    if isinstance(spec, CascadeSpec):
        return replace(plain, levels=tuple(spec.levels))
    if isinstance(spec, TopSpec):
        return replace(plain, k=spec.k)
    if isinstance(spec, AssignSpec):
        return replace(plain, one_class_per=spec.one_class_per, sets=facts.sets, unique_set_per=spec.unique_set_per)
    if isinstance(spec, PerClassSpec):
        return _per_class(oof, truth, spec, facts, plain)
    return _prior(oof, truth, facts, plain) if isinstance(spec, PriorSpec) else plain


def default_decision(kind: Kind) -> DecideSpec:
    """What decides where a recipe says nothing: `argmax` for one label a sample, thresholds by class for many.

    Args:
        kind: `multiclass` or `multilabel`.
    """
    return ArgmaxSpec() if kind == "multiclass" else PerClassSpec(kind="per-class")


def _per_class(
    oof: OofPredictions | None, truth: AnyLabels | None, spec: PerClassSpec, facts: DecisionFacts,
    plain: Decision,
) -> Decision:  # fmt: skip
    if oof is None or truth is None:
        raise RecipeError("thresholds by class are fitted to out-of-fold scores; there are none", field="decide.kind",
                          value=spec.kind, remedy="give `predictions.oof`, or write {kind: threshold}")  # fmt: skip
    units = np.arange(len(oof.samples)) if facts.units is None else facts.units[oof.samples]
    metric = "micro_f1" if facts.metric == "micro_f1" else "macro_f1"
    said, known = probabilities(dense(oof.logits, "a threshold"), "multilabel"), LabelMatrix.of(truth)[:]
    found = average_thresholds(said, known, units, (spec.folds, spec.repeats), facts.seed, spec.shrink, metric)
    return replace(plain, thresholds=tuple(found.tolist()))


def _prior(oof: OofPredictions | None, truth: AnyLabels | None, facts: DecisionFacts, plain: Decision) -> Decision:
    shares = facts.shares if truth is None or facts.shares is not None else _shares(truth, facts.unscored)
    if shares is None:
        raise RecipeError("how often each class comes is not known", field="decide.like", remedy="name a table")
    decision = replace(plain, shares=shares)
    return decision if oof is None else fitted_to_scores(decision, oof.logits)


def fitted_to_scores(decision: Decision, logits: AnyScores) -> Decision:
    """A `prior` with the thresholds (or, for one label a sample, the offsets) that give these scores its shares.

    Args:
        decision: From `fit_decision`.
        logits: Of the samples that are decided, shape (n, classes).
    """
    if decision.rule != "prior" or (len(logits) < FEWEST_FOR_PRIOR and decision.thresholds):
        return decision
    shares, logits = np.asarray(decision.shares), dense(logits, "a decision by shares")
    if decision.kind == "multiclass":
        return replace(decision, thresholds=tuple(prior_weights(logits, shares).tolist()))
    return replace(decision, thresholds=tuple(prior_thresholds(probabilities(logits, "multilabel"), shares).tolist()))


def thresholds_by_class(given: float | list[float] | dict[str, float], classes: tuple[str, ...]) -> tuple[float, ...]:
    """One threshold a class.

    Args:
        given: One for all, one a class in order, or some by name; the others get 0.5.
        classes: The class names in order.

    Raises:
        RecipeError: Thresholds for other classes, or outside 0 to 1.
    """
    field_name = "decide.thresholds"
    if isinstance(given, list) and len(given) != len(classes):
        raise RecipeError(f"there are {len(given)} thresholds and {len(classes)} classes", field=field_name,
                          remedy="write one a class, or name them")  # fmt: skip
    if isinstance(given, dict):
        unknown = [name for name in given if name not in classes]
        if unknown:
            raise RecipeError(
                "there is no such class", field=f"{field_name}.{unknown[0]}", value=unknown[0], allowed=classes
            )
        given = [given.get(name, 0.5) for name in classes]
    thresholds = tuple(given) if isinstance(given, list) else (given,) * len(classes)
    outside = [value for value in thresholds if not 0 <= value <= 1]
    if outside:
        raise RecipeError(
            f"thresholds are probabilities from 0 to 1, got {listing(dict.fromkeys(outside), 5)}", field=field_name
        )
    return thresholds


def decide(
    decision: Decision, logits: AnyScores, places: Integers | None = None, set_places: Integers | None = None
) -> AnyLabels:
    """Labels from scores.

    Args:
        decision: From `fit_decision`.
        logits: Shape (n, classes), in the order of the decision's classes.
        places: The plate of each sample, shape (n,), which `assign` looks at; -1 where it is unknown.
        set_places: The experiment of each sample, shape (n,), whose plates take different sets; -1 where it is unknown.

    Returns:
        Shape (n, classes).
    """
    rule, thresholds = decision.rule, np.asarray(decision.thresholds)
    if rule == "top":
        return top_classes(logits, decision.k or 1)
    if rule == "argmax":
        return likeliest(logits)
    logits = dense(logits, f"the decision {rule!r}")
    if rule == "assign":
        nowhere = np.full(len(logits), -1) if places is None else places
        return assigned(logits, nowhere, [np.asarray(one) for one in decision.sets] or None, set_places)
    if rule == "prior" and decision.kind == "multiclass":
        return likeliest(np.asarray(np.log(probabilities(logits, "multiclass") + 1e-300) + thresholds, np.float64))
    if rule == "cascade":
        decided = cascaded(logits, decision.levels, decision.fallback)
    else:
        decided = above_thresholds(logits, thresholds, decision.fallback)
    return at_most(decided, logits, decision.most)


def label_names(decided: AnyLabels, classes: tuple[str, ...]) -> list[list[str]]:
    """The names of the decided classes of each sample, in the order of the classes.

    Args:
        decided: Shape (n, classes).
        classes: The class names in order.
    """
    return [[classes[number] for number in row] for row in LabelMatrix.of(decided).lists()]


def _shares(truth: AnyLabels, unscored: tuple[Integers, int] | None) -> tuple[float, ...]:
    """How often each class comes among the evidence and the training samples that are never scored."""
    counts, samples = LabelMatrix.of(truth).counts(), len(truth)
    if unscored is not None:
        counts, samples = counts + unscored[0], samples + unscored[1]
    return tuple((counts / max(samples, 1)).tolist())


@dataclass(frozen=True)
class DecisionChoice:
    """The decision as a choice that `score_nested` can refit.

    Args:
        spec: The recipe's section.
        facts: Classes and what else is known.
        name: What it is called in the score's words.
    """

    spec: DecideSpec | None
    facts: DecisionFacts
    name: str = field(default="the decision")

    @property
    def learns(self) -> bool:
        """Whether the rule hangs on the scores or their labels."""
        return isinstance(self.spec or default_decision(self.facts.kind), PerClassSpec | PriorSpec)

    def fit(self, evidence: OofPredictions | None, truth: AnyLabels | None, /) -> FittedDecision:
        """Fit the decision and return its application.

        Args:
            evidence: Out-of-fold scores.
            truth: Which classes each sample has.
        """
        return FittedDecision(fit_decision(evidence, truth, self.spec, self.facts), self.facts)


@dataclass(frozen=True)
class FittedDecision:
    """A decision that can be applied; a `prior` meets the scores that it decides.

    Args:
        decision: From `fit_decision`.
        facts: Knows the plates of the samples.
    """

    decision: Decision
    facts: DecisionFacts

    def __call__(self, scores: OofPredictions | TestPredictions) -> AnyLabels:
        """Labels of some samples.

        Args:
            scores: Logits, and the samples' numbers.
        """
        columns = (self.facts.places, self.facts.set_places)
        places = [None if column is None else column[scores.samples] for column in columns]
        return decide(fitted_to_scores(self.decision, scores.logits), scores.logits, *places)
