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
from holotype.types import Integers, Predictions, some_rows

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
    some = [name for name, rows in parts.items() if len(rows)] or list(parts)[:1]
    made = {name: _asked(trained, name, parts[name], specimens, workshop, purpose) for name in some}
    said = {name: one for name, one in made.items() if one is not None}
    if len(said) < len(some):
        return {}
    nothing = [replace(one, rows=one.rows[:0], logits=some_rows(one.logits, slice(0))) for one in said[some[0]]]
    return {name: said.get(name, nothing) for name in parts}


def _asked(
    trained: Trained, name: str, rows: Integers, specimens: Specimens, workshop: Workshop, purpose: str
) -> list[Predictions] | None:
    """What a network says of the rows of one name, which are a stage of their own: others do not make it anew."""
    job, runtime = trained.job, workshop.runtime
    key = predict_key(
        job, trained.key, workshop.ready.statistics, rows, purpose=purpose, moments=specimens.moments,
        part="" if name in {"oof", "candidates"} else name,
    )  # fmt: skip

    def write(folder: Path) -> None:
        device = launch_fabric(runtime).device
        said = infer(open_checkpoint(trained.network), specimens, rows, job.member.predict, runtime, device)
        np.save(folder / "rows.npy", rows, allow_pickle=False)
        for one in said:
            save_said(folder, one.pool, one.logits)

    place = workshop.stages.folder(key, write)
    return _read(place, job) if place.is_dir() else None


def _read(place: Path, job: FitJob) -> list[Predictions]:
    rows = np.load(place / "rows.npy", allow_pickle=False)
    return [
        Predictions(job.member.name, job.fold, rows, load_said(place, pool, len(job.classes)), pool)
        for pool in (*job.member.predict.pools, "first")
    ]
