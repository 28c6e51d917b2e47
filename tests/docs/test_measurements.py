"""The page on measurements: its Python example runs, and its tables name the keys of the section."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from holotype.recipe.sections import MeasurementsSpec

PAGE = (Path(__file__).parents[2] / "docs" / "measurements.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    (script,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(72, 54)")
    assert re.search(r"Left out: .*code of the label: Image_Classify_Batch, its 8 values correspond", done.stdout)


def test_the_page_names_every_key() -> None:
    assert [name for name in MeasurementsSpec.model_fields if f"`{name}" not in PAGE and f"{name}:" not in PAGE] == []
