"""Normalisation and jitter, against NumPy, channel by channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from holotype.augment import intensity_draws, jitter, normalize
from holotype.core.progress import Progress
from holotype.core.runtime import Runtime
from holotype.data import build_pixel_cache, measure_images, plan_pixel_cache
from holotype.recipe.sections import AugmentSpec
from holotype.types import ImageTable

RANDOM = np.random.default_rng(11)


def batch(count: int, channels: int) -> torch.Tensor:
    return torch.from_numpy(RANDOM.normal(0, 1, (count, channels, 6, 5))).float()


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", range(1, 8))
def test_normalise_is_what_numpy_computes_channel_by_channel(depth, channels):
    pixels = (RANDOM.random((2, channels, 6, 5)) * 255).astype(depth)
    mean, deviation = RANDOM.uniform(0, 200, channels), RANDOM.uniform(1, 90, channels)
    expected = (pixels - mean[:, None, None]) / deviation[:, None, None]
    found = normalize(torch.from_numpy(pixels), mean.tolist(), deviation.tolist())
    assert (found.dtype, found.shape) == (torch.float32, pixels.shape)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_no_level_of_16_bits_is_lost_between_the_file_and_the_network(tmp_path: Path):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    rows = {"id": ["a"], "sample": ["a"], "role": ["train"], "files": [[str(tmp_path / "ramp.png")]], "labels": [[0]]}
    images = ImageTable(pl.DataFrame(rows), ("a", "b"), "multiclass")
    runtime = Runtime(threads=1, progress=Progress(quiet=True))
    statistics = measure_images(images, runtime)
    stored = build_pixel_cache(images, plan_pixel_cache(statistics, 256, "none"), None, runtime)
    scale = statistics.normalization
    levels = normalize(torch.from_numpy(stored), scale.mean, scale.deviation).numpy()[0, 0].ravel()
    assert (np.diff(levels) > 0).all()
    np.testing.assert_allclose((levels.mean(), levels.std()), (0, 1), atol=1e-3)


def test_ranges_of_zero_leave_the_pixels_untouched():
    pixels = batch(3, 2)
    draws = torch.rand(3, intensity_draws(2))
    assert torch.equal(jitter(pixels, draws, AugmentSpec(brightness=0, contrast=0)), pixels)


@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32), st.floats(0, 0.9), st.floats(0, 2))
def test_jitter_stretches_about_the_mean_of_the_channel_and_shifts(contrast, brightness, most_contrast, most):
    pixels = batch(1, 1)
    draws = torch.tensor([[contrast, brightness]])
    found = jitter(pixels, draws, AugmentSpec(brightness=most, contrast=most_contrast)).numpy()
    image = pixels.double().numpy()
    gain, shift = 1 + (2 * contrast - 1) * most_contrast, (2 * brightness - 1) * most
    np.testing.assert_allclose(found, (image - image.mean()) * gain + image.mean() + shift, atol=1e-5)


@pytest.mark.parametrize("channels", range(1, 8))
def test_every_channel_and_every_image_has_its_own_draws(channels):
    pixels, spec = batch(2, channels), AugmentSpec(brightness=0.5, contrast=0.5)
    draws = torch.full((2, intensity_draws(channels)), 0.5)
    assert torch.allclose(jitter(pixels, draws, spec), pixels, atol=1e-6)
    for number in (0, channels + channels // 2):  # the first one's contrast, a middle one's brightness
        changed = draws.clone()
        changed[1, number] = 0.9
        touched = (jitter(pixels, changed, spec) - pixels).abs().amax(dim=(2, 3)) > 1e-3
        expected = torch.zeros(2, channels, dtype=torch.bool)
        expected[1, number % channels] = True
        assert torch.equal(touched, expected)


def test_brightness_alone_keeps_the_spread_and_contrast_alone_keeps_the_mean():
    pixels, draws = batch(4, 3), torch.rand(4, 6, generator=torch.Generator().manual_seed(1))
    brighter = jitter(pixels, draws, AugmentSpec(brightness=1.0, contrast=0))
    assert torch.allclose(brighter.std(dim=(2, 3)), pixels.std(dim=(2, 3)), atol=1e-5)
    assert not torch.allclose(brighter.mean(dim=(2, 3)), pixels.mean(dim=(2, 3)), atol=1e-2)
    stretched = jitter(pixels, draws, AugmentSpec(brightness=0, contrast=0.5))
    assert torch.allclose(stretched.mean(dim=(2, 3)), pixels.mean(dim=(2, 3)), atol=1e-5)
    ratio = stretched.std(dim=(2, 3)) / pixels.std(dim=(2, 3))
    assert torch.allclose(ratio, 1 + (2 * draws[:, :3] - 1) * 0.5, atol=1e-4)


@pytest.mark.parametrize("changed", [(1,), (0, 3), (0, 1, 2, 3)])
def test_channels_that_are_not_named_stay_and_the_others_change_as_they_would_anyway(changed):
    pixels, spec = batch(3, 4), AugmentSpec(brightness=0.5, contrast=0.5)
    draws = torch.rand(3, intensity_draws(4), generator=torch.Generator().manual_seed(2))
    found, every = jitter(pixels, draws, spec, changed), jitter(pixels, draws, spec)
    for channel in range(4):
        assert torch.allclose(found[:, channel], (every if channel in changed else pixels)[:, channel], atol=1e-6)
