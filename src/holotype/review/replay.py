"""Decisions in force: an undo cancels a decision, and a later decision replaces an earlier one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from holotype.review.decisions import ReviewRow


@dataclass(frozen=True)
class ActiveDecisions:
    """Decisions in force after all undo rows.

    Args:
        undone: Decisions that can be redone, the next one last; a new decision clears it.
    """

    decisions: tuple[ReviewRow, ...] = ()
    undone: tuple[ReviewRow, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def latest(self) -> dict[tuple[str, str], ReviewRow]:
        """Last decision of each kind and id."""
        return {row.target: row for row in self.decisions}


def replay(rows: Iterable[ReviewRow]) -> ActiveDecisions:
    """Apply all rows in file order; an undo cancels the last decision in force about the same target."""
    decisions: list[ReviewRow] = []
    undone: list[ReviewRow] = []
    warnings = []
    for row in rows:
        if row.action != "undo":
            if undone and undone[-1].decides_same(row):
                undone.pop()
            else:
                undone.clear()
            decisions.append(row)
            continue
        index = next((n for n in range(len(decisions) - 1, -1, -1) if decisions[n].target == row.target), None)
        if index is None:
            warnings.append(f"there is no decision about the {row.kind} {row.id!r} to undo")
        else:
            undone.append(decisions.pop(index))
    return ActiveDecisions(tuple(decisions), tuple(undone), tuple(warnings))


def undo_row(row: ReviewRow) -> ReviewRow:
    """Row that undoes a decision."""
    return ReviewRow(row.kind, row.id, "undo", row.after, row.before)
