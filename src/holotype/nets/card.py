"""Cards of networks: what a `card.json` may say, since it may have come with a run from anybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holotype.errors import StoreError, first_line, shortened

__all__ = ["CARD", "backbone_options", "read_card"]

CARD = "card.json"
MOST_BYTES = 64 << 20  # a card of 100,000 classes and three ranks has 5 MB


def read_card(path: Path) -> dict[str, Any]:
    """A card as plain values.

    Args:
        path: The JSON file.

    Raises:
        StoreError: It is missing, is too long, or is no JSON mapping.
    """
    remedy = "copy the run again, or run its recipe again"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise StoreError(f"{path} has more than {MOST_BYTES >> 20} MiB, so that it is no card", remedy=remedy)
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}", remedy=remedy) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is not JSON: {first_line(error)}", remedy=remedy) from error
    if not isinstance(content, dict):
        raise StoreError(f"{path} is no card: it holds no mapping", remedy=remedy)
    return content


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
        raise StoreError(f"{path}: `backbone_options` should be a mapping, and is {shortened(options)}")
    for name, value in options.items():
        if name not in OPTIONS:
            raise StoreError(
                f"{path} asks timm for {shortened(name)}, which no run of Holotype does", field="backbone_options",
                value=name, allowed=OPTIONS, remedy="take the key out of the card if you trust the weights",
            )  # fmt: skip
        if not OPTIONS[name](value):
            raise StoreError(f"{path}: {name} cannot be {shortened(value)}", field=f"backbone_options.{name}")
    return dict(options)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_small_number(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < 1


OPTIONS = {"bn_eps": _is_small_number, "dynamic_img_size": _is_switch}
