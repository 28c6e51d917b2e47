"""Selection of measurements: constants, row counters, and codes of the label or of a group are left out.

A table of measurements may hold the answer: a class number, a one-hot column, a compound number. Such a code takes few
values and fits the label without an error, which a measurement does not. A measurement that separates the classes
perfectly over a continuous range is used, with a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import gammaln

from holotype.core.errors import join_names, pluralize
from holotype.core.independence import group_numbers
from holotype.measurements.column_names import LEFT_OUT, left_out_table
from holotype.measurements.measurement_table import MeasurementTable
from holotype.recipe.sections import MeasurementsSpec
from holotype.types import Floats, ImageTable, Integers

__all__ = ["ColumnSelection", "select_columns"]

LABEL_CODE, GROUP_CODE = CODES = "code of the label", "code of a group"
CHANCE = 1e-3
"""Expected number of columns, of all of a table, that fit a label by chance."""
CODE_ACCURACY, CODE_RECALL = 0.95, 0.8
"""Accuracy and mean recall of a code of the label; below 1, because some labels are wrong."""
PERFECT = 0.995
"""Cross-validated balanced accuracy of a single measurement that is reported."""
MAX_RUNS = 1.5
"""Largest number of runs of equal labels, in the order of the values and per class, of a measurement of few values."""
ROWS_PER_VALUE = 4
"""Mean number of samples of each value of a code."""
MAX_CLASSES = 2_000


@dataclass(frozen=True)
class ColumnSelection:
    """Columns to use, and those left out.

    Args:
        left_out: `column`, `reason`, `detail`.
        warnings: Columns that predict the label alone, in sentences.
    """

    columns: tuple[str, ...]
    left_out: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LEFT_OUT))
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Target:
    """Labels or groups that a column may encode; codes count from 0, and -1 is unknown."""

    name: str
    codes: Integers
    kind: Literal["label", "class", "group"]

    @property
    def count(self) -> int:
        return int(self.codes.max(initial=-1)) + 1


def select_columns(
    table: MeasurementTable, images: ImageTable, spec: MeasurementsSpec, independent_groups: Integers | None = None
) -> ColumnSelection:
    """Select the measurements of a table by their values in all rows, and by the labels of the labeled samples.

    Left out are columns without values, constants, row counters (distinct consecutive integers), and codes: columns of
    at most a quarter as many distinct values as samples, which correspond one-to-one to the classes (in 95 % of the
    samples), to one class against all others, or to the groups; or whose every value has one label, in no order; or
    which are constant within each group. A code must be significant: for a random column of the same counts, the
    probability is below 0.001 over all columns (Bonferroni). Columns that `spec.columns` lists by their full name are
    used, with a warning.

    Args:
        independent_groups: Independent group of each sample, shape (samples,), for the cross-validation of single
            measurements; by default each sample is its own.
    """
    labels = images.samples
    labeled = labels.of_role("train", "external")
    labeled = labeled[labels.label_matrix(labeled).label_counts > 0]
    groups = np.arange(len(labels)) if independent_groups is None else independent_groups
    listed = set() if spec.columns == "auto" else set(spec.columns)
    left_out = [] if not table.columns else _unusable(table)
    dropped = {name for name, _, _ in left_out}
    features = table.features_for(labeled)
    targets = _targets(images, labeled)
    remarks, perfect, gaps = [], [], []
    for number, name in enumerate(table.columns):
        if name in dropped:
            continue
        reason, detail = _find_code(features[:, number], targets, len(table.columns))
        if reason and name in listed:
            remarks.append(f"The column {name!r} is used because the recipe lists it: {detail}.")
        elif reason:
            left_out.append((name, reason, detail))
        else:
            perfect += [name] if _predicts_alone(features[:, number], targets, groups[labeled]) else []
            missing = np.isnan(features[:, number]).astype(np.float32)
            gaps += [name] if _find_code(missing, targets, len(table.columns))[0] == LABEL_CODE else []
    if perfect:
        verb = "predicts" if len(perfect) == 1 else "each predict"
        remarks.append(
            f"{pluralize(len(perfect), 'measurement')} {verb} the label alone and without an error: "
            f"{join_names(perfect, 5)}. Check that they were measured, and not derived from the label; otherwise "
            "exclude them."
        )
    if gaps:
        remarks.append(
            f"{pluralize(len(gaps), 'measurement')} missing for some classes and for no other: {join_names(gaps, 5)}. "
            "Check that nobody measured these classes differently; otherwise exclude them."
        )
    dropped = {name for name, _, _ in left_out}
    columns = tuple(name for name in table.columns if name not in dropped)
    return ColumnSelection(columns, left_out_table(left_out), tuple(remarks))


def _unusable(table: MeasurementTable) -> list[tuple[str, str, str]]:
    """Columns without values, constants and row counters, over all rows of the table."""
    rows = []
    for name, values in zip(table.columns, table.values.T, strict=True):
        present = values[~np.isnan(values)]
        if not len(present):
            rows.append((name, "no values", "it has no finite number"))
        elif present.min() == present.max():
            rows.append((name, "constant", f"it is {present[0]:g} in all rows"))
        elif _is_counter(present):
            rows.append((name, "row counter", f"it counts from {present.min():.0f} to {present.max():.0f}"))
    return rows


def _is_counter(values: NDArray[np.float64]) -> bool:
    span = values.max() - values.min() + 1
    is_dense = len(values) > 2 and span == len(values) and bool((values == np.rint(values)).all())
    return is_dense and len(np.unique(values)) == len(values)


def _targets(images: ImageTable, labeled: Integers) -> list[_Target]:
    """Sets of labels, single classes and groups of the labeled samples."""
    matrix = images.samples.label_matrix(labeled)
    frame = images.samples.frame[labeled]
    texts = frame["labels"].cast(pl.List(pl.String)).list.join(" ")
    targets = [_Target("the label", group_numbers(texts), "label")]
    if targets[0].count > 2 or images.kind == "multilabel":
        entry_rows = matrix.row_indices
        for number, name in enumerate(images.classes[:MAX_CLASSES]):
            has_class = np.zeros(len(labeled), np.int64)
            has_class[entry_rows[matrix.numbers == number]] = 1
            if 0 < has_class.sum() < len(labeled):
                targets.append(_Target(f"the class {name!r}", has_class, "class"))
    groups = {f"the group {name!r}": group_numbers(frame[f"group.{name}"]) for name in images.group_names}
    return targets + [_Target(name, codes, "group") for name, codes in groups.items() if len(np.unique(codes)) > 1]


def _find_code(values: Floats, targets: Iterable[_Target], tests: int) -> tuple[str, str]:
    """Reason and detail if the values of a column are a code of a target; empty strings otherwise."""
    present = ~np.isnan(values)
    count = len(np.unique(values[present]))
    if not 2 <= count <= present.sum() / ROWS_PER_VALUE:
        return "", ""
    limit = np.log(CHANCE / tests)
    for target in targets:
        is_label = target.kind != "group"
        if target.kind == "class" and count > 3:  # a class, all others, and unknown
            continue
        table = _contingency(values, target, present)
        if _is_one_to_one(table, is_label) and _chance_of_bijection(table) < limit:
            return LABEL_CODE if is_label else GROUP_CODE, f"its {len(table)} values correspond to {target.name}"
        if target.kind == "label" and _is_pure(table) and _chance_of_purity(table) < limit:
            order = table.argmax(axis=1)  # the label of each value, in the order of the values
            if _runs(order) > MAX_RUNS * table.shape[1]:
                return LABEL_CODE, f"each of its {len(table)} values occurs with one value of {target.name} only"
        if not is_label and _is_pure(table.T) and _chance_of_purity(table.T) < limit:
            return GROUP_CODE, f"it has one value in each value of {target.name}"
    return "", ""


def _contingency(values: Floats, target: _Target, present: NDArray[np.bool_]) -> Integers:
    """Number of samples with each value and each code, shape (values, codes); without missing values and codes."""
    rows = present & (target.codes >= 0)
    distinct, numbers = np.unique(values[rows], return_inverse=True)
    codes = np.unique(target.codes[rows], return_inverse=True)[1]
    width = int(codes.max(initial=-1)) + 1
    counts = np.bincount(numbers * width + codes, minlength=len(distinct) * width)
    return counts.reshape(len(distinct), width).astype(np.int64)


def _is_one_to_one(table: Integers, tolerant: bool) -> bool:
    """Test if each value has a target of its own; a code of wrong labels too, and one with missing values."""
    rows, columns = table.shape
    if rows not in {columns, columns + 1} or len(np.unique(table.argmax(axis=1))) < columns:
        return False
    right = np.zeros(columns)
    np.add.at(right, table.argmax(axis=1), table.max(axis=1))
    accuracy, recall = right.sum() / table.sum(), (right / table.sum(axis=0)).mean()
    return bool(accuracy >= CODE_ACCURACY and recall >= CODE_RECALL if tolerant else accuracy == 1)


def _is_pure(table: Integers) -> bool:
    return bool(((table > 0).sum(axis=1) == 1).all())


def _chance_of_bijection(table: Integers) -> float:
    """Log probability that a random column with these counts corresponds one-to-one to the target, but for errors."""
    counts, total = table.sum(axis=0), table.sum()
    errors = total - table.max(axis=1).sum()
    exact = gammaln(len(counts) + 1) + gammaln(counts + 1).sum() - gammaln(total + 1)
    choices = gammaln(total + 1) - gammaln(errors + 1) - gammaln(total - errors + 1) + errors * np.log(len(counts))
    return float(exact + choices)


def _chance_of_purity(table: Integers) -> float:
    """Log probability that all samples of each value of a random column have one target (with replacement)."""
    shares = table.sum(axis=0) / table.sum()
    counts = table.sum(axis=1)
    return float(np.log((shares[None, :] ** counts[:, None]).sum(axis=1).clip(1e-300)).sum())


def _runs(codes: Integers) -> int:
    """Number of runs of equal values."""
    return int((codes[1:] != codes[:-1]).sum()) + 1 if len(codes) else 0


def _predicts_alone(values: Floats, targets: list[_Target], groups: Integers) -> bool:
    """Test if a shallow tree on one measurement predicts the label without an error, cross-validated by group.

    The tree has twice as many leaves as classes. A cheap bound comes first: so few leaves without an error need few
    runs of equal labels in the order of the measurement.
    """
    target = targets[0]
    if not 2 <= target.count <= len(values) / 10 or len(np.unique(groups)) < 3:
        return False
    order = np.lexsort((target.codes, values))
    if _runs(target.codes[order]) > 2 * target.count + 0.01 * len(values):
        return False
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_leaf_nodes=2 * target.count, random_state=0)
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes of fewer samples than folds
        predicted = cross_val_predict(tree, values[:, None], target.codes, groups=groups, cv=folds)
    return float(balanced_accuracy_score(target.codes, predicted)) >= PERFECT
