"""What a run came to, written as the files of its folder."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.data import read_image
from holotype.decide import decide_plainly, decision_to_json, label_names, probabilities
from holotype.members import MemberPredictions, histories
from holotype.recipe import Recipe, dump_recipe
from holotype.report import Mistake, ReportContents, Specimen, write_report
from holotype.runs import RunFolder
from holotype.runtime import Runtime
from holotype.score import NestedScore, Step, confusion_counts, make_ledger, scorecard_to_json
from holotype.store import Stages
from holotype.submit import prediction_table, submission_table, write_scores, write_table
from holotype.types import (
    AuditReport,
    Decision,
    Ensemble,
    Folds,
    ImageStatistics,
    ImageTable,
    Integers,
    OofPredictions,
    Scorecard,
    TestPredictions,
)

__all__ = ["Outcome", "Prepared", "write_audit", "write_outcome"]

MISTAKES_SHOWN, SPECIMENS_SHOWN = 36, 48
VERSIONED = ("holotype", "torch", "timm", "lightning-fabric", "numpy", "polars", "scikit-learn")


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before anything is trained.

    Args:
        images: The table.
        statistics: Of every image.
        audit: What was found in them.
        folds: How they are divided.
        warnings: Sentences for people, of all these stages.
    """

    images: ImageTable
    statistics: ImageStatistics
    audit: AuditReport
    folds: Folds
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Args:
        prepared: What was known before training.
        members: What each member's networks say.
        oof: Out-of-fold scores, one entry a member.
        test: Test scores, one entry a member; empty without a test table.
        ensemble: How members become one.
        decision: How scores become labels.
        nested: The honest score, and what it was computed from.
        together: The ensemble's out-of-fold scores.
        answer: The ensemble's test scores.
        decided: The test samples' labels, shape (n, classes).
    """

    prepared: Prepared
    members: list[MemberPredictions]
    oof: list[OofPredictions]
    test: list[TestPredictions]
    ensemble: Ensemble
    decision: Decision
    nested: NestedScore
    together: OofPredictions
    answer: TestPredictions | None
    decided: NDArray[np.bool_] | None


def write_outcome(outcome: Outcome, folder: RunFolder, recipe: Recipe, stages: Stages, runtime: Runtime) -> None:
    """Write every file of the run's folder.

    Args:
        outcome: From the pipeline.
        folder: Where to.
        recipe: The recipe.
        stages: For the time that each stage took.
        runtime: For the report's facts.
    """
    scorecard = _with_ledger(outcome, recipe)
    _write_tables(outcome, folder)
    _write_members(outcome, folder)
    _write_answers(outcome, folder, recipe)
    folder.write_json("decision.json", decision_to_json(outcome.decision))
    folder.write_json("scores.json", scorecard_to_json(scorecard))
    write_report(folder.path("report.html"), _contents(outcome, scorecard, recipe, stages, runtime))


def write_audit(ready: Prepared, folder: RunFolder) -> None:
    """Write what was found in the images into the run's folder `audit`.

    Args:
        ready: From `prepare`.
        folder: Where to.
    """
    write_table(folder.path("audit/statistics.parquet"), ready.statistics.frame)
    write_table(folder.path("audit/clusters.parquet"), ready.audit.clusters)
    write_table(folder.path("audit/conflicts.parquet"), ready.audit.conflicts)
    folder.write_json("audit/warnings.json", list(ready.warnings))


def _with_ledger(outcome: Outcome, recipe: Recipe) -> Scorecard:
    """The scorecard with what each step bought: every member by itself, their ensemble, the decision."""
    kind, nested = outcome.decision.kind, outcome.nested
    steps: list[Step] = [
        (member.name, decide_plainly(oof.logits, kind), oof.logits)
        for member, oof in zip(outcome.members, outcome.oof, strict=True)
    ]
    if len(steps) > 1:
        steps.append((f"{outcome.ensemble.kind} of {len(steps)}", decide_plainly(nested.logits, kind), nested.logits))
    if not np.array_equal(steps[-1][1], nested.decided):
        steps.append((f"decision: {outcome.decision.rule}", nested.decided, nested.logits))
    ledger = make_ledger(steps, outcome.prepared.images.samples, nested.samples, recipe.metric, recipe.seed)
    return replace(nested.scorecard, ledger=ledger)


def _write_tables(outcome: Outcome, folder: RunFolder) -> None:
    ready = outcome.prepared
    write_table(folder.path("images.parquet"), ready.images.frame)
    write_table(folder.path("folds.parquet"), ready.folds.frame)
    write_table(folder.path("classes.csv"), pl.DataFrame({"name": list(ready.images.classes)}))
    write_audit(ready, folder)


def _write_members(outcome: Outcome, folder: RunFolder) -> None:
    folder.forget("members")
    for number, member in enumerate(outcome.members):
        for network, said in zip(member.networks, member.oof, strict=True):
            folder.adopt(f"members/{member.name}/fold{said.fold}", network)
        own = f"members/{member.name}"
        write_scores(
            folder.path(f"{own}/oof.parquet"), _ids(outcome, outcome.oof[number].samples), outcome.oof[number].logits
        )
        if outcome.test:
            test = outcome.test[number]
            write_scores(folder.path(f"{own}/test.parquet"), _ids(outcome, test.samples), test.logits)


def _write_answers(outcome: Outcome, folder: RunFolder, recipe: Recipe) -> None:
    images, submit = outcome.prepared.images, recipe.submit
    write_scores(folder.path("oof.parquet"), _ids(outcome, outcome.together.samples), outcome.together.logits)
    samples, logits, decided = outcome.together.samples, outcome.together.logits, outcome.nested.decided
    if outcome.answer is not None and outcome.decided is not None:
        samples, logits, decided = outcome.answer.samples, outcome.answer.logits, outcome.decided
        write_scores(folder.path("test.parquet"), _ids(outcome, samples), logits)
    names = label_names(decided, images.classes)
    said = probabilities(logits, images.kind)
    table = prediction_table(_ids(outcome, samples), names, said, images.classes, submit.separator)
    write_table(folder.path("predictions.csv"), table)
    for name in ("test.parquet", "submission.csv") if outcome.answer is None else ():
        folder.forget(name)
    if outcome.answer is not None:
        id_column = submit.id or recipe.data.sample or recipe.data.id
        column = submit.column or recipe.data.labels.column
        submission = submission_table(images.samples, samples, names, id_column, column, submit.separator)
        write_table(folder.path("submission.csv"), submission)


def _contents(
    outcome: Outcome, scorecard: Scorecard, recipe: Recipe, stages: Stages, runtime: Runtime
) -> ReportContents:
    ready, nested = outcome.prepared, outcome.nested
    images, folds = ready.images, ready.folds
    fold = folds.fold_of_sample[nested.samples]
    return ReportContents(
        name=recipe.name,
        metric=recipe.metric,
        kind=images.kind,
        classes=images.classes,
        scorecard=scorecard,
        counts=confusion_counts(nested.truth, nested.decided, images.kind),
        histories={name: pl.read_parquet(path) for name, path in histories(outcome.members).items()},
        mistakes=_mistakes(outcome),
        samples=_specimens(outcome),
        audit=ready.audit,
        folds=folds,
        warnings=ready.warnings,
        recipe=dump_recipe(recipe),
        facts=_facts(stages, runtime),
        channels=images.channels,
        fold_counts=np.stack([nested.truth[fold == number].sum(axis=0) for number in range(folds.count)]),
    )


def _mistakes(outcome: Outcome) -> list[Mistake]:
    """The samples whose wrong labels the run is surest of, the surest first."""
    nested, images = outcome.nested, outcome.prepared.images
    said = probabilities(nested.logits, images.kind)
    too_much = np.where(nested.decided & ~nested.truth, said, 0).max(axis=1)
    too_little = np.where(~nested.decided & nested.truth, 1 - said, 0).max(axis=1)
    surest = np.maximum(too_much, too_little)
    wrong = np.flatnonzero((nested.decided != nested.truth).any(axis=1))
    shown = wrong[np.argsort(-surest[wrong], kind="stable")][:MISTAKES_SHOWN]
    truths, decisions = (label_names(array[shown], images.classes) for array in (nested.truth, nested.decided))
    return [
        Mistake(
            id=str(images.samples.frame["sample"][int(nested.samples[row])]),
            fold=int(outcome.prepared.folds.fold_of_sample[nested.samples[row]]),
            truth=tuple(truth),
            decided=tuple(decided),
            confidence=float(surest[row]),
            pixels=_pixels(outcome, int(nested.samples[row])),
        )
        for row, truth, decided in zip(shown, truths, decisions, strict=True)
    ]


def _specimens(outcome: Outcome) -> list[Specimen]:
    """One sample a class, the one that the run is surest of among those it got right."""
    nested, images = outcome.nested, outcome.prepared.images
    right = (nested.decided == nested.truth).all(axis=1)
    chosen: list[int] = []
    for number in range(min(len(images.classes), SPECIMENS_SHOWN)):
        scores = np.where(nested.truth[:, number], nested.logits[:, number] + 1e3 * right, -np.inf)
        if np.isfinite(scores.max()):
            chosen.append(int(scores.argmax()))
    rows = list(dict.fromkeys(chosen))
    return [
        Specimen(
            str(images.samples.frame["sample"][int(nested.samples[row])]),
            tuple(names),
            _pixels(outcome, int(nested.samples[row])),
        )
        for row, names in zip(rows, label_names(nested.truth[rows], images.classes), strict=True)
    ]


def _pixels(outcome: Outcome, sample: int) -> NDArray[Any]:
    images = outcome.prepared.images
    return read_image(images.files_of_row(int(images.samples.first_rows[sample])))


def _ids(outcome: Outcome, samples: Integers) -> pl.Series:
    return outcome.prepared.images.samples.frame["sample"].gather(samples)


def _facts(stages: Stages, runtime: Runtime) -> dict[str, str]:
    facts = {name: _version(name) for name in VERSIONED}
    facts["Python"] = platform.python_version()
    facts["machine"] = (
        f"{platform.system()} {platform.machine()}, {runtime.thread_count} threads, device {runtime.device}"
    )
    spent = {name: seconds for name, seconds in stages.seconds.items() if seconds >= 0.05}
    facts |= {f"seconds: {name}": f"{seconds:.1f}" for name, seconds in spent.items()}
    return facts


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"
