"""Steps on data: read the table, measure the images, audit them, and split them into folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import polars as pl

from holotype.audit import audit_images, audit_labels
from holotype.cache import Reads, StepOutput, library_versions, step
from holotype.core.digest import digest_array, digest_file_stats, digest_table_source, digest_value
from holotype.core.runtime import Runtime
from holotype.core.table_files import strip_sheet_name
from holotype.data import empty_statistics, measure_images, read_images
from holotype.pipeline.apply_review import split_reviewed
from holotype.pipeline.prepared import PreparedData
from holotype.recipe.sections import AuditSpec, DataSpec, SplitSpec
from holotype.split import Features
from holotype.types import ImageStatistics, ImageTable

EARLIER_FOLDS = "folds of the run in this folder"
DECODERS = ("pillow", "tifffile", "imagecodecs", "zarr", "bioio")
NON_PIXEL_FIELDS = {"frame", "classes", "kind", "taxonomy"}
"""Fields of an image table that do not affect pixels."""


def _table_reads(data: DataSpec) -> Reads:
    classes, taxonomy = data.labels.classes, data.labels.taxonomy
    label_tables = (table for table in (classes, taxonomy) if isinstance(table, str))
    digests: dict[str, str] = {}
    for path in filter(None, [data.train, *data.external, data.test, *label_tables]):
        name = f"table {Path(path).name}"
        while name in digests:  # same file name in another folder
            name += "'"
        digests[name] = digest_table_source(str(strip_sheet_name(path)[0]))
    without_review = data.model_copy(update={"review": None})  # decisions come after the audit
    return Reads(without_review.model_dump(mode="json", exclude={"cache"}), digests)


@step("images", 7, _table_reads)
def read_table(output: StepOutput, data: DataSpec) -> None:
    """Image table."""
    output.write(read_images(data))


def _statistics_reads(images: ImageTable, _runtime: Runtime) -> Reads:
    """Statistics read files, and which rows are labeled; labels and groups are no part of them."""
    frame = images.frame
    rows = frame.select("id", files=pl.col("files").list.len(), labelled=pl.col("role") != "test")
    settings = {
        field.name: getattr(images, field.name) for field in fields(images) if field.name not in NON_PIXEL_FIELDS
    }
    digests = {
        "ids and roles": digest_value(rows.to_dict(as_series=False)),
        "image files": digest_file_stats(frame["files"].explode(empty_as_null=False)),
        "decoders": library_versions(*DECODERS, numbers=3),
    }
    return Reads(settings, digests)


@step("statistics", 9, _statistics_reads)
def measure_table(output: StepOutput, images: ImageTable, runtime: Runtime) -> None:
    """Image statistics, of one pass over the pixels."""
    output.write(measure_images(images, runtime) if images.has_files else empty_statistics(images))


def _audit_reads(
    spec: AuditSpec, digests: Mapping[str, str], _images: ImageTable, _statistics: ImageStatistics
) -> Reads:
    return Reads(spec.model_dump(mode="json"), {name: digests[name] for name in ("images", "statistics")})


@step("audit", 8, _audit_reads)
def audit_table(
    output: StepOutput, spec: AuditSpec, _digests: Mapping[str, str], images: ImageTable, statistics: ImageStatistics
) -> None:
    """Audit of images and labels."""
    output.write(audit_images(images, statistics, spec) if images.has_files else audit_labels(images))


def _fold_reads(
    data: PreparedData,
    spec: SplitSpec,
    seed: int,
    features: Features | None = None,
    before: Mapping[str, int] | None = None,
) -> Reads:
    digests = {name: data.digests[name] for name in ("images", "audit", "review") if name in data.digests}
    if features is not None:
        digests["what tells train from test"] = digest_array(features[1])
        digests["what learns to tell them apart"] = library_versions("lightgbm", "scikit-learn")
    if before is not None:
        digests[EARLIER_FOLDS] = digest_value(sorted(before.items()))
    return Reads({"split": spec.model_dump(mode="json"), "seed": seed}, digests)


@step("folds", 8, _fold_reads)
def make_fold_table(
    output: StepOutput,
    data: PreparedData,
    spec: SplitSpec,
    seed: int,
    features: Features | None = None,
    before: Mapping[str, int] | None = None,
) -> None:
    """Folds that keep groups and duplicates together.

    Args:
        features: Features that distinguish training from test images.
        before: Fold by sample name, of the run that is in the folder.
    """
    output.write(split_reviewed(data, spec, seed, features, before))
