"""What a run came to, written as the files of its folder."""

from __future__ import annotations

import platform
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import polars as pl

from holotype.decide import decide_plainly, decision_to_json
from holotype.ensemble import ensemble_to_json
from holotype.errors import counted
from holotype.members import Workshop, histories
from holotype.metrics import Judged, calibration_table
from holotype.prepared import Prepared
from holotype.recipe import Recipe, dump_recipe
from holotype.report import DataContents, PictureContents, ReportContents, write_report
from holotype.road.answers import write_answers
from holotype.road.charted import class_curves, class_links, finder_curves
from holotype.road.difference import review_contents
from holotype.road.exhibits import duplicate_pairs, how_members_become_one, member_pairs, mistakes, specimens, suspects
from holotype.road.outcome import Outcome
from holotype.road.pictures import pictures_of
from holotype.road.provenance import how_it_was_run, optional_work
from holotype.runs import RunFolder
from holotype.runtime import Runtime, version_of
from holotype.score import (
    Against,
    NestedScore,
    Step,
    confusion_counts,
    make_ledger,
    score_apart,
    score_without,
    scorecard_to_json,
)
from holotype.store import Stages
from holotype.submit import write_scores
from holotype.table_files import read_parquet, write_table
from holotype.types import Integers, Metric, Scorecard, same_labels

__all__ = ["write_audit", "write_audit_page", "write_outcome", "write_page"]

VERSIONED = ("holotype", "torch", "timm", "lightning-fabric", "numpy", "polars", "scikit-learn", "lightgbm")


def write_outcome(outcome: Outcome, folder: RunFolder, recipe: Recipe) -> None:
    """Write every file of the run's folder but its report: the earlier run's are replaced when all are written.

    Args:
        outcome: From the pipeline.
        folder: Where to.
        recipe: The recipe.
    """
    chosen = outcome.chosen
    with folder.replaced() as new:
        new.write_text("recipe.yaml", dump_recipe(recipe, folder.root))
        table = outcome.prepared.images.frame
        table = folder.portable(table) if recipe.names_images_relatively else table
        write_table(table, new.path("images.parquet"))
        _write_tables(outcome, new)
        _write_members(outcome, new)
        write_answers(outcome, new, recipe.data, recipe.submit)
        new.write_json("decision.json", decision_to_json(chosen.decision, chosen.calibration))
        new.write_json("ensemble.json", ensemble_to_json(chosen.ensemble))
        nested = outcome.nested
        scorecard = Scorecard({}, [], [], [], []) if nested is None else _scorecard(outcome, nested, recipe)
        how = {"how": "no sample has an out-of-fold score; nothing was scored"} if nested is None else {}
        new.write_json("scores.json", scorecard_to_json(scorecard) | how)


def write_page(outcome: Outcome, folder: RunFolder, recipe: Recipe, stages: Stages, runtime: Runtime) -> None:
    """Write the run's report; whatever fails in it is told, and costs the run nothing.

    Args:
        outcome: From the pipeline.
        folder: The run's, already written.
        recipe: The recipe.
        stages: For the time that each stage took, and the command that makes the report later.
        runtime: For the report's facts.
    """
    with optional_work("the report", stages):
        contents: DataContents | ReportContents
        if outcome.nested is None:
            contents = DataContents(name=recipe.name, **_data_contents(outcome.prepared))
        else:
            contents = _contents(
                outcome, outcome.nested, _scorecard(outcome, outcome.nested, recipe), recipe, (stages, runtime)
            )
        write_report(folder.path("report.html"), contents)


def _scorecard(outcome: Outcome, nested: NestedScore, recipe: Recipe) -> Scorecard:
    return replace(_with_ledger(outcome, nested, recipe), apart=_apart(outcome, nested, recipe))


def write_audit(ready: Prepared, folder: RunFolder) -> None:
    """Write what was found in the images into the run's folder `audit`.

    Args:
        ready: From `prepare`.
        folder: Where to.
    """
    write_table(ready.statistics.frame, folder.path("audit/statistics.parquet"))
    for name in ("clusters", "links", "conflicts", "problems", "class_links"):
        write_table(getattr(ready.audit, name), folder.path(f"audit/{name}.parquet"))
    if ready.folds.likeness.height:
        write_table(ready.folds.likeness, folder.path("audit/likeness.parquet"))
        write_table(ready.folds.separating, folder.path("audit/separating.parquet"))
    folder.write_json("audit/warnings.json", list(ready.warnings))


def write_audit_page(ready: Prepared, folder: RunFolder, name: str) -> None:
    """Write what was found in the data as a page, where nothing was trained.

    Args:
        ready: From `prepare`.
        folder: Where to.
        name: The recipe's name.
    """
    write_report(folder.path("audit/report.html"), DataContents(name=name, **_data_contents(ready)))


def _data_contents(ready: Prepared) -> dict[str, Any]:
    images, folds = ready.images, ready.folds
    scored = np.flatnonzero((folds.fold_of_sample >= 0) & (images.samples.frame["role"] == "train").to_numpy())
    fold, truth = folds.fold_of_sample[scored], images.samples.label_matrix(scored)
    return {
        "classes": images.classes,
        "audit": ready.audit,
        "folds": folds,
        "warnings": ready.warnings,
        "channels": images.channels,
        "fold_counts": np.stack([truth.rows(fold == number).counts() for number in range(folds.count)]),
        "pairs": duplicate_pairs(ready),
        "statistics": ready.statistics.frame.with_columns(images.frame["role"]),
    }


def _with_ledger(outcome: Outcome, nested: NestedScore, recipe: Recipe) -> Scorecard:
    """The scorecard with what each step bought: every member by itself, their ensemble, calibration, decision."""
    chosen = outcome.chosen
    kind = chosen.decision.kind
    steps: list[Step] = []
    against: list[Against] = []
    for member, oof in zip(outcome.members, outcome.oof, strict=True):
        alone = outcome.gathered.plain.get(member.name)
        if alone is not None:
            steps.append((f"{member.name}, one view", decide_plainly(alone.logits, kind), alone.logits))
            against.append("nothing")
        name = member.name if alone is None else f"{member.name}, all views"
        steps.append((name, decide_plainly(oof.logits, kind), oof.logits))
        against.append("nothing" if alone is None else "before")
    if len(outcome.members) > 1 or chosen.ensemble.kind == "stack":
        together = nested.steps[0]
        steps.append((f"{chosen.ensemble.kind} of {len(outcome.members)}", decide_plainly(together, kind), together))
        against.append("best")
    if chosen.calibration.method is not None:
        steps.append((f"calibration: {chosen.calibration.method}", decide_plainly(nested.logits, kind), nested.logits))
    if not same_labels(steps[-1][1], nested.decided):
        steps.append((f"decision: {chosen.decision.rule}", nested.decided, nested.logits))
    groups = outcome.prepared.folds.groups_of(nested.samples)
    ledger = make_ledger(steps, nested.truth, kind, groups, recipe.metric, recipe.seed, against=against)
    return replace(nested.scorecard, ledger=ledger)


def _apart(outcome: Outcome, nested: NestedScore, recipe: Recipe) -> dict[str, dict[str, Metric]]:
    """Scores of the samples that are no duplicate of any other, of the validation set of its own, and by old labels."""
    ready = outcome.prepared
    samples, kind = ready.images.samples, ready.images.kind
    judged = Judged(nested.truth, nested.decided, nested.logits, kind)
    repeated = np.isin(nested.samples, ready.images.sample_numbers[ready.audit.clusters["row"].to_numpy()])
    groups = ready.folds.groups_of(nested.samples)
    found = {"without duplicates": score_without(repeated, judged, groups, recipe.metric, recipe.seed)}
    if outcome.apart is not None:
        own, logits = outcome.apart.samples, outcome.apart.logits
        alone = Judged(samples.truth(own), outcome.chosen.chain.steps[-1](outcome.apart), logits, kind)
        found["external like test"] = score_apart(alone, ready.folds.groups_of(own), recipe.metric, recipe.seed)
    if outcome.review is not None:
        found["labels before the review"] = outcome.review.before
    return {name: metrics for name, metrics in found.items() if metrics}


def _write_tables(outcome: Outcome, folder: RunFolder) -> None:
    ready = outcome.prepared
    write_table(ready.folds.frame, folder.path("folds.parquet"))
    write_table(pl.DataFrame({"name": list(ready.images.classes)}), folder.path("classes.csv"))
    write_audit(ready, folder)
    write_table(outcome.suspects, folder.path("audit/suspects.parquet"))
    if outcome.review is not None:
        folder.write_json("audit/review.json", asdict(outcome.review))


def _write_members(outcome: Outcome, folder: RunFolder) -> None:
    pairs = [] if outcome.nested is None else member_pairs(outcome, outcome.nested)
    if pairs:
        write_table(pl.DataFrame(pairs), folder.path("members/diversity.csv"))
    for number, member in enumerate(outcome.members):
        own = f"members/{member.name}"
        for place, network in member.folders().items():
            folder.adopt(f"{own}/{place}", network)
        if member.nearest.height:
            write_table(member.nearest, folder.path(f"{own}/nearest.parquet"))
        if outcome.oof:
            oof = outcome.oof[number]
            write_scores(folder.path(f"{own}/oof.parquet"), _ids(outcome, oof.samples), oof.logits)
        if outcome.test:
            test = outcome.test[number]
            write_scores(folder.path(f"{own}/test.parquet"), _ids(outcome, test.samples), test.logits)


def _contents(
    outcome: Outcome, nested: NestedScore, scorecard: Scorecard, recipe: Recipe, how: tuple[Stages, Runtime]
) -> ReportContents:
    ready = outcome.prepared
    pictured = ready.images.has_files
    workshop = Workshop(ready, recipe.seed, *how, recipe.data.pack)
    counts = confusion_counts(nested.truth, nested.decided, ready.images.kind)
    return ReportContents(
        name=recipe.name,
        metric=recipe.metric,
        kind=ready.images.kind,
        scorecard=scorecard,
        counts=counts,
        histories={name: read_parquet(path) for name, path in histories(outcome.members).items()},
        mistakes=mistakes(outcome, nested) if pictured else [],
        samples=specimens(outcome, nested) if pictured else [],
        recipe=dump_recipe(recipe, how[0].log.path.parent),
        facts=_facts(*how),
        finders=finder_curves(outcome.members),
        provenance=how_it_was_run(how[0], dump_recipe(recipe, how[0].log.path.parent)),
        suspects=suspects(outcome, nested) if pictured else (),
        reliability=calibration_table(nested.truth, nested.logits, ready.images.kind),
        ensemble=how_members_become_one(outcome, nested),
        curves=class_curves(nested, outcome.chosen.decision),
        links=class_links(nested, counts, ready.images.kind),
        pictures=_pictures(outcome, nested, recipe, workshop) if pictured else None,
        review=None if outcome.review is None else review_contents(outcome.review, recipe.metric),
        **_data_contents(ready),
    )


def _pictures(outcome: Outcome, nested: NestedScore, recipe: Recipe, workshop: Workshop) -> PictureContents | None:
    """The report's map, heat maps and views; a report without them is better than none."""
    with optional_work("the pictures of the report", workshop.stages):
        return pictures_of(outcome, nested, recipe.report, recipe.members, workshop)
    return None


def _ids(outcome: Outcome, samples: Integers) -> pl.Series:
    return outcome.prepared.images.samples.frame["sample"].gather(samples)


def _facts(stages: Stages, runtime: Runtime) -> dict[str, str]:
    facts = {name: version_of(name) or "not installed as a package" for name in VERSIONED}
    facts["Python"] = platform.python_version()
    threads = counted(runtime.thread_count, "thread")
    facts["machine"] = f"{platform.system()} {platform.machine()}, {threads}, device {runtime.device}"
    return facts | stages.facts
