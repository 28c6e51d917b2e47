"""What a model says: of the folds it never saw, of the rows to predict, and by which networks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from holotype.networks import load_metadata
from holotype.training import ALL_ROWS
from holotype.types import Integers, Predictions, replace_rows

__all__ = ["NEAREST_SCHEMA", "ModelPredictions", "replace_by_domain"]

NEAREST_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "nearest": pl.List(pl.String()),
    "similarity": pl.List(pl.Float32()),
}


@dataclass(frozen=True)
class ModelPredictions:
    """What one model's networks say.

    Args:
        name: The model.
        oof: One entry a used fold and pooling: the fold's rows by the network that never saw them.
        test: One entry a used fold and pooling: all test rows.
        networks: The checkpoints' folders, in the order of the used folds; then that of all rows, if there is one.
        validation: One entry a used fold and pooling: the rows of a validation set of its own, where there is one.
        pools: The poolings of its views that the recipe looks at.
        specialists: The checkpoints' folders of the domains' own networks, in any order; their cards say which.
        with_specialists: The same predictions with those of the domains' own networks in place of the overall one's.
        classes: Numbers of the classes that it answers for, in its own order; none where it answers for all.
        indexes: Of neighbors: the folders of the specimens that were looked among, in the order of the networks.
        nearest: Of neighbors: `id`, the ids of the nearest specimens, and how similar they are.
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
        """The checkpoints, or the indexes of neighbors, by the places they have in the model's folder of a run."""
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
    """Predictions of an overall network, with those of the domains' own networks where there are such.

    Args:
        overall: One entry a pooling.
        specialists: For each domain one entry a pooling, of some of the same rows.
    """
    merged = []
    for number, prediction in enumerate(overall):
        logits = prediction.logits
        for parts in specialists:
            logits = replace_rows(logits, np.searchsorted(prediction.rows, parts[number].rows), parts[number].logits)
        merged.append(replace(prediction, logits=logits))
    return merged
