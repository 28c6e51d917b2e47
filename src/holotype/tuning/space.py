"""Search space of the hyperparameter search."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class NumericRange:
    """Numeric search dimension.

    Args:
        path: Key of the recipe, as in `--set`.
        low: Inclusive.
        high: Inclusive.
    """

    name: str
    path: str
    low: float
    high: float
    log_scale: bool = False
    is_integer: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The recipe keys that it sets."""
        return (self.path,)


@dataclass(frozen=True)
class Categorical:
    """Categorical search dimension; an option may set several recipe keys."""

    name: str
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[str, ...]:
        """The recipe keys that it sets."""
        return tuple(sorted({path for settings in self.options.values() for path in settings}))


Dimension = NumericRange | Categorical
MODEL, PHASE = "models.0", "models.0.phases.0"


def _single_key(name: str, path: str, values: Sequence[Any]) -> Categorical:
    return Categorical(name, {str(value): {path: value} for value in values})


def _augment_strength(scale: tuple[float, float], shift: float, erased: float) -> dict[str, Any]:
    augment = f"{MODEL}.augment"
    shifts = {f"{augment}.brightness": shift, f"{augment}.contrast": shift}
    return {f"{augment}.scale": list(scale), **shifts, f"{augment}.random_erasing": erased}


SPACE: tuple[Dimension, ...] = (
    NumericRange("epochs", f"{PHASE}.epochs", 4, 24, log_scale=True, is_integer=True),
    NumericRange("rate", f"{PHASE}.lr", 3e-4, 1e-2, log_scale=True),
    _single_key("schedule", f"{PHASE}.schedule", ("one-cycle", "cosine", "linear")),
    _single_key("size", f"{MODEL}.input.size", (64, 96, 128)),
    Categorical(
        "augmentation",
        {
            "mild": _augment_strength((0.9, 1.1), 0.1, 0.0),
            "plain": _augment_strength((0.8, 1.25), 0.2, 0.0),
            "strong": _augment_strength((0.65, 1.5), 0.4, 0.25),
        },
    ),
    _single_key("sampler", f"{MODEL}.sampler", ("shuffle", "sqrt", "balanced")),
    NumericRange("dropout", f"{MODEL}.head.dropout", 0.0, 0.5),
    _single_key(
        "backbone",
        f"{MODEL}.backbone",
        ("efficientnet_lite0", "resnet18", "mobilenetv3_large_100", "convnext_atto", "efficientnet_b0"),
    ),
)
"""Every search dimension; a search uses those backbones whose weights are on this machine."""


def search_space(
    epochs: tuple[int, int], size: int | None, backbones: Sequence[str], phase: int = 0
) -> tuple[Dimension, ...]:
    """Restrict the search space to one recipe.

    `size`: input size of every trial in pixels; None searches it; `phase`: index of the phase that trains the whole
    network.
    """
    dimensions: list[Dimension] = []
    for dimension in SPACE:
        if dimension.name == "backbone":
            if len(backbones) > 1:
                dimensions.append(_single_key("backbone", f"{MODEL}.backbone", backbones))
        elif isinstance(dimension, NumericRange):
            path = dimension.path.replace(PHASE, f"{MODEL}.phases.{phase}")
            bounds = epochs if dimension.name == "epochs" else (dimension.low, dimension.high)
            dimensions.append(replace(dimension, path=path, low=bounds[0], high=bounds[1]))
        elif dimension.name != "size" or size is None:
            moved = {
                name: {path.replace(PHASE, f"{MODEL}.phases.{phase}"): value for path, value in settings.items()}
                for name, settings in dimension.options.items()
            }
            dimensions.append(Categorical(dimension.name, moved))
    return tuple(dimensions)


def to_overrides(space: Sequence[Dimension], drawn: Mapping[str, Any]) -> tuple[str, ...]:
    """Convert drawn values to overrides in the syntax of `--set`."""
    changes = []
    for dimension in space:
        value = drawn[dimension.name]
        if isinstance(dimension, NumericRange):
            number = int(value) if dimension.is_integer else float(f"{value:.3g}")
            changes.append(f"{dimension.path}={json.dumps(number)}")
        else:
            changes += [f"{path}={json.dumps(setting)}" for path, setting in dimension.options[value].items()]
    return tuple(changes)
