"""`schedule:` and `early_stopping:` of a phase: how its rate moves, and when it ends early."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from holotype.core.errors import did_you_mean, join_names
from holotype.recipe.sections.base import Section

__all__ = [
    "ConstantSpec",
    "CosineRestartsSpec",
    "CosineSpec",
    "EarlyStoppingSpec",
    "LinearSpec",
    "OneCycleSpec",
    "PlateauSpec",
    "ScheduleSpec",
    "StepSpec",
    "named_schedule",
]


class ConstantSpec(Section):
    """The same rate throughout."""

    name: Literal["constant"] = "constant"


class CosineSpec(Section):
    """From the largest rate to zero along half a cosine."""

    name: Literal["cosine"] = "cosine"


class LinearSpec(Section):
    """From the largest rate to zero along a line."""

    name: Literal["linear"] = "linear"


class OneCycleSpec(Section):
    """Up to the largest rate, then down to nearly nothing, the momentum the other way round."""

    name: Literal["one-cycle"] = "one-cycle"


class CosineRestartsSpec(Section):
    """Half cosines one after another, each from the largest rate (SGDR)."""

    name: Literal["cosine-restarts"] = "cosine-restarts"
    cycles: int = Field(default=3, ge=1, le=1000)
    """How many half cosines fill the phase."""
    factor: int = Field(default=1, ge=1, le=10)
    """Each is this many times as long as the one before."""


class StepSpec(Section):
    """Cut by a factor every few epochs."""

    name: Literal["step"] = "step"
    every: int = Field(default=5, ge=1)
    """Epochs between cuts."""
    factor: float = Field(default=0.5, gt=0.0, lt=1.0)
    """What each cut multiplies the rate by."""


class PlateauSpec(Section):
    """Cut by a factor when the score stands still."""

    name: Literal["plateau"] = "plateau"
    patience: int = Field(default=2, ge=1)
    """Epochs without a gain before a cut."""
    factor: float = Field(default=0.5, gt=0.0, lt=1.0)
    """What each cut multiplies the rate by."""
    rewind: bool = True
    """Go back to the best weights at each cut."""
    rewinds: int = Field(default=3, ge=0)
    """Cuts before the phase stops."""
    minimum: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Smallest share of the largest rate; a cut that would go below it stops the phase."""


ScheduleSpec = Annotated[
    ConstantSpec | CosineSpec | LinearSpec | OneCycleSpec | CosineRestartsSpec | StepSpec | PlateauSpec,
    Field(discriminator="name"),
]
NAMES = ("constant", "cosine", "cosine-restarts", "linear", "one-cycle", "plateau", "step")


class EarlyStoppingSpec(Section):
    """When a phase ends early."""

    patience: int = Field(ge=1)
    """Epochs without a gain."""
    metric: Literal["metric", "loss"] = "metric"
    """What has to gain."""
    min_delta: float = Field(default=0.0, ge=0.0)
    """What counts as a gain: more than this."""


def named_schedule(value: Any) -> Any:
    """A schedule's section from what the recipe says: a plain name is a section with that name.

    Args:
        value: A name, or a mapping with `name`.

    Returns:
        The mapping, its name spelt with `-`.

    Raises:
        ValueError: There is no schedule of that name.
    """
    section = {"name": value} if isinstance(value, str) else value
    if not isinstance(section, dict) or not isinstance(section.get("name"), str):
        return section
    name = section["name"].replace("_", "-")
    if name not in NAMES:
        meant = did_you_mean(name, NAMES)
        raise ValueError(f"no schedule is named {name!r}; {meant + ' ' if meant else ''}allowed: {join_names(NAMES)}")
    return {**section, "name": name}
