"""One network: trained, and asked about rows, each from the store where it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from holotype.feed import Specimens
from holotype.keys import fit_key, predict_key
from holotype.members.workshop import Workshop
from holotype.nets import open_checkpoint
from holotype.predict import infer, load_said, save_said
from holotype.store import StageKey
from holotype.train import FitJob, fit_member, launch_fabric
from holotype.types import Integers, Predictions

__all__ = ["Trained", "ask", "train"]


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Args:
        job: Member, fold, rows.
        key: What it was made from.
        network: Its checkpoint's folder.
    """

    job: FitJob
    key: StageKey
    network: Path


def train(job: FitJob, specimens: Specimens, workshop: Workshop) -> Trained:
    """Train a network, or take it from the store.

    Args:
        job: Member, fold, rows.
        specimens: Pixels and labels.
        workshop: What networks are made from.
    """
    stages, runtime = workshop.stages, workshop.runtime
    key = fit_key(job, workshop.ready.statistics, specimens, runtime)
    workspace = stages.store.workspace(key)
    told = replace(job, pixels=key.inputs["pixels of the training rows"])
    network = stages.folder(key, lambda folder: fit_member(told, specimens, folder, workspace, runtime))
    return Trained(job, key, network)


def ask(
    trained: Trained, parts: Mapping[str, Integers], specimens: Specimens, workshop: Workshop, purpose: str = "predict"
) -> dict[str, list[Predictions]]:
    """What a network says of some rows.

    Args:
        trained: The network.
        parts: Image rows by name.
        specimens: Their pixels.
        workshop: What networks are made from.
        purpose: The first word of the stage's name.

    Returns:
        By name one entry a pooling, the first view alone last; nothing in a forecast, where the store does not hold it.
    """
    job, runtime = trained.job, workshop.runtime
    rows = np.concatenate(list(parts.values()))
    key = predict_key(job, trained.key, workshop.ready.statistics, rows, purpose)

    def write(folder: Path) -> None:
        device = launch_fabric(runtime).device
        said = infer(open_checkpoint(trained.network), specimens, rows, job.member.predict, runtime, device)
        end = 0
        for name, part in parts.items():
            begin, end = end, end + len(part)
            np.save(folder / f"{name}-rows.npy", rows[begin:end], allow_pickle=False)
            for one in said:
                save_said(folder, f"{name}-{one.pool}", one.logits[begin:end])

    place = workshop.stages.folder(key, write)
    return {name: _read(place, name, job) for name in parts} if place.is_dir() else {}


def _read(place: Path, name: str, job: FitJob) -> list[Predictions]:
    rows = np.load(place / f"{name}-rows.npy", allow_pickle=False)
    return [
        Predictions(job.member.name, job.fold, rows, load_said(place, f"{name}-{pool}", len(job.classes)), pool)
        for pool in (*job.member.predict.pools, "first")
    ]
