"""What the commands that train nothing cost: CPU seconds and peak memory of each, on a run of 30 drawn images.

Processor time of user and system together, so that other programs at work count little; the least of some rounds.

    python bench/commands.py [--rounds 3] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

HOLOTYPE = [sys.executable, "-m", "holotype.cli.main"]
RECIPE = """\
name: small
data: {train: train.csv, test: test.csv, id: id, images: "images/{id}.png", labels: {column: label}, groups: [plate]}
split: {folds: 2}
models:
  - {name: net, backbone: resnet10t, weights: none, input: {size: 32}, phases: [{epochs: 1, lr: 1.0e-3}]}
"""
COMMANDS = {
    "--help": ["--help"],
    "check": ["check", "recipe.yaml"],
    "check --recipe-only": ["check", "recipe.yaml", "--recipe-only"],
    "report": ["report", "run1"],
    "compare": ["compare", "run1", "run2"],
    "run --dry-run": ["run", "recipe.yaml", "--out", "run1", "--dry-run"],
    "init": ["init", ".", "--output", "proposed.yaml", "--force"],
    "audit": ["audit", "recipe.yaml"],
    "cache list": ["cache", "list", "."],
}


def draw_images(folder: Path) -> None:
    """24 images of two classes to train on, and 6 to predict, of 32 px."""
    draws = np.random.Generator(np.random.Philox(7))
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(30):
        pixels = draws.integers(0, 120, (32, 32, 3)).astype(np.uint8)
        pixels[8:24, 8:24] += np.uint8(100 * (number % 2))
        Image.fromarray(pixels).save(folder / "images" / f"s{number}.png")
        rows.append((f"s{number}", "ab"[number % 2], f"p{number % 6}"))
    lines = [",".join(row) for row in rows[:24]]
    (folder / "train.csv").write_text("\n".join(["id,label,plate", *lines, ""]), encoding="utf-8")
    lines = [f"{name},q" for name, _, _ in rows[24:]]
    (folder / "test.csv").write_text("\n".join(["id,plate", *lines, ""]), encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")


def measure(arguments: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds and peak megabytes of one command (Linux)."""
    with subprocess.Popen([*HOLOTYPE, *arguments], cwd=folder, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"holotype {' '.join(arguments)} ended with status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Make the runs and measure every command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="Work in this folder, and leave it there.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        draw_images(folder)
        for out, rule in (("run1", "argmax"), ("run2", "prior")):
            measure(["--quiet", "run", "recipe.yaml", "--out", out, "--set", f"decision.kind={rule}"], folder)
        measure(["--quiet", "audit", "recipe.yaml"], folder)
        print(f"{'command':<20} {'CPU seconds':>11} {'peak MB':>8}")
        for name, arguments in COMMANDS.items():
            costs = [measure(["--quiet", *arguments], folder) for _ in range(options.rounds)]
            print(f"{name:<20} {min(cost for cost, _ in costs):>11.2f} {max(peak for _, peak in costs):>8.0f}")


if __name__ == "__main__":
    main()
