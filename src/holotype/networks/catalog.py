"""Catalog of published weights by field of images, and licenses that forbid commercial use.

The facts stand in `catalog.json`, with the page that each was read on. The catalog also completes what published
folders leave out: the network of an OpenCLIP repository, or the arguments that a model card asks to pass by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

__all__ = ["CATALOG_FILE", "CatalogEntry", "find_entry", "is_noncommercial", "read_catalog", "recipe_lines"]

CATALOG_FILE = Path(__file__).with_name("catalog.json")
NONCOMMERCIAL = re.compile(r"non[- ]?commercial|(?<![a-z])nc(?![a-z])|research[- ](only|use)|apple-amlr", re.IGNORECASE)
HUB = "hf-hub:"


@dataclass(frozen=True)
class CatalogEntry:
    """Catalog entry of published weights.

    Args:
        name: For people.
        fields: Kinds of images, such as `blood`.
        repository: On the Hugging Face hub; None if it is elsewhere.
        architecture: timm's name of the network; None if timm has none, or the file `config.json` states it.
        arguments: Keyword arguments of timm's network that the published `config.json` lacks.
        replaces_config: True if `architecture` counts instead of that in `config.json`.
        channels: Channels of the input.
        size: Side of the input in pixels.
        channels_as: As in a recipe's `input`.
        normalize: As in a recipe's `input`.
        pool: As in a recipe's `head`.
        license: Identifier; None if the sources do not state it.
        is_gated: True if the hub asks for an account and consent.
        citation: Paper or page to cite.
        loads: `tested-layout`: tensors of these names and shapes are loaded in tests; `expected`: the published file
            was not tried; `no`: timm lacks the network.
        source: Page that the facts were read on.
        note: For people.
        mean: Mean of each channel in pretraining, for pixels from 0 to 1, where no file states it.
        deviation: Standard deviation of each channel, likewise.
    """

    name: str
    fields: tuple[str, ...]
    repository: str | None
    architecture: str | None
    arguments: Mapping[str, Any]
    replaces_config: bool
    channels: int
    size: int
    channels_as: str
    normalize: str
    pool: str
    license: str | None
    is_gated: bool
    citation: str
    loads: Literal["tested-layout", "expected", "no"]
    source: str
    note: str
    mean: tuple[float, ...] = field(default=())
    deviation: tuple[float, ...] = field(default=())


@cache
def read_catalog() -> tuple[CatalogEntry, ...]:
    """Read the catalog, in the order of the file."""
    models = json.loads(CATALOG_FILE.read_text(encoding="utf-8"))["models"]
    lists = ("fields", "mean", "deviation")
    return tuple(
        CatalogEntry(**{**model, **{name: tuple(model[name]) for name in lists if name in model}}) for model in models
    )


def find_entry(repository: str | None) -> CatalogEntry | None:
    """Find the entry of a repository on the hub; case does not count, as on the hub."""
    repository_name = (repository or "").lower()
    return next((entry for entry in read_catalog() if (entry.repository or "").lower() == repository_name != ""), None)


def is_noncommercial(license_text: str | None) -> bool:
    """True if the identifier or text of a license forbids commercial use; False also where nothing is known."""
    return NONCOMMERCIAL.search(license_text or "") is not None


def recipe_lines(entry: CatalogEntry) -> list[str]:
    """Lines of a recipe's model that use the weights: a frozen backbone, whose features a classifier reads.

    Returns:
        YAML, to stand under `models:`; empty for weights that cannot be loaded.
    """
    if entry.loads == "no":
        return []
    if entry.repository is None:
        names = [f"backbone: {entry.architecture}", "weights: FILE.pth"]
    else:
        names = [f"backbone: {HUB}{entry.repository}"]
    inputs = f"input: {{size: {entry.size}, channels_as: {entry.channels_as}, normalize: {entry.normalize}}}"
    lines = [*names, inputs, f"head: {{pool: {entry.pool}}}", "classifier: {kind: logistic}"]
    return [f"{'- ' if number == 0 else '  '}{line}" for number, line in enumerate(["name: frozen", *lines])]
