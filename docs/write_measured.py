"""Write measurements into pages and draw them; run by `make docs`.

From `python bench/parts.py --record` (docs/systems/measured.json): on the page of a system, the cell of each switch
gets the change of the score on each data set, and the last section gets a figure and a table of all experiments with
the system's parts. From `python bench/budget.py --record` (docs/budgets.json): the figure and the table of
docs/plan.md. From `python bench/intervals.py --record` (docs/intervals.json): those of docs/honest-scores.md.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from draw_intervals import draw_intervals, interval_table
from draw_measured import draw_budgets, draw_parts

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "bench"))
from _parts import PARTS  # noqa: E402  (bench/ is no package)
from _sets import SCORED  # noqa: E402

MARK = re.compile(r"<!-- measured: ([a-z0-9-]+) -->[^|\n]*")
CAPTION = (
    "Change of the nested score if one part of a short recipe is changed: mean of {seeds} seeds with its 95 % "
    "interval, bold if the interval does not contain zero. The networks are small and trained for minutes: the table "
    "shows where to look, not what full training gains (`python bench/parts.py --system {name}`)."
)
DISTANCE_CAPTION = (
    " Rows with a *distance* compare the score with the one on test samples whose truth is known: less is better."
)
OTHER_RESULTS = {
    "one-more-layer-of-stacking: drop": "no effect on the score; the separate scores of these rows are lost",
    "herbarium-focal: back-off": "leaf, target 0.9: 0.21 answered with a species, 0.52 with species or genus, 0.90 of "
    "all answers correct",
}
"""Results that are not changes of a score; figures as in docs/LOG.md."""


def signed(value: float) -> str:
    """Format a change with its sign and a typographic minus."""
    return f"{value:+.3f}".replace("-", "−")


def change(row: dict[str, Any], interval: bool = False) -> str:
    """Format a change, bold if its interval does not contain zero."""
    text = signed(row["change"])
    text = f"**{text}**" if row["low"] > 0 or row["high"] < 0 else text
    return f"{text} ({signed(row['low'])} to {signed(row['high'])})" if interval else text


def fill_page(text: str, system: str, measured: list[dict[str, Any]]) -> str:
    """Fill the marked cells and the last section of a system's page."""
    part_of_mark = {part.marks[system]: name for name, part in PARTS.items() if system in part.marks}
    rows = [row for row in measured if row["part"] in part_of_mark.values()]

    def cell(match: re.Match[str]) -> str:
        changes = [row for row in rows if row["part"] == part_of_mark.get(match[1])]
        text = ", ".join(f"{row['set']} {change(row)}" for row in changes)
        text = text or OTHER_RESULTS.get(f"{system}: {match[1]}", "not measured")
        text += " (distance from the truth)" if changes and "distance" in changes[0]["metric"] else ""
        return f"<!-- measured: {match[1]} --> {text} "

    table = ["Not measured yet."]
    if rows:
        seeds = min(len(row["by_seed"]) for row in rows)
        has_distance = any("distance" in row["metric"] for row in rows)
        table = [
            CAPTION.format(seeds=seeds, name=system) + (DISTANCE_CAPTION if has_distance else ""),
            "",
            f"![Change of the score with each part of {system}, by data set](../images/parts-{system}.svg)",
            "",
            "| part | data set | score without | change |",
            "| --- | --- | --- | --- |",
        ]
        table += [
            f"| {row['part']} | {row['set']} | {metric_name(row['metric'])} {row['without']:.3f} "
            f"| {change(row, interval=True)} |"
            for row in rows
        ]
    return replace_between(MARK.sub(cell, text), "ablation", "\n".join(table))


def metric_name(metric: str) -> str:
    """Spell a metric as in the pages: `macro_f1` is `macro F1`."""
    return metric.replace("macro_f1", "macro F1").replace("_", " ")


def replace_between(text: str, name: str, body: str) -> str:
    """Replace the lines between the `begin` and the `end` mark of a name."""
    marks = re.compile(rf"(<!-- {name}: begin -->\n).*(<!-- {name}: end -->)", re.DOTALL)
    return marks.sub(lambda match: f"{match[1]}{body}\n{match[2]}", text)


def score_changes(system: str, measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Select the rows of a system's parts that change a score."""
    parts = {name for name, part in PARTS.items() if system in part.marks and part.judged == "score"}
    return [row for row in measured if row["part"] in parts]


def parts_table(measured: list[dict[str, Any]]) -> str:
    """Table of score changes with one row per part and one column per data set."""
    changes = {(row["part"], row["set"]): change(row) for row in measured}
    parts = [name for name, part in PARTS.items() if part.judged == "score"]
    sets = [name for name in SCORED if any((part, name) in changes for part in parts)]
    lines = [f"| part | {' | '.join(sets)} |", "| --- |" + " --- |" * len(sets)]
    for part in parts:
        cells = [changes.get((part, name), "" if name in PARTS[part].sets else "–") for name in sets]
        if any(cell not in {"", "–"} for cell in cells):
            lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines)


def budget_table(rows: list[dict[str, Any]]) -> str:
    """Table of budgets: seconds, plan and scores; means if a budget has several seeds."""
    lines = ["| budget | time taken | plan | out-of-fold macro F1 | macro F1 on held-out plates |", "| --- " * 5 + "|"]
    for budget in dict.fromkeys(row["budget"] for row in rows):
        repeats = [row for row in rows if row["budget"] == budget]
        seconds = sorted({round(row["seconds"]) for row in repeats})
        taken = f"{seconds[0]} s" if len(seconds) == 1 else f"{seconds[0]} to {seconds[-1]} s"
        scores = " | ".join(f"{mean(row[kind] for row in repeats):.3f}" for kind in ("own", "score"))
        lines.append(f"| {budget} | {taken} | {repeats[0]['plan']} | {scores} |")
    return "\n".join(["![The score rises with the budget](images/budgets.svg)", "", *lines])


if __name__ == "__main__":
    measured, budgets, intervals = (
        json.loads((DOCS / file).read_text(encoding="utf-8"))
        for file in ("systems/measured.json", "budgets.json", "intervals.json")
    )
    for page in sorted((DOCS / "systems").glob("*.md")):
        if page.stem != "README":
            page.write_text(fill_page(page.read_text(encoding="utf-8"), page.stem, measured), encoding="utf-8")
            if rows := score_changes(page.stem, measured):
                (DOCS / "images" / f"parts-{page.stem}.svg").write_text(draw_parts(rows), encoding="utf-8")
    for page, name, body in (
        (DOCS / "systems" / "README.md", "parts", parts_table(measured)),
        (DOCS / "plan.md", "budgets", budget_table(budgets)),
        (DOCS / "honest-scores.md", "intervals", interval_table(intervals)),
    ):
        page.write_text(replace_between(page.read_text(encoding="utf-8"), name, body), encoding="utf-8")
    (DOCS / "images" / "budgets.svg").write_text(draw_budgets(budgets), encoding="utf-8")
    (DOCS / "images" / "intervals.svg").write_text(draw_intervals(intervals), encoding="utf-8")
