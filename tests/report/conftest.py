"""Simulated contents of a report: a believable run, drawn from a key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.core.seeds import keyed_generator
from holotype.report import (
    ClassCurve,
    ClassCurves,
    ClassGraphData,
    ExampleImage,
    Mistake,
    Provenance,
    ReportData,
    StepFacts,
)
from holotype.types import AuditReport, Folds, Metric, Scorecard

STEPS = ("one fold model, one view", "mean of eight views", "mean of two models", "weights fitted", "thresholds fitted")


def simulated_counts(classes: int, samples: int, kind: str, draw: np.random.Generator) -> np.ndarray:
    sizes = np.maximum(3, samples * draw.dirichlet(np.full(classes, 1.2))).astype(int)
    skill = draw.uniform(0.45, 0.98, classes)
    counts = np.zeros((classes, classes), dtype=np.int64)
    for truth in range(classes):
        others = draw.dirichlet(np.full(classes, 0.15)) * (1 - skill[truth])
        others[truth] += skill[truth]
        counts[truth] = draw.multinomial(sizes[truth], others / others.sum())
    return counts


def simulated_card(names: tuple[str, ...], counts: np.ndarray, draw: np.random.Generator, plates: int) -> Scorecard:
    entries = []
    for index, name in enumerate(names):
        support, predicted, right = (
            int(value) for value in (counts[index].sum(), counts[:, index].sum(), counts[index, index])
        )
        f1 = 2 * right / max(support + predicted, 1)
        margin = 0.9 / np.sqrt(max(support, 1))
        entries.append(
            {
                "name": name,
                "support": support,
                "predicted": predicted,
                "precision": right / predicted if predicted else None,
                "recall": right / support if support else None,
                "f1": f1 if support else None,
                "low": max(f1 - margin, 0.0),
                "high": min(f1 + margin, 1.0),
            }
        )
    value = float(np.mean([entry["f1"] for entry in entries if entry["f1"] is not None] or [0.0]))
    following = {"low": value - 0.05, "high": value + 0.047, "rows": 894}
    how = "Models, ensemble weights and thresholds were fitted on other folds than the one they are scored on."
    metrics = {
        name: Metric(
            value + shift, value + shift - 0.028, value + shift + 0.026, following, int(counts.sum()), plates or 1, how
        )
        for name, shift in {"macro_f1": 0.0, "micro_f1": 0.031, "accuracy": 0.028, "balanced_accuracy": -0.012}.items()
    }
    gains = (0.0, 0.021, 0.034, -0.006, 0.013)
    values = value - sum(gains) + np.cumsum(gains)
    ledger = [
        {
            "step": step,
            "value": float(at),
            "low": at - 0.03,
            "high": at + 0.03,
            "difference": {"value": gain, "low": gain - 0.01, "high": gain + 0.01} if step != STEPS[0] else None,
        }
        for step, at, gain in zip(STEPS, values, gains, strict=True)
    ]
    groups = [
        {
            "column": "plate",
            "group": f"PLLT{number:04d}",
            "samples": int(draw.integers(4, 90)),
            "value": float(np.clip(draw.normal(value, 0.1), 0, 1)),
        }
        for number in range(plates)
    ]
    domains = [
        {"domain": name, "samples": count, "value": value + shift}
        for name, count, shift in (("HeLa", 1400, 0.02), ("U2OS", 700, -0.03), ("RPE1", 90, -0.11))
    ]
    return Scorecard(metrics, ledger, entries, groups, domains)


def simulated_history(epochs: int, draw: np.random.Generator) -> pl.DataFrame:
    time = np.arange(1, epochs + 1)
    fade = np.exp(-time / (epochs / 4))
    return pl.DataFrame(
        {
            "epoch": time,
            "phase": np.where(time <= 2, 0, 1),
            "lr": np.where(time <= 2, 1e-3, 8e-4 * np.sin(np.pi * (time / (epochs + 1)) ** 0.6) ** 2),
            "train_loss": 0.25 + 2.4 * fade + draw.normal(0, 0.03, epochs),
            "validation_loss": 0.62 + 2.0 * fade + 0.01 * time + draw.normal(0, 0.05, epochs),
            "validation_score": 0.8 * (1 - fade) + draw.normal(0, 0.012, epochs),
            "images_per_second": draw.normal(310, 6, epochs),
            "seconds": draw.normal(9, 0.4, epochs),
        }
    )


def simulated_pixels(channels: int, side: int, draw: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / side - 0.5
    planes = []
    for _ in range(channels):
        across, down, width = *draw.uniform(-0.25, 0.25, 2), draw.uniform(0.02, 0.12)
        planes.append(
            40 + 1800 * np.exp(-((x - across) ** 2 + (y - down) ** 2) / width) + draw.normal(0, 30, (side, side))
        )
    return np.clip(np.stack(planes), 0, 65535).astype(np.uint16)


def simulated_audit(clusters: int) -> AuditReport:
    rows = [(number // 2, number, f"img_{number:05d}", "train", "same fold") for number in range(2 * clusters)]
    schema = {"cluster": pl.Int64, "row": pl.Int64, "id": pl.String, "role": pl.String, "action": pl.String}
    pairs = {
        "cluster": [0, 1],
        "ids": [["img_00000", "img_00001"], ["img_00002", "img_00003"]],
        "labels": [["Apoptosis", "Grape"], ["Large", "Binuclear"]],
    }
    empty = {"cluster": pl.Int64, "ids": pl.List(pl.String), "labels": pl.List(pl.String)}
    conflicts = pl.DataFrame(pairs) if clusters >= 2 else pl.DataFrame(schema=empty)
    return AuditReport(pl.DataFrame(rows, schema=schema, orient="row"), conflicts, np.empty(0, np.int64))


def simulated_folds(samples: int, folds: int, used: tuple[int, ...]) -> Folds:
    numbers = np.arange(samples)
    frame = pl.DataFrame(
        {
            "id": [f"img_{number:05d}" for number in numbers],
            "sample": [f"img_{number:05d}" for number in numbers],
            "fold": pl.Series(np.where(numbers % 9 == 8, -1, numbers * 7919 % folds)).replace(-1, None),
            "role": np.where(numbers % 9 == 8, "test", "train"),
        }
    )
    return Folds(frame, frame["fold"].fill_null(-1).to_numpy().astype(np.int64), folds, used)


def make_contents(
    classes: int = 16,
    kind: str = "multiclass",
    models: int = 2,
    folds: int = 5,
    mistakes: int = 8,
    side: int = 40,
    **changes: Any,
) -> ReportData:
    """Contents of a report that did not happen; `changes` replaces whole fields."""
    draw = keyed_generator(5, "report", classes)
    names = changes.pop("classes_named", tuple(f"Phenotype {number:02d}" for number in range(classes)))
    channels = changes.get("channels")
    planes = len(channels) if channels else 1
    counts = simulated_counts(classes, 140 * classes, kind, draw)
    samples = [
        ExampleImage(f"type_{number}", (name,), simulated_pixels(planes, side, draw))
        for number, name in enumerate(names)
    ]
    wrong = [
        Mistake(
            f"img_{number:05d}",
            number % folds,
            (names[number % classes],),
            (names[(number + 1) % classes],),
            0.99 - number / 200,
            simulated_pixels(planes, side, draw),
        )
        for number in range(mistakes)
    ]
    fields: dict[str, Any] = {
        "name": "simulated-phenotypes",
        "metric": "macro_f1",
        "kind": kind,
        "classes": names,
        "scorecard": simulated_card(names, counts, draw, plates=67),
        "counts": counts,
        "histories": {
            f"b{model}/fold{fold}": simulated_history(24, draw) for model in range(models) for fold in range(folds)
        },
        "mistakes": wrong,
        "samples": samples,
        "audit": simulated_audit(7),
        "folds": simulated_folds(40 * classes, folds, tuple(range(folds))),
        "warnings": ("the weights 'imagenet' are not on this machine; the model 'b1' starts from 'lite'",),
        "recipe": "name: simulated-phenotypes\nseed: 17\ndata:\n  train: train.csv\n",
        "facts": {
            "holotype": "0.1.0",
            "torch": "2.4.0",
            "device": "cpu, 2 threads",
            "training": "18 min",
            "peak memory": "1.4 GB",
        },
        "fold_counts": draw.multinomial(counts.sum() // folds, counts.sum(axis=1) / counts.sum(), size=folds),
    }
    return ReportData(**{**fields, **changes})


@pytest.fixture(name="make")
def make_fixture() -> Callable[..., ReportData]:
    return make_contents


def simulated_curves(counts: np.ndarray, draw: np.random.Generator) -> ClassCurves:
    edges = np.linspace(-7, 7, 43)
    made = []
    for number, support in enumerate(counts.sum(axis=1)):
        threshold = np.linspace(-5, 5, 60) if support else np.empty(0)
        recall = 1 / (1 + np.exp(threshold - 1))
        yes, no = (np.histogram(draw.normal(at, 1.5, size), edges)[0] for at, size in ((1, support), (-2, 400)))
        chosen = None if number % 2 else 0.4
        made.append(ClassCurve(threshold, 1 - recall / 2, recall, 0.8 if support else np.nan, yes, no, chosen))
    return ClassCurves(tuple(made), edges)


@dataclass(frozen=True)
class SimulatedLink:
    first: int
    second: int
    strength: float
    forward: int
    backward: int
    expected: float | None = None


def simulated_links(counts: np.ndarray, links: int, draw: np.random.Generator) -> ClassGraphData:
    classes = len(counts)
    pairs = {tuple(sorted(draw.choice(classes, 2, replace=False).tolist())) for _ in range(links)}
    strengths = sorted(draw.random(len(pairs)), reverse=True)
    made = [
        SimulatedLink(a, b, float(strength), int(9 * strength) + 1, 2)
        for (a, b), strength in zip(sorted(pairs), strengths, strict=True)
    ]
    together = [dataclasses.replace(one, expected=0.5) for one in made[: len(made) // 2]]
    return ClassGraphData(counts.sum(axis=1), made, together)


def make_charts(contents: ReportData, links: int = 30) -> ReportData:
    """The same contents with everything that has a chart."""
    draw = keyed_generator(5, "charts")
    rates = np.geomspace(1e-6, 1, 100)
    losses = 0.5 - 0.1 * np.exp(-((np.log10(rates) + 2) ** 2)) + 3 * np.maximum(np.log10(rates) + 1, 0)
    finder = pl.DataFrame({"rate": rates, "loss": losses, "smoothed": losses}).with_columns(suggestion=pl.lit(2e-3))
    name = next(iter(contents.histories))
    steps = (StepFacts("images", "made", 2.0, 300.0), StepFacts("fit b0 0", "reused", 90.0, 900.5))
    return dataclasses.replace(
        contents,
        curves=simulated_curves(contents.counts, draw),
        links=simulated_links(contents.counts, links, draw),
        finders={f"{name}/0": finder},
        provenance=Provenance({"As it was called": "holotype run 'a b.yaml'"}, steps, {"images": "a1b2" * 16}),
    )


@pytest.fixture(name="make_charted")
def make_charted_fixture() -> Callable[..., ReportData]:
    return lambda *given, links=30, **changes: make_charts(make_contents(*given, **changes), links)
