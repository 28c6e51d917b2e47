"""Batches that depend on their rows and keys, never on their company, their workers or their time."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from holotype.augment import identity_matrices, tta_matrices
from holotype.data import PixelCache
from holotype.loading import ImageDataset, Tiles, prefetch, read_batch, to_device, training_batch, view_batch
from holotype.recipe.sections import AugmentSpec
from holotype.types import Normalization

CPU = torch.device("cpu")
EVERYTHING = AugmentSpec(flip=True, rotate=180, scale=(0.8, 1.25), shear=10, brightness=0.3, contrast=0.3)
PLAIN = AugmentSpec(flip=False, rotate=0, scale=(1, 1), shear=0, brightness=0, contrast=0)


def specimens(channels: int = 3, depth: str = "uint16", fitting: str = "fit", shape: tuple[int, int] = (16, 12)):
    random = np.random.default_rng(channels)
    pixels = random.integers(0, 250, (20, channels, *shape)).astype(depth)
    truth = random.random((20, 5)) < 0.3
    flat = pixels.transpose(1, 0, 2, 3).reshape(channels, -1).astype(float)
    scale = Normalization(tuple(flat.mean(axis=1)), tuple(flat.std(axis=1)))
    return ImageDataset(PixelCache(pixels, fitting), scale, truth)


rows = st.lists(st.integers(0, 19), min_size=1, max_size=12, unique=True)


@given(rows, st.integers(0, 2**63 - 1), st.randoms(use_true_random=False))
def test_an_augmented_row_is_the_same_in_every_batch(rows, key, random):
    source, chosen = specimens(), np.array(rows)
    pixels, targets = training_batch(source, chosen, key, 14, EVERYTHING, CPU)
    order = random.sample(range(len(rows)), len(rows))[: max(1, len(rows) // 2)]
    others, their_targets = training_batch(source, chosen[order], key, 14, EVERYTHING, CPU)
    torch.testing.assert_close(others, pixels[order], rtol=0, atol=1e-6)
    assert torch.equal(their_targets, targets[order])


def test_a_key_is_an_epoch_and_draws_anew():
    first, again, other = (training_batch(specimens(), np.arange(6), key, 16, EVERYTHING, CPU)[0] for key in (5, 5, 6))
    assert torch.equal(first, again)
    assert ((first - other).abs().amax(dim=(1, 2, 3)) > 0.05).all()


def test_equal_images_of_different_rows_are_augmented_differently():
    source = specimens()
    source.pixel_cache.pixels[:] = source.pixel_cache.pixels[0]
    pixels, _ = training_batch(source, np.arange(6), 5, 16, EVERYTHING, CPU)
    assert all(not torch.equal(pixels[0], other) for other in pixels[1:])


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_without_augmentation_a_batch_is_the_normalised_view_and_the_truth(depth, channels):
    source, chosen = specimens(channels, depth, shape=(16, 16)), np.array([7, 0, 7])
    pixels, targets = training_batch(source, chosen, 1, 16, PLAIN, CPU)
    mean, deviation = (
        np.array(part)[:, None, None] for part in (source.normalization.mean, source.normalization.deviation)
    )
    np.testing.assert_allclose(pixels.numpy(), (source.pixel_cache.pixels[chosen] - mean) / deviation, atol=1e-4)
    np.testing.assert_array_equal(targets.numpy(), source.truth[chosen].astype(np.float32), strict=True)
    assert pixels.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("fitting", ["fit", "stretch"])
def test_training_and_prediction_read_alike(fitting):
    source, chosen = specimens(fitting=fitting), np.arange(4)
    trained, _ = training_batch(source, chosen, 1, 14, PLAIN, CPU)
    read = read_batch(source, chosen, CPU)
    assert (read.dtype, source.channels) == (torch.float32, 3)
    assert torch.equal(view_batch(source, read, identity_matrices(1), 14), trained)
    mirrored = view_batch(source, read, tta_matrices("flips")[1:2], 14)
    torch.testing.assert_close(mirrored, trained.flip(3), rtol=0, atol=1e-5)


def test_a_memory_map_is_read_by_row(tmp_path):
    source = specimens()
    np.save(tmp_path / "pixels.npy", source.pixel_cache.pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    other = ImageDataset(PixelCache(mapped, "fit"), source.normalization, source.truth)
    chosen = np.array([3, 1, 19])
    assert torch.equal(read_batch(other, chosen, CPU), read_batch(source, chosen, CPU))


# ---- prepared ahead


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_things_come_in_order_whatever_the_workers(workers):
    def slow_at_first(number: int) -> int:
        time.sleep(0.01 if number < 3 else 0)
        return number * number

    assert list(prefetch(slow_at_first, range(12), workers)) == [number * number for number in range(12)]
    assert list(prefetch(slow_at_first, [], workers)) == []


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_failure_comes_at_its_own_place(workers):
    def fails_at_four(number: int) -> int:
        if number == 4:
            raise ZeroDivisionError("four")
        return number

    made = prefetch(fails_at_four, range(9), workers)
    assert [next(made) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ZeroDivisionError, match="four"):
        next(made)


@pytest.mark.parametrize(("workers", "most"), [(0, 1), (1, 3), (3, 7)])
def test_only_so_many_are_made_ahead_of_their_use(workers, most):
    begun = []
    made = prefetch(lambda number: begun.append(number) or number, range(100), workers)
    next(made)
    time.sleep(0.05)
    assert len(begun) <= most
    made.close()
    assert len(begun) <= most
    assert threading.active_count() < 20


def test_batches_are_the_same_with_and_without_workers():
    source, chosen = specimens(), [np.array([4, 2]), np.array([9]), np.array([0, 1, 2])]
    every = [
        list(prefetch(lambda rows: training_batch(source, rows, 3, 16, EVERYTHING, CPU), chosen, workers))
        for workers in (0, 3)
    ]
    for (pixels, targets), (others, their_targets) in zip(*every, strict=True):
        assert torch.equal(pixels, others)
        assert torch.equal(targets, their_targets)


# ---- windows, mixing, repeats

ALL_OF_IT = AugmentSpec.model_validate(
    {
        "elastic": 0.05,
        "gamma": 0.3,
        "blur": 0.8,
        "noise": 0.1,
        "random_erasing": 0.3,
        "mix": {"kind": "mixup", "alpha": 0.5},
    }
)


@given(rows, st.integers(0, 2**63 - 1), st.randoms(use_true_random=False))
def test_everything_that_is_drawn_is_drawn_by_row_and_partners_come_from_all_rows(rows, key, random):
    source, chosen = specimens(), np.array(rows)
    pixels, targets = training_batch(source, chosen, key, 14, ALL_OF_IT, CPU, np.arange(20))
    order = random.sample(range(len(rows)), len(rows))[: max(1, len(rows) // 2)]
    others, their_targets = training_batch(source, chosen[order], key, 14, ALL_OF_IT, CPU, np.arange(20))
    torch.testing.assert_close(others, pixels[order], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(their_targets, targets[order])


def test_a_row_that_comes_again_is_drawn_anew():
    again = np.array([[4, 0], [4, 1], [4, 0]])
    pixels, _ = training_batch(specimens(), again, 7, 14, EVERYTHING, CPU)
    assert torch.equal(pixels[0], pixels[2])
    assert not torch.allclose(pixels[0], pixels[1])
    alone, _ = training_batch(specimens(), np.array([4]), 7, 14, EVERYTHING, CPU)
    assert torch.equal(alone[0], pixels[0])


@pytest.mark.parametrize(("placed", "places"), [("grid", 4), ("random", None)])
def test_training_tiles_are_parts_of_the_image(placed, places):
    source = replace(specimens(shape=(16, 16)), tiles=Tiles(8, placed))
    stored = read_batch(source, np.array([3]), CPU)[0]
    seen = set()
    for key in range(60):
        tile = training_batch(source, np.array([3]), key, 8, PLAIN, CPU)[0][0]
        found = [
            (y, x)
            for y in range(9)
            for x in range(9)
            if torch.allclose(tile, stored[:, y : y + 8, x : x + 8], atol=1e-4)
        ]
        seen.update(found)
        if placed == "grid":
            assert found
    assert places is None or seen == {(0, 0), (0, 8), (8, 0), (8, 8)}


def test_a_crop_sees_its_share_of_the_image_at_its_own_scale():
    source = replace(specimens(shape=(20, 20)), crop_share=0.5)
    source.pixel_cache.pixels[:] = np.arange(20)  # a ramp tells the scale
    seen = [training_batch(source, np.array([3]), key, 10, PLAIN, CPU)[0][0, 0, 0] for key in range(30)]
    step = 1 / source.normalization.deviation[0]
    for row in seen:
        torch.testing.assert_close(row.diff(), torch.full((9,), step), rtol=1e-3, atol=1e-3)
    assert len({round(float(row[0]), 4) for row in seen}) > 20


def test_pixels_go_to_a_gpu_through_pinned_memory_without_waiting() -> None:
    calls: list[tuple[str, object]] = []

    class Values:
        """Stands for a tensor in main memory."""

        def pin_memory(self) -> Values:
            calls.append(("pinned", None))
            return self

        def to(self, device: torch.device, non_blocking: bool = False) -> Values:
            calls.append((device.type, non_blocking))
            return self

    to_device(Values(), torch.device("cuda"))  # type: ignore[arg-type]
    to_device(Values(), torch.device("cpu"))  # type: ignore[arg-type]
    assert calls == [("pinned", None), ("cuda", True), ("cpu", False)]
