"""From an image table to folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotype.core.errors import DataError
from holotype.recipe.sections import SplitSpec
from holotype.split import make_folds, share_deviation
from holotype.types import AuditReport, Folds, ImageTable

NO_CLUSTERS = pl.DataFrame(
    schema={"cluster": pl.Int64, "row": pl.Int64, "id": pl.String, "role": pl.String, "action": pl.String}
)
NO_CONFLICTS = pl.DataFrame(schema={"cluster": pl.Int64, "ids": pl.List(pl.String), "labels": pl.List(pl.String)})


def table(labels: Sequence, roles=None, samples=None, domain=None, **groups) -> ImageTable:
    count = len(labels)
    ids = [f"i{number}" for number in range(count)]
    columns = {
        "id": ids,
        "sample": samples or ids,
        "role": roles or ["train"] * count,
        "files": [[f"{name}.png"] for name in ids],
        "labels": pl.Series(labels, dtype=pl.List(pl.Int64)),
        "domain": pl.Series(domain or [None] * count, dtype=pl.String),
    }
    columns |= {f"group.{name}": pl.Series(values, dtype=pl.String) for name, values in groups.items()}
    return ImageTable(pl.DataFrame(columns), ("a", "b", "c"), "multiclass")


def report(clusters: Sequence[tuple[int, int, str]] = (), left_out: Sequence[int] = ()) -> AuditReport:
    rows = [
        {"cluster": number, "row": row, "id": f"i{row}", "role": "", "action": word} for number, row, word in clusters
    ]
    frame = pl.DataFrame(rows, schema=NO_CLUSTERS.schema)
    return AuditReport(frame, NO_CONFLICTS, np.array(left_out, dtype=np.int64))


def test_rows_come_in_the_order_of_the_table_and_test_rows_have_no_fold():
    images = table([[0], None, [1], [0], [1]], roles=["train", "test", "train", "train", "train"])
    folds = make_folds(images, report(), SplitSpec(folds=2), 1)
    assert folds.frame.columns == ["id", "sample", "fold", "role", "independent_group"]
    assert folds.frame["id"].to_list() == [f"i{number}" for number in range(5)]
    assert folds.frame["fold"].is_null().to_list() == [False, True, False, False, False]
    assert folds.fold_of_sample[1] == -1
    assert sorted(folds.fold_of_sample[[0, 2, 3, 4]]) == [0, 0, 1, 1]
    assert (folds.count, folds.used) == (2, (0, 1))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_no_group_and_no_duplicate_crosses_a_fold(seed, count):
    generator = np.random.default_rng(seed)
    rows = 60
    plates = [None if value > 25 else f"p{value}" for value in generator.integers(0, 35, rows)]
    roles = generator.choice(["train", "external", "test"], rows, p=[0.7, 0.2, 0.1]).tolist()
    twins = generator.choice(rows, 12, replace=False).reshape(4, 3)
    clusters = [
        (number, int(row), "grouped") for number, trio in enumerate(twins) for row in trio if roles[row] != "test"
    ]
    labels = [[int(value)] for value in generator.integers(0, 3, rows)]
    images = table(labels, roles=roles, plate=plates)
    folds = make_folds(images, report(clusters), SplitSpec(folds=count), seed)
    active = np.array(roles) != "test"
    holds = {name: set(folds.fold_of_sample[active & (np.array(plates) == name)]) for name in set(plates) - {None}}
    assert all(len(found) <= 1 for found in holds.values())
    for number in range(4):
        inside = [row for cluster, row, _ in clusters if cluster == number]
        assert len({int(fold) for fold in folds.fold_of_sample[inside]}) <= 1
    train = np.array(roles) == "train"
    assert set(folds.fold_of_sample[train]) == set(range(count))


def test_external_samples_follow_their_ties_and_train_everywhere_without_one():
    roles = ["train"] * 6 + ["external"] * 3
    plates = ["p0", "p1", "p2", "p3", "p4", "p5", "p2", None, "other"]
    images = table([[0]] * 9, roles=roles, plate=plates)
    folds = make_folds(images, report([(0, 4, "grouped"), (0, 7, "grouped")]), SplitSpec(folds=3), 1)
    assert folds.fold_of_sample[6] == folds.fold_of_sample[2]
    assert folds.fold_of_sample[7] == folds.fold_of_sample[4]
    assert folds.fold_of_sample[8] == -1
    assert folds.frame["fold"][8] == -1


def test_an_external_sample_between_two_groups_joins_them():
    roles = ["train"] * 6 + ["external"]
    images = table(
        [[0]] * 7,
        roles=roles,
        plate=["p0", "p1", "p2", "p3", "p4", "p5", "p0"],
        patient=["a", "b", "c", "d", "e", "f", "f"],
    )
    for seed in range(5):
        folds = make_folds(images, report(), SplitSpec(folds=5), seed)
        assert folds.fold_of_sample[0] == folds.fold_of_sample[5] == folds.fold_of_sample[6]


def test_test_samples_join_nothing():
    images = table([[0], [0], None], ["train", "train", "test"], plate=["p0", "p1", "p0"], patient=["a", "b", "b"])
    assert set(make_folds(images, report(), SplitSpec(folds=2), 1).fold_of_sample[:2]) == {0, 1}


def test_only_grouped_duplicates_are_tied():
    images = table([[0], [0]])
    with pytest.raises(DataError, match="1 independent group"):
        make_folds(images, report([(0, 0, "grouped"), (0, 1, "grouped")]), SplitSpec(folds=2), 1)
    assert set(make_folds(images, report([(0, 0, "kept"), (0, 1, "kept")]), SplitSpec(folds=2), 1).fold_of_sample) == {
        0,
        1,
    }


def test_what_the_audit_left_out_has_no_fold_and_ties_nothing():
    images = table([[0]] * 5, plate=["p0", "p0", "p1", "p1", "p2"], patient=["a", "b", "b", "c", "d"])
    folds = make_folds(images, report(left_out=[1]), SplitSpec(folds=3), 1)
    assert folds.left_out.tolist() == [1]
    assert folds.fold_of_sample[1] == -1
    assert folds.frame["fold"][1] is None
    assert folds.fold_of_sample[0] != folds.fold_of_sample[2]


def test_a_sample_stays_as_long_as_one_of_its_images_does():
    images = table([[0]] * 4, samples=["s0", "s0", "s1", "s2"])
    folds = make_folds(images, report(left_out=[0]), SplitSpec(folds=3), 1)
    assert folds.left_out.tolist() == []
    assert folds.frame["fold"][0] == folds.frame["fold"][1] == folds.fold_of_sample[0]


def test_a_dropped_image_of_a_sample_that_stays_is_tied_to_its_twin():
    images = table([[0]] * 6, samples=["s0", "s0", "s1", "s2", "s3", "s4"])
    clusters = [(0, 1, "dropped"), (0, 2, "kept")]
    for seed in range(4):
        folds = make_folds(images, report(clusters, left_out=[1]), SplitSpec(folds=4), seed)
        assert folds.fold_of_sample[0] == folds.fold_of_sample[1]


def test_twins_that_are_kept_are_not_tied_by_a_third_that_is_gone():
    images = table([[0]] * 3, ["train", "train", "external"])
    clusters = [(0, 0, "kept"), (0, 1, "kept"), (0, 2, "dropped")]
    assert set(make_folds(images, report(clusters, left_out=[2]), SplitSpec(folds=2), 1).fold_of_sample) == {0, 1, -1}


def test_an_external_sample_is_left_out_with_any_of_its_images():
    images = table([[0]] * 5, ["train"] * 3 + ["external"] * 2, samples=["s0", "s1", "s2", "e", "e"])
    folds = make_folds(images, report(left_out=[4]), SplitSpec(folds=3), 1)
    assert folds.left_out.tolist() == [3]
    assert folds.frame["fold"].to_list()[3:] == [None, None]


def test_domains_are_kept_in_proportion_with_the_labels():
    domain = (["hela"] * 3 + ["u2os"]) * 25
    images = table([[number // 50] for number in range(100)], domain=domain)
    folds = make_folds(images, report(), SplitSpec(folds=5), 1)
    hela = np.bincount(folds.fold_of_sample[np.array(domain) == "hela"], minlength=5)
    assert hela.tolist() == [15] * 5
    first = np.bincount(folds.fold_of_sample[:50], minlength=5)
    assert first.tolist() == [10] * 5


def test_nothing_to_stratify_and_rows_without_labels_still_give_folds():
    for images, spec in (
        (table([[0]] * 10), SplitSpec(folds=5, stratify=[])),
        (table([None] * 10), SplitSpec(folds=5)),
        (table([[]] * 10), SplitSpec(folds=5)),
    ):
        assert np.bincount(make_folds(images, report(), spec, 1).fold_of_sample).tolist() == [2] * 5


def test_all_null_groups_tie_nothing():
    images = table([[0]] * 6, plate=[None] * 6)
    assert np.bincount(make_folds(images, report(), SplitSpec(folds=3), 1).fold_of_sample).tolist() == [2, 2, 2]


def test_one_group_for_all_is_refused_with_the_way_out():
    images = table([[0]] * 6, plate=["p"] * 6)
    with pytest.raises(
        DataError, match=r"split.folds: groups and duplicates leave 1 independent group of the 6 .*data.groups"
    ):
        make_folds(images, report(), SplitSpec(folds=2), 1)


def test_too_few_groups_name_how_many_folds_would_do():
    images = table([[0]] * 6, plate=list("aabbcc"))
    with pytest.raises(DataError, match=r"lower split.folds to 3, or name fewer columns"):
        make_folds(images, report(), SplitSpec(folds=5), 1)


def test_too_few_samples_are_refused():
    with pytest.raises(DataError, match=r"3 training samples cannot fill 5 folds; lower split.folds to 3"):
        make_folds(table([[0]] * 3), report(), SplitSpec(folds=5), 1)


def test_a_class_that_misses_a_fold_is_named_with_the_reason():
    images = table(
        [[0]] * 10 + [[1]] * 2 + [[2]] * 6, plate=[f"p{number}" for number in range(12)] + ["q0", "q1", "q2"] * 2
    )
    warnings = make_folds(images, report(), SplitSpec(folds=4), 1).warnings
    assert any("Class 'b' has only 2 rows, so that folds" in text for text in warnings)
    assert any("Class 'c' has rows in only 3 groups, so that fold " in text for text in warnings)
    assert not any("'a'" in text for text in warnings)


def test_a_class_of_one_sample_is_the_audits_matter_unless_external_rows_have_it_too():
    labels = [[0]] * 6 + [[1]]
    assert make_folds(table(labels), report(), SplitSpec(folds=2), 1).warnings == ()
    images = table([*labels, [1]], roles=["train"] * 7 + ["external"])
    (warning,) = make_folds(images, report(), SplitSpec(folds=2), 1).warnings
    assert "Class 'b' has only 1 row, so that fold " in warning


def test_a_class_without_a_row_is_the_tables_matter_and_not_named():
    assert make_folds(table([[0], [1]] * 5), report(), SplitSpec(), 1).warnings == ()


def test_many_missing_classes_end_in_one_sentence():
    frame = table([[number] for number in range(10)] * 2).frame
    images = ImageTable(frame, tuple("abcdefghij"), "multiclass")
    warnings = make_folds(images, report(), SplitSpec(folds=3), 1).warnings
    assert len(warnings) == 7
    assert warnings[-1] == "4 more classes are missing from a fold: g, h, i, j."


def test_unequal_folds_and_rules_left_out_are_said():
    images = table([[0]] * 30, plate=["giant"] * 20 + [f"p{number}" for number in range(10)])
    assert any(
        "largest group alone has 20" in text for text in make_folds(images, report(), SplitSpec(folds=3), 1).warnings
    )
    free = make_folds(images, report([(0, 0, "grouped"), (0, 1, "grouped")]), SplitSpec(folds=3, keep_together=[]), 1)
    assert any("Groups (plate) may cross folds" in text for text in free.warnings)
    assert any("1 cluster of duplicates may cross" in text for text in free.warnings)
    assert np.bincount(free.fold_of_sample).tolist() == [10, 10, 10]


def test_the_seed_decides():
    images = table([[number % 3] for number in range(60)])
    first, again, other = (make_folds(images, report(), SplitSpec(), seed).fold_of_sample for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_used_folds_are_those_of_the_recipe():
    assert make_folds(table([[0]] * 6), report(), SplitSpec(folds=3, folds_to_train=[2, 0]), 1).used == (0, 2)


CHANGES = ["label", "dropped", "added", "group"]
Kept = tuple[ImageTable, AuditReport, Folds, dict[str, int]]


def kept_folds(seed: int, change: str, grouped: bool, folds: int) -> Kept:
    """The folds of a drawn table after one change, with the folds of before it."""
    generator = np.random.default_rng(seed)
    rows = 240
    plates = [f"p{value}" for value in generator.integers(0, 40, rows)] if grouped else [None] * rows
    labels = [[int(value)] for value in generator.choice(3, rows, p=[0.6, 0.3, 0.1])]
    samples = [f"s{number}" for number in range(rows)]
    twins = generator.choice(rows, (5, 2), replace=False)
    before = make_folds(
        table(labels, samples=samples, plate=plates), grouped_twins(samples, twins, samples), SplitSpec(folds=folds), 1
    )
    earlier = dict(zip(samples, before.fold_of_sample.tolist(), strict=True))
    number = int(generator.integers(0, rows))
    after = list(samples)
    if change == "label":
        labels[number] = [(labels[number][0] + 1) % 3]
    elif change == "group":
        plates[number] = f"p{int(generator.integers(0, 40))}"
    elif change == "dropped":
        del labels[number], plates[number], after[number]
    else:
        at = int(generator.integers(0, rows))  # also in the middle of the table
        labels.insert(at, [number % 3])
        plates.insert(at, plates[number])
        after.insert(at, "new")
    images, audit = table(labels, samples=after, plate=plates), grouped_twins(after, twins, samples)
    return images, audit, make_folds(images, audit, SplitSpec(folds=folds), 1, before=earlier), earlier


def grouped_twins(samples: list[str], twins: np.ndarray, names: list[str]) -> AuditReport:
    pairs = [[samples.index(names[row]) for row in pair if names[row] in samples] for pair in twins]
    return report([(number, row, "grouped") for number, rows in enumerate(pairs) for row in rows if len(rows) == 2])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(CHANGES), st.booleans(), st.integers(2, 6))
def test_one_change_leaves_nearly_all_samples_in_their_folds(seed, change, grouped, count):
    images, audit, folds, earlier = kept_folds(seed, change, grouped, count)
    names = images.samples.frame["sample"].to_list()
    again = dict(zip(names, folds.fold_of_sample.tolist(), strict=True))
    assert np.mean([again[name] == fold for name, fold in earlier.items() if name in again]) >= 0.95
    if grouped:
        plates = images.samples.frame["group.plate"].to_list()
        assert len(set(zip(plates, folds.fold_of_sample.tolist(), strict=True))) == len(set(plates))
    for cluster in audit.clusters.partition_by("cluster"):
        assert len(set(folds.fold_of_sample[cluster["row"].to_numpy()])) == 1
    fresh = make_folds(images, audit, SplitSpec(folds=count), 1)
    labels = np.eye(3, dtype=bool)[images.samples.frame["labels"].explode().to_numpy()]
    deviation, best = (share_deviation(labels, one.fold_of_sample, count) for one in (folds, fresh))
    assert deviation <= 1.5 * best + 0.03
    repeated = make_folds(images, audit, SplitSpec(folds=count), 1, before=again)
    assert repeated.fold_of_sample.tolist() == folds.fold_of_sample.tolist()
    assert repeated.warnings == folds.warnings


def test_fresh_folds_are_kept_as_they_are():
    generator = np.random.default_rng(3)
    images = table(
        [[int(value)] for value in generator.integers(0, 3, 90)],
        plate=[f"p{value}" for value in generator.integers(0, 20, 90)],
    )
    fresh = make_folds(images, report(), SplitSpec(folds=4), 1)
    names = images.samples.frame["sample"].to_list()
    kept = make_folds(
        images, report(), SplitSpec(folds=4), 1, before=dict(zip(names, fresh.fold_of_sample, strict=True))
    )
    assert kept.fold_of_sample.tolist() == fresh.fold_of_sample.tolist()
