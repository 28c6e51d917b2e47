"""Independent groups: what folds, bootstraps and cross-fitting count."""

from __future__ import annotations

import networkx
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotype.core.errors import HolotypeError
from holotype.core.independence import independent_groups
from holotype.evaluation import score_nested, score_subset, step_effects
from holotype.evaluation.metrics import ScoredSamples, resample_groups
from holotype.recipe.sections import SplitSpec
from holotype.split import empty_folds, make_folds
from holotype.types import AuditReport, Folds, ImageTable, Integers, OofPredictions

NO_CONFLICTS = pl.DataFrame(schema={"cluster": pl.Int64, "ids": pl.List(pl.String), "labels": pl.List(pl.String)})


def table(count: int, roles: list[str] | None = None, **columns: list[str | None]) -> ImageTable:
    ids = [f"i{number}" for number in range(count)]
    frame = pl.DataFrame(
        {
            "id": ids,
            "sample": ids,
            "role": roles or ["train"] * count,
            "files": [[name] for name in ids],
            "labels": [[number % 2] for number in range(count)],
            "domain": pl.Series([None] * count, dtype=pl.String),
            **{f"group.{name}": pl.Series(values, dtype=pl.String) for name, values in columns.items()},
        }
    )
    return ImageTable(frame, ("a", "b"), "multiclass")


def audit(clusters: list[list[int]], action: str = "grouped") -> AuditReport:
    rows = [(number, row, f"i{row}", "train", action) for number, own in enumerate(clusters) for row in own]
    schema = {"cluster": pl.Int64, "row": pl.Int64, "id": pl.String, "role": pl.String, "action": pl.String}
    return AuditReport(pl.DataFrame(rows, schema=schema, orient="row"), NO_CONFLICTS, np.empty(0, np.int64))


def same_partition(first: Integers, second: Integers) -> bool:
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    return len(pairs) == len(set(first.tolist())) == len(set(second.tolist()))


def nested_of(images: ImageTable, folds: Folds, choices: list[object]) -> object:
    samples = images.samples.of_role("train")
    samples = samples[np.isin(folds.fold_of_sample[samples], folds.used)]
    logits = np.random.default_rng(3).normal(size=(len(samples), 2)).astype(np.float32)
    oof = OofPredictions(samples, logits, folds.fold_of_sample[samples])
    return score_nested([oof], images.samples, folds, choices, "accuracy", 1)  # type: ignore[arg-type]


class Mean:
    name, learns = "the mean", False

    def fit(self, _evidence, _truth, /):
        return lambda models: models[0].logits


class Memory:
    """A decision that remembers which samples it learned from and which it was applied to."""

    name = "the memory"

    def __init__(self) -> None:
        self.log: list[tuple[set[int], set[int]]] = []

    def fit(self, evidence, _truth, /):
        learned = set(evidence.samples.tolist())

        def apply(scores):
            self.log.append((learned, set(scores.samples.tolist())))
            return scores.logits > 0

        return apply


def random_world(seed: int) -> tuple[ImageTable, AuditReport]:
    generator = np.random.default_rng(seed)
    count = 60

    def column(values: int) -> list[str | None]:
        return [f"v{number}" if number < values else None for number in generator.integers(0, 2 * values, count)]

    roles = generator.choice(["train", "external"], count, p=[0.85, 0.15]).tolist()
    images = table(count, roles, plate=column(45), patient=column(45))
    twins = generator.choice(count, 15, replace=False).reshape(5, 3).tolist()
    return images, audit(twins)


@given(st.integers(0, 10_000), st.sampled_from([(), ("groups",), ("duplicates",), ("groups", "duplicates")]))
def test_groups_are_the_components_of_the_graph_of_columns_and_duplicates_whatever_the_split_keeps(seed, by):
    images, report = random_world(seed)
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(images)))
    for name in ("group.plate", "group.patient"):
        values = enumerate(images.frame[name])
        graph.add_edges_from((row, (name, value)) for row, value in values if value is not None)
    graph.add_edges_from((row, ("cluster", number)) for number, row in report.clusters.select("cluster", "row").rows())
    expected = np.zeros(len(images), np.int64)
    for number, part in enumerate(networkx.connected_components(graph)):
        expected[[node for node in part if isinstance(node, int)]] = number
    folds = make_folds(images, report, SplitSpec(folds=2, keep_together=list(by)), seed)
    assert same_partition(folds.independent_groups, expected)
    if len(by) == 2:
        assert same_partition(folds.component, expected)


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from(["all", [1]]))
def test_folds_bootstrap_and_cross_fitting_count_the_same_groups(seed, used):
    images, report = random_world(seed)
    folds = make_folds(images, report, SplitSpec(folds=3, folds_to_train=used), seed)
    memory = Memory()
    nested = nested_of(images, folds, [Mean(), memory])
    groups = folds.groups_of(nested.samples)
    count = len(np.unique(groups))
    metric = nested.scorecard.metrics["accuracy"]
    assert metric.groups == count
    for learned, applied in memory.log:
        if learned != applied:
            assert not set(folds.groups_of(np.array(sorted(learned)))) & set(folds.groups_of(np.array(sorted(applied))))
    for fold in folds.used:
        inside = folds.fold_of_sample[nested.samples] == fold
        assert not set(groups[inside]) & set(groups[~inside])
    judged = ScoredSamples(nested.truth, nested.decided, nested.logits, "multiclass")
    assert score_subset(judged, groups, "accuracy", 1)["accuracy"].groups == count
    ledger = step_effects([("one", nested.decided, nested.logits)], nested.truth, "multiclass", groups, "accuracy", 1)
    assert (ledger[0]["low"], ledger[0]["high"]) == (metric.low, metric.high)


def test_copies_without_a_group_column_are_resampled_as_one():
    """Forty-two fields of five frames: the interval is that of the fields, not of the frames."""
    generator = np.random.default_rng(7)
    field = np.repeat(np.arange(42), 5)
    right = (generator.random(42) < 0.75)[field]
    named = table(210, field=[f"f{number}" for number in field])
    bare = table(210)
    clusters = [np.flatnonzero(field == number).tolist() for number in range(42)]
    intervals = []
    for images, report in ((bare, audit(clusters)), (named, audit([])), (named, audit(clusters))):
        folds = make_folds(images, report, SplitSpec(folds=3), 1)
        truth = images.samples.matrix(np.arange(210))
        decided = np.where(right[:, None], truth, ~truth)
        judged = ScoredSamples(truth, decided, decided.astype(np.float32), "multiclass")
        intervals.append(score_subset(judged, folds.groups_of(np.arange(210)), "accuracy", 1)["accuracy"])
    assert [one.groups for one in intervals] == [42, 42, 42]
    assert len({(one.low, one.high) for one in intervals}) == 1

    drawn = np.random.default_rng(1).integers(0, 42, (4000, 42))  # a cluster bootstrap by hand
    low, high = np.quantile(right.reshape(42, 5)[:, 0][drawn].mean(axis=1), [0.025, 0.975])
    assert (intervals[0].low, intervals[0].high) == pytest.approx((low, high), abs=0.04)


def test_duplicates_that_the_split_lets_cross_are_one_group_all_the_same():
    images = table(8)
    for report, spec in (
        (audit([[0, 1], [2, 3]], "kept"), SplitSpec(folds=2)),
        (audit([[0, 1], [2, 3]]), SplitSpec(folds=2, keep_together=["groups"])),
    ):
        folds = make_folds(images, report, spec, 1)
        assert len(set(folds.component.tolist())) == 8
        assert len(set(folds.independent_groups.tolist())) == 6


def test_samples_of_two_parts_never_tie_each_other():
    images = table(4, plate=["p", "p", "p", "p"])
    groups = independent_groups(images, audit([]).clusters, parts=np.array([0, 1, 0, -1]))
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 3


def test_folds_that_do_not_know_the_groups_score_nothing():
    assert empty_folds(table(3)).groups_of(np.arange(3)).tolist() == [0, 1, 2]
    with pytest.raises(HolotypeError, match="independent groups"):
        Folds(pl.DataFrame(), np.zeros(3, np.int64), 1, (0,)).groups_of(np.arange(3))


def test_groups_of_one_sample_each_are_called_samples():
    truth = np.eye(2, dtype=bool)[[0, 1, 0, 1]]
    assert resample_groups(truth, np.arange(4), 1).unit == "samples"
    assert resample_groups(truth, np.array([0, 0, 1, 1]), 1).unit == "groups"
