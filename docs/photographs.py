"""Screenshots of pages in Chromium, and the overview figure of the README, which is drawn from a page as well."""

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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
PATIENCE = 300_000  # milliseconds; a busy machine serves slowly


def pattern_picture(name: str, side: int = 208) -> Image.Image:
    """Draw simulated cells of one pattern in false colors.

    Args:
        name: One of `CLASSES`.
        side: Width and height in pixels.
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
    """Encode a picture as a `data:` address."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def score_submission(folder: Path, run: Path) -> tuple[float, list[dict[str, Any]]]:
    """Score a submission on the true labels, and pick one test image per true first label with its predicted labels.

    Args:
        folder: Simulated images and `truth.csv`.
        run: Run folder.
    """
    truth = pl.read_csv(folder / "truth.csv")
    table = pl.read_csv(run / "submission.csv").join(truth, on="id", suffix="_true", maintain_order="left")
    classes = pl.read_csv(run / "classes.csv")["name"].to_list()
    tables = [
        np.array([[name in (row or "").split() for name in classes] for row in table[column]])
        for column in ("labels_true", "labels")
    ]
    chosen: dict[str, dict[str, Any]] = {}
    for name, true, predicted in table.select("id", "labels_true", "labels").iter_rows():
        true_labels, labels = true.split(), (predicted or "").split()
        if true_labels[0] in chosen:
            continue
        planes = [np.asarray(Image.open(folder / "images" / f"{name}_{channel}.png")) for channel in CHANNELS]
        picture = Image.fromarray(composite(np.stack(planes), CHANNELS)).resize((280, 280), Image.Resampling.BICUBIC)
        marked = [("right" if label in true_labels else "wrong", label) for label in labels]
        marked += [("missed", label) for label in true_labels if label not in labels]
        chosen[true_labels[0]] = {"picture": embedded(picture), "labels": marked}
    return macro_f1(*tables), [chosen[name] for name in CLASSES if name in chosen]


def photograph(
    address: str,
    path: Path,
    width: int,
    height: int | None,
    scale: float,
    files: Sequence[Path] = (),
    keys: Sequence[str] = (),
) -> None:
    """Take a screenshot of a page in Chromium.

    Args:
        path: A PNG file.
        width: Width of the window.
        height: Height of the window; the full page if none.
        scale: Device pixels per CSS pixel.
        files: Files that are put into the first file field of the page before.
        keys: Keys that are pressed before.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(
            viewport={"width": width, "height": height or 400}, device_scale_factor=scale
        ).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        if files:
            page.wait_for_selector("#ask:not([hidden])")
            page.wait_for_load_state("networkidle")
            page.set_input_files("input[type=file]", [str(file) for file in files])
            page.wait_for_selector("#save:not([hidden])")
            page.wait_for_load_state("networkidle")
        for key in keys:
            page.wait_for_load_state("networkidle")
            page.keyboard.press(key)
            page.wait_for_timeout(3000)  # the next item is shown after the decision is saved
        shot = page.screenshot(full_page=height is None)
        browser.close()
    save_small(Image.open(io.BytesIO(shot)), path)


def chromium() -> str | None:
    """Path of the browser, or none."""
    return shutil.which(os.environ.get("HOLOTYPE_CHROMIUM", "chromium"))


def draw_hero(folder: Path, run: Path, path: Path) -> None:
    """Draw the overview: images, recipe, score and predicted labels.

    Args:
        folder: Simulated images and `truth.csv`.
        run: Run folder.
        path: A PNG file.
    """
    metric = json.loads((run / "scores.json").read_text(encoding="utf-8"))["metrics"]["macro_f1"]
    reached, answers = score_submission(folder, run)
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
        missed=any(kind == "missed" for answer in answers for kind, _ in answer["labels"]),
    )
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "hero.html").write_text(page, encoding="utf-8")
        photograph(f"file://{temporary}/hero.html", path, 1280, None, 1.5)


def photograph_served(folder: Path, run: Path, path: Path) -> None:
    """Take a screenshot of the page of a served run with one image on it.

    Args:
        folder: Simulated images.
        run: Run folder.
        path: A PNG file.
    """
    files = [folder / "images" / f"test-00000_{channel}.png" for channel in CHANNELS]
    with served("serve", str(run)) as address:
        photograph(address, path, 960, None, 1.25, files)


def photograph_reviewed(run: Path, path: Path) -> None:
    """Take a screenshot of the review page of a run, after one decision.

    Args:
        run: Run folder.
        path: A PNG file.
    """
    with (
        tempfile.TemporaryDirectory() as temporary,
        served("review", str(run), "--decisions", f"{temporary}/review.csv") as address,
    ):
        photograph(address, path, 1280, 860, 1, keys=("k",))


@contextmanager
def served(*words: str) -> Iterator[str]:
    """Start a command that serves a page on a free port, and end it afterwards.

    Args:
        *words: Command and its arguments.

    Yields:
        The address of the page.
    """
    command = [sys.executable, "-m", "holotype.cli.main", *words, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            lines = iter(server.stdout or ())
            yield next(match[0] for line in lines if (match := re.search(r"http://127\.0\.0\.1:\d+/", line)))
        finally:
            server.terminate()
