"""What each learning part buys: the same member with and without it, on real and drawn sets, by seeds, paired.

    python bench/parts.py [--sets leaf jurkat mitocheck drawn sheets] [--parts NAME ...] [--seeds 1 2 3] [--folds 1]
                          [--store DIR] [--threads 1] [--epochs N]

A row is a part on a set: the metric without, and the mean over seeds of the paired difference with its 95 % interval
(bootstrap over groups within a seed, seeds being independent). Networks that two parts share are trained once; what
was trained lies in the store, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _common import real_data

from holotype.data.leaves import LeavesPlan, simulate_leaves
from holotype.data.simulate import SimulationPlan, simulate_cells
from holotype.decide import decide_plainly
from holotype.metrics import METRICS, Judged, draw_groups, paired_difference
from holotype.pipeline import make_runtime, run
from holotype.progress import Progress
from holotype.recipe import parse_recipe

ANGLES = {"head": {"margin": {}}}
PARTS: dict[str, dict[str, Any]] = {
    "neighbours": {"neighbours": {"k": 5}},
    "neighbours, 15": {"neighbours": {"k": 15}},
    "neighbours take over": {"neighbours": {"k": 5, "take_over": 0.9}},
    "specialists": {"specialise": {"phases": [{"epochs": 4, "lr": 5.0e-4}], "least": 80}},
    "pseudo-labels": {"pseudo": {"confidence": 0.95}},
    "pseudo-labels, half": {"pseudo": {"confidence": 0.95, "weight": 0.5, "ramp": 4}},
    "0.8 softmax + 0.2 arcface": ANGLES | {"loss": {"cross_entropy": 0.8, "arcface": 0.2}},
    "softmax, then arcface": ANGLES | {"loss": "then arcface"},
    "arcface from the start": ANGLES | {"loss": {"arcface": {"warm_up": 2}}},
    "arcface, small and late": ANGLES | {"loss": {"arcface": {"margin": 0.2, "warm_up": 8}}},
    "angles without margin": ANGLES | {"loss": "cross_entropy"},
    "levels: sums": {"head": {"levels": {"kind": "sums", "weights": {"genus": 0.3, "family": 0.1}}}},
    "levels: heads": {"head": {"levels": {"kind": "heads", "weights": {"genus": 0.3, "family": 0.1}}}},
}
FOR = {"levels: sums": ["leaf", "sheets"], "levels: heads": ["leaf", "sheets"], "specialists": ["mitocheck", "drawn"]}
ONE_LABEL = ("leaf", "jurkat", "mitocheck")


def sets(drawn: Path) -> dict[str, dict[str, Any]]:
    """The data and the plain member of each set; sampling makes the large ones small."""
    leaf, jurkat, mitocheck = (real_data(name) for name in ONE_LABEL)
    known: dict[str, dict[str, Any]] = {}
    tables = {"train": "train.csv", "test": "test.csv"}
    if leaf is not None:
        labels = {"column": "species", "taxonomy": str(leaf / "taxonomy.csv")}
        data = {name: str(leaf / file) for name, file in tables.items()} | {"images": f"{leaf}/images/{{id}}.png"}
        known["leaf"] = {"metric": "accuracy", "data": data | {"labels": labels}, "epochs": 12, "cap": None}
    if jurkat is not None:
        data = {name: str(jurkat / file) for name, file in tables.items()}
        data |= {"images": f"{jurkat}/images/{{id}}_{{channel}}.tif", "channels": ["brightfield", "dna", "darkfield"]}
        known["jurkat"] = {"data": data, "epochs": 8, "cap": 150}
    if mitocheck is not None:
        data = {name: str(mitocheck / file) for name, file in tables.items()}
        data |= {"images": f"{mitocheck}/images/{{id}}.png", "groups": ["plate"], "domain": "experiment_date"}
        known["mitocheck"] = {"data": data, "epochs": 8, "cap": 60}
    data = {name: str(drawn / file) for name, file in tables.items()}
    data |= {"images": f"{drawn}/images/{{id}}_{{channel}}.png", "channels": ["microtubules", "nucleus", "reticulum",
             "protein"], "labels": {"column": "labels", "kind": "multilabel"}, "groups": ["plate"],
             "domain": "cell_type"}  # fmt: skip
    known["drawn"] = {"data": data, "epochs": 10, "cap": None}
    sheets = drawn.parent / "sheets"
    data = {"train": str(sheets / "train" / "metadata.json"), "test": str(sheets / "test" / "metadata.json"),
            "labels": {"column": "species", "taxonomy": ["genus", "family"]}}  # fmt: skip
    known["sheets"] = {"metric": "accuracy", "data": data, "epochs": 8, "cap": None}
    return known


def member(part: str | None, epochs: int, cap: int | None) -> dict[str, Any]:
    """The plain member with one part."""
    plain: dict[str, Any] = {
        "name": "m", "weights": "lite", "input": {"size": 64}, "sampler": {"cap": cap} if cap else "shuffle",
        "phases": [{"epochs": epochs}], "predict": {"views": "flips"},
    }  # fmt: skip
    section = dict(PARTS[part]) if part else {}
    loss = section.pop("loss", None)
    if loss == "then arcface":
        first = epochs - epochs // 3
        plain["phases"] = [{"epochs": first, "loss": "cross_entropy"},
                           {"epochs": epochs // 3, "loss": {"arcface": {"warm_up": 1}}, "lr": 1.0e-3}]  # fmt: skip
    elif loss:
        plain["phases"] = [{"epochs": epochs, "loss": loss}]
    return plain | section


def scored(name: str, part: str | None, seed: int, given: argparse.Namespace, known: dict[str, Any]) -> Judged:
    """The out-of-fold scores of a run, decided plainly; with them the group of each sample."""
    content = {
        "name": "parts", "seed": seed, "metric": known.get("metric", "macro_f1"), "data": known["data"],
        "run": {"threads": given.threads}, "split": {"use": list(range(given.folds))},
        "members": [member(part, given.epochs or known["epochs"], known["cap"])],
        "decide": {"kind": "threshold"} if name == "drawn" else {"kind": "argmax"},
    }  # fmt: skip
    recipe = parse_recipe(content, Path())
    out = given.store / "runs" / f"{name}-{part or 'plain'}-{seed}".replace(" ", "_").replace(":", "")
    runtime = make_runtime(recipe, Path(), store=given.store / "store", progress=Progress(quiet=True))
    outcome = run(recipe, out, runtime)
    if outcome.nested is None:
        raise SystemExit("nothing was scored")
    kind = recipe.data.labels.kind
    logits = outcome.nested.logits
    return Judged(outcome.nested.truth, decide_plainly(logits, kind), logits, kind)


def compare(name: str, part: str, given: argparse.Namespace, known: dict[str, Any]) -> str:
    """One row: the metric without the part, and what the part changes."""
    metric = known.get("metric", "macro_f1")
    values, changes, widths = [], [], []
    for seed in given.seeds:
        plain, other = (scored(name, which, seed, given, known) for which in (None, part))
        draws = draw_groups(plain.truth, None, seed)
        change = paired_difference(metric, plain, other, draws)
        values.append(METRICS[metric](plain.truth, plain.decided, plain.logits, plain.kind))
        changes.append(change["value"])
        widths.append((change["high"] - change["low"]) / 2)
    mean, half = float(np.mean(changes)), float(np.sqrt(np.sum(np.square(widths))) / len(widths))
    each = ", ".join(f"{value:+.3f}" for value in changes)
    return (f"| {name} | {part} | {metric} {np.mean(values):.3f} | {mean:+.3f} "
            f"({mean - half:+.3f} to {mean + half:+.3f}) | {each} |")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=["leaf", "jurkat", "mitocheck", "drawn", "sheets"])
    parser.add_argument("--parts", nargs="*", default=list(PARTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--folds", type=int, default=1, help="how many of five folds are trained and scored")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="for all sets, instead of their own")
    parser.add_argument("--store", type=Path, default=Path(tempfile.gettempdir()) / "holotype-parts")
    given = parser.parse_args()
    if not (given.store / "drawn" / "test.csv").is_file():
        simulate_cells(given.store / "drawn", SimulationPlan(train=900, test=600, plates=30))
    if not (given.store / "sheets" / "test" / "metadata.json").is_file():
        simulate_leaves(given.store / "sheets", LeavesPlan(families=4, genera=3, species=3, sheets=12, size=64))
    known = sets(given.store / "drawn")
    print("| set | part | without | change | by seed |\n| --- | --- | --- | --- | --- |", flush=True)
    for name in given.sets:
        for part in given.parts if name in known else ():
            if name in FOR.get(part, [name]) and not (name == "drawn" and "head" in PARTS[part]):
                print(compare(name, part, given, known[name]), flush=True)
