"""Draws the pictures of the pages into docs/images: `make pictures`.

    cells.png                  the eight drawn patterns, in false colours
    schedules.svg, folds.svg   from the schedules, and from the folds of the tutorial's screen
    road.svg                   the stages
    hero.png, report.png, serve.png    what came out of the tutorial's run, photographed in Chromium where there is one

The tutorial's run is made anew in a temporary folder (some minutes) unless `--run FOLDER` names the folder in which the
tutorial was followed.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jinja2 import Environment
from PIL import Image, ImageDraw, ImageFont

import holotype
from holotype.data.simulate import CHANNELS, CLASSES, SimulationPlan, draw_cell_field, simulate_cells
from holotype.metrics import macro_f1
from holotype.plan import look, propose, write_recipe
from holotype.report.gallery import composite
from holotype.seeds import keyed_generator
from holotype.spec.schedule import CosineRestartsSpec, StepSpec
from holotype.train import schedule

HERE = Path(__file__).parent
IMAGES = HERE / "images"
PAPER, PANEL, INK, SOFT, LINE = "#fbfaf7", "#ffffff", "#1a1c1e", "#5f6368", "#e5e2db"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#00795a"
COLOURS = (BLUE, "#e08e00", "#009e73", "#c2609a", "#4aa3dc", ORANGE, "#7a7a7a")
FONT = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"


def draw_tutorial(folder: Path) -> Path:
    """The run of the tutorial, as its page tells.

    Args:
        folder: Where to work.
    """
    simulate_cells(folder / "cells", SimulationPlan(train=480, test=120))
    write_recipe(propose(look(folder / "cells")), folder / "recipe.yaml", force=True)
    return holotype.run(folder / "recipe.yaml", changes=("split.folds=3",)).folder.root


def pattern_picture(name: str, side: int = 208) -> Image.Image:
    """Cells of one pattern, sharp, in false colours.

    Args:
        name: One of `CLASSES`.
        side: Of the picture, in pixels.
    """
    from holotype.data.patterns import plate_optics

    random = keyed_generator(3, "picture", name)
    field = draw_cell_field({name: 1.0}, "U-2 OS", side, plate_optics(4, "P02"), random)
    return Image.fromarray(composite(field, CHANNELS))


def draw_patterns(place: Path) -> None:
    """All patterns beside each other, with their names.

    Args:
        place: A PNG file.
    """
    side, gap, foot = 208, 12, 30
    sheet = Image.new("RGB", (4 * side + 5 * gap, 2 * (side + foot) + 2 * gap), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    for number, name in enumerate(CLASSES):
        left, top = gap + number % 4 * (side + gap), gap + number // 4 * (side + foot)
        sheet.paste(pattern_picture(name, side), (left, top))
        pen.text((left + 2, top + side + 5), name, fill=INK, font=font)
    save_small(sheet, place)


def save_small(picture: Image.Image, place: Path) -> None:
    """A PNG of 256 colours.

    Args:
        picture: Any.
        place: Where to.
    """
    few = picture.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    few.save(place, optimize=True)


def svg(width: int, height: int, title: str, parts: list[str]) -> str:
    """A drawing on paper of its own, so that it reads on a dark page as well.

    Args:
        width: In pixels.
        height: In pixels.
        title: What it shows.
        parts: Its elements.
    """
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="{FONT}" font-size="13">'
    )
    ground = f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>\n"])


def words(x: float, y: float, text: str, **style: Any) -> str:
    """A line of text in a drawing.

    Args:
        x: Its start.
        y: Its base line.
        text: What it says.
        **style: Attributes, `_` for `-`.
    """
    told = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in ({"fill": INK} | style).items())
    return f'<text x="{x:g}" y="{y:g}"{told}>{escape(text)}</text>'


def draw_schedules() -> str:
    """The rate of every schedule over a phase of twelve epochs."""
    steps, each = 240, 20
    shown: dict[str, Any] = {
        "one-cycle": "one-cycle", "cosine": "cosine", "linear": "linear", "constant": "constant",
        "cosine-restarts, cycles: 3": CosineRestartsSpec(cycles=3), "step, every: 4": StepSpec(every=4),
    }  # fmt: skip
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
    return svg(846, 374, "The rate over a phase, as a share of the largest", parts)


def draw_folds(run: Path) -> str:
    """Which plate lies in which fold, from a run's own tables.

    Args:
        run: The tutorial's run.
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
            said = f"{size}" if scored else ""
            y = top + row * 44
            parts.append(f'<rect x="{x + 3}" y="{y}" width="{cell - 6}" height="34" rx="4" fill="{fill}"/>')
            parts.append(words(x + cell / 2, y + 22, said, text_anchor="middle", fill="#ffffff", font_weight=600))
    parts += [words(22, top + row * 44 + 22, f"fold {row}", fill=SOFT) for row in range(count)]
    parts.append(words(22, top - 14, "plate", fill=SOFT))
    foot = top + count * 44 + 22
    key = (
        ("#b9d7ea", "trains"),
        (ORANGE, "is scored, by networks that never saw it"),
        ("#d8d4ca", "to predict: other plates"),
    )
    at = left + 3
    for colour, said in key:
        parts.append(f'<rect x="{at}" y="{foot - 11}" width="14" height="14" rx="3" fill="{colour}"/>')
        parts.append(words(at + 22, foot + 1, said, fill=SOFT))
        at += 60 + int(7 * len(said))
    return svg(
        left + len(plates) * cell + 20, foot + 24, "Every plate lies in one fold, the test plates in none", parts
    )


STAGES = (
    ("read", "tables, images", "images.parquet"), ("measure", "every channel", "statistics"),
    ("audit", "copies, leaks, faults", "audit/"), ("divide", "folds, proved disjoint", "folds.parquet"),
    ("train, predict", "members x folds", "members/"), ("choose", "out of fold, nested", "scores.json"),
    ("write", "labels, report", "report.html"),
)  # fmt: skip


def draw_road() -> str:
    """The stages of the pipeline, each with what it leaves in the run's folder."""
    wide, tall, gap, parts = 132, 66, 22, []
    for number, (name, what, file) in enumerate(STAGES):
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
        parts.append(words(x + wide / 2, y + tall + 24, file, text_anchor="middle", fill=BLUE, font_size=12,
                           font_family="ui-monospace, 'DejaVu Sans Mono', monospace"))  # fmt: skip
    width = 20 + len(STAGES) * (wide + gap)
    parts.append(
        words(
            width / 2,
            146,
            "every stage is stored by the content of what it was made from, and made again only where that changed",
            text_anchor="middle",
            fill=SOFT,
        )
    )
    return svg(width, 164, "The road from images to a report", parts)


RECIPE = (
    ("data", ":"), ("  train", ": cells/train.csv"), ("  test", ": cells/test.csv"),
    ("  images", ': "images/{id}_{channel}.png"'), ("  channels", ": [nucleus, protein, ...]"),
    ("  labels", ": {kind: multilabel}"), ("  groups", ": [plate]"), ("  domain", ": cell_type"),
    ("members", ":"), ("  - input", ": {size: 64}"),
)  # fmt: skip


def embedded(picture: Image.Image) -> str:
    """A picture as an address that holds it.

    Args:
        picture: Any.
    """
    held = io.BytesIO()
    picture.save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"


def answers_of(folder: Path, run: Path) -> tuple[float, list[dict[str, Any]]]:
    """The score of a submission on the truth, and some test images with what was said of them, one of each first label.

    Args:
        folder: Of the images.
        run: The run.
    """
    truth = pl.read_csv(folder / "truth.csv")
    said = pl.read_csv(run / "submission.csv").join(truth, on="id", suffix="_true", maintain_order="left")
    classes = pl.read_csv(run / "classes.csv")["name"].to_list()
    tables = [
        np.array([[name in (row or "").split() for name in classes] for row in said[column]])
        for column in ("labels_true", "labels")
    ]
    chosen: dict[str, dict[str, Any]] = {}
    for name, right, given in said.select("id", "labels_true", "labels").iter_rows():
        was, is_said = right.split(), (given or "").split()
        if was[0] in chosen:
            continue
        planes = [np.asarray(Image.open(folder / "images" / f"{name}_{channel}.png")) for channel in CHANNELS]
        picture = Image.fromarray(composite(np.stack(planes), CHANNELS)).resize((280, 280), Image.Resampling.BICUBIC)
        labels = [("right" if one in was else "wrong", one) for one in is_said]
        labels += [("missed", one) for one in was if one not in is_said]
        chosen[was[0]] = {"picture": embedded(picture), "labels": labels}
    return macro_f1(*tables), [chosen[name] for name in CLASSES if name in chosen]


def photograph(
    address: str, place: Path, width: int, height: int | None, scale: float, files: Sequence[Path] = ()
) -> None:
    """A page as Chromium shows it.

    Args:
        address: Of the page.
        place: A PNG file.
        width: Of the window.
        height: Of the window; none for the whole page.
        scale: Pixels a pixel.
        files: What is handed to its first field for files before.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(
            viewport={"width": width, "height": height or 400}, device_scale_factor=scale
        ).new_page()
        page.goto(address)
        if files:
            page.wait_for_selector("#ask:not([hidden])")
            page.set_input_files("input[type=file]", [str(file) for file in files])
            page.wait_for_selector("#save:not([hidden])")
            page.wait_for_load_state("networkidle")
        shot = page.screenshot(full_page=height is None)
        browser.close()
    save_small(Image.open(io.BytesIO(shot)), place)


def chromium() -> str | None:
    """Where the browser is, or none."""
    return shutil.which(os.environ.get("HOLOTYPE_CHROMIUM", "chromium"))


def draw_hero(folder: Path, run: Path, place: Path) -> None:
    """From images by a recipe to a score and labels, in one picture.

    Args:
        folder: Of the images.
        run: The run.
        place: A PNG file.
    """
    metric = json.loads((run / "scores.json").read_text(encoding="utf-8"))["metrics"]["macro_f1"]
    reached, answers = answers_of(folder, run)
    template = Environment(autoescape=True).from_string((HERE / "hero.html.j2").read_text(encoding="utf-8"))
    page = template.render(
        paper=PAPER, panel=PANEL, ink=INK, soft=SOFT, line=LINE, blue=BLUE, green=GREEN, orange=ORANGE, font=FONT,
        patterns=[{"name": name, "picture": embedded(pattern_picture(name, 176))} for name in CLASSES],
        recipe=RECIPE, metric=metric, reached=reached, answers=answers,
        missed=any(kind == "missed" for one in answers for kind, _ in one["labels"]),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as held:
        (Path(held) / "hero.html").write_text(page, encoding="utf-8")
        photograph(f"file://{held}/hero.html", place, 1280, None, 1.5)


def photograph_served(folder: Path, run: Path, place: Path) -> None:
    """The page of a served run with an image dropped on it.

    Args:
        folder: Of the images.
        run: The run.
        place: A PNG file.
    """
    files = [folder / "images" / f"test-00000_{channel}.png" for channel in CHANNELS]
    command = [sys.executable, "-m", "holotype.cli", "serve", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as served:
        try:
            said = iter(served.stdout or ())
            address = next(found[0] for line in said if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
            photograph(address, place, 960, None, 1.25, files)
        finally:
            served.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="where the tutorial was followed: cells/ and runs/cells/ lie in it")
    given = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as held:
        folder = given.run or Path(held)
        run = folder / "runs" / "cells" if given.run else draw_tutorial(folder)
        draw_patterns(IMAGES / "cells.png")
        drawings = {"schedules": draw_schedules(), "folds": draw_folds(run), "road": draw_road()}
        for name, text in drawings.items():
            (IMAGES / f"{name}.svg").write_text(text, encoding="utf-8")
        if chromium() is None:
            print("there is no Chromium: hero.png, report.png and serve.png stay as they are")
        else:
            draw_hero(folder / "cells", run, IMAGES / "hero.png")
            photograph((run / "report.html").resolve().as_uri(), IMAGES / "report.png", 1120, 900, 1.5)
            photograph_served(folder / "cells", run, IMAGES / "serve.png")
    for place in sorted(IMAGES.iterdir()):
        print(f"{place.stat().st_size:>8,}  docs/images/{place.name}")


if __name__ == "__main__":
    main()
