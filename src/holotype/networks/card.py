"""Cards of networks: what a `card.json` may say, since it may have come with a run from anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from holotype.core.errors import StoreError, first_line, truncate
from holotype.recipe.sections import ModelSpec

__all__ = ["CARD", "REMEDY", "backbone_options", "checkpoint_card", "read_card"]

CARD = "card.json"
REMEDY = "copy the run again, or run its recipe again"
BACKBONE_NAME = re.compile(
    r"[A-Za-z0-9_]+(\.[A-Za-z0-9_.]+)?"
)  # of a network of timm, with or without the tag of its weights
MAX_BYTES = 64 << 20  # a card of 100,000 classes and three ranks has 5 MB


def read_card(path: Path) -> dict[str, Any]:
    """A card as plain values.

    Args:
        path: The JSON file.

    Raises:
        StoreError: It is missing, is too long, or is no JSON mapping.
    """
    remedy = REMEDY
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StoreError(f"{path} has more than {MAX_BYTES >> 20} MiB, so that it is no card", remedy=remedy)
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}", remedy=remedy) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is not JSON: {first_line(error)}", remedy=remedy) from error
    if not isinstance(content, dict):
        raise StoreError(f"{path} is no card: it holds no mapping", remedy=remedy)
    return content


class _Scale(BaseModel):
    mean: list[float]
    deviation: list[float]


class _Ranks(BaseModel):
    names: list[str]
    parents: list[list[Annotated[int, Field(ge=0)]]]
    weights: list[float]
    class_weight: float


PixelCount = Annotated[int, Field(ge=1, le=100_000)]


class _Card(BaseModel):
    """What a card must say for its network to be built; the rest of it is for people."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    classes: list[str] = Field(min_length=1)
    input_channels: int = Field(ge=1, le=10_000)
    networks: int = Field(default=1, ge=1, le=1_000)
    channels: int = Field(default=1, ge=1, le=10_000)
    fold: int = Field(default=0, ge=-1_000, le=100_000)
    kind: Literal["multiclass", "multilabel"] = "multiclass"
    size: PixelCount = 1
    canvas: list[PixelCount] = Field(default=[1, 1], min_length=2, max_length=2)
    normalization: _Scale = _Scale(mean=[], deviation=[])
    taxonomy: _Ranks | None = None

    @model_validator(mode="after")
    def _require_valid_parents(self) -> _Card:
        class_count = len(self.classes)  # every taxon has a class
        parents = [] if self.taxonomy is None else self.taxonomy.parents
        if any(len(row) != class_count or max(row) >= class_count for row in parents):
            raise ValueError("taxonomy.parents must name a taxon for each class")
        return self


def checkpoint_card(path: Path) -> dict[str, Any]:
    """The card of a network as plain values, looked through before anything is built by it.

    Args:
        path: The JSON file.

    Raises:
        StoreError: It is missing or torn, lacks what a network needs, or asks for what no run writes.
    """
    card = read_card(path)
    try:
        _Card.model_validate(card)
        model = ModelSpec.model_validate(card.get("model"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location = ".".join(str(part) for part in first["loc"])
        message = f"{path} cannot be used: {location + ': ' if location else ''}{truncate(first['msg'], 300)}"
        raise StoreError(message, remedy=REMEDY) from None
    backbone_options(card, path)
    if not BACKBONE_NAME.fullmatch(
        model.backbone
    ):  # neither `hf-hub:` nor a folder: nothing is fetched, and no file opened
        raise StoreError(f"{path} names the backbone {truncate(model.backbone)!r}, which timm has not", remedy=REMEDY)
    return card


def backbone_options(card: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What a card asks of timm's network: a choice from a short list, and never a file or an address.

    Args:
        card: From `read_card`.
        path: Of the card, for messages.

    Raises:
        StoreError: It asks for anything else.
    """
    options = card.get("backbone_options", {})
    if not isinstance(options, dict):
        raise StoreError(f"{path}: `backbone_options` should be a mapping, and is {truncate(options)}")
    for name, value in options.items():
        if name not in ALLOWED_OPTIONS:
            raise StoreError(
                f"{path} asks timm for {truncate(name)}, which no run of Holotype does",
                field="backbone_options",
                value=name,
                allowed=ALLOWED_OPTIONS,
                remedy="take the key out of the card if you trust the weights",
            )
        if not ALLOWED_OPTIONS[name](value):
            raise StoreError(f"{path}: {name} cannot be {truncate(value)}", field=f"backbone_options.{name}")
    return dict(options)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_fraction(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < 1


ALLOWED_OPTIONS = {"bn_eps": _is_fraction, "dynamic_img_size": _is_bool}
