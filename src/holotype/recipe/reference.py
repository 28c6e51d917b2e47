"""Reference page of the recipe, generated from its sections: every key with type, default and meaning."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

HEAD = """# The recipe, key by key

Generated from the code by `make docs`. Sections without a required key may be left out. A key that is left out has the
default given here. Unknown keys are refused.
"""
TYPE_NAMES = {int: "whole number", float: "number", str: "text", NoneType: "`null`", Any: "anything"}
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
    """Reference of a recipe or section as a Markdown page: one heading per section, one row per key."""
    return "\n".join([HEAD, *_format_section(recipe, "", documented={})])


def type_in_words(annotation: Any, *marks: Any) -> str:
    """Allowed values of a key in words, from its type and the limits that pydantic keeps."""
    choices = _merge_kinds(_list_choices(annotation, marks))
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


def _list_choices(annotation: Any, marks: tuple[Any, ...]) -> list[str]:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        part_marks = [mark for item in parts[1:] for mark in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return _list_choices(parts[0], (*part_marks, *marks))
    if origin in (Union, UnionType):
        return [choice for part in parts for choice in _list_choices(part, marks if _takes_bounds(part, parts) else ())]
    if origin is Literal:
        return [_format_default(value) for value in parts]
    if annotation is bool:
        return ["`true`", "`false`"]
    return [_describe_type(annotation) + _describe_bounds(marks)]


def _merge_kinds(choices: list[str]) -> list[str]:
    """Merge sections that differ by their discriminator: "section of kind `mean`/`vote`"."""
    kinds: dict[str, list[str]] = {}
    for choice in choices:
        start, middle, kind = choice.partition(" of kind ") if " of kind " in choice else choice.partition(" of name ")
        kinds.setdefault(start + middle, []).append(kind)
    return [start + "/".join(kind) for start, kind in kinds.items()]


def _describe_type(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is list:
        return f"list of {_pluralize(type_in_words(parts[0]))}"
    if origin is dict:
        inside = "" if parts[1] is Any else f" of {type_in_words(parts[0])} to {type_in_words(parts[1])}"
        return f"mapping{inside}"
    if origin is tuple:
        return f"[{', '.join(type_in_words(part) for part in parts)}]"
    if _sections_in(annotation):
        kinds = _list_kinds(annotation)
        return f"section of {_discriminator_key(annotation)} {'/'.join(kinds)}" if kinds else "section"
    return TYPE_NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _format_section(model: type[BaseModel], path: str, *, documented: dict[type[BaseModel], str]) -> list[str]:
    lines = [f"## `{path}`\n"] if path else []
    if model in documented:
        return [*lines, f"{_collapse_whitespace(model.__doc__ or '')} The keys are those of `{documented[model]}`.", ""]
    documented[model] = path
    lines += [
        _collapse_whitespace(model.__doc__ or ""),
        "",
        "| key | type | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    lines += [_format_row(name, field) for name, field in model.model_fields.items()]
    lines.append("")
    for name, field in model.model_fields.items():
        inner = _sections_in(field.annotation)
        for section in inner:
            inner_path = f"{path}.{name}" if path else name
            inner_path += ".0" if get_origin(field.annotation) is list else ""
            kinds = ", ".join(_list_kinds(section)).replace("`", "")
            label = f"{inner_path}: {{{_discriminator_key(section)}: {kinds}}}" if kinds else inner_path
            lines += _format_section(section, label, documented=documented)
    return lines


def _format_row(name: str, field: FieldInfo) -> str:
    meaning = _collapse_whitespace(field.description or _describe_sections(field.annotation))
    default = "**required**" if field.is_required() else _format_default(field.get_default(call_default_factory=True))
    cells = (f"`{name}`", type_in_words(field.annotation, *field.metadata), default, meaning.strip())
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _describe_sections(annotation: Any) -> str:
    return " ".join(_collapse_whitespace(section.__doc__ or "") for section in _sections_in(annotation))


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_in(part)]


def _list_kinds(section: type[BaseModel]) -> list[str]:
    """Kinds of a section that is one of several; empty if its key `kind` is an ordinary one."""
    field = section.model_fields.get(_discriminator_key(section))
    is_discriminator = field is not None and (field.is_required() or len(get_args(field.annotation)) == 1)
    return [f"`{kind}`" for kind in get_args(field.annotation)] if field is not None and is_discriminator else []


def _discriminator_key(section: type[BaseModel]) -> str:
    return "kind" if "kind" in section.model_fields else "name"


def _takes_bounds(part: Any, parts: tuple[Any, ...]) -> bool:
    return part in (int, float) or (part is str and int not in parts and float not in parts)


def _describe_bounds(marks: tuple[Any, ...]) -> str:
    limits = [
        wording.format(f"{limit:,g}" if isinstance(limit, int | float) else limit)
        for mark in marks
        for name, wording in BOUNDS.items()
        if (limit := getattr(mark, name, None)) is not None
    ]
    return f" ({', '.join(limits)})" if limits else ""


def _pluralize(words: str) -> str:
    """Turn "number (at least 0)" into "numbers (at least 0)"; a choice is put in brackets."""
    if words.startswith("`"):
        return f"({words})"
    noun, bracket, rest = words.partition(" (")
    return f"{noun}s{bracket}{rest}"


def _format_default(value: Any) -> str:
    if isinstance(value, BaseModel):
        key = _discriminator_key(type(value))
        return f"`{{{key}: {getattr(value, key)}}}`" if _list_kinds(type(value)) else "its defaults"
    if isinstance(value, list) and any(isinstance(entry, BaseModel) for entry in value):
        return "one, with the defaults below"
    return f"`{_to_yaml(value)}`"


def _to_yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(_to_yaml(entry) for entry in value)}]"
    return f'"{value}"' if isinstance(value, str) and not value.strip() else str(value)


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())
