"""Class links: which labels come together, and how surely one brings the other."""

from __future__ import annotations

import numpy as np
import polars as pl

from holotype.types import CLASS_LINKS, Labels

__all__ = ["class_links", "link_warnings"]

NEARLY_ALWAYS, ENOUGH, NAMED_AT_MOST = 0.9, 20, 3


def class_links(labels: Labels) -> pl.DataFrame:
    """Conditional co-occurrence of the classes over the labelled samples.

    Args:
        labels: The samples of the run.

    Returns:
        One row an ordered pair of classes that stand together at least once, with the columns of
        `holotype.types.CLASS_LINKS`, the largest share first; none where every sample has one label.
    """
    if labels.kind == "multiclass":
        return pl.DataFrame(schema=CLASS_LINKS)
    truth = labels.matrix(labels.of_role("train", "external")).astype(np.float32)
    together = np.rint(truth.T @ truth).astype(np.int64)
    samples = np.diag(together).copy()
    np.fill_diagonal(together, 0)
    first, second = np.nonzero(together)
    count = together[first, second]
    share = count / samples[first]
    names = np.asarray(labels.classes, dtype=object)
    columns = [names[first], names[second], samples[first], count, share, share / (samples[second] / len(truth))]
    table = pl.DataFrame(dict(zip(CLASS_LINKS, columns, strict=True)), schema=CLASS_LINKS)
    return table.sort("share", "together", "class", "other", descending=[True, True, False, False])


def link_warnings(links: pl.DataFrame) -> list[str]:
    """Classes that hardly stand without another one, in sentences: a model may learn the one and say the other.

    Args:
        links: From `class_links`.
    """
    bound = links.filter((pl.col("share") >= NEARLY_ALWAYS) & (pl.col("samples") >= ENOUGH)).head(NAMED_AT_MOST)
    return [
        f"Of {row['samples']:,} samples with {row['class']!r}, {row['together']:,} also have {row['other']!r}; "
        "what is learnt of the one is learnt of the other."
        for row in bound.iter_rows(named=True)
    ]
