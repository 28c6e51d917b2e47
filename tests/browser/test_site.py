"""The documentation's site as people see it: built offline, every page opened, light and dark, wide and narrow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytestmark = pytest.mark.browser

CHECKOUT = Path(__file__).parents[2]


class Silent(SimpleHTTPRequestHandler):
    """Hands out files and says nothing of it."""

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(out / "trees")]
    done = subprocess.run(
        [*command, str(CHECKOUT / "docs"), str(out / "html")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out / "html"


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served; axe-core reads style sheets, which a browser hands out of no folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_is_quiet_fits_and_can_be_read_by_all(
    site: Path, address: str, watch: Callable[..., Any], width: int, dark: bool
) -> None:
    seen = watch(address, width=width, dark=dark)
    faults = []
    for page in sorted(site.rglob("*.html")):
        name = page.relative_to(site).as_posix()
        seen.page.goto(f"{address}/{name}")
        if seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") > 0:
            faults.append(f"{name}: wider than its window")
        if seen.page.evaluate("[...document.images].filter(image => !image.naturalWidth).length"):
            faults.append(f"{name}: a picture is missing")
        # Pages of packages are all of one form: once is enough for the slow questions.
        if not name.startswith("made/") or (width, dark) == (1440, False):
            faults += [f"{name}: {fault}" for fault in seen.faults()]
    assert faults == []
    seen.expect_peace()


def test_a_page_opened_from_a_folder_finds_words(site: Path, watch: Callable[..., Any]) -> None:
    seen = watch(f"file://{site}/search.html?q=herbarium")
    seen.page.wait_for_selector("#search-results li")
    assert "Herbarium" in seen.page.inner_text("#search-results")
    seen.expect_peace()
