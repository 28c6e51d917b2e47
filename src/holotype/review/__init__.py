"""Label review: the decisions file, the decisions in force, and their effect on the tables."""

from holotype.review.apply import Reviewed, apply_review, without_confirmed
from holotype.review.decisions import COLUMNS, ReadRows, ReviewRow, parse_rows, read_rows, row_text
from holotype.review.decisions_file import DecisionsFile
from holotype.review.replay import ActiveDecisions, replay, undo_row

__all__ = [
    "COLUMNS",
    "ActiveDecisions",
    "DecisionsFile",
    "ReadRows",
    "ReviewRow",
    "Reviewed",
    "apply_review",
    "parse_rows",
    "read_rows",
    "replay",
    "row_text",
    "undo_row",
    "without_confirmed",
]
