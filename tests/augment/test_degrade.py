"""Elastic warps, exponents, saturation, blur, noise, erasing and mixing: each against a slow or published form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms.v2 import functional as published

from holotype.augment import (
    DEGRADATION_DRAWS,
    MIX_DRAWS,
    apply_degradations,
    elastic_displacement,
    identity_matrices,
    mix_batches,
    validate_augment,
    warp,
)
from holotype.augment.degrade import add_noise, adjust_gamma, adjust_saturation, blur, random_erase
from holotype.core.errors import RecipeError
from holotype.recipe.sections import AugmentSpec, MixSpec

KEYS = np.arange(8, dtype=np.uint64) * np.uint64(12345)


def images(count: int = 8, channels: int = 3, side: int = 24) -> torch.Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(count + channels))


def draws(count: int, numbers: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, numbers, generator=torch.Generator().manual_seed(seed))


# ---- elastic


def test_a_warp_of_nothing_is_the_plain_warp():
    pixels, matrices = images(), identity_matrices(8) * 0.9
    bent = elastic_displacement(draws(8, 32), 0.0, 20)
    torch.testing.assert_close(warp(pixels, matrices, 20, displacement=bent), warp(pixels, matrices, 20))


def test_a_displacement_is_smooth_and_bounded_by_its_strength():
    bent = elastic_displacement(draws(50, 32), 0.1, 64)
    assert bent.shape == (50, 64, 64, 2)
    assert bent.abs().max() <= 0.2 * 1.4  # the cubic overshoots its knots a little
    assert (bent[:, 1:] - bent[:, :-1]).abs().max() < 0.05


def test_a_displacement_moves_what_is_seen_before_the_matrix():
    pixels = torch.arange(16.0).expand(1, 1, 16, 16).contiguous()
    shift = torch.zeros(1, 16, 16, 2)
    shift[..., 0] = 4 / 8  # four pixels to the right, in units of half of the side
    half = identity_matrices(1) * 0.5
    moved, plain = warp(pixels, half, 16, displacement=shift), warp(pixels, half, 16)
    torch.testing.assert_close(moved, plain + 2)  # the matrix sees half as far


# ---- optics


def test_an_exponent_keeps_the_darkest_and_the_brightest_and_is_a_power_between():
    pixels, exponents = images(), torch.linspace(0.4, 2.5, 8)
    found = adjust_gamma(pixels, exponents)
    torch.testing.assert_close(found.amin(dim=(2, 3)), pixels.amin(dim=(2, 3)))
    torch.testing.assert_close(found.amax(dim=(2, 3)), pixels.amax(dim=(2, 3)))
    low, high = pixels[3, 1].min(), pixels[3, 1].max()
    unit = ((pixels[3, 1] - low) / (high - low)).double()
    slow = low.double() + (high - low).double() * unit ** float(exponents[3])
    torch.testing.assert_close(found[3, 1].double(), slow, rtol=1e-4, atol=1e-5)
    flat = torch.full((1, 1, 4, 4), 2.5)
    assert torch.isfinite(adjust_gamma(flat, torch.tensor([0.5]))).all()


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.6])
def test_saturation_is_that_of_torchvision(factor):
    pixels = images(2).sigmoid() * 0.4 + 0.3  # within what torchvision does not clip
    expected = published.adjust_saturation(pixels, factor)
    torch.testing.assert_close(adjust_saturation(pixels, torch.full((2,), factor)), expected, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("deviation", [0.6, 1.0, 1.7])
def test_blur_is_that_of_torchvision(deviation):
    pixels = images(4, 5)
    reach = int(np.ceil(3 * 1.7))
    expected = published.gaussian_blur(pixels, [2 * reach + 1] * 2, [deviation] * 2)
    torch.testing.assert_close(blur(pixels, torch.full((4,), deviation), 1.7), expected, rtol=1e-4, atol=1e-5)


def test_a_blur_of_nothing_changes_nothing():
    pixels = images()
    torch.testing.assert_close(blur(pixels, torch.zeros(8), 2.0), pixels)


def test_noise_has_its_deviation_and_depends_on_its_key_alone():
    pixels = torch.zeros(8, 4, 64, 64)
    deviations = torch.linspace(0.1, 0.8, 8)
    found = add_noise(pixels, deviations, KEYS)
    torch.testing.assert_close(found.std(dim=(1, 2, 3)), deviations, rtol=0.03, atol=0)
    assert stats.kstest((found[5] / deviations[5]).flatten()[::7].numpy(), "norm").pvalue > 1e-3
    assert torch.equal(add_noise(pixels[:1], deviations[3:4], KEYS[3:4]), found[3:4])
    assert not torch.equal(found[0] / deviations[0], found[1] / deviations[1])


def test_erasing_takes_the_share_and_the_areas_that_are_written():
    pixels = torch.ones(4000, 1, 32, 32)
    gone = (random_erase(pixels, draws(4000, 5), 0.25) == 0).float().mean(dim=(1, 2, 3))
    assert float((gone > 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    lost = gone[gone > 0]
    assert lost.min() > 0.005
    assert lost.max() < 0.40
    assert float(lost.mean()) == pytest.approx(0.17, abs=0.03)
    torch.testing.assert_close(random_erase(pixels[:9], draws(9, 5), 0.0), pixels[:9])


def test_what_is_drawn_for_a_row_does_not_depend_on_its_company():
    spec = AugmentSpec(gamma=0.4, saturation=0.3, blur=1.5, noise=0.2, random_erasing=0.5)
    pixels, numbers = images(), draws(8, DEGRADATION_DRAWS)
    together = apply_degradations(pixels, numbers, spec, KEYS)
    some = [5, 2, 7]
    alone = apply_degradations(pixels[some], numbers[some], spec, KEYS[some])
    torch.testing.assert_close(alone, together[some], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(together, pixels)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_any_number_of_channels_passes_and_saturation_is_for_three(channels):
    spec = AugmentSpec(gamma=0.4, blur=1.5, noise=0.2, random_erasing=0.5)
    assert apply_degradations(images(8, channels), draws(8, DEGRADATION_DRAWS), spec, KEYS).shape == (
        8,
        channels,
        24,
        24,
    )
    validate_augment(spec, channels)
    with pytest.raises(RecipeError, match=f"reads {channels} channels"):
        validate_augment(AugmentSpec(saturation=0.2), channels)


# ---- mixing


def targets(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.eye(4)[torch.arange(count) % 4], torch.eye(4)[(torch.arange(count) + 1) % 4]


@pytest.mark.parametrize("kind", ["mixup", "cutmix", "sample-pairing"])
def test_one_label_a_sample_still_sums_to_one(kind):
    mixed, labels = mix_batches(images(), images(8, 3) + 9, *targets(8), draws(8, MIX_DRAWS), MixSpec(kind=kind))
    assert mixed.shape == (8, 3, 24, 24)
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(8))


def test_mixup_weighs_images_and_labels_alike_by_a_beta():
    first, second = torch.zeros(3000, 1, 2, 2), torch.ones(3000, 1, 2, 2)
    own, others = targets(3000)
    mixed, labels = mix_batches(first, second, own, others, draws(3000, MIX_DRAWS), MixSpec(kind="mixup", alpha=0.3))
    weight = 1 - mixed[:, 0, 0, 0]
    torch.testing.assert_close(labels, own * weight[:, None] + others * (1 - weight[:, None]))
    assert stats.kstest(weight.numpy(), stats.beta(0.3, 0.3).cdf).pvalue > 1e-3


def test_cutmix_gives_labels_by_the_area_that_is_covered():
    first, second = torch.zeros(500, 1, 32, 32), torch.ones(500, 1, 32, 32)
    own, others = targets(500)
    mixed, labels = mix_batches(first, second, own, others, draws(500, MIX_DRAWS), MixSpec(kind="cutmix", alpha=1.0))
    covered = mixed.mean(dim=(1, 2, 3))
    torch.testing.assert_close(labels, own * (1 - covered[:, None]) + others * covered[:, None])
    assert 0.2 < float(covered.mean()) < 0.5
    assert set(mixed.unique().tolist()) == {0.0, 1.0}


def test_pairing_is_the_mean_with_the_first_ones_labels():
    first, second = images(), images(8, 3) + 3
    own, others = targets(8)
    mixed, labels = mix_batches(first, second, own, others, draws(8, MIX_DRAWS), MixSpec(kind="sample-pairing"))
    torch.testing.assert_close(mixed, (first + second) / 2)
    assert torch.equal(labels, own)


@pytest.mark.parametrize("kind", ["mixup", "cutmix", "sample-pairing"])
def test_a_share_of_nothing_mixes_nothing(kind):
    first, (own, others) = images(), targets(8)
    mixed, labels = mix_batches(first, first + 1, own, others, draws(8, MIX_DRAWS), MixSpec(kind=kind, probability=0.0))
    torch.testing.assert_close(mixed, first)
    torch.testing.assert_close(labels, own)
