"""What a type checker knows of the names that `import holotype` offers."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import holotype

SOURCE = Path(holotype.__file__).parent
SCRIPT = """
import holotype

reveal_type(holotype.run)
reveal_type(holotype.open_run)
reveal_type(holotype.load_recipe)
reveal_type(holotype.run("recipe.yaml"))
reveal_type(holotype.open_run("runs/cells").folder)
reveal_type(holotype.evaluation.metrics.macro_f1)
reveal_type(holotype.init("images").path)
reveal_type(holotype.check({"data": {"train": "train.csv"}}, {"seed": 3}))
reveal_type(holotype.compare("runs/a", holotype.open_run("runs/b")))
holotype.opn_run
"""


@pytest.mark.slow
def test_mypy_sees_the_types_of_the_public_names(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "mypy", str(script)]  # with the settings and the cache of `make check`
    root, paths = SOURCE.parents[1], os.environ | {"MYPYPATH": str(SOURCE.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=paths)
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert len(revealed) == 9, done.stdout + done.stderr
    assert revealed[0].startswith("def (recipe: ")
    assert revealed[0].endswith("-> holotype.runs.fitted_run.FittedRun")
    assert revealed[1].endswith("-> holotype.runs.fitted_run.FittedRun")
    assert revealed[2].endswith("-> holotype.recipe.load.Recipe")
    assert revealed[3] == "holotype.runs.fitted_run.FittedRun"
    assert "Any" not in revealed[4]
    assert revealed[5].endswith("-> float") or revealed[5].endswith("-> builtins.float")
    assert revealed[6] == "pathlib.Path"
    assert revealed[7] == "holotype.api.DataSummary"
    assert revealed[8].endswith(".CompareData")
    assert 'has no attribute "opn_run"' in done.stdout


def test_a_type_checker_is_told_of_every_name_that_the_package_has() -> None:
    stub = ast.parse((SOURCE / "__init__.pyi").read_text(encoding="utf-8"))
    told = {name.asname for node in stub.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert told == {*holotype._PUBLIC_NAMES, *holotype._SUBPACKAGES}  # type: ignore[attr-defined]
    assert told <= set(dir(holotype))
