"""Names and first sentences, held against every file: the field's terms, none of the words that need a dictionary."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "holotype"
FILES = sorted(SOURCE.rglob("*.py"))
TOP = {path.stem for path in SOURCE.glob("*.py")}
BANNED = frozenset(
    [
        "said",
        "told",
        "heard",
        "asked",
        "seen",
        "held",
        "apart",
        "beside",
        "together",
        "place",
        "places",
        "one",
        "own",
        "known",
        "made",
        "found",
        "chosen",
        "given",
        "wanted",
        "shown",
        "whole",
        "plain",
    ]
)
# Public names of earlier versions. None may come back with another meaning.
FORMER = frozenset((Path(__file__).parent / "former_names.txt").read_text(encoding="utf-8").split())
QUESTIONS = {"what", "where", "how", "whether", "which", "who", "that", "when", "why"}
MOST_SKIPPED, MOST_MODULES = 60, 4

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())


@every_file
def test_identifiers_are_terms_of_the_field(path: Path) -> None:
    assert faulty_identifiers(path.read_text(encoding="utf-8")) == []


@every_file
def test_a_docstring_begins_with_what_the_thing_is(path: Path) -> None:
    assert faulty_docstrings(path.read_text(encoding="utf-8")) == []


@every_file
def test_no_parameter_is_a_tuple_that_hides_several(path: Path) -> None:
    assert tuple_parameters(path.read_text(encoding="utf-8")) == []


def test_few_places_are_kept_from_the_formatter() -> None:
    assert sum(path.read_text(encoding="utf-8").count("# fmt: skip") for path in FILES) <= MOST_SKIPPED


def test_few_modules_stand_outside_of_a_package() -> None:
    assert len(TOP) <= MOST_MODULES


@pytest.mark.parametrize(
    "code", ["one = 1", "def f(place): ...", "x.held", "for own in x: ...", "f(told=1)", "import a as apart"]
)
def test_the_check_sees_a_banned_identifier(code: str) -> None:
    assert len(faulty_identifiers(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    'What it is.'",
        "class A:\n    'Where.'",
        "'Word.'",
        "class A:\n    'A thing.'\n    def g(self): 'How.'",
    ],
)
def test_the_check_sees_a_docstring_that_names_nothing(code: str) -> None:
    assert len(faulty_docstrings(code)) == 1


@pytest.mark.parametrize(
    "code", ["def f(a: tuple[int, str]): ...", "def f(*, a: tuple[int, float] | None = None): ..."]
)
def test_the_check_sees_a_tuple_parameter(code: str) -> None:
    assert len(tuple_parameters(code)) == 1


def faulty_identifiers(text: str) -> list[str]:
    """Identifiers that are banned words or names of earlier versions, with their lines."""
    return [f"line {line}: {name}" for name, line in identifiers(ast.parse(text)) if name in BANNED or name in FORMER]


def identifiers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs) and node.name:
            yield node.name, node.lineno


def faulty_docstrings(text: str) -> list[str]:
    """Public docstrings whose first sentence begins with a question word or has a single word."""
    faults = []
    for name, docstring in public_docstrings(ast.parse(text)):
        sentence = re.split(r"(?<=[.?!])\s", docstring.strip(), maxsplit=1)[0]
        words = sentence.rstrip(".:").split()
        if len(words) < 2 or words[0].strip("`,").lower() in QUESTIONS:
            faults.append(f"{name}: {sentence[:80]}")
    return faults


def public_docstrings(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, str]]:
    docstring = (
        ast.get_docstring(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        else None
    )
    if docstring:
        yield prefix or "module", docstring
    for child in getattr(node, "body", []):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            nested = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from () if nested else public_docstrings(child, f"{prefix}.{child.name}".lstrip("."))


def tuple_parameters(text: str) -> list[str]:
    """Parameters that are tuples of things of different kinds."""
    faults = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
                annotation = argument.annotation
                if annotation is not None and any(map(is_mixed_tuple, alternatives(annotation))):
                    faults.append(f"{node.name}: {argument.arg}: {ast.unparse(annotation)}")
    return faults


def alternatives(annotation: ast.expr) -> list[ast.expr]:
    if isinstance(annotation, ast.BinOp):
        return alternatives(annotation.left) + alternatives(annotation.right)
    return [annotation]


def is_mixed_tuple(annotation: ast.expr) -> bool:
    if not (isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "tuple"):
        return False
    parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    return not any(isinstance(part, ast.Constant) for part in parts) and len({ast.unparse(part) for part in parts}) > 1
