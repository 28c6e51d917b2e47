"""What the road's tests look at: the steps that a run's log tells of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def steps_of() -> Callable[[Path], dict[str, str]]:
    """The steps of the last run in a folder and what became of each: made, resumed or reused."""

    def read(folder: Path) -> dict[str, str]:
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        begins = [number for number, line in enumerate(lines) if line["event"] == "run"]
        return {line["step"]: line["state"] for line in lines[begins[-1] :] if line["event"] == "step"}

    return read
