"""Everything that is chosen on out-of-fold scores: how members become one, how sure they are, what is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from holotype.data import image_features, label_shares, read_table
from holotype.decide import CalibrationChoice, DecisionChoice, DecisionFacts, fitted_to_scores
from holotype.ensemble import EnsembleChoice, FittedPools, PooledChoice, Reading, plain_ensemble
from holotype.errors import DataError, RecipeError, listing
from holotype.recipe import Recipe
from holotype.road.gathering import Gathered
from holotype.runtime import Runtime
from holotype.score import Choice, FittedChain, NestedScore, fit_chain
from holotype.spec import AssignSpec, MeanSpec, PriorSpec, WeightedSpec
from holotype.types import (
    AnyLabels,
    Calibration,
    Decision,
    Ensemble,
    Floats,
    Folds,
    ImageStatistics,
    ImageTable,
    Integers,
    OofPredictions,
    SampleFacts,
    TestPredictions,
    as_scores,
)

__all__ = ["Choices", "Chosen", "choose", "list_choices", "place_numbers", "sample_facts"]


@dataclass(frozen=True)
class Choices:
    """What a recipe chooses, before it is fitted.

    Args:
        ensemble: How members become one.
        calibration: How scores become probabilities; none where they stay as they are.
        decision: How scores become labels.
    """

    ensemble: PooledChoice
    calibration: CalibrationChoice | None
    decision: DecisionChoice

    @property
    def chain(self) -> list[Choice]:
        """In the order in which they are fitted."""
        middle = [] if self.calibration is None else [self.calibration]
        return [self.ensemble, *middle, self.decision]  # type: ignore[list-item]


@dataclass(frozen=True)
class Chosen:
    """What was chosen, and what it makes of the samples.

    Args:
        ensemble: How members become one.
        calibration: How scores become probabilities.
        decision: How scores become labels.
        chain: The same, ready to be applied.
        together: Out-of-fold scores, each by choices fitted without its fold; none where there are none.
        answer: The scores of the samples to predict; none where there are none.
        decided: Their labels, shape (n, classes).
    """

    ensemble: Ensemble
    calibration: Calibration
    decision: Decision
    chain: FittedChain
    together: OofPredictions | None = None
    answer: TestPredictions | None = None
    decided: AnyLabels | None = None

    def read(self, members: Sequence[Any]) -> list[Any]:
        """The scores of each member as it is read: its pooling, and its specialists where they answer.

        Args:
            members: One entry a member and pooling, as they were gathered.
        """
        scores: list[Any] = self.chain.steps[0].read(members)  # type: ignore[attr-defined]
        return scores

    def scores_of(self, members: Sequence[TestPredictions]) -> TestPredictions:
        """The scores of other samples, before they are decided.

        Args:
            members: Scores of the same samples, one entry a member.
        """
        return replace(members[0], logits=as_scores(self.chain.apply(members)[-2]))


def list_choices(
    recipe: Recipe,
    images: ImageTable,
    statistics: ImageStatistics,
    folds: Folds,
    runtime: Runtime,
    said: Gathered,
) -> Choices:
    """The choices of a recipe.

    Args:
        recipe: Its `ensemble`, `calibrate` and `decide` sections.
        images: The table.
        statistics: Of every image; a stack looks at them.
        folds: Know what is tied to what.
        runtime: Threads, and where a stack keeps its finished classes.
        said: What the members say, and in how many readings.

    Raises:
        InputError: A table that a section names does not fit.
    """
    facts = sample_facts(images, statistics, folds.independent_groups)
    names = tuple(member.name for member in said.members)
    machine = (recipe.seed, runtime.thread_count, runtime.store / "stack")
    usual = WeightedSpec(kind="weighted") if said.oof and len(names) > 1 else MeanSpec()
    ensemble = EnsembleChoice(recipe.ensemble or usual, names, images.kind, recipe.metric, facts, machine)
    calibration = (
        None if recipe.calibrate is None else CalibrationChoice(recipe.calibrate, images.kind, ranks=images.ranks)
    )
    known = DecisionFacts(images.classes, images.kind, recipe.metric, recipe.seed, facts.units)
    if isinstance(recipe.decide, AssignSpec):
        section = recipe.decide
        places = _places(images, section.one_class_per, "one_class_per")
        own = section.unique_set_per
        set_places = None if own is None else _places(images, own, "unique_set_per")
        known = replace(known, places=places, sets=_class_sets(images, section), set_places=set_places)
    if isinstance(recipe.decide, PriorSpec):
        known = replace(known, unscored=_unscored_labels(images, folds))
    if isinstance(recipe.decide, PriorSpec) and recipe.decide.like is not None:
        known = replace(known, shares=tuple(label_shares(recipe.data, recipe.decide.like, images.classes)))
    readings = PooledChoice(ensemble, tuple(said.pools), tuple(said.specialised))
    return Choices(readings, calibration, DecisionChoice(recipe.decide, known))


def choose(
    choices: Choices, oof: Sequence[OofPredictions], test: Sequence[TestPredictions], nested: NestedScore | None,
    images: ImageTable,
) -> Chosen:  # fmt: skip
    """Fit every choice to all out-of-fold scores, and decide the samples to predict.

    Args:
        choices: From `list_choices`.
        oof: Out-of-fold scores, one entry a member and pooling; empty where nothing can be learnt.
        test: Scores of the samples to predict, one entry a member and pooling; empty where there are none.
        nested: The honest score, which holds what the choices make of samples they were not fitted on.
        images: The table.
    """
    if oof and nested is not None:
        units = (
            choices.ensemble.inner.facts.units[oof[0].samples]
            if choices.ensemble.inner.facts
            else np.arange(len(nested.truth))
        )
        seed = choices.decision.facts.seed
        chain = fit_chain(choices.chain, oof, nested.truth, oof[0].folds, units, seed)
    else:
        chain = FittedChain(_unlearnt(choices, images))
    steps = list(chain.steps)
    ensemble, decision = steps[0].ensemble, steps[-1].decision  # type: ignore[attr-defined]
    calibration = steps[1].calibration if len(steps) > 2 else Calibration()  # type: ignore[attr-defined]
    together = None if nested is None else replace(oof[0], logits=nested.logits)
    chosen = Chosen(ensemble, calibration, decision, chain, together)
    if not test:
        return chosen
    made = chain.apply(test)
    answer = replace(test[0], logits=as_scores(made[-2]))
    return replace(chosen, decision=fitted_to_scores(decision, answer.logits), answer=answer, decided=made[-1])


def sample_facts(images: ImageTable, statistics: ImageStatistics, component: Integers | None = None) -> SampleFacts:
    """What is known of samples beside their scores.

    Args:
        images: The table.
        statistics: Of every image.
        component: What is tied to what, by sample; nothing where none is given.
    """
    names, table = image_features(statistics.frame)
    count = len(images.samples)
    known = np.isfinite(table)
    sums, seen = np.zeros((count, len(names))), np.zeros((count, len(names)))
    np.add.at(sums, images.sample_numbers, np.where(known, table, 0))
    np.add.at(seen, images.sample_numbers, known)
    features: Floats = np.where(seen > 0, sums / np.maximum(seen, 1), np.nan).astype(np.float32)
    units = np.arange(count) if component is None or not len(component) else component
    return SampleFacts(tuple(names), features, tuple(images.samples.frame["domain"].to_list()), units)


def _unlearnt(choices: Choices, images: ImageTable) -> tuple:  # type: ignore[type-arg]
    """The choices where no sample was scored out of fold: only those that learn nothing."""
    truth = images.samples.label_matrix(images.samples.of_role("train"))
    facts = choices.decision.facts
    if facts.shares is None:
        facts = replace(facts, shares=tuple((truth.counts() / max(len(truth), 1)).tolist()))
    if choices.calibration is not None:
        raise RecipeError("a calibration is fitted to out-of-fold scores, and there are none", field="calibrate",
                          remedy="give `predictions.oof`, or write null")  # fmt: skip
    decision = replace(choices.decision, facts=facts).fit(None, None)
    if choices.ensemble.learns:
        raise RecipeError("the pooling of views is chosen by out-of-fold scores, and there are none",
                          field="members.predict.pool", remedy="name one")  # fmt: skip
    readings = tuple(Reading(place, own[0]) for place, own in enumerate(choices.ensemble.pools))
    return FittedPools(plain_ensemble(choices.ensemble.inner), readings), decision


def _unscored_labels(images: ImageTable, folds: Folds) -> tuple[Integers, int]:
    """How often each class comes among the training samples of folds that are not used, and how many have labels."""
    training = np.setdiff1d(images.samples.of_role("train"), folds.left_out)
    known = images.samples.frame["labels"].gather(training).is_not_null().to_numpy()
    rest = training[known & ~np.isin(folds.fold_of_sample[training], folds.used)]
    return images.samples.label_matrix(rest).counts().astype(np.int64), len(rest)


def _places(images: ImageTable, name: str, key: str) -> Integers:
    column = f"group.{name}"
    frame = images.samples.frame
    if column not in frame.columns:
        known = [name.removeprefix("group.") for name in frame.columns if name.startswith("group.")]
        raise RecipeError("it is no group column", field=f"decide.{key}", value=name,
                          allowed=known, remedy="list it in data.groups")  # fmt: skip
    return place_numbers(frame[column])


def place_numbers(column: pl.Series) -> Integers:
    """Plates as numbers from 0; -1 where one is unknown.

    Args:
        column: Their names, one a sample.
    """
    return np.asarray(column.rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1)


def _class_sets(images: ImageTable, spec: AssignSpec) -> tuple[tuple[int, ...], ...]:
    if spec.sets is None:
        return ()
    table = read_table(spec.sets, "decide.sets")
    lacking = [name for name in ("name", "set") if name not in table.columns]
    if lacking:
        raise DataError(
            f"there is no column {lacking[0]!r} in {spec.sets!r}", field="decide.sets", allowed=table.columns
        )
    number = {name: place for place, name in enumerate(images.classes)}
    unknown = [name for name in table["name"] if name not in number]
    absent = sorted(set(images.classes) - set(table["name"]))
    if unknown or absent:
        what = (
            f"names {listing(unknown, 5)}, which are no classes" if unknown else f"does not name {listing(absent, 5)}"
        )
        raise DataError(f"the table {spec.sets!r} {what}", field="decide.sets")
    by_set = table.group_by("set", maintain_order=True).agg(pl.col("name"))
    return tuple(tuple(number[name] for name in names) for names in by_set["name"])
