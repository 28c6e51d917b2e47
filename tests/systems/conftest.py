"""What the tests of the six systems share: the script's reductions, and one quick run of each system."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
NAMES = ("community-b1b2", "one-more-layer-of-stacking", "bestfitting", "pudae", "cellular-silver", "herbarium-focal")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a `name` is run for each of the systems."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", NAMES)


def values_at(content: Any, path: str) -> list[Any]:
    """What stands at a path of a resolved recipe, as in `models.*.input.size`; a star is every entry of a list."""
    places = [content]
    for key in path.split("."):
        stepped: list[Any] = []
        for place in places:
            stepped += place if key == "*" else [place[int(key)] if isinstance(place, list) else place[key]]
        places = stepped
    return places


def script(folder: str, name: str) -> ModuleType:
    """A script of a folder that is no package."""
    sys.path.insert(0, str(CHECKOUT / folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(CHECKOUT / folder))


@pytest.fixture(scope="session")
def look_up() -> Callable[[Any, str], list[Any]]:
    """`values_at`, which the tests of recipes and pages share."""
    return values_at


@pytest.fixture(scope="session")
def systems() -> ModuleType:
    """`bench/_systems.py`: the stand-ins, and what makes a recipe small enough for them."""
    return script("bench", "_systems")


@pytest.fixture(scope="session")
def writer() -> ModuleType:
    """`docs/write_measured.py`, which fills the pages."""
    return script("docs", "write_measured")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the quick stand-ins lie; four systems share one."""
    return tmp_path_factory.mktemp("systems")
