"""What each stage is made from: its own section of the recipe, and the digests of what it reads.

A change of views, ensemble or decision is in no key of training, so it never trains anything again. Names are resolved:
of weights their file counts by its bytes, of `precision: auto` what it becomes on this device.

Versions of libraries count where they decide about results: those of decoders in full, since a decoder may change a
pixel in any release, and looking at all images again trains nothing where they came out the same; those of PyTorch and
timm by their first two numbers, since releases within them mend faults and a training is dear. NumPy, SciPy and Polars
count nowhere: what is used of them computes the same in every release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from holotype.data import PackPlan
from holotype.digest import digest_array, digest_source, digest_value, digest_versions_on_disk
from holotype.feed import Specimens
from holotype.nets import weights_identity
from holotype.predict import resolve_precision
from holotype.runtime import Runtime, version_of
from holotype.spec import AuditSpec, DataSpec, MemberSpec, SplitSpec
from holotype.store import StageKey
from holotype.table_files import without_sheet
from holotype.train import FitJob, find_device
from holotype.types import Floats, ImageStatistics, ImageTable, Integers

__all__ = [
    "EARLIER_FOLDS",
    "audit_key",
    "computed_precision",
    "embed_key",
    "fit_key",
    "folds_key",
    "images_key",
    "index_key",
    "look_key",
    "neighbours_key",
    "pack_key",
    "predict_key",
    "reviewed_key",
    "statistics_key",
]


Moments = tuple[Floats, Floats] | None
EARLIER_FOLDS = "folds of the run in this folder"
DECODERS = ("pillow", "tifffile", "imagecodecs", "zarr", "bioio")
UNREAD_FIELDS = {"frame", "classes", "kind", "taxonomy"}
"""Fields of an image table that say nothing about pixels; of its frame the columns that do are named."""


def images_key(spec: DataSpec) -> StageKey:
    """The table of images.

    Args:
        spec: The recipe's section.
    """
    classes, taxonomy = spec.labels.classes, spec.labels.taxonomy
    tables = [spec.train, *spec.external, spec.test, *(one for one in (classes, taxonomy) if isinstance(one, str))]
    inputs: dict[str, str] = {}
    for path in filter(None, tables):
        name = f"table {Path(path).name}"
        while name in inputs:  # of another folder
            name += "'"
        inputs[name] = digest_source(str(without_sheet(path)[0]))
    as_given = spec.model_copy(update={"review": None})  # decisions come after the audit
    return StageKey("images", 6, as_given.model_dump(mode="json", exclude={"pack"}), inputs)


def statistics_key(images: ImageTable) -> StageKey:
    """The one pass over the pixels; labels and groups are in no part of it.

    Args:
        images: The table.
    """
    frame = images.frame
    rows = frame.select("id", files=pl.col("files").list.len(), labelled=pl.col("role") != "test")
    options = {field.name: getattr(images, field.name) for field in fields(images) if field.name not in UNREAD_FIELDS}
    return StageKey("statistics", 7, options, {
        "ids and roles": digest_value(rows.to_dict(as_series=False)),
        "image files": digest_versions_on_disk(frame["files"].explode(empty_as_null=False)),
        "decoders": _versions(*DECODERS, numbers=3),
    })  # fmt: skip


def audit_key(spec: AuditSpec, digests: Mapping[str, str]) -> StageKey:
    """The audit.

    Args:
        spec: The recipe's section.
        digests: Of the stages before.
    """
    inputs = {name: digests[name] for name in ("images", "statistics")}
    return StageKey("audit", 6, spec.model_dump(mode="json"), inputs)


def folds_key(
    spec: SplitSpec,
    seed: int,
    digests: Mapping[str, str],
    seen: Floats | None = None,
    before: Mapping[str, int] | None = None,
) -> StageKey:
    """The folds.

    Args:
        spec: The recipe's section.
        seed: The recipe's seed.
        digests: Of the stages before.
        seen: What training rows are told from test rows by.
        before: The folds of the run that lies in the folder, by the samples' names.
    """
    inputs = {name: digests[name] for name in ("images", "audit", "review") if name != "review" or name in digests}
    if seen is not None:
        inputs["what tells train from test"] = digest_array(seen)
        inputs["what learns to tell them apart"] = _versions("lightgbm", "scikit-learn")
    if before is not None:
        inputs[EARLIER_FOLDS] = digest_value(sorted(before.items()))
    return StageKey("folds", 6, {"split": spec.model_dump(mode="json"), "seed": seed}, inputs)


def pack_key(plan: PackPlan, size: int, statistics: ImageStatistics) -> StageKey:
    """The stored images.

    Args:
        plan: The form they are stored in.
        size: The size they are stored for.
        statistics: Holds the digest of every image's pixels.
    """
    form = asdict(plan) | {"skipped": sorted(plan.skipped)}
    inputs = {"pixels": _pixels(statistics, np.arange(statistics.frame.height)), "resampling": _versions("pillow")}
    return StageKey(f"pack {size}", 6, form, inputs)


def fit_key(job: FitJob, statistics: ImageStatistics, specimens: Specimens, runtime: Runtime) -> StageKey:
    """One network.

    Args:
        job: Member, fold and rows.
        statistics: Holds the digest of every image's pixels.
        specimens: Their labels, and the form in which they are stored.
        runtime: Its batch and precision count, its threads do not.
    """
    left_out = {"predict", "specialise", "pseudo", "neighbours", "weights", "predictions"}
    member = job.member.model_dump(mode="json", exclude=left_out)
    truth, stored = specimens.truth, specimens.pack.pixels
    rows = {"training rows": job.train_rows, "fold": job.validation_rows, "rows that choose": job.inner_rows}
    inputs = {f"pixels of the {name}": _seen(statistics, some, specimens.moments) for name, some in rows.items()}
    inputs |= {f"labels of the {name}": truth.rows(some).digest() for name, some in rows.items()}
    inputs |= {
        "training rows": digest_array(job.train_rows),
        "rows that choose": digest_array(job.inner_rows),
        "external rows": digest_array(job.external),
        "form of the stored images": digest_value([stored.shape[1:], stored.dtype.name, specimens.pack.fitting]),
        "normalisation": digest_value(asdict(job.normalisation)),
        "channels": digest_value([job.channels, specimens.seen, specimens.jittered]),
        "windows": digest_value([specimens.tiles and asdict(specimens.tiles), specimens.crop_share]),
        "classes": digest_value([job.classes, job.kind]),
        "weights": weights_identity(job.member.backbone, job.member.weights, job.fold),
        "libraries": _versions("torch", "timm"),
    }
    if job.round:
        inputs["rows that join"] = digest_array(job.pseudo_rows)
        inputs["labels of the rows that join"] = truth.rows(job.pseudo_rows).digest()
        inputs["pixels of the rows that join"] = _seen(statistics, job.pseudo_rows, specimens.moments)
    if job.start is not None:
        inputs["overall network"] = job.start_digest
    if job.levels is not None:
        inputs["taxonomy"] = digest_value(asdict(job.levels))
    precision = computed_precision(runtime)
    section = {**member, "seed": job.seed, "fold": job.fold, "batch": runtime.batch, "precision": precision}
    section |= {"processes": runtime.processes} if runtime.processes > 1 else {}
    pseudo = job.member.pseudo
    section |= {"joining": [job.round, pseudo.weight, pseudo.ramp]} if job.round and pseudo is not None else {}
    section |= {"domain": job.domain} if job.domain is not None else {}
    return StageKey(f"fit {_named(job)}", 7, section, inputs)


def embed_key(
    member: MemberSpec, rows: Integers, statistics: ImageStatistics, runtime: Runtime, moments: Moments = None
) -> StageKey:
    """What a frozen backbone sees in the images.

    Args:
        member: The recipe's section, its size resolved.
        rows: Image rows.
        statistics: Holds the digest of every image's pixels.
        runtime: For what it computes in.
        moments: Of `Specimens`.
    """
    looks = member.model_dump(mode="json", include={"backbone", "activation", "input", "head"})
    section = looks | {"stored size": member.stored_size, "precision": computed_precision(runtime)}
    inputs = {
        "pixels": _seen(statistics, rows, moments),
        "rows": digest_array(rows),
        "normalisation": digest_value(asdict(statistics.normalisation)),
        "weights": weights_identity(member.backbone, member.weights),
        "libraries": _versions("torch", "timm"),
    }
    return StageKey("embeddings", 3, section, inputs)


def predict_key(
    job: FitJob, fit: StageKey, statistics: ImageStatistics, rows: Integers, *, purpose: str = "predict",
    part: str = "", moments: Moments = None,
) -> StageKey:  # fmt: skip
    """What one network says of some rows: the fold it never saw, the test rows, or those that may join training.

    Args:
        job: Member and fold.
        fit: The network's own key.
        statistics: Holds the digest of every image's pixels.
        rows: Image rows.
        purpose: The first word of the stage's name.
        part: The last word of the stage's name.
        moments: Of `Specimens`.
    """
    inputs = {"network": fit.digest, "pixels": _seen(statistics, rows, moments), "rows": digest_array(rows)}
    name = f"{purpose} {_named(job)} {part}".rstrip()
    return StageKey(name, 5, job.member.predict.model_dump(mode="json"), inputs)


def reviewed_key(scores: str) -> StageKey:
    """What is kept of a run whose labels were reviewed, since the next run may take its folder.

    Args:
        scores: Digest of its out-of-fold scores.
    """
    return StageKey("reviewed run", 1, None, {"scores": scores})


def index_key(
    fit: StageKey, job: FitJob, ties: Integers, statistics: ImageStatistics, moments: Moments = None
) -> StageKey:
    """The training specimens of one network, embedded by it.

    Args:
        fit: The network's own key.
        job: Member and fold.
        ties: Which of its training rows are one picture, shape (n,).
        statistics: Holds the digest of every image's pixels.
        moments: Of `Specimens`.
    """
    inputs = {
        "network": fit.digest,
        "pixels": _seen(statistics, job.train_rows, moments),
        "duplicates": digest_array(ties),
        "search": _versions("faiss-cpu", "faiss-gpu"),
    }
    return StageKey(f"index {_named(job)}", 2, _neighbours(job), inputs)


def neighbours_key(
    index: StageKey, job: FitJob, statistics: ImageStatistics, rows: Integers, *, ties: Integers, part: str = "",
    moments: Moments = None,
) -> StageKey:  # fmt: skip
    """The nearest specimens of some rows.

    Args:
        index: The index's own key.
        job: Member and fold.
        statistics: Holds the digest of every image's pixels.
        rows: Image rows.
        ties: Which of these rows are one picture with which of the index, shape (n,); empty where that does not count.
        part: The last word of the stage's name.
        moments: Of `Specimens`.
    """
    inputs = {
        "index": index.digest,
        "pixels": _seen(statistics, rows, moments),
        "rows": digest_array(rows),
        "duplicates": digest_array(ties),
    }
    return StageKey(f"neighbours {_named(job)} {part}".rstrip(), 2, _neighbours(job), inputs)


def look_key(
    stage: str, network: Path, statistics: ImageStatistics, rows: Integers, section: dict[str, Any],
    moments: Moments = None,
) -> StageKey:  # fmt: skip
    """What the report shows of how one network sees some rows.

    Args:
        stage: The stage's name.
        network: The network's place in the store, which is named after its own key.
        statistics: Holds the digest of every image's pixels.
        rows: Image rows.
        section: What is asked, as plain values.
        moments: Of `Specimens`.
    """
    inputs = {
        "network": network.name,
        "pixels": _seen(statistics, rows, moments),
        "rows": digest_array(rows),
        "projection": _versions("scikit-learn"),
    }
    return StageKey(stage, 2, section, inputs)


def computed_precision(runtime: Runtime) -> str:
    """What networks compute in, with `auto` resolved to what it is on this device.

    Args:
        runtime: Device and precision.
    """
    kind = find_device(runtime).type if runtime.precision == "auto" else ""
    return resolve_precision(runtime.precision, kind)


def _neighbours(job: FitJob) -> dict[str, object] | None:
    spec = job.member.neighbours
    return None if spec is None else spec.model_dump(mode="json", exclude={"take_over"})


def _named(job: FitJob) -> str:
    """Member and fold, then round and domain where there are such."""
    words = [job.member.name, str(job.fold), f"round {job.round}" if job.round else "", job.domain or ""]
    return " ".join(word for word in words if word)


def _versions(*packages: str, numbers: int = 2) -> str:
    """The versions of some packages, as far as they count; packages that are not installed decide nothing."""
    known = {name: version_of(name) for name in packages}
    return digest_value({name: ".".join(full.split(".")[:numbers]) for name, full in known.items() if full})


def _seen(statistics: ImageStatistics, rows: Integers, moments: Moments) -> str:
    """The digest of what networks see of some rows: their pixels, and what scales them instead of the whole set."""
    pixels = _pixels(statistics, rows)
    return pixels if moments is None else digest_value([pixels, *(digest_array(part[rows]) for part in moments)])


def _pixels(statistics: ImageStatistics, rows: Integers) -> str:
    return digest_array(statistics.frame["digest"].gather(rows).to_numpy().astype("S"))
