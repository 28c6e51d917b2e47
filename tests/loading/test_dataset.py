"""Stored images as a model looks at them: which channels it sees, and whose intensities training changes."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import polars as pl
import pytest
import torch

from holotype.core.errors import DataError
from holotype.data import PixelCache
from holotype.loading import ImageDataset, make_dataset, training_batch
from holotype.recipe.sections import ModelSpec
from holotype.types import ImageStatistics, ImageTable, Normalization

STAINS = ("red", "green", "blue", "yellow")
PIXELS = np.random.default_rng(0).integers(0, 255, (3, 4, 32, 32), np.uint8)
STILL = {"flip": False, "rotate": 0, "scale": [1.0, 1.0], "brightness": 0.5, "contrast": 0.5}


def specimens_of(model: dict[str, Any], names: tuple[str, ...] | None = STAINS) -> tuple[ImageDataset, ModelSpec]:
    section = ModelSpec.model_validate({"input": {"size": 32} | model.get("input", {}), "augment": model["augment"]})
    images = ImageTable(pl.DataFrame(), ("a", "b"), "multilabel", names)
    unread = cast(ImageStatistics, None)  # the set's own normalisation needs no image's
    scale = Normalization((128.0,) * 4, (64.0,) * 4)
    truth = np.zeros((3, 2), bool)
    return make_dataset(section, PixelCache(PIXELS, "fit"), images, unread, scale, truth), section


def batch_of(model: dict[str, Any]) -> torch.Tensor:
    specimens, section = specimens_of(model)
    return training_batch(specimens, np.arange(3), 7, 32, section.augment, torch.device("cpu"))[0]


@pytest.mark.parametrize("seen", [None, ["yellow", "green", "red"]])
def test_green_alone_is_changed_wherever_the_network_sees_it(seen: list[str] | None) -> None:
    section = {"input": {"channels": seen}}
    still = batch_of(section | {"augment": STILL | {"brightness": 0, "contrast": 0}})
    every = batch_of(section | {"augment": STILL})
    green = batch_of(section | {"augment": STILL | {"channels": ["green"]}})
    for place, name in enumerate(seen or STAINS):
        assert torch.allclose(green[:, place], (every if name == "green" else still)[:, place], atol=1e-6)
        assert not torch.allclose(every[:, place], still[:, place], atol=1e-2)


def test_a_channel_without_a_name_cannot_be_told_from_the_others() -> None:
    with pytest.raises(DataError, match="the recipe selects channels by name, and the images have no channel names"):
        specimens_of({"augment": {"channels": ["green"]}}, None)


def test_a_channel_that_the_network_does_not_see_is_refused() -> None:
    with pytest.raises(DataError, match="there is no channel 'blue'"):
        specimens_of({"input": {"channels": ["red", "green"]}, "augment": {"channels": ["blue"]}})
