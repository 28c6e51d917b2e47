"""Plugins: Python modules that register losses, metrics, augmentations and other parts, loaded before names resolve."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.metadata import entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType

from holotype.core.errors import RecipeError, first_line
from holotype.core.registry import registering_plugin, source_digest, unregister_plugin

ENTRY_POINTS = "holotype.plugins"
"""Group of the entry points by which installed packages are plugins."""
INHERITED = "HOLOTYPE_LOADED_PLUGINS"  # environment variable by which spawned processes load the same plugins
FIELD = "run.plugins"


@dataclass(frozen=True)
class Plugin:
    """Plugin that is loaded.

    Args:
        module: Name of the module, with dots.
        source: File of the module, or folder of its package.
        folder: Folder that the module lies in; None if it is installed.
        digest: Digest of the source that was imported.
    """

    module: str
    source: Path
    folder: Path | None
    digest: str


_loaded: dict[str, Plugin] = {}
_listeners: list[Callable[[str], None]] = []


@contextmanager
def announced_plugins(listener: Callable[[str], None]) -> Iterator[None]:
    """Context in which a listener gets a sentence about every plugin when its code is loaded."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def load_plugin(module: str, folder: Path | None = None, digest: str | None = None) -> Plugin:
    """Import a plugin, which registers its parts; again if its source has changed.

    Args:
        module: Name of the module, with dots.
        folder: Where it is looked for first; then among the installed packages.
        digest: Expected digest of its source; another source is refused before it is imported.

    Raises:
        RecipeError: There is no such module, its source has another digest, it fails, or registers a name that exists.
    """
    package = module.partition(".")[0]
    source, parent = _find_source(module, package, folder)
    current = source_digest(source)
    if digest is not None and digest != current:
        raise RecipeError(
            f"the plugin {module!r} ({source}) has other code than recorded: its digest is {current}, not {digest}",
            field=FIELD,
            value=module,
            remedy="restore the recorded version, or run the recipe again with this code",
        )
    loaded = _loaded.get(module)
    if loaded is not None and loaded.digest == current:
        return loaded
    if loaded is not None:
        if loaded.source != source:
            raise RecipeError(
                f"this process has loaded another plugin {module!r}, from {loaded.source}; this is {source}",
                field=FIELD,
                value=module,
                remedy="rename the module, or start another process",
            )
        _forget_plugin(package)
    plugin = Plugin(module, source, parent, current)
    _import_plugin(plugin, package)
    _loaded[module] = plugin
    os.environ[INHERITED] = json.dumps(
        [[each.module, None if each.folder is None else str(each.folder), each.digest] for each in _loaded.values()]
    )
    for listener in _listeners:
        listener(f"the plugin {module} is loaded from {source}")
    return plugin


def load_installed_plugins() -> list[Plugin]:
    """Import the installed packages that have an entry point in the group `holotype.plugins`.

    Raises:
        RecipeError: One of them fails.
    """
    modules = {entry.module: entry for entry in entry_points(group=ENTRY_POINTS)}
    return [load_plugin(module) for module in sorted(modules)]


def load_inherited_plugins() -> None:
    """Import the plugins of the parent process, if this process was spawned by one that had loaded some."""
    from multiprocessing import parent_process

    if parent_process() is None:
        return
    for module, folder, digest in json.loads(os.environ.get(INHERITED, "[]")):
        load_plugin(module, folder and Path(folder), digest)


def _find_source(module: str, package: str, folder: Path | None) -> tuple[Path, Path | None]:
    """File or package folder of a plugin, and the folder it lies in if it is not installed."""
    if folder is not None:
        candidates = (folder / f"{package}.py", folder / package / "__init__.py")
        for file in candidates:
            if file.is_file():
                return (file.parent if file.name == "__init__.py" else file), folder
    spec = _find_installed(package)
    if spec is None or spec.origin in {"built-in", "frozen"} or package == "holotype":
        searched = f"in {folder} nor " if folder is not None else ""
        raise RecipeError(
            f"there is no plugin {module!r}, {'neither' if searched else 'not'} {searched}among the installed packages",
            field=FIELD,
            value=module,
            remedy=f"write {package}.py beside the recipe, or install the package",
        )
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))), None
    return Path(str(spec.origin)), None


def _find_installed(package: str) -> ModuleSpec | None:
    if any(plugin.folder is not None and plugin.module.partition(".")[0] == package for plugin in _loaded.values()):
        return PathFinder.find_spec(package)  # `find_spec` would give the module of another recipe
    try:
        return find_spec(package)
    except (ImportError, ValueError):  # `__main__`, or a module without a specification
        return None


def _import_plugin(plugin: Plugin, package: str) -> None:
    imported = sys.modules.get(package)
    file = getattr(imported, "__file__", None)
    if imported is not None and (file is None or plugin.source not in {Path(file), Path(file).parent}):
        raise RecipeError(
            f"the plugin {plugin.module!r} ({plugin.source}) has the name of another module, {file or 'of Python'}",
            field=FIELD,
            value=plugin.module,
            remedy="rename it",
        )
    try:
        with registering_plugin(package, plugin.digest), warnings.catch_warnings():
            warnings.filterwarnings("error", message="Overwriting .* in registry", category=UserWarning)  # of timm
            if imported is None and plugin.folder is not None:
                _import_file(plugin.source, package)
            importlib.import_module(plugin.module)
    except (Exception, SystemExit) as error:  # whatever the code of the plugin raises
        _forget_plugin(package)
        remedy = "rename the part" if isinstance(error, ValueError | UserWarning) else "correct the module"
        raise RecipeError(
            f"the plugin {plugin.module!r} cannot be loaded: {_describe_failure(error, plugin.source)}",
            field=FIELD,
            value=plugin.module,
            remedy=remedy,
        ) from error


class _FreshLoader(SourceFileLoader):
    """Loader that compiles the source itself: a compiled file may be of an older source with the same size and time."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _import_file(source: Path, package: str) -> None:
    """Import a module's file or package under its name, without a change of the search path."""
    locations = None if source.is_file() else [str(source)]
    file = str(source if source.is_file() else source / "__init__.py")
    spec = spec_from_file_location(
        package, file, loader=_FreshLoader(package, file), submodule_search_locations=locations
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python module")
    module = module_from_spec(spec)
    sys.modules[package] = module
    spec.loader.exec_module(module)


def _forget_plugin(package: str) -> None:
    """Remove a plugin's parts and modules, so that it can be imported again."""
    unregister_plugin(package)
    for module in [module for module in _loaded if module.partition(".")[0] == package]:
        del _loaded[module]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def describe_plugin_error(error: BaseException) -> str | None:
    """Error of a plugin's code while it worked, with file and line; None if no plugin was at work."""
    for plugin in _loaded.values():
        if _plugin_lines(error, plugin.source):
            return f"the plugin {plugin.module!r} failed: {_describe_failure(error, plugin.source)}"
    return None


def _plugin_lines(error: BaseException, source: Path) -> list[tuple[Path, int | None]]:
    """Files and lines of a plugin that an error passed, the innermost last."""
    return [
        (Path(frame.filename), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == source or source in Path(frame.filename).parents
    ]


def _describe_failure(error: BaseException, source: Path) -> str:
    """Error with the file and line of the plugin that raised it."""
    lines = _plugin_lines(error, source)
    if isinstance(error, SyntaxError) and error.filename:
        lines = [(Path(error.filename), error.lineno)]
    where = f" ({lines[-1][0]}, line {lines[-1][1]})" if lines else ""
    message = error.msg if isinstance(error, SyntaxError) else first_line(error)
    return f"{type(error).__name__}: {message}{where}"
