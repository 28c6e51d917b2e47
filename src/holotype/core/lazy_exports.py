"""Packages whose names are imported when they are first used, so that a light command does not pay for PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package (PEP 562) that imports a module when one of its names is first asked for.

    Type checkers and import-linter read the same imports under `TYPE_CHECKING`.

    Args:
        package: Its `__name__`.
        modules: The public names of each module of the package.
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    class LazyPackage(ModuleType):
        """Keeps a public name from being replaced by the module of the same name when Python has imported that."""

        def __setattr__(self, name: str, value: object) -> None:
            if name not in module_of or not isinstance(value, ModuleType):
                super().__setattr__(name, value)

    sys.modules[package].__class__ = LazyPackage

    def get_attribute(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{module_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get_attribute
