"""`audit:` what is looked for in the images, and what is done about it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holotype.recipe.sections.base import Section

__all__ = ["AuditSpec", "DuplicatesSpec"]


class DuplicatesSpec(Section):
    """What is done about duplicates, by the roles of the images they join."""

    within_train: Literal["group", "drop", "keep"] = "group"
    """`group`: duplicates share a fold; `drop`: the first one stays; `keep`: nothing but a line in the report."""
    train_external: Literal["group", "drop", "keep"] = "group"
    """`group`: an external duplicate never trains the model that is scored on its twin; `drop`: it never trains."""
    external_test: Literal["drop", "keep", "validate"] = "drop"
    """`drop`: external rows that duplicate a test row never train; `validate`: neither, but they are scored apart."""


class AuditSpec(Section):
    """What the images are checked for before anything is trained."""

    near_duplicate_bits: Annotated[int, Field(ge=0, le=16)] | None = 6
    """Bits by which the perceptual hashes of near duplicates may differ; null counts equal pixels only."""
    on_unreadable: Literal["stop", "skip"] = "stop"
    """`stop`: name the images that cannot be read; `skip`: list them and go on without them."""
    duplicates: DuplicatesSpec = DuplicatesSpec()
