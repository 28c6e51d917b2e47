"""Label co-occurrence: which classes appear together, and how often."""

from __future__ import annotations

import numpy as np
import polars as pl

from holotype.types import LABEL_COOCCURRENCE, SampleTable

MIN_SHARE, MIN_SAMPLES, MAX_LISTED = 0.9, 20, 3


def label_cooccurrence(labels: SampleTable) -> pl.DataFrame:
    """Conditional co-occurrence of the classes over the labeled samples.

    Returns one row for each ordered pair of classes that share a sample, with the columns of
    `holotype.types.LABEL_COOCCURRENCE`, largest share first; empty for multiclass labels.
    """
    if labels.kind == "multiclass":
        return pl.DataFrame(schema=LABEL_COOCCURRENCE)
    truth = labels.matrix(labels.of_role("train", "external")).astype(np.float32)
    pair_counts = np.rint(truth.T @ truth).astype(np.int64)
    samples = np.diag(pair_counts).copy()
    np.fill_diagonal(pair_counts, 0)
    first, second = np.nonzero(pair_counts)
    count = pair_counts[first, second]
    share = count / samples[first]
    names = np.asarray(labels.classes, dtype=object)
    columns = [names[first], names[second], samples[first], count, share, share / (samples[second] / len(truth))]
    table = pl.DataFrame(dict(zip(LABEL_COOCCURRENCE, columns, strict=True)), schema=LABEL_COOCCURRENCE)
    return table.sort("share", "samples_with_both", "class", "other", descending=[True, True, False, False])


def cooccurrence_warnings(cooccurrence: pl.DataFrame) -> list[str]:
    """Warnings about classes that rarely appear without another one: a model may learn one and predict the other."""
    bound = cooccurrence.filter((pl.col("share") >= MIN_SHARE) & (pl.col("samples") >= MIN_SAMPLES)).head(MAX_LISTED)
    return [
        f"Of {row['samples']:,} samples with {row['class']!r}, {row['samples_with_both']:,} also have "
        f"{row['other']!r}; a model may not learn to tell the two apart."
        for row in bound.iter_rows(named=True)
    ]
