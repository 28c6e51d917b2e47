"""Name pattern: the part of a file's path around the value that names it, or a column with that part."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.inspect.file_match import FileMatch
from holotype.inspect.files import group_by_name
from holotype.inspect.patterns import HOLE, RowFiles, column_in_segment
from holotype.inspect.repair_tables import free_name

NEARLY_ALL = 0.95


def add_pattern(
    file_match: FileMatch, rows: list[RowFiles], examples: pl.DataFrame, files: tuple[str, ...]
) -> FileMatch:
    """Add the file pattern to a match, or a path column if no column explains the folders.

    `examples`: example rows of both tables; `HOLE` is their role.
    """
    hole = f"{{{file_match.column}}}"
    leader = Counter(row.template.text for row in rows).most_common(1)[0][0]
    if re.search(r"[{}]", leader.rpartition("/")[0].replace(HOLE, "").replace("{channel}", "")):
        return _add_path_column(file_match, rows, files)  # braces in a folder name would be read as a column
    roles = examples[HOLE].to_list()
    for role in set(roles):
        texts = [row.template.text for row in rows if roles[row.row] == role]
        if texts.count(leader) < NEARLY_ALL * len(texts):
            break
    else:
        return replace(file_match, pattern=leader.replace(HOLE, hole))
    parts = [row.template.text.split("/") for row in rows]
    numbers = [row.row for row in rows]
    explained: list[str | None] = [None]
    if len({len(part) for part in parts}) == 1:
        table = examples.drop(HOLE) if "role" in examples.columns else examples.rename({HOLE: "role"})
        explained = [column_in_segment(list(segments), table, numbers) for segments in zip(*parts, strict=True)]
    if all(part is not None for part in explained):
        return replace(file_match, pattern="/".join(str(part) for part in explained).replace(HOLE, hole))
    return _add_path_column(file_match, rows, files)


def _add_path_column(file_match: FileMatch, rows: list[RowFiles], files: tuple[str, ...]) -> FileMatch:
    ends = [end for end, _ in Counter(row.template.text.rpartition("/")[2] for row in rows).most_common()]
    if any(HOLE not in end for end in ends) or (len(ends) > 1 and file_match.channels):
        raise DataError(
            f"the files are named in several ways: {join_names([end.replace(HOLE, '*') for end in ends], 4)}",
            field=file_match.column,
            remedy="write the pattern `images:` of the recipe by hand, or add a column with the path of each file",
        )
    added = free_name("folder" if len(ends) == 1 else "file", file_match.train)
    paths_of_name = group_by_name(files)

    def add_paths(table: pl.DataFrame, role: str) -> pl.DataFrame:
        paths = []
        for value in table[file_match.column].to_list():
            names = [end.replace(HOLE, value).replace("{channel}", (*file_match.channels, "")[0]) for end in ends]
            candidates = [path for name in names for path in paths_of_name.get(name, [])]
            here = files_of_role(candidates, role) or ["missing/missing"]
            paths.append(here[0].rpartition("/")[0] or "." if len(ends) == 1 else here[0])
        return table.with_columns(pl.Series(added, paths, dtype=pl.String))

    hole = f"{{{file_match.column}}}"
    return replace(
        file_match,
        pattern=f"{{{added}}}/{ends[0].replace(HOLE, hole)}" if len(ends) == 1 else f"{{{added}}}",
        train=add_paths(file_match.train, "train"),
        test=None if file_match.test is None else add_paths(file_match.test, "test"),
        added=added,
    )


def files_of_role(names: list[str], role: str) -> list[str]:
    """Of `train/7.png` and `test/7.png`, the one that belongs to the table of the row."""
    other = "test" if role == "train" else "train"
    return [name for name in names if other not in name.lower().split("/")[:-1]] or names
