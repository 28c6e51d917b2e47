"""What each stage is made from: its own section of the recipe, and the digests of what it reads.

A change of views, ensemble or decision is in no key of training, so it never trains anything again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holotype.data import PackPlan
from holotype.digest import digest_array, digest_file, digest_source, digest_value, digest_versions_on_disk
from holotype.feed import Specimens
from holotype.nets import weights_file
from holotype.runtime import Runtime
from holotype.spec import AuditSpec, DataSpec, MemberSpec, SplitSpec
from holotype.store import StageKey
from holotype.table_files import without_sheet
from holotype.train import FitJob
from holotype.types import Floats, ImageStatistics, ImageTable, Integers

__all__ = [
    "audit_key",
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


def images_key(spec: DataSpec) -> StageKey:
    """The table of images.

    Args:
        spec: The recipe's section.
    """
    classes, taxonomy = spec.labels.classes, spec.labels.taxonomy
    tables = [spec.train, *spec.external, spec.test, *(one for one in (classes, taxonomy) if isinstance(one, str))]
    inputs = {f"table {Path(path).name}": digest_source(str(without_sheet(path)[0])) for path in tables if path}
    as_given = spec.model_copy(update={"review": None})  # decisions come after the audit
    return StageKey("images", 4, as_given.model_dump(mode="json", exclude={"pack"}), inputs)


def statistics_key(images: ImageTable, digests: Mapping[str, str]) -> StageKey:
    """The one pass over the pixels.

    Args:
        images: The table.
        digests: Of the stages before.
    """
    files = images.frame["files"].explode(empty_as_null=False)
    return StageKey("statistics", 4, None, {
        "images": digests["images"], "image files": digest_versions_on_disk(files),
    })  # fmt: skip


def audit_key(spec: AuditSpec, digests: Mapping[str, str]) -> StageKey:
    """The audit.

    Args:
        spec: The recipe's section.
        digests: Of the stages before.
    """
    inputs = {name: digests[name] for name in ("images", "statistics")}
    return StageKey("audit", 3, spec.model_dump(mode="json"), inputs)


def folds_key(spec: SplitSpec, seed: int, digests: Mapping[str, str], seen: Floats | None = None) -> StageKey:
    """The folds.

    Args:
        spec: The recipe's section.
        seed: The recipe's seed.
        digests: Of the stages before.
        seen: What training rows are told from test rows by.
    """
    inputs = {name: digests[name] for name in ("images", "audit", "review") if name != "review" or name in digests}
    if seen is not None:
        inputs["what tells train from test"] = digest_array(seen)
    return StageKey("folds", 4, {"split": spec.model_dump(mode="json"), "seed": seed}, inputs)


def pack_key(plan: PackPlan, size: int, digests: Mapping[str, str]) -> StageKey:
    """The stored images.

    Args:
        plan: The form they are stored in.
        size: The size they are stored for.
        digests: Of the stages before.
    """
    inputs = {name: digests[name] for name in ("images", "statistics")}
    form = {"shape": plan.shape, "depth": plan.depth, "fitting": plan.fitting, "scale": plan.scale, "fill": plan.fill}
    return StageKey(f"pack {size}", 4, form, inputs)


def fit_key(job: FitJob, statistics: ImageStatistics, specimens: Specimens, runtime: Runtime) -> StageKey:
    """One network.

    Args:
        job: Member, fold and rows.
        statistics: Holds the digest of every image's pixels.
        specimens: Their labels, and the form in which they are stored.
        runtime: Its batch and precision count, its threads do not.
    """
    member = job.member.model_dump(mode="json", exclude={"predict", "specialise", "pseudo", "neighbours"})
    truth, stored = specimens.truth, specimens.pack.pixels
    inputs = {
        "pixels of the training rows": _pixels(statistics, job.train_rows),
        "labels of the training rows": truth.rows(job.train_rows).digest(),
        "training rows": digest_array(job.train_rows),
        "pixels of the fold": _pixels(statistics, job.validation_rows),
        "labels of the fold": truth.rows(job.validation_rows).digest(),
        "form of the stored images": digest_value([stored.shape[1:], stored.dtype.name]),
        "normalisation": _scaling(job, specimens),
        "rows that choose": digest_array(job.inner_rows),
        "labels of the rows that choose": truth.rows(job.inner_rows).digest(),
        "classes": digest_value([job.classes, job.kind]),
    }
    if job.member.weights not in {"auto", "imagenet", "lite", "none"}:
        inputs["weights"] = digest_file(weights_file(job.member.weights, job.fold))
    if job.round:
        inputs["rows that join"] = digest_array(job.pseudo_rows)
        inputs["labels of the rows that join"] = truth.rows(job.pseudo_rows).digest()
        inputs["pixels of the rows that join"] = _pixels(statistics, job.pseudo_rows)
    if job.start is not None:
        inputs["overall network"] = job.start_digest
    if job.levels is not None:
        inputs["taxonomy"] = digest_value([job.levels.names, job.levels.parents])
    section = {**member, "seed": job.seed, "fold": job.fold, "batch": runtime.batch, "precision": runtime.precision}
    section |= {"processes": runtime.processes} if runtime.processes > 1 else {}
    pseudo = job.member.pseudo
    section |= {"joining": [pseudo.weight, pseudo.ramp]} if job.round and pseudo is not None else {}
    section |= {"domain": job.domain} if job.domain is not None else {}
    return StageKey(f"fit {_named(job)}", 6, section, inputs)


def embed_key(member: MemberSpec, rows: Integers, statistics: ImageStatistics) -> StageKey:
    """What a frozen backbone sees in the images.

    Args:
        member: The recipe's section, its size resolved.
        rows: Image rows.
        statistics: Holds the digest of every image's pixels.
    """
    section = {"backbone": member.backbone, "weights": member.weights, "input": member.input.model_dump(mode="json")}
    return StageKey("embeddings", 2, section, {"pixels": _pixels(statistics, rows), "rows": digest_array(rows)})


def predict_key(
    job: FitJob, fit: StageKey, statistics: ImageStatistics, rows: Integers, purpose: str = "predict"
) -> StageKey:
    """What one network says of some rows: the fold it never saw and the test rows, or those that may join training.

    Args:
        job: Member and fold.
        fit: The network's own key.
        statistics: Holds the digest of every image's pixels.
        rows: Image rows.
        purpose: The first word of the stage's name.
    """
    inputs = {"network": fit.digest, "pixels": _pixels(statistics, rows), "rows": digest_array(rows)}
    return StageKey(f"{purpose} {_named(job)}", 4, job.member.predict.model_dump(mode="json"), inputs)


def reviewed_key(scores: str) -> StageKey:
    """What is kept of a run whose labels were reviewed, since the next run may take its folder.

    Args:
        scores: Digest of its out-of-fold scores.
    """
    return StageKey("reviewed run", 1, None, {"scores": scores})


def index_key(fit: StageKey, job: FitJob, ties: Integers, statistics: ImageStatistics) -> StageKey:
    """The training specimens of one network, embedded by it.

    Args:
        fit: The network's own key.
        job: Member and fold.
        ties: Which of its training rows are one picture, shape (n,).
        statistics: Holds the digest of every image's pixels.
    """
    inputs = {"network": fit.digest, "pixels": _pixels(statistics, job.train_rows), "duplicates": digest_array(ties)}
    return StageKey(f"index {_named(job)}", 1, _neighbours(job), inputs)


def neighbours_key(index: StageKey, job: FitJob, statistics: ImageStatistics, rows: Integers) -> StageKey:
    """The nearest specimens of some rows.

    Args:
        index: The index's own key.
        job: Member and fold.
        statistics: Holds the digest of every image's pixels.
        rows: Image rows.
    """
    inputs = {"index": index.digest, "pixels": _pixels(statistics, rows), "rows": digest_array(rows)}
    return StageKey(f"neighbours {_named(job)}", 1, _neighbours(job), inputs)


def look_key(
    stage: str, network: Path, statistics: ImageStatistics, rows: Integers, section: dict[str, Any]
) -> StageKey:
    """What the report shows of how one network sees some rows.

    Args:
        stage: The stage's name.
        network: The network's place in the store, which is named after its own key.
        statistics: Holds the digest of every image's pixels.
        rows: Image rows.
        section: What is asked, as plain values.
    """
    inputs = {"network": network.name, "pixels": _pixels(statistics, rows), "rows": digest_array(rows)}
    return StageKey(stage, 1, section, inputs)


def _neighbours(job: FitJob) -> dict[str, object] | None:
    spec = job.member.neighbours
    return None if spec is None else spec.model_dump(mode="json", exclude={"take_over"})


def _named(job: FitJob) -> str:
    """Member and fold, then round and domain where there are such."""
    words = [job.member.name, str(job.fold), f"round {job.round}" if job.round else "", job.domain or ""]
    return " ".join(word for word in words if word)


def _scaling(job: FitJob, specimens: Specimens) -> str:
    scale = job.normalisation
    rows = [digest_array(part) for part in specimens.moments or ()]
    return digest_value([scale.mean, scale.deviation, scale.low, scale.high, *rows])


def _pixels(statistics: ImageStatistics, rows: Integers) -> str:
    return digest_array(statistics.frame["digest"].gather(rows).to_numpy().astype("S"))
