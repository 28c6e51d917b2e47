"""Taxonomic ranks above the classes, as arrays of parents."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

CLASS_RANK = "class"
"""Name of the classes' own rank."""


@dataclass(frozen=True)
class Ranks:
    """Ranks above the classes, from near to far.

    Args:
        names: Rank names, such as `genus` and `family`.
        parents: Taxon number of each class at each rank, shape (ranks, classes).
    """

    names: tuple[str, ...] = ()
    taxa: tuple[tuple[str, ...], ...] = ()
    parents: tuple[tuple[int, ...], ...] = ()
    constant: tuple[str, ...] = ()


NO_RANKS = Ranks()


@dataclass(frozen=True)
class RankHeads:
    """Ranks that a network learns in addition to its classes.

    Args:
        names: Rank names, from near to far, without those of zero weight.
        parents: Taxon number of each class at each rank, shape (ranks, classes).
    """

    names: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]
    class_weight: float = 1.0

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of taxa of each rank."""
        return tuple(max(row) + 1 for row in self.parents)


def taxonomy_ranks(taxonomy: pl.DataFrame | None) -> Ranks:
    """Ranks of a taxonomy that distinguish classes.

    `taxonomy`: one row per class, in order: `class`, and a column per rank; None has no ranks.
    """
    if taxonomy is None:
        return NO_RANKS
    all_names = tuple(name for name in taxonomy.columns if name != CLASS_RANK)
    names = tuple(name for name in all_names if taxonomy[name].n_unique() > 1)
    taxa = tuple(tuple(taxonomy[name].unique(maintain_order=True).to_list()) for name in names)
    numbers = [{taxon: number for number, taxon in enumerate(rank_taxa)} for rank_taxa in taxa]
    parents = (
        tuple(index_of_taxon[taxon] for taxon in taxonomy[name])
        for name, index_of_taxon in zip(names, numbers, strict=True)
    )
    return Ranks(names, taxa, tuple(parents), tuple(name for name in all_names if name not in names))
