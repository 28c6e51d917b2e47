"""The report's pictures as people see and press them, with names that would like to be code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytestmark = pytest.mark.browser

HOSTILE = "<img/src=x/onerror=alert(1)>"
FILE = "<img src=x onerror=alert(2)>\"'\u202etxt"
SECTIONS = ("channels", "filters", "map", "attributions", "uncertain", "mistakes")


@pytest.fixture(scope="module")
def report(screen: Path, write_recipe: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the report of a run with heat maps, a class and some images of which have hostile names."""
    from holotype.api import run

    root = tmp_path_factory.mktemp("hostile")
    place = shutil.copytree(screen, root / "screen")
    table = pl.read_csv(place / "train.csv", infer_schema=False)
    renamed = {name: f"{name}{FILE}" for name in table["id"].to_list()}
    table = table.with_columns(pl.col("id").replace(renamed), pl.col("labels").str.replace("cytosol", HOSTILE))
    table.write_csv(place / "train.csv")
    for image in sorted((place / "images").glob("train-*.png")):
        name, _, channel = image.stem.rpartition("_")
        image.rename(image.with_name(f"{renamed[name]}_{channel}.png"))
    model = {
        "name": "main",
        "backbone": "test_resnet",
        "weights": "none",
        "input": {"size": 224},
        "phases": [{"epochs": 1, "lr": 0.002}],
    }
    recipe = write_recipe(
        root,
        models=[model],
        report={"attributions": 4},
        split={"folds": 3, "folds_to_train": [0]},
        data={
            "train": str(place / "train.csv"),
            "test": str(place / "test.csv"),
            "images": f"{place}/images/{{id}}_{{channel}}.png",
        },
    )
    return f"file://{run(recipe).folder.root}/report.html"


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_picture_is_drawn_and_nobody_is_asked(
    report: str, watch: Callable[..., Any], width: int, dark: bool
) -> None:
    seen = watch(report, width=width, dark=dark)
    seen.unfold()
    for name in SECTIONS:
        seen.page.locator(f"#{name}").scroll_into_view_if_needed()
        for picture in seen.page.locator(f"#{name} img").all():
            picture.scroll_into_view_if_needed()
            assert picture.evaluate("one => one.decode().then(() => one.naturalWidth)") > 0
            assert picture.evaluate("one => one.getBoundingClientRect().width") > 8
    assert seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert seen.faults() == []
    seen.expect_peace()


def test_hostile_names_are_words(report: str, watch: Callable[..., Any]) -> None:
    seen = watch(report)
    seen.unfold()
    seen.page.on("dialog", lambda dialog: seen.complaints.append(dialog.message))
    words = seen.page.evaluate("document.body.innerText")
    assert HOSTILE in words
    assert "onerror=alert(2)" in words
    assert "\u202e" not in seen.page.content()
    assert seen.page.locator("img[onerror], img[src='x']").count() == 0
    dot = seen.page.locator("svg.map circle:not(.test)").first
    dot.scroll_into_view_if_needed()
    dot.dispatch_event("click")
    assert "onerror=alert(2)" in seen.page.locator(".map-id").inner_text()
    seen.expect_peace()


def test_one_channel_is_shown_by_itself_and_all_again(report: str, watch: Callable[..., Any]) -> None:
    seen = watch(report)
    seen.unfold()
    page = seen.page
    row = page.locator(".view-row").first

    def visible() -> list[str]:
        return [one.get_attribute("data-plane") for one in row.locator("figure").all() if one.is_visible()]

    assert visible() == ["composite", "0", "1", "2", "3"]
    page.get_by_label("nucleus", exact=True).check(force=True)
    assert visible() == ["1"]
    page.get_by_label("composite", exact=True).check(force=True)
    assert visible() == ["composite"]
    page.emulate_media(media="print")
    assert visible() == ["composite", "0", "1", "2", "3"]
    page.emulate_media(media="screen")
    page.get_by_label("side by side", exact=True).check(force=True)
    assert visible() == ["composite", "0", "1", "2", "3"]


def test_the_map_shows_a_sample_where_it_is_pointed_at_and_keeps_what_is_pressed(
    report: str, watch: Callable[..., Any]
) -> None:
    seen = watch(report)
    seen.unfold()
    page = seen.page
    dots = page.locator("svg.map circle")
    last = dots.last
    last.scroll_into_view_if_needed()
    page.evaluate("new Promise(done => setTimeout(done, 200))")  # a page that still scrolls hides the words again
    last.hover(force=True)
    tip = page.locator(".map-tip")
    tip.wait_for(state="visible")
    assert tip.inner_text().strip() == last.get_attribute("data-text")
    last.click(force=True)
    kept = page.locator(".map-pinned")
    assert kept.is_visible()
    first = page.locator(".map-pinned .map-picture").evaluate("one => getComputedStyle(one).backgroundPosition")
    cell = int(last.get_attribute("data-cell"))
    columns = int(page.locator(".map-pinned .map-picture").get_attribute("data-columns"))
    assert float(first.split("%")[0]) == pytest.approx(100 * (cell % columns) / (columns - 1), abs=0.01)
    page.locator("#map .lead").click()
    button = page.locator(".map-legend button").first
    button.click()
    lit = page.locator("svg.map circle.lit").count()
    assert str(lit) == button.locator("small").inner_text()
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert page.locator("svg.map.picked").count() == 0
