"""`audit:` section: checks of the images before training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holotype.recipe.sections.base import Section


class DuplicatesSpec(Section):
    """Handling of duplicate images, by the roles of the two images."""

    within_train: Literal["group", "drop", "keep"] = "group"
    """`group`: duplicates share a fold; `drop`: only the first one trains; `keep`: report only."""
    train_external: Literal["group", "drop", "keep"] = "group"
    """`group`: an external duplicate never trains the model that is scored on its twin; `drop`: it never trains."""
    external_test: Literal["drop", "keep", "validate"] = "drop"
    """`drop`: external rows that duplicate a test row never train; `validate`: they do not train either, and are scored
    separately as a validation set."""


class AuditSpec(Section):
    """Checks of the images before training."""

    near_duplicate_bits: Annotated[int, Field(ge=0, le=16)] | None = 6
    """Largest Hamming distance between the perceptual hashes of near duplicates, in bits; null finds equal pixels
    only."""
    on_unreadable: Literal["stop", "skip"] = "stop"
    """`stop`: end with the list of unreadable images; `skip`: list them and continue without them."""
    duplicates: DuplicatesSpec = DuplicatesSpec()
