"""What every section of a recipe shares: it is frozen, and knows all its keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from holotype.errors import did_you_mean, listing

__all__ = ["ChannelNames", "Section"]


def _distinct(channels: list[str]) -> list[str]:
    if not channels or len(set(channels)) != len(channels):
        raise ValueError("channels must be a list of at least one name, each once")
    return channels


ChannelNames = Annotated[list[str], AfterValidator(_distinct)]
"""Channels by name, at least one, each once."""


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
