"""The reference of the recipe, written from the models themselves: every key, its type, its default, its meaning."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["recipe_reference", "type_in_words"]

HEAD = """# The recipe, key by key

Generated from the models by `make docs`; a test holds it to them. Every section may be left out but those that have a
required key, every key has the default given here, and an unknown key is refused.
"""
WORDS = {int: "whole number", float: "number", str: "text", NoneType: "`null`", Any: "anything"}
BOUNDS = {
    "ge": "at least {}",
    "gt": "above {}",
    "le": "at most {}",
    "lt": "below {}",
    "min_length": "length at least {}",
    "max_length": "length at most {}",
    "pattern": "matching `{}`",
}


def recipe_reference(recipe: type[BaseModel]) -> str:
    """The reference as a Markdown page: one heading a section, one line a key.

    Args:
        recipe: The model of the whole recipe, or of any section.
    """
    return "\n".join([HEAD, *_section(recipe, "", told={})])


def type_in_words(annotation: Any, *marks: Any) -> str:
    """What may be written for a key, in words.

    Args:
        annotation: The key's type.
        *marks: Its bounds and patterns, as pydantic keeps them.
    """
    choices = _gathered(_choices(annotation, marks))
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


def _choices(annotation: Any, marks: tuple[Any, ...]) -> list[str]:
    """Each thing that may be written, a union unfolded."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        own = [mark for given in parts[1:] for mark in (given.metadata if isinstance(given, FieldInfo) else [given])]
        return _choices(parts[0], (*own, *marks))
    if origin in (Union, UnionType):
        return [choice for part in parts for choice in _choices(part, marks if _takes_bounds(part, parts) else ())]
    if origin is Literal:
        return [_shown(value) for value in parts]
    if annotation is bool:
        return ["`true`", "`false`"]
    return [_one_type(annotation) + _bounds(marks)]


def _gathered(choices: list[str]) -> list[str]:
    """Sections that differ by what they are told by are one choice: "section of kind `mean`/`vote`"."""
    kinds: dict[str, list[str]] = {}
    for choice in choices:
        start, middle, kind = choice.partition(" of kind ") if " of kind " in choice else choice.partition(" of name ")
        kinds.setdefault(start + middle, []).append(kind)
    return [start + "/".join(kind) for start, kind in kinds.items()]


def _one_type(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is list:
        return f"list of {_plural(type_in_words(parts[0]))}"
    if origin is dict:
        inside = "" if parts[1] is Any else f" of {type_in_words(parts[0])} to {type_in_words(parts[1])}"
        return f"mapping{inside}"
    if origin is tuple:
        return f"[{', '.join(type_in_words(part) for part in parts)}]"
    if _sections_in(annotation):
        kinds = _kinds(annotation)
        return f"section of {_told_by(annotation)} {'/'.join(kinds)}" if kinds else "section"
    return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _section(model: type[BaseModel], path: str, *, told: dict[type[BaseModel], str]) -> list[str]:
    """Heading, docstring and table of one section, then the sections inside it; what was told already is named."""
    lines = [f"## `{path}`\n"] if path else []
    if model in told:
        return [*lines, f"{_one_line(model.__doc__ or '')} The keys are those of `{told[model]}`.", ""]
    told[model] = path
    lines += [_one_line(model.__doc__ or ""), "", "| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [_row(name, field) for name, field in model.model_fields.items()]
    lines.append("")
    for name, field in model.model_fields.items():
        inner = _sections_in(field.annotation)
        for section in inner:
            inner_path = f"{path}.{name}" if path else name
            inner_path += ".0" if get_origin(field.annotation) is list else ""
            kinds = ", ".join(_kinds(section)).replace("`", "")
            label = f"{inner_path}: {{{_told_by(section)}: {kinds}}}" if kinds else inner_path
            lines += _section(section, label, told=told)
    return lines


def _row(name: str, field: FieldInfo) -> str:
    meaning = _one_line(field.description or _described_by_sections(field.annotation))
    default = "**required**" if field.is_required() else _shown(field.get_default(call_default_factory=True))
    cells = (f"`{name}`", type_in_words(field.annotation, *field.metadata), default, meaning.strip())
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _described_by_sections(annotation: Any) -> str:
    return " ".join(_one_line(section.__doc__ or "") for section in _sections_in(annotation))


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that an annotation speaks of, in order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_in(part)]


def _kinds(section: type[BaseModel]) -> list[str]:
    """The kinds a section stands for where it is one of several; a key that happens to be called `kind` has choices."""
    field = section.model_fields.get(_told_by(section))
    lone = field is not None and (field.is_required() or len(get_args(field.annotation)) == 1)
    return [f"`{kind}`" for kind in get_args(field.annotation)] if field is not None and lone else []


def _told_by(section: type[BaseModel]) -> str:
    """The key that tells which of several sections it is."""
    return "kind" if "kind" in section.model_fields else "name"


def _takes_bounds(part: Any, parts: tuple[Any, ...]) -> bool:
    """Whether the bounds of a whole union speak of this part: of its numbers, or else of its text."""
    return part in (int, float) or (part is str and int not in parts and float not in parts)


def _bounds(marks: tuple[Any, ...]) -> str:
    """Limits in words; marks are of annotated_types or pydantic's own, which may hold several."""
    limits = [
        wording.format(f"{limit:,g}" if isinstance(limit, int | float) else limit)
        for mark in marks
        for name, wording in BOUNDS.items()
        if (limit := getattr(mark, name, None)) is not None
    ]
    return f" ({', '.join(limits)})" if limits else ""


def _plural(words: str) -> str:
    """Turn "number (at least 0)" into "numbers (at least 0)"; a choice is put in brackets."""
    if words.startswith("`"):
        return f"({words})"
    noun, bracket, rest = words.partition(" (")
    return f"{noun}s{bracket}{rest}"


def _shown(value: Any) -> str:
    """A value as YAML writes it; a section that is all defaults as such."""
    if isinstance(value, BaseModel):
        key = _told_by(type(value))
        return f"`{{{key}: {getattr(value, key)}}}`" if _kinds(type(value)) else "its defaults"
    if isinstance(value, list) and any(isinstance(entry, BaseModel) for entry in value):
        return "one, with the defaults below"
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(_yaml(entry) for entry in value)}]"
    return f'"{value}"' if isinstance(value, str) and not value.strip() else str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
