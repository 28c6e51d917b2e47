"""The six systems on their drawn stand-ins: nested scores, and how long each took as a share of them all.

    python bench/systems.py [--systems NAME ...] [--quick] [--epochs N] [--real-leaves] [--store DIR]

Sizes, epochs, networks, folds and counts of views are small, so these scores say that a recipe works from end to end
and what it is worth on its stand-in; they say nothing about the original data. What was trained lies in the store, so
that the same command goes on where it was stopped; times are those of what was still to do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from _common import seconds
from _systems import EPOCHS, STAND_INS, SYSTEMS, draw, real_leaves, write_reduced

from holotype.core.progress import Progress
from holotype.pipeline.run import run
from holotype.pipeline.runtime import make_runtime
from holotype.recipe.load import load_recipe


def measured(system: str, given: argparse.Namespace) -> tuple[str, str, float]:
    """The chosen metric with its interval, what it was measured on, and the seconds."""
    place = draw(STAND_INS[system], given.store / ("quick" if given.quick else "full"), given.quick)
    leaves = real_leaves() if given.real_leaves and STAND_INS[system] == "leaves" else None
    path = write_reduced(system, place, given.quick, given.epochs, **({"data": leaves} if leaves else {}))
    recipe, out = load_recipe(path), given.store / "runs" / f"{system}{'-quick' if given.quick else ''}"
    runtime = make_runtime(recipe, place, store=given.store / "store", progress=Progress(quiet=True))
    took = seconds(lambda: run(recipe, out, runtime))
    score = json.loads((out / "scores.json").read_text(encoding="utf-8"))["metrics"][recipe.metric]
    kind = "photographed leaves" if leaves else STAND_INS[system]
    told = f"{recipe.metric} {score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
    return told, f"{kind}, {score['samples']} scored", took


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--quick", action="store_true", help="one epoch a phase, one fold, fewer images")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of a phase at most, where the run is not quick")
    parser.add_argument("--real-leaves", action="store_true", help="herbarium-focal on leaf/ of HOLOTYPE_DATA")
    parser.add_argument("--store", type=Path, default=Path(tempfile.gettempdir()) / "holotype-systems")
    given = parser.parse_args()
    rows = {}
    for system in given.systems:
        rows[system] = measured(system, given)
        print(f"{system}: {rows[system][0]}, {rows[system][2]:.0f} s", flush=True)
    total = sum(took for *_, took in rows.values())
    print("\n| system | stand-in | nested score | share of the time |\n| --- | --- | --- | --- |")
    for system, (told, where, took) in rows.items():
        print(f"| {system} | {where} | {told} | {took / total:.0%} |")
    print(f"\n{total:.0f} s together")
