"""Columns of a table of predictions: which hold the label, the prediction, probabilities, groups and ids."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import polars as pl

from holotype.core.errors import InputError, join_names
from holotype.data.label_lists import LIST_PATTERN, parse_label_list
from holotype.data.missing import without_missing

NAMES = {
    "label": "label|labels|true|truth|true_labels?|true_class|y_true|targets?|ground_truth|gt|actual|reference",
    "predicted": "predicted|predictions?|preds?|y_pred|(predicted|pred)_(labels?|class|classes)|yhat|y_hat",
    "id": "id|ids|sample|sample_id|image|image_id|image_name|file|file_name|filename|path|name|well",
}
GROUP = (
    r"(group|cluster|plate|patient|slide|donor|subject|animal|mouse|specimen|individual|experiment|batch|biopsy)"
    r"(_?(id|no|nr))?"
)
PROBABILITY_PREFIX = re.compile(r"(probability|proba|prob|p|score)[_.: ]", re.IGNORECASE)
NO_GROUP = "none"


@dataclass(frozen=True)
class PredictionColumns:
    """Columns of a table of predictions.

    Args:
        label: The true label.
        predicted: The predicted label; None if it follows from the probabilities.
        probabilities: Column of each class by the name of the class; empty without probabilities.
        groups: Columns that make samples dependent.
        id: Identifies a sample; None if there is no such column.
        notes: What was guessed, in sentences.
    """

    label: str
    predicted: str | None
    probabilities: dict[str, str]
    groups: tuple[str, ...]
    id: str | None
    notes: tuple[str, ...] = ()


def find_columns(
    frame: pl.DataFrame,
    source: str,
    *,
    label: str | None = None,
    predicted: str | None = None,
    probabilities: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    id_column: str | None = None,
    separator: str | None = None,
    taken: Collection[str] = (),
) -> PredictionColumns:
    """Find the columns of a table of predictions: those that are named, else those whose name leaves no doubt.

    Args:
        source: Name of the table, for messages.
        probabilities: Columns or patterns such as `prob_*`, whose star stands for the class.
        groups: `none` if the samples are independent; by default a column with a typical name such as `plate`.
        taken: Columns with another use.

    Raises:
        InputError: A named column does not exist, or the label, the prediction or the group is not clear.
    """
    free = [name for name in frame.columns if name not in taken]
    named = {"label": label, "predicted": predicted, "id": id_column}
    used = [name for name in (*named.values(), *(groups or ())) if name is not None]
    for role, name in named.items():
        _require_column(frame, name, role, source)
    notes: list[str] = []
    roles: dict[str, str | None] = {}
    for role, name in named.items():
        column = name
        if column is None:
            candidates = [other for other in free if other not in used and _has_name(other, NAMES[role])]
            column = _only(candidates, role, free, source)
            notes += [f"{role}: column {column!r}"] if column else []
        roles[role] = column
        used += [column] if column else []
    if roles["label"] is None:
        raise _unclear("no column is named like a true label", "label", free, source)
    by_class = _named_probabilities(frame, probabilities, source)
    if not probabilities:
        labels = _distinct_labels([frame[name] for name in (roles["label"], roles["predicted"]) if name], separator)
        by_class = _guess_probabilities(frame, [name for name in free if name not in used], labels)
        notes += [f"probabilities: {_describe_probabilities(by_class)}"] if by_class else []
    if roles["predicted"] is None and not by_class:
        raise _unclear("no column is named like a prediction or a probability", "predicted", free, source)
    group_columns = _group_columns(frame, groups, [name for name in free if name not in used], source)
    if groups is None:
        notes += [f"group: column {name!r}" for name in group_columns] or [
            "group: none, so the samples count as independent; name plates, patients or copies with --group"
        ]
    return PredictionColumns(roles["label"], roles["predicted"], by_class, group_columns, roles["id"], tuple(notes))


def _has_name(column: str, pattern: str) -> bool:
    return re.fullmatch(pattern, re.sub(r"[\s.-]+", "_", column.strip()), re.IGNORECASE) is not None


def _require_column(frame: pl.DataFrame, name: str | None, role: str, source: str) -> None:
    if name is not None and name not in frame.columns:
        raise InputError(f"{source} has no column {name!r}", field=f"--{role}", value=name, allowed=frame.columns)


def _only(candidates: Sequence[str], role: str, columns: Sequence[str], source: str) -> str | None:
    """The only candidate; none is None, except that several ids mean none that is certain."""
    if len(candidates) > 1 and role != "id":
        raise _unclear(f"{join_names(candidates)} could each be the {role}", role, columns, source)
    return candidates[0] if len(candidates) == 1 else None


def _unclear(what: str, role: str, columns: Sequence[str], source: str) -> InputError:
    return InputError(
        f"{source}: {what}; its columns are {join_names(columns, 20)}",
        field=f"--{role}",
        remedy=f"name it with --{role}",
    )


def _named_probabilities(frame: pl.DataFrame, patterns: Sequence[str], source: str) -> dict[str, str]:
    by_class: dict[str, str] = {}
    for pattern in patterns:
        names = [name for name in frame.columns if name == pattern or fnmatchcase(name, pattern)]
        if not names:
            raise InputError(
                f"{source} has no column that fits {pattern!r}",
                field="--probabilities",
                value=pattern,
                allowed=frame.columns,
            )
        before, star, after = pattern.partition("*")
        for name in names:
            class_name = name.removeprefix(before).removesuffix(after) if star and "*" not in after else name
            if class_name in by_class:
                raise InputError(f"{by_class[class_name]!r} and {name!r} are of one class", field="--probabilities")
            by_class[class_name] = name
    return by_class


def _distinct_labels(columns: Sequence[pl.Series], separator: str | None) -> set[str]:
    labels: set[str] = set()
    for column in columns:
        if column.dtype == pl.List:
            labels |= set(column.explode().drop_nulls().cast(pl.String))
            continue
        values = without_missing(column)[0].drop_nulls().unique()
        is_list = values.str.contains(LIST_PATTERN)
        labels |= {name for cell in values.filter(is_list) for name in parse_label_list(cell) or ()}
        values = values.filter(~is_list)
        labels |= set(values.str.split(separator).explode().str.strip_chars() if separator else values)
    return labels


def _guess_probabilities(frame: pl.DataFrame, columns: Sequence[str], labels: Collection[str]) -> dict[str, str]:
    """Columns of numbers named like the classes, alone or after a prefix such as `prob_`; empty if there are none."""
    matches = {name: PROBABILITY_PREFIX.match(name) for name in columns}
    prefixes = dict.fromkeys(match[0] for match in matches.values() if match)
    candidates = [
        {name.removeprefix(prefix): name for name in columns if name.startswith(prefix)} for prefix in prefixes
    ]
    candidates.append({name: name for name in columns if name in labels})
    for by_class in candidates:
        if (
            len(by_class) > 1
            and len(set(labels) & set(by_class)) >= min(2, len(labels))
            and _are_numbers(frame, by_class)
        ):
            return by_class
    return {}


def _are_numbers(frame: pl.DataFrame, by_class: dict[str, str]) -> bool:
    return all(
        frame[name].dtype == pl.String and frame[name].cast(pl.Float64, strict=False).null_count() < frame.height
        for name in by_class.values()
    )


def _describe_probabilities(by_class: dict[str, str]) -> str:
    return f"columns {join_names(by_class.values(), 4)}, of {len(by_class):,} classes"


def _group_columns(
    frame: pl.DataFrame, named: Sequence[str] | None, columns: Sequence[str], source: str
) -> tuple[str, ...]:
    if named is not None:
        if list(named) == [NO_GROUP] and NO_GROUP not in frame.columns:
            return ()
        for name in named:
            _require_column(frame, name, "group", source)
        return tuple(named)
    candidates = [name for name in columns if _has_name(name, GROUP) and frame[name].n_unique() < frame.height]
    if len(candidates) > 1:
        raise InputError(
            f"{source}: {join_names(candidates)} could each make samples dependent",
            field="--group",
            remedy="name those that do with --group, or write --group none if the samples are independent",
        )
    return tuple(candidates)
