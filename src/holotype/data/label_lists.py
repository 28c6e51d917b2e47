"""Label lists in one cell, as pandas, NumPy and JSON write them: `['a', 'b']`, `["a", "b"]`, `['a' 'b']`, `[]`."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from holotype.data.missing import MISSING_WORDS

LIST_PATTERN = r"(?s)^(\[.*\]|\(\)|\(\s*['\"].*\)|\{\}|\{\s*['\"].*\}|(frozen)?set\(.*\))$"
"""Cell with a list, a tuple or a set, as a program writes it."""
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


def parse_label_list(text: str) -> list[str] | None:
    """Parse a list of labels in a cell, such as `['nucleus', 'cytosol']`; None if it is not a list of plain values."""
    inner = re.sub(r"^(frozen)?set\((.*)\)$", r"\2", text.strip(), flags=re.DOTALL).strip()
    if not inner:
        return []
    try:
        values = json.loads(inner)
    except ValueError:
        values = _parse_python_list(inner[1:-1])
    if not isinstance(values, list) or any(isinstance(value, list | dict) for value in values):
        return None
    labels = [_format_label(value) for value in values if value is not None]
    return [label for label in labels if label not in MISSING_WORDS]


def _parse_python_list(inner: str) -> list[Any] | None:
    """Quoted words with commas or (as NumPy prints them) blanks between; or unquoted ones."""
    rest = QUOTED.sub(" ", inner)
    if rest == inner:
        words = inner.split(",") if "," in inner else inner.split()
        return None if any(word.strip().startswith(("'", '"')) for word in words) else words
    if re.sub(r"[\s,]|\bNone\b|\bnan\b", "", rest):
        return None
    return [ast.literal_eval(word) for word in QUOTED.findall(inner)]


def _format_label(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
