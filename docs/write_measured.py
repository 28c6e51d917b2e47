"""Fills the pages of the systems with what `python bench/parts.py --record` measured; run by `make docs`.

A switch's cell gets what the switch changes on each set; the last section gets a table of all that was tried of the
system's parts. What was not measured says so.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "bench"))
from _parts import PARTS  # noqa: E402  (bench/ is no package)

MARK = re.compile(r"<!-- measured: ([a-z0-9-]+) -->[^|\n]*")
SECTION = re.compile(r"(<!-- ablation: begin -->\n).*(<!-- ablation: end -->)", re.DOTALL)
HOW = (
    "The change in the nested score when the part is put into the same short recipe, mean of {seeds} seeds with its "
    "95 % interval; bold where the interval leaves out zero. The networks are small and trained for minutes, so that "
    "this says where to look, not what a full training gains. From `python bench/parts.py --system {name}`."
)

DISTANCE = (
    " Of a distance from the truth less is better: how far the score is from that on test samples whose truth is known."
)
SAID = {
    "one-more-layer-of-stacking: drop": "nothing of the score; the scores of these rows, told apart, are gone",
    "herbarium-focal: back-off": "leaf, target 0.9: 0.21 answered at species, 0.52 down to genus, 0.90 of these right",
}
"""What no change of a score says; figures as in docs/LOG.md."""


def signed(value: float) -> str:
    """A change with its sign as it is set in print."""
    return f"{value:+.3f}".replace("-", "−")


def change(one: dict[str, Any], interval: bool = False) -> str:
    """A change in a cell, bold where it is beyond chance."""
    said = signed(one["change"])
    said = f"**{said}**" if one["low"] > 0 or one["high"] < 0 else said
    return f"{said} ({signed(one['low'])} to {signed(one['high'])})" if interval else said


def filled(text: str, name: str, measured: list[dict[str, Any]]) -> str:
    """A page with its measured places filled."""
    by_mark = {said.marks[name]: part for part, said in PARTS.items() if name in said.marks}
    own = [one for one in measured if one["part"] in by_mark.values()]

    def cell(found: re.Match[str]) -> str:
        rows = [one for one in own if one["part"] == by_mark.get(found[1])]
        words = ", ".join(f"{one['set']} {change(one)}" for one in rows) or SAID.get(
            f"{name}: {found[1]}", "not measured"
        )
        words += " (distance from the truth)" if rows and "distance" in rows[0]["metric"] else ""
        return f"<!-- measured: {found[1]} --> {words} "

    table = ["Not measured yet."]
    if own:
        seeds = min(len(one["by_seed"]) for one in own)
        table = [
            HOW.format(seeds=seeds, name=name) + (DISTANCE if any("distance" in one["metric"] for one in own) else ""),
            "",
            "| part | set | without | change |",
            "| --- | --- | --- | --- |",
        ]
        table += [
            f"| {one['part']} | {one['set']} | {one['metric'].replace('_', ' ')} {one['without']:.3f} "
            f"| {change(one, interval=True)} |"
            for one in own
        ]
    body = "\n".join(table)
    return SECTION.sub(lambda found: f"{found[1]}{body}\n{found[2]}", MARK.sub(cell, text))


if __name__ == "__main__":
    source = DOCS / "systems" / "measured.json"
    measured = json.loads(source.read_text(encoding="utf-8")) if source.is_file() else []
    for page in sorted((DOCS / "systems").glob("*.md")):
        if page.stem != "README":
            page.write_text(filled(page.read_text(encoding="utf-8"), page.stem, measured), encoding="utf-8")
