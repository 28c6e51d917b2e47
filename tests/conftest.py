"""What all tests share: the house's profile of property tests, a small simulated screen, and one finished run of it."""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.forkserver
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("house")

CHANNELS = ["microtubules", "nucleus", "reticulum", "protein"]
WriteRecipe = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def _stores_lie_beside_their_recipes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HOLOTYPE_STORE", raising=False)
        yield


@pytest.fixture
def without_plugins() -> Iterator[None]:
    """Plugins that a test loads do not outlive it."""
    from holotype.core import plugins as loading

    modules, inherited = set(sys.modules), os.environ.pop(loading.INHERITED, None)
    yield
    for plugin in list(loading._loaded.values()):
        loading._forget_plugin(plugin.module.partition(".")[0])
    for name in [name for name in set(sys.modules) - modules if name.startswith("plugin_")]:
        del sys.modules[name]
    os.environ.pop(loading.INHERITED, None)
    if inherited is not None:
        os.environ[loading.INHERITED] = inherited


@pytest.fixture(scope="session")
def fork_server() -> None:
    """What decodes for a server, or trains beside another, is loaded once for all tests of a process."""
    multiprocessing.set_forkserver_preload(["holotype.runs.serve", "holotype.training"])
    multiprocessing.forkserver.ensure_running()


@pytest.fixture(scope="session")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated screen of 60 labelled and 20 test images, 32 px, four channels, ten plates; nobody changes it."""
    from holotype.simulate.cells import SimulationPlan, simulate_cells

    plan = SimulationPlan(train=60, test=20, size=32, plates=10)
    return simulate_cells(tmp_path_factory.mktemp("screen"), plan).folder


@pytest.fixture(scope="session")
def write_recipe(screen: Path) -> WriteRecipe:
    """Writes a recipe for the screen that runs in a second or two; its store lies beside it.

    A section that is a mapping changes the keys it names, anything else replaces the section.
    """

    def write(folder: Path, **sections: Any) -> Path:
        content: dict[str, Any] = {
            "name": "cells",
            "run": {"threads": 1, "workers": 0, "batch": 16, "device": "cpu"},
            "data": {
                "train": str(screen / "train.csv"),
                "test": str(screen / "test.csv"),
                "images": f"{screen}/images/{{id}}_{{channel}}.png",
                "channels": CHANNELS,
                "labels": {"column": "labels", "kind": "multilabel"},
                "groups": ["plate"],
                "domain": "cell_type",
            },
            "split": {"folds": 3},
            "models": [
                {
                    "name": "main",
                    "backbone": "test_efficientnet",
                    "weights": "none",
                    "input": {"size": 32},
                    "phases": [{"epochs": 2, "lr": 0.002}],
                }
            ],
        }
        for name, section in sections.items():
            content[name] = {**content.get(name, {}), **section} if isinstance(section, dict) else section
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "recipe.yaml"
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")  # JSON is YAML
        return path

    return write


@pytest.fixture(scope="session")
def finished(write_recipe: WriteRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the screen: many labels, three folds, plates as groups; nobody changes it."""
    from holotype.api import run

    plain = {"kind": "threshold"}
    return run(write_recipe(tmp_path_factory.mktemp("finished"), decision=plain)).folder.root


@pytest.fixture(scope="session")
def copy_without_digests() -> Callable[[Path, Path], Path]:
    """Copies a run's folder as older versions wrote it: without digests, so that tests may change its files."""

    def copy(run: Path, target: Path) -> Path:
        shutil.copytree(run, target)
        (target / "digests.json").unlink()
        return target

    return copy
