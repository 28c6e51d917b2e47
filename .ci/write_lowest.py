"""Resolve the lowest versions that pyproject.toml allows, and write them to constraints-lowest.txt.

uv does the work (`--resolution lowest-direct`): what pyproject.toml names is taken at its lower bound, what these need
in turn at its newest. A bound that contradicts another is raised by the resolver, and the test of the file tells.

    python .ci/write_lowest.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("export", "retrieval", "serve", "tune")
HEADER = "# The lowest versions that pyproject.toml allows, by `make lowest`: what `make test-lowest` installs.\n"


def main() -> None:
    """Write the file."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--resolution", "lowest-direct"]
    command += ["--python-version", "3.11", "--no-header", "--no-annotate"]
    command += [part for extra in EXTRAS for part in ("--extra", extra)]
    done = subprocess.run([*command, "pyproject.toml"], cwd=ROOT, check=True, capture_output=True, text=True)
    (ROOT / "constraints-lowest.txt").write_text(HEADER + done.stdout, encoding="utf-8")


if __name__ == "__main__":
    main()
