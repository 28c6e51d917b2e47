"""The house rules, held against every file: sizes, manners, names, docstrings, registries and recipes."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import holotype
import holotype.core.registry
import holotype.recipe.sections

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
FILES = sorted((SOURCE / "holotype").rglob("*.py"))
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
# Aims are 400 and 60 lines; these bounds leave room where a table or a message would be bent by them.
MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_PARAMETERS = 500, 75, 7
NAMES_THAT_SAY_NOTHING = {"common", "helpers", "misc", "tools", "util", "utils"}
# What belongs to one machine, and notes to ourselves.
UNWELCOME = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|[\"'` (](/home/|/root/|/work/|/tmp/|/Users/|[A-Z]:\\)")
# What reads or writes a file of Polars or pandas; `folder.write_json` is ours.
FORMS = "parquet|csv|excel|ipc|ndjson|avro|delta|database|ods|feather|table"
TABLE_CALL = re.compile(
    rf"(pl|polars|pd|pandas)\.(read|scan)_\w+|.*\.(write|sink)_({FORMS})\w*|.*\.to_({FORMS})", re.DOTALL
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE / "holotype").as_posix())


@every_file
def test_a_file_fits_its_sizes(path: Path) -> None:
    assert sizes_exceeded(path.read_text(encoding="utf-8")) == []


@every_file
def test_a_file_keeps_the_house_manners(path: Path) -> None:
    assert path.stem not in NAMES_THAT_SAY_NOTHING
    assert manners_broken(path.read_text(encoding="utf-8")) == []


@every_file
def test_public_names_are_listed_in_order(path: Path) -> None:
    assert listing_faults(path.read_text(encoding="utf-8")) == []


@every_file
def test_docstrings_name_the_arguments_of_the_signature(path: Path) -> None:
    assert docstring_faults(path.read_text(encoding="utf-8")) == []


@every_file
def test_table_files_are_read_and_written_in_one_module(path: Path) -> None:
    assert path.name == "table_files.py" or table_files_touched(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "code",
    [
        "pl.read_parquet(p)",
        "polars.scan_csv(p)",
        "frame.write_csv(p)",
        "frame.lazy().sink_parquet(p)",
        "frame.write_excel()",
        "from polars import read_csv",
        "pandas.read_excel(p)",
    ],
)
def test_the_checks_see_a_table_file_read_or_written_elsewhere(code: str) -> None:
    assert len(table_files_touched(code)) == 1


def test_no_function_is_written_twice() -> None:
    places = defaultdict(list)
    for path in FILES:
        for function in functions_of(ast.parse(path.read_text(encoding="utf-8"))):
            statements = without_docstring(function)
            if sum(isinstance(node, ast.stmt) for each in statements for node in ast.walk(each)) >= 4:
                places[str(list(map(ast.dump, statements)))].append(f"{path.relative_to(SOURCE)}: {function.name}")
    assert [where for where in places.values() if len(where) > 1] == []


def test_every_registered_function_is_documented() -> None:
    faults = []
    for module in map(importlib.import_module, module_names()):
        for registry in vars(module).values():
            if isinstance(registry, holotype.core.registry.Registry):
                arguments = {name: signature_names(function) for name, function in registry.items()}
                shared = set.intersection(*map(set, arguments.values())) if arguments else set()  # said at the registry
                for name, expected in arguments.items():
                    told = documented(inspect.getdoc(registry[name]) or "")
                    if not is_part_of(told, expected) or not {*expected} - shared <= {*told}:
                        faults.append(f"{registry.kind} {name!r}: Args must be {expected}, at least without {shared}")
    assert faults == []


def signature_names(function: Callable[..., object]) -> list[str]:
    return [
        re.split("[:=]", str(parameter))[0].strip() for parameter in inspect.signature(function).parameters.values()
    ]


def test_every_key_of_a_recipe_is_documented() -> None:
    importlib.import_module("holotype.recipe.load")
    # A section within a section speaks for itself, and for the one `kind` or `name` it is of.
    bare = [
        f"{section.__name__}.{name}"
        for section in holotype.recipe.sections.Section.__subclasses__()
        for name, field in section.model_fields.items()
        if section.__module__.startswith("holotype.")
        and not field.description
        and not (re.search(r"\w+Spec\b", repr(field.annotation)) or name == "kind")
        and not (name == "name" and repr(field.annotation).startswith("typing.Literal"))
    ]
    assert bare == []


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_of_the_house_is_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe = importlib.import_module("holotype.recipe.load").load_recipe(path.relative_to(ROOT))
    assert Path(recipe.data.train).is_absolute()


BAD_CODE = {
    "501 lines": "x = 1\n" * 501,
    "76 lines of code": "def long():\n    '''A\n    docstring.'''\n" + "    x = 1\n" * 75,
    "8 parameters": "class A:\n    def wide(self, a, b, c, d, e, f, *g, h, **i): ...",
}


@pytest.mark.parametrize("code", BAD_CODE.values(), ids=BAD_CODE)
def test_the_checks_see_what_is_too_large(code: str) -> None:
    assert len(sizes_exceeded(code)) == 1


@pytest.mark.parametrize(
    "code", ["assert x", "path = '/home/me/data'", "# TODO: later", "from . import data", "torch.load(f)"]
)
def test_the_checks_see_bad_manners(code: str) -> None:
    assert len(manners_broken(code)) == 1


@pytest.mark.parametrize("code", ["__all__ = []\ndef open_door(): ...", "__all__ = ['b', 'A']", "__all__ = ['a', 'a']"])
def test_the_checks_see_a_wrong_listing(code: str) -> None:
    assert len(listing_faults(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "def f(a, *b):\n    '''Both.\n\n    Args:\n        a: First.\n        b: Second.\n    '''",
        "def f(a, b):\n    '''Both.\n\n    Args:\n        b: Second.\n        a: First.\n    '''",
        "def f():\n    pass",
        "@dataclass(frozen=True)\nclass f:\n    '''A thing.\n\n    Args:\n        b: Gone.\n    '''\n    a: int",
        "class f:\n    '''A thing.'''\n    def go(self, a): '''Goes.\n\n    Args:\n        b: Gone.\n    '''",
        "def f():\n    'Public.'\ndef _g(a):\n    '''Private.\n\n    Args:\n        c: Gone.\n    '''",
    ],
)
def test_the_checks_see_a_wrong_docstring(code: str) -> None:
    assert len(docstring_faults("__all__ = ['f']\n" + code)) == 1


def sizes_exceeded(text: str) -> list[str]:
    """What is too large: the file, a function's lines without its docstring, its parameters that may be positional."""
    tree, lines = ast.parse(text), len(text.splitlines())
    faults = [f"{lines} lines, at most {MOST_LINES}"] if lines > MOST_LINES else []
    for function in functions_of(tree):
        docstring = set(function.body) - set(without_docstring(function))
        length = lines_of(function) - sum(map(lines_of, docstring))
        if length > MOST_LINES_OF_A_FUNCTION:
            faults.append(f"{function.name}: {length} lines of code, at most {MOST_LINES_OF_A_FUNCTION}")
        positional = [name for name in parameters(function) if name not in keyword_only(function)]
        if len(positional) > MOST_PARAMETERS:
            faults.append(f"{function.name}: {len(positional)} positional parameters, at most {MOST_PARAMETERS}")
    return faults


def manners_broken(text: str) -> list[str]:
    """Asserts, relative imports, pickles, notes to ourselves and places on one machine."""
    nodes = list(ast.walk(ast.parse(text)))
    faults = [f"line {node.lineno}: assert; raise an error instead" for node in nodes if isinstance(node, ast.Assert)]
    faults += [
        f"line {node.lineno}: relative import" for node in nodes if isinstance(node, ast.ImportFrom) and node.level
    ]
    calls = [(node.lineno, ast.unparse(node)) for node in nodes if isinstance(node, ast.Call)]
    pickles = [
        (line, call) for line, call in calls if re.match(r"torch\.load\((?!.*weights_only=True)", call, re.DOTALL)
    ]
    faults += [f"line {line}: {call}; only data is loaded: weights_only=True" for line, call in pickles]
    lines = enumerate(text.splitlines(), start=1)
    return faults + [f"line {number}: {found[0]!r}" for number, line in lines if (found := UNWELCOME.search(line))]


def table_files_touched(text: str) -> list[str]:
    """Reads and writes of table files, which take a path for a pattern; a table as a string is no file."""
    faults = []
    for node in ast.walk(ast.parse(text)):
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.ImportFrom) and node.module in {"polars", "pandas"}:
            faults += [f"line {node.lineno}: {each.name}" for each in node.names if TABLE_CALL.match(f"pl.{each.name}")]
        elif TABLE_CALL.fullmatch(name) and not (name.endswith(".write_csv") and not node.args + node.keywords):
            faults.append(f"line {node.lineno}: {name}; use holotype.core.table_files")
    return faults


def listing_faults(text: str) -> list[str]:
    """`__all__` that is out of order, or leaves out what has no underscore."""
    tree = ast.parse(text)
    listed = public_names(tree)
    ordered = sorted(set(listed), key=listing_order)
    faults = [] if listed == ordered else [f"__all__ must be {ordered}"]
    things = [node for node in tree.body if isinstance(node, Function | ast.ClassDef)]
    defined = [node.name for node in things if "register" not in decorators(node)]  # its registry lists it
    absent = [name for name in defined if not name.startswith("_") and name not in listed]
    return faults + [f"{name}: not in __all__; list it or begin it with an underscore" for name in absent]


def listing_order(name: str) -> tuple[int, list[str | int]]:
    """Constants, then classes, then functions, as ruff sorts them; numbers by their value."""
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def docstring_faults(text: str) -> list[str]:
    """Public things without a docstring, and docstrings whose Args are not in the signature, or in another order."""
    tree = ast.parse(text)
    listed, faults = public_names(tree), []
    for node in tree.body:
        if isinstance(node, Function):
            faults += function_faults(node, node.name, public=node.name in listed)
        elif isinstance(node, ast.ClassDef):
            public = node.name in listed
            faults += class_faults(node) if public else []
            for method in node.body:
                if isinstance(method, Function) and not method.name.startswith("__"):
                    visible = public and not method.name.startswith("_") and "overload" not in decorators(method)
                    faults += function_faults(method, f"{node.name}.{method.name}", public=visible)
    return faults


def function_faults(function: Function, name: str, *, public: bool) -> list[str]:
    docstring = ast.get_docstring(function)
    if docstring is None:
        return [f"{name}: no docstring"] if public else []
    expected, found = parameters(function), documented(docstring)
    return [] if is_part_of(found, expected) else [f"{name}: Args are {found}, in the order of {expected}"]


def is_part_of(names: list[str], signature: list[str]) -> bool:
    """Whether names stand in a signature, in its order; what says nothing new is left out of a docstring."""
    following = iter(signature)
    return all(name in following for name in names)


def class_faults(node: ast.ClassDef) -> list[str]:
    """Arguments of a class are those of its __init__, or the fields of a dataclass or named tuple."""
    docstring = ast.get_docstring(node)
    if docstring is None:
        return [f"{node.name}: no docstring"]
    bases = {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases}
    init = [part for part in node.body if isinstance(part, Function) and part.name == "__init__"]
    if init:
        expected = parameters(init[0])
    elif "dataclass" in decorators(node) or bases & {"NamedTuple", "TypedDict"}:
        expected = [part.target.id for part in node.body if is_field(part)]  # type: ignore[attr-defined]
    else:
        return []
    found = documented(docstring)
    return [] if is_part_of(found, expected) else [f"{node.name}: Args are {found}, in the order of {expected}"]


def is_field(part: ast.stmt) -> bool:
    if not isinstance(part, ast.AnnAssign) or "ClassVar" in ast.unparse(part.annotation):
        return False
    return "init=False" not in ast.unparse(part.value or ast.Constant(None))


def documented(docstring: str) -> list[str]:
    """The names under `Args:`, in order, with their stars."""
    section = re.search(r"^Args:\n((?:(?: +.*)?\n)*)", inspect.cleandoc(docstring) + "\n", re.MULTILINE)
    return re.findall(r"^    (\*{0,2}\w+)(?: \([^)]*\))?:", section[1], re.MULTILINE) if section else []


def parameters(function: Function) -> list[str]:
    """The parameters' names in order, with their stars, without `self`, `cls` and a command's `context`."""
    given = function.args
    positional = [argument.arg for argument in given.posonlyargs + given.args]
    first = positional[1:] if positional[:1] in (["self"], ["cls"], ["context"]) else positional
    starred = [f"*{given.vararg.arg}"] if given.vararg else []
    named = [argument.arg for argument in given.kwonlyargs]
    return first + starred + named + ([f"**{given.kwarg.arg}"] if given.kwarg else [])


def keyword_only(function: Function) -> set[str]:
    return {argument.arg for argument in function.args.kwonlyargs}


def decorators(node: Function | ast.ClassDef) -> set[str]:
    return {ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in node.decorator_list}


def functions_of(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def lines_of(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def without_docstring(function: Function) -> list[ast.stmt]:
    return function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body


def public_names(tree: ast.Module) -> list[str]:
    """Names in `__all__`; without it, what a module defines and does not begin with an underscore."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    defined = [node for node in tree.body if isinstance(node, Function | ast.ClassDef)]
    names = [node.name for node in defined if "register" not in decorators(node)]
    return sorted((name for name in names if not name.startswith("_")), key=listing_order)


def module_names() -> list[str]:
    names = [module.name for module in pkgutil.walk_packages(holotype.__path__, "holotype.")]
    return sorted(name for name in names if not name.endswith("__main__"))


def test_every_lower_bound_is_the_version_that_the_tests_run_on_as_the_lowest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.split(";")[0].strip().split("==") for line in lines if "==" in line)
    tested = {re.sub(r"[._-]+", "-", name).lower(): version for name, version in tested.items()}
    extras = project["optional-dependencies"]
    bounds = [*project["dependencies"], *extras["export"], *extras["retrieval"], *extras["serve"], *extras["tune"]]
    for bound in bounds:
        name, lowest = re.fullmatch(r"([\w.-]+)>=([\d.]+)", bound.replace(" ", "")).groups()
        version = tested[re.sub(r"[._-]+", "-", name).lower()]
        assert f"{version}.".startswith(f"{lowest}."), f"{bound}, and the tests run on {version}: `make lowest`"


def test_every_extra_is_imported_somewhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    everywhere = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    names = {"faiss-cpu": "faiss", "prometheus-client": "prometheus_client", "python-multipart": "fastapi"}
    for extra in ("retrieval", "serve", "export", "tune", "bio"):
        for bound in project["optional-dependencies"][extra]:
            name = re.match(r"[\w.-]+", bound)[0]
            assert re.search(rf"(import|from|\") ?{names.get(name, name)}\b", everywhere), f"{extra}: {name}"
    assert set(project["optional-dependencies"]) - {"bench", "dev", "docs"} == {
        "bio",
        "export",
        "lite",
        "retrieval",
        "serve",
        "tune",
    }
