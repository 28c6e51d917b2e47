"""Base class of recipe sections: frozen, with unknown keys refused."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema, model_validator

from holotype.core.errors import did_you_mean, join_names


def _to_name(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float | date):
        return str(value)
    if value is None:
        raise ValueError("an empty entry is not a name; put the word `null` into quotes if it is one")
    return value


Name = Annotated[str, BeforeValidator(_to_name), WithJsonSchema({"type": ["string", "number", "boolean"]})]
"""Name of a class, a channel or a column, which may look like a number: `0` is the name "0"."""


def _require_distinct(channels: list[str]) -> list[str]:
    if not channels or len(set(channels)) != len(channels):
        raise ValueError("channels must be a list of at least one name, each once")
    return channels


ChannelNames = Annotated[list[Name], AfterValidator(_require_distinct)]
"""Channel names, at least one, each once."""


class Section(BaseModel):
    """Base class of the sections of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _require_valid_keys(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        allowed_keys = list(cls.model_fields)
        for key in value:
            if key not in allowed_keys:
                parts = [f"unknown key {str(key)!r}", did_you_mean(str(key), allowed_keys)]
                parts.append(f"allowed: {join_names(allowed_keys, 40)}")
                raise ValueError("; ".join(filter(None, parts)))
        return value
