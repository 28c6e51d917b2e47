"""Warnings, questions and notes on the data, for the comments of a proposed recipe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import polars as pl

from holotype.core.errors import join_names, pluralize
from holotype.inspect.file_match import FileMatch
from holotype.inspect.groups import DOMAIN_NAME, GroupGuess
from holotype.inspect.inspect_folder import FolderFindings
from holotype.inspect.labels import LabelGuess
from holotype.inspect.tables import are_dates, as_numbers, is_submission
from holotype.inspect.trial import TrialReading, are_photographs

MASK = re.compile(r"[-_ .](masks?|seg(mentation)?|overlay|annotations?|gt|ground_?truth)([-_ ]?\d+)?$", re.IGNORECASE)
"""End of the name of a mask that lies beside its image."""


def warnings_on_rows(file_match: FileMatch, labels: LabelGuess, folds: int, unlabeled: str = "") -> tuple[str, ...]:
    """List warnings on rows without files or labels, ids in both tables, and classes too rare for the folds."""
    warnings = []
    if file_match.missing:
        rows, names = pluralize(file_match.missing, "row"), join_names(file_match.examples_missing, 3)
        warnings.append(
            f"Image files are missing for {rows} ({names}), which stops a run: add them or remove the rows."
        )
    if file_match.test is not None:
        test_ids = set(file_match.test[file_match.id])
        both = [name for name in file_match.train[file_match.id] if name in test_ids]
        if both:
            ids = f"{pluralize(len(both), 'id')} ({join_names(both, 3)})"
            warnings.append(f"The two tables share {ids}, which stops a run: rename or remove them.")
    if file_match.nameless:
        is_or_are = "is" if file_match.nameless == 1 else "are"
        warnings.append(f"{pluralize(file_match.nameless, 'row')} without an image name {is_or_are} left out.")
    if labels.unlabeled and labels.kind == "multiclass":
        rows = pluralize(labels.unlabeled, "row")
        is_or_are, rows = "is" if labels.unlabeled == 1 else "are", pluralize(labels.unlabeled, "row")
        where = f"left out, and written to {unlabeled}" if unlabeled else "in the table, which stops a run"
        remedy = "or name that table in `test:` to predict them" if unlabeled else "or remove them"
        warnings.append(f"{rows} without a label {is_or_are} {where}: label them, {remedy}.")
    rare = {name: count for name, count in labels.counts.items() if count < folds}
    if rare:
        names = join_names([f"{name} ({count})" for name, count in reversed(rare.items())], 6)
        warnings.append(f"Some folds will lack these classes, which have fewer than {folds} images: {names}.")
    return tuple(warnings)


def warnings_on_images(headers: pl.DataFrame) -> tuple[str, ...]:
    """List warnings on bit depths and channel counts that differ between images.

    `headers`: columns `role`, `channels`, `bits`, `file`.
    """
    warnings = []
    depths = {role: sorted(headers.filter(pl.col("role") == role)["bits"].unique()) for role in ("train", "test")}
    if depths["test"] and depths["test"] != depths["train"]:
        train, test = (" and ".join(map(str, depths[role])) for role in ("train", "test"))
        warnings.append(
            f"The test images have {test} bits per channel and the training images {train}: were both saved in the "
            "same way? A model is not reliable on images of another bit depth."
        )
    elif len(depths["train"]) > 1:
        depth_list = " and ".join(map(str, depths["train"]))
        warnings.append(f"The images have different bit depths: {depth_list} bits per channel.")
    counts = headers.group_by("channels").agg(pl.len(), pl.col("file").first()).sort("len", descending=True)
    if counts.height > 1 and not are_photographs(headers):
        channel_counts = ", ".join(f"{row['channels']} (as {row['file']})" for row in counts.iter_rows(named=True))
        warnings.append(f"The images have different numbers of channels, which stops a run: {channel_counts}.")
    return tuple(warnings)


def questions_on_images(trial: TrialReading) -> dict[str, str]:
    """Questions on how the images were read, by the recipe key that answers them."""
    questions = {}
    if trial.unread:
        questions["audit.on_unreadable"] = (
            f"{trial.describe_unread()}. Repair or convert them; until then they are left out "
            f"(`audit.on_unreadable: skip`). {_answer_with('audit.on_unreadable=stop')} to refuse them."
        )
    if trial.projection is not None:
        questions["data.projection"] = (
            f"Is the {trial.projection} projection over the planes or time points of each file right "
            f"({trial.planes})? If not, {_answer_with('data.projection=mean', lower=True)} (or sum, first, middle)."
        )
    if trial.pages > 1:
        questions["data.projection"] = (
            f"Are the {trial.pages} pages of each TIFF channels of one image? They are read as channels; if they are "
            f"planes or time points, {_answer_with('data.projection=max', lower=True)} (or mean, sum, first, middle)."
        )
    return questions


def _answer_with(change: str, lower: bool = False) -> str:
    return f"{'answer' if lower else 'Answer'} with `--set {change}`"


def question_on_channels(channels: tuple[str, ...]) -> tuple[str, ...]:
    """Ask whether apparent channels are several images of a sample: `s1_w1`, `s1_w2`, or bare numbers."""
    parts = [re.split(r"[-_]", name) for name in channels]
    even = len({len(words) for words in parts}) == 1
    crossed = even and sum(len(set(words)) > 1 for words in zip(*parts, strict=True)) > 1
    if not channels or not (crossed or all(name.isdigit() for name in channels)):
        return ()
    return (
        f"Are {join_names(channels, 6)} channels of one image? If some are sites or replicates, write a table with "
        "one row per image, and name the column of the sample in `sample:`.",
    )


def question_on_masks(files: Sequence[str]) -> tuple[str, ...]:
    """Ask about images that seem to be masks of others: `3_mask.png` beside `3.png`."""
    stems = {PurePosixPath(name).with_suffix("").as_posix() for name in files}
    masks = [name for name in files if MASK.sub("", PurePosixPath(name).with_suffix("").as_posix()) in stems - {name}]
    masks = [name for name in masks if MASK.search(PurePosixPath(name).stem)]
    if not masks:
        return ()
    return (
        f"Are {pluralize(len(masks), 'image')} such as {masks[0]} masks of other images? They are read as images of "
        "their class, and show what was marked by hand. If they are masks, move them to a folder outside.",
    )


def questions_on_rows(file_match: FileMatch, sample: str | None, groups: GroupGuess) -> dict[str, str]:
    """Questions on the relation of rows, images, samples and groups, by the recipe key that answers them."""
    questions = {}
    if file_match.joined is not None:
        questions["data.train"] = (
            f"Several rows name the same image ({file_match.joined!r}), and their labels were joined: do all of them "
            "apply to the whole image? If each row describes a part of it, crop the parts into separate images first."
        )
    if sample is not None:
        rows = (
            f"rows of one {sample!r}"
            if file_match.added is None
            else f"the images of one {sample!r} ({file_match.added})"
        )
        questions["data.sample"] = (
            f"Are {rows} views of one sample? They are scored and predicted together; if not, "
            f"{_answer_with('data.sample=null', lower=True)}."
        )
    if not groups.columns:
        questions["data.groups"] = (
            "Do several images come from one patient, slide or plate? No such column was found. If so, add one and "
            f"{_answer_with('data.groups=[COLUMN]', lower=True)}; otherwise the score will be too optimistic."
        )
    return questions


def notes_on_columns(file_match: FileMatch, used: set[str], groups: GroupGuess) -> tuple[str, ...]:
    """List the columns that the recipe does not use, with reasons."""
    explained = {"", *(note.partition(":")[0] for note in groups.notes)}  # a column without a name is a row index
    rest = [name for name in file_match.train.columns if name not in used | explained]
    dates = [name for name in rest if are_dates(file_match.train[name])]
    numbers = [name for name in rest if name not in dates and as_numbers(file_match.train[name]) is not None]
    domains = [name for name in rest if DOMAIN_NAME.search(name)]
    words = [name for name in rest if name not in {*dates, *numbers, *domains}]
    notes = list(groups.notes)
    notes += [f"{join_names(numbers)}: numbers, for example positions"] if numbers else []
    notes += [f"{join_names(dates)}: dates"] if dates else []
    notes += [f"{name}: could be the `domain:` if the training table has all its values" for name in domains]
    notes += [f"{join_names(words)}: not needed"] if words else []
    if file_match.unused:
        endings = join_names([f"{count:,} {ending}" for ending, count in file_match.unused_endings.items()], 6)
        notes.append(f"{file_match.unused:,} image files belong to no row ({endings})")
    return tuple(notes)


def notes_on_tables(findings: FolderFindings, labels: LabelGuess, named: str | None = None) -> tuple[str, ...]:
    """Describe the tables that the recipe does not use."""
    notes = []
    for name, table in findings.others.items():
        classes = [column for column in table.columns if set(labels.counts) <= set(table[column])]
        ranks = [column for column in table.columns if column not in classes[:1]]
        if is_submission(name) or str(findings.folder / name) == named:
            continue
        if {findings.file_match.id, labels.column} <= set(table.columns):
            rows = pluralize(table.height, "more labeled row")
            notes.append(f"{name}: {rows}; add the table to `external:` to train on them")
        elif classes and ranks:
            remedy = "; name it in `labels.taxonomy:` for scores by rank" if labels.kind == "multiclass" else ""
            notes.append(f"{name}: gives {join_names(ranks, 4)} of each {labels.column}{remedy}")
        elif classes:
            notes.append(f"{name}: lists the classes; name it in `classes:` to fix their order")
        else:
            notes.append(f"{name}: {pluralize(table.height, 'row')} with {join_names(table.columns, 5)}")
    return tuple(notes)
