"""The first layer of a backbone, whatever timm calls it."""

from __future__ import annotations

import pytest
import timm

from holotype.networks import first_kernels


@pytest.mark.parametrize(
    ("backbone", "shape"), [("test_resnet", (32, 5, 3, 3)), ("test_efficientnet", (16, 5, 3, 3)), ("test_vit", None)]
)
def test_the_kernels_are_those_that_meet_the_channels(backbone: str, shape: tuple[int, ...] | None) -> None:
    network = timm.create_model(backbone, pretrained=False, in_chans=5, num_classes=0)
    kernels = first_kernels(network)
    assert kernels is not None
    assert kernels.shape[1] == 5
    assert shape is None or kernels.shape[1:] == shape[1:]


def test_a_network_that_begins_with_no_convolution_has_none() -> None:
    from torch import nn

    assert first_kernels(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Conv2d(1, 1, 1))) is None
