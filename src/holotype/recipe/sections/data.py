"""`data:` section: tables, images and labels."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator, model_validator

from holotype.core.errors import join_names
from holotype.recipe.sections.base import ChannelNames, Name, Section


class LabelSpec(Section):
    """Labels: their column, kind and classes."""

    column: Name = "label"
    """Column of the labels."""
    kind: Literal["multiclass", "multilabel"] = "multiclass"
    """`multiclass`: one label per sample; `multilabel`: any number of labels."""
    separator: str = " "
    """Separator between the labels of one sample (multilabel)."""
    classes: list[Name] | str | None = None
    """Classes in order: a list, or a table with one name per row; by default, the classes of the labels. Names may be
    numbers. A word for a missing value (`NA`, `none`, `-`, `?`) is a class only if it is listed here."""
    taxonomy: str | list[Name] | None = None
    """Taxonomy: a table with one row per class, with a column of class names, then the ranks from near to far (genus,
    family); or the names of such columns in the training table."""

    @model_validator(mode="after")
    def _validate_taxonomy(self) -> LabelSpec:
        if self.taxonomy is not None and self.kind == "multilabel":
            raise ValueError("taxonomy: requires multiclass labels; leave it out, or write kind: multiclass")
        return self

    @field_validator("separator")
    @classmethod
    def _validate_separator(cls, separator: str) -> str:
        if not separator:
            raise ValueError("an empty separator is not allowed; write the character between labels, as in ' ' or '|'")
        return separator


class DataSpec(Section):
    """Tables, and the pattern by which their rows name image files. Paths are relative to the recipe."""

    train: str
    """Labeled training data: a table with one row per image, as CSV, TSV, Parquet or Excel (`labels.xlsx`, or
    `labels.xlsx#Sheet2` if several sheets have rows); a folder with one subfolder per class; or a COCO JSON (`images`,
    `annotations`, `categories`). Folders and JSON name their image files themselves."""
    external: list[str] = []
    """More labeled tables, folders or JSON files; their rows train and are never scored."""
    test: str | None = None
    """Table of the rows to predict; without it, a run ends with scores."""
    id: Name = "id"
    """Column of image ids."""
    sample: Name | None = None
    """Column of sample names, if several images belong to one sample."""
    images: str | dict[Name, str] | None = None
    """Pattern of the image files with `{column}` and `{channel}`; without `{channel}`, one file holds all channels. Or
    a mapping from channel to pattern, if each channel has its own column: `{dna: "{FileName_DNA}", er:
    "{FileName_ER}"}`. Absolute paths and URIs in a column are used as they are. URIs (`s3://`, `https://`) are opened
    by fsspec. A pattern such as `images_{role}.npy`, which names no column, is one array with the images of all rows in
    order."""
    channels: ChannelNames | None = None
    """Channel names in order; not needed if one file holds all channels. If one file holds `[red, green, blue]`,
    grayscale images become three equal channels, and palettes and opaque fourth channels become colors."""
    projection: Literal["max", "mean", "sum", "first", "middle"] | None = None
    """Projection of several planes (Z), time points (T) or animation frames to one image: maximum, mean, sum, first or
    middle plane; without it, files with several planes are refused. `mean` and `sum` give 32-bit floats. With a
    projection, unnamed pages of a TIFF count as planes (unless `channels` names as many)."""
    labels: LabelSpec = LabelSpec()
    groups: list[Name] = []
    """Columns of dependent samples (plate, patient, slide); a group never crosses a fold."""
    domain: Name | None = None
    """Column whose values may get their own models (cell type, microscope)."""
    cache: Literal["auto", "none"] = "auto"
    """Decoded images are kept in a memory-mapped file of the cache (`auto`) or in memory (`none`)."""
    review: str | None = None
    """Decisions file of `holotype review`: corrected labels, removed samples, pairs that are no duplicates."""

    @model_validator(mode="after")
    def _fill_channels(self) -> DataSpec:
        """Take the channels of a mapping in `images`, in its order unless `channels` gives another."""
        if not isinstance(self.images, dict):
            return self
        if not self.images or not all(self.images.values()):
            raise ValueError('images: a mapping needs a pattern for each channel, as in {dna: "{FileName_DNA}"}')
        if self.channels is None:
            object.__setattr__(self, "channels", list(self.images))
        elif set(self.channels) != set(self.images):
            raise ValueError(
                f"channels: {join_names(self.channels)} should be the channels of data.images: "
                f"{join_names(self.images)}"
            )
        return self

    @field_validator("groups")
    @classmethod
    def _validate_groups(cls, groups: list[str]) -> list[str]:
        if len(set(groups)) != len(groups):
            raise ValueError("groups must name each column once")
        return groups
