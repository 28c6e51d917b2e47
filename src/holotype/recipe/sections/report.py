"""`report:` section: optional parts of the report."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holotype.recipe.sections.base import Section


class ReportSpec(Section):
    """Pictures of the report. Changing them trains nothing again."""

    attributions: int = Field(default=0, ge=0, le=36)
    """Number of the worst mistakes, and of class examples, with Grad-CAM heat maps for the predicted and the true
    class."""
    channels: Annotated[int, Field(ge=0)] | list[str] = 6
    """Samples shown channel by channel if the channels have names: their number, one for each of the most frequent
    classes; or a list of ids."""
    map: int = Field(default=1000, ge=0, le=2000)
    """Samples on the map of embeddings, by the first model's network of one fold, which was not trained on them; 0
    omits the map."""
