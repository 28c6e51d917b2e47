"""`submission:` section: format of the submission file."""

from __future__ import annotations

from pydantic import Field

from holotype.recipe.sections.base import Section


class SubmissionSpec(Section):
    """Columns and order of the submission file."""

    id: str | None = None
    """Name of the id column; the test table's by default."""
    column: str | None = None
    """Name of the label column; the training table's by default."""
    separator: str = Field(default=" ", min_length=1)
    """Separator between the labels of one sample."""
    order: str = "test"
    """`test`: rows in the order of the test table; or the path of a sample submission, whose ids and order are kept."""
