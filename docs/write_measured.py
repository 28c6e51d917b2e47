"""Fills pages with what was measured, and draws it; run by `make docs`.

Of `python bench/parts.py --record`: in a system's page a switch's cell gets what the switch changes on each set, and
the last section a picture and a table of all that was tried of the system's parts. What was not measured says so. Of
`python bench/budget.py --record`: the picture and the table of docs/plan.md.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from draw_measured import draw_budgets, draw_parts

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "bench"))
from _parts import PARTS  # noqa: E402  (bench/ is no package)
from _sets import SCORED  # noqa: E402

MARK = re.compile(r"<!-- measured: ([a-z0-9-]+) -->[^|\n]*")
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
            f"![What the parts of {name} change on each set](../images/parts-{name}.svg)",
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
    return between(MARK.sub(cell, text), "ablation", body)


def between(text: str, place: str, body: str) -> str:
    """A page with other lines between the two marks of a place."""
    marks = re.compile(rf"(<!-- {place}: begin -->\n).*(<!-- {place}: end -->)", re.DOTALL)
    return marks.sub(lambda found: f"{found[1]}{body}\n{found[2]}", text)


def of_scores(name: str, measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The changes of a score that a system's switches make."""
    parts = {part for part, said in PARTS.items() if name in said.marks and said.judged == "score"}
    return [one for one in measured if one["part"] in parts]


def matrix(measured: list[dict[str, Any]]) -> str:
    """A row a part, a column a set: the changes of the score."""
    changes = {(one["part"], one["set"]): change(one) for one in measured}
    parts = [name for name, said in PARTS.items() if said.judged == "score"]
    sets = [name for name in SCORED if any((part, name) in changes for part in parts)]
    lines = [f"| part | {' | '.join(sets)} |", "| --- |" + " --- |" * len(sets)]
    for part in parts:
        cells = [changes.get((part, name), "" if name in PARTS[part].sets else "–") for name in sets]
        if any(cell not in {"", "–"} for cell in cells):
            lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines)


def budget_table(rows: list[dict[str, Any]]) -> str:
    """A row a budget: seconds, plan and scores, means where there are several seeds."""
    lines = ["| budget | taken | plan | its own macro F1 | macro F1 on plates put aside |", "| --- " * 5 + "|"]
    for name in dict.fromkeys(one["budget"] for one in rows):
        own = [one for one in rows if one["budget"] == name]
        taken = sorted({round(one["seconds"]) for one in own})
        spent = f"{taken[0]} s" if len(taken) == 1 else f"{taken[0]} to {taken[-1]} s"
        scores = " | ".join(f"{mean(one[kind] for one in own):.3f}" for kind in ("own", "score"))
        lines.append(f"| {name} | {spent} | {own[0]['plan']} | {scores} |")
    return "\n".join(["![The score rises with the budget](images/budgets.svg)", "", *lines])


if __name__ == "__main__":
    measured, budgets = (
        json.loads((DOCS / place).read_text(encoding="utf-8")) for place in ("systems/measured.json", "budgets.json")
    )
    for page in sorted((DOCS / "systems").glob("*.md")):
        if page.stem != "README":
            page.write_text(filled(page.read_text(encoding="utf-8"), page.stem, measured), encoding="utf-8")
            if drawn := of_scores(page.stem, measured):
                (DOCS / "images" / f"parts-{page.stem}.svg").write_text(draw_parts(drawn), encoding="utf-8")
    index = DOCS / "systems" / "README.md"
    index.write_text(between(index.read_text(encoding="utf-8"), "parts", matrix(measured)), encoding="utf-8")
    (DOCS / "images" / "budgets.svg").write_text(draw_budgets(budgets), encoding="utf-8")
    plan = DOCS / "plan.md"
    plan.write_text(between(plan.read_text(encoding="utf-8"), "budgets", budget_table(budgets)), encoding="utf-8")
