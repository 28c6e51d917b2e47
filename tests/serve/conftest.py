"""A served run, and an answerer that knows no network, so that what the server itself does is quick to test."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from holotype.data import read_image
from holotype.errors import DataError
from holotype.serve import About, Answer, Limits, Question, Rules, Service, make_app

WriteRecipe = Callable[..., Path]
AT_HOME = "http://127.0.0.1"


class Stand:
    """Answers with the mean of an image's pixels."""

    about = About("stand", "0", {"recipe.yaml": "1"}, "multilabel", ("dark", "bright"), (0.5, None), "threshold", (), 1,
                  None, (".png", ".tif", ".npy", ".jpg"))  # fmt: skip
    files_an_image, nearest = 1, "off"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.opens, self.answers = Event(), Event()
        self.opens.set(), self.answers.set()

    def open(self) -> None:
        self.opens.wait(10)

    def place(self, name: str) -> tuple[str, int]:
        return Path(name).stem, 0

    def read(self, files: Sequence[Path], most: int, picture: bool) -> Question:
        pixels = read_image(files, most)
        if len(pixels) != 1:
            raise DataError(f"the image has {len(pixels)} channels")
        return Question(pixels.dtype.name, pixels.shape, pixels.dtype.name, float(pixels.mean()))

    def answer(self, questions: Sequence[Question], nearest: int) -> list[Answer]:
        self.answers.wait(10)
        assert len({question.form for question in questions}) == 1
        self.batches.append(len(questions))
        if any(question.content == 13 for question in questions):
            raise DataError("thirteen is not answered for", field="images")
        return [Answer(("bright",), {"bright": question.content / 255, "dark": 0.25}) for question in questions]

    def explain(self, question: Question, name: str) -> bytes:
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
    answerer: Any, limits: Limits | None = None, rules: Rules | None = None, **given: Any
) -> Iterator[TestClient]:
    app = make_app(Service(answerer, limits or Limits(), 2), rules or Rules())
    with TestClient(app, base_url=AT_HOME, **given) as client:
        if not isinstance(answerer, Stand) or answerer.opens.is_set():
            until = time.monotonic() + 60
            while not client.get("/health").json()["ready"]:
                assert time.monotonic() < until, client.get("/health").json()
                time.sleep(0.01)
        yield client


@pytest.fixture
def ask() -> Callable[..., Any]:
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
    """A finished run of two members and two folds, with views, calibration, label sets and thresholds."""
    from holotype.face import run

    def member(name: str, views: str) -> dict[str, Any]:
        return {"name": name, "backbone": "test_efficientnet", "weights": "none", "input": {"size": 64},
                "phases": [{"epochs": 2, "lr": 0.002}], "predict": {"views": views}}  # fmt: skip

    recipe = write_recipe(
        tmp_path_factory.mktemp("kept"), split={"folds": 2}, members=[member("a", "flips"), member("b", "none")],
        ensemble={"kind": "weighted"}, calibrate={"method": "temperature", "sets": 0.9, "abstain": 0.1},
        decide={"kind": "per-class", "repeats": 2},
    )  # fmt: skip
    return run(recipe).folder.root
