"""The review as a person walks through it with the keyboard: a finished run whose names are hostile."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tifffile

from holotype.core.run_folder import RunFolder
from holotype.review import read_rows
from holotype.runs.review import ReviewServer, open_review
from holotype.types import DUPLICATE_PAIRS

pytestmark = pytest.mark.browser

EVIL = ["<img src=x onerror=alert(1)>", "\u202etfel ot thgir", '=cmd|"/c"!A1', "two\nlines", "'quoted\"", "&amp;"]
EVIL_CLASS = "<script>alert(1)</script>"


@pytest.fixture
def server(finished: Path, tmp_path: Path) -> Iterator[ReviewServer]:
    """A copy of the finished run with other names and two sets of duplicates, served."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    worst = pl.read_parquet(run / "audit/label_errors.parquet")["sample"].to_list()
    renamed = dict(zip(worst, EVIL, strict=False))
    for path in run.rglob("*.parquet"):
        table = pl.read_parquet(path)
        texts = [name for name in ("id", "sample") if name in table.columns]
        table.with_columns(pl.col(texts).replace(renamed)).write_parquet(path)
    suspects = pl.read_parquet(run / "audit/label_errors.parquet")
    rename_class(run, suspects)
    images = pl.read_parquet(run / "images.parquet")["id"].to_list()
    pairs = [(0, 0, 1, "near"), (0, 1, 2, "near"), (1, 4, 5, "exact")]
    rows = sorted({(cluster, row) for cluster, *ends, _ in pairs for row in ends})
    found = [(cluster, row, images[row], "train", "grouped") for cluster, row in rows]
    clusters = pl.DataFrame(found, schema=["cluster", "row", "id", "role", "action"], orient="row")
    clusters.write_parquet(run / "audit/clusters.parquet")
    links = pl.DataFrame([(*pair, 3, 0.97) for pair in pairs], schema=DUPLICATE_PAIRS, orient="row")
    links.write_parquet(run / "audit/duplicate_pairs.parquet")
    RunFolder(run).write_digests()
    opened = open_review(run, 0, tmp_path / "review.csv")
    thread = threading.Thread(target=opened.serve, daemon=True)
    thread.start()
    yield opened
    opened.stop()
    thread.join(20)


def rename_class(run: Path, suspects: pl.DataFrame) -> None:
    """One class gets a hostile name, and every sample is a suspect."""
    decision = json.loads((run / "decision.json").read_text())
    old, decision["classes"][0] = decision["classes"][0], EVIL_CLASS
    (run / "decision.json").write_text(json.dumps(decision))
    lists = [
        pl.col(name).list.eval(pl.element().replace(old, EVIL_CLASS)) for name in ("given_label", "predicted_label")
    ]
    suspects.with_columns(pl.lit(True).alias("suspect"), *lists).write_parquet(run / "audit/label_errors.parquet")


def at(seen: Any, place: str) -> None:
    seen.page.wait_for_selector(f"body[data-at='{place}']")


def said(seen: Any, words: str) -> None:
    seen.page.locator("#status", has_text=words).wait_for()


def pressed(seen: Any, key: str, words: str) -> None:
    """A key, and what the page says of it: only then is it on the disk."""
    seen.page.keyboard.press(key)
    said(seen, words)


def test_twenty_samples_by_keyboard_with_undos_and_a_reload(
    server: ReviewServer, watch: Callable[..., Any], tmp_path: Path
) -> None:
    seen = watch(server.address)
    at(seen, "label_errors/0")
    table = pl.read_parquet(tmp_path / "run/audit/label_errors.parquet")
    samples, given = table["sample"].to_list(), dict(table.select("sample", "given_label").iter_rows())
    wanted: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = []

    def decide(number: int) -> None:
        sample, before = samples[number], tuple(given[samples[number]])
        at(seen, f"label_errors/{number}")
        count = len(read_rows(server.record.path).rows)
        if number % 4 == 3:
            seen.page.keyboard.press("d")
            wanted.append((sample, "drop", before, ()))
        elif number % 4 == 2:
            seen.page.keyboard.press("r")
            seen.page.keyboard.type(EVIL_CLASS[:7])
            seen.page.keyboard.press("Enter")
            seen.page.keyboard.press("Control+Enter")
            after = set(before) ^ {EVIL_CLASS}
            classes = [EVIL_CLASS, *(name for name in before if name != EVIL_CLASS)]
            wanted.append((sample, "relabel", before, tuple(name for name in classes if name in after)))
        else:
            seen.page.keyboard.press("k")
            wanted.append((sample, "keep", before, ()))
        at(seen, f"label_errors/{number + 1}")
        assert len(read_rows(server.record.path).rows) == count + 1  # before the page moves on

    def undo() -> None:
        sample, _, before, after = wanted[-1]
        pressed(seen, "u", "Undone")
        wanted.append((sample, "undo", after, before))

    for number in range(9):
        decide(number)
    undo()
    at(seen, "label_errors/8")
    decide(8)
    decide(9)
    seen.page.reload()
    at(seen, "label_errors/10")
    undo()  # of what was decided before the reload
    at(seen, "label_errors/9")
    for number in range(9, 20):
        decide(number)
    seen.page.keyboard.press("s")
    at(seen, "label_errors/21")
    seen.page.keyboard.press("b")
    at(seen, "label_errors/20")
    rows = [(row.id, row.action, row.before, row.after) for row in read_rows(server.record.path).rows]
    assert rows == wanted
    assert len(server.record.active.decisions) == 20
    lines = server.record.path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(wanted)
    assert seen.page.locator("img, script:not([src])").count() == 0
    assert seen.page.evaluate("document.querySelectorAll('#facts script, #facts img').length") == 0
    seen.expect_peace()


def test_duplicates_are_told_apart_by_keyboard(server: ReviewServer, watch: Callable[..., Any], tmp_path: Path) -> None:
    seen = watch(f"{server.address}#clusters/0")
    at(seen, "clusters/0")
    seen.page.keyboard.press("3")
    assert seen.page.locator(".card[aria-pressed=true]").count() == 1
    images = pl.read_parquet(tmp_path / "run/images.parquet")["id"].to_list()
    pressed(seen, "x", "Saved: split")
    at(seen, "clusters/1")
    seen.page.keyboard.press("2")
    seen.page.keyboard.press("x")  # equal pixels
    seen.page.locator("#trouble", has_text="same pixels").wait_for()
    pressed(seen, "k", "Saved: keep")
    rows = [(row.kind, row.id, row.action, row.before, row.after) for row in server.record.active.decisions]
    assert rows == [
        ("cluster", images[0], "split", tuple(images[:3]), (images[2],)),
        ("cluster", images[4], "keep", tuple(images[4:6]), ()),
    ]
    seen.complaints = [one for one in seen.complaints if "422" not in one]  # the browser's own word on a refusal
    seen.expect_peace()


def test_channels_contrast_and_zoom_change_the_picture_at_once(server: ReviewServer, watch: Callable[..., Any]) -> None:
    seen = watch(f"{server.address}#uncertain/0")
    at(seen, "uncertain/0")
    seen.page.wait_for_selector("[data-channel='0']")
    shot = "document.querySelector('.viewer').toDataURL()"
    frame = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    drawn = [seen.page.evaluate(shot)]
    for key in ("1", "2", "+", "0"):
        seen.page.keyboard.press(key)
        seen.page.evaluate(frame)
        drawn.append(seen.page.evaluate(shot))
    assert len(set(drawn)) == 4  # fitted again it is as before the zoom
    assert drawn[4] == drawn[2]
    slider = seen.page.locator("[data-look=gamma]")
    slider.focus()
    for _ in range(8):
        seen.page.keyboard.press("ArrowRight")
    seen.page.evaluate(frame)
    assert seen.page.evaluate(shot) != drawn[4]
    at(seen, "uncertain/0")  # arrows on a slider do not skip
    seen.expect_peace()


def test_a_large_picture_is_asked_for_again_closer_where_one_looks(
    server: ReviewServer, watch: Callable[..., Any], tmp_path: Path
) -> None:
    pixels = np.arange(4 * 2100 * 2600, dtype=np.uint32).reshape(4, 2100, 2600) % 60_000
    tifffile.imwrite(tmp_path / "large.tif", pixels.astype(np.uint16), photometric="minisblack")
    images = pl.read_parquet(tmp_path / "run/images.parquet")
    large = pl.Series("files", [[str(tmp_path / "large.tif")]] * images.height)
    images.with_columns(large).write_parquet(tmp_path / "run/images.parquet")
    RunFolder(tmp_path / "run").write_digests()
    other = open_review(tmp_path / "run", 0, tmp_path / "other.csv")
    thread = threading.Thread(target=other.serve, daemon=True)
    thread.start()
    seen = watch(f"{other.address}#uncertain/0")
    seen.page.locator(".where", has_text="2600×2100 pixels, 4 channels, 16-bit").wait_for()
    with seen.page.expect_response(lambda answer: "left=" in answer.url) as closer:
        for _ in range(6):
            seen.page.keyboard.press("+")
    facts = json.loads(closer.value.headers["x-picture"])
    assert facts["step"] == 1  # the file's own pixels
    assert facts["region"]["left"] > 0
    seen.expect_peace()
    other.stop()
    thread.join(20)


def test_what_is_not_saved_is_said_and_nothing_moves(server: ReviewServer, watch: Callable[..., Any]) -> None:
    seen = watch(server.address)
    at(seen, "label_errors/0")
    seen.page.route("**/api/decide", lambda route: route.abort())
    seen.page.keyboard.press("k")
    seen.page.locator("#trouble", has_text="does not respond").wait_for()
    at(seen, "label_errors/0")
    assert server.record.count == 0


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_view_can_be_read_by_everybody(
    server: ReviewServer, watch: Callable[..., Any], width: int, dark: bool
) -> None:
    seen = watch(server.address, width=width, dark=dark)
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    tallest = "Math.max(...[...document.querySelectorAll('#actions button')].map(one => one.clientHeight))"
    for tab in ("label_errors", "clusters", "uncertain"):
        seen.page.click(f"#tab-{tab}")
        at(seen, f"{tab}/0")
        assert seen.page.evaluate(overflow) <= 0
        assert seen.page.evaluate(tallest) < 60  # the name of a button is one line
        assert seen.faults() == []
    for key, dialog in (("r", "relabel"), ("n", "write-note"), ("?", "keys")):
        seen.page.keyboard.press(key)
        seen.page.wait_for_selector(f"#{dialog}[open]")
        assert seen.faults() == []
        seen.page.keyboard.press("Escape")
        seen.page.wait_for_selector(f"#{dialog}", state="hidden")
    assert server.record.count == 0
    seen.expect_peace()


def test_everything_can_be_reached_with_the_tabulator_and_shows_where_one_is(
    server: ReviewServer, watch: Callable[..., Any]
) -> None:
    seen = watch(server.address)
    at(seen, "label_errors/0")
    seen.page.wait_for_selector("[data-channel='0']")
    reached = []
    for _ in range(40):
        seen.page.keyboard.press("Tab")
        found = seen.page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " const words = e.textContent.trim() || e.getAttribute('aria-label') || e.dataset.look || '';"
            " return [e.tagName, words, s.outlineStyle]; }"
        )
        if found[0] == "BODY":
            break
        reached.append(found)
    words = " ".join(text for _, text, _ in reached)
    assert all(name in words for name in ("Keep", "Relabel", "Drop", "Skip", "gamma", "Keys", "Label errors"))
    assert all(outline != "none" for *_, outline in reached)
