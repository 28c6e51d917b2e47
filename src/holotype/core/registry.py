"""Function registries: a decorator that adds a function to a mapping under its name, built in or from a plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload
from weakref import WeakSet

from holotype.core.errors import RecipeError

__all__ = [
    "Registry",
    "plugin_identities",
    "plugin_identity",
    "plugin_parts",
    "plugins_named",
    "registering_plugin",
    "source_digest",
    "unregister_plugin",
]

Function = TypeVar("Function", bound=Callable[..., Any])

_registries: WeakSet[Registry] = WeakSet()
_loading: list[str] = []  # top-level module of the plugin that is being imported
_source_digests: dict[str, str] = {}  # by top-level module, of the code that was imported


class Registry(Mapping[str, Callable[..., Any]]):
    """Mapping from public names to functions; `-` and `_` are the same in a name.

    Args:
        kind: Noun for messages ("loss", "schedule").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._functions: dict[str, Callable[..., Any]] = {}
        self._plugins: dict[str, str] = {}
        _registries.add(self)

    __hash__ = object.__hash__

    @overload
    def register(self, function: Function) -> Function: ...

    @overload
    def register(self, *, name: str) -> Callable[[Function], Function]: ...

    def register(self, function: Any = None, *, name: str | None = None) -> Any:
        """Register a function under its own name, or under another if its own would shadow a builtin.

        Raises:
            ValueError: The name is taken.
        """
        if function is None:
            return partial(self.register, name=name)
        public_name = (name or function.__name__).replace("-", "_")
        module = getattr(function, "__module__", "")
        if public_name in self._functions:
            owner = getattr(self._functions[public_name], "__module__", "")
            raise ValueError(f"the {self.kind} {public_name!r} exists already, in {owner}; {module} cannot register it")
        self._functions[public_name] = function
        package = _loading[-1] if _loading else module.partition(".")[0]
        if package != "holotype":
            self._plugins[public_name] = package
        return function

    def plugin_of(self, name: str) -> str:
        """Top-level module of the plugin that registered a name; empty for a built-in or unknown one."""
        return self._plugins.get(name.replace("-", "_"), "")

    def unregister(self, module: str) -> None:
        """Remove the parts of a plugin, named by its top-level module."""
        for name in [name for name, owner in self._plugins.items() if owner == module]:
            del self._plugins[name], self._functions[name]

    def __getitem__(self, name: str) -> Callable[..., Any]:
        key = name.replace("-", "_")
        if key not in self._functions:
            from holotype.core.plugins import load_inherited_plugins

            load_inherited_plugins()  # in a process that training has spawned
        function = self._functions.get(key)
        if function is None:
            raise RecipeError(f"no {self.kind} is named {name!r}", value=name, allowed=sorted(self._functions))
        return function

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.replace("-", "_") in self._functions

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


def plugin_identity(name: str) -> str:
    """Source digest of the plugin that registered a part under a name, of any kind; empty for a built-in part.

    It belongs to the cache key of every step that uses the part, so that changed code is computed again. All files of
    the plugin's package count, or its only file; modules that it imports from elsewhere do not.
    """
    return "+".join(_module_digest(module) for module in sorted(plugins_named(name)))


def plugin_identities(settings: Any) -> dict[str, str]:
    """Source digests of the plugin parts that a section names, by name; empty if all its parts are built in.

    Args:
        settings: Nested mappings and sequences, as from `model_dump`; both keys and values may be names.
    """
    identities = {name: plugin_identity(name) for name in sorted(set(_names_in(settings)))}
    return {name: digest for name, digest in identities.items() if digest}


def plugins_named(settings: Any) -> set[str]:
    """Top-level modules of the plugins whose parts a section names.

    Args:
        settings: A name, or nested mappings and sequences.
    """
    names = set(_names_in(settings))
    modules = {registry.plugin_of(name) for registry in _registries for name in names}
    return (modules | {_plugin_in_timm(name) for name in names}) - {""}


def plugin_parts(kind: str) -> dict[str, Callable[..., Any]]:
    """Parts of a kind that plugins have registered, by name.

    Args:
        kind: Of the registry ("loss", "metric").
    """
    registries = [registry for registry in _registries if registry.kind == kind]
    return {name: registry[name] for registry in registries for name in sorted(registry) if registry.plugin_of(name)}


@contextmanager
def registering_plugin(module: str, digest: str) -> Iterator[None]:
    """Context in which registered parts belong to a plugin.

    Args:
        module: Its top-level module.
        digest: Of its source, before it is imported.
    """
    _loading.append(module)
    _source_digests[module] = digest
    try:
        yield
    finally:
        _loading.pop()


def unregister_plugin(module: str) -> None:
    """Remove all parts of a plugin, named by its top-level module."""
    for registry in _registries:
        registry.unregister(module)
    entrypoints = _timm_entrypoints()
    for name in [name for name in entrypoints if _plugin_in_timm(name) == module]:
        del entrypoints[name]
    _source_digests.pop(module, None)


def source_digest(path: Path) -> str:
    """Digest of a module's file, or of all files of its package except compiled ones."""
    from holotype.core.digest import digest_file, digest_value

    files = [path] if path.is_file() else sorted(part for part in path.rglob("*") if part.is_file())
    folder = path.parent if path.is_file() else path
    digests = {file.relative_to(folder).as_posix(): digest_file(file) for file in files if _is_source(file, folder)}
    return digest_value(digests)


def _is_source(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts
    return not any(part == "__pycache__" or part.startswith(".") for part in parts) and file.suffix != ".pyc"


def _names_in(settings: Any) -> Iterator[str]:
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, Mapping):
        yield from (name for item in settings.items() for part in item for name in _names_in(part))
    elif isinstance(settings, list | tuple | set | frozenset):
        yield from (name for part in settings for name in _names_in(part))


def _module_digest(module: str) -> str:
    """Digest of the source that a module was imported from; for a module that is no file, its name."""
    if module not in _source_digests:
        file = getattr(sys.modules.get(module), "__file__", None)
        source = Path(file) if file else None
        if source is not None and source.name == "__init__.py":
            source = source.parent
        _source_digests[module] = source_digest(source) if source is not None and source.exists() else module
    return _source_digests[module]


def _timm_entrypoints() -> dict[str, Any]:
    """Networks registered with timm, if this process has imported it."""
    return getattr(sys.modules.get("timm.models._registry"), "_model_entrypoints", {})


def _plugin_in_timm(name: str) -> str:
    """Top-level module that registered a network with timm; empty for timm's own networks."""
    package = getattr(_timm_entrypoints().get(name), "__module__", "timm").partition(".")[0]
    return "" if package in {"timm", "holotype"} else package
