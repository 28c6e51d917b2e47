"""What a report of very many samples and classes costs: seconds, peak memory, bytes.

Scores of two models are drawn instead of trained, and read as scores made elsewhere; everything from there on is the
road that a run takes. Each size runs in a process of its own, whose peak memory is set back before the report is made.

    python bench/report.py [--rows 50000] [--classes 121 500] [--kinds multilabel multiclass] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

SMALL = {"folds": 5, "plates": 96, "sites": 5}


def peak() -> float:
    """The largest resident memory of this process since it was set back, in MB (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def draw_screen(folder: Path, rows: int, classes: int, kind: str) -> Path:
    """A table, the scores of two models of unlike skill, and the recipe that reads them."""
    import polars as pl

    draws = np.random.Generator(np.random.Philox(7))
    names = [f"phenotype {number:03d}" for number in range(classes)]
    shares = 1 / (np.arange(classes) + 4.0)
    shares /= shares.sum()
    first = draws.choice(classes, rows, p=shares)
    truth = np.zeros((rows, classes), bool)
    truth[np.arange(rows), first] = True
    partner = (np.arange(classes) * 7 + 3) % classes
    if kind == "multilabel":
        both = draws.random(rows) < 0.25
        truth[np.flatnonzero(both), partner[first[both]]] = True
    skill = draws.uniform(1.5, 6.0, classes)
    plate = draws.integers(0, SMALL["plates"], rows)
    shift = draws.normal(0, 0.6, (SMALL["plates"], 1))[plate].astype(np.float32)
    scores = {}
    for name, noise in (("large", 1.0), ("small", 1.5)):
        made = draws.standard_normal((rows, classes), dtype=np.float32) * noise - (5.5 if kind == "multilabel" else 0)
        made += truth * skill.astype(np.float32) * 1.6 + shift
        confused = truth[:, partner] & (draws.random(rows) < 0.3)[:, None]
        made += confused * np.float32(2.5)
        scores[name] = made
    folds = np.array([f"fold{number}" for number in plate % SMALL["folds"]])
    ids = [f"well-{number:06d}" for number in range(rows)]
    owners, numbers = np.nonzero(truth)
    labels = [[] for _ in range(rows)]
    for owner, number in zip(owners.tolist(), numbers.tolist(), strict=True):
        labels[owner].append(names[number])
    pl.DataFrame(
        {
            "id": ids,
            "label": ["|".join(own) for own in labels],
            "plate": [f"P{number:03d}" for number in plate],
            "site": [f"site {number % SMALL['sites']}" for number in plate],
        }
    ).write_csv(folder / "train.csv")
    pl.DataFrame({"name": names}).write_csv(folder / "classes.csv")
    for name, made in scores.items():
        np.savez(folder / f"{name}.npz", scores=made, ids=np.array(ids), folds=folds)
    given = {"kind": "logit", "rows": "id"}
    recipe = {
        "name": f"{kind}-{classes}",
        "run": {"threads": 1},
        "data": {
            "train": "train.csv",
            "groups": ["plate"],
            "domain": "site",
            "labels": {"column": "label", "kind": kind, "separator": "|", "classes": "classes.csv"},
        },
        "split": {"folds": SMALL["folds"]},
        "models": [{"name": name, "predictions": {"oof": f"{name}.npz", "test": None, **given}} for name in scores],
        "ensemble": {"kind": "mean"},
        "decision": {"kind": "per-class", "repeats": 2} if kind == "multilabel" else {"kind": "argmax"},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe, indent=1), encoding="utf-8")
    return folder / "recipe.yaml"


def measure(folder: Path, rows: int, classes: int, kind: str) -> None:
    """Follow the road to its end, and print what the report alone took."""
    from holotype.cache import RunLog, Steps, Store
    from holotype.core.progress import Progress
    from holotype.core.run_folder import RunFolder
    from holotype.pipeline import write_run as writing
    from holotype.pipeline.run import run_steps
    from holotype.pipeline.runtime import make_runtime
    from holotype.recipe.load import load_recipe
    from holotype.report import write_report

    recipe = load_recipe(draw_screen(folder, rows, classes, kind))
    runtime = make_runtime(recipe, folder, store=folder / "store", progress=Progress(quiet=True))
    run = RunFolder(folder / "run")
    steps = Steps(Store(runtime.store), RunLog(run.path("log.jsonl")), runtime.progress)
    started = perf_counter()
    outcome = run_steps(recipe, steps, runtime)
    nested = outcome.nested
    if nested is None:
        raise SystemExit("nothing was scored")
    card = writing._with_step_effects(outcome, nested, recipe)
    before, held = perf_counter() - started, peak()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    started = perf_counter()
    contents = writing._report_data(outcome, nested, card, recipe, (steps, runtime))
    gathered = perf_counter() - started
    write_report(run.path("report.html"), contents)
    spent = perf_counter() - started
    size = run.path("report.html").stat().st_size
    print(
        f"{rows:,} samples, {classes} classes, {kind}: {spent:.1f} s ({gathered:.1f} s for what it shows), peak "
        f"{peak():.0f} MB with all scores in memory, {size / 1e6:.1f} MB; scoring before it took {before:.0f} s and "
        f"{held:.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--classes", type=int, nargs="*", default=[121, 500])
    parser.add_argument("--kinds", nargs="*", default=["multilabel", "multiclass"])
    parser.add_argument("--keep", type=Path, help="a folder for tables, scores and reports, one below it a size")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    for classes in given.classes:
        for kind in given.kinds:
            with tempfile.TemporaryDirectory() as temporary:
                place = Path(temporary) if given.keep is None else given.keep / f"{kind}-{classes}"
                place.mkdir(parents=True, exist_ok=True)
                if given.alone:
                    measure(place, given.rows, classes, kind)
                    continue
                asked = ["--rows", str(given.rows), "--classes", str(classes), "--kinds", kind, "--alone"]
                asked += ["--keep", str(given.keep)] if given.keep else []
                subprocess.run([sys.executable, __file__, *asked], check=True)
