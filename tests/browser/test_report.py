"""The report of a small run as people see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_report_opens_alone_and_fits_its_window(
    finished: Path, watch: Callable[..., Any], width: int, dark: bool
) -> None:
    seen = watch(f"file://{finished}/report.html", width=width, dark=dark)
    assert "cells" in seen.page.title()
    assert seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert seen.faults() == []
    seen.expect_peace()
