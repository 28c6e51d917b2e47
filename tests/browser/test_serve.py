"""The page of a served run as people use it: by the mouse, by the keyboard, on a phone."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import holotype

pytestmark = pytest.mark.browser
SOURCE = Path(holotype.__file__).parents[1]
CHANNELS = ("microtubules", "nucleus", "reticulum", "protein")


def started(run: Path, store: Path, **variables: str) -> tuple[subprocess.Popen[str], str]:
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "HOLOTYPE_STORE": str(store), **variables}
    call = [sys.executable, "-m", "holotype.cli.main", "serve", str(run), "--port", "0"]
    process = subprocess.Popen(call, env=environment, stderr=subprocess.PIPE, text=True)
    said = process.stderr.readline()
    address = re.search(r"http://\S+:\d+/", said)
    assert address, said + process.stderr.read()
    until = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(address[0] + "health") as answer:
                if b"being made" not in answer.read():
                    return process, address[0]
        except OSError:
            pass
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture(scope="module")
def seen_run(write_recipe: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose networks end in places that a heat map can point at."""
    from holotype.api import run

    model = {
        "name": "main",
        "backbone": "test_efficientnet",
        "weights": "none",
        "input": {"size": 64},
        "phases": [{"epochs": 2, "lr": 0.002}],
    }
    recipe = write_recipe(
        tmp_path_factory.mktemp("seen"),
        split={"folds": 2},
        models=[model],
        calibration={"prediction_sets": 0.8},
        decision={"kind": "per-class", "repeats": 2},
    )
    return run(recipe).folder.root


@pytest.fixture(scope="module")
def address(seen_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, place = started(seen_run, tmp_path_factory.mktemp("store"))
    yield place
    process.terminate()
    assert process.wait(30) == 0


@pytest.fixture
def files(screen: Path, tmp_path: Path) -> list[str]:
    broken = tmp_path / "broken_nucleus.png"
    broken.write_bytes(b"no image")
    names = [f"{kind}_{channel}.png" for kind in ("test-00001", "train-00003", "test-00002") for channel in CHANNELS]
    return [*(str(screen / "images" / name) for name in names), str(broken)]


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_images_are_dropped_and_understood(
    address: str, files: list[str], watch: Callable[..., Any], width: int, dark: bool, tmp_path: Path
) -> None:
    seen = watch(address, width=width, dark=dark)
    page = seen.page
    page.wait_for_selector("#ask:not([hidden])")
    assert page.title() == "cells"
    page.set_input_files("#files", files)
    page.locator("#status", has_text=re.compile("^4 images done")).wait_for(timeout=60_000)
    assert "1 with errors" in page.text_content("#status")
    assert page.locator(".card:not(.failed)").count() == 3
    assert "has no file of microtubules, reticulum, protein" in page.text_content(".card.failed")
    card = page.locator(".card", has_text="train-00003").first
    card.locator(".nearest img").first.wait_for()
    assert card.locator(".bars li").count() == 8
    assert "Most similar training images" in card.text_content()
    assert "train-00003" in card.locator("figcaption").first.text_content()
    button = card.get_by_role("button", name="Heat map")
    button.focus()
    page.keyboard.press("Enter")
    card.locator("img.heat").wait_for()
    assert button.get_attribute("aria-pressed") == "true"
    assert card.locator("img.heat").evaluate("image => image.decode().then(() => image.naturalWidth)") == 32
    page.screenshot(path=f"/tmp/serve-{width}-{'dark' if dark else 'light'}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert seen.faults() == []
    card.locator("select").select_option(index=1)
    card.locator("img.heat").wait_for()
    button.focus()
    page.keyboard.press("Space")
    card.locator("img.heat").wait_for(state="detached")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download CSV").click()
    saved.value.save_as(tmp_path / "cells.csv")
    rows = list(csv.DictReader((tmp_path / "cells.csv").open()))
    assert saved.value.suggested_filename == "cells.csv"
    assert [row["id"] for row in rows[:3]] == ["test-00001", "train-00003", "test-00002"]
    assert "has no file of" in rows[3]["error"]
    assert all(0 <= float(rows[0][name]) <= 1 for name in rows[0] if name.startswith("p("))
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".card").count() == 0
    # an error of an image is shown in its card, and by Chromium in its console
    seen.complaints = [said for said in seen.complaints if "status of 422" not in said]
    seen.expect_peace()


def test_files_that_are_dropped_are_taken(address: str, files: list[str], watch: Callable[..., Any]) -> None:
    import base64

    seen = watch(address)
    seen.page.wait_for_selector("#ask:not([hidden])")
    given = [[Path(file).name, base64.b64encode(Path(file).read_bytes()).decode()] for file in files[:4]]
    seen.page.evaluate(
        """given => {
          const transfer = new DataTransfer();
          for (const [name, text] of given)
            transfer.items.add(new File([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))], name));
          document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
        }""",
        given,
    )
    seen.page.locator("#status", has_text=re.compile("^1 image done")).wait_for()
    seen.expect_peace()


def test_a_locked_page_says_nothing_before_the_token(seen_run: Path, watch: Callable[..., Any], tmp_path: Path) -> None:
    process, place = started(seen_run, tmp_path, HOLOTYPE_TOKEN="open sesame")
    try:
        seen = watch(place, width=390)
        assert "cells" not in seen.page.content()
        seen.page.screenshot(path="/tmp/serve-locked.png", full_page=True)
        assert seen.faults() == []
        seen.expect_peace()
        seen.page.keyboard.type("wrong")
        seen.page.keyboard.press("Enter")
        seen.page.locator("#refused", has_text="This token is wrong.").wait_for()
        seen.page.fill("#token", "open sesame")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_selector("#ask:not([hidden])")
        assert seen.page.title() == "cells"
        assert seen.strangers == []
    finally:
        process.terminate()
        assert process.wait(30) == 0
