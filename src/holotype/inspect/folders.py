"""Class folders as a table: one folder per class."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.inspect.files import channel_order
from holotype.inspect.groups import GROUP_NAME, TIES

ROLES = {
    "train": ("train", "training", "val", "valid", "validation"),
    "test": ("test", "testing", "predict", "unlabelled", "unlabeled"),
}
UNLABELED = ("unlabelled", "unlabeled")
"""Folders of test images, even next to class folders."""
MAX_CHANNELS = 8
BATCH = re.compile(
    rf"{GROUP_NAME.pattern}|^(19|20)\d\d|^(well|dish|station|cruise|haul|day|week|run|set)[-_ ]?\d", re.IGNORECASE
)
BEGINNING = re.compile(rf"(?i)^(({TIES})[-_ ]?[a-z]?\d+)")
NEARLY_ALL = 0.95
SAME_CLASSES = 0.5  # share of the classes that two such folders have in common


@dataclass(frozen=True)
class ClassFolders:
    """Class folders as tables.

    Args:
        train: Columns `id`, `label`, `file` (without the channel if `pattern` has one); `subfolder` if images are in
            subfolders of their class; `patient`, `slide` or similar if the file names begin with them.
        test: Columns `id`, `file`; None without a test folder.
        pattern: `{file}`, optionally followed by a channel.
    """

    train: pl.DataFrame
    test: pl.DataFrame | None
    pattern: str
    channels: tuple[str, ...]
    remarks: tuple[str, ...]
    parents: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _FolderRoles:
    of_folder: dict[str, str]  # folder name in lower case to `train`, `test` or `unused`
    deeper: bool = False  # whether the class folders are below folders named train or val
    questions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_class_folders(files: tuple[str, ...], where: str) -> ClassFolders:
    """Build tables from class folders, which may be below `train/`, `val/` and `test/`."""
    paths = [PurePosixPath(name) for name in files]
    wrapper = _find_wrapper(paths)
    folder_roles = _find_roles(paths, len(wrapper))
    roles = {path: folder_roles.of_folder.get("".join(_leading_parts(path, len(wrapper))), "train") for path in paths}
    paths = [path for path in paths if roles[path] != "unused"]
    train = [path for path in paths if roles[path] == "train"]
    if not train:
        raise DataError(
            "there is no table, and all images are in a folder of images to predict",
            field=where,
            remedy="put the training images into one folder per class",
        )
    depth = len(wrapper) + folder_roles.deeper
    batched = _batches_come_first(train, depth)
    depth += batched
    _require_class_folders(train, depth, where)
    pattern, channels, stem_of = _find_channels(paths)
    test = [path for path in paths if roles[path] == "test"]
    ids = _make_ids(list(dict.fromkeys(stem_of[path] for path in [*train, *test])))
    frame = _make_rows(train, stem_of, ids).with_columns(
        pl.Series("label", [stem.parts[depth] for stem in dict.fromkeys(stem_of[path] for path in train)])
    )
    subfolder_parts = slice(depth - 1, depth) if batched else slice(depth + 1, -1)
    deeper = ["/".join(PurePosixPath(name).parts[subfolder_parts]) for name in frame["file"]]
    if all(deeper) and 1 < len(set(deeper)) < len(deeper):
        frame = frame.with_columns(pl.Series("subfolder", deeper))
    frame = _add_prefix_column(frame)
    remarks = []
    if batched:
        remarks.append(
            "the folders above the classes are plates, years or similar, because each holds the same classes"
        )
    if folder_roles.deeper and any(
        part in ROLES["train"][2:] for path in train for part in _leading_parts(path, len(wrapper))
    ):
        remarks.append("the images of the validation folder join the training images: folds are drawn from both")
    if any(len(path.parts) > depth + 1 for path in test):
        remarks.append("folders within the test folder are not read as labels: test images are predicted, not scored")
    return ClassFolders(
        frame.select("id", "label", pl.exclude("id", "label")),
        _make_rows(test, stem_of, ids) if test else None,
        pattern,
        channels,
        tuple(remarks),
        tuple(dict.fromkeys("/".join(path.parts[:depth]) for path in train)),
        folder_roles.questions,
        folder_roles.warnings,
    )


def repeats_folders(table: pl.DataFrame, rows: pl.DataFrame) -> bool:
    """Check whether a table only repeats the folders, because it was written from them, even if images moved since.

    `rows`: `train` or `test` of `ClassFolders`.
    """
    columns = [name for name in ("label", "file") if name in rows.columns]
    if table.columns[: len(columns) + 1] != ["id", *columns] or not set(table.columns) <= {*rows.columns, "subfolder"}:
        return False
    stripped = rows.select(pl.col(columns).cast(pl.String).str.strip_chars())
    others = table.select(columns).join(stripped, on=columns, how="anti", nulls_equal=True)
    gone = others.filter(~pl.col("file").is_in(stripped["file"].to_list()))
    of_folder = all(label in PurePosixPath(file).parts for *labels, file in gone.iter_rows() for label in labels)
    return gone.height == others.height and of_folder


def _add_prefix_column(frame: pl.DataFrame) -> pl.DataFrame:
    """Add a column of the patients, plates or similar that nearly all file names begin with, as in `patient12_0034`."""
    names = frame["file"].str.split("/").list.last()
    prefixes = names.str.extract_groups(BEGINNING.pattern).struct.rename_fields(["value", "what"]).struct.unnest()
    prefix_counts = prefixes["what"].str.to_lowercase().value_counts(sort=True).drop_nulls()
    if not prefix_counts.height:
        return frame
    what, count = prefix_counts.row(0)
    values = pl.select(pl.when(prefixes["what"].str.to_lowercase() == what).then(prefixes["value"])).to_series()
    if count < NEARLY_ALL * frame.height or not 2 <= values.n_unique() <= frame.height / 2:
        return frame
    return frame.with_columns(values.alias(what))


def _find_wrapper(paths: list[PurePosixPath]) -> tuple[str, ...]:
    """Wrapper folders that contain everything, such as `images/`, and are no classes."""
    parts: tuple[str, ...] = ()
    while True:
        first_parts = {path.parts[len(parts)] if len(path.parts) > len(parts) + 1 else "" for path in paths}
        first = next(iter(first_parts))
        if len(first_parts) > 1 or not first or first.lower() in ROLES["train"] + ROLES["test"]:
            return parts
        parts = (*parts, first)


def _leading_parts(path: PurePosixPath, depth: int) -> tuple[str, ...]:
    return (path.parts[depth].lower(),) if len(path.parts) > depth + 1 else ()


def _find_roles(paths: list[PurePosixPath], depth: int) -> _FolderRoles:
    """Find the role of each folder: a class, a folder of classes such as `train`, or images to predict.

    A folder named `test` next to class folders, without a folder `train`, is a class, unless it contains folders of
    the same names. The user is asked in both cases.
    """
    counts = Counter("".join(_leading_parts(path, depth)) for path in paths)
    below: dict[str, set[str]] = {name: set() for name in counts}
    for path in paths:
        below["".join(_leading_parts(path, depth))].update(part.lower() for part in path.parts[depth + 1 : -1][:1])
    training = [name for name in counts if name in ROLES["train"]]
    testing = [name for name in counts if name in ROLES["test"]]
    classes = [name for name in counts if name and name not in {*training, *testing}]
    holding = [name for name in training if len(below[name]) > 1]
    of_folder = dict.fromkeys(testing, "test")
    if holding and classes:  # `train` holds the classes, so folders next to it are none
        folder_counts = join_names([f"{name} ({counts[name]:,} images)" for name in classes], 4)
        warning = (
            f"Folders next to {join_names(training)} are not used: {folder_counts}. If they are classes, move them "
            "into it."
        )
        return _FolderRoles(of_folder | dict.fromkeys(classes, "unused"), True, (), (warning,))
    if not classes:
        return _FolderRoles(of_folder, bool(training) and not counts[""])
    questions = []
    for name in [*training, *testing]:
        same = len(below[name] & set(classes)) >= SAME_CLASSES * len(classes)
        if name in testing and (same or name in UNLABELED):
            questions.append(
                f"Are the {counts[name]:,} images in the folder {name!r} the images to predict? If the folder is a "
                "class, rename it."
            )
        else:
            of_folder[name] = "train"
            questions.append(
                f"Is the folder {name!r} ({counts[name]:,} images) a class? It is next to {join_names(classes, 4)} and "
                "is read as a class; if it is none, move the classes into a folder `train` next to it."
            )
    return _FolderRoles(of_folder, False, tuple(questions))


def _batches_come_first(paths: list[PurePosixPath], depth: int) -> bool:
    inner: dict[str, set[str]] = {}
    for path in paths:
        if len(path.parts) < depth + 3:
            return False
        inner.setdefault(path.parts[depth], set()).add(path.parts[depth + 1])
    if len(inner) < 2 or min(len(names) for names in inner.values()) < 2:
        return False
    is_batch_name = all(BATCH.search(name) for name in inner) and not all(
        BATCH.search(name) for name in set.union(*inner.values())
    )
    common = [len(names & other) / len(names | other) for names, other in pairwise(inner.values())]
    return is_batch_name and sum(common) / len(common) >= SAME_CLASSES


def _require_class_folders(train: list[PurePosixPath], depth: int, where: str) -> None:
    loose = [path for path in train if len(path.parts) < depth + 2]
    folders = Counter(path.parts[depth] for path in train if len(path.parts) >= depth + 2)
    if loose or len(folders) < 2:
        raise DataError(
            f"there is no table of labels and no folder per class: {len(train):,} images in {len(folders)} folders",
            field=where,
            remedy="add `train.csv` with the columns id and label, or put each class into its own folder",
        )
    single_image_folders = sum(count == 1 for count in folders.values())
    if single_image_folders > len(folders) / 2:
        raise DataError(
            f"{single_image_folders:,} of {len(folders):,} folders hold a single image, but a class needs several",
            field=where,
            remedy="if each folder is a specimen, add `train.csv` with the columns id (name of the folder) and label",
        )
    names = {name: {path.name for path in train if path.parts[depth] == name} for name in list(folders)[:50]}
    same = all(files == names[next(iter(names))] for files in names.values())
    most = max(folders.values())
    if same and max(2, most) < len(folders) and most <= MAX_CHANNELS:
        raise DataError(
            f"all {len(folders):,} folders hold files of the same names "
            f"({join_names(sorted(names[next(iter(names))]), 4)}), so each folder seems to be a specimen",
            field=where,
            remedy="add `train.csv` with the columns id (name of the folder) and label",
        )


def _find_channels(paths: list[PurePosixPath]) -> tuple[str, tuple[str, ...], dict[PurePosixPath, PurePosixPath]]:
    split = {path: path.stem.rpartition("_") for path in paths}
    words = {last for _, _, last in split.values()}
    endings = {path.suffix for path in paths}
    few = 2 <= len(words) <= MAX_CHANNELS and len(endings) == 1
    if few and all(first for first, _, _ in split.values()) and not any(word.isdigit() for word in words):
        heads = {path: path.with_name(split[path][0]) for path in paths}
        if set(Counter(heads.values()).values()) == {len(words)}:
            return f"{{file}}_{{channel}}{next(iter(endings))}", channel_order(words), heads
    return "{file}", (), {path: path for path in paths}


def _make_ids(stems: list[PurePosixPath]) -> dict[PurePosixPath, str]:
    short = {path: path.stem for path in stems}
    longer = {path: path.with_suffix("").as_posix() for path in stems}
    for ids in (short, longer):
        if len(set(ids.values())) == len(stems):
            return ids
    return {path: path.as_posix() for path in stems}


def _make_rows(
    paths: list[PurePosixPath], stem_of: dict[PurePosixPath, PurePosixPath], ids: dict[PurePosixPath, str]
) -> pl.DataFrame:
    stems = list(dict.fromkeys(stem_of[path] for path in paths))
    return pl.DataFrame({"id": [ids[stem] for stem in stems], "file": [stem.as_posix() for stem in stems]})
