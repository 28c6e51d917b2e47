"""`data:` the tables, the images and the labels."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator, model_validator

from holotype.core.errors import join_names
from holotype.recipe.sections.base import ChannelNames, Name, Section

__all__ = ["DataSpec", "LabelSpec"]


class LabelSpec(Section):
    """Which column holds the labels, and how."""

    column: Name = "label"
    """The column of the labels."""
    kind: Literal["multiclass", "multilabel"] = "multiclass"
    """One label a sample, or any number of them."""
    separator: str = " "
    """What stands between the labels of one sample (multilabel)."""
    classes: list[Name] | str | None = None
    """The classes in order: a list, a table with one name a row, or left out for what the labels hold. Numbers are good
    names. A word for a missing value (`NA`, `none`, `-`, `?`) is a class only where it is named here."""
    taxonomy: str | list[Name] | None = None
    """A table with a row a class: a column of the class's name, then its ranks from near to far (genus, family); or the
    names of such columns beside the labels."""

    @model_validator(mode="after")
    def _validate_taxonomy(self) -> LabelSpec:
        if self.taxonomy is not None and self.kind == "multilabel":
            raise ValueError("taxonomy: ranks are for one label a sample; leave it out, or write kind: multiclass")
        return self

    @field_validator("separator")
    @classmethod
    def _validate_separator(cls, separator: str) -> str:
        if not separator:
            raise ValueError(
                "an empty separator cannot part labels; write the character between them, as in ' ' or '|'"
            )
        return separator


class DataSpec(Section):
    """The tables and how their rows name image files. Paths are relative to the recipe."""

    train: str
    """CSV, TSV, Parquet or Excel (`labels.xlsx`, or `labels.xlsx#Sheet2` where several sheets have rows), one row an
    image, with labels; or a folder that holds one for each class; or a JSON of
    COCO's form (`images`, `annotations`, `categories`). Folders and JSON name their image files themselves."""
    external: list[str] = []
    """More labelled tables, folders or JSON; their rows train and are never scored."""
    test: str | None = None
    """The table of the rows to predict; without it a run ends in scores."""
    id: Name = "id"
    """The image's id column."""
    sample: Name | None = None
    """The column naming the sample, where several images share one."""
    images: str | dict[Name, str] | None = None
    """Pattern of the image files: `{column}` and `{channel}`; without `{channel}` one file holds all channels. Or a
    mapping from channel to pattern, where each channel has a column of its own:
    `{dna: "{FileName_DNA}", er: "{FileName_ER}"}`. A value that is a path from the root or an address stands by itself.
    Addresses (`s3://`, `https://`) are opened by fsspec. A pattern such as `images_{role}.npy`, which names no column,
    is one array of all rows of a table in their order."""
    channels: ChannelNames | None = None
    """The channels' names in order; left out where one file holds them all and names do not matter. Of one file called
    `[red, green, blue]`, grey becomes three equal channels, and palettes and opaque fourth channels become colors."""
    projection: Literal["max", "mean", "sum", "first", "middle"] | None = None
    """How a stack of planes (Z), a series of times (T) or an animation becomes one image: the largest value, the mean,
    the sum, the first or the middle plane; left out, files of several planes are refused. `mean` and `sum` give 32-bit
    floats. With a projection, pages of a TIFF that nothing names count as planes (unless `channels` names as many)."""
    labels: LabelSpec = LabelSpec()
    groups: list[Name] = []
    """Columns that tie samples together (plate, patient, slide); a group never crosses a fold."""
    domain: Name | None = None
    """A column whose values may get models of their own (cell type, microscope)."""
    cache: Literal["auto", "none"] = "auto"
    """Keep decoded images in a memory-mapped file of the store (`auto`) or in memory (`none`)."""
    review: str | None = None
    """Decisions made in `holotype review`: labels that are put right, samples that leave, duplicates that are none."""

    @model_validator(mode="after")
    def _fill_channels(self) -> DataSpec:
        """Channels of a mapping in `images`: those of the mapping, in its order unless `channels` gives another."""
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
