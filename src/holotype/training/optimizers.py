"""Optimizers and their parameter groups."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from holotype.core.errors import RecipeError
from holotype.core.registry import Registry
from holotype.recipe.sections import OptimizerSpec
from holotype.training.schedules import ScheduleValue

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

OPTIMIZERS = Registry("optimizer")
"""Optimizers by name: functions of the groups of `parameter_groups`, the largest rate, and the recipe's section."""
ADAM_SECOND_BETA = 0.99  # below the usual 0.999, for runs of a few hundred steps
UNSUPPORTED = {"lbfgs", "sparseadam"}  # a closure, and sparse gradients
Groups = list[dict[str, object]]


@OPTIMIZERS.register
def adamw(groups: Groups, rate: float, spec: OptimizerSpec) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""
    from torch.optim import AdamW

    return AdamW(groups, lr=rate, betas=(spec.momentum, ADAM_SECOND_BETA), amsgrad=spec.amsgrad, fused=True)


@OPTIMIZERS.register
def adam(groups: Groups, rate: float, spec: OptimizerSpec) -> Optimizer:
    """Adam with weight decay in the gradient (Kingma & Ba 2015)."""
    from torch.optim import Adam

    return Adam(groups, lr=rate, betas=(spec.momentum, ADAM_SECOND_BETA), amsgrad=spec.amsgrad, fused=True)


@OPTIMIZERS.register
def sgd(groups: Groups, rate: float, spec: OptimizerSpec) -> Optimizer:
    """Stochastic gradient descent with momentum."""
    from torch.optim import SGD

    nesterov = spec.nesterov and spec.momentum > 0
    return SGD(groups, lr=rate, momentum=spec.momentum, nesterov=nesterov, fused=True)


def make_optimizer(network: nn.Module, rate: float, spec: OptimizerSpec, layer_decay: float | None = None) -> Optimizer:
    """Make the optimizer of a phase over the trainable parameters.

    `network`: frozen parameters have `requires_grad` off; `spec`: a name that is not in `OPTIMIZERS` is looked up in
    `torch.optim`. Raises RecipeError if no optimizer has this name, or it does not have an option.
    """
    groups = parameter_groups(network, spec.weight_decay, layer_decay)
    shares = [float(group.pop("share")) for group in groups]  # type: ignore[arg-type]
    optimizer: Optimizer = optimizer_factory(spec)(groups, rate)
    for group, share in zip(optimizer.param_groups, shares, strict=True):
        group["largest_rate"] = rate * share
    return optimizer


def optimizer_factory(spec: OptimizerSpec) -> Callable[[Groups, float], Optimizer]:
    """Find the function that makes an optimizer from parameter groups and a rate."""
    if spec.name in OPTIMIZERS:
        if spec.options:
            raise RecipeError(
                f"{spec.name!r} takes its options as keys of `optimizer`, not under `options`",
                field="optimizer.options",
                allowed=[*OptimizerSpec.model_fields],
            )
        return lambda groups, rate: OPTIMIZERS[spec.name](groups, rate, spec)
    import torch

    torch_optimizers = {name.lower(): kind for name, kind in vars(torch.optim).items() if _is_usable(name, kind)}
    kind = torch_optimizers.get(spec.name.lower().replace("-", "").replace("_", ""))
    if kind is None:
        reason = "; it needs a closure or sparse gradients" if spec.name.lower() in UNSUPPORTED else ""
        allowed = sorted({*OPTIMIZERS, *torch_optimizers})
        raise RecipeError(f"no optimizer is named {spec.name!r}{reason}", value=spec.name, allowed=allowed)
    parameters = list(inspect.signature(kind).parameters)
    allowed = [name for name in parameters if name not in {"params", "lr", "weight_decay"}]
    unknown = [name for name in spec.options if name not in allowed]
    if unknown:
        message = f"{kind.__name__} has no option {unknown[0]!r}"
        raise RecipeError(message, field="optimizer.options", value=unknown[0], allowed=allowed)
    options = dict(spec.options)
    if "momentum" in parameters:
        options.setdefault("momentum", spec.momentum)
    if "betas" in parameters:
        options.setdefault("betas", (spec.momentum, ADAM_SECOND_BETA))
    return lambda groups, rate: kind(groups, lr=rate, **options)


def _is_usable(name: str, kind: object) -> bool:
    from torch.optim import Optimizer

    usable = name != "Optimizer" and name.lower() not in UNSUPPORTED
    return usable and isinstance(kind, type) and issubclass(kind, Optimizer)


def parameter_groups(network: nn.Module, weight_decay: float, layer_decay: float | None = None) -> Groups:
    """Group trainable parameters by weight decay (none for biases and normalization) and by layer.

    `layer_decay`: factor on the rate per layer of distance from the head (Clark et al. 2020, "ELECTRA"). Returns groups
    with `params`, `weight_decay` and `share`, their part of the largest rate.
    """
    depths = {} if layer_decay is None else _layer_depths(network)
    by_depth: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            by_depth.setdefault((depths.get(name, 0), parameter.ndim < 2), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": 0.0 if is_vector else weight_decay,
            "share": (layer_decay or 1.0) ** depth,
        }
        for (depth, is_vector), parameters in sorted(by_depth.items(), key=lambda entry: entry[0])
    ]


def _layer_depths(network: nn.Module) -> dict[str, int]:
    from timm.models import group_parameters

    backbone: Any = network.backbone
    if not hasattr(backbone, "group_matcher"):
        raise RecipeError(
            f"the backbone {type(backbone).__name__} does not list its layers (it has no `group_matcher`, see timm)",
            field="layer_decay",
            remedy="leave it out",
        )
    groups = group_parameters(backbone, backbone.group_matcher(coarse=False))
    layers = sorted({layer for layer, names in groups.items() if names}, reverse=True)
    return {f"backbone.{name}": depth for depth, layer in enumerate(layers, start=1) for name in groups[layer]}


def carry_momentum(old: Optimizer, new: Optimizer) -> int:
    """Copy momentum from one optimizer to the next, for shared parameters.

    Between optimizers of one kind the whole state is copied. Adam's first moment is a mean of gradients, SGD's buffer a
    sum with weights that shrink by the momentum m, so they convert by the factor 1 / (1 - m). Adam's second moment has
    no counterpart and is initialized from the first, with the bias correction of one step.
    """
    import torch
    from torch.optim import SGD

    carried = 0
    for group in new.param_groups:
        for parameter in group["params"]:
            state = old.state.get(parameter)
            if not state:
                continue
            new_state = dict(state) if type(old) is type(new) else _convert_state(state, _momentum(group), new)
            if group.get("amsgrad") and "exp_avg_sq" in new_state:
                new_state.setdefault("max_exp_avg_sq", new_state["exp_avg_sq"].clone())
            new.state[parameter].update(new_state)
            carried += bool(new_state)
        if carried and isinstance(new, SGD) and _momentum(group):
            for parameter in group["params"]:  # torch needs buffers for all parameters or none
                new.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
    return carried


def _convert_state(state: Mapping[str, Any], momentum: float, new: Optimizer) -> dict[str, Any]:
    import torch
    from torch.optim import SGD, Adam, AdamW

    to_adam = isinstance(new, (Adam, AdamW))
    if "exp_avg" in state:
        mean = state["exp_avg"]
        return dict(state) if to_adam else {"momentum_buffer": mean / (1 - momentum)} if isinstance(new, SGD) else {}
    if state.get("momentum_buffer") is None or not to_adam:
        return {}
    mean = state["momentum_buffer"] * (1 - momentum)
    initial = {"exp_avg": mean * (1 - momentum), "exp_avg_sq": mean**2 * (1 - ADAM_SECOND_BETA)}
    return {"step": torch.tensor(1.0), **initial}


def _momentum(group: Mapping[str, Any]) -> float:
    return float(group["betas"][0] if "betas" in group else group.get("momentum", 0.0))


def set_lr_and_momentum(groups: Iterable[dict[str, Any]], value: ScheduleValue) -> None:
    """Set the learning rate and momentum of a step; a momentum of 0 in the recipe stays 0."""
    for group in groups:
        group["lr"] = group["largest_rate"] * value.rate
        if value.momentum is None:
            continue
        if "betas" in group and group["betas"][0] > 0:
            group["betas"] = (value.momentum, group["betas"][1])
        elif group.get("momentum", 0) > 0:
            group["momentum"] = value.momentum
