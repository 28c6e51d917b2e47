"""JSON of the form that COCO made common: images, annotations, categories with their taxonomy (Herbarium 2020)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from holotype.data.addresses import is_remote, opened
from holotype.errors import DataError, listing
from holotype.spec import DataSpec

__all__ = ["RANKS", "coco_table", "coco_taxonomy"]

SURROGATE = re.compile("[\ud800-\udfff]")
RANKS = ("genus", "family", "order", "class", "phylum", "kingdom", "supercategory")
"""What a category may say of its place, from the near to the far."""


def coco_table(spec: DataSpec, address: str, field: str, labelled: bool) -> pl.DataFrame:
    """One row an image, what is known of its annotation, its category and its region beside it.

    Args:
        spec: The recipe's `data` section: what the columns of ids and labels are called, and the kind of labels.
        address: The JSON.
        field: The recipe's key that names it, for messages.
        labelled: Whether every image needs an annotation.

    Returns:
        The id, `file` (the whole path), the label (the category's name; several are joined by the separator), what else
        an image has (`width`, `license`), and of a single annotation `category_id`, the category's ranks, `region`.

    Raises:
        DataError: It is broken, or an annotation names an image or a category that is not there.
    """
    content = _content(address, field)
    images = _frame(content, "images", ("id", "file_name"), address, field)
    outside = images["file_name"].filter(images["file_name"].str.contains(r"^/|(^|/)\.\.(/|$)|://"))
    if outside.len():
        raise DataError(f"{address!r}: the file name {outside[0]!r} leads outside the JSON's folder", field=field,
                        remedy="name files below it, or give `data.images` and a table")  # fmt: skip
    folder = address.rsplit("/", 1)[0] if "/" in address else "."
    images = images.with_columns((pl.lit(f"{folder}/") + pl.col("file_name")).alias("file"))
    if not labelled or not content.get("annotations"):
        if labelled:
            raise DataError(f"{address!r} has no annotations", field=field, remedy="give it as `test`, or label it")
        return images.rename({"id": spec.id}) if spec.id != "id" else images
    categories = coco_taxonomy(content, address, field)
    notes = _frame(content, "annotations", ("image_id", "category_id"), address, field)
    notes = notes.drop("id", strict=False)
    for column, known, what in (("image_id", images["id"], "image"), ("category_id", categories["id"], "category")):
        lost = notes[column].filter(~notes[column].is_in(known.to_list()))
        if lost.len():
            raise DataError(f"{address!r}: annotations of an {what} that is not there: {listing(lost.to_list(), 5)}",
                            field=field)  # fmt: skip
    if "regions" in content:
        regions = _frame(content, "regions", ("id", "name"), address, field).select(
            pl.col("id").alias("region_id"), pl.col("name").alias("region")
        )
        notes = (
            notes.join(regions, on="region_id", how="left", maintain_order="left") if "region_id" in notes else notes
        )
    # Submissions that want the categories' ids have them for labels.
    own = {} if spec.labels.column == "category_id" else {"name": spec.labels.column}
    named = categories.rename({"id": "category_id", **own})
    notes = notes.join(named, on="category_id", how="left", maintain_order="left").unique(
        ["image_id", "category_id"], maintain_order=True
    )
    table = images.join(_one_row_an_image(spec, notes, address, field), left_on="id", right_on="image_id", how="left",
                        maintain_order="left", suffix="_of_annotation")  # fmt: skip
    return table.rename({"id": spec.id}) if spec.id != "id" else table


def coco_taxonomy(content: dict[str, Any], address: str, field: str) -> pl.DataFrame:
    """The categories: `id`, `name`, and the ranks that they have.

    Args:
        content: The whole JSON.
        address: Where it lies, for messages.
        field: The recipe's key that names it, for messages.

    Raises:
        DataError: Two categories share an id or a name.
    """
    frame = _frame(content, "categories", ("id",), address, field)
    if "name" not in frame.columns:
        frame = frame.with_columns(pl.col("id").alias("name"))
    for column in ("id", "name"):
        twice = frame.filter(pl.col(column).is_duplicated())[column].unique(maintain_order=True)
        if twice.len():
            raise DataError(f"{address!r}: categories of the same {column}: {listing(twice.to_list(), 5)}", field=field)
    return frame.select("id", "name", *(name for name in RANKS if name in frame.columns))


def _one_row_an_image(spec: DataSpec, notes: pl.DataFrame, address: str, field: str) -> pl.DataFrame:
    """Several annotations of an image become one: their labels are joined, the rest is the first's."""
    label, separator = spec.labels.column, spec.labels.separator
    several = notes.filter(pl.col("image_id").is_duplicated())
    if spec.labels.kind == "multilabel":
        torn = notes[label].filter(notes[label].str.contains(separator, literal=True))
        if torn.len():
            raise DataError(f"{address!r}: the name {torn[0]!r} holds the separator {separator!r}",
                            field="data.labels.separator", remedy="write one that no name holds: '|'")  # fmt: skip
    elif several.height:
        names = several["image_id"].unique(maintain_order=True).to_list()
        raise DataError(f"{address!r}: {len(names):,} images have several categories: {listing(names, 5)}", field=field,
                        remedy="write `labels: {kind: multilabel}`")  # fmt: skip
    others = [pl.col(name).first() for name in notes.columns if name not in {"image_id", label}]
    return notes.group_by("image_id", maintain_order=True).agg(pl.col(label).str.join(separator), *others)


def _content(address: str, field: str) -> dict[str, Any]:
    try:
        source = opened(address)
        content = json.loads(source.read_bytes() if isinstance(source, Path) else source.getvalue())
    except OSError as error:
        where = address if is_remote(address) else repr(address)
        raise DataError(f"there is no file {where}", field=field) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{address!r} is not JSON: {error}", field=field) from error
    if not isinstance(content, dict) or "images" not in content:
        raise DataError(f"{address!r} has no list `images`", field=field,
                        remedy="give COCO's form: images, annotations, categories")  # fmt: skip
    return content


def _frame(content: dict[str, Any], part: str, needed: tuple[str, ...], address: str, field: str) -> pl.DataFrame:
    """A list of flat objects as columns of text; what is nested (boxes, polygons) is left out."""
    rows = content.get(part)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{address!r} has no rows in `{part}`", field=field)
    names = list(dict.fromkeys(name for row in rows for name in row))
    lacking = [name for name in needed if not all(row.get(name) is not None for row in rows)]
    if lacking:
        raise DataError(f"{address!r}: not every entry of `{part}` has {lacking[0]!r}", field=field)
    flat = [name for name in names if not any(isinstance(row.get(name), dict | list) for row in rows)]
    texts = {name: [None if row.get(name) is None else str(row[name]) for row in rows] for name in flat}
    for name, values in texts.items():
        half = next((text for text in (name, *filter(None, values)) if SURROGATE.search(text)), None)
        if half is not None:
            raise DataError(f"{address!r}: {half!r} in {name!r} of `{part}` holds half of a character", field=field,
                            remedy="write the name once more, in UTF-8")  # fmt: skip
    return pl.DataFrame(texts, schema=dict.fromkeys(flat, pl.String))
