"""`report:` what the report shows beside the scores."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holotype.recipe.sections.base import Section

__all__ = ["ReportSpec"]


class ReportSpec(Section):
    """Pictures of the report. They are made from the networks as they are: a change trains nothing again."""

    attributions: int = Field(default=0, ge=0, le=36)
    """How many of the worst mistakes, and of the specimens, get heat maps (Grad-CAM) of where their network finds what
    speaks for the decided and for the true class."""
    channels: Annotated[int, Field(ge=0)] | list[str] = 6
    """Samples that are shown channel by channel where the channels have names: how many, one for each of the commonest
    classes, or the ids of some."""
    map: int = Field(default=1000, ge=0, le=2000)
    """Samples on the map of embeddings, as the first model's network of one fold sees them, which was not trained on
    any; 0 leaves it out."""
