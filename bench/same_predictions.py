"""Two checkouts of this repository run the same recipes: are their predictions the same, byte for byte?

`python bench/same_predictions.py OLD NEW`: the quick runs of the six systems, and the demo. Each checkout runs with its
own code in a process of its own; compared are submission.csv and predictions.csv as bytes, and the values of
oof.parquet.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

SYSTEMS = ("community-b1b2", "one-more-layer-of-stacking", "bestfitting", "pudae", "cellular-silver", "herbarium-focal")
RUN_SYSTEM = """
import sys
sys.path.insert(0, sys.argv[1] + "/bench")
from pathlib import Path
import _systems, holotype
data = _systems.draw(_systems.STAND_INS[sys.argv[2]], Path(sys.argv[3]), quick=True)
holotype.run(_systems.write_reduced(sys.argv[2], data, quick=True))
"""
FILES = ("submission.csv", "predictions.csv")


def run_in(checkout: Path, name: str, folder: Path) -> Path:
    """The run folder of a system, or of the demo, run by the code of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    if name == "demo":
        main = "holotype.cli.main" if (checkout / "src/holotype/cli/main.py").is_file() else "holotype.cli"
        command = [sys.executable, "-m", main, "demo", "--folder", str(folder)]
    else:
        command = [sys.executable, "-c", RUN_SYSTEM, str(checkout), name, str(folder)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{checkout}: {name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return next(path.parent for path in sorted(folder.rglob("scores.json")))


def digests(run: Path) -> dict[str, str]:
    """A digest of each file of predictions; of out-of-fold scores, of the values, since columns were renamed."""
    found = {file: hashlib.sha256((run / file).read_bytes()).hexdigest() for file in FILES if (run / file).is_file()}
    scores = pl.read_parquet(run / "oof.parquet")
    text = "\n".join(repr(column.to_list()) for column in scores.iter_columns())
    return found | {"oof.parquet": hashlib.sha256(text.encode()).hexdigest()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--only", nargs="*", default=[*SYSTEMS, "demo"])
    options = parser.parse_args()
    differing = 0
    for name in options.only:
        results = []
        for checkout in (options.old.resolve(), options.new.resolve()):
            with tempfile.TemporaryDirectory() as folder:
                results.append(digests(run_in(checkout, name, Path(folder))))
        old, new = results
        states = {file: "same" if old[file] == new.get(file) else "DIFFERS" for file in old}
        differing += "DIFFERS" in states.values()
        print(f"{name:<28}" + "  ".join(f"{file}: {state}" for file, state in states.items()), flush=True)
    raise SystemExit(differing > 0)


if __name__ == "__main__":
    main()
