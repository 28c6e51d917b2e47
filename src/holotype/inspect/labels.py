"""Label column of a table: finding it, single or multiple labels, separators and class counts."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.data.label_lists import LIST_PATTERN, parse_label_list
from holotype.inspect.groups import DOMAIN_NAME, GROUP_NAME
from holotype.inspect.tables import are_dates, as_numbers

NAMES = (
    "label", "labels", "class", "classes", "target", "targets", "category", "species", "phenotype", "diagnosis", "dx",
    "disease", "class_name", "label_name", "taxon", "scientific_name", "variety", "cultivar",
)  # fmt: skip
POSSIBLE_NAME = re.compile(
    r"label|class|target|categor|species|phenotype|diagnos|type|genotype|step|phase|state", re.IGNORECASE
)
BOOKKEEPING = re.compile(
    r"^((cv_?)?fold|split|set|subset|role|weight|is_train|index|width|height|path|x|y|z|frame|row|col|column|id|"
    r"date|time|timestamp|notes?|comments?|remarks?|author|rater|annotator|reader|url|license|source|filename|file)$",
    re.IGNORECASE,
)
PERSON = re.compile(
    r"^((patient|subject|donor|person)[-_ ]?)?(sex|gender|(fe)?male|age([-_ ]?(group|years?|approx))?|race|ethnicity|"
    r"laterality|side|eye|hand|view([-_ ]?position)?|orientation|projection|ap ?/ ?pa|frontal ?/ ?lateral|bmi|weight|"
    r"height|smok(er|ing)|hospital|cent(er|re)|institution|country|region|localization|anatom_site\w*|magnification)$",
    re.IGNORECASE,
)
"""Columns that describe the person or the view; used as labels only if there are no others."""
SEPARATORS = ("|", ";", ",", " ")
FEW = 20
"""Up to this many distinct numbers are class names; more only if they are integers, repeated and without large gaps."""
WORDS_OF_A_TEXT = 3


@dataclass(frozen=True)
class LabelGuess:
    """Label column with its kind and class counts.

    Args:
        kind: `multiclass` or `multilabel`.
        counts: Number of samples per class, most frequent first.
    """

    column: str
    kind: str
    separator: str | None
    counts: dict[str, int]
    unlabeled: int
    questions: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def choose_label_column(train: pl.DataFrame, test: pl.DataFrame | None, taken: set[str]) -> tuple[str, tuple[str, ...]]:
    """Choose the most likely label column, and list the other candidates. Raises DataError if no column is left."""
    free = [name for name in train.columns if name not in taken]
    only_in_train = [name for name in free if test is None or name not in test.columns]
    called = [name for name in free if name.lower() in NAMES]
    candidates = [name for name in called if name in only_in_train] or called or only_in_train
    if not candidates:
        raise DataError(
            "no column could hold the labels",
            field="data.labels.column",
            remedy=f"add a column `label` to the training table, whose columns are {join_names(train.columns)}",
        )

    def rank(name: str) -> tuple[bool, bool, int]:
        exact = NAMES.index(name.lower()) if name.lower() in NAMES else len(NAMES)
        return not could_be_classes(train, name), POSSIBLE_NAME.search(name) is None and exact == len(NAMES), exact

    first, *others = sorted(candidates, key=rank)
    return first, tuple(name for name in others if rank(name)[:2] <= (False, rank(first)[1]))


def could_be_classes(train: pl.DataFrame, name: str) -> bool:
    """Check whether the values of a column repeat, and its name has no other meaning."""
    something_else = any(pattern.search(name) for pattern in (GROUP_NAME, DOMAIN_NAME, BOOKKEEPING, PERSON))
    repeat = 2 <= train[name].drop_nulls().n_unique() <= max(2, train.height / 2)
    return name.lower() in NAMES or (not something_else and repeat)


def judge_labels(values: pl.Series, column: str, separator: str | None = None) -> LabelGuess:
    """Classify the labels as multiclass or multilabel, and refuse values that are not classes.

    Raises DataError if the labels are amounts, dates or free text, or there is a single class.
    """
    text = values.fill_null("").str.strip_chars()
    non_empty = text.filter(text != "")
    field = f"column {column!r}"
    if not len(non_empty):
        raise DataError("no row has a label", field=field)
    if are_dates(non_empty):
        raise DataError(
            "the labels are dates, not classes",
            field=field,
            value=non_empty[0],
            remedy="name the column of the classes `label`",
        )
    lists = non_empty.str.contains(LIST_PATTERN)
    if separator is None and lists.sum() >= len(non_empty) / 2:
        return _judge_lists(non_empty, column, len(text) - len(non_empty))
    guessed = guess_separator(non_empty) if separator is None else None
    separator = separator or guessed
    counts = count_classes(non_empty, separator)
    questions: tuple[str, ...] = ()
    if guessed in {" ", ","} and not all(name.isdigit() for name in counts):
        example = non_empty.filter(non_empty.str.contains(guessed, literal=True))[0]
        questions = (
            f"Is {example!r} several labels ({join_names(map(repr, example.split(guessed)), 4)})? If it is a single "
            "class, answer with `--set data.labels.kind=multiclass`.",
        )
    numbers = as_numbers(non_empty)
    if separator is None and numbers is not None:
        questions = _judge_numbers(numbers, field)
    elif separator is None:
        _require_class_words(non_empty, field)
    if len(counts) == 1:
        raise DataError(f"every row has the label {next(iter(counts))!r}; at least two classes are needed", field=field)
    kind = "multiclass" if separator is None else "multilabel"
    return LabelGuess(column, kind, separator, counts, len(text) - len(non_empty), questions)


def judge_folder_names(values: pl.Series, column: str) -> LabelGuess:
    """Count the classes of class folders; each folder name is one class, whatever it contains.

    Raises DataError if the folder names are dates, or there is a single folder.
    """
    if are_dates(values):
        raise DataError(
            "the folder names are dates, not classes",
            value=values[0],
            remedy="put the images into one folder per class, or add a table of labels",
        )
    counts = dict(values.value_counts().sort(["count", values.name], descending=[True, False]).iter_rows())
    if len(counts) < 2:
        raise DataError(f"all images are in the folder {next(iter(counts), '')!r}; at least two classes are needed")
    return LabelGuess(column, "multiclass", None, counts, 0)


def _judge_lists(non_empty: pl.Series, column: str, unlabeled: int) -> LabelGuess:
    cells = [parse_label_list(cell) if re.match(LIST_PATTERN, cell) else [cell] for cell in non_empty]
    broken = [cell for cell, labels in zip(non_empty, cells, strict=True) if labels is None]
    if broken:
        raise DataError(
            f"the label {broken[0]!r} looks like a list but is not valid",
            field=f"column {column!r}",
            remedy='write lists as ["a", "b"], or separate labels with a character such as |',
        )
    labels = pl.Series(column, [label for cell in cells for label in set(cell or [])], dtype=pl.String)
    counts = count_classes(labels, None)
    is_single_label = all(len(cell or []) == 1 for cell in cells)
    if len(counts) < (2 if is_single_label else 1):
        raise DataError("the lists of labels name fewer than two classes", field=f"column {column!r}")
    each = "one label" if is_single_label else "several labels"
    question = f"The labels are lists such as {non_empty[0]}: does each sample have {each}?"
    return LabelGuess(column, "multiclass" if is_single_label else "multilabel", None, counts, unlabeled, (question,))


def guess_separator(values: pl.Series) -> str | None:
    """Guess the separator between the labels of a sample; None if each sample has one label.

    A separator is accepted if the parts recur: at least half of the parts of compound values also occur alone in some
    row, or (except for the blank, which many names contain) in at least two other combinations.
    """
    distinct = values.unique()
    for separator in SEPARATORS:
        rows = [[part.strip() for part in value.split(separator) if part.strip()] for value in distinct]
        several = [row for row in rows if len(row) > 1]
        if not several or any(len(set(row)) < len(row) for row in several):
            continue
        alone = {row[0] for row in rows if len(row) == 1}
        parts = {part for row in several for part in row}
        combinations = Counter(part for row in rows for part in row)
        recurring = {part for part in parts if separator != " " and combinations[part] >= 2}
        recombined = 2 * len(recurring) >= len(parts) and len(parts | alone) < len(rows)
        if recombined or 2 * len(parts & alone) >= len(parts):
            return separator
    return None


def count_classes(values: pl.Series, separator: str | None) -> dict[str, int]:
    """Count the samples of each class, most frequent first."""
    parts = values if separator is None else values.str.split(separator).explode().str.strip_chars()
    counts = parts.filter(parts != "").value_counts().sort(["count", parts.name], descending=[True, False])
    return dict(counts.iter_rows())


def _judge_numbers(numbers: pl.Series, field: str) -> tuple[str, ...]:
    distinct, rows = numbers.n_unique(), len(numbers)
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
    all_integers = bool((numbers == numbers.round(0)).all())
    dense = distinct >= 0.5 * (high - low + 1)
    measured = not all_integers and distinct > max(2, rows / 2)  # values rarely repeat
    if measured or (distinct > FEW and not (all_integers and dense and rows >= 2 * distinct)):
        raise DataError(
            f"the labels are {distinct:,} different numbers from {low:g} to {high:g} in {rows:,} rows, which seem to "
            "be an amount, not classes",
            field=field,
            remedy="group the numbers into a few named classes, or name the column of the classes `label`",
        )
    if all_integers and distinct <= FEW:
        return ()
    return (f"The labels are {distinct} numbers: are they names of classes? An amount cannot be predicted.",)


def _require_class_words(values: pl.Series, field: str) -> None:
    distinct, rows = values.n_unique(), len(values)
    if distinct <= max(2, rows / 2):
        return
    words = float(values.str.split(" ").list.len().mean())  # type: ignore[arg-type]
    what = "free text" if words >= WORDS_OF_A_TEXT else "not classes"
    raise DataError(
        f"the labels are {what}: {distinct:,} different ones in {rows:,} rows "
        f"({join_names(values.unique().sort(), 3)})",
        field=field,
        remedy="a class needs several rows; name the column of the classes `label`",
    )
