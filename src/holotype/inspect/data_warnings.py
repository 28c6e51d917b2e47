"""What a person should hear about the data beyond the recipe's keys."""

from __future__ import annotations

import re

import polars as pl

from holotype.core.errors import join_names, pluralize
from holotype.inspect.groups import DOMAIN_NAME, GroupGuess
from holotype.inspect.inspect_folder import FolderFindings
from holotype.inspect.labels import LabelGuess
from holotype.inspect.match_files import FileMatch
from holotype.inspect.tables import are_dates, as_numbers, is_submission
from holotype.inspect.trial import TrialReading, are_photographs

__all__ = [
    "notes_on_columns",
    "notes_on_tables",
    "question_on_channels",
    "questions_on_images",
    "questions_on_rows",
    "warnings_on_images",
    "warnings_on_rows",
]


def warnings_on_rows(file_match: FileMatch, labels: LabelGuess, folds: int, unlabeled: str = "") -> tuple[str, ...]:
    """Rows without files or labels, ids in both tables, and classes too rare for the folds.

    Args:
        file_match: The tables and the pattern.
        labels: What the label column holds.
        folds: How many folds are proposed.
        unlabeled: The table into which rows without a label are written; empty where they stay.
    """
    warnings = []
    if file_match.missing:
        names = join_names(file_match.examples_missing, 3)
        warnings.append(f"{file_match.missing:,} rows lack an image file ({names}); a run will stop there.")
    if file_match.test is not None:
        test_ids = set(file_match.test[file_match.id])
        both = [name for name in file_match.train[file_match.id] if name in test_ids]
        if both:
            warnings.append(f"{len(both):,} ids are in both tables ({join_names(both, 3)}); a run will stop there.")
    if file_match.nameless:
        have = "row names" if file_match.nameless == 1 else "rows name"
        warnings.append(
            f"{file_match.nameless:,} {have} no image and {'is' if file_match.nameless == 1 else 'are'} left out."
        )
    if labels.unlabeled and labels.kind == "multiclass":
        rows = pluralize(labels.unlabeled, "row")
        where = f"left out, and written to {unlabeled}" if unlabeled else "in the table, and a run stops there"
        remedy = "or name that table in `test:` to predict them" if unlabeled else "or take them out"
        warnings.append(
            f"{rows} without a label {'is' if labels.unlabeled == 1 else 'are'} {where}: label them, {remedy}."
        )
    rare = {name: count for name, count in labels.counts.items() if count < folds}
    if rare:
        names = join_names([f"{name} ({count})" for name, count in reversed(rare.items())], 6)
        warnings.append(f"Too few images for {folds} folds, so some folds will lack the class: {names}.")
    return tuple(warnings)


def warnings_on_images(headers: pl.DataFrame) -> tuple[str, ...]:
    """Depths that differ between training and test images, and channel counts that differ at all.

    Args:
        headers: Columns `role`, `channels`, `bits`, `file`.
    """
    warnings = []
    depths = {role: sorted(headers.filter(pl.col("role") == role)["bits"].unique()) for role in ("train", "test")}
    if depths["test"] and depths["test"] != depths["train"]:
        train, test = (" and ".join(map(str, depths[role])) for role in ("train", "test"))
        warnings.append(
            f"The test images have {test} bits a channel and the training images {train}: were both saved the "
            "same way? A model cannot be trusted on another depth."
        )
    elif len(depths["train"]) > 1:
        warnings.append(f"The images have different depths: {' and '.join(map(str, depths['train']))} bits a channel.")
    counts = headers.group_by("channels").agg(pl.len(), pl.col("file").first()).sort("len", descending=True)
    if counts.height > 1 and not are_photographs(headers):
        channel_counts = ", ".join(f"{row['channels']} (as {row['file']})" for row in counts.iter_rows(named=True))
        warnings.append(f"The images have different numbers of channels: {channel_counts}; a run will stop there.")
    return tuple(warnings)


def questions_on_images(trial: TrialReading) -> tuple[str, ...]:
    """What a person should confirm of how images were read.

    Args:
        trial: The trial reading.
    """
    questions = []
    if trial.unread:
        questions.append(
            f"{trial.describe_unread()}. Mend or convert them: until then they are left out "
            "(`audit.on_unreadable: skip`)."
        )
    if trial.projection is not None:
        questions.append(
            f"Is the {trial.projection} over the planes or times of each file meant ({trial.planes})? `mean`, "
            "`sum`, `first` and `middle` are the others."
        )
    if trial.pages > 1:
        questions.append(
            f"Are the {trial.pages} pages of each TIFF channels of one image? They are read so; if they are "
            "planes or times, write `projection: max` into `data:`."
        )
    return tuple(questions)


def question_on_channels(channels: tuple[str, ...]) -> tuple[str, ...]:
    """Whether what looks like channels could be several images of one sample: `s1_w1`, `s1_w2`, or bare numbers.

    Args:
        channels: The channels' names.
    """
    parts = [re.split(r"[-_]", name) for name in channels]
    even = len({len(words) for words in parts}) == 1
    crossed = even and sum(len(set(words)) > 1 for words in zip(*parts, strict=True)) > 1
    if not channels or not (crossed or all(name.isdigit() for name in channels)):
        return ()
    return (
        f"Are {join_names(channels, 6)} channels of one image? If some are sites or replicates, write a table with "
        "one row an image and name its owner in `sample:`.",
    )


def questions_on_rows(file_match: FileMatch, sample: str | None, groups: GroupGuess) -> tuple[str, ...]:
    """What only a person knows of how rows, images and samples belong together.

    Args:
        file_match: The tables.
        sample: The column that several images of one sample share, or None.
        groups: The proposed groups.
    """
    questions = []
    if file_match.joined is not None:
        questions.append(
            f"Several rows name one image ({file_match.joined!r}), and their labels were joined: does the whole "
            "image have them? If each row is of a part of it, cut the parts out first."
        )
    if sample is not None:
        rows = (
            f"rows of one {sample!r}"
            if file_match.added is None
            else f"the images of one {sample!r} ({file_match.added})"
        )
        questions.append(
            f"Are {rows} views of one sample? They are scored and predicted as one; if not, leave out `sample:`."
        )
    if not groups.columns:
        questions.append(
            "Do several images come from one patient, slide or plate? No column was found that tells; if so, "
            "add one and name it in `groups:`, or the score will flatter."
        )
    return tuple(questions)


def notes_on_columns(file_match: FileMatch, used: set[str], groups: GroupGuess) -> tuple[str, ...]:
    """The columns that the recipe does not use, and why.

    Args:
        file_match: The tables.
        used: The columns that the recipe names.
        groups: The proposed groups.
    """
    explained = {"", *(note.partition(":")[0] for note in groups.notes)}  # a column without a name counts rows
    rest = [name for name in file_match.train.columns if name not in used | explained]
    dates = [name for name in rest if are_dates(file_match.train[name])]
    numbers = [name for name in rest if name not in dates and as_numbers(file_match.train[name]) is not None]
    domains = [name for name in rest if DOMAIN_NAME.search(name)]
    words = [name for name in rest if name not in {*dates, *numbers, *domains}]
    notes = list(groups.notes)
    notes += [f"{join_names(numbers)}: numbers such as positions, which the images show themselves"] if numbers else []
    notes += [f"{join_names(dates)}: dates"] if dates else []
    notes += [f"{name}: could be the `domain:` if all its values are in the training table" for name in domains]
    notes += [f"{join_names(words)}: no part of a recipe"] if words else []
    if file_match.unused:
        endings = join_names([f"{count:,} {ending}" for ending, count in file_match.unused_endings.items()], 6)
        notes.append(f"{file_match.unused:,} image files are named by no row ({endings})")
    return tuple(notes)


def notes_on_tables(findings: FolderFindings, labels: LabelGuess, named: str | None = None) -> tuple[str, ...]:
    """What the further tables look like.

    Args:
        findings: What was found.
        labels: What the label column holds.
        named: The path of the table that the recipe names, if it names one.
    """
    notes = []
    for name, table in findings.others.items():
        classes = [column for column in table.columns if set(labels.counts) <= set(table[column])]
        ranks = [column for column in table.columns if column not in classes[:1]]
        if is_submission(name) or str(findings.folder / name) == named:
            continue
        if {findings.file_match.id, labels.column} <= set(table.columns):
            notes.append(
                f"{name}: {table.height:,} more labelled rows, not used; `external: [...]` would train on them"
            )
        elif classes and ranks:
            note = f"{name}: gives {join_names(ranks, 4)} of each {labels.column}"
            is_multiclass = labels.kind == "multiclass"
            notes.append(
                f"{note}; `labels.taxonomy:` could name it, to be scored by rank"
                if is_multiclass
                else f"{note}, not used"
            )
        elif classes:
            notes.append(f"{name}: lists the classes; `classes:` could name it, to fix their order")
        else:
            notes.append(f"{name}: {table.height:,} rows with {join_names(table.columns, 5)}, not used")
    return tuple(notes)
