"""Optimisers against PyTorch's own, and which weights decay."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from holotype.core.errors import RecipeError
from holotype.recipe.sections import OptimizerSpec
from holotype.training.optimizers import OPTIMIZERS, make_optimizer, parameter_groups, set_lr_and_momentum
from holotype.training.schedules import ScheduleValue


def small_network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))


def give_gradients(network: nn.Module, step: int) -> None:
    torch.manual_seed(100 + step)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)


def momenta(optimiser: torch.optim.Optimizer) -> set[float]:
    """Momentum, or Adam's first beta, of every group."""
    return {group["betas"][0] if "betas" in group else group["momentum"] for group in optimiser.param_groups}


CASES: dict[str, tuple[dict[str, Any], type[torch.optim.Optimizer], dict[str, Any]]] = {
    "adamw": ({"name": "adamw", "amsgrad": False}, torch.optim.AdamW, {"betas": (0.8, 0.99)}),
    "adamw amsgrad": ({"name": "adamw", "amsgrad": True}, torch.optim.AdamW, {"betas": (0.8, 0.99), "amsgrad": True}),
    "adam": ({"name": "adam"}, torch.optim.Adam, {"betas": (0.8, 0.99)}),
    "sgd nesterov": ({"name": "sgd"}, torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
    "sgd": ({"name": "sgd", "nesterov": False}, torch.optim.SGD, {"momentum": 0.8}),
}


@pytest.mark.parametrize(("section", "theirs", "options"), CASES.values(), ids=CASES)
def test_an_optimiser_takes_the_steps_of_torchs(
    section: dict[str, Any], theirs: type[torch.optim.Optimizer], options: dict[str, Any]
) -> None:
    rate, decay = 0.01, 0.1
    ours, reference = small_network(), small_network()
    optimiser = make_optimizer(ours, rate, OptimizerSpec(weight_decay=decay, momentum=0.8, **section))
    wide = [parameter for parameter in reference.parameters() if parameter.ndim > 1]
    narrow = [parameter for parameter in reference.parameters() if parameter.ndim < 2]
    groups = [{"params": wide, "weight_decay": decay}, {"params": narrow, "weight_decay": 0.0}]
    known = theirs(groups, lr=rate, **options)  # type: ignore[call-arg]
    for step in range(4):
        for network, either in ((ours, optimiser), (reference, known)):
            give_gradients(network, step)
            either.step()
    for mine, right in zip(ours.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-5, atol=1e-6)


def test_only_tensors_of_two_or_more_dimensions_decay() -> None:
    decaying, others = parameter_groups(small_network(), 0.3)
    assert [tuple(parameter.shape) for parameter in decaying["params"]] == [(4, 2, 3, 3), (3, 144)]  # type: ignore[attr-defined]
    assert [parameter.ndim for parameter in others["params"]] == [1, 1, 1, 1]  # type: ignore[attr-defined]
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0.0)


def test_frozen_parameters_are_in_no_group() -> None:
    network = small_network()
    for parameter in network[0].parameters():
        parameter.requires_grad_(False)
    held = [id(parameter) for group in parameter_groups(network, 0.1) for parameter in group["params"]]  # type: ignore[attr-defined]
    assert sorted(held) == sorted(id(parameter) for parameter in network.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_moment_sets_rate_and_momentum(name: str) -> None:
    optimiser = make_optimizer(small_network(), 0.02, OptimizerSpec(name=name))
    set_lr_and_momentum(optimiser.param_groups, ScheduleValue(0.5, 0.87))
    assert momenta(optimiser) == {0.87}
    assert {group["lr"] for group in optimiser.param_groups} == {0.01}
    assert {group["betas"][1] for group in optimiser.param_groups if "betas" in group} <= {0.99}
    set_lr_and_momentum(optimiser.param_groups, ScheduleValue(0.25))
    assert momenta(optimiser) == {0.87}
    assert {group["lr"] for group in optimiser.param_groups} == {0.005}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_momentum_of_zero_is_not_cycled(name: str) -> None:
    optimiser = make_optimizer(small_network(), 0.02, OptimizerSpec(name=name, momentum=0.0))
    set_lr_and_momentum(optimiser.param_groups, ScheduleValue(1.0, 0.95))
    assert momenta(optimiser) == {0.0}


def test_an_unknown_optimiser_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match="did you mean 'adamw'"):
        make_optimizer(small_network(), 0.1, OptimizerSpec(name="adamww"))
