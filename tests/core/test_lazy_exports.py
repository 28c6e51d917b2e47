"""Packages whose names are imported when they are first used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import holotype

SOURCE = Path(holotype.__file__).parent
STUBS = sorted(stub.parent.relative_to(SOURCE) for stub in SOURCE.rglob("*/__init__.pyi"))
LAZY = [".".join(folder.parts) for folder in STUBS]


@pytest.mark.parametrize("name", LAZY)
def test_every_public_name_is_there(name):
    package = import_module(f"holotype.{name}")
    assert package.__all__
    for public in package.__all__:
        assert getattr(package, public).__class__.__name__ != "module", public
    with pytest.raises(AttributeError, match=f"module 'holotype.{name}' has no attribute 'nonsense'"):
        package.nonsense  # noqa: B018


def test_a_function_is_not_hidden_by_the_module_of_the_same_name():
    program = (
        "import holotype.neighbors.nearest\nfrom holotype.neighbors import nearest\n"
        "assert callable(nearest)\nimport sys; assert 'holotype.neighbors.index' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
