"""The ranks above the classes, as whole numbers: whose species is whose genus."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

__all__ = ["CLASS_RANK", "NO_RANKS", "RankHeads", "Ranks", "taxonomy_ranks"]

CLASS_RANK = "class"
"""What the classes' own rank is called beside the others."""


@dataclass(frozen=True)
class Ranks:
    """The ranks above the classes, from near to far.

    Args:
        names: One a rank: `genus`, `family`.
        taxa: The names of each rank's taxa, in the order in which classes name them first.
        parents: One row a rank: the number of each class's taxon, shape (ranks, classes).
        constant: Ranks that are left out, since all classes have the same taxon there.
    """

    names: tuple[str, ...] = ()
    taxa: tuple[tuple[str, ...], ...] = ()
    parents: tuple[tuple[int, ...], ...] = ()
    constant: tuple[str, ...] = ()


NO_RANKS = Ranks()


@dataclass(frozen=True)
class RankHeads:
    """The ranks that a network learns beside its classes.

    Args:
        names: One a rank, from near to far; those that weigh nothing are left out.
        parents: One row a rank: the number of each class's taxon, shape (ranks, classes).
        weights: What each rank's loss counts.
        class_weight: What the classes' own loss counts.
    """

    names: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]
    class_weight: float = 1.0

    @property
    def counts(self) -> tuple[int, ...]:
        """How many taxa each rank has."""
        return tuple(max(row) + 1 for row in self.parents)


def taxonomy_ranks(taxonomy: pl.DataFrame | None) -> Ranks:
    """The ranks of a taxonomy that tell classes apart.

    Args:
        taxonomy: A row a class in their order: `class`, and a column a rank; or none, which has no ranks.
    """
    if taxonomy is None:
        return NO_RANKS
    every = tuple(name for name in taxonomy.columns if name != CLASS_RANK)
    names = tuple(name for name in every if taxonomy[name].n_unique() > 1)
    taxa = tuple(tuple(taxonomy[name].unique(maintain_order=True).to_list()) for name in names)
    numbers = [{taxon: number for number, taxon in enumerate(rank_taxa)} for rank_taxa in taxa]
    parents = (
        tuple(index_of_taxon[taxon] for taxon in taxonomy[name])
        for name, index_of_taxon in zip(names, numbers, strict=True)
    )
    return Ranks(names, taxa, tuple(parents), tuple(name for name in every if name not in names))
