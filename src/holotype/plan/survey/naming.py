"""Which column is the id, which names the files, and by what pattern."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import polars as pl

from holotype.data.addresses import plain_name
from holotype.errors import DataError, counted, listing
from holotype.plan.survey.channel_columns import ChannelColumns, find_channel_columns
from holotype.plan.survey.composed import Composed, compose_names, filled
from holotype.plan.survey.files import by_name
from holotype.plan.survey.headers import spread
from holotype.plan.survey.mending import free_name, may_be_joined, mended_tables, rows_joined
from holotype.plan.survey.patterns import (
    HOLE,
    RowFiles,
    column_in_segment,
    common_shape,
    match_values,
    templates_of_row,
)
from holotype.plan.survey.tables import is_unique

__all__ = ["Naming", "files_of_row", "name_files"]

EXAMPLES = {"train": 300, "test": 150}
ENOUGH = 0.5
NEARLY_ALL = 0.95
ID_NAME = re.compile(r"(^|[_ ])(id|uuid|image|filename|file|name)([_ ]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Naming:
    """How the rows of the tables name their image files.

    Args:
        id: The id column.
        column: The column whose values stand in the file names; the id's where several make them up together.
        pattern: As the recipe has it, relative to the data folder.
        channels: The channels' names; none where one file holds them all.
        train: The training table, with a column `file` or `folder` more where the pattern needs one.
        test: The test table likewise.
        added: The name of that column, or of the one that tells the images of a sample apart.
        sample: The column that several images of one sample share, where rows were made for each; or None.
        joined: The column that names the images, where rows of one image were made one; or None.
        missing: Rows without (all of) their files.
        examples_missing: A few of the files they should have.
        unused: Image files that no row names.
        unused_endings: How many of them have each ending.
        patterns: Channel to pattern where each channel has a column of its own; empty where one pattern names all.
        questions: What a person should confirm.
        added_files: Columns of files that were added for channels.
        nameless: Rows that name no image, which were left out.
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


def name_files(train: pl.DataFrame, test: pl.DataFrame | None, files: tuple[str, ...]) -> Naming:
    """Find the id column and the pattern that leads from a row to its files.

    Args:
        train: The training table, all text.
        test: The test table, or None.
        files: The image files, relative to the data folder.

    Raises:
        DataError: No column is unique, none names the files, or several rows name one file.
    """
    by_channel = find_channel_columns(train, test, files)
    if by_channel is not None:
        return _counted(_of_channels(by_channel), files)
    shared = [name for name in train.columns if test is None or name in test.columns]
    unique = [name for name in shared if is_unique(train, name) and (test is None or is_unique(test, name))]
    examples = _examples(train, test, shared)
    column, names = _naming_column(examples, unique, files)
    if column is None:
        return _otherwise(train, test, unique, files)
    found = [(row, names[value]) for row, value in enumerate(examples[column]) if value in names]
    roles = examples[HOLE].to_list()
    templates = [(row, templates_of_row(_of_role(own, roles[row]))) for row, own in found]
    rows = common_shape([RowFiles(row, template) for row, template in templates if template is not None])
    if len(rows) < ENOUGH * len(found):
        some = listing([name.replace(HOLE, str(examples[column][found[0][0]])) for name in found[0][1]], 6)
        raise DataError(f"the files of one row differ in more than one place: {some}", field=column,
                        remedy="write the pattern `images:` of the recipe by hand")  # fmt: skip
    naming = Naming(_id_column(unique, column), column, "", rows[0].template.channels, train, test)
    return _counted(_with_pattern(naming, rows, examples, files), files)


def _of_channels(found: ChannelColumns) -> Naming:
    """Files that have a column for each channel, and the id column: one that differs in every row, or a number."""
    train, test = found.tables
    shared = [name for name in train.columns if test is None or name in test.columns]
    unique = [name for name in shared if is_unique(train, name) and (test is None or is_unique(test, name))]
    unique = sorted(unique, key=lambda name: (ID_NAME.search(name) is None, name in found.added))
    added = None
    if not unique:
        added = free_name("id", train, test)
        train = train.with_columns((pl.lit("train") + pl.int_range(pl.len()).cast(pl.String)).alias(added))
        if test is not None:
            test = test.with_columns((pl.lit("test") + pl.int_range(pl.len()).cast(pl.String)).alias(added))
        unique = [added]
    own_id, (first, *_) = unique[0], found.patterns.values()
    return Naming(own_id, own_id, first, tuple(found.patterns), train, test, added, patterns=found.patterns,
                  questions=(found.question,), added_files=found.added)  # fmt: skip


def _otherwise(train: pl.DataFrame, test: pl.DataFrame | None, unique: list[str], files: tuple[str, ...]) -> Naming:
    """Where no column that differs in every row names the files: several columns, or a table that is mended first."""
    shared = [name for name in train.columns if test is None or name in test.columns]
    composed = compose_names(_both(train, test, shared), files) if unique else None
    if composed is not None:
        return _counted(_of_several(composed, (train, test), _id_column(unique, unique[0]), files), files)
    for own, added, mended, asked in mended_tables(train, test, unique, files):
        if _naming_column(_examples(mended, asked, [added]), [added], files)[0] is not None:
            found = name_files(mended, asked, files)
            questions = (*found.questions, *_question_on_spelling(mended, own, added))
            return replace(found, id=own, added=added, questions=questions)
    examples = _examples(train, test, shared)
    repeated = [name for name in shared if name not in unique and train[name].n_unique() > 0.05 * train.height]
    column, _ = _naming_column(examples, repeated, files)
    if column is None:
        raise _refusal(examples, files)
    known = [None if table is None else table.drop_nulls(column) for table in (train, test)]
    nameless = sum(table[column].null_count() for table in (train, test) if table is not None)
    if nameless and known[0] is not None and all(table is None or is_unique(table, column) for table in known):
        return replace(name_files(known[0], known[1], files), nameless=nameless)
    if not may_be_joined(train[column]):
        twice = train[column].filter(train[column].is_duplicated()).unique(maintain_order=True).to_list()
        raise DataError(
            f"several rows name one image ({listing(twice, 3)}), and a table has one row an image",
            field=column,
            remedy="join the labels of an image with a separator such as '|', and keep one row of each",
        )
    asked = None if test is None else rows_joined(test, column)
    return replace(name_files(rows_joined(train, column), asked, files), joined=column, nameless=nameless)


def _question_on_spelling(table: pl.DataFrame, written: str, found: str) -> tuple[str, ...]:
    """Whether files are meant whose names differ from the table's in case or in how accents are stored."""
    pairs = [(str(own).replace("\\", "/").rpartition("/")[2], str(here).rpartition("/")[2])
             for own, here in zip(table[written], table[found], strict=True)]  # fmt: skip
    changed = [(own, here) for own, here in pairs if own not in here and plain_name(own) in plain_name(here)]
    return (_in_words(changed),) if changed else ()


def _in_words(changed: Sequence[tuple[str, str]]) -> str:
    """A question on files that are spelled otherwise than in the table: pairs of how they are written and called."""
    written, called = changed[0]
    return (f"Are the {counted(len(changed), 'file')} meant that differ from the table in case or in how accents are "
            f"stored ({written} is {called})? They are taken for them.")  # fmt: skip


def files_of_row(naming: Naming, row: dict[str, str | None], role: str = "train") -> list[str]:
    """The files one row names by the pattern, in the order of the channels.

    Args:
        naming: The pattern.
        row: Column to value.
        role: `train` or `test`, which the pattern may name.
    """
    values = {"role": role} | {name: value for name, value in row.items() if name != "channel"}
    if naming.patterns:
        return [filled(pattern, values) for pattern in naming.patterns.values()]
    text = filled(naming.pattern, values)
    return [text.replace("{channel}", channel) for channel in naming.channels] or [text]


def _both(train: pl.DataFrame, test: pl.DataFrame | None, columns: list[str]) -> pl.DataFrame:
    """Both tables' rows, with their role where no column is called so."""
    roles = {role: table.select(columns) for role, table in (("train", train), ("test", test)) if table is not None}
    named = [pl.lit(role).alias("role") for role in roles] if "role" not in columns else [pl.col("role")] * len(roles)
    return pl.concat([table.with_columns(name) for table, name in zip(roles.values(), named, strict=True)])


def _of_several(
    composed: Composed, tables: tuple[pl.DataFrame, pl.DataFrame | None], own_id: str, files: tuple[str, ...]
) -> Naming:
    """Names that several columns make up; where a row has several images, with a row for each that is there."""
    train, test = tables
    naming = Naming(own_id, own_id, composed.pattern, composed.channels, train, test)
    if not composed.sites:
        return naming
    image = free_name("image", train)
    present = set(files)

    def spelt_out(table: pl.DataFrame, role: str) -> pl.DataFrame:
        sites = pl.DataFrame({composed.site: composed.sites})
        rows = table.join(sites, how="cross", maintain_order="left")
        rows = rows.select(pl.concat_str(own_id, composed.site, separator="_").alias(image), pl.all())
        own = (files_of_row(naming, row, role) for row in rows.iter_rows(named=True))
        there = [all(name in present for name in names) for names in own]
        kept = rows.filter(pl.Series(there))
        return pl.concat([kept, rows.join(kept, on=own_id, how="anti")])  # a sample without any image is told of

    many = None if test is None else spelt_out(test, "test")
    return replace(naming, id=image, column=image, train=spelt_out(train, "train"), test=many, added=composed.site,
                   sample=own_id)  # fmt: skip


def _examples(train: pl.DataFrame, test: pl.DataFrame | None, columns: list[str]) -> pl.DataFrame:
    parts = [("train", train)] + ([("test", test)] if test is not None else [])
    frames = [
        table.select(columns)[spread(table.height, EXAMPLES[role])].with_columns(pl.lit(role).alias(HOLE))
        for role, table in parts
    ]
    return pl.concat(frames)


def _naming_column(
    examples: pl.DataFrame, columns: list[str], files: tuple[str, ...]
) -> tuple[str | None, dict[str, list[str]]]:
    """The column that most rows find files by; little effort before more, names like `id` before others."""
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


def _refusal(examples: pl.DataFrame, files: tuple[str, ...]) -> DataError:
    shown = "; ".join(f"{name}: {listing(examples[name].drop_nulls().unique(maintain_order=True).head(2), 2)}"
                      for name in examples.columns[:4] if name != HOLE)  # fmt: skip
    return DataError(
        f"no column that differs in every row names the image files; the table holds {shown or 'nothing shared'}"
        f" and the files are called {listing(files[:3], 3)}",
        remedy="add a column with the path of each file, relative to the data folder",
    )


def _of_role(names: list[str], role: str) -> list[str]:
    """Of `train/7.png` and `test/7.png` the one that belongs to the row's table."""
    other = "test" if role == "train" else "train"
    return [name for name in names if other not in name.lower().split("/")[:-1]] or names


def _id_column(unique: list[str], column: str) -> str:
    """The column called id where there is one, else the one that names the files."""
    called = [name for name in unique if name.lower() in {"id", "image_id", "uuid"}]
    return called[0] if called and column not in called else column


def _with_pattern(naming: Naming, rows: list[RowFiles], examples: pl.DataFrame, files: tuple[str, ...]) -> Naming:
    hole = f"{{{naming.column}}}"
    leader = Counter(row.template.text for row in rows).most_common(1)[0][0]
    if re.search(r"[{}]", leader.rpartition("/")[0].replace(HOLE, "").replace("{channel}", "")):
        return _with_column(naming, rows, files)  # braces of a folder would be a column's in a pattern
    roles = examples[HOLE].to_list()
    for role in set(roles):
        texts = [row.template.text for row in rows if roles[row.row] == role]
        if texts.count(leader) < NEARLY_ALL * len(texts):
            break
    else:
        return replace(naming, pattern=leader.replace(HOLE, hole))
    parts = [row.template.text.split("/") for row in rows]
    numbers = [row.row for row in rows]
    explained: list[str | None] = [None]
    if len({len(part) for part in parts}) == 1:
        table = examples.drop(HOLE) if "role" in examples.columns else examples.rename({HOLE: "role"})
        explained = [column_in_segment(list(segments), table, numbers) for segments in zip(*parts, strict=True)]
    if all(part is not None for part in explained):
        return replace(naming, pattern="/".join(str(part) for part in explained).replace(HOLE, hole))
    return _with_column(naming, rows, files)


def _with_column(naming: Naming, rows: list[RowFiles], files: tuple[str, ...]) -> Naming:
    """Where no column explains the folder or the ending, the tables get one that says it."""
    ends = [end for end, _ in Counter(row.template.text.rpartition("/")[2] for row in rows).most_common()]
    if any(HOLE not in end for end in ends) or (len(ends) > 1 and naming.channels):
        raise DataError(
            f"the files are named in several ways: {listing([end.replace(HOLE, '*') for end in ends], 4)}",
            field=naming.column,
            remedy="write the pattern `images:` of the recipe by hand, or add a column with the path of each file",
        )
    added = free_name("folder" if len(ends) == 1 else "file", naming.train)
    places = by_name(files)

    def with_places(table: pl.DataFrame, role: str) -> pl.DataFrame:
        paths = []
        for value in table[naming.column].to_list():
            names = [end.replace(HOLE, value).replace("{channel}", (*naming.channels, "")[0]) for end in ends]
            found = [path for name in names for path in places.get(name, [])]
            here = _of_role(found, role) or ["missing/missing"]
            paths.append(here[0].rpartition("/")[0] or "." if len(ends) == 1 else here[0])
        return table.with_columns(pl.Series(added, paths, dtype=pl.String))

    hole = f"{{{naming.column}}}"
    return replace(
        naming,
        pattern=f"{{{added}}}/{ends[0].replace(HOLE, hole)}" if len(ends) == 1 else f"{{{added}}}",
        train=with_places(naming.train, "train"),
        test=None if naming.test is None else with_places(naming.test, "test"),
        added=added,
    )


def _counted(naming: Naming, files: tuple[str, ...]) -> Naming:
    """With the rows that lack files and the files that no row names; other spellings of names are matched first."""
    naming = _respelled(naming, files)
    present = set(files)
    named: set[str] = set()
    missing: list[str] = []
    absent_rows = 0
    for role, row in _rows(naming):
        own = files_of_row(naming, row, role)
        absent = [name for name in own if name.removeprefix("./") not in present]
        named.update(name.removeprefix("./") for name in own)
        absent_rows += bool(absent)
        missing += [name or "an empty cell" for name in absent[: max(0, 3 - len(missing))]]
    unused = present - named
    endings = Counter(PurePosixPath(name).suffix.lower() or "without an ending" for name in unused)
    return replace(naming, missing=absent_rows, examples_missing=tuple(missing), unused=len(unused),
                   unused_endings=dict(endings.most_common()))  # fmt: skip


def _rows(naming: Naming) -> Iterator[tuple[str, dict[str, str | None]]]:
    tables = {"train": naming.train} | ({} if naming.test is None else {"test": naming.test})
    return ((role, row) for role, table in tables.items() for row in table.iter_rows(named=True))


def _respelled(naming: Naming, files: tuple[str, ...]) -> Naming:
    """Where files are called otherwise in case or in how accents are stored, the tables get columns of their names."""
    present = set(files)
    by_plain: dict[str, list[str]] = {}
    for path in files:
        by_plain.setdefault(plain_name(path), []).append(path)
    unique = {plain: paths[0] for plain, paths in by_plain.items() if len(paths) == 1}
    columns = {channel: free_name(f"file_{channel}" if channel else "file", naming.train, naming.test)
               for channel in naming.channels or ("",)}  # fmt: skip
    found: dict[str, list[list[str]]] = {"train": [], "test": []}
    changed: list[tuple[str, str]] = []
    for role, row in _rows(naming):
        own = [name.removeprefix("./") for name in files_of_row(naming, row, role)]
        here = [name if name in present else unique.get(plain_name(name), name) for name in own]
        changed += [pair for pair in zip(own, here, strict=True) if pair[0] != pair[1]]
        found[role].append(here)
    if not changed:
        return naming

    def with_files(table: pl.DataFrame, role: str) -> pl.DataFrame:
        names = zip(columns.values(), zip(*found[role], strict=True), strict=True)
        return table.with_columns(pl.Series(name, values, dtype=pl.String) for name, values in names)

    question = _in_words(changed)
    return replace(
        naming,
        pattern=f"{{{next(iter(columns.values()))}}}",
        patterns={channel: f"{{{name}}}" for channel, name in columns.items()} if naming.channels else {},
        train=with_files(naming.train, "train"),
        test=None if naming.test is None else with_files(naming.test, "test"),
        added_files=(*naming.added_files, *columns.values()),
        questions=(*naming.questions, question),
    )
