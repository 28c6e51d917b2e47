"""Draw the figures of the pages into docs/images: `make pictures`.

    cells.png                  the eight simulated patterns, in false colors
    schedules.svg, folds.svg   learning-rate schedules, and the folds of the tutorial's run
    pipeline.svg, architecture.svg    the steps of the pipeline, and the packages as layers
    hero.png, report.png, serve.png, review.png    screenshots of the tutorial's run, if Chromium is installed

The tutorial is run in a temporary folder (some minutes) unless `--run FOLDER` names a folder in which it was run
before.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
from drawing import BLUE, INK, LINE, ORANGE, PANEL, PAPER, SOFT, save_small, svg, words
from photographs import chromium, draw_hero, pattern_picture, photograph, photograph_reviewed, photograph_served
from PIL import Image, ImageDraw, ImageFont

import holotype
from holotype.inspect.inspect_folder import inspect_folder
from holotype.inspect.propose import propose
from holotype.inspect.write_recipe import write_recipe
from holotype.recipe.sections.schedule import CosineRestartsSpec, StepSpec
from holotype.simulate.cells import CLASSES, SimulationPlan, simulate_cells
from holotype.training import schedule

HERE = Path(__file__).parent
IMAGES = HERE / "images"


def draw_tutorial(folder: Path) -> Path:
    """Run the tutorial and return the run folder."""
    simulate_cells(folder / "cells", SimulationPlan(train=480, test=120))
    write_recipe(propose(inspect_folder(folder / "cells")), folder / "recipe.yaml", force=True)
    quick = ("split.folds=3", "models.0.phases.0.epochs=12", "models.0.input.size=64")
    return holotype.run(folder / "recipe.yaml", changes=quick).folder.root


def draw_patterns(path: Path) -> None:
    """Draw one cell image per pattern, with the name of the pattern, into a PNG file."""
    side, gap, foot = 208, 12, 30
    sheet = Image.new("RGB", (4 * side + 5 * gap, 2 * (side + foot) + 2 * gap), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    for number, name in enumerate(CLASSES):
        left, top = gap + number % 4 * (side + gap), gap + number // 4 * (side + foot)
        sheet.paste(pattern_picture(name, side), (left, top))
        pen.text((left + 2, top + side + 5), name, fill=INK, font=font)
    save_small(sheet, path)


def draw_schedules() -> str:
    """Learning rate of each schedule over a phase of twelve epochs."""
    steps, each = 240, 20
    shown: dict[str, Any] = {
        "one-cycle": "one-cycle",
        "cosine": "cosine",
        "linear": "linear",
        "constant": "constant",
        "cosine-restarts, cycles: 3": CosineRestartsSpec(cycles=3),
        "step, every: 4": StepSpec(every=4),
    }
    width, height, parts = 250, 120, []
    for number, (name, spec) in enumerate(shown.items()):
        left, top = 24 + number % 3 * (width + 24), 44 + number // 3 * (height + 62)
        rates = [schedule(spec, step, steps, each).rate for step in range(steps)]
        points = " ".join(
            f"{left + width * step / (steps - 1):.1f},{top + height * (1 - rate):.1f}"
            for step, rate in enumerate(rates)
        )
        parts += [
            words(left, top - 14, name, font_weight=600),
            f'<path d="M{left} {top}v{height}h{width}" fill="none" stroke="{LINE}"/>',
            f'<polyline points="{points}" fill="none" stroke="{BLUE}" stroke-width="2.5" stroke-linejoin="round"/>',
            words(left + width, top + height + 18, "12 epochs", fill=SOFT, text_anchor="end", font_size=11),
        ]
    return svg(846, 374, "Learning rate over a phase, as a share of its maximum", parts)


def draw_folds(run: Path) -> str:
    """Diagram of plates and folds.

    Args:
        run: Run folder with `folds.parquet` and `images.parquet`.
    """
    table = pl.read_parquet(run / "folds.parquet").join(
        pl.read_parquet(run / "images.parquet").select("id", plate="group.plate"), on="id"
    )
    count = int(table["fold"].max()) + 1  # type: ignore[arg-type]
    plates = table.group_by("plate").agg(pl.len(), pl.col("fold").max(), pl.col("role").first())
    plates = plates.sort(pl.col("role") == "test", "fold", "plate")
    cell, left, top, parts = 56, 118, 66, []
    for column, (plate, size, fold, role) in enumerate(plates.iter_rows()):
        x = left + column * cell
        parts.append(words(x + cell / 2, top - 14, plate, text_anchor="middle", font_weight=600))
        for row in range(count):
            new, scored = role == "test", fold == row
            fill = ORANGE if scored else "#d8d4ca" if new else "#b9d7ea"
            count_text = f"{size}" if scored else ""
            y = top + row * 44
            parts.append(f'<rect x="{x + 3}" y="{y}" width="{cell - 6}" height="34" rx="4" fill="{fill}"/>')
            parts.append(words(x + cell / 2, y + 22, count_text, text_anchor="middle", fill="#ffffff", font_weight=600))
    parts += [words(22, top + row * 44 + 22, f"fold {row}", fill=SOFT) for row in range(count)]
    parts.append(words(22, top - 14, "plate", fill=SOFT))
    foot = top + count * 44 + 22
    key = (
        ("#b9d7ea", "trained on"),
        (ORANGE, "scored, by networks trained on the others"),
        ("#d8d4ca", "test plates, to predict"),
    )
    at = left + 3
    for color, label in key:
        parts.append(f'<rect x="{at}" y="{foot - 11}" width="14" height="14" rx="3" fill="{color}"/>')
        parts.append(words(at + 22, foot + 1, label, fill=SOFT))
        at += 60 + int(7 * len(label))
    return svg(left + len(plates) * cell + 20, foot + 24, "Each plate is in one fold, test plates are in none", parts)


STEPS = (
    ("read", "tables, images", "images.parquet"),
    ("measure", "every channel", "statistics"),
    ("audit", "duplicates, leaks", "audit/"),
    ("split", "disjoint folds", "folds.parquet"),
    ("train, predict", "models × folds", "models/"),
    ("evaluate", "out of fold, nested", "scores.json"),
    ("write", "labels, report", "report.html"),
)


def draw_pipeline() -> str:
    """The steps of the pipeline, each with the file it writes into the run folder."""
    wide, tall, gap, parts = 132, 66, 22, []
    for number, (name, what, file) in enumerate(STEPS):
        x, y = 20 + number * (wide + gap), 26
        strong = name == "train, predict"
        if number:
            arrow = f"M{x - gap + 3} {y + tall / 2}h{gap - 10}m-5 -5l6 5l-6 5"
            parts.append(f'<path d="{arrow}" fill="none" stroke="{SOFT}" stroke-width="1.6"/>')
        form = f'width="{wide}" height="{tall}" rx="8" fill="{PANEL}" stroke="{BLUE if strong else LINE}"'
        shifts = (8, 4, 0) if strong else (0,)
        parts += [f'<rect x="{x + shift}" y="{y - shift}" {form}/>' for shift in shifts]
        parts.append(words(x + wide / 2, y + 28, name, text_anchor="middle", font_weight=650, font_size=15))
        parts.append(words(x + wide / 2, y + 48, what, text_anchor="middle", fill=SOFT, font_size=11.5))
        parts.append(
            words(
                x + wide / 2,
                y + tall + 24,
                file,
                text_anchor="middle",
                fill=BLUE,
                font_size=12,
                font_family="ui-monospace, 'DejaVu Sans Mono', monospace",
            )
        )
    width = 20 + len(STEPS) * (wide + gap)
    parts.append(
        words(
            width / 2,
            146,
            "every step is cached under a key of everything that can change it, and runs again only if the key changed",
            text_anchor="middle",
            fill=SOFT,
        )
    )
    return svg(width, 164, "The pipeline from images to a report", parts)


def draw_architecture() -> str:
    """The packages as layers, from the import contract of pyproject.toml."""
    contracts = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract.get("containers") == ["holotype"])
    width, height, gap, parts = 640, 34, 10, []
    for number, layer in enumerate(layers):
        packages = re.split(r"\s*[|:]\s*", layer)
        box = (width - 40 - gap * (len(packages) - 1)) / len(packages)
        for index, package in enumerate(packages):
            x, y = 20 + index * (box + gap), 20 + number * (height + gap)
            edge = BLUE if package == "pipeline" else LINE
            parts.append(
                f'<rect x="{x:g}" y="{y}" width="{box:g}" height="{height}" rx="6" fill="{PANEL}" stroke="{edge}"/>'
            )
            parts.append(words(round(x + box / 2, 1), y + 22, package, text_anchor="middle", font_weight=600))
    return svg(
        width, 30 + len(layers) * (height + gap), "Packages as layers; each imports only what lies below it", parts
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a folder in which the tutorial was run, with cells/ and runs/cells/")
    options = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.run or Path(temporary)
        run = folder / "runs" / "cells" if options.run else draw_tutorial(folder)
        draw_patterns(IMAGES / "cells.png")
        drawings = {
            "schedules": draw_schedules(),
            "folds": draw_folds(run),
            "pipeline": draw_pipeline(),
            "architecture": draw_architecture(),
        }
        for name, text in drawings.items():
            (IMAGES / f"{name}.svg").write_text(text, encoding="utf-8")
        if chromium() is None:
            print("Chromium is not installed: hero.png, report.png, serve.png and review.png are not redrawn")
        else:
            draw_hero(folder / "cells", run, IMAGES / "hero.png")
            photograph((run / "report.html").resolve().as_uri(), IMAGES / "report.png", 1120, 900, 1.5)
            photograph_served(folder / "cells", run, IMAGES / "serve.png")
            photograph_reviewed(run, IMAGES / "review.png")
    for path in sorted(IMAGES.iterdir()):
        print(f"{path.stat().st_size:>8,}  docs/images/{path.name}")


if __name__ == "__main__":
    main()
