"""YAML text to plain values; errors name the line, and size and depth are limited."""

from __future__ import annotations

import re
import warnings
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from holotype.core.errors import RecipeError, first_line, truncate

MAX_CHARACTERS = 20_000_000  # a recipe that lists the classes of a large data set has a few million
MAX_DEPTH = 50
MAX_VALUES = 2_000_000
LEADING_ZEROS = re.compile("0[0-9]+")
MAX_DIGITS = 18  # of an integer; no value of a recipe needs more


def load_yaml(text: str, name: str) -> Any:
    """Parse YAML text into plain values; error messages begin with its name."""
    if len(text) > MAX_CHARACTERS:
        raise RecipeError(f"{name} has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed")
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows a later anchor of the same name
            return yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = truncate(" ".join((error.problem or error.context or "it cannot be read").split()), 300)
        raise RecipeError(f"{name} is not YAML{_describe_position(mark)}: {problem}") from error
    except _UnreadableError as error:
        raise RecipeError(f"{name} cannot be read{_describe_position(error.mark)}: {error}") from error
    except RecursionError as error:
        where = _describe_position(_find_too_deep(text))
        raise RecipeError(
            f"{name} is nested more than {MAX_DEPTH} levels deep{where}", remedy="use fewer levels"
        ) from error
    except (YAMLError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        position = getattr(error, "position", None)
        line = "" if position is None else f" at line {text.count(chr(10), 0, position) + 1}"
        raise RecipeError(f"{name} is not YAML{line}: {first_line(error)}") from error


class _UnreadableError(Exception):
    def __init__(self, what: str, mark: Any) -> None:
        super().__init__(what)
        self.mark = mark


class _Constructor(SafeConstructor):  # type: ignore[misc]
    """Constructor that limits the number of values first; what it refuses has a line."""

    def get_single_data(self) -> Any:
        node = self.composer.get_single_node()
        if node is None:
            return None
        _require_bounded_values(node)
        return self.construct_document(node)

    def construct_yaml_int(self, node: Any) -> Any:
        """Read integers; `007` is a name and keeps its zeros, and becomes a number where one is due."""
        return node.value if LEADING_ZEROS.fullmatch(node.value) else super().construct_yaml_int(node)

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
            kinds: dict[type[Node], str] = {MappingNode: "a mapping", SequenceNode: "a list"}
            written = node.value if isinstance(node, ScalarNode) else kinds[type(node)]
            what = f"{truncate(written)!r} is not a valid {_describe_tag(node.tag)}: {first_line(error)}"
            raise _UnreadableError(what, node.start_mark) from error


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_yaml_int)


def _require_bounded_values(root: Node) -> None:
    sizes: dict[int, int] = {}
    stack: list[tuple[Node, bool]] = [(root, False)]
    path: set[int] = set()
    while stack:
        node, is_done = stack.pop()
        key, parts = id(node), _child_nodes(node)
        if is_done:
            path.discard(key)
            sizes[key] = 1 + sum(sizes[id(part)] for part in parts)
            if sizes[key] > MAX_VALUES:
                raise _UnreadableError(f"it expands to more than {MAX_VALUES:,} values", node.start_mark)
            continue
        if key in path:
            raise _UnreadableError("an alias is inside the value that it refers to", node.start_mark)
        if key in sizes:
            continue
        path.add(key)
        if len(path) > MAX_DEPTH:
            raise _UnreadableError(f"it is nested more than {MAX_DEPTH} levels deep", node.start_mark)
        _check_scalar(node)
        stack.append((node, True))
        stack.extend((part, False) for part in parts)


def _find_too_deep(text: str) -> Any:
    """Position where a text is nested too deeply, found token by token; None if the tokens are wrong as well."""
    depth = 0
    try:
        for token in YAML(typ="safe", pure=True).scan(text):
            kind = type(token).__name__
            depth += kind.endswith(("SequenceStartToken", "MappingStartToken"))
            depth -= kind.endswith(("SequenceEndToken", "MappingEndToken", "BlockEndToken"))
            if depth > MAX_DEPTH:
                return token.start_mark
    except (YAMLError, RecursionError):
        return None
    return None


def _child_nodes(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _check_scalar(node: Node) -> None:
    if isinstance(node, MappingNode):
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                raise _UnreadableError("a key must be a single value, not a list or a mapping", key.start_mark)
    if isinstance(node, ScalarNode) and any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in node.value):
        raise _UnreadableError(
            f"{truncate(ascii(node.value))} contains a character that is not allowed in text", node.start_mark
        )
    if isinstance(node, ScalarNode) and str(node.tag).endswith(":int"):
        digits = sum(letter.isalnum() for letter in node.value)
        if digits > MAX_DIGITS + 2:
            what = f"{truncate(node.value)!r} has {digits:,} digits; a whole number may have at most {MAX_DIGITS}"
            raise _UnreadableError(what, node.start_mark)


def _describe_tag(tag: Any) -> str:
    kinds = {
        "int": "whole number",
        "float": "number",
        "bool": "`true` or `false`",
        "timestamp": "date",
        "binary": "binary value",
        "null": "empty value",
        "map": "mapping",
        "seq": "list",
    }
    name = str(tag).rpartition(":")[2]
    return kinds.get(name, truncate(name, 40) or "value")


def _describe_position(mark: Any) -> str:
    return "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
