"""Members × folds: trained and asked by the engine, each from the store where it is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from holotype.data import Pack, input_size, open_pack, pack_images, plan_pack
from holotype.engine import LocalEngine
from holotype.errors import RecipeError, listing
from holotype.feed import Specimens, make_specimens
from holotype.keys import embed_key, fit_key, pack_key, predict_key
from holotype.nets import open_checkpoint
from holotype.predict import embed_images, infer, load_said, save_said
from holotype.runtime import Runtime
from holotype.spec import MemberSpec
from holotype.store import NotForeseenError, Stages
from holotype.train import ALL_ROWS, FitJob, fit_member, launch_fabric, plan_fit, refit_member
from holotype.types import Floats, Folds, ImageStatistics, ImageTable, Integers, LabelMatrix, Predictions

__all__ = [
    "MemberPredictions",
    "apart_rows",
    "embed_with_member",
    "histories",
    "resolve_member",
    "test_rows",
    "train_and_predict",
]


@dataclass(frozen=True)
class MemberPredictions:
    """What one member's networks say.

    Args:
        name: The member.
        oof: One entry a used fold and pooling: the fold's rows by the network that never saw them; empty in a forecast.
        test: One entry a used fold and pooling: all test rows.
        networks: The checkpoints' folders, in the order of the used folds; then that of all rows, if there is one.
        apart: One entry a used fold and pooling: the rows of a validation set of its own, where there is one.
    """

    name: str
    oof: list[Predictions]
    test: list[Predictions]
    networks: list[Path]
    apart: list[Predictions] = field(default_factory=list)


def resolve_member(member: MemberSpec, statistics: ImageStatistics) -> MemberSpec:
    """A member whose input size is a number.

    Args:
        member: The recipe's section.
        statistics: Sizes of all images.
    """
    size = input_size(statistics, member.input.size)
    return member.model_copy(update={"input": member.input.model_copy(update={"size": size})})


def train_and_predict(
    member: MemberSpec, seed: int, images: ImageTable, statistics: ImageStatistics, folds: Folds, stages: Stages,
    machine: tuple[Runtime, LocalEngine, str, str],
) -> MemberPredictions:  # fmt: skip
    """Train a member on every used fold and let each network predict its own fold and the test rows.

    Args:
        member: The recipe's section, its size resolved.
        seed: The recipe's seed.
        images: The table.
        statistics: Of every image.
        folds: Which sample is in which fold.
        stages: Takes from the store what is there.
        machine: The runtime, the engine, how pixels are kept (`auto` in the store, `none` in memory), and whether the
            test rows are predicted by the `folds` or by one more network trained on all rows (`refit`).
    """
    runtime, engine, keep, final = machine
    _never_saw_its_fold(member.weights, images, folds)
    jobs = [plan_fit(images, folds, fold, member, seed, statistics.normalisation) for fold in folds.used]
    truth = images.samples.label_matrix(images.sample_numbers)
    pack = _pixels(member, images, statistics, stages, (runtime, keep))
    specimens = make_specimens(member, pack, images, statistics, statistics.normalisation, truth)
    others = {"test": test_rows(images, folds), "apart": apart_rows(images, folds)}

    def work(job: FitJob) -> tuple[Path, Path]:
        return _train_and_predict_one(job, statistics, specimens, others, stages, runtime)

    made = engine.map(work, jobs)
    if not all(place.is_dir() for _, place in made):
        return MemberPredictions(member.name, [], [], [network for network, _ in made])
    oof = [said for job, (_, place) in zip(jobs, made, strict=True) for said in _read(place, "oof", job)]
    networks = [network for network, _ in made]
    asked = list(zip(jobs, made, strict=True))
    if final == "refit":
        told = [pl.read_parquet(network / "history.parquet") for network in networks]
        job = plan_fit(images, folds, ALL_ROWS, refit_member(member, told), seed, statistics.normalisation)
        asked = [(job, work(job))]
        networks.append(asked[0][1][0])
        if not asked[0][1][1].is_dir():
            return MemberPredictions(member.name, [], [], networks)
    test, apart = (
        [said for job, (_, place) in asked for said in _read(place, name, job)] if len(rows) else []
        for name, rows in others.items()
    )
    return MemberPredictions(member.name, oof, test, networks, apart)


def test_rows(images: ImageTable, folds: Folds) -> Integers:
    """The test images that can be read.

    Args:
        images: The table.
        folds: Knows the unreadable rows.
    """
    return np.setdiff1d(images.rows_of_role("test"), folds.unreadable).astype(np.int64)


def apart_rows(images: ImageTable, folds: Folds) -> Integers:
    """The images of a validation set of its own: external ones that no network is trained on.

    Args:
        images: The table.
        folds: Knows their samples.
    """
    rows = np.flatnonzero(np.isin(images.sample_numbers, folds.validation))
    return np.setdiff1d(rows, folds.unreadable).astype(np.int64)


def _never_saw_its_fold(weights: str, images: ImageTable, folds: Folds) -> None:
    """Refuse another run's networks where their folds are not ours, since they have seen what we would score."""
    if not weights.startswith("run:") or "/fold" in weights.rpartition("#")[2]:
        return
    run = Path(weights.removeprefix("run:").partition("#")[0])
    known = dict(pl.read_parquet(run / "folds.parquet").select("sample", "fold").iter_rows())
    own = images.samples.frame["sample"].to_list()
    scored = images.samples.of_role("train")
    moved = [own[number] for number in scored if known.get(own[number]) not in {None, folds.fold_of_sample[number]}]
    if moved:
        raise RecipeError(
            f"{len(moved):,} samples lie in another fold than in {str(run)!r}, whose networks have thus seen what they "
            f"would be scored on: {listing(moved, 5)}",
            field="members.weights",
            remedy="give both runs the same data, groups, `split` and `seed`, or name one network: #member/fold0",
        )


def _train_and_predict_one(
    job: FitJob,
    statistics: ImageStatistics,
    specimens: Specimens,
    others: dict[str, Integers],
    stages: Stages,
    runtime: Runtime,
) -> tuple[Path, Path]:
    key = fit_key(job, statistics, specimens, runtime)
    workspace = stages.store.workspace(key)
    told = replace(job, pixels=key.inputs["pixels of the training rows"])
    network = stages.folder(key, lambda folder: fit_member(told, specimens, folder, workspace, runtime))
    parts = {"oof": job.validation_rows, **others}
    rows = np.concatenate(list(parts.values()))
    asked = predict_key(job, key, job.member.predict, statistics, rows)

    def write(folder: Path) -> None:
        device = launch_fabric(runtime).device
        said = infer(open_checkpoint(network), specimens, rows, job.member.predict, runtime, device)
        end = 0
        for name, part in parts.items():
            begin, end = end, end + len(part)
            np.save(folder / f"{name}-rows.npy", rows[begin:end], allow_pickle=False)
            for one in said:
                save_said(folder, f"{name}-{one.pool}", one.logits[begin:end])

    return network, stages.folder(asked, write)


def _pixels(
    member: MemberSpec, images: ImageTable, statistics: ImageStatistics, stages: Stages, machine: tuple[Runtime, str]
) -> Pack:
    """The stored images, in the form that a member asks for."""
    runtime, keep = machine
    size, tile = member.stored_size, member.input.tile
    plan = plan_pack(statistics, size, member.input.resize, tile.side if tile else None)
    nothing = Pack(np.empty((0, *plan.shape[1:]), plan.depth), plan.fitting)
    if keep == "none":
        return Pack(pack_images(images, plan, None, runtime), plan.fitting) if stages.makes else nothing
    key = pack_key(plan, size, stages.digests)
    workspace = stages.store.workspace(key)
    place = stages.folder(key, lambda folder: pack_images(images, plan, folder, runtime, workspace))
    return open_pack(place) if stages.makes else nothing


def embed_with_member(
    member: MemberSpec, images: ImageTable, statistics: ImageStatistics, rows: Integers, stages: Stages,
    machine: tuple[Runtime, LocalEngine, str, str],
) -> Floats:  # fmt: skip
    """What the backbone that a member starts from sees in the images, before anything is trained.

    Args:
        member: The recipe's section, its size resolved.
        images: The table.
        statistics: Of every image.
        rows: The image rows that can be read.
        stages: Takes from the store what is there.
        machine: As in `train_and_predict`.

    Returns:
        Shape (image rows, width); NaN in other rows.

    Raises:
        NotForeseenError: In a forecast, where the store does not hold them.
    """
    runtime, _, keep, _ = machine
    key = embed_key(member, rows, statistics)

    def write(folder: Path) -> None:
        pack = _pixels(member, images, statistics, stages, (runtime, keep))
        truth = LabelMatrix.nothing(len(images), 2)
        specimens = make_specimens(member, pack, images, statistics, statistics.normalisation, truth)
        seen = embed_images(member, specimens, rows, runtime, launch_fabric(runtime).device)
        np.save(folder / "embeddings.npy", seen, allow_pickle=False)

    place = stages.folder(key, write)
    if not place.is_dir():
        raise NotForeseenError(key.stage)
    seen = np.load(place / "embeddings.npy", allow_pickle=False)
    table = np.full((len(images), seen.shape[1]), np.nan, np.float32)
    table[rows] = seen
    return table


def _read(place: Path, name: str, job: FitJob) -> list[Predictions]:
    """One entry a pooling; the first view alone comes last."""
    rows = np.load(place / f"{name}-rows.npy", allow_pickle=False)
    return [
        Predictions(job.member.name, job.fold, rows, load_said(place, f"{name}-{pool}", len(job.classes)), pool)
        for pool in (*job.member.predict.pools, "first")
    ]


def histories(members: Sequence[MemberPredictions]) -> dict[str, Path]:
    """The training histories by `member/fold<k>`.

    Args:
        members: From `train_and_predict`.
    """
    found: dict[str, Path] = {}
    for member in members:
        for network in member.networks:
            fold = json.loads((network / "card.json").read_text(encoding="utf-8"))["fold"]
            name = "all rows" if fold == ALL_ROWS else f"fold{fold}"
            found[f"{member.name}/{name}"] = network / "history.parquet"
    return found
