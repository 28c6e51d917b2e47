"""Checkpoint cards (`card.json`), validated strictly because a run may come from someone else."""

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
BACKBONE_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_.]+)?")  # timm's name, with or without the tag of its weights
MAX_BYTES = 64 << 20  # a card of 100,000 classes and three ranks has 5 MB


def read_card(path: Path) -> dict[str, Any]:
    """Read a card as plain values.

    Raises:
        StoreError: The file is missing, too large, or not a JSON object.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StoreError(f"{path} is larger than {MAX_BYTES >> 20} MiB, too large for a card", remedy=REMEDY)
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}", remedy=REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is not JSON: {first_line(error)}", remedy=REMEDY) from error
    if not isinstance(content, dict):
        raise StoreError(f"{path} is not a card: it is not a JSON object", remedy=REMEDY)
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
    """Schema of the fields that are needed to build a network; the others are for people."""

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
    """Read and validate the card of a network, before anything is built from it.

    Raises:
        StoreError: The card is missing or damaged, lacks a field, or has a value that Holotype never writes.
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
    if not BACKBONE_NAME.fullmatch(model.backbone):  # `hf-hub:` would download, `local-dir:` would open other files
        raise StoreError(
            f"{path} names the backbone {truncate(model.backbone)!r}, which timm does not have", remedy=REMEDY
        )
    return card


def backbone_options(card: Mapping[str, Any], path: Path, key: str = "backbone_options") -> dict[str, Any]:
    """Read the timm options of a card (`path`, for messages): allow-listed options only, never a file or an address.

    Args:
        card: Of a network, or the `config.json` of a model folder.
        key: Of the options.

    Raises:
        StoreError: The card has another option, or a value that is not allowed.
    """
    options = card.get(key, {})
    if not isinstance(options, dict):
        raise StoreError(f"{path}: `{key}` must be a mapping, and is {truncate(options)}")
    for name, value in options.items():
        if name not in ALLOWED_OPTIONS:
            raise StoreError(
                f"{path} asks timm for {truncate(name)}, which no run of Holotype does",
                field=key,
                value=name,
                allowed=ALLOWED_OPTIONS,
                remedy="delete the key from the card if you trust the weights",
            )
        if not ALLOWED_OPTIONS[name](value):
            raise StoreError(f"{path}: {name} cannot be {truncate(value)}", field=f"{key}.{name}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_fraction(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT


def _is_size(value: Any) -> bool:
    pair = value if isinstance(value, list | tuple) else (value, value)
    return len(pair) == 2 and all(_is_count(side) and side > 0 for side in pair)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT


def _is_layer_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,30}", value) is not None


MAX_COUNT = 100_000
ALLOWED_OPTIONS = {
    "bn_eps": _is_fraction,
    **dict.fromkeys(("img_size", "patch_size"), _is_size),
    **dict.fromkeys(("embed_dim", "depth", "num_heads", "reg_tokens"), _is_count),
    **dict.fromkeys(("mlp_ratio", "init_values"), _is_number),
    **dict.fromkeys(("dynamic_img_size", "dynamic_img_pad", "qkv_bias", "class_token"), _is_bool),
    **dict.fromkeys(("no_embed_class", "pre_norm", "qk_norm"), _is_bool),
    **dict.fromkeys(("act_layer", "norm_layer"), _is_layer_name),
}
"""Keyword arguments of `timm.create_model` that a card or a `config.json` may set, with what each may be."""
