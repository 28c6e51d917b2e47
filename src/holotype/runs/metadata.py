"""Run metadata for a server, and the check that a run can be served."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from holotype.core.digest import digest_file, digest_value
from holotype.core.errors import InputError
from holotype.core.run_folder import RunFolder
from holotype.core.runtime import version_of
from holotype.data.channel_files import ChannelFileMatcher
from holotype.runs.fitted_run import FittedRun
from holotype.serve import RunInfo

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".lsm", ".npy")
"""Formats of one file with the size in its header; uploads of archives and folders are not accepted."""
PER_CLASS_THRESHOLD_RULES = {"threshold", "per-class", "prior"}


def find_store(folder: RunFolder) -> Path:
    """Find the cache of the run's own steps; if it is gone, one beside the run folder, never inside."""
    if os.environ.get("HOLOTYPE_STORE"):
        return Path(os.environ["HOLOTYPE_STORE"])
    return folder.store() or folder.root.resolve().parent / ".holotype"


def require_single_image_support(fitted_run: FittedRun) -> None:
    """Refuse a run that cannot predict single images."""
    imported = [model.name for model in fitted_run.recipe.models if model.predictions is not None]
    if imported:
        raise InputError(
            f"the scores of {', '.join(imported)} were made elsewhere: new images cannot be predicted",
            remedy="serve a run whose models are all networks",
        )
    measured = [model.name for model in fitted_run.recipe.models if model.measurements is not None]
    if measured:
        raise InputError(
            f"{', '.join(measured)} predicts from a table of measurements, and a server gets images alone",
            remedy="serve a run whose models are all networks, or predict with `holotype predict --measurements`",
        )
    if fitted_run.decision.unique_class_per is not None:
        raise InputError(
            f"the run decides over all images of a {fitted_run.decision.unique_class_per} at once, and a server "
            "predicts single images",
            field="decision.kind",
            value="assign",
            remedy="use `holotype predict` with a table that has this column",
        )
    plates = [model.name for model in fitted_run.recipe.models if model.input.normalize == "plate"]
    if plates:
        raise InputError(
            f"{', '.join(plates)}: images are normalized by plate, and a server predicts single images",
            field="models.input.normalize",
            value="plate",
            remedy="use `holotype predict` with a table that has this column",
        )


def run_metadata(fitted_run: FittedRun, channels: int, names: ChannelFileMatcher | None) -> RunInfo:
    """Metadata of a served run, constant while it is served."""
    decision, folder = fitted_run.decision, fitted_run.folder
    thresholds = None
    if decision.rule in PER_CLASS_THRESHOLD_RULES and decision.kind == "multilabel" and len(decision.thresholds) > 0:
        thresholds = tuple(value if np.isfinite(value) else None for value in decision.thresholds)
    program = version_of("holotype") or "not installed as a package"
    digests = {name: digest_file(folder.require(name)) for name in ("recipe.yaml", "decision.json", "ensemble.json")}
    weights = sorted((folder.root / "models").rglob("*.safetensors"))
    digests["networks"] = digest_value({str(path.relative_to(folder.root)): digest_file(path) for path in weights})
    return RunInfo(
        fitted_run.recipe.name,
        program,
        digests,
        decision.kind,
        decision.classes,
        thresholds,
        decision.rule,
        tuple(fitted_run.recipe.data.channels or ()),
        channels,
        None if names is None else names.pattern,
        ENDINGS,
    )
