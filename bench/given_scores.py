"""Scores and thresholds of the fifth-placed team of the Human Protein Atlas contest 2018, written as submissions again.

Seven recipes, one `predictions:` model each. Then `prior`: how often each class comes in the training labels decides.

    python bench/given_scores.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import polars as pl
from _common import real_data
from ruamel.yaml import YAML

import holotype

THRESHOLDS = [
    0.422,
    0.15,
    0.454,
    0.29,
    0.348,
    0.331,
    0.15,
    0.572,
    0.15,
    0.15,
    0.15,
    0.15,
    0.15,
    0.15,
    0.15,
    0.15,
    0.299,
    0.15,
    0.15,
    0.15,
    0.15,
    0.318,
    0.15,
    0.336,
    0.15,
    0.355,
    0.15,
    0.15,
]


def submitted(data: Path, name: str, decide: dict[str, object], place: Path) -> pl.DataFrame:
    """Write a recipe, run it, and read its submission."""
    recipe = {
        "name": name,
        "data": {
            "train": str(data / "train.csv"),
            "test": str(data / "vpp_scores" / f"{name}_multhr.csv"),
            "id": "Id",
            "labels": {"column": "Target", "kind": "multilabel", "classes": [str(number) for number in range(28)]},
        },
        "models": [{"name": "vpp", "predictions": {"test": str(data / "vpp_scores" / f"{name}_score.npy")}}],
        "decision": decide,
        "submission": {"column": "Predicted"},
    }
    path = place / f"{name}.yaml"
    with path.open("w") as stream:
        YAML(typ="safe", pure=True).dump(recipe, stream)
    out = place / f"{name}-{decide['kind']}"
    holotype.run(path, out)
    return pl.read_csv(out / "submission.csv", infer_schema=False)


def label_sets(table: pl.DataFrame) -> list[frozenset[str]]:
    """The labels of each row, in whatever order they stand."""
    return [frozenset((text or "").split()) for text in table["Predicted"]]


def main(data: Path, place: Path) -> None:
    """Print one line a recipe."""
    names = sorted(path.name.removesuffix("_score.npy") for path in (data / "vpp_scores").glob("*_score.npy"))
    for name in names:
        theirs = pl.read_csv(data / "vpp_scores" / f"{name}_multhr.csv", infer_schema=False)
        ours = submitted(data, name, {"kind": "threshold", "thresholds": THRESHOLDS}, place)
        equal = sum(a == b for a, b in zip(label_sets(ours), label_sets(theirs), strict=True))
        same_ids = ours["Id"].to_list() == theirs["Id"].to_list()
        print(f"{name}: {equal:,} of {theirs.height:,} rows equal, ids in order: {same_ids}", flush=True)
    name = "final_submission"
    given = label_sets(pl.read_csv(data / "vpp_scores" / f"{name}_multhr.csv", infer_schema=False))
    prior = label_sets(submitted(data, name, {"kind": "prior"}, place))
    more = sum(len(a - b) for a, b in zip(prior, given, strict=True))
    fewer = sum(len(b - a) for a, b in zip(prior, given, strict=True))
    equal = sum(a == b for a, b in zip(prior, given, strict=True))
    print(
        f"prior: {equal:,} rows as theirs; {more:,} labels more, {fewer:,} fewer; labels a row "
        f"{sum(map(len, prior)) / len(prior):.2f} against {sum(map(len, given)) / len(given):.2f}"
    )
    counts = [(k, sum(str(k) in one for one in prior), sum(str(k) in one for one in given)) for k in range(28)]
    print(
        "  most unlike: "
        + ", ".join(
            f"class {k} {a} against {b}" for k, a, b in sorted(counts, key=lambda entry: -abs(entry[1] - entry[2]))[:5]
        )
    )


if __name__ == "__main__":
    found = real_data("hpa2018")
    if found is not None:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["HOLOTYPE_STORE"] = f"{folder}/store"
            main(found, Path(folder))
