"""Stored images as a model looks at them: which channels it sees, and whose intensities training changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
import torch

from holotype.core.errors import DataError, RecipeError
from holotype.data import PixelCache
from holotype.loading import ImageDataset, make_dataset, read_batch, training_batch
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


def normalization_of(
    folder: Path, pixels: np.ndarray, mean: list[float], missing: int = 0, **input_section: Any
) -> ImageDataset:
    """The dataset of a model that normalizes as a model folder says."""
    config = {"architecture": "test_vit", "pretrained_cfg": {"mean": mean, "std": [0.25, 0.5, 0.2][: len(mean)]}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").touch()
    section = {"backbone": f"local-dir:{folder}", "input": {"size": 32, "normalize": "weights"} | input_section}
    channels = pixels.shape[1]
    images = ImageTable(pl.DataFrame(), ("a", "b"), "multilabel", STAINS[:channels])
    frame = pl.DataFrame({"missing": [[0] * channels] * 2 + [[missing] * channels]})
    scale = Normalization((1.0,) * channels, (2.0,) * channels, (0.0,) * channels, (9.0,) * channels)
    model, cached = ModelSpec.model_validate(section), PixelCache(pixels, "fit")
    return make_dataset(model, cached, images, ImageStatistics(frame, scale), scale, np.zeros((3, 2), bool))


def test_pixels_are_normalized_as_in_the_pretraining_of_the_weights(tmp_path: Path) -> None:
    mean, deviation = [0.5, 0.25, 0.75], [0.25, 0.5, 0.2]
    dataset = normalization_of(tmp_path, PIXELS[:, :3], mean)
    expected = (PIXELS[:, :3] / 255 - np.reshape(mean, (1, 3, 1, 1))) / np.reshape(deviation, (1, 3, 1, 1))
    batch = read_batch(dataset, np.arange(3), torch.device("cpu"))
    np.testing.assert_allclose(batch.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_selected_channels_take_the_means_in_the_order_of_the_network(tmp_path: Path) -> None:
    dataset = normalization_of(tmp_path, PIXELS, [0.5, 0.25, 0.75], channels=["yellow", "green", "red"])
    assert dataset.normalization.mean == pytest.approx((0.75 * 255, 0.25 * 255, 1.0, 0.5 * 255))
    batch = read_batch(dataset, np.arange(3), torch.device("cpu"))
    np.testing.assert_allclose(batch[:, 0], (PIXELS[:, 3] / 255 - 0.5) / 0.25, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("channels", "channels_as"), [(1, "stacked"), (4, "separate"), (4, "separate-mean")])
def test_gray_images_take_the_mean_over_the_colors(tmp_path: Path, channels: int, channels_as: str) -> None:
    dataset = normalization_of(tmp_path, PIXELS[:, :channels], [0.5, 0.25, 0.75], channels_as=channels_as)
    assert dataset.normalization.mean == pytest.approx((0.5 * 255,) * channels)
    assert dataset.normalization.deviation == pytest.approx(((0.25 + 0.5 + 0.2) / 3 * 255,) * channels)


def test_images_that_lack_a_channel_have_no_mean_of_the_pretraining(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the images have 3 channels, some without all of their channels"):
        normalization_of(tmp_path, PIXELS[:, :3], [0.5, 0.25, 0.75], missing=1)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (PIXELS, "of 3 channels of type uint8, and the images have 4 channels, of type uint8"),
        (PIXELS[:, :3].astype(np.uint16), "the images have 3 channels, of type uint16"),
    ],
)
def test_a_mean_that_does_not_hold_for_the_images_is_refused(tmp_path: Path, pixels: np.ndarray, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        normalization_of(tmp_path, pixels, [0.5, 0.25, 0.75])
