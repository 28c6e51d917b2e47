"""Pages of reports as people see them: they open alone, fit, complain of nothing, and draw every chart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "a\"b'c\u202egnp",
    "{{ 7 * 7 }}",
    "never",
)
FILE = "we\"i'r\nd \u202egnp &amp;"
UNDRAWN = """() => [...document.querySelectorAll("svg")].filter((svg) => svg.getClientRects().length
  && (!svg.querySelector("rect, path, circle, line, text") || svg.getBoundingClientRect().width < 10))
  .map((svg) => svg.outerHTML.slice(0, 200))"""
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def made_elsewhere(folder: Path, classes: list[str], rows: int, kind: str, pictured: bool) -> Path:
    """A finished run whose scores were made elsewhere: the last class has no sample, and the first file a bad name."""
    from holotype.api import run

    draw = np.random.default_rng(2)
    ids = [FILE, *(f"w{number}" for number in range(1, rows))]
    own = draw.integers(0, len(classes) - 1, rows)
    own[: len(classes) - 1] = np.arange(len(classes) - 1)[:rows]
    scores = draw.normal(0, 1, (rows, len(classes))) - 1.5
    scores[np.arange(rows), own] += 2.5
    scores[np.arange(rows), (own + 1) % len(classes)] += 1.0
    scores[0, [own[0], (own[0] + 1) % len(classes)]] += [-6.0, 6.0]  # the worst mistake of all has the worst name
    folder.mkdir(parents=True)
    pl.DataFrame(
        {"id": ids, "label": [classes[number] for number in own], "plate": [f"p{n % 12}" for n in range(rows)]}
    ).write_csv(folder / "train.csv")
    folds = np.array([f"f{n % 12 % 3}" for n in range(rows)])
    np.savez(folder / "said.npz", scores=scores, ids=np.array(ids), folds=folds)
    labels = {"column": "label", "kind": kind, "separator": "|", "classes": classes}
    data: dict[str, Any] = {"train": "train.csv", "groups": ["plate"], "labels": labels}
    if pictured:
        (folder / "images").mkdir()
        for name in ids:
            Image.fromarray(draw.integers(0, 255, (24, 24), dtype=np.uint8)).save(folder / "images" / f"{name}.png")
        data["images"] = "images/{id}.png"
    model = {"name": "said", "predictions": {"oof": "said.npz", "kind": "logit", "rows": "id"}}
    recipe = {"name": "hostile", "run": {"threads": 1}, "split": {"folds": 3}, "data": data, "models": [model]}
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return run(folder / "recipe.yaml").folder.root


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_elsewhere(tmp_path_factory.mktemp("h") / "run", list(HOSTILE), 60, "multilabel", pictured=True)


def everything_is_drawn(seen: Any) -> None:
    """Every chart that can be seen has marks, those behind a switch too."""
    page = seen.page
    seen.unfold()
    assert page.locator("svg").count() > 5
    assert page.evaluate(UNDRAWN) == []
    for label in page.locator(".switch > label").all():
        label.click()
        assert page.evaluate(UNDRAWN) == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_report_opens_alone_and_fits_its_window(
    finished: Path, watch: Callable[..., Any], width: int, dark: bool
) -> None:
    seen = watch(f"file://{finished}/report.html", width=width, dark=dark)
    assert "cells" in seen.page.title()
    assert seen.page.evaluate(WIDE) <= 0
    everything_is_drawn(seen)
    seen.page.locator("#classes button.opens").first.click()
    seen.page.locator(".class-panel svg").nth(2).wait_for()
    assert seen.page.evaluate(WIDE) <= 0
    assert seen.faults() == []
    seen.expect_peace()


def test_a_press_on_a_class_draws_its_curves_and_a_second_one_puts_them_away(
    finished: Path, watch: Callable[..., Any]
) -> None:
    seen = watch(f"file://{finished}/report.html")
    seen.unfold()
    page = seen.page
    button = page.locator("#classes button.opens").first
    button.click()
    page.locator(".class-panel svg").nth(2).wait_for()
    charts = page.locator(".class-panel .vega-room")
    assert charts.count() == 3
    for number, marks in enumerate((".mark-line path", ".mark-line path", ".mark-rect path")):
        assert charts.nth(number).locator(marks).count() >= 1
        boxes = [mark.bounding_box() for mark in charts.nth(number).locator(marks).all()]
        assert max(box["width"] * box["height"] for box in boxes) > 10
    assert button.get_attribute("aria-expanded") == "true"
    for axis in ("recall", "precision", "probability", "share of each"):
        assert page.locator(f".class-panel svg text:text-is('{axis}')").count() >= 1
    page.locator("#classes thead button").nth(1).click()  # sorting closes what is open, or panels would lose their rows
    assert page.locator(".class-panel").count() == 0
    button.press("Enter")
    page.locator(".class-panel svg").nth(2).wait_for()
    page.emulate_media(media="print")
    assert page.locator("#classes tbody tr").count() > 5
    page.emulate_media(media="screen", color_scheme="dark")
    page.locator(".class-panel svg").nth(2).wait_for()
    button.click()
    assert page.locator(".class-panel").count() == 0


@pytest.mark.parametrize("width", [1440, 390])
def test_no_name_of_a_class_or_file_does_anything_but_stand_there(
    hostile: Path, watch: Callable[..., Any], width: int
) -> None:
    seen = watch(f"file://{hostile}/report.html", width=width)
    dialogs: list[str] = []
    seen.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    everything_is_drawn(seen)
    assert seen.page.locator("#classes tbody tr").count() == 5
    assert seen.page.locator("#classes tbody tr.faint").count() == 1  # the class without a sample has nothing to open
    for button in seen.page.locator("#classes button.opens").all():
        button.click()
    seen.page.locator(".class-panel svg").nth(11).wait_for()
    for link in seen.page.locator(".class-graph .link").all()[:5]:
        link.dispatch_event("pointerover")
    text = seen.page.locator("body").inner_text()
    assert all(name in text for name in (*HOSTILE[:2], HOSTILE[3]))
    assert "we\"i'r↵d ‹U+202E›gnp" in text
    assert seen.page.locator("img[src=x]").count() == 0
    assert seen.page.evaluate(WIDE) <= 0
    assert dialogs == []
    assert seen.faults() == []
    seen.expect_peace()


def test_five_hundred_classes_open_fit_and_draw(tmp_path: Path, watch: Callable[..., Any]) -> None:
    names = [f"phenotype {number} of many that have long names" for number in range(500)]
    root = made_elsewhere(tmp_path / "run", names, 1500, "multiclass", pictured=False)
    seen = watch(f"file://{root}/report.html", width=390)
    everything_is_drawn(seen)
    seen.page.locator("#classes button.opens").nth(300).click()
    seen.page.locator(".class-panel svg").nth(2).wait_for()
    assert seen.page.evaluate(WIDE) <= 0
    assert seen.faults() == []
    seen.expect_peace()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_pages_of_an_audit_a_comparison_and_a_search_fit_and_have_no_fault(
    finished: Path, hostile: Path, tmp_path: Path, watch: Callable[..., Any], width: int, dark: bool
) -> None:
    from holotype.cli.check import audit_data
    from holotype.core.progress import Progress
    from holotype.report import Trial, TrialsData, write_report
    from holotype.runs.compare import write_comparison

    audit_data(finished.parent.parent / "recipe.yaml", (), tmp_path / "audited", Progress(quiet=True))
    other = made_elsewhere(tmp_path / "other", list(HOSTILE[1:]), 80, "multilabel", pictured=False)
    write_comparison([hostile, finished, other], tmp_path / "compare.html")
    trials = [Trial(n, "finished", 0.5 + 0.02 * n, 9, {"rate": 10.0**-n, HOSTILE[0]: HOSTILE[1]}) for n in range(1, 6)]
    axes = {"rate": (1e-6, 1.0, True), HOSTILE[0]: (HOSTILE[1],)}
    write_report(tmp_path / "tune.html", TrialsData("t", "macro F1", "words", trials, 5, axes, {"rate": 0.9}))
    for page in (tmp_path / "audited/audit/report.html", tmp_path / "compare.html", tmp_path / "tune.html"):
        seen = watch(f"file://{page}", width=width, dark=dark)
        assert seen.page.evaluate(WIDE) <= 0, page.name
        assert seen.page.evaluate(UNDRAWN) == []
        assert seen.faults() == [], page.name
        seen.expect_peace()


def test_a_link_to_a_folded_section_opens_it(finished: Path, watch: Callable[..., Any]) -> None:
    page = watch(f"file://{finished}/report.html#folds").page
    page.locator("#folds table").wait_for()
    assert not page.locator("#steps .lead").is_visible()
    page.evaluate("location.hash = 'steps'")
    page.locator("#steps .lead").wait_for()
