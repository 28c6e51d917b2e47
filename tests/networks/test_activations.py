"""Activations by name, and a backbone's own replaced throughout, gates left alone."""

from __future__ import annotations

from collections import Counter

import pytest
import timm
import torch
from torch import nn

from holotype.core.errors import RecipeError
from holotype.networks import build_network
from holotype.networks.activations import ACTIVATIONS, REPLACEABLE_ACTIVATIONS, make_activation, replace_activations
from holotype.recipe.sections import ModelSpec

FAMILIES = ["efficientnet_b0", "resnet18", "seresnext26t_32x4d", "convnext_atto", "densenet121", "vit_tiny_patch16_224"]


def kinds(network: nn.Module) -> Counter[str]:
    return Counter(type(module).__name__ for module in network.modules() if isinstance(module, REPLACEABLE_ACTIVATIONS))


@pytest.mark.parametrize("backbone", FAMILIES)
def test_the_named_activation_is_all_that_remains(backbone: str) -> None:
    network = timm.create_model(backbone, num_classes=0, global_pool="")
    before = sum(kinds(network).values())
    gates = sum(isinstance(module, nn.Sigmoid) for module in network.modules())
    assert replace_activations(network, "mish") == before > 0
    assert kinds(network) == {"Mish": before}
    assert sum(isinstance(module, nn.Sigmoid) for module in network.modules()) == gates


def test_another_activation_is_another_function_of_the_same_weights() -> None:
    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", num_classes=0, global_pool="").eval()
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = network(pixels)
        replace_activations(network, "mish")
        assert not torch.allclose(before, network(pixels))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_has_a_gradient(name: str) -> None:
    values = torch.linspace(-3, 3, 13, requires_grad=True)
    make_activation(name, inplace=False)(values).sum().backward()
    assert torch.isfinite(values.grad).all()  # type: ignore[arg-type]


def test_names_may_be_written_with_either_sign_and_are_refused_with_the_nearest() -> None:
    assert isinstance(make_activation("Leaky-ReLU"), nn.LeakyReLU)
    with pytest.raises(RecipeError, match="did you mean 'mish'"):
        make_activation("mishh")


def test_a_backbone_without_one_is_refused() -> None:
    with pytest.raises(RecipeError, match="Linear has no activation"):
        replace_activations(nn.Linear(2, 2), "mish")


def test_a_model_has_its_activation() -> None:
    model = ModelSpec.model_validate({"backbone": "test_efficientnet", "weights": "none", "activation": "gelu"})
    assert set(kinds(build_network(model, 2, 3, 0)[0].backbone)) == {"GELU"}


LARGE = [
    *(f"efficientnet_b{number}" for number in range(8)),
    "seresnext50_32x4d",
    "densenet121",
    "inception_v3",
    "inception_v4",
    "legacy_xception",
    "xception41",
    "resnet34",
    "resnet101",
    "convnext_tiny",
    "vit_small_patch16_224",
]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", LARGE)
def test_every_family_of_the_systems_learns_from_four_channels(backbone: str) -> None:
    size = 96 if "inception" in backbone else 64
    model = ModelSpec.model_validate({"backbone": backbone, "weights": "none", "input": {"size": size}})
    network, _ = build_network(model, 5, 4, 0)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    logits = network(torch.randn(2, 4, size, size))
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    optimiser.step()
