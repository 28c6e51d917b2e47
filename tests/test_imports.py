"""What an import costs: no torch in layers 0 to 2, nothing slow behind `import holotype` and `holotype --help`."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import holotype

SOURCE = Path(holotype.__file__).parents[1]
# Layers 0 to 2 of the design.
WORDS = {"digest", "errors", "progress", "registry", "runtime", "seeds", "spec", "types"}
WITHOUT_TORCH = WORDS | {"audit", "data", "decide", "ensemble", "metrics", "score", "split", "submit"}


def test_importing_the_package_does_not_import_torch() -> None:
    assert "torch" not in loaded_after("import holotype")


def test_help_does_not_wait_for_the_slow_libraries() -> None:
    call = "import sys; from holotype.cli.main import main; sys.argv = ['holotype', '--help']"
    loaded = loaded_after(f"{call}\ntry: main()\nexcept SystemExit as end: print(end)")
    assert "holotype.cli.main" in loaded
    assert sorted(loaded & {"lightgbm", "polars", "sklearn", "timm", "torch"}) == []


def test_layers_0_to_2_do_without_torch() -> None:
    every = (module.name for module in pkgutil.walk_packages(holotype.__path__, "holotype."))
    names = sorted(name for name in every if name.split(".")[1] in WITHOUT_TORCH)
    loaded = loaded_after("import " + ", ".join(names))
    assert loaded.issuperset(names)
    assert sorted(loaded & {"lightning_fabric", "timm", "torch", "torchvision"}) == []


def loaded_after(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after running some code."""
    program = f"{code}\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))
