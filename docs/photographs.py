"""Pages as Chromium shows them, and the first picture of all, which is a page too."""

from __future__ import annotations

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
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from drawing import BLUE, FONT, GREEN, INK, LINE, ORANGE, PANEL, PAPER, SOFT, save_small
from jinja2 import Environment
from PIL import Image

from holotype.core.seeds import keyed_generator
from holotype.evaluation.metrics import macro_f1
from holotype.report.render import composite
from holotype.simulate.cells import CHANNELS, CLASSES
from holotype.simulate.microscopy import draw_cell_field, plate_optics

HERE = Path(__file__).parent


def pattern_picture(name: str, side: int = 208) -> Image.Image:
    """Cells of one pattern, sharp, in false colours.

    Args:
        name: One of `CLASSES`.
        side: Of the picture, in pixels.
    """
    random = keyed_generator(3, "picture", name)
    field = draw_cell_field({name: 1.0}, "U-2 OS", side, plate_optics(4, "P02"), random)
    return Image.fromarray(composite(field, CHANNELS))


RECIPE = (
    ("data", ":"),
    ("  train", ": cells/train.csv"),
    ("  test", ": cells/test.csv"),
    ("  images", ': "images/{id}_{channel}.png"'),
    ("  channels", ": [nucleus, protein, ...]"),
    ("  labels", ": {kind: multilabel}"),
    ("  groups", ": [plate]"),
    ("  domain", ": cell_type"),
    ("models", ":"),
    ("  - input", ": {size: 64}"),
    ("    phases", ": [{epochs: 12}]"),
    ("    sampler", ": sqrt"),
)


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
        paper=PAPER,
        panel=PANEL,
        ink=INK,
        soft=SOFT,
        line=LINE,
        blue=BLUE,
        green=GREEN,
        orange=ORANGE,
        font=FONT,
        patterns=[{"name": name, "picture": embedded(pattern_picture(name, 176))} for name in CLASSES],
        recipe=RECIPE,
        metric=metric,
        reached=reached,
        answers=answers,
        missed=any(kind == "missed" for one in answers for kind, _ in one["labels"]),
    )
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
    command = [sys.executable, "-m", "holotype.cli.main", "serve", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as served:
        try:
            said = iter(served.stdout or ())
            address = next(found[0] for line in said if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
            photograph(address, place, 960, None, 1.25, files)
        finally:
            served.terminate()
