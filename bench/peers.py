"""Holotype against fastai on unseen plates of mitocheck: the same weights, images, size and rows, on this machine.

Three questions: images a second of a fit (validation counted on both sides), the two taking turns; macro F1 at equal
wall time; and how soon Holotype reaches fastai's last macro F1. Needs the extra `bench`.

    python bench/peers.py [--size 96] [--epochs 14] [--seed 1] [--batch 64] [--rounds 2]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import polars as pl
from _common import CHECKOUT, real_data

import holotype

RECIPE = CHECKOUT / "recipes" / "mitocheck.yaml"
WAYS = ("fine_tune", "one_cycle")


@dataclass(frozen=True)
class Ours:
    """What one run of ours came to.

    Args:
        score: Macro F1 out of fold, with its eight views.
        rate: Training images a second of the whole fit.
        fit: Seconds of the fit.
        whole: Seconds of the whole run: reading, audit, folds, fit, views, scores, report.
    """

    score: float
    rate: float
    fit: float
    whole: float


def run_ours(out: Path, size: int, epochs: int, seed: int) -> Ours:
    """Train fold 0 and read what came of it."""
    changes = [
        "split.folds_to_train=[0]",
        f"seed={seed}",
        f"models.0.input.size={size}",
        f"models.0.phases.0.epochs={epochs}",
    ]
    os.environ["HOLOTYPE_STORE"] = str(out.with_name(f"{out.name}-store"))  # nothing is taken from an earlier run
    started = perf_counter()
    holotype.run(RECIPE, out, tuple(changes))
    whole = perf_counter() - started
    fit = next(entry["seconds"] for entry in map(json.loads, (out / "log.jsonl").open()) if is_fit(entry))
    rows = int((pl.read_parquet(out / "folds.parquet")["fold"] != 0).sum())
    score = json.loads((out / "scores.json").read_text())["metrics"]["macro_f1"]["value"]
    return Ours(score, rows * epochs / fit, fit, whole)


def is_fit(entry: dict[str, object]) -> bool:
    """Whether a line of the log is about a finished fit."""
    return entry["event"] == "step" and str(entry["step"]).startswith("fit")


def peer_of(out: Path, images: Path, size: int, batch: int, folder: Path):  # type: ignore[no-untyped-def]
    """The peer on the rows that our run divided."""
    from _fastai_peer import FastaiPeer

    table = pl.read_parquet(out / "images.parquet").filter(pl.col("role") == "train")
    table = table.join(pl.read_parquet(out / "folds.parquet").select("id", "fold"), on="id", maintain_order="left")
    files = [str(images / f"{name}.png") for name in table["id"]]
    return FastaiPeer(
        files, table["labels"].list.first().to_list(), np.flatnonzero(table["fold"] == 0), size, batch, folder
    )


def compare(given: argparse.Namespace, images: Path, place: Path) -> None:
    """Print the three answers."""
    first = run_ours(place / "first", given.size, 2, given.seed)
    peer = peer_of(place / "first", images, given.size, given.batch, place)
    ratios, seconds = [], []
    for number in range(given.rounds):
        peer.fit(2, given.seed, "one_cycle")
        seconds.append(peer.seconds / 2)
        ours = run_ours(place / f"round{number}", given.size, 2, given.seed + 1 + number)
        ratios.append(ours.rate * seconds[-1] / peer.rows)
        print(
            f"fit of two epochs: ours {ours.rate:.1f} images/s, fastai {peer.rows / seconds[-1]:.1f}, "
            f"ratio {ratios[-1]:.2f}",
            flush=True,
        )
    print(f"images/s of the whole fit, validation counted: {median(ratios):.2f} times fastai's")

    full = run_ours(place / "full", given.size, given.epochs, given.seed)
    print(
        f"ours: {given.epochs} epochs, macro F1 {full.score:.3f}, whole run {full.whole:.0f} s (fit {full.fit:.0f} s)"
    )
    epochs = max(round(full.whole / median(seconds)), 2)
    for way in WAYS:
        learner = peer.fit(epochs, given.seed, way)
        spent, plain, views = peer.seconds, peer.macro_f1(learner), peer.macro_f1(learner, views=True)
        print(
            f"fastai, {way}: {epochs} epochs, {spent:.0f} s, macro F1 {plain:.3f} (its own views {views:.3f}); "
            f"ours is {full.score - max(plain, views):+.3f}",
            flush=True,
        )
        soon = first
        for short in (2, 3, 4, 6, 8):
            soon = first if short == 2 else run_ours(place / f"{way}{short}", given.size, short, given.seed)
            if soon.score >= plain:
                break
        print(
            f"  ours reaches {soon.score:.3f} with {short} epochs: fit {soon.fit:.0f} s, {soon.fit / spent:.2f} of "
            f"fastai's time (whole run {soon.whole:.0f} s, {soon.whole / spent:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("size", 96), ("epochs", 14), ("seed", 1), ("batch", 64), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    data = real_data("mitocheck")
    if data is not None:
        with tempfile.TemporaryDirectory() as folder:
            compare(parser.parse_args(), data / "images", Path(folder))
