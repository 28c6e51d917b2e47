"""Pages in a real browser: Debian's Chromium, driven without a network, every complaint and every request noted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

# Nothing that Chromium would ask of the world by itself.
SILENT = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AT_HOME = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:")


@dataclass
class Watched:
    """A page, and what it did that it should not.

    Args:
        page: Playwright's.
        complaints: What its console and its scripts said.
        strangers: Addresses it asked for outside this machine.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def expect_peace(self) -> None:
        """Nothing was complained of and nobody outside was asked."""
        assert self.complaints == []
        assert self.strangers == []

    def unfold(self) -> None:
        """Open everything that is folded."""
        self.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")

    def faults(self) -> list[str]:
        """What axe-core finds serious or worse, one line a rule."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in found if one["impact"] in {"serious", "critical"}
        ]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; a test is skipped where there is none."""
    place = shutil.which(os.environ.get("HOLOTYPE_CHROMIUM", "chromium"))
    if place is None:
        pytest.skip("there is no Chromium; `make test-browser` installs Debian's")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=place, args=list(SILENT))
        yield browser
        browser.close()


@pytest.fixture
def watch(chromium: Any) -> Iterator[Callable[..., Watched]]:
    """Opens an address (`watch(address, width=1440, dark=False)`) in a browser of its own and watches it."""
    contexts = []

    def open_page(address: str, width: int = 1440, height: int = 900, dark: bool = False) -> Watched:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        watched = Watched(context.new_page())
        watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        watched.page.on(
            "console", lambda said: watched.complaints.append(said.text) if said.type in {"error", "warning"} else None
        )
        watched.page.on(
            "request", lambda asked: None if asked.url.startswith(AT_HOME) else watched.strangers.append(asked.url)
        )
        watched.page.goto(address)
        return watched

    yield open_page
    for context in contexts:
        context.close()
