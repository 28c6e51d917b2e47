"""What each part of a recipe buys: the same recipe with and without it, on real and drawn sets, by seeds, paired.

    python bench/parts.py [--sets leaf jurkat ...] [--parts NAME ...] [--system NAME] [--marked] [--seeds 1 2 3]
                          [--store DIR] [--threads 1] [--epochs N] [--folds N] [--record] [--missing]

A row is a part on a set: the nested metric without, and the mean over seeds of the paired difference with its 95 %
interval (bootstrap over groups within a seed, seeds being independent). Parts of the folds are judged by how far the
nested score is from the score on test samples whose truth is known (interval by Student's t over the seeds: three are
few). Networks that two parts share are trained once; what was trained lies in the store, so that the same command goes
on where it was stopped. `--record` keeps the rows in docs/systems/measured.json, from which `make docs` fills the pages
of the systems.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _common import CHECKOUT
from _parts import PARTS, Changes, content_of
from _sets import SETS, TrialSet, find_sets
from scipy.stats import t

from holotype.core.digest import digest_value
from holotype.core.errors import HolotypeError
from holotype.core.progress import Progress
from holotype.evaluation.metrics import METRICS, ScoredSamples, paired_difference, resample_groups
from holotype.pipeline.run import run
from holotype.pipeline.run_result import RunResult
from holotype.pipeline.runtime import make_runtime
from holotype.postprocessing.decision import default_labels
from holotype.recipe.load import parse_recipe

MEASURED = CHECKOUT / "docs" / "systems" / "measured.json"


def ran(
    name: str, one: TrialSet, changes: list[Changes], seed: int, given: argparse.Namespace, tested: bool = False
) -> RunResult:
    """What the recipe of a set with some changes comes to."""
    content = content_of(name, one, changes, seed, given.threads, tested)
    for own in content["models"]:
        if own.get("classes") == "the rarest":
            own["classes"] = [rarest(one)]
    out = given.store / "runs" / digest_value(content)[:24]
    runtime = make_runtime(
        parse_recipe(content, Path()), Path(), store=given.store / "store", progress=Progress(quiet=True)
    )
    return run(parse_recipe(content, Path()), out, runtime)


def judged(outcome: RunResult) -> ScoredSamples:
    """The out-of-fold scores, and the labels that the run's own decision gives when refitted without them."""
    nested = outcome.nested
    if nested is None:
        raise SystemExit("nothing was scored")
    return ScoredSamples(nested.truth, nested.decided, nested.logits, outcome.prepared.images.kind)


def worth(metric: str, one: ScoredSamples) -> float:
    """The metric of what was judged."""
    return float(METRICS[metric](one.truth, one.decided, one.logits, one.kind))


def distance(one: TrialSet, outcome: RunResult) -> float:
    """How far the nested score is from the score on the test samples, each by its highest score."""
    (said,), own = outcome.test, judged(outcome)
    table = pl.read_csv(one.truth, infer_schema=False)
    identity = one.data.get("sample", "id")
    known = dict(table.select(identity, one.data["labels"].get("column", "label")).iter_rows())
    names = outcome.prepared.images.samples.frame["sample"].to_numpy()[said.samples]
    classes = outcome.prepared.images.classes
    truth = np.array([[known[name] == one_class for one_class in classes] for name in names])
    logits = np.asarray(said.logits)
    true = ScoredSamples(truth, default_labels(logits, own.kind), logits, own.kind)
    return abs(worth(one.metric, own) - worth(one.metric, true))


def rarest(one: TrialSet) -> str:
    """The class with the fewest training rows among those with at least twenty."""
    column = one.data["labels"]["column"]
    names = pl.read_csv(one.data["train"], infer_schema=False)[column].str.split(" ").explode()
    counts = names.value_counts().filter(pl.col("count") >= 20).sort("count", column)
    return str(counts[column][0])


def compare(name: str, part: str, one: TrialSet, given: argparse.Namespace) -> dict[str, Any]:
    """What a part changes on a set."""
    said = PARTS[part]
    values, changes, widths = [], [], []
    for seed in given.seeds:
        tested = said.judged == "distance"
        both = [ran(name, one, wanted, seed, given, tested) for wanted in ([said.base], [said.base, said.with_it])]
        if tested:
            without, with_it = (distance(one, outcome) for outcome in both)
            values.append(without)
            changes.append(with_it - without)
            continue
        plain, other = map(judged, both)
        draws = resample_groups(plain.truth, None, seed)
        change = paired_difference(one.metric, plain, other, draws)
        values.append(worth(one.metric, plain))
        changes.append(change["value"])
        widths.append((change["high"] - change["low"]) / 2)
    mean, count = float(np.mean(changes)), len(changes)
    if said.judged == "distance":
        half = float(t.ppf(0.975, count - 1) * np.std(changes, ddof=1) / np.sqrt(count)) if count > 1 else 0.0
    else:
        half = float(np.sqrt(np.sum(np.square(widths))) / count)
    metric = one.metric if said.judged == "score" else f"{one.metric}, distance from the truth"
    return {
        "set": name,
        "part": part,
        "metric": metric,
        "without": round(float(np.mean(values)), 4),
        "change": round(mean, 4),
        "low": round(mean - half, 4),
        "high": round(mean + half, 4),
        "by_seed": [round(value, 4) for value in changes],
    }


def row(found: dict[str, Any]) -> str:
    """A finding as a row of a table."""
    each = ", ".join(f"{value:+.3f}" for value in found["by_seed"])
    return (
        f"| {found['set']} | {found['part']} | {found['metric']} {found['without']:.3f} | {found['change']:+.3f} "
        f"({found['low']:+.3f} to {found['high']:+.3f}) | {each} |"
    )


def record(found: dict[str, Any], store: Path) -> None:
    """Keep a finding in place of an earlier one of the same part on the same set; several of these may run at once."""
    with (store / "record.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _record(found)


def _recorded() -> list[dict[str, Any]]:
    return list(json.loads(MEASURED.read_text(encoding="utf-8"))) if MEASURED.is_file() else []


def _record(found: dict[str, Any]) -> None:
    known = _recorded()
    same = (found["set"], found["part"])
    rows = [one for one in known if (one["set"], one["part"]) != same] + [found]
    rows.sort(key=lambda one: (list(PARTS).index(one["part"]) if one["part"] in PARTS else -1, SETS.index(one["set"])))
    lines = ",\n ".join(json.dumps(one, ensure_ascii=False) for one in rows)
    MEASURED.write_text(f"[{lines}]\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--system", help="only the parts that its page has switches for")
    parser.add_argument("--marked", action="store_true", help="only the parts that some page has a switch for")
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--folds", type=int, help="how many of five folds are trained and scored")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="for all sets, instead of their own")
    parser.add_argument("--store", type=Path, default=Path(tempfile.gettempdir()) / "holotype-parts")
    parser.add_argument("--record", action="store_true", help="keep the rows for the systems' pages")
    parser.add_argument("--missing", action="store_true", help="leave out what is kept already")
    given = parser.parse_args()
    known = find_sets(given.store)
    kept = {(one["set"], one["part"]) for one in _recorded()} if given.missing else set()
    print("| set | part | without | change | by seed |\n| --- | --- | --- | --- | --- |", flush=True)
    for name in [name for name in given.sets if name in known]:
        for part in [part for part in given.parts if name in PARTS[part].sets]:
            unasked = given.system and given.system not in PARTS[part].marks
            if unasked or (given.marked and not PARTS[part].marks) or (name, part) in kept:
                continue
            one = replace(
                known[name], epochs=given.epochs or known[name].epochs, folds=given.folds or known[name].folds
            )
            try:
                found = compare(name, part, one, given)
            except HolotypeError as error:
                print(f"| {name} | {part} | refused: {error} | | |", flush=True)
                continue
            print(row(found), flush=True)
            if given.record:
                record(found, given.store)
