"""Writes the pages that are made from the code: recipe.md, commands.md and python.md: `make docs`."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer

import holotype
from holotype.cli.main import app
from holotype.core.registry import Registry
from holotype.recipe.load import Recipe
from holotype.recipe.reference import recipe_reference

HERE = Path(__file__).parent
WITHOUT_NAMES = {"postprocessing", "simulate"}  # their modules are used by name
VALUES = {Path: "path", int: "number", float: "number", str: "text"}  # what is written after an option, in words

COMMANDS = """# The command line

Made from the program by `make docs`; a test holds it to it. `holotype COMMAND --help` says the same on a terminal.

Long work shows a progress bar on a terminal and plain lines elsewhere. What a command answers goes to standard output,
what it says meanwhile to standard error. Exit status: 0 done, 1 the work failed, 2 the recipe or the data is wrong
(one sentence, no traceback; `--debug` shows it).

`--set KEY=VALUE` changes one key of the recipe for one call and may be given more than once. The key is the path of the
[recipe](recipe.md), a list's entry by its number: `--set models.0.phases.0.epochs=20`,
`--set split.folds_to_train=[0]`.
"""

COMPLETION = {
    "install": "Completion of commands, recipes, runs and keys for the current shell.",
    "show": "The same, to copy it.",
}
PYTHON = """# In Python

Made from the code by `make docs`; the site has a page for each package, with every function's arguments.

```python
import holotype

cells = holotype.run("recipe.yaml")  # or holotype.open_run("runs/cells")
table = cells.predict("new_images/")  # a polars frame: id, labels, probabilities
```

Every stage is a function of its own, on arrays and tables, without a recipe:

```python
import numpy as np
from holotype.evaluation.metrics import macro_f1

truth = np.array([[1, 0], [1, 1], [0, 1]], dtype=bool)
said = np.array([[1, 0], [0, 1], [0, 1]], dtype=bool)
round(macro_f1(truth, said), 3)
```

A package is imported when it is first used: `import holotype` costs nothing. What is not listed here is not public.
"""


def command_reference(program: Any) -> str:
    """The commands as a Markdown page, one heading a command.

    Args:
        program: The typer application.
    """
    group = typer.main.get_command(program)
    functions = {command.name or command.callback.__name__: command.callback for command in program.registered_commands}
    lines = [COMMANDS]
    lines += ["| command | |", "| --- | --- |"]
    lines += [
        f"| [`{name}`](#holotype-{name}) | {one_line(command.help)} |" for name, command in group.commands.items()
    ]
    general = get_type_hints(program.registered_callback.callback)
    options = [one for one in group.params if one.name in general]
    lines += [
        "",
        "## Options of every command",
        "",
        re.sub(r"(--[a-z-]+)", r"`\1`", one_line(group.epilog)),
        "",
        "| | |",
        "| --- | --- |",
    ]
    lines += [f"| {_spelled(one, general[one.name])} | {one_line(one.help)} |" for one in options]
    lines += [f"| `--{name}-completion` | {said} |" for name, said in COMPLETION.items()]
    lines.append("")
    for name, command in group.commands.items():
        lines += _one_command(name, command, get_type_hints(functions[name]))
    return "\n".join(lines)


def _one_command(name: str, command: Any, types: dict[str, Any]) -> list[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and one.name != "help"]
    usage = " ".join(["holotype", name, *map(_bare, arguments), *(["[OPTIONS]"] if options else [])])
    rows = [(f"`{_bare(one)}`", one.help, one) for one in arguments]
    rows += [(_spelled(one, types[one.name]), one.help, one) for one in options]
    lines = [f"## `holotype {name}`", "", one_line(command.help), "", "```text", usage, "```", ""]
    if rows:
        lines += ["| | | default |", "| --- | --- | --- |"]
        lines += [f"| {first} | {one_line(said)} | {_default(one)} |" for first, said, one in rows]
        lines.append("")
    return lines


def _bare(argument: Any) -> str:
    """An argument's name as usage shows it: optional in brackets, several with dots."""
    name = (argument.metavar or argument.name.upper()).strip("[]{}.")
    name = f"{name}..." if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _spelled(option: Any, annotation: Any) -> str:
    spellings = ", ".join(f"`{spelling}`" for spelling in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return spellings
    words = [word for kind, word in VALUES.items() if kind in {annotation, *get_args(annotation)}]
    return f"{spellings} *{option.metavar or (words or ['text'])[0]}*"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "**required**"
    default = parameter.default
    shown = default is not None and default is not False and default not in ([], ()) and not callable(default)
    return f"`{default}`" if shown else ""


def python_reference() -> str:
    """The public names of every package that `holotype` names, one line each, as a Markdown page."""
    lines = [PYTHON, "## `holotype`", "", "| name | |", "| --- | --- |"]
    lines += [_name_row(holotype, name) for name in holotype.__all__]
    lines.append("")
    for room in documented_packages():
        module = import_module(f"holotype.{room}")
        said = one_line((module.__doc__ or "").partition("\n\n")[0]).replace(" | ", " or ")
        lines += [f"## `holotype.{room}`", "", said, "", "| name | |", "| --- | --- |"]
        lines += [_name_row(module, name) for name in module.__all__]
        lines.append("")
    return "\n".join(lines)


def documented_packages() -> list[str]:
    """The packages with public names: those that `holotype` offers, and the packages inside them."""
    nested = ("evaluation.metrics", "postprocessing.decision", "postprocessing.ensemble", "runs.export")
    return sorted([*(name for name in holotype._SUBPACKAGES if name not in WITHOUT_NAMES), *nested])


def _name_row(module: Any, name: str) -> str:
    found = getattr(module, name)
    documented = inspect.isfunction(found) or inspect.isclass(found)
    said = one_line((inspect.getdoc(found) or "").partition("\n\n")[0]) if documented else _constant(found)
    return f"| `{name}` | {said.replace('|', chr(92) + '|')} |"


def _constant(value: Any) -> str:
    if isinstance(value, Registry):
        return f"by name: {', '.join(f'`{name}`' for name in sorted(value))}"
    shown = repr(value)
    return f"`{shown}`" if len(shown) < 60 else f"a {type(value).__name__}"


def one_line(text: str | None) -> str:
    """Text without its line breaks.

    Args:
        text: A docstring or a help text, or none.
    """
    return " ".join((text or "").split())


def pages() -> dict[Path, str]:
    """Every page that is made from the code, by its place."""
    return {
        HERE / "recipe.md": recipe_reference(Recipe),
        HERE / "commands.md": command_reference(app),
        HERE / "python.md": python_reference(),
    }


if __name__ == "__main__":
    for place, text in pages().items():
        place.write_text(text, encoding="utf-8")
        print(f"wrote docs/{place.name}")
