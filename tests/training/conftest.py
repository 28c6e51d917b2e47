"""A job small enough to be trained in a fraction of a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holotype.core.progress import Progress
from holotype.core.runtime import Runtime
from holotype.data import PixelCache
from holotype.loading import ImageDataset
from holotype.recipe.sections import ModelSpec
from holotype.training import FitJob
from holotype.types import Normalization

SCALE = Normalization((128.0, 120.0), (60.0, 55.0))


@pytest.fixture(scope="session")
def specimens() -> ImageDataset:
    """Twenty images of two channels and four classes, one label each; bright quarters tell the class."""
    random = np.random.default_rng(3)
    pixels = random.integers(0, 128, (20, 2, 32, 32)).astype(np.uint8)
    classes = np.arange(20) % 4
    for row, number in enumerate(classes):
        pixels[row, :, 16 * (number // 2) :, 16 * (number % 2) :] += 100
    return ImageDataset(PixelCache(pixels, "fit"), SCALE, np.eye(4, dtype=bool)[classes])


@pytest.fixture(scope="session")
def plan_job() -> Callable[..., FitJob]:
    """Makes a job of fifteen training and five validation rows from the phases of its model."""

    def plan(*phases: dict[str, Any], **model: Any) -> FitJob:
        content = {
            "backbone": "test_efficientnet",
            "weights": "none",
            "input": {"size": 32},
            "phases": list(phases) or [{"epochs": 1}],
            **model,
        }
        rows = np.arange(20)
        return FitJob(
            ModelSpec.model_validate(content), 2, 7, rows[:15], rows[15:], tuple("abcd"), "multiclass", None, SCALE
        )

    return plan


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """One thread, batches of five, no news."""
    store: Path = tmp_path_factory.mktemp("store")
    return Runtime(device="cpu", threads=1, batch=5, store=store, progress=Progress(quiet=True))
