"""Cache keys of the steps: their own recipe section and the digests of their inputs.

No training key holds TTA, ensemble or decision settings, so a change of these never trains a network again. Names are
resolved: weights count by the bytes of their file, `precision: auto` by what it means on this device. In all keys,
`statistics` hold the digest of every image's pixels, `rows` are image rows, and `row_normalization` is that of
`ImageDataset`.

Library versions count where they can change a result. Decoders count in full, because any release may change a pixel,
and measuring again trains nothing if the pixels are the same. PyTorch and timm count by major and minor number, because
patch releases only fix bugs and training is expensive. NumPy, SciPy and Polars do not count: the functions used here
compute the same in every release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from holotype.cache import StepKey
from holotype.core.digest import digest_array, digest_file_stats, digest_table_source, digest_value
from holotype.core.runtime import Runtime, version_of
from holotype.core.table_files import strip_sheet_name
from holotype.data import CacheFormat
from holotype.loading import ImageDataset
from holotype.networks import weights_identity
from holotype.prediction import resolve_precision
from holotype.recipe.sections import AuditSpec, DataSpec, ModelSpec, SplitSpec
from holotype.training import FitJob, device_type
from holotype.types import Floats, ImageStatistics, ImageTable, Integers

__all__ = [
    "EARLIER_FOLDS",
    "audit_key",
    "computed_precision",
    "embed_key",
    "explanation_key",
    "fit_key",
    "folds_key",
    "images_key",
    "index_key",
    "neighbors_key",
    "pixel_cache_key",
    "predict_key",
    "reviewed_run_key",
    "statistics_key",
]


RowNormalization = tuple[Floats, Floats] | None
EARLIER_FOLDS = "folds of the run in this folder"
DECODERS = ("pillow", "tifffile", "imagecodecs", "zarr", "bioio")
NON_PIXEL_FIELDS = {"frame", "classes", "kind", "taxonomy"}
"""Fields of an image table that do not affect pixels."""


def images_key(spec: DataSpec) -> StepKey:
    """Image table key."""
    classes, taxonomy = spec.labels.classes, spec.labels.taxonomy
    tables = [
        spec.train,
        *spec.external,
        spec.test,
        *(table for table in (classes, taxonomy) if isinstance(table, str)),
    ]
    inputs: dict[str, str] = {}
    for path in filter(None, tables):
        name = f"table {Path(path).name}"
        while name in inputs:  # same file name in another folder
            name += "'"
        inputs[name] = digest_table_source(str(strip_sheet_name(path)[0]))
    without_review = spec.model_copy(update={"review": None})  # decisions come after the audit
    return StepKey("images", 7, without_review.model_dump(mode="json", exclude={"cache"}), inputs)


def statistics_key(images: ImageTable) -> StepKey:
    """Image statistics key; labels and groups are no part of it."""
    frame = images.frame
    rows = frame.select("id", files=pl.col("files").list.len(), labelled=pl.col("role") != "test")
    options = {
        field.name: getattr(images, field.name) for field in fields(images) if field.name not in NON_PIXEL_FIELDS
    }
    return StepKey(
        "statistics",
        9,
        options,
        {
            "ids and roles": digest_value(rows.to_dict(as_series=False)),
            "image files": digest_file_stats(frame["files"].explode(empty_as_null=False)),
            "decoders": _versions(*DECODERS, numbers=3),
        },
    )


def audit_key(spec: AuditSpec, digests: Mapping[str, str]) -> StepKey:
    """Audit step key."""
    inputs = {name: digests[name] for name in ("images", "statistics")}
    return StepKey("audit", 8, spec.model_dump(mode="json"), inputs)


def folds_key(
    spec: SplitSpec,
    seed: int,
    digests: Mapping[str, str],
    train_test_features: Floats | None = None,
    earlier_folds: Mapping[str, int] | None = None,
) -> StepKey:
    """Folds step key.

    Args:
        digests: Digests of the earlier steps.
        train_test_features: Features that distinguish training from test images.
        earlier_folds: Fold by sample name, of the run that is in the folder.
    """
    inputs = {name: digests[name] for name in ("images", "audit", "review") if name != "review" or name in digests}
    if train_test_features is not None:
        inputs["what tells train from test"] = digest_array(train_test_features)
        inputs["what learns to tell them apart"] = _versions("lightgbm", "scikit-learn")
    if earlier_folds is not None:
        inputs[EARLIER_FOLDS] = digest_value(sorted(earlier_folds.items()))
    return StepKey("folds", 8, {"split": spec.model_dump(mode="json"), "seed": seed}, inputs)


def pixel_cache_key(plan: CacheFormat, size: int, statistics: ImageStatistics) -> StepKey:
    """Pixel cache key."""
    form = asdict(plan) | {"skipped": sorted(plan.skipped)}
    inputs = {
        "pixels": _pixels_digest(statistics, np.arange(statistics.frame.height)),
        "resampling": _versions("pillow"),
    }
    return StepKey(f"pack {size}", 8, form, inputs)


def fit_key(job: FitJob, statistics: ImageStatistics, dataset: ImageDataset, runtime: Runtime) -> StepKey:
    """Training key of one network.

    Args:
        dataset: Labels, and the format of the cached pixels.
        runtime: Batch and precision count; threads do not.
    """
    left_out = {"predict", "specialists", "pseudo_labels", "neighbors", "weights", "predictions"}
    model = job.model.model_dump(mode="json", exclude=left_out)
    truth, cached_pixels = dataset.truth, dataset.pixel_cache.pixels
    rows = {"training rows": job.train_rows, "fold": job.validation_rows, "rows that choose": job.inner_rows}
    inputs = {
        f"pixels of the {name}": _input_digest(statistics, row_set, dataset.row_normalization)
        for name, row_set in rows.items()
    }
    inputs |= {f"labels of the {name}": truth.rows(row_set).digest() for name, row_set in rows.items()}
    inputs |= {
        "training rows": digest_array(job.train_rows),
        "rows that choose": digest_array(job.inner_rows),
        "external rows": digest_array(job.external),
        "form of the stored images": digest_value(
            [cached_pixels.shape[1:], cached_pixels.dtype.name, dataset.pixel_cache.resize_mode]
        ),
        "normalization": digest_value(asdict(job.normalization)),
        "channels": digest_value([job.channels, dataset.input_channels, dataset.jitter_channels]),
        "windows": digest_value([dataset.tiles and asdict(dataset.tiles), dataset.crop_share]),
        "classes": digest_value([job.classes, job.kind]),
        "weights": weights_identity(job.model.backbone, job.model.weights, job.fold),
        "libraries": _versions("torch", "timm"),
    }
    if job.pseudo_round:
        inputs["rows that join"] = digest_array(job.pseudo_rows)
        inputs["labels of the rows that join"] = truth.rows(job.pseudo_rows).digest()
        inputs["pixels of the rows that join"] = _input_digest(statistics, job.pseudo_rows, dataset.row_normalization)
    if job.init_checkpoint is not None:
        inputs["overall network"] = job.init_digest
    if job.rank_heads is not None:
        inputs["taxonomy"] = digest_value(asdict(job.rank_heads))
    precision = computed_precision(runtime)
    section = {**model, "seed": job.seed, "fold": job.fold, "batch": runtime.batch, "precision": precision}
    section |= {"processes": runtime.processes} if runtime.processes > 1 else {}
    pseudo = job.model.pseudo_labels
    section |= (
        {"joining": [job.pseudo_round, pseudo.weight, pseudo.ramp_epochs]}
        if job.pseudo_round and pseudo is not None
        else {}
    )
    section |= {"domain": job.domain} if job.domain is not None else {}
    return StepKey(f"fit {_job_name(job)}", 8, section, inputs)


def embed_key(
    model: ModelSpec,
    rows: Integers,
    statistics: ImageStatistics,
    runtime: Runtime,
    row_normalization: RowNormalization = None,
) -> StepKey:
    """Embeddings key of a frozen pretrained backbone."""
    model_section = model.model_dump(mode="json", include={"backbone", "activation", "input", "head"})
    section = model_section | {"stored size": model.stored_size, "precision": computed_precision(runtime)}
    inputs = {
        "pixels": _input_digest(statistics, rows, row_normalization),
        "rows": digest_array(rows),
        "normalization": digest_value(asdict(statistics.normalization)),
        "weights": weights_identity(model.backbone, model.weights),
        "libraries": _versions("torch", "timm"),
    }
    return StepKey("embeddings", 3, section, inputs)


def predict_key(
    job: FitJob,
    fit: StepKey,
    statistics: ImageStatistics,
    rows: Integers,
    *,
    purpose: str = "predict",
    part: str = "",
    row_normalization: RowNormalization = None,
) -> StepKey:
    """Prediction key of one network for some rows: its held-out fold, test rows or pseudo-label candidates.

    Args:
        purpose: First word of the step's name.
        part: Last word of the step's name.
    """
    inputs = {
        "network": fit.digest,
        "pixels": _input_digest(statistics, rows, row_normalization),
        "rows": digest_array(rows),
    }
    name = f"{purpose} {_job_name(job)} {part}".rstrip()
    return StepKey(name, 6, job.model.predict.model_dump(mode="json"), inputs)


def reviewed_run_key(scores: str) -> StepKey:
    """Key of the scores kept from a reviewed run, whose folder the next run may replace.

    Args:
        scores: Digest of its out-of-fold scores.
    """
    return StepKey("reviewed run", 1, None, {"scores": scores})


def index_key(
    fit: StepKey,
    job: FitJob,
    duplicate_group: Integers,
    statistics: ImageStatistics,
    row_normalization: RowNormalization = None,
) -> StepKey:
    """Index key: the training images of one network, embedded by it.

    Args:
        duplicate_group: Duplicate group of each training row, shape (n,).
    """
    inputs = {
        "network": fit.digest,
        "pixels": _input_digest(statistics, job.train_rows, row_normalization),
        "duplicates": digest_array(duplicate_group),
        "search": _versions("faiss-cpu", "faiss-gpu"),
    }
    return StepKey(f"index {_job_name(job)}", 3, _neighbor_options(job), inputs)


def neighbors_key(
    index: StepKey,
    job: FitJob,
    statistics: ImageStatistics,
    rows: Integers,
    *,
    duplicate_group: Integers,
    part: str = "",
    row_normalization: RowNormalization = None,
) -> StepKey:
    """Nearest neighbors key of some rows.

    Args:
        duplicate_group: Duplicate group of each row, shape (n,); empty if duplicates may be neighbors.
        part: Last word of the step's name.
    """
    inputs = {
        "index": index.digest,
        "pixels": _input_digest(statistics, rows, row_normalization),
        "rows": digest_array(rows),
        "duplicates": digest_array(duplicate_group),
    }
    return StepKey(f"neighbors {_job_name(job)} {part}".rstrip(), 3, _neighbor_options(job), inputs)


def explanation_key(
    step: str,
    network: Path,
    statistics: ImageStatistics,
    rows: Integers,
    section: dict[str, Any],
    row_normalization: RowNormalization = None,
) -> StepKey:
    """Explanation key: an embedding map or heat maps by one network.

    Args:
        step: Name of the step.
        network: The network's folder in the cache, which is named after its key.
        section: Settings, as plain values.
    """
    inputs = {
        "network": network.name,
        "pixels": _input_digest(statistics, rows, row_normalization),
        "rows": digest_array(rows),
        "projection": _versions("scikit-learn"),
    }
    return StepKey(step, 3, section, inputs)


def computed_precision(runtime: Runtime) -> str:
    """Precision that networks compute in, with `auto` resolved for this device."""
    kind = device_type(runtime) if runtime.precision == "auto" else ""
    return resolve_precision(runtime.precision, kind)


def _neighbor_options(job: FitJob) -> dict[str, object] | None:
    spec = job.model.neighbors
    return None if spec is None else spec.model_dump(mode="json", exclude={"override_similarity"})


def _job_name(job: FitJob) -> str:
    words = [job.model.name, str(job.fold), f"round {job.pseudo_round}" if job.pseudo_round else "", job.domain or ""]
    return " ".join(word for word in words if word)


def _versions(*packages: str, numbers: int = 2) -> str:
    """Digest of package versions; packages that are not installed do not count."""
    versions = {name: version_of(name) for name in packages}
    return digest_value({name: ".".join(full.split(".")[:numbers]) for name, full in versions.items() if full})


def _input_digest(statistics: ImageStatistics, rows: Integers, row_normalization: RowNormalization) -> str:
    """Digest of network inputs: the pixels of some rows and their own normalization."""
    pixels = _pixels_digest(statistics, rows)
    return (
        pixels
        if row_normalization is None
        else digest_value([pixels, *(digest_array(part[rows]) for part in row_normalization)])
    )


def _pixels_digest(statistics: ImageStatistics, rows: Integers) -> str:
    return digest_array(statistics.frame["digest"].gather(rows).to_numpy().astype("S"))
