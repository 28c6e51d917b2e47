"""Proposed recipe as YAML, with the reasons as comments."""

from __future__ import annotations

import json
import os
import re
import textwrap
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from holotype.core.errors import HolotypeError, InputError
from holotype.inspect.propose import Proposal

WIDTH = 110
ORIGIN = (
    "Written by `holotype init`. Every setting is a guess, with its reason above it: please check them. Answer a "
    "question by changing its key below, or let `holotype init --force --set KEY=VALUE` do it."
)


def write_recipe(proposal: Proposal, path: Path, force: bool = False) -> str:
    """Write a proposed recipe and its tables into one folder.

    Raises InputError if a file exists already, or cannot be written.
    """
    path = Path(path)
    targets = [path, *(path.parent / name for name in proposal.tables)]
    there = [target for target in targets if target.exists()]
    if there and not force:
        raise InputError(
            f"{str(there[0])!r} exists already", remedy="choose another path with -o, or replace it with --force"
        )
    text = recipe_text(proposal, path.resolve().parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, table in proposal.tables.items():
            _write_atomically(path.parent / name, table.write_csv())
        _write_atomically(path, text)  # last, so that a recipe never names a missing table
    except OSError as error:
        raise InputError(
            f"{str(path)!r} cannot be written: {error.strerror}", remedy="choose another path with -o"
        ) from error
    return text


def recipe_text(proposal: Proposal, folder: Path) -> str:
    """Format a proposal as YAML."""
    return commented_text(_with_relative_paths(proposal.content, folder.resolve()), proposal, ORIGIN)


def commented_text(content: dict[str, Any], proposal: Proposal, origin: str) -> str:
    """Format a recipe as YAML with comments."""
    lines = _wrap_comment(origin, "")
    for title, sentences in (("Question", proposal.questions), ("Warning", proposal.warnings)):
        for sentence in sentences:
            lines += _wrap_comment(f"{title}: {sentence}", "")
    lines += _format_section(content, "", proposal.reasons, "")
    lines += ["", "# Found, but not used:"] if proposal.notes else []
    for note in proposal.notes:
        lines += _wrap_comment(f"- {note}", "")
    text = "\n".join(lines) + "\n"
    if _parse(text) != content:
        raise HolotypeError("the recipe cannot be written as YAML", remedy="report a bug with the names of the columns")
    return text


def _format_section(content: dict[str, Any], address: str, reasons: dict[str, str], indent: str) -> list[str]:
    lines: list[str] = []
    for key, value in content.items():
        key_address = f"{address}.{key}".lstrip(".")
        if key_address in reasons:
            lines += _wrap_comment(reasons[key_address], indent)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{indent}{key}:")
            for number, entry in enumerate(value):
                lines += _format_entry(entry, f"{key_address}.{number}", reasons, indent + "  ")
        elif isinstance(value, dict) and any(name.startswith(f"{key_address}.") for name in reasons):
            lines.append(f"{indent}{key}:")
            lines += _format_section(value, key_address, reasons, indent + "  ")
        else:
            lines.append(f"{indent}{key}: {_format_flow(value)}")
    return lines


def _format_entry(entry: dict[str, Any], address: str, reasons: dict[str, str], indent: str) -> list[str]:
    below = f"{address}."
    comments: dict[str, list[str]] = {name: [] for name in ["", *entry]}
    for reason_address, reason in reasons.items():
        if reason_address.startswith(below):
            key = reason_address.removeprefix(below).partition(".")[0]
            comments[key if key in entry else ""].append(reason)
    lines = [line for reason in comments[""] for line in _wrap_comment(reason, indent)]
    mark = "- "
    for name, value in entry.items():
        lines += [
            line
            for reason in comments[name]
            for line in _wrap_comment(reason, indent if mark == "- " else f"{indent}  ")
        ]
        lines.append(f"{indent}{mark}{name}: {_format_flow(value)}")
        mark = "  "
    return lines


def _format_flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_format_flow(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_format_flow(inner) for inner in value) + "]"
    if isinstance(value, str):
        return value if _is_plain_scalar(value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _is_plain_scalar(text: str) -> bool:
    """Whether a text needs no quotes in YAML, including the `yes` and `no` of older parsers."""
    if not re.fullmatch(r"[A-Za-z_./][\w./-]*", text) or text.lower() in {"yes", "no", "on", "off", "y", "n"}:
        return False
    try:
        return bool(YAML(typ="safe", pure=True).load(f"a: {text}") == {"a": text})
    except YAMLError:
        return False


def _wrap_comment(sentence: str, indent: str) -> list[str]:
    text = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", sentence)  # column names may contain line breaks
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   ", break_on_hyphens=False
    )


def _parse(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(StringIO(text))


def _with_relative_paths(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    data = dict(content["data"])
    for key in ("train", "test", "images"):
        if isinstance(data.get(key), dict):
            data[key] = {name: _relative_path(path, folder) for name, path in data[key].items()}
        elif isinstance(data.get(key), str) and Path(data[key]).is_absolute():
            data[key] = _relative_path(data[key], folder)
    taxonomy = data.get("labels", {}).get("taxonomy")
    if isinstance(taxonomy, str) and Path(taxonomy).is_absolute():
        data["labels"] = {**data["labels"], "taxonomy": _relative_path(taxonomy, folder)}
    return {**content, "data": data}


def _relative_path(path: str, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return Path(path).as_posix()


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
