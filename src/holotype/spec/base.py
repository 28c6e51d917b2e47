"""What every section of a recipe shares: frozen, no unknown keys, and a plain word for what is not built yet."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from holotype.errors import did_you_mean, listing

__all__ = ["Later", "Section"]


class Later:
    """Marks a key of the contract whose machinery this version does not have.

    Args:
        *values: The values that are not built; without any, every value but the default.
    """

    def __init__(self, *values: Any) -> None:
        self.values = values

    def refuses(self, value: Any, default: Any) -> bool:
        """Whether a value asks for what is not built.

        Args:
            value: What the recipe says.
            default: What it says where nobody wrote it.
        """
        return value in self.values if self.values else value != default


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

    @model_validator(mode="after")
    def _parts_are_built(self) -> Section:
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            for mark in field.metadata:
                if isinstance(mark, Later) and mark.refuses(value, field.get_default(call_default_factory=True)):
                    raise ValueError(f"{name}: {_shown(value)} is not built yet{_way_out(mark, field.default)}")
        return self


def _shown(value: Any) -> str:
    return repr(value.model_dump() if isinstance(value, BaseModel) else value)


def _way_out(mark: Later, default: Any) -> str:
    return "" if mark.values else f"; leave the key out or write {'null' if default is None else default!r}"
