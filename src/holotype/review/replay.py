"""What stands of all that was decided: an undo takes a decision back, and a later decision counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from holotype.review.decisions import ReviewRow

__all__ = ["ActiveDecisions", "replay", "undo_row"]


@dataclass(frozen=True)
class ActiveDecisions:
    """Decisions after all undoing.

    Args:
        decisions: Those that stand, in the order in which they were made.
        undone: Those that may be made again, the next one last; a new decision empties it.
        warnings: Undone things that were never decided, in sentences.
    """

    decisions: tuple[ReviewRow, ...] = ()
    undone: tuple[ReviewRow, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def latest(self) -> dict[tuple[str, str], ReviewRow]:
        """The decision that counts for each kind and id, the last one that was made."""
        return {row.target: row for row in self.decisions}


def replay(rows: Iterable[ReviewRow]) -> ActiveDecisions:
    """What stands after all rows.

    Args:
        rows: Of the file, in its order. An undo takes back the last standing decision about the same.
    """
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
            warnings.append(f"nothing about the {row.kind} {row.id!r} stands that could be undone")
        else:
            undone.append(decisions.pop(index))
    return ActiveDecisions(tuple(decisions), tuple(undone), tuple(warnings))


def undo_row(row: ReviewRow) -> ReviewRow:
    """The row that takes a decision back.

    Args:
        row: The decision.
    """
    return ReviewRow(row.kind, row.id, "undo", row.after, row.before)
