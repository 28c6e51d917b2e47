"""Lazy imports of package attributes (PEP 562), so that light commands do not import PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package (PEP 562), which imports a module when one of its names is first used.

    Type checkers and import-linter read the same imports under `TYPE_CHECKING`.
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    class LazyPackage(ModuleType):
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
