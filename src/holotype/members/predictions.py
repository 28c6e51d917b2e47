"""What a member says: of the folds it never saw, of the rows to predict, and by which networks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from holotype.nets import load_facts
from holotype.train import ALL_ROWS
from holotype.types import Integers, Predictions, with_rows

__all__ = ["NEAREST", "MemberPredictions", "routed"]

NEAREST: dict[str, pl.DataType] = {
    "id": pl.String(), "nearest": pl.List(pl.String()), "similarity": pl.List(pl.Float32())
}  # fmt: skip


@dataclass(frozen=True)
class MemberPredictions:
    """What one member's networks say.

    Args:
        name: The member.
        oof: One entry a used fold and pooling: the fold's rows by the network that never saw them.
        test: One entry a used fold and pooling: all test rows.
        networks: The checkpoints' folders, in the order of the used folds; then that of all rows, if there is one.
        apart: One entry a used fold and pooling: the rows of a validation set of its own, where there is one.
        pools: The poolings of its views that the recipe looks at.
        specialists: The checkpoints' folders of the domains' own networks, in any order; their cards say which.
        routed: The same predictions with those of the domains' own networks in place of the overall one's.
        served: Numbers of the classes that it answers for, in its own order; none where it answers for all.
        indexes: Of neighbours: the folders of the specimens that were looked among, in the order of the networks.
        nearest: Of neighbours: `id`, the ids of the nearest specimens, and how similar they are.
    """

    name: str
    oof: list[Predictions] = field(default_factory=list)
    test: list[Predictions] = field(default_factory=list)
    networks: list[Path] = field(default_factory=list)
    apart: list[Predictions] = field(default_factory=list)
    pools: tuple[str, ...] = ("mean-logit",)
    specialists: list[Path] = field(default_factory=list)
    routed: MemberPredictions | None = None
    served: Integers | None = None
    indexes: list[Path] = field(default_factory=list)
    nearest: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=NEAREST))

    def folders(self) -> dict[str, Path]:
        """The checkpoints, or the indexes of neighbours, by the places they have in the member's folder of a run."""
        found: dict[str, Path] = {}
        for network in [*self.networks, *self.specialists]:
            card = json.loads((network / "card.json").read_text(encoding="utf-8"))
            place = "refit" if card["fold"] == ALL_ROWS else f"fold{card['fold']}"
            if card["domain"] is not None:
                place = f"specialists/{place}-{sum(name.startswith(f'specialists/{place}-') for name in found)}"
            found[place] = network
        for index in self.indexes:
            fold = load_facts(index / "embeddings.safetensors")["fold"]
            found["refit" if fold == ALL_ROWS else f"fold{fold}"] = index
        return found


def routed(overall: Sequence[Predictions], special: Sequence[Sequence[Predictions]]) -> list[Predictions]:
    """Predictions of an overall network, with those of the domains' own networks where there are such.

    Args:
        overall: One entry a pooling.
        special: For each domain one entry a pooling, of some of the same rows.
    """
    made = []
    for number, one in enumerate(overall):
        logits = one.logits
        for parts in special:
            logits = with_rows(logits, np.searchsorted(one.rows, parts[number].rows), parts[number].logits)
        made.append(replace(one, logits=logits))
    return made
