"""A served run, and an answerer that knows no network, so that what the server itself does is quick to test."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import holotype
from holotype.core.errors import DataError
from holotype.serve import AccessPolicy, DecodedImage, ImagePrediction, Limits, RunInfo, Service, make_app

sys.path.append(str(Path(__file__).parent))  # where processes that decode find the module, too
stand_reader = importlib.import_module("stand_reader")
WriteRecipe = Callable[..., Path]
SOURCE = Path(holotype.__file__).parents[1]
CHANNELS = ("microtubules", "nucleus", "reticulum", "protein")
AT_HOME = "http://127.0.0.1"


class Stand:
    """Answers with the mean of an image's pixels."""

    about = RunInfo(
        "stand",
        "0",
        {"recipe.yaml": "1"},
        "multilabel",
        ("dark", "bright"),
        (0.5, None),
        "threshold",
        (),
        1,
        None,
        (".png", ".tif", ".npy", ".jpg"),
    )
    files_per_image, nearest = 1, "off"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.opens, self.answers = Event(), Event()
        self.opens.set(), self.answers.set()

    def open(self) -> None:
        self.opens.wait(10)

    def match_file(self, name: str) -> tuple[str, int]:
        return Path(name).stem, 0

    make_reader = staticmethod(stand_reader.make_reader)

    def predict(self, questions: Sequence[DecodedImage], nearest: int) -> list[ImagePrediction]:
        self.answers.wait(10)
        assert len({question.form for question in questions}) == 1
        self.batches.append(len(questions))
        if any(question.content == 13 for question in questions):
            raise DataError("thirteen is not answered for", field="images")
        return [
            ImagePrediction(("bright",), {"bright": question.content / 255, "dark": 0.25}) for question in questions
        ]

    def explain(self, question: DecodedImage, name: str) -> bytes:
        return b"\x89PNG"

    def specimen(self, name: str) -> bytes | None:
        return b"\x89PNG" if name == "known" else None

    def work(self) -> bool:
        return False


@pytest.fixture
def stand() -> Stand:
    return Stand()


@contextmanager
def asking(
    answerer: Any, limits: Limits | None = None, rules: AccessPolicy | None = None, **given: Any
) -> Iterator[TestClient]:
    app = make_app(Service(answerer, limits or Limits(), 2), rules or AccessPolicy())
    with TestClient(app, base_url=AT_HOME, **given) as client:
        if not isinstance(answerer, Stand) or answerer.opens.is_set():
            until = time.monotonic() + 240
            while not client.get("/health").json()["ready"]:
                assert time.monotonic() < until, client.get("/health").json()
                time.sleep(0.01)
        yield client


@pytest.fixture
def ask(fork_server: None) -> Callable[..., Any]:
    """Serves an answerer in this process: `with ask(answerer, limits, rules) as client`."""
    return asking


@pytest.fixture
def png() -> Callable[..., bytes]:
    """An image of one value as PNG."""

    def write(value: int = 51, shape: tuple[int, ...] = (8, 8), dtype: str = "uint8", kind: str = "PNG") -> bytes:
        stream = io.BytesIO()
        Image.fromarray(np.full(shape, value, dtype)).save(stream, format=kind)
        return stream.getvalue()

    return write


@pytest.fixture(scope="session")
def kept_run(write_recipe: WriteRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two models and two folds, with views, calibration, label sets and thresholds."""
    from holotype.api import run

    def model(name: str, views: str) -> dict[str, Any]:
        return {
            "name": name,
            "backbone": "test_efficientnet",
            "weights": "none",
            "input": {"size": 64},
            "phases": [{"epochs": 2, "lr": 0.002}],
            "predict": {"tta": views},
        }

    recipe = write_recipe(
        tmp_path_factory.mktemp("kept"),
        split={"folds": 2},
        models=[model("a", "flips"), model("b", "none")],
        ensemble={"kind": "weighted"},
        calibration={"method": "temperature", "prediction_sets": 0.9, "abstain": 0.1},
        decision={"kind": "per-class", "repeats": 2},
    )
    return run(recipe).folder.root


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Starts `holotype serve` and gives the process and its address."""
    begun = []

    def run(folder, *options, **variables):
        environment = os.environ | {"PYTHONPATH": str(SOURCE), "HOLOTYPE_STORE": str(tmp_path / "store"), **variables}
        call = [sys.executable, "-m", "holotype.cli.main", "serve", str(folder), "--port", "0", *options]
        process = subprocess.Popen(call, env=environment, stderr=subprocess.PIPE, text=True)
        begun.append(process)
        said = process.stderr.readline()
        address = re.search(r"http://\S+:\d+/", said)
        assert address, said + process.stderr.read()
        return process, address[0]

    yield run
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture
def ready() -> Callable[[str], Any]:
    """Waits until a server answers, and gives what it says of its health."""

    def wait(address: str) -> Any:
        until = time.monotonic() + 240
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(address + "health") as answer:
                    return json.load(answer)
            except OSError:
                time.sleep(0.05)
        raise AssertionError("it never got ready")

    return wait


@pytest.fixture
def form(screen: Path) -> Callable[[int], bytes]:
    """A form of so many images, all of them the same, its boundary `x`."""

    def write(times: int) -> bytes:
        parts = []
        for number in range(times):
            for channel in CHANNELS:
                pixels = (screen / "images" / f"test-00001_{channel}.png").read_bytes()
                name = f"i{number}_{channel}.png"
                head = f'--x\r\nContent-Disposition: form-data; name="images"; filename="{name}"\r\n\r\n'
                parts.append(head.encode() + pixels + b"\r\n")
        return b"".join(parts) + b"--x--\r\n"

    return write
