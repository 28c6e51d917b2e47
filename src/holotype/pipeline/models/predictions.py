"""Out-of-fold, validation and test predictions of one model, and the checkpoints that made them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from holotype.core.tensor_files import load_metadata
from holotype.training import ALL_ROWS
from holotype.types import Integers, Predictions, replace_rows

NEAREST_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "nearest": pl.List(pl.String()),
    "similarity": pl.List(pl.Float32()),
}


@dataclass(frozen=True)
class ModelPredictions:
    """Predictions of one model.

    Args:
        oof: One `Predictions` per trained fold and pooling, for the fold's held-out rows.
        test: One per trained fold and pooling, for all test rows.
        networks: Checkpoint folders in fold order; then the one trained on all rows, if any.
        validation: One per trained fold and pooling, for the external validation set.
        pools: Pooling rules of the views.
        specialists: Checkpoint folders of the specialists, in any order; their cards name the domain.
        with_specialists: The same predictions, with those of specialists in their domains.
        classes: Class numbers of the model, in its own order; None means all.
        indexes: kNN only: index folders in the order of the networks.
        nearest: kNN only: `id`, ids of the nearest training images, and their similarity.
    """

    name: str
    oof: list[Predictions] = field(default_factory=list)
    test: list[Predictions] = field(default_factory=list)
    networks: list[Path] = field(default_factory=list)
    validation: list[Predictions] = field(default_factory=list)
    pools: tuple[str, ...] = ("mean-logit",)
    specialists: list[Path] = field(default_factory=list)
    with_specialists: ModelPredictions | None = None
    classes: Integers | None = None
    indexes: list[Path] = field(default_factory=list)
    nearest: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=NEAREST_SCHEMA))

    def folders(self) -> dict[str, Path]:
        """Checkpoint or index folders, by their path in the model's folder of a run."""
        by_name: dict[str, Path] = {}
        for network in [*self.networks, *self.specialists]:
            card = json.loads((network / "card.json").read_text(encoding="utf-8"))
            folder_name = "refit" if card["fold"] == ALL_ROWS else f"fold{card['fold']}"
            if card["domain"] is not None:
                prefix = f"specialists/{folder_name}-"
                folder_name = f"{prefix}{sum(name.startswith(prefix) for name in by_name)}"
            by_name[folder_name] = network
        for index in self.indexes:
            fold = load_metadata(index / "embeddings.safetensors")["fold"]
            by_name["refit" if fold == ALL_ROWS else f"fold{fold}"] = index
        return by_name


def replace_by_domain(
    overall: Sequence[Predictions], specialists: Sequence[Sequence[Predictions]]
) -> list[Predictions]:
    """Replace predictions by those of specialists, in the domains that have one.

    Args:
        overall: One entry per pooling.
        specialists: For each domain one entry per pooling, for some of the same rows.
    """
    merged = []
    for number, prediction in enumerate(overall):
        logits = prediction.logits
        for parts in specialists:
            logits = replace_rows(logits, np.searchsorted(prediction.rows, parts[number].rows), parts[number].logits)
        merged.append(replace(prediction, logits=logits))
    return merged
