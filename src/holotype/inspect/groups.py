"""Group and domain columns of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from holotype.core.independence import components, group_numbers
from holotype.data.missing import without_missing
from holotype.inspect.tables import as_numbers

TIES = "patient|plate|slide|donor|subject|animal|mouse|specimen|individual|experiment|batch|biopsy"
GROUP_NAME = re.compile(rf"{TIES}|subfolder|lesion|acquisition", re.IGNORECASE)
FINER_NAME = re.compile(
    r"^(well|dish|embryo|colony|culture|station|cruise|haul|tow|transect|plot|tree|session|video|sequence|scan)"
    r"(_?(id|no|nr|number|name))?$",
    re.IGNORECASE,
)
DOMAIN_NAME = re.compile(
    r"^(cell_?type|cell_?line|microscope|instrument|scanner|stain|staining|tissue|site_name)$", re.IGNORECASE
)
SAMPLE_NAME = re.compile(r"(^|_)(id|code|sample|object|cell|well)(_|$)", re.IGNORECASE)
MAX_DOMAINS = 12
SHARED, MAX_SHARED = 1.5, 40  # fewest and most images per sample


@dataclass(frozen=True)
class GroupGuess:
    """Proposed group columns, whose values never cross a fold."""

    columns: tuple[str, ...]
    reason: str
    components: int
    notes: tuple[str, ...]


def find_groups(train: pl.DataFrame, test: pl.DataFrame | None, taken: set[str], folds: int) -> GroupGuess:
    """Propose group columns: those without common values in train and test, else those with a typical name.

    `taken`: columns with another role (id, files, labels).
    """
    free = [name for name in train.columns if name not in taken and (test is None or name in test.columns)]
    train, test = _normalize_groups(train, free), None if test is None else _normalize_groups(test, free)
    ties = {name: train[name].n_unique() for name in free if _is_group_column(train, name)}
    notes = []
    if test is None:
        candidates = [name for pattern in (GROUP_NAME, FINER_NAME) for name in ties if pattern.search(name)]
        reason = "the name suggests that images with the same value are related; there is no test table to confirm it"
    else:
        shared = {name: len(set(train[name].drop_nulls()) & set(test[name].drop_nulls())) for name in ties}
        candidates = [name for name in ties if not shared[name] and test[name].null_count() < test.height]
        reason = "the training and test tables share no value, so folds must not share any either"
        notes = [
            f"{name}: {shared[name]} of its {ties[name]} values are also in the test table, so it is not a group"
            for name in ties
            if shared[name] and GROUP_NAME.search(name)
        ]
    usable = candidates if test is not None else [name for name in candidates if ties[name] >= folds] or candidates
    coarse, nested = _find_coarsest(train, usable)
    notes += [f"{name}: each value belongs to one {outer}, which is used instead" for name, outer in nested.items()]
    notes += [
        f"{name}: only {ties[name]} values, too few for {folds} folds" for name in candidates if name not in usable
    ]
    while len(coarse) > 1 and count_components(train, coarse) < folds:
        notes.append(
            f"{coarse[-1]}: together with {coarse[0]} it would leave too few independent sets of rows; should it "
            "be the group instead?"
        )
        coarse = coarse[:-1]
    return GroupGuess(tuple(coarse), reason, count_components(train, coarse), tuple(notes))


def _normalize_groups(table: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Normalize group values as a run does: 1 and 1.0 are equal, and words for missing values become null."""
    return table.with_columns(without_missing(table[name])[0] for name in columns)


def find_domain(train: pl.DataFrame, test: pl.DataFrame | None, taken: set[str]) -> str | None:
    """Find a column named like a cell type or a microscope, with few values that all occur in training."""
    for name in train.columns:
        if name in taken or not DOMAIN_NAME.search(name) or train[name].null_count():
            continue
        values = set(train[name])
        if 2 <= len(values) <= MAX_DOMAINS and (test is None or (name in test.columns and set(test[name]) <= values)):
            return name
    return None


def find_sample(train: pl.DataFrame, test: pl.DataFrame | None, identity: str, label: str) -> str | None:
    """Find the sample column, whose values are prefixes of the ids: `B05` for the images `B05_s1` and `B05_s2`."""
    for name in train.columns:
        other = name in {identity, label} or GROUP_NAME.search(name) or not SAMPLE_NAME.search(name)
        if other or (test is not None and name not in test.columns):
            continue
        begins = pl.col(identity).str.starts_with(pl.col(name)) & (
            pl.col(identity).str.len_chars() > pl.col(name).str.len_chars()
        )
        following = pl.col(identity).str.slice(pl.col(name).str.len_chars(), 1).str.contains(r"[\W_]")
        tables = [train] if test is None else [train, test]
        all_begin = all(bool(table.select((begins & following).fill_null(False).all()).item()) for table in tables)
        shares = train.height / max(train[name].n_unique(), 1)
        if all_begin and SHARED <= shares <= MAX_SHARED and nests_in(train, name, label):
            return name
    return None


def nests_in(frame: pl.DataFrame, inner: str, outer: str) -> bool:
    """Check whether each value of `inner` occurs with a single value of `outer`."""
    return frame.select(inner, outer).n_unique() == frame[inner].n_unique()


def count_components(frame: pl.DataFrame, columns: list[str]) -> int:
    """Count independent sets of rows: connected components of rows that share a value of any column.

    Null values connect nothing.
    """
    if not columns:
        return 0
    return len(np.unique(components(np.arange(frame.height), [group_numbers(frame[name]) for name in columns])))


def _is_group_column(train: pl.DataFrame, name: str) -> bool:
    """Whether values repeat and are names rather than positions (numbers count if the column is named like a group)."""
    values = train[name].drop_nulls()
    repeats = 2 <= values.n_unique() < len(values)
    padded = bool(values.str.contains(r"^0\d").any())
    has_group_name = any(pattern.search(name) for pattern in (GROUP_NAME, FINER_NAME))
    return repeats and (has_group_name or padded or as_numbers(values) is None)


def _find_coarsest(train: pl.DataFrame, columns: list[str]) -> tuple[list[str], dict[str, str]]:
    nested: dict[str, str] = {}
    for name in columns:
        for outer in columns:
            if outer != name and outer not in nested and nests_in(train, name, outer):
                same = nests_in(train, outer, name)
                if not same or columns.index(outer) < columns.index(name):
                    nested[name] = outer
                    break
    return [name for name in columns if name not in nested], nested
