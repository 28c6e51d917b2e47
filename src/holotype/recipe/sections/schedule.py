"""`schedule:` and `early_stopping:` sections of a phase."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from holotype.core.errors import did_you_mean, join_names
from holotype.recipe.sections.base import Section


class ConstantSpec(Section):
    """Constant learning rate."""

    name: Literal["constant"] = "constant"


class CosineSpec(Section):
    """Cosine annealing from the largest rate to zero."""

    name: Literal["cosine"] = "cosine"


class LinearSpec(Section):
    """Linear decay from the largest rate to zero."""

    name: Literal["linear"] = "linear"


class OneCycleSpec(Section):
    """One-cycle policy: up to the largest rate, then down to nearly zero, with inverse momentum."""

    name: Literal["one-cycle"] = "one-cycle"


class CosineRestartsSpec(Section):
    """Cosine annealing with warm restarts (SGDR)."""

    name: Literal["cosine-restarts"] = "cosine-restarts"
    cycles: int = Field(default=3, ge=1, le=1000)
    """Number of cycles in the phase."""
    factor: int = Field(default=1, ge=1, le=10)
    """Length of each cycle over that of the previous one."""


class StepSpec(Section):
    """Step decay: cut the rate every few epochs."""

    name: Literal["step"] = "step"
    every: int = Field(default=5, ge=1)
    """Epochs between cuts."""
    factor: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Factor on the rate at each cut."""


class PlateauSpec(Section):
    """Reduce on plateau: cut the rate when the score stops improving."""

    name: Literal["plateau"] = "plateau"
    patience: int = Field(default=2, ge=1)
    """Epochs without improvement before a cut."""
    factor: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Factor on the rate at each cut."""
    rewind: bool = True
    """Return to the best weights at each cut."""
    rewinds: int = Field(default=3, ge=0)
    """Number of cuts before the phase stops."""
    minimum: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Smallest share of the largest rate; a cut that would go below it stops the phase."""


ScheduleSpec = Annotated[
    ConstantSpec | CosineSpec | LinearSpec | OneCycleSpec | CosineRestartsSpec | StepSpec | PlateauSpec,
    Field(discriminator="name"),
]
NAMES = ("constant", "cosine", "cosine-restarts", "linear", "one-cycle", "plateau", "step")


class EarlyStoppingSpec(Section):
    """Early stopping of a phase."""

    patience: int = Field(ge=1)
    """Epochs without improvement before the phase stops."""
    metric: Literal["metric", "loss"] = "metric"
    """Criterion: the recipe's metric, or the loss."""
    min_delta: float = Field(default=0.0, ge=0.0)
    """Smallest change that counts as an improvement; it must be exceeded."""


def named_schedule(value: Any) -> Any:
    """Expand the name of a schedule into a section, spelled with `-`."""
    section = {"name": value} if isinstance(value, str) else value
    if not isinstance(section, dict) or not isinstance(section.get("name"), str):
        return section
    name = section["name"].replace("_", "-")
    if name not in NAMES:
        parts = [f"no schedule is named {name!r}", did_you_mean(name, NAMES), f"allowed: {join_names(NAMES)}"]
        raise ValueError("; ".join(filter(None, parts)))
    return {**section, "name": name}
