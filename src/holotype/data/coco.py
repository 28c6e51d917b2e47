"""COCO JSON: images, annotations, and categories with their taxonomy (Herbarium 2020)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.data.uris import is_remote, open_uri
from holotype.recipe.sections import DataSpec

SURROGATE = re.compile("[\ud800-\udfff]")
RANKS = ("genus", "family", "order", "class", "phylum", "kingdom", "supercategory")
"""Taxonomic ranks of a category, from near to far."""


def coco_table(spec: DataSpec, address: str, field: str, labeled: bool) -> pl.DataFrame:
    """Read a COCO JSON as a table of one row an image, with its annotation, category and region.

    `spec`: the recipe's `data` section: names of the id and label columns, and the kind of labels. Returns the id,
    `file` (full path), the label (category name; several are joined by the separator), other image fields (`width`,
    `license`), and of a single annotation `category_id`, the category's ranks, `region`.
    """
    content = _read_json(address, field)
    images = _to_frame(content, "images", ("id", "file_name"), address, field)
    outside = images["file_name"].filter(images["file_name"].str.contains(r"^/|(^|/)\.\.(/|$)|://"))
    if outside.len():
        raise DataError(
            f"{address!r}: the file name {outside[0]!r} leads outside the JSON's folder",
            field=field,
            remedy="name files below it, or give `data.images` and a table",
        )
    folder = address.rsplit("/", 1)[0] if "/" in address else "."
    images = images.with_columns((pl.lit(f"{folder}/") + pl.col("file_name")).alias("file"))
    if not labeled or not content.get("annotations"):
        if labeled:
            raise DataError(f"{address!r} has no annotations", field=field, remedy="give it as `test`, or label it")
        return images.rename({"id": spec.id}) if spec.id != "id" else images
    categories = coco_taxonomy(content, address, field)
    notes = _to_frame(content, "annotations", ("image_id", "category_id"), address, field)
    notes = notes.drop("id", strict=False)
    for column, existing_ids, what in (
        ("image_id", images["id"], "image"),
        ("category_id", categories["id"], "category"),
    ):
        missing_ids = notes[column].filter(~notes[column].is_in(existing_ids.to_list()))
        if missing_ids.len():
            raise DataError(
                f"{address!r}: annotations refer to a missing {what}: {join_names(missing_ids.to_list(), 5)}",
                field=field,
            )
    if "regions" in content:
        regions = _to_frame(content, "regions", ("id", "name"), address, field).select(
            pl.col("id").alias("region_id"), pl.col("name").alias("region")
        )
        notes = (
            notes.join(regions, on="region_id", how="left", maintain_order="left") if "region_id" in notes else notes
        )
    # Category ids are the labels if the submission needs ids.
    renamed = {} if spec.labels.column == "category_id" else {"name": spec.labels.column}
    named = categories.rename({"id": "category_id", **renamed})
    notes = notes.join(named, on="category_id", how="left", maintain_order="left").unique(
        ["image_id", "category_id"], maintain_order=True
    )
    table = images.join(
        _merge_annotations(spec, notes, address, field),
        left_on="id",
        right_on="image_id",
        how="left",
        maintain_order="left",
        suffix="_of_annotation",
    )
    return table.rename({"id": spec.id}) if spec.id != "id" else table


def coco_taxonomy(content: dict[str, Any], address: str, field: str) -> pl.DataFrame:
    """Categories of a COCO JSON: `id`, `name`, and their ranks."""
    frame = _to_frame(content, "categories", ("id",), address, field)
    if "name" not in frame.columns:
        frame = frame.with_columns(pl.col("id").alias("name"))
    for column in ("id", "name"):
        repeated = frame.filter(pl.col(column).is_duplicated())[column].unique(maintain_order=True)
        if repeated.len():
            raise DataError(
                f"{address!r}: categories of the same {column}: {join_names(repeated.to_list(), 5)}", field=field
            )
    return frame.select("id", "name", *(name for name in RANKS if name in frame.columns))


def _merge_annotations(spec: DataSpec, notes: pl.DataFrame, address: str, field: str) -> pl.DataFrame:
    label, separator = spec.labels.column, spec.labels.separator
    several = notes.filter(pl.col("image_id").is_duplicated())
    if spec.labels.kind == "multilabel":
        ambiguous = notes[label].filter(notes[label].str.contains(separator, literal=True))
        if ambiguous.len():
            raise DataError(
                f"{address!r}: the name {ambiguous[0]!r} holds the separator {separator!r}",
                field="data.labels.separator",
                remedy="write one that no name holds: '|'",
            )
    elif several.height:
        names = several["image_id"].unique(maintain_order=True).to_list()
        raise DataError(
            f"{address!r}: {len(names):,} images have several categories: {join_names(names, 5)}",
            field=field,
            remedy="write `labels: {kind: multilabel}`",
        )
    others = [pl.col(name).first() for name in notes.columns if name not in {"image_id", label}]
    return notes.group_by("image_id", maintain_order=True).agg(pl.col(label).str.join(separator), *others)


def _read_json(address: str, field: str) -> dict[str, Any]:
    try:
        source = open_uri(address)
        content = json.loads(source.read_bytes() if isinstance(source, Path) else source.getvalue())
    except OSError as error:
        where = address if is_remote(address) else repr(address)
        raise DataError(f"there is no file {where}", field=field) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{address!r} is not JSON: {error}", field=field) from error
    if not isinstance(content, dict) or "images" not in content:
        raise DataError(
            f"{address!r} has no list `images`",
            field=field,
            remedy="use the COCO format: images, annotations, categories",
        )
    return content


def _to_frame(content: dict[str, Any], part: str, needed: tuple[str, ...], address: str, field: str) -> pl.DataFrame:
    """A list of flat objects as text columns; nested fields (boxes, polygons) are left out."""
    rows = content.get(part)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{address!r} has no rows in `{part}`", field=field)
    names = list(dict.fromkeys(name for row in rows for name in row))
    missing = [name for name in needed if not all(row.get(name) is not None for row in rows)]
    if missing:
        raise DataError(f"{address!r}: not every entry of `{part}` has {missing[0]!r}", field=field)
    flat = [name for name in names if not any(isinstance(row.get(name), dict | list) for row in rows)]
    texts = {name: [None if row.get(name) is None else str(row[name]) for row in rows] for name in flat}
    for name, values in texts.items():
        half = next((text for text in (name, *filter(None, values)) if SURROGATE.search(text)), None)
        if half is not None:
            raise DataError(
                f"{address!r}: {half!r} in {name!r} of `{part}` holds an incomplete character (a lone surrogate)",
                field=field,
                remedy="write the name again in UTF-8",
            )
    return pl.DataFrame(texts, schema=dict.fromkeys(flat, pl.String))
