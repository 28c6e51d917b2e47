"""Optimisers, and what of a network they move."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from holotype.registry import Registry
from holotype.spec import OptimizerSpec
from holotype.train.schedules import Moment

__all__ = ["OPTIMISERS", "apply_moment", "make_optimiser", "parameter_groups"]

OPTIMISERS = Registry("optimiser")
ADAM_SECOND_BETA = 0.99  # a short memory of squares suits runs of a few hundred steps
Groups = list[dict[str, object]]


@OPTIMISERS.register
def adamw(groups: Groups, rate: float, spec: OptimizerSpec) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    Args:
        groups: From `parameter_groups`.
        rate: The largest learning rate.
        spec: The recipe's section.
    """
    return AdamW(groups, lr=rate, betas=(spec.momentum, ADAM_SECOND_BETA), amsgrad=spec.amsgrad, fused=True)


@OPTIMISERS.register
def adam(groups: Groups, rate: float, spec: OptimizerSpec) -> Optimizer:
    """Adam with the decay in the gradient (Kingma & Ba 2015).

    Args:
        groups: From `parameter_groups`.
        rate: The largest learning rate.
        spec: The recipe's section.
    """
    return Adam(groups, lr=rate, betas=(spec.momentum, ADAM_SECOND_BETA), amsgrad=spec.amsgrad, fused=True)


@OPTIMISERS.register
def sgd(groups: Groups, rate: float, spec: OptimizerSpec) -> Optimizer:
    """Stochastic gradient descent with momentum.

    Args:
        groups: From `parameter_groups`.
        rate: The largest learning rate.
        spec: The recipe's section.
    """
    nesterov = spec.nesterov and spec.momentum > 0
    return SGD(groups, lr=rate, momentum=spec.momentum, nesterov=nesterov, fused=True)


def make_optimiser(network: nn.Module, rate: float, spec: OptimizerSpec) -> Optimizer:
    """The optimiser of a phase, over what is not frozen.

    Args:
        network: Frozen parts have `requires_grad` off.
        rate: The largest learning rate.
        spec: The recipe's section.

    Raises:
        RecipeError: There is no optimiser of that name.
    """
    optimiser: Optimizer = OPTIMISERS[spec.name](parameter_groups(network, spec.weight_decay), rate, spec)
    for group in optimiser.param_groups:
        group["largest_rate"] = rate
    return optimiser


def parameter_groups(network: nn.Module, weight_decay: float) -> Groups:
    """Weights that decay, and biases and normalisation that do not.

    Args:
        network: The network.
        weight_decay: For tensors of two or more dimensions.
    """
    free = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: Groups = [
        {"params": [parameter for parameter in free if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in free if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def apply_moment(groups: Iterable[dict[str, Any]], moment: Moment) -> None:
    """Tell an optimiser the rate and momentum of a step; a recipe's momentum of 0 stays 0.

    Args:
        groups: Its `param_groups`, each with its `largest_rate`.
        moment: From a schedule.
    """
    for group in groups:
        group["lr"] = group["largest_rate"] * moment.rate
        if moment.momentum is None:
            continue
        if "betas" in group and group["betas"][0] > 0:
            group["betas"] = (moment.momentum, group["betas"][1])
        elif group.get("momentum", 0) > 0:
            group["momentum"] = moment.momentum
