"""Decisions of a person about labels and duplicates: their file, what stands of it, and what it does to the tables."""

from holotype.review.apply import Reviewed, apply_review, without_confirmed
from holotype.review.record import DecisionsFile
from holotype.review.replay import Standing, replay, undoing
from holotype.review.rows import COLUMNS, ReadRows, ReviewRow, parse_rows, read_rows, row_text

__all__ = [
    "COLUMNS",
    "DecisionsFile",
    "ReadRows",
    "ReviewRow",
    "Reviewed",
    "Standing",
    "apply_review",
    "parse_rows",
    "read_rows",
    "replay",
    "row_text",
    "undoing",
    "without_confirmed",
]
