"""Which columns tie rows together, and which name a domain."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from holotype.data.missing import without_missing
from holotype.inspect.tables import as_numbers

__all__ = ["TIES", "GroupGuess", "count_components", "find_domain", "find_groups", "find_sample", "nests_in"]

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
SHARED, MAX_SHARED = 1.5, 40  # images of a sample


@dataclass(frozen=True)
class GroupGuess:
    """Columns that should never cross a fold.

    Args:
        columns: The columns.
        reason: Why, in a sentence.
        components: How many sets of rows they leave that can be told apart.
        notes: What was seen of other columns, in sentences.
    """

    columns: tuple[str, ...]
    reason: str
    components: int
    notes: tuple[str, ...]


def find_groups(train: pl.DataFrame, test: pl.DataFrame | None, taken: set[str], folds: int) -> GroupGuess:
    """Propose groups: columns whose values do not overlap between train and test, else columns with a telling name.

    Args:
        train: The training table.
        test: The test table, or None.
        taken: Columns that are something else (id, files, labels).
        folds: How many folds the rows should be divided into.
    """
    free = [name for name in train.columns if name not in taken and (test is None or name in test.columns)]
    train, test = _normalize_groups(train, free), None if test is None else _normalize_groups(test, free)
    ties = {name: train[name].n_unique() for name in free if _is_group_column(train, name)}
    notes = []
    if test is None:
        candidates = [name for pattern in (GROUP_NAME, FINER_NAME) for name in ties if pattern.search(name)]
        reason = "named like what ties images together; there is no test table to tell for sure"
    else:
        shared = {name: len(set(train[name].drop_nulls()) & set(test[name].drop_nulls())) for name in ties}
        candidates = [name for name in ties if not shared[name] and test[name].null_count() < test.height]
        reason = "no value is in both tables: the test images come from others, and so must those that are scored"
        notes = [
            f"{name}: {shared[name]} of its {ties[name]} values are also in the test table, so it is not a group"
            for name in ties
            if shared[name] and GROUP_NAME.search(name)
        ]
    usable = candidates if test is not None else [name for name in candidates if ties[name] >= folds] or candidates
    coarse, nested = _find_coarsest(train, usable)
    notes += [f"{name}: each of its values lies within one {outer}, the coarser" for name, outer in nested.items()]
    notes += [
        f"{name}: only {ties[name]} values, too few for {folds} folds" for name in candidates if name not in usable
    ]
    while len(coarse) > 1 and count_components(train, coarse) < folds:
        notes.append(f"{coarse[-1]}: with {coarse[0]} it would tie the rows into too few sets; should it be the group?")
        coarse = coarse[:-1]
    return GroupGuess(tuple(coarse), reason, count_components(train, coarse), tuple(notes))


def _normalize_groups(table: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """The columns as a run reads groups: 1 and 1.0 are one, and words for missing values are none."""
    return table.with_columns(without_missing(table[name])[0] for name in columns)


def find_domain(train: pl.DataFrame, test: pl.DataFrame | None, taken: set[str]) -> str | None:
    """A column named like a cell type or a microscope, with a few values that training rows all show.

    Args:
        train: The training table.
        test: The test table, or None.
        taken: Columns that are something else.
    """
    for name in train.columns:
        if name in taken or not DOMAIN_NAME.search(name) or train[name].null_count():
            continue
        values = set(train[name])
        if 2 <= len(values) <= MAX_DOMAINS and (test is None or (name in test.columns and set(test[name]) <= values)):
            return name
    return None


def find_sample(train: pl.DataFrame, test: pl.DataFrame | None, identity: str, label: str) -> str | None:
    """A column whose values begin the ids: `B05` of the images `B05_s1` and `B05_s2`, which so are of one sample.

    Args:
        train: The training table.
        test: The test table, or None.
        identity: The id column.
        label: The label column; all images of a sample have one label.
    """
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
    """Whether every value of one column goes with a single value of another.

    Args:
        frame: A table.
        inner: The finer column.
        outer: The coarser column.
    """
    return frame.select(inner, outer).n_unique() == frame[inner].n_unique()


def count_components(frame: pl.DataFrame, columns: list[str]) -> int:
    """How many sets of rows remain where rows that share a value of any column belong together.

    Args:
        frame: A table.
        columns: The columns; empty cells tie nothing.
    """
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    if not columns:
        return 0
    untied = frame.filter(pl.all_horizontal(pl.col(columns).is_null())).height
    for row in frame.select(columns).unique().iter_rows():
        nodes = [(name, value) for name, value in zip(columns, row, strict=True) if value is not None]
        for node in nodes[1:]:
            parent[root(node)] = root(nodes[0])
        for node in nodes[:1]:
            root(node)
    return untied + sum(parent[node] == node for node in parent)


def _is_group_column(train: pl.DataFrame, name: str) -> bool:
    """Whether values repeat, and are names rather than positions (numbers count where the column's name says so)."""
    values = train[name].drop_nulls()
    repeats = 2 <= values.n_unique() < len(values)
    padded = bool(values.str.contains(r"^0\d").any())
    has_group_name = any(pattern.search(name) for pattern in (GROUP_NAME, FINER_NAME))
    return repeats and (has_group_name or padded or as_numbers(values) is None)


def _find_coarsest(train: pl.DataFrame, columns: list[str]) -> tuple[list[str], dict[str, str]]:
    """The columns that lie within no other; of two that say the same, the first."""
    nested: dict[str, str] = {}
    for name in columns:
        for outer in columns:
            if outer != name and outer not in nested and nests_in(train, name, outer):
                same = nests_in(train, outer, name)
                if not same or columns.index(outer) < columns.index(name):
                    nested[name] = outer
                    break
    return [name for name in columns if name not in nested], nested
