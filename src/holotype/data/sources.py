"""What a table may be: CSV or Parquet, a folder for each class, or a JSON of the form that COCO made common."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from holotype.data.addresses import is_remote
from holotype.data.coco import coco_table
from holotype.data.layouts import FILE
from holotype.data.reading import read_table
from holotype.data.walk import list_image_files, readable_endings
from holotype.errors import DataError, listing
from holotype.spec import DataSpec

__all__ = ["folder_table", "folder_warnings", "read_source"]


def read_source(spec: DataSpec, address: str, field: str, labelled: bool) -> pl.DataFrame:
    """The rows of one role, every column as text.

    Args:
        spec: The recipe's `data` section.
        address: A table, a folder or a JSON.
        field: The recipe's key that names it, for messages.
        labelled: Whether its rows have labels; a folder to predict has no classes.

    Raises:
        DataError: It is missing, broken or empty.
    """
    if address.lower().endswith(".json"):
        return coco_table(spec, address, field, labelled)
    if not is_remote(address) and Path(address).is_dir():
        return folder_table(spec, Path(address), field, labelled)
    return read_table(address, field)


def folder_table(spec: DataSpec, folder: Path, field: str, labelled: bool) -> pl.DataFrame:
    """One row an image below a folder; what starts with a point and what is no image is passed over.

    Args:
        spec: The recipe's `data` section: what the columns of ids and labels are called.
        folder: Holds a folder for each class, or images to predict.
        field: The recipe's key that names it, for messages.
        labelled: Whether the first level of folders are the classes.

    Returns:
        The id (the path below the folder without its ending, with it where two differ in nothing else), the label,
        `subfolder` (what lies between class and image; null without), and `file` (the whole path).

    Raises:
        DataError: There are no images, or some lie beside the folders of the classes.
    """
    listed = list_image_files(folder)
    files = listed.files
    parts = [path.relative_to(folder).parts for path in files]
    if not files:
        unused = "; ".join(note.rstrip(".") for note in listed.notes())
        what = f"there are no images in the folder {str(folder)!r}" + (f"; {unused}" if unused else "")
        raise DataError(what, field=field, remedy=f"known endings: {', '.join(readable_endings())}")
    beside = [str(file) for file, names in zip(files, parts, strict=True) if len(names) == 1]
    if labelled and beside:
        raise DataError(f"{beside[0]!r} lies in no folder of a class", field=field,
                        remedy="put each image into the folder of its class, or name a table of labels")  # fmt: skip
    whole = pl.Series(["/".join(names) for names in parts])
    bare = pl.Series([str(Path(*names).with_suffix("").as_posix()) for names in parts])
    ids = pl.select(pl.when(bare.is_duplicated()).then(whole).otherwise(bare)).to_series()
    first = 1 if labelled else 0
    columns = [
        ids.alias(spec.id),
        pl.Series("subfolder", ["/".join(names[first:-1]) or None for names in parts], dtype=pl.String),
        pl.Series(FILE, [str(file) for file in files]),
    ]
    if labelled:
        columns.append(pl.Series(spec.labels.column, [names[0] for names in parts]))
    return pl.DataFrame(columns)


def folder_warnings(spec: DataSpec) -> tuple[str, ...]:
    """What a folder per class, or of images to predict, holds that is not used, in sentences.

    Args:
        spec: The recipe's `data` section, its paths absolute.
    """
    sources = [(spec.train, True), *((path, True) for path in spec.external), (spec.test, False)]
    folders = [(Path(path), labelled) for path, labelled in sources if path and not is_remote(path)]
    notes: list[str] = []
    for folder, labelled in folders:
        if not folder.is_dir():
            continue
        listed = list_image_files(folder)
        notes += [f"In {folder.name}: {note[0].lower()}{note[1:]}" for note in listed.notes()]
        empty = listed.folders_without_images(folder) if labelled else ()
        if empty:
            one = len(empty) == 1
            notes.append(f"{'The folder' if one else 'The folders'} {listing(empty)} in {folder.name} "
                         f"{'holds' if one else 'hold'} no images that are read, and "
                         f"{'is no class' if one else 'are no classes'}.")  # fmt: skip
    return tuple(notes)
