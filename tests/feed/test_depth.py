"""All 65,536 levels of a 16-bit ramp arrive at the network's input."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import tifffile
import torch

from holotype.augment import identity_matrices, view_matrices
from holotype.data import Pack, measure_images, pack_images, plan_pack
from holotype.feed import Specimens, read_batch, view_batch
from holotype.runtime import Runtime
from holotype.types import ImageTable

SIDE = 256
RAMP = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)


@pytest.mark.parametrize("views", ["none", "d4"])
def test_no_level_is_lost_between_the_file_and_the_network(tmp_path, views):
    tifffile.imwrite(tmp_path / "ramp.tif", RAMP)
    frame = pl.DataFrame({
        "id": ["a"], "sample": ["a"], "role": ["train"], "files": [[str(tmp_path / "ramp.tif")]], "labels": [[0]],
        "domain": pl.Series([None], dtype=pl.String),
    })  # fmt: skip
    images = ImageTable(frame, ("x", "y"), "multiclass")
    statistics = measure_images(images, Runtime())
    plan = plan_pack(statistics, SIDE, "none")
    pack = Pack(pack_images(images, plan, tmp_path, Runtime(), tmp_path / "work"), plan.fitting)
    assert pack.pixels.dtype == np.uint16
    specimens = Specimens(pack, statistics.normalisation, np.zeros((1, 2), bool))
    pixels = read_batch(specimens, np.array([0]), torch.device("cpu"))
    matrices = view_matrices(views) if views != "none" else identity_matrices(1)
    for matrix in matrices:
        seen = view_batch(specimens, pixels, matrix[None], SIDE)[0, 0].double().numpy()
        mean, deviation = statistics.normalisation.mean[0], statistics.normalisation.deviation[0]
        levels = np.rint(seen * deviation + mean)
        assert np.abs(seen * deviation + mean - levels).max() < 0.25  # far enough from the next level to be told apart
        assert len(np.unique(levels)) == SIDE * SIDE
        assert set(levels.ravel()) == set(RAMP.ravel().tolist())
