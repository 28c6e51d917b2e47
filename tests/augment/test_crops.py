"""Windows: grids cover the image, drawn windows stay inside, and what is read is what lies there."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from holotype.augment import crop_matrices, identity_matrices, random_crop_centers, tile_centers, warp


def read(image, centres, side):
    """What `warp` reads through each window, shape (windows, channels, side, side)."""
    pixels = torch.from_numpy(image)[None].float().expand(len(centres), *image.shape)
    share = side / max(image.shape[1:])
    return warp(pixels, crop_matrices(identity_matrices(1), centres, share), side).numpy()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 64), (96, 32)])
def test_tiles_of_a_grid_are_the_pixels_cut_out(height, width):
    image = np.random.default_rng(1).random((3, height, width)).astype(np.float32)
    found = read(image, tile_centers(height, width, 32 / max(height, width)), 32)
    cut = [image[:, y : y + 32, x : x + 32] for y in range(0, height, 32) for x in range(0, width, 32)]
    np.testing.assert_allclose(found, np.stack(cut), atol=1e-5)


@given(st.integers(20, 90), st.integers(20, 90), st.integers(8, 40))
def test_a_grid_covers_every_pixel_with_the_fewest_windows(height, width, side):
    longest = max(height, width)
    centres = tile_centers(height, width, side / longest).numpy()
    left = (centres[:, 0] * longest + width - side) / 2
    top = (centres[:, 1] * longest + height - side) / 2
    covered = np.zeros((height, width), bool)
    for x, y in zip(left, top, strict=True):
        covered[max(round(y), 0) : round(y + side), max(round(x), 0) : round(x + side)] = True
    assert covered.all()
    assert len(centres) == -(-height // side) * -(-width // side)


@given(st.integers(20, 90), st.integers(20, 90), st.integers(8, 20), st.integers(0, 2**31))
def test_drawn_windows_stay_inside(height, width, side, seed):
    longest = max(height, width)
    draws = torch.rand(50, 2, generator=torch.Generator().manual_seed(seed))
    centres = random_crop_centers(draws, height, width, side / longest) * longest
    room = torch.tensor([width - side, height - side])
    assert (centres.abs() <= room + 1e-3).all()


def test_a_window_of_the_whole_changes_no_matrix():
    matrices = torch.rand(4, 2, 3)
    assert torch.equal(crop_matrices(matrices, torch.zeros(1, 2), 1.0), matrices)


def test_a_turned_window_turns_about_its_own_centre():
    image = np.random.default_rng(2).random((1, 64, 64)).astype(np.float32)
    half_turn = torch.tensor([[[-1.0, 0, 0], [0, -1.0, 0]]])
    turned = warp(
        torch.from_numpy(image)[None], crop_matrices(half_turn, tile_centers(64, 64, 0.5)[1:2], 0.5), 32
    ).numpy()
    np.testing.assert_allclose(turned[0, 0], image[0, :32, 32:][::-1, ::-1], atol=1e-5)
