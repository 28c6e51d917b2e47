"""What a search may change in a recipe: one place, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["SPACE", "Among", "Between", "Dimension", "changes_of", "search_space"]


@dataclass(frozen=True)
class Between:
    """A number that is searched.

    Args:
        name: What people call it.
        path: Where it stands in the recipe.
        low: The smallest.
        high: The largest.
        by_factors: Whether half and double are the same step.
        whole: Whether it is a count.
    """

    name: str
    path: str
    low: float
    high: float
    by_factors: bool = False
    whole: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The places in the recipe that it sets."""
        return (self.path,)


@dataclass(frozen=True)
class Among:
    """A choice that is searched; one of them may set several keys.

    Args:
        name: What people call it.
        options: By name what the recipe says: values by their paths.
    """

    name: str
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[str, ...]:
        """The places in the recipe that it sets."""
        return tuple(sorted({path for settings in self.options.values() for path in settings}))


Dimension = Between | Among
MEMBER, PHASE = "members.0", "members.0.phases.0"


def _one_key(name: str, path: str, values: Sequence[Any]) -> Among:
    return Among(name, {str(value): {path: value} for value in values})


def _strength(scale: tuple[float, float], shift: float, erased: float) -> dict[str, Any]:
    augment = f"{MEMBER}.augment"
    shifts = {f"{augment}.brightness": shift, f"{augment}.contrast": shift}
    return {f"{augment}.scale": list(scale), **shifts, f"{augment}.erase": erased}


SPACE: tuple[Dimension, ...] = (
    Between("epochs", f"{PHASE}.epochs", 4, 24, by_factors=True, whole=True),
    Between("rate", f"{PHASE}.lr", 3e-4, 1e-2, by_factors=True),
    _one_key("schedule", f"{PHASE}.schedule", ("one-cycle", "cosine", "linear")),
    _one_key("size", f"{MEMBER}.input.size", (64, 96, 128)),
    Among("augmentation", {
        "mild": _strength((0.9, 1.1), 0.1, 0.0),
        "plain": _strength((0.8, 1.25), 0.2, 0.0),
        "strong": _strength((0.65, 1.5), 0.4, 0.25),
    }),
    _one_key("sampler", f"{MEMBER}.sampler", ("shuffle", "sqrt", "balanced")),
    Between("dropout", f"{MEMBER}.head.dropout", 0.0, 0.5),
    _one_key("backbone", f"{MEMBER}.backbone", (
        "efficientnet_lite0", "resnet18", "mobilenetv3_large_100", "convnext_atto", "efficientnet_b0",
    )),
)  # fmt: skip
"""Everything that is searched; backbones are those of them whose weights lie on the machine."""


def search_space(
    epochs: tuple[int, int], size: int | None, backbones: Sequence[str], phase: int = 0
) -> tuple[Dimension, ...]:
    """The space of one recipe.

    Args:
        epochs: The fewest and the most that a trial may take.
        size: The input's side of every trial; searched where none is given.
        backbones: Those that can be tried; with one alone nothing is searched.
        phase: The phase that trains the whole network.
    """
    found: list[Dimension] = []
    for dimension in SPACE:
        if dimension.name == "backbone":
            if len(backbones) > 1:
                found.append(_one_key("backbone", f"{MEMBER}.backbone", backbones))
        elif isinstance(dimension, Between):
            path = dimension.path.replace(PHASE, f"{MEMBER}.phases.{phase}")
            bounds = epochs if dimension.name == "epochs" else (dimension.low, dimension.high)
            found.append(replace(dimension, path=path, low=bounds[0], high=bounds[1]))
        elif dimension.name != "size" or size is None:
            moved = {
                name: {path.replace(PHASE, f"{MEMBER}.phases.{phase}"): value for path, value in settings.items()}
                for name, settings in dimension.options.items()
            }
            found.append(Among(dimension.name, moved))
    return tuple(found)


def changes_of(space: Sequence[Dimension], drawn: Mapping[str, Any]) -> tuple[str, ...]:
    """What a recipe is changed to, as `--set` takes it.

    Args:
        space: From `search_space`.
        drawn: By dimension a number, or the name of an option.
    """
    changes = []
    for dimension in space:
        value = drawn[dimension.name]
        if isinstance(dimension, Between):
            shown = int(value) if dimension.whole else float(f"{value:.3g}")
            changes.append(f"{dimension.path}={json.dumps(shown)}")
        else:
            changes += [f"{path}={json.dumps(setting)}" for path, setting in dimension.options[value].items()]
    return tuple(changes)
