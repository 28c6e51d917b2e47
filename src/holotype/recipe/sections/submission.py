"""`submission:` the form of the submission."""

from __future__ import annotations

from pydantic import Field

from holotype.recipe.sections.base import Section

__all__ = ["SubmissionSpec"]


class SubmissionSpec(Section):
    """Names and order of the submission's two columns."""

    id: str | None = None
    """Name of the id column; the test table's own where it is left out."""
    column: str | None = None
    """Name of the label column; the training table's own where it is left out."""
    separator: str = Field(default=" ", min_length=1)
    """What stands between the labels of one sample."""
    order: str = "test"
    """`test`: the rows come in the order of the test table; or the path of a sample submission, whose ids and order are
    kept."""
