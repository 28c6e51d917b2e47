"""Recipe differences: the keys in which nested settings differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

MAX_LENGTH = 160
_MISSING = object()


def setting_differences(settings: Sequence[Any], key_path: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Keys that differ, each with its value on every side; a section that one side lacks is one key."""
    if all(value == settings[0] for value in settings):
        return
    tables = [_as_mapping(value) for value in settings]
    if any(table is None for table in tables):
        yield key_path, tuple(_format_value(value) for value in settings)
        return
    keys = dict.fromkeys(key for table in tables if table is not None for key in table)
    for key in keys:
        values = [table.get(key, _MISSING) for table in tables if table is not None]
        yield from setting_differences(values, f"{key_path}.{key}" if key_path else str(key))


def _as_mapping(value: Any) -> dict[str, Any] | None:
    if isinstance(value, dict) and value:
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return {str(number): part for number, part in enumerate(value)}
    return None


def _format_value(value: Any) -> str:
    if value is _MISSING:
        return "–"
    if isinstance(value, dict) and "name" in value and "backbone" in value:
        return f"{value['name']} ({value['backbone']})"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"
