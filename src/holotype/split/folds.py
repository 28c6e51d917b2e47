"""Folds of an image table: grouped by groups and duplicates, stratified by class and domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from holotype.core.errors import DataError, join_names, pluralize
from holotype.core.independence import UNKNOWN_GROUP, independent_groups
from holotype.recipe.sections import SplitSpec
from holotype.split.components import prove_disjoint
from holotype.split.preferences import sample_keys
from holotype.split.stratify import label_matrix, stratified_folds
from holotype.split.test_like import Features, test_like_folds
from holotype.types import AuditReport, Folds, ImageTable, Integers

MAX_LISTED = 6
MANY_NETWORKS = 20
TRAINS, VALIDATES = 0, 1  # samples of different parts are never tied
UNEVEN = 1.5  # largest over smallest fold that is reported


def make_folds(
    images: ImageTable,
    report: AuditReport,
    spec: SplitSpec,
    seed: int,
    features: Features | None = None,
    *,
    before: Mapping[str, int] | None = None,
) -> Folds:
    """Divide the training samples into folds, and assign external samples to the fold whose model they must not train.

    An external sample that shares a group or a duplicate with training samples gets their fold; one without such a tie
    gets -1 and trains every model. Samples whose images the audit left out get no fold; an external sample is left out
    if any of its images is.

    `features`: column names, and values of shape (image rows, columns), for `split.like_test`; for example from
    `holotype.data.image_features`; `before`: earlier folds by sample name; samples stay in them as long as the folds
    are nearly as even as new ones. Raises DataError if the training samples form fewer independent groups than there
    are folds.
    """
    samples = images.samples
    validation = _validation_samples(images, report)
    left_out = _samples_left_out(images, report)
    active = np.setdiff1d(samples.of_role("train", "external"), left_out)
    scored = np.setdiff1d(samples.of_role("train"), left_out)
    parts = np.full(len(samples), UNKNOWN_GROUP, np.int64)
    parts[active], parts[validation] = TRAINS, VALIDATES
    component = split_groups(images, report, spec, np.where(parts == TRAINS, TRAINS, UNKNOWN_GROUP))
    _, unit_of_scored = np.unique(component[scored], return_inverse=True)
    _require_enough_groups(unit_of_scored, len(scored), spec)

    labels = label_matrix(samples.frame["labels"].gather(scored), len(images.classes))
    count = int(unit_of_scored.max()) + 1 if spec.folds == "leave-group-out" else spec.folds
    used = _used_folds(spec, count)
    columns = _stratified_columns(images, labels, scored, spec)
    test_like = (
        test_like_folds(images, features, scored, unit_of_scored, columns, spec, seed) if spec.like_test else None
    )
    if test_like is not None:
        fold = test_like.fold
    elif spec.folds == "leave-group-out":
        fold = _number_by_first_appearance(unit_of_scored)
    else:
        names = samples.frame["sample"].gather(scored).cast(pl.String).to_list()
        earlier = None if before is None else np.array([before.get(name, -1) for name in names], np.int64)
        fold = stratified_folds(columns, unit_of_scored, count, seed, sample_keys(names), before=earlier)

    fold_of_component = np.full(len(component), -1, np.int64)
    fold_of_component[component[scored]] = fold
    fold_of_sample = np.full(len(samples), -1, np.int64)
    fold_of_sample[active] = fold_of_component[component[active]]
    prove_disjoint(fold_of_sample[active], component[active])

    warnings = (
        *_rule_warnings(images, report, spec),
        *_fold_warnings(images.classes, labels, unit_of_scored, fold, spec, _single_sample_classes(images)),
        *(test_like.warnings if test_like else ()),
    )
    groups = independent_groups(images, report.clusters, parts=parts)
    frame = _make_frame(images, fold_of_sample, active, groups)
    details: Any = (
        {"train_test_similarity": test_like.train_test_similarity, "train_test_features": test_like.train_test_features}
        if test_like
        else {}
    )
    details |= {"unreadable": report.unreadable, "component": component, "independent_groups": groups}
    return Folds(frame, fold_of_sample, count, used, left_out, warnings, validation, **details)


def empty_folds(images: ImageTable) -> Folds:
    """Folds of a table before any are drawn: no sample has one."""
    no_samples = np.empty(0, np.int64)
    fold_of_sample = np.full(len(images.samples), -1, np.int64)
    alone = np.arange(len(images.samples))
    frame = _make_frame(images, fold_of_sample, no_samples, alone)
    return Folds(frame, fold_of_sample, 0, (), component=alone, independent_groups=alone)


def _used_folds(spec: SplitSpec, count: int) -> tuple[int, ...]:
    beyond = [fold for fold in spec.folds_used(count) if fold >= count]
    if beyond:
        raise DataError(
            f"there is no fold {beyond[0]}", field="split.folds_to_train", value=beyond[0], allowed=range(count)
        )
    return spec.folds_used(count)


def _number_by_first_appearance(units: Integers) -> Integers:
    _, first, inverse = np.unique(units, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _validation_samples(images: ImageTable, report: AuditReport) -> Integers:
    count = len(images.samples)
    readable = np.setdiff1d(np.arange(len(images)), report.unreadable)
    rows = np.bincount(images.sample_numbers[readable], minlength=count)
    duplicate_counts = np.bincount(images.sample_numbers[report.validation], minlength=count)
    return np.flatnonzero((duplicate_counts > 0) & (duplicate_counts == rows)).astype(np.int64)


def _samples_left_out(images: ImageTable, report: AuditReport) -> Integers:
    """Samples without an image that may train, and external samples with any image that may not."""
    count = len(images.samples)
    rows = np.bincount(images.sample_numbers, minlength=count)
    gone = np.bincount(images.sample_numbers[report.left_out], minlength=count)
    left_out_rows = np.setdiff1d(
        report.left_out, report.unreadable
    )  # an unreadable image alone does not remove its sample
    taken = np.bincount(images.sample_numbers[left_out_rows], minlength=count) > 0
    external = np.isin(np.arange(count), images.samples.of_role("external"))
    return np.flatnonzero((gone == rows) | (external & taken)).astype(np.int64)


def split_groups(images: ImageTable, report: AuditReport, spec: SplitSpec, parts: Integers) -> Integers:
    """Groups that the split keeps together, from `split.keep_together` and the audit's actions.

    `parts`: part of each sample, shape (samples,), as in `independent_groups`. Returns group of each sample, shape
    (samples,).
    """
    clusters = _clusters_to_keep_together(report, parts[images.sample_numbers] < 0)
    clusters = clusters if "duplicates" in spec.keep_together else clusters.clear()
    columns = images.group_names if "groups" in spec.keep_together else ()
    return independent_groups(images, clusters, columns=columns, parts=parts)


def _clusters_to_keep_together(report: AuditReport, silent: NDArray[np.bool_]) -> pl.DataFrame:
    """Clusters of grouped images; and of dropped images whose sample keeps other images."""
    rows = report.clusters["row"].to_numpy()
    half_dropped = (report.clusters["action"] == "dropped") & pl.Series(~silent[rows], dtype=pl.Boolean)
    still_there = report.clusters["cluster"].filter(half_dropped).unique()
    tied = (report.clusters["action"] == "grouped") | report.clusters["cluster"].is_in(still_there.to_list())
    return report.clusters.filter(tied)


def _require_enough_groups(units: Integers, count: int, spec: SplitSpec) -> None:
    group_count = int(units.max()) + 1 if len(units) else 0
    if spec.folds == "leave-group-out":
        if group_count < 2:
            raise DataError(
                f"leaving out a group at a time needs at least two independent groups, and there are {group_count}",
                field="split.folds",
                remedy="name a column in data.groups, or write a number of folds",
            )
        return
    if group_count >= spec.folds:
        return
    if group_count == count:
        remedy = f"lower split.folds to {group_count}" if group_count > 1 else "label more samples"
        raise DataError(f"{count} training samples cannot fill {spec.folds} folds", field="split.folds", remedy=remedy)
    way_out = f"lower split.folds to {group_count}, or " if group_count > 1 else ""
    raise DataError(
        f"groups and duplicates leave {pluralize(group_count, 'independent group')} of the {count:,} training samples, "
        f"too few for {spec.folds} folds",
        field="split.folds",
        remedy=f"{way_out}name fewer columns in data.groups",
    )


def _stratified_columns(images: ImageTable, labels: Any, scored: Integers, spec: SplitSpec) -> Any:
    parts = [labels] if "labels" in spec.stratify else []
    if "domain" in spec.stratify:
        domain = images.samples.frame["domain"].gather(scored).rank("dense").cast(pl.Int64)
        rows = np.flatnonzero(domain.is_not_null().to_numpy())
        numbers = domain.drop_nulls().to_numpy() - 1
        shape = (len(scored), int(numbers.max()) + 1 if len(numbers) else 0)
        parts.append(sp.csr_array((np.ones(len(rows), bool), (rows, numbers)), shape=shape))
    return sp.csr_array(sp.hstack(parts)) if parts else sp.csr_array((len(scored), 0), dtype=bool)


def _make_frame(images: ImageTable, fold_of_sample: Integers, active: Integers, groups: Integers) -> pl.DataFrame:
    rows = images.sample_numbers
    fold = pl.Series("fold", fold_of_sample[rows])
    takes_part = pl.Series(np.isin(rows, active))
    group = pl.Series("independent_group", groups[rows])
    frame = images.frame.select("id", "sample", "role").with_columns(fold, group, takes_part.alias("takes_part"))
    columns = [pl.when("takes_part").then(name).alias(name) for name in ("fold", "independent_group")]
    return frame.with_columns(columns).select("id", "sample", "fold", "role", "independent_group")


def _rule_warnings(images: ImageTable, report: AuditReport, spec: SplitSpec) -> list[str]:
    warnings = []
    if "groups" not in spec.keep_together and images.group_names:
        warnings.append(
            f"Groups ({join_names(images.group_names)}) may cross folds because split.keep_together leaves them "
            "out; confidence intervals still resample whole groups."
        )
    clusters = report.clusters.filter(pl.col("action") == "grouped")["cluster"].n_unique()
    if "duplicates" not in spec.keep_together and clusters:
        what = "cluster" if clusters == 1 else "clusters"
        warnings.append(
            f"{clusters:,} {what} of duplicates may cross folds because split.keep_together leaves them out; "
            "confidence intervals still resample whole groups."
        )
    return warnings


def _single_sample_classes(images: ImageTable) -> Integers:
    """Classes with a single labeled sample, which the audit names, so that the folds need not."""
    samples = images.samples
    labels = label_matrix(samples.frame["labels"].gather(samples.of_role("train", "external")), len(images.classes))
    return np.flatnonzero(np.asarray(labels.sum(axis=0)).ravel() == 1).astype(np.int64)


def _fold_warnings(
    names: tuple[str, ...], labels: Any, units: Integers, fold: Integers, spec: SplitSpec, single_sample: Integers
) -> list[str]:
    count = int(fold.max()) + 1
    if spec.folds != "leave-group-out":
        return [*_class_warnings(names, labels, units, fold, count, single_sample), *_size_warnings(units, fold, count)]
    if len(spec.folds_used(count)) <= MANY_NETWORKS:
        return []
    return [
        f"{count:,} networks will be trained for each model, one for each group; `split.folds_to_train` picks some."
    ]


def _class_warnings(
    names: tuple[str, ...], labels: Any, units: Integers, fold: Integers, folds: int, single_sample: Integers
) -> list[str]:
    rows = np.asarray(labels.sum(axis=0)).ravel()
    counts = np.stack([np.asarray(labels[fold == number].sum(axis=0)).ravel() for number in range(folds)])
    missing_classes = np.setdiff1d(np.flatnonzero((rows > 0) & (counts == 0).any(axis=0)), single_sample)
    of_pair = np.repeat(units, np.diff(labels.indptr))
    pairs = np.unique(np.stack([labels.indices, of_pair]), axis=1)
    parts = np.bincount(pairs[0], minlength=len(names))
    warnings = []
    for number in missing_classes[:MAX_LISTED]:
        where = _list_folds(np.flatnonzero(counts[:, number] == 0))
        if parts[number] >= folds:
            warnings.append(
                f"Class {names[number]!r} is missing from {where} although its rows lie in {parts[number]} groups; "
                "another seed may place them better."
            )
            continue
        what = pluralize(rows[number], "row") if parts[number] == rows[number] else pluralize(parts[number], "group")
        lead = "has only" if parts[number] == rows[number] else "has rows in only"
        warnings.append(f"Class {names[number]!r} {lead} {what}, so that {where} cannot be scored on it.")
    if len(missing_classes) > MAX_LISTED:
        others = [names[number] for number in missing_classes[MAX_LISTED:]]
        warnings.append(f"{len(others):,} more classes are missing from a fold: {join_names(others)}.")
    return warnings


def _size_warnings(units: Integers, fold: Integers, folds: int) -> list[str]:
    sizes: NDArray[np.int64] = np.bincount(fold, minlength=folds)
    if sizes.max() <= UNEVEN * sizes.min():
        return []
    largest = int(np.bincount(units).max())
    because = f"; the largest group alone has {largest:,}" if largest > 1 else ""
    return [f"The folds are of unequal size, {sizes.min():,} to {sizes.max():,} samples{because}."]


def _list_folds(numbers: Integers) -> str:
    words = join_names(numbers.tolist())
    return f"fold {words}" if len(numbers) == 1 else f"folds {words}"
