"""Matching of table rows to image files: the id column, the column with file names, and the file pattern."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import polars as pl

from holotype.core.errors import DataError, join_names, pluralize
from holotype.data.uris import normalize_name
from holotype.inspect.channel_columns import ChannelColumns, find_channel_columns
from holotype.inspect.files import group_by_name
from holotype.inspect.headers import spread_positions
from holotype.inspect.multi_column_patterns import MultiColumnPattern, format_pattern, infer_pattern
from holotype.inspect.patterns import HOLE, RowFiles, column_in_segment, common_shape, match_values, templates_of_row
from holotype.inspect.repair_tables import free_name, has_repeated_images, merge_rows, repair_tables
from holotype.inspect.tables import is_unique

__all__ = ["FileMatch", "files_of_row", "match_rows_to_files"]

EXAMPLES = {"train": 300, "test": 150}
ENOUGH = 0.5
NEARLY_ALL = 0.95
ID_NAME = re.compile(r"(^|[_ ])(id|uuid|image|filename|file|name)([_ ]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class FileMatch:
    """File match: how table rows name their image files.

    Args:
        id: The id column.
        column: The column whose values occur in the file names; the id if several columns form the names.
        pattern: Pattern for the recipe, relative to the data folder.
        channels: Channel names; empty if one file holds all channels.
        train: The training table, with an added column if the pattern needs one.
        test: The test table likewise.
        added: The added column, or the column that distinguishes the images of a sample.
        sample: The sample column, if rows were expanded to one per image.
        joined: The image column, if several rows of one image were merged.
        missing: Number of rows without all of their files.
        examples_missing: Some of the missing files.
        unused: Number of image files that belong to no row.
        unused_endings: The same by extension.
        patterns: Pattern by channel, if each channel has its own; otherwise empty.
        questions: Questions for the user.
        added_files: Columns of file names that were added for the channels.
        nameless: Number of rows without an image name, which were removed.
    """

    id: str
    column: str
    pattern: str
    channels: tuple[str, ...]
    train: pl.DataFrame
    test: pl.DataFrame | None
    added: str | None = None
    sample: str | None = None
    joined: str | None = None
    missing: int = 0
    examples_missing: tuple[str, ...] = ()
    unused: int = 0
    unused_endings: Mapping[str, int] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    questions: tuple[str, ...] = ()
    added_files: tuple[str, ...] = ()
    nameless: int = 0


def match_rows_to_files(train: pl.DataFrame, test: pl.DataFrame | None, files: tuple[str, ...]) -> FileMatch:
    """Match table rows to image files: find the id column and the file pattern.

    Args:
        train: The training table, all columns as text.
        files: Image files, relative to the data folder.

    Raises:
        DataError: No column is unique or names the files, or several rows name one file.
    """
    by_channel = find_channel_columns(train, test, files)
    if by_channel is not None:
        return _count_missing(_match_channel_columns(by_channel), files)
    shared, unique = _shared_columns(train, test)
    examples = _sample_rows(train, test, shared)
    column, names = _find_naming_column(examples, unique, files)
    if column is None:
        return _match_repaired_tables(train, test, unique, files)
    matched = [(row, names[value]) for row, value in enumerate(examples[column]) if value in names]
    roles = examples[HOLE].to_list()
    templates = [(row, templates_of_row(_files_of_role(file_names, roles[row]))) for row, file_names in matched]
    rows = common_shape([RowFiles(row, template) for row, template in templates if template is not None])
    if len(rows) < ENOUGH * len(matched):
        file_list = join_names([name.replace(HOLE, str(examples[column][matched[0][0]])) for name in matched[0][1]], 6)
        raise DataError(
            f"the files of one row differ in more than one place: {file_list}",
            field=column,
            remedy="write the pattern `images:` of the recipe by hand",
        )
    file_match = FileMatch(_choose_id_column(unique, column), column, "", rows[0].template.channels, train, test)
    return _count_missing(_add_pattern(file_match, rows, examples, files), files)


def _shared_columns(train: pl.DataFrame, test: pl.DataFrame | None) -> tuple[list[str], list[str]]:
    """Columns that both tables have, and those of them with distinct values."""
    shared = [name for name in train.columns if test is None or name in test.columns]
    return shared, [name for name in shared if is_unique(train, name) and (test is None or is_unique(test, name))]


def _match_channel_columns(channel_columns: ChannelColumns) -> FileMatch:
    """File match of tables with a file column per channel; the id is a unique column or a number."""
    train, test = channel_columns.tables
    unique = sorted(
        _shared_columns(train, test)[1], key=lambda name: (ID_NAME.search(name) is None, name in channel_columns.added)
    )
    added = None
    if not unique:
        added = free_name("id", train, test)
        numbers = pl.int_range(pl.len()).cast(pl.String)
        train = train.with_columns(("train" + numbers).alias(added))
        test = None if test is None else test.with_columns(("test" + numbers).alias(added))
        unique = [added]
    id_name, (first, *_) = unique[0], channel_columns.patterns.values()
    return FileMatch(
        id_name,
        id_name,
        first,
        tuple(channel_columns.patterns),
        train,
        test,
        added,
        patterns=channel_columns.patterns,
        questions=(channel_columns.question,),
        added_files=channel_columns.added,
    )


def _match_repaired_tables(
    train: pl.DataFrame, test: pl.DataFrame | None, unique: list[str], files: tuple[str, ...]
) -> FileMatch:
    """Match rows if no unique column names the files: by several columns, or after repairing the tables."""
    shared = [name for name in train.columns if test is None or name in test.columns]
    composed = infer_pattern(_join_roles(train, test, shared), files) if unique else None
    if composed is not None:
        id_name = _choose_id_column(unique, unique[0])
        return _count_missing(_match_multi_column(composed, train, test, id_name, files), files)
    for id_name, added, new_train, new_test in repair_tables(train, test, unique, files):
        if _find_naming_column(_sample_rows(new_train, new_test, [added]), [added], files)[0] is not None:
            match = match_rows_to_files(new_train, new_test, files)
            questions = (*match.questions, *_question_spelling(new_train, id_name, added))
            return replace(match, id=id_name, added=added, questions=questions)
    examples = _sample_rows(train, test, shared)
    repeated = [name for name in shared if name not in unique and train[name].n_unique() > 0.05 * train.height]
    column, _ = _find_naming_column(examples, repeated, files)
    if column is None:
        raise _no_match_error(examples, files)
    named_train, named_test = train.drop_nulls(column), None if test is None else test.drop_nulls(column)
    nameless = train.height - named_train.height
    nameless += 0 if test is None or named_test is None else test.height - named_test.height
    if nameless and column in _shared_columns(named_train, named_test)[1]:
        return replace(match_rows_to_files(named_train, named_test, files), nameless=nameless)
    if not has_repeated_images(train[column]):
        repeated_values = train[column].filter(train[column].is_duplicated()).unique(maintain_order=True).to_list()
        raise DataError(
            f"several rows name the same image ({join_names(repeated_values, 3)}), but a table has one row per image",
            field=column,
            remedy="join the labels of an image with a separator such as '|', and leave one row of each",
        )
    new_test = None if test is None else merge_rows(test, column)
    return replace(match_rows_to_files(merge_rows(train, column), new_test, files), joined=column, nameless=nameless)


def _question_spelling(table: pl.DataFrame, written: str, file_column: str) -> tuple[str, ...]:
    """Ask about files whose names differ from the table in case or in the encoding of accents."""
    pairs = [
        (str(name).replace("\\", "/").rpartition("/")[2], str(here).rpartition("/")[2])
        for name, here in zip(table[written], table[file_column], strict=True)
    ]
    changed = [
        (name, here) for name, here in pairs if name not in here and normalize_name(name) in normalize_name(here)
    ]
    return (_describe_spellings(changed),) if changed else ()


def _describe_spellings(changed: Sequence[tuple[str, str]]) -> str:
    """Question on differently spelled files, from pairs of the name in the table and the file name."""
    written, called = changed[0]
    return (
        f"Do {pluralize(len(changed), 'file')} belong to the table although names differ in case or in the encoding "
        f"of accents ({written} is {called})? They are used."
    )


def files_of_row(file_match: FileMatch, row: dict[str, str | None], role: str = "train") -> list[str]:
    """List the files of a row by the pattern, in channel order.

    Args:
        row: Value by column.
        role: `train` or `test`, which the pattern may contain.
    """
    values = {"role": role} | {name: value for name, value in row.items() if name != "channel"}
    if file_match.patterns:
        return [format_pattern(pattern, values) for pattern in file_match.patterns.values()]
    text = format_pattern(file_match.pattern, values)
    return [text.replace("{channel}", channel) for channel in file_match.channels] or [text]


def _join_roles(train: pl.DataFrame, test: pl.DataFrame | None, columns: list[str]) -> pl.DataFrame:
    """Rows of both tables, with their role unless a column has this name."""
    roles = {role: table.select(columns) for role, table in (("train", train), ("test", test)) if table is not None}
    named = [pl.lit(role).alias("role") for role in roles] if "role" not in columns else [pl.col("role")] * len(roles)
    return pl.concat([table.with_columns(name) for table, name in zip(roles.values(), named, strict=True)])


def _match_multi_column(
    composed: MultiColumnPattern, train: pl.DataFrame, test: pl.DataFrame | None, id_name: str, files: tuple[str, ...]
) -> FileMatch:
    """File match of a multi-column pattern; rows with several images are expanded to one row per image."""
    file_match = FileMatch(id_name, id_name, composed.pattern, composed.channels, train, test)
    if not composed.sites:
        return file_match
    image = free_name("image", train)
    present = set(files)

    def expand_rows(table: pl.DataFrame, role: str) -> pl.DataFrame:
        sites = pl.DataFrame({composed.site: composed.sites})
        rows = table.join(sites, how="cross", maintain_order="left")
        rows = rows.select(pl.concat_str(id_name, composed.site, separator="_").alias(image), pl.all())
        row_files = (files_of_row(file_match, row, role) for row in rows.iter_rows(named=True))
        there = [all(name in present for name in names) for names in row_files]
        existing = rows.filter(pl.Series(there))
        # A sample without any image stays, so that it is reported as missing.
        return pl.concat([existing, rows.join(existing, on=id_name, how="anti")])

    test_rows = None if test is None else expand_rows(test, "test")
    return replace(
        file_match,
        id=image,
        column=image,
        train=expand_rows(train, "train"),
        test=test_rows,
        added=composed.site,
        sample=id_name,
    )


def _sample_rows(train: pl.DataFrame, test: pl.DataFrame | None, columns: list[str]) -> pl.DataFrame:
    return pl.concat(
        table.select(columns)[spread_positions(table.height, EXAMPLES[role])].with_columns(pl.lit(role).alias(HOLE))
        for role, table in (("train", train), ("test", test))
        if table is not None
    )


def _find_naming_column(
    examples: pl.DataFrame, columns: list[str], files: tuple[str, ...]
) -> tuple[str | None, dict[str, list[str]]]:
    """Column by which most rows find files; low effort and names such as `id` are tried first."""
    for effort in range(3):
        best: tuple[float, str | None, dict[str, list[str]]] = (0.0, None, {})
        for column in sorted(columns, key=lambda name: ID_NAME.search(name) is None):
            names = match_values(files, set(examples[column].drop_nulls()), effort)
            share = len(names) / max(1, examples[column].n_unique())
            if share > best[0]:
                best = share, column, names
        if best[0] >= ENOUGH:
            return best[1], best[2]
    return None, {}


def _no_match_error(examples: pl.DataFrame, files: tuple[str, ...]) -> DataError:
    column_examples = "; ".join(
        f"{name}: {join_names(examples[name].drop_nulls().unique(maintain_order=True).head(2), 2)}"
        for name in examples.columns[:4]
        if name != HOLE
    )
    return DataError(
        f"no column with unique values matches the image files; the table has {column_examples or 'nothing shared'} "
        f"and the files are named {join_names(files[:3], 3)}",
        remedy="add a column with the path of each file, relative to the data folder",
    )


def _files_of_role(names: list[str], role: str) -> list[str]:
    """Of `train/7.png` and `test/7.png`, the one that belongs to the table of the row."""
    other = "test" if role == "train" else "train"
    return [name for name in names if other not in name.lower().split("/")[:-1]] or names


def _choose_id_column(unique: list[str], column: str) -> str:
    """Column named id if there is one, else the column that names the files."""
    called = [name for name in unique if name.lower() in {"id", "image_id", "uuid"}]
    return called[0] if called and column not in called else column


def _add_pattern(
    file_match: FileMatch, rows: list[RowFiles], examples: pl.DataFrame, files: tuple[str, ...]
) -> FileMatch:
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
    """Add a path column to the tables if no column explains the folder or the extension."""
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
            here = _files_of_role(candidates, role) or ["missing/missing"]
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


def _count_missing(file_match: FileMatch, files: tuple[str, ...]) -> FileMatch:
    """Count rows without files and files without rows; other spellings of names are matched first."""
    file_match = _match_spellings(file_match, files)
    present = set(files)
    named: set[str] = set()
    missing: list[str] = []
    absent_rows = 0
    for role, row in _iterate_rows(file_match):
        row_files = files_of_row(file_match, row, role)
        absent = [name for name in row_files if name.removeprefix("./") not in present]
        named.update(name.removeprefix("./") for name in row_files)
        absent_rows += bool(absent)
        missing += [name or "an empty cell" for name in absent[: max(0, 3 - len(missing))]]
    unused = present - named
    endings = Counter(PurePosixPath(name).suffix.lower() or "without an ending" for name in unused)
    return replace(
        file_match,
        missing=absent_rows,
        examples_missing=tuple(missing),
        unused=len(unused),
        unused_endings=dict(endings.most_common()),
    )


def _iterate_rows(file_match: FileMatch) -> Iterator[tuple[str, dict[str, str | None]]]:
    tables = {"train": file_match.train} | ({} if file_match.test is None else {"test": file_match.test})
    return ((role, row) for role, table in tables.items() for row in table.iter_rows(named=True))


def _match_spellings(file_match: FileMatch, files: tuple[str, ...]) -> FileMatch:
    """Add columns of file names if files differ from the table in case or in the encoding of accents."""
    present = set(files)
    by_normalized: dict[str, list[str]] = {}
    for path in files:
        by_normalized.setdefault(normalize_name(path), []).append(path)
    unique = {normalized: paths[0] for normalized, paths in by_normalized.items() if len(paths) == 1}
    columns = {
        channel: free_name(f"file_{channel}" if channel else "file", file_match.train, file_match.test)
        for channel in file_match.channels or ("",)
    }
    files_of_role: dict[str, list[list[str]]] = {"train": [], "test": []}
    changed: list[tuple[str, str]] = []
    for role, row in _iterate_rows(file_match):
        row_files = [name.removeprefix("./") for name in files_of_row(file_match, row, role)]
        here = [name if name in present else unique.get(normalize_name(name), name) for name in row_files]
        changed += [pair for pair in zip(row_files, here, strict=True) if pair[0] != pair[1]]
        files_of_role[role].append(here)
    if not changed:
        return file_match

    def with_files(table: pl.DataFrame, role: str) -> pl.DataFrame:
        names = zip(columns.values(), zip(*files_of_role[role], strict=True), strict=True)
        return table.with_columns(pl.Series(name, values, dtype=pl.String) for name, values in names)

    question = _describe_spellings(changed)
    return replace(
        file_match,
        pattern=f"{{{next(iter(columns.values()))}}}",
        patterns={channel: f"{{{name}}}" for channel, name in columns.items()} if file_match.channels else {},
        train=with_files(file_match.train, "train"),
        test=None if file_match.test is None else with_files(file_match.test, "test"),
        added_files=(*file_match.added_files, *columns.values()),
        questions=(*file_match.questions, question),
    )
