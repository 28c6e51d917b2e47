"""`models.measurements:` section: a table of measurements as the features of a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from holotype.recipe.sections.base import Name, Section


class MeasurementsSpec(Section):
    """Table of measurements instead of images: CellProfiler, pycytominer, or the embeddings of another program."""

    table: str
    """Parquet, CSV, TSV or Excel table; SQLite database of CellProfiler; or folder of CellProfiler's CSV files
    (`Image.csv` with `Cells.csv`, `Nuclei.csv` and others)."""
    id: Name | None = None
    """Column with the image id or the sample name of each row, or a pattern of columns
    (`"{Metadata_Plate}_{Metadata_Well}"`). By default the column named as `data.id` or `data.sample`, with or without
    `Metadata_`; without one, CellProfiler's file names (`FileName_DNA`) are compared with the image files."""
    level: Literal["auto", "image", "object", "sample"] = "auto"
    """Row of the table: an `image`, a `sample`, or an `object` (cell), of which several share an id. `auto`: by the ids
    that match, and by whether they repeat."""
    aggregate: Literal["median", "mean"] = "median"
    """Aggregation of objects to images, and of images to samples; missing values do not count."""
    columns: Literal["auto"] | Annotated[list[Name], Field(min_length=1)] = "auto"
    """Columns to use: `auto`, all that are measurements; or a list of names and patterns (`Cells_*`). Constants,
    identifiers and codes of the label are left out, except a column that is listed by its full name."""
    exclude: list[Name] = []
    """Columns to leave out: names and patterns (`*_Granularity_*`)."""
    normalize_by: Name | None = None
    """Column whose values (plates) are normalized separately: a column of the table, or one of `data.groups`. It uses
    no labels, so it needs no folds."""
    controls: Annotated[dict[Name, Name], Field(min_length=1)] | None = None
    """Control rows, whose center and spread normalize all rows (`{Metadata_treatment: DMSO}`); by default all rows do.
    Control rows need no label."""
    method: Literal["standardize", "mad-robustize"] = "standardize"
    """Normalization: `standardize`, by mean and standard deviation; `mad-robustize`, by median and median absolute
    deviation (MAD)."""
    missing: Literal["median", "zero", "keep"] = "median"
    """Missing values: the median of the column, zero, or `keep` for classifiers that accept them (lightgbm)."""

    @property
    def normalizes(self) -> bool:
        """True if the measurements are normalized."""
        return self.normalize_by is not None or self.controls is not None

    @model_validator(mode="after")
    def _validate_method(self) -> MeasurementsSpec:
        if self.method != "standardize" and not self.normalizes:
            raise ValueError("method: needs normalize_by or controls; write normalize_by: plate, or leave method out")
        return self
