"""Generate recipe.md, commands.md and python.md from the code: `make docs`."""

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

This page is generated from the program by `make docs`. `holotype COMMAND --help` prints the same text.

Results go to standard output; progress, notes and errors go to standard error
([terminal, pipes and JSON](terminal.md)). The exit status is 0 if the command succeeded, 1 if the work failed, and 2
if the input (recipe, data or options) is wrong. Errors are one sentence; `--debug` prints the traceback.

`--set KEY=VALUE` changes one key of the [recipe](recipe.md) for one call, and can be repeated. A key is a path with
dots; entries of a list are addressed by number, from 0: `--set models.0.phases.0.epochs=20`,
`--set split.folds_to_train=[0]`.
"""

COMPLETION = {
    "install": "Install completion of commands, recipes, runs and keys for the current shell.",
    "show": "Print the completion script.",
}
PYTHON = """# In Python

This page is generated from the code by `make docs`. It lists every public name with the first sentence of its
documentation; the site (`make site`) has a page per package with all arguments.

```python
import holotype

run = holotype.run("recipe.yaml")  # or holotype.open_run("runs/cells")
table = run.predict("new_images/")  # a polars frame: id, labels, probabilities
```

`holotype.init`, `holotype.check` and `holotype.compare` do what the commands of these names do. `run` and `check` also
take a recipe as a mapping, and changes as a mapping from key to value:
`holotype.run({"data": {"train": "train.csv"}}, changes={"models.0.backbone": "resnet18"})`.

The functions behind each step also work on arrays and tables, without a recipe:

```python
import numpy as np
from holotype.evaluation.metrics import macro_f1

truth = np.array([[1, 0], [1, 1], [0, 1]], dtype=bool)
predicted = np.array([[1, 0], [0, 1], [0, 1]], dtype=bool)
round(macro_f1(truth, predicted), 3)
```

Packages are imported when they are first used, so `import holotype` is fast. Names that are not listed are not public.
"""


def command_reference(program: Any) -> str:
    """Markdown page of the commands, with one heading per command.

    Args:
        program: The Typer application.
    """
    group = typer.main.get_command(program)
    functions = {command.name or command.callback.__name__: command.callback for command in program.registered_commands}
    lines = [COMMANDS]
    lines += ["| command | |", "| --- | --- |"]
    lines += [
        f"| [`{name}`](#holotype-{name}) | {one_line(command.help)} |" for name, command in group.commands.items()
    ]
    general = get_type_hints(program.registered_callback.callback)
    options = [option for option in group.params if option.name in general]
    lines += [
        "",
        "## Options of every command",
        "",
        re.sub(r"(--[a-z-]+)", r"`\1`", one_line(group.epilog)),
        "",
        "| | |",
        "| --- | --- |",
    ]
    lines += [f"| {_spelling(option, general[option.name])} | {one_line(option.help)} |" for option in options]
    lines += [f"| `--{name}-completion` | {meaning} |" for name, meaning in COMPLETION.items()]
    lines.append("")
    for name, command in group.commands.items():
        lines += _command_section(name, command, get_type_hints(functions[name]))
    return "\n".join(lines)


def _command_section(name: str, command: Any, types: dict[str, Any]) -> list[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [option for option in command.params if option.param_type_name == "option" and option.name != "help"]
    usage = " ".join(["holotype", name, *map(_argument_name, arguments), *(["[OPTIONS]"] if options else [])])
    rows = [(f"`{_argument_name(argument)}`", argument) for argument in arguments]
    rows += [(_spelling(option, types[option.name]), option) for option in options]
    lines = [f"## `holotype {name}`", "", one_line(command.help), "", "```text", usage, "```", ""]
    if rows:
        lines += ["| | | default |", "| --- | --- | --- |"]
        lines += [f"| {name} | {one_line(parameter.help)} | {_default(parameter)} |" for name, parameter in rows]
        lines.append("")
    return lines


def _argument_name(argument: Any) -> str:
    """Name of an argument in a usage line: optional ones in brackets, repeatable ones with dots."""
    name = (argument.metavar or argument.name.upper()).strip("[]{}.")
    name = f"{name}..." if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _spelling(option: Any, annotation: Any) -> str:
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
    """Markdown page of the public names of every package, one line each."""
    lines = [PYTHON, "## `holotype`", "", "| name | |", "| --- | --- |"]
    lines += [_name_row(holotype, name) for name in holotype.__all__]
    lines.append("")
    for package in documented_packages():
        module = import_module(f"holotype.{package}")
        summary = one_line((module.__doc__ or "").partition("\n\n")[0]).replace(" | ", " or ")
        lines += [f"## `holotype.{package}`", "", summary, "", "| name | |", "| --- | --- |"]
        lines += [_name_row(module, name) for name in module.__all__]
        lines.append("")
    return "\n".join(lines)


def documented_packages() -> list[str]:
    """Packages with public names: those that `holotype` exposes, and nested ones."""
    nested = ("evaluation.metrics", "postprocessing.decision", "postprocessing.ensemble", "runs.export")
    return sorted([*(name for name in holotype._SUBPACKAGES if name not in WITHOUT_NAMES), *nested])


def _name_row(module: Any, name: str) -> str:
    member = getattr(module, name)
    documented = inspect.isfunction(member) or inspect.isclass(member)
    text = one_line((inspect.getdoc(member) or "").partition("\n\n")[0]) if documented else _constant(member)
    return f"| `{name}` | {text.replace('|', chr(92) + '|')} |"


def _constant(value: Any) -> str:
    if isinstance(value, Registry):
        return f"by name: {', '.join(f'`{name}`' for name in sorted(value))}"
    shown = repr(value)
    return f"`{shown}`" if len(shown) < 60 else f"a {type(value).__name__}"


def one_line(text: str | None) -> str:
    """Join the lines of a text."""
    return " ".join((text or "").split())


def pages() -> dict[Path, str]:
    """Texts of the generated pages, by path."""
    return {
        HERE / "recipe.md": recipe_reference(Recipe),
        HERE / "commands.md": command_reference(app),
        HERE / "python.md": python_reference(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote docs/{path.name}")
