"""What a server tells of a finished run, and which runs it cannot serve."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from holotype.data.channel_files import ChannelNames
from holotype.digest import digest_file, digest_value
from holotype.errors import InputError
from holotype.finished.opened import OpenedRun
from holotype.runs import RunFolder
from holotype.runtime import version_of
from holotype.serve import About

__all__ = ["about_run", "refuse_what_needs_company", "store_of"]

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".lsm", ".npy")
"""What one file can hold and a header tells the size of; archives and folders are not taken from strangers."""
PLAIN_THRESHOLDS = {"threshold", "per-class", "prior"}


def store_of(folder: RunFolder) -> Path:
    """The store of the run's own stages, where it is still there; else one beside the run, never inside it.

    Args:
        folder: The run's.
    """
    if os.environ.get("HOLOTYPE_STORE"):
        return Path(os.environ["HOLOTYPE_STORE"])
    return folder.store() or folder.root.resolve().parent / ".holotype"


def refuse_what_needs_company(opened: OpenedRun) -> None:
    """Refuse a run that cannot answer for single images.

    Args:
        opened: The run.

    Raises:
        InputError: It decides over plates, scales by plates, or has members without networks.
    """
    imported = [member.name for member in opened.recipe.members if member.predictions is not None]
    if imported:
        raise InputError(f"the scores of {', '.join(imported)} were made elsewhere: new images cannot be predicted",
                         remedy="serve a run whose members are all networks")  # fmt: skip
    if opened.decision.one_class_per is not None:
        raise InputError(f"the run decides over all images of a {opened.decision.one_class_per} together, and a server "
                         "answers for images by themselves", field="decide.kind", value="assign",
                         remedy="use `holotype predict` with a table that names it")  # fmt: skip
    plates = [member.name for member in opened.recipe.members if member.input.normalise == "plate"]
    if plates:
        raise InputError(f"{', '.join(plates)}: images are scaled by their plate, and a server answers for images by "
                         "themselves", field="members.input.normalise", value="plate",
                         remedy="use `holotype predict` with a table that names it")  # fmt: skip


def about_run(opened: OpenedRun, channels: int, names: ChannelNames | None) -> About:
    """What does not change while a run is served.

    Args:
        opened: The run.
        channels: How many an image has.
        names: How the files of an image are named; none where one file holds all channels.
    """
    decision, folder = opened.decision, opened.folder
    thresholds = None
    if decision.rule in PLAIN_THRESHOLDS and decision.kind == "multilabel" and len(decision.thresholds) > 0:
        thresholds = tuple(value if np.isfinite(value) else None for value in decision.thresholds)
    program = version_of("holotype") or "not installed as a package"
    digests = {name: digest_file(folder.existing(name)) for name in ("recipe.yaml", "decision.json", "ensemble.json")}
    weights = sorted((folder.root / "members").rglob("*.safetensors"))
    digests["networks"] = digest_value({str(path.relative_to(folder.root)): digest_file(path) for path in weights})
    return About(
        opened.recipe.name, program, digests, decision.kind, decision.classes, thresholds, decision.rule,
        tuple(opened.recipe.data.channels or ()), channels, None if names is None else names.pattern, ENDINGS,
    )  # fmt: skip
