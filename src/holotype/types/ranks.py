"""The ranks above the classes, as whole numbers: whose species is whose genus."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

__all__ = ["LEAVES", "NO_RANKS", "Levels", "Ranks", "ranks_of"]

LEAVES = "class"
"""What the classes' own rank is called beside the others."""


@dataclass(frozen=True)
class Ranks:
    """The ranks above the classes, from near to far.

    Args:
        names: One a rank: `genus`, `family`.
        taxa: The names of each rank's taxa, in the order in which classes name them first.
        parents: One row a rank: the number of each class's taxon, shape (ranks, classes).
        alike: Ranks that are left out, since all classes have the same taxon there.
    """

    names: tuple[str, ...] = ()
    taxa: tuple[tuple[str, ...], ...] = ()
    parents: tuple[tuple[int, ...], ...] = ()
    alike: tuple[str, ...] = ()


NO_RANKS = Ranks()


@dataclass(frozen=True)
class Levels:
    """The ranks that a network learns beside its classes.

    Args:
        names: One a rank, from near to far; those that weigh nothing are left out.
        parents: One row a rank: the number of each class's taxon, shape (ranks, classes).
        weights: What each rank's loss counts.
        leaves: What the classes' own loss counts.
    """

    names: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]
    leaves: float = 1.0

    @property
    def counts(self) -> tuple[int, ...]:
        """How many taxa each rank has."""
        return tuple(max(row) + 1 for row in self.parents)


def ranks_of(taxonomy: pl.DataFrame | None) -> Ranks:
    """The ranks of a taxonomy that tell classes apart.

    Args:
        taxonomy: A row a class in their order: `class`, and a column a rank; or none, which has no ranks.
    """
    if taxonomy is None:
        return NO_RANKS
    every = tuple(name for name in taxonomy.columns if name != LEAVES)
    names = tuple(name for name in every if taxonomy[name].n_unique() > 1)
    taxa = tuple(tuple(taxonomy[name].unique(maintain_order=True).to_list()) for name in names)
    numbers = [{taxon: number for number, taxon in enumerate(own)} for own in taxa]
    parents = (tuple(place[taxon] for taxon in taxonomy[name]) for name, place in zip(names, numbers, strict=True))
    return Ranks(names, taxa, tuple(parents), tuple(name for name in every if name not in names))
