"""What every section of a recipe shares: it is frozen, and knows all its keys."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from holotype.errors import did_you_mean, listing

__all__ = ["Section"]


class Section(BaseModel):
    """One section of the recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        known = list(cls.model_fields)
        for key in given:
            if key not in known:
                meant = did_you_mean(str(key), known)
                raise ValueError(
                    f"unknown key {str(key)!r}; {meant + '; ' if meant else ''}allowed: {listing(known, 40)}"
                )
        return given
