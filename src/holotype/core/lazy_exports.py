"""Lazy imports of package attributes (PEP 562), so that light commands do not import PyTorch."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any


def lazy_exports(package: str) -> tuple[Callable[[str], Any], list[str]]:
    """Make the `__getattr__` and the `__all__` of a package whose names are imported when they are first used.

    The names and their modules are those of the type stub beside `__init__.py`, which type checkers and editors read.
    """
    stub = Path(str(sys.modules[package].__file__)).with_suffix(".pyi").read_text(encoding="utf-8")
    module_of = {name: module for module, name in re.findall(r"^from (\S+) import (\w+) as \w+$", stub, re.MULTILINE)}

    class LazyPackage(ModuleType):
        """Keep a public name when Python imports the module of the same name."""

        def __setattr__(self, name: str, value: object) -> None:
            if name not in module_of or not isinstance(value, ModuleType):
                super().__setattr__(name, value)

    sys.modules[package].__class__ = LazyPackage

    def get_attribute(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return get_attribute, sorted(module_of, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
