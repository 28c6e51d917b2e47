"""Label checks: classes with a single sample, and classes confounded with a group."""

from __future__ import annotations

import numpy as np

from holotype.core.errors import join_names
from holotype.types import ImageTable, Integers

MAX_LISTED = 3


def rare_classes(counts: Integers, min_samples: int) -> Integers:
    """Classes with at least one row but fewer than `min_samples`, ascending.

    `counts`: rows of each class, shape (classes,).
    """
    return np.flatnonzero((counts > 0) & (counts < min_samples)).astype(np.int64)


def confounded_classes(classes: Integers, groups: Integers) -> Integers:
    """Classes with several rows that all lie in one group, although there are several groups, ascending.

    `classes`: class of each labeled row, shape (n,); a multilabel row appears once for each of its classes; `groups`:
    group of each of them, shape (n,); -1 if unknown.
    """
    has_group = groups >= 0
    if len(np.unique(groups[has_group])) < 2:
        return np.empty(0, np.int64)
    rows = np.bincount(classes[has_group])
    pairs = np.unique(np.stack([classes[has_group], groups[has_group]]), axis=1)
    groups_of_class = np.bincount(pairs[0], minlength=len(rows))
    return np.flatnonzero((groups_of_class == 1) & (rows > 1)).astype(np.int64)


def label_warnings(images: ImageTable) -> list[str]:
    """Warnings about classes with a single sample and classes confounded with a group."""
    samples = images.samples
    labeled = samples.of_role("train", "external")
    lists = samples.frame["labels"].gather(labeled)
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    if not lengths.sum():
        return []
    classes = lists.drop_nulls().explode(empty_as_null=False).to_numpy().astype(np.int64)
    owners = np.repeat(labeled, lengths)
    warnings = []
    single = [images.classes[number] for number in rare_classes(np.bincount(classes), 2)]
    if single:
        who = "One class has" if len(single) == 1 else f"{len(single):,} classes have"
        warnings.append(f"{who} a single sample, which can be trained on or scored, not both: {join_names(single)}.")
    for name in images.group_names:
        values = samples.frame[f"group.{name}"]
        groups = (values.rank("dense").cast(int).fill_null(0).to_numpy() - 1).astype(np.int64)
        confounded = confounded_classes(classes, groups[owners])
        for number in confounded[:MAX_LISTED]:
            of_class = owners[classes == number]
            value = values.gather(of_class).drop_nulls()[0]
            warnings.append(
                f"Class {images.classes[number]!r} appears in one {name} only ({value}, {len(of_class):,} samples); "
                f"a model may learn the {name} instead."
            )
        others = [images.classes[number] for number in confounded[MAX_LISTED:]]
        if others:
            warnings.append(f"{len(others):,} more classes appear in one {name} only: {join_names(others)}.")
    return warnings
