"""`audit:` what is looked for in the images, and what is done about it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holotype.spec.base import Later, Section

__all__ = ["AuditSpec", "OnLeakSpec"]


class OnLeakSpec(Section):
    """What is done about duplicates, by the roles of the images they join."""

    within_train: Literal["group", "drop", "keep"] = "group"
    """`group`: duplicates share a fold; `drop`: the first one stays; `keep`: nothing but a line in the report."""
    train_external: Literal["group", "drop", "keep"] = "group"
    """`group`: an external duplicate never trains the model that is scored on its twin; `drop`: it never trains."""
    external_test: Annotated[Literal["drop", "keep", "validate"], Later("validate")] = "drop"
    """`drop`: external rows that duplicate a test row never train."""


class AuditSpec(Section):
    """What the images are checked for before anything is trained."""

    near_duplicate_bits: Annotated[int | None, Field(ge=0, le=64), Later()] = None
    """Bits by which the perceptual hashes of near duplicates may differ; without it only equal pixels count."""
    on_unreadable: Annotated[Literal["stop", "skip"], Later("skip")] = "stop"
    """What to do about images that cannot be read."""
    on_leak: OnLeakSpec = OnLeakSpec()
