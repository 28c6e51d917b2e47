"""All 65,536 levels of a 16-bit ramp arrive at the network's input."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import tifffile
import torch

from holotype.augment import identity_matrices, tta_matrices
from holotype.core.runtime import Runtime
from holotype.data import PixelCache, build_pixel_cache, measure_images, plan_pixel_cache
from holotype.loading import ImageDataset, read_batch, view_batch
from holotype.types import ImageTable

SIDE = 256
RAMP = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)


@pytest.mark.parametrize("views", ["none", "d4"])
def test_no_level_is_lost_between_the_file_and_the_network(tmp_path, views):
    tifffile.imwrite(tmp_path / "ramp.tif", RAMP)
    frame = pl.DataFrame(
        {
            "id": ["a"],
            "sample": ["a"],
            "role": ["train"],
            "files": [[str(tmp_path / "ramp.tif")]],
            "labels": [[0]],
            "domain": pl.Series([None], dtype=pl.String),
        }
    )
    images = ImageTable(frame, ("x", "y"), "multiclass")
    statistics = measure_images(images, Runtime())
    plan = plan_pixel_cache(statistics, SIDE, "none")
    pack = PixelCache(build_pixel_cache(images, plan, tmp_path, Runtime(), tmp_path / "work"), plan.resize_mode)
    assert pack.pixels.dtype == np.uint16
    specimens = ImageDataset(pack, statistics.normalization, np.zeros((1, 2), bool))
    pixels = read_batch(specimens, np.array([0]), torch.device("cpu"))
    matrices = tta_matrices(views) if views != "none" else identity_matrices(1)
    for matrix in matrices:
        seen = view_batch(specimens, pixels, matrix[None], SIDE)[0, 0].double().numpy()
        mean, deviation = statistics.normalization.mean[0], statistics.normalization.deviation[0]
        levels = np.rint(seen * deviation + mean)
        assert np.abs(seen * deviation + mean - levels).max() < 0.25  # far enough from the next level to be told apart
        assert len(np.unique(levels)) == SIDE * SIDE
        assert set(levels.ravel()) == set(RAMP.ravel().tolist())
