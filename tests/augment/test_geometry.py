"""One matrix an image and one interpolation a batch, against torch's flips and torchvision's affine."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import _get_inverse_affine_matrix, affine

from holotype.augment import GEOMETRY_DRAWS, affine_matrices, identity_matrices, tta_matrices, warp
from holotype.core.errors import RecipeError
from holotype.recipe.sections import AugmentSpec

STILL = {"flip": False, "rotate": 0.0, "scale": (1.0, 1.0), "shear": 0.0}
MIDDLE, LEAST, MOST, UNMIRRORED = 0.5, 0.0, 1.0, 0.9
SIZES = [8, 17, 32]


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def smooth(size: int) -> torch.Tensor:
    """Two waves, smooth enough that rounding of positions does not show."""
    steps = torch.linspace(-1, 1, size)
    return torch.stack([torch.sin(3 * steps)[:, None] * steps, torch.cos(2 * steps) * steps[:, None] ** 2])[None]


def matrices(spec: dict[str, object], *draws: float) -> torch.Tensor:
    return affine_matrices(torch.tensor([draws]), AugmentSpec(**{**STILL, **spec}))


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


# ---- what changes nothing


@pytest.mark.parametrize("fitting", ["fit", "stretch"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", range(1, 8))
def test_the_identity_gives_the_image_back(size, channels, fitting):
    pixels = noise(2, channels, size, size)
    assert distance(warp(pixels, identity_matrices(2), size, fitting), pixels) < 1e-6 * size


def test_a_spec_of_zeros_draws_the_identity():
    draws = noise(50, GEOMETRY_DRAWS)
    assert distance(affine_matrices(draws, AugmentSpec(**STILL)), identity_matrices(50)) == 0


# ---- views


@pytest.mark.parametrize("size", SIZES)
def test_the_eight_views_are_the_turns_and_mirrorings_of_the_square_each_once(size):
    pixels = noise(1, 3, size, size)
    turned = [torch.rot90(pixels, turns, (2, 3)) for turns in range(4)]
    expected = turned + [image.flip(3) for image in turned]
    seen = [warp(pixels, matrix[None], size) for matrix in tta_matrices("d4")]
    matches = [[number for number, one in enumerate(expected) if distance(one, view) < 1e-5] for view in seen]
    assert sorted(matches) == [[number] for number in range(8)]
    assert matches[0] == [0]


def test_fewer_views_are_the_first_of_the_eight():
    every = tta_matrices("d4")
    assert [len(tta_matrices(name)) for name in ("none", "flips", "d4")] == [1, 4, 8]
    assert distance(tta_matrices("flips"), every[:4]) == 0
    pixels = noise(1, 1, 8, 8)
    flips = [pixels, pixels.flip(3), pixels.flip(2), pixels.flip(2, 3)]
    for matrix, expected in zip(tta_matrices("flips"), flips, strict=True):
        assert distance(warp(pixels, matrix[None], 8), expected) < 1e-5


def test_unknown_views_are_refused_with_the_nearest():
    with pytest.raises(RecipeError, match=r"there are no views 'd-4'; did you mean 'd4'\?; allowed: none, flips, d4"):
        tta_matrices("d-4")


# ---- random matrices


@pytest.mark.parametrize("size", SIZES)
def test_a_quarter_turn_is_rot90_and_a_mirroring_is_a_flip(size):
    pixels = noise(1, 2, size, size)
    turn = matrices({"rotate": 90.0}, MOST, MIDDLE, MIDDLE, UNMIRRORED, UNMIRRORED)
    back = matrices({"rotate": 90.0}, LEAST, MIDDLE, MIDDLE, UNMIRRORED, UNMIRRORED)
    across = matrices({"flip": "horizontal"}, MIDDLE, MIDDLE, MIDDLE, 0.1, 0.1)
    down = matrices({"flip": "vertical"}, MIDDLE, MIDDLE, MIDDLE, 0.1, 0.1)
    both = matrices({"flip": True}, MIDDLE, MIDDLE, MIDDLE, 0.1, 0.1)
    for matrix, expected in (
        (turn, pixels.rot90(1, (2, 3))),
        (back, pixels.rot90(-1, (2, 3))),
        (across, pixels.flip(3)),
        (down, pixels.flip(2)),
        (both, pixels.flip(2, 3)),
    ):
        assert distance(warp(pixels, matrix, size), expected) < 1e-5


def test_magnification_by_two_shows_the_middle_half():
    pixels = noise(1, 2, 16, 16)
    zoom = matrices({"scale": (0.5, 2.0)}, MIDDLE, MOST, MIDDLE, UNMIRRORED, UNMIRRORED)
    half = interpolate(pixels[..., 3:13, 3:13], scale_factor=2, mode="bilinear")[..., 2:-2, 2:-2]
    assert distance(warp(pixels, zoom, 16), half) < 1e-5
    away = matrices({"scale": (0.5, 2.0)}, MIDDLE, LEAST, MIDDLE, UNMIRRORED, UNMIRRORED)
    shrunk = warp(pixels, away, 16)[..., 4:12, 4:12]
    assert distance(shrunk, interpolate(pixels, scale_factor=0.5, mode="bilinear")) < 1e-5


@pytest.mark.parametrize(
    ("spec", "draws", "published"),
    [
        ({"rotate": 30.0}, (MOST, MIDDLE, MIDDLE), {"angle": -30.0}),
        ({"rotate": 40.0}, (0.25, MIDDLE, MIDDLE), {"angle": 20.0}),
        ({"shear": 20.0}, (MIDDLE, MIDDLE, MOST), {"shear": [20.0, 0.0]}),
        ({"shear": 20.0}, (MIDDLE, MIDDLE, LEAST), {"shear": [-20.0, 0.0]}),
        ({"scale": (0.7, 1.3)}, (MIDDLE, MOST, MIDDLE), {"scale": 1.3}),
        ({"rotate": 15.0, "scale": (0.7, 1.3)}, (MOST, LEAST, MIDDLE), {"angle": -15.0, "scale": 0.7}),
    ],
)
def test_turning_shearing_and_scaling_are_those_of_torchvision(spec, draws, published):
    pixels = smooth(33)
    ours = warp(pixels, matrices(spec, *draws, UNMIRRORED, UNMIRRORED), 33)
    settings = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **published}
    theirs = affine(pixels, interpolation=InterpolationMode.BILINEAR, **settings)
    inner = slice(8, 25)  # beyond the edges they fill with zeros and we mirror
    assert distance(ours[..., inner, inner], theirs[..., inner, inner]) < 1e-5


@given(st.lists(st.floats(0, 1, width=32, exclude_max=True), min_size=5, max_size=5))
def test_a_matrix_is_the_product_of_its_parts(draws):
    spec = AugmentSpec(flip=True, rotate=180, scale=(0.5, 2.0), shear=30)
    angle, shear = (draws[0] * 2 - 1) * 180, (draws[2] * 2 - 1) * 30
    scale = math.exp(math.log(0.5) + draws[1] * math.log(4.0))
    turned, sheared = (
        torch.tensor(_get_inverse_affine_matrix([0, 0], degrees, [0, 0], size, [slope, 0.0])).reshape(2, 3)[:, :2]
        for degrees, size, slope in ((-angle, scale, 0.0), (0.0, 1.0, shear))
    )
    mirrored = torch.diag(torch.tensor([-1.0 if draw < 0.5 else 1.0 for draw in draws[3:]]))
    found = affine_matrices(torch.tensor([draws]), spec)[0]
    assert distance(found[:, :2], turned @ sheared @ mirrored) < 1e-4
    assert found[:, 2].abs().max() == 0


def test_draws_stay_inside_their_ranges_and_reach_for_their_ends():
    draws = noise(4000, GEOMETRY_DRAWS)
    turned = affine_matrices(draws, AugmentSpec(**{**STILL, "rotate": 25.0}))
    angles = torch.rad2deg(torch.atan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert 24.5 < float(angles.max()) <= 25.001
    assert -25.001 <= float(angles.min()) < -24.5
    scaled = 1 / affine_matrices(draws, AugmentSpec(**{**STILL, "scale": (0.5, 2.0)}))[:, 0, 0]
    assert (float(scaled.min()) >= 0.4999, float(scaled.max()) <= 2.0001) == (True, True)
    assert abs(float(torch.log(scaled).mean())) < 0.03  # as often larger as smaller
    mirrored = affine_matrices(draws, AugmentSpec(**{**STILL, "flip": True}))
    for axis in (0, 1):
        assert 0.45 < float((mirrored[:, axis, axis] == -1).float().mean()) < 0.55
    sheared = affine_matrices(draws, AugmentSpec(**{**STILL, "shear": 10.0}))[:, 0, 1]
    assert 0.17 < float(sheared.abs().max()) <= math.tan(math.radians(10)) + 1e-6


# ---- other sizes and shapes


@pytest.mark.parametrize(("height", "width"), [(20, 10), (10, 20), (21, 7)])
def test_fit_puts_the_longer_side_into_the_square_and_keeps_the_aspect_ratio(height, width):
    pixels, side = noise(2, 3, height, width), max(height, width)
    fitted = warp(pixels, identity_matrices(2), side, "fit")
    top, left = (side - height) // 2, (side - width) // 2
    assert distance(fitted[..., top : top + height, left : left + width], pixels) < 1e-5
    mirrored = torch.cat([pixels.flip(2), pixels, pixels.flip(2)], 2) if width > height else pixels
    mirrored = torch.cat([mirrored.flip(3), mirrored, mirrored.flip(3)], 3) if height > width else mirrored
    top, left = (mirrored.shape[2] - side) // 2, (mirrored.shape[3] - side) // 2
    assert distance(fitted, mirrored[..., top : top + side, left : left + side]) < 1e-5


@pytest.mark.parametrize(("height", "width"), [(20, 10), (9, 31), (24, 24)])
def test_stretch_fills_the_square_as_a_bilinear_resize_does(height, width):
    pixels = noise(2, 3, height, width)
    stretched = warp(pixels, identity_matrices(1), 24, "stretch")
    expected = interpolate(pixels, size=(24, 24), mode="bilinear", align_corners=False)
    assert distance(stretched, expected) < 1e-5


def test_one_matrix_serves_a_batch_and_each_image_may_have_its_own():
    pixels = noise(3, 2, 9, 9)
    every = tta_matrices("d4")[[1, 4, 6]]
    together = warp(pixels, every, 9)
    for number in range(3):
        alone = warp(pixels[number : number + 1], every[number : number + 1], 9)
        assert torch.equal(together[number : number + 1], alone)
    assert torch.equal(warp(pixels, every[:1], 9), warp(pixels, every[:1].repeat(3, 1, 1), 9))
