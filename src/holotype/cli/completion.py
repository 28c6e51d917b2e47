"""Shell completion of recipes, run folders, recipe keys and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

MAX_DEPTH = 3  # folders below what was typed
MAX_ENTRIES = 4_000  # entries, so that a Tab in a folder of a million images answers


def complete_recipe(incomplete: str) -> list[str]:
    """Complete the path of a YAML file."""
    return _complete_paths(incomplete, lambda path: path.suffix in {".yaml", ".yml"} and path.is_file())


def complete_run(incomplete: str) -> list[str]:
    """Complete the folder of a finished run."""
    return _complete_paths(
        incomplete, lambda path: (path / "scores.json").is_file() and (path / "recipe.yaml").is_file()
    )


def complete_setting(incomplete: str) -> list[str]:
    """Complete a recipe key, or its value if there are few.

    `incomplete`: typed text, for example `models.0.b` or `metric=acc`.
    """
    from holotype.recipe.load import Recipe  # slow, and needed by this one completion only

    key, is_set, typed = incomplete.partition("=")
    *parents, last = key.split(".")
    sections: list[Any] = [Recipe]
    for word in parents:
        if not word.isdigit():
            fields = [section.model_fields[word] for section in sections if word in section.model_fields]
            sections = [inner for field in fields for inner in _inner_sections(field.annotation)]
    before = "".join(f"{word}." for word in parents)
    completions: dict[str, None] = {}
    for section in sections:
        for name, field in section.model_fields.items():
            if is_set and name == last:
                completions |= {
                    f"{key}={value}": None for value in _allowed_values(field.annotation) if value.startswith(typed)
                }
            elif not is_set and name.startswith(last):
                completions |= {f"{before}{name}{ending}": None for ending in _key_suffixes(field.annotation)}
    return list(completions)


def _key_suffixes(annotation: Any) -> list[str]:
    ways = [".0." if _is_list(annotation) else "."] if _inner_sections(annotation) else []
    return ways + [f"={value}" for value in _allowed_values(annotation)] + (["="] if _is_open(annotation) else [])


def _allowed_values(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    if annotation is bool:
        return ["true", "false"]
    return [value for part in get_args(annotation) for value in _allowed_values(part)]


def _inner_sections(annotation: Any) -> list[Any]:
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [section for part in get_args(annotation) for section in _inner_sections(part)]


def _is_open(annotation: Any) -> bool:
    if annotation in {str, int, float, Path}:
        return True
    if get_origin(annotation) in {Literal, list, dict, tuple}:
        return get_origin(annotation) is not Literal and not _inner_sections(annotation)
    return any(_is_open(part) for part in get_args(annotation) if not hasattr(part, "model_fields"))


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(_is_list(part) for part in get_args(annotation))


def _complete_paths(incomplete: str, fits: Callable[[Path], bool]) -> list[str]:
    typed = Path(incomplete)
    folder = typed if not incomplete or incomplete.endswith("/") else typed.parent
    begins = "" if folder == typed else typed.name
    paths = (path for path in _list_folder(folder) if path.name.startswith(begins))
    remaining = [MAX_ENTRIES]
    matches = [path for start in paths for path in _walk_paths(start, MAX_DEPTH, remaining) if fits(path)]
    if incomplete.startswith("./"):
        return sorted(f"./{path}" for path in matches)
    return sorted(map(str, matches))


def _walk_paths(path: Path, deepest: int, remaining: list[int]) -> Iterator[Path]:
    remaining[0] -= 1
    yield path
    if deepest and remaining[0] > 0 and path.is_dir() and not path.name.startswith("."):
        for inner in _list_folder(path):
            if remaining[0] <= 0:
                return
            yield from _walk_paths(inner, deepest - 1, remaining)


def _list_folder(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
