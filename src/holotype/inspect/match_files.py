"""Matching of table rows to image files: the id column, the column with file names, and the file pattern."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.inspect.channel_columns import ChannelColumns, find_channel_columns
from holotype.inspect.file_match import FileMatch, files_of_row
from holotype.inspect.missing_files import count_missing, question_spelling
from holotype.inspect.multi_column_patterns import MultiColumnPattern, infer_pattern
from holotype.inspect.name_pattern import add_pattern, files_of_role
from holotype.inspect.naming_column import (
    ID_NAME,
    choose_id_column,
    find_naming_column,
    no_match_error,
    sample_rows,
    shared_columns,
)
from holotype.inspect.patterns import HOLE, RowFiles, common_shape, templates_of_row
from holotype.inspect.repair_tables import free_name, has_repeated_images, merge_rows, repair_tables

ENOUGH = 0.5


def match_rows_to_files(train: pl.DataFrame, test: pl.DataFrame | None, files: tuple[str, ...]) -> FileMatch:
    """Match table rows to image files: find the id column and the file pattern."""
    by_channel = find_channel_columns(train, test, files)
    if by_channel is not None:
        return count_missing(_match_channel_columns(by_channel), files)
    shared, unique = shared_columns(train, test)
    examples = sample_rows(train, test, shared)
    column, names = find_naming_column(examples, unique, files)
    if column is None:
        return _match_repaired_tables(train, test, unique, files)
    matched = [(row, names[value]) for row, value in enumerate(examples[column]) if value in names]
    roles = examples[HOLE].to_list()
    templates = [(row, templates_of_row(files_of_role(file_names, roles[row]))) for row, file_names in matched]
    rows = common_shape([RowFiles(row, template) for row, template in templates if template is not None])
    if len(rows) < ENOUGH * len(matched):
        file_list = join_names([name.replace(HOLE, str(examples[column][matched[0][0]])) for name in matched[0][1]], 6)
        raise DataError(
            f"the files of one row differ in more than one place: {file_list}",
            field=column,
            remedy="write the pattern `images:` of the recipe by hand",
        )
    file_match = FileMatch(choose_id_column(unique, column), column, "", rows[0].template.channels, train, test)
    return count_missing(add_pattern(file_match, rows, examples, files), files)


def _match_channel_columns(channel_columns: ChannelColumns) -> FileMatch:
    train, test = channel_columns.tables
    unique = sorted(
        shared_columns(train, test)[1], key=lambda name: (ID_NAME.search(name) is None, name in channel_columns.added)
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
    shared = [name for name in train.columns if test is None or name in test.columns]
    composed = infer_pattern(_join_roles(train, test, shared), files) if unique else None
    if composed is not None:
        id_name = choose_id_column(unique, unique[0])
        return count_missing(_match_multi_column(composed, train, test, id_name, files), files)
    for id_name, added, new_train, new_test in repair_tables(train, test, unique, files):
        if find_naming_column(sample_rows(new_train, new_test, [added]), [added], files)[0] is not None:
            match = match_rows_to_files(new_train, new_test, files)
            questions = (*match.questions, *question_spelling(new_train, id_name, added))
            return replace(match, id=id_name, added=added, questions=questions)
    examples = sample_rows(train, test, shared)
    repeated = [name for name in shared if name not in unique and train[name].n_unique() > 0.05 * train.height]
    column, _ = find_naming_column(examples, repeated, files)
    if column is None:
        raise no_match_error(examples, files)
    named_train, named_test = train.drop_nulls(column), None if test is None else test.drop_nulls(column)
    nameless = train.height - named_train.height
    nameless += 0 if test is None or named_test is None else test.height - named_test.height
    if nameless and column in shared_columns(named_train, named_test)[1]:
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


def _join_roles(train: pl.DataFrame, test: pl.DataFrame | None, columns: list[str]) -> pl.DataFrame:
    roles = {role: table.select(columns) for role, table in (("train", train), ("test", test)) if table is not None}
    named = [pl.lit(role).alias("role") for role in roles] if "role" not in columns else [pl.col("role")] * len(roles)
    return pl.concat([table.with_columns(name) for table, name in zip(roles.values(), named, strict=True)])


def _match_multi_column(
    composed: MultiColumnPattern, train: pl.DataFrame, test: pl.DataFrame | None, id_name: str, files: tuple[str, ...]
) -> FileMatch:
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
