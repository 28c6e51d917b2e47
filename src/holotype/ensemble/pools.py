"""How each member is read: which pooling of its views, and for which domains its specialists; chosen out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from holotype.ensemble.fit import EnsembleChoice, FittedEnsemble, Scores, fit_ensemble, rows_by_domain
from holotype.ensemble.weights import mean_log_loss
from holotype.types import (
    AnyLabels,
    AnyScores,
    Ensemble,
    OofPredictions,
    SampleFacts,
    TestPredictions,
    some_rows,
    with_rows,
)

__all__ = ["FittedPools", "PooledChoice", "Reading", "read_member"]

Evidence = TypeVar("Evidence", OofPredictions, TestPredictions)


@dataclass(frozen=True)
class Reading:
    """How one member is read.

    Args:
        place: Of the chosen scores among all.
        pool: The pooling's name.
        specialists: Place of the scores in which the domains' own networks have answered; none where there are none.
        domains: The domains for which those are taken.
    """

    place: int
    pool: str
    specialists: int | None = None
    domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class PooledChoice:
    """An ensemble whose members come in several poolings each, and some with specialists.

    Args:
        inner: The ensemble of one reading a member.
        pools: The poolings of each member, in the order of the scores; one where nothing is to be chosen.
        specialised: Whether the scores of a member come twice, the second time with those of its specialists.
    """

    inner: EnsembleChoice
    pools: tuple[tuple[str, ...], ...]
    specialised: tuple[bool, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in the score's words."""
        words = ["the pooling of views"] if any(len(own) > 1 for own in self.pools) else []
        words += ["the domains that specialists answer for"] if any(self.specialised) else []
        return f"{' and '.join(words)} with {self.inner.name}" if words else self.inner.name

    @property
    def learns(self) -> bool:
        """Whether it hangs on the labels of the scores."""
        return any(len(own) > 1 for own in self.pools) or any(self.specialised) or self.inner.learns

    def fit(self, evidence: Sequence[OofPredictions], truth: AnyLabels, /) -> FittedPools:
        """Choose how each member is read, and fit the ensemble of what is read.

        Args:
            evidence: Out-of-fold scores, member by member one entry a pooling, then those with its specialists.
            truth: Which classes each sample has.
        """
        readings, start = [], 0
        for own, twice in zip(self.pools, self.specialised or (False,) * len(self.pools), strict=True):
            parts = evidence[start : start + len(own)]
            losses = [mean_log_loss(part.logits, truth, self.inner.kind) for part in parts] if len(own) > 1 else [0.0]
            best = int(np.argmin(losses))
            reading = Reading(start + best, own[best])
            if twice:
                both = parts[best], evidence[start + len(own) + best]
                reading = replace(reading, specialists=start + len(own) + best, domains=self._gaining(both, truth))
            readings.append(reading)
            start += len(own) * (2 if twice else 1)
        facts = self.inner.facts
        read = [read_member(evidence, reading, facts) for reading in readings]
        return FittedPools(fit_ensemble(read, truth, self.inner), tuple(readings), facts)

    def _gaining(self, both: tuple[OofPredictions, OofPredictions], truth: AnyLabels) -> tuple[str, ...]:
        """The domains whose own networks have the smaller out-of-fold log loss."""
        overall, special = both
        gaining = []
        for name, rows in rows_by_domain(overall.samples, self.inner.facts).items():
            known = some_rows(truth, rows)
            losses = [mean_log_loss(one.logits[rows], known, self.inner.kind) for one in (special, overall)]
            gaining += [name] if losses[0] < losses[1] else []
        return tuple(gaining)


@dataclass(frozen=True)
class FittedPools:
    """An ensemble of chosen readings that can be applied.

    Args:
        fitted: The ensemble of them.
        readings: One a member.
        facts: Know the domains of the samples.
    """

    fitted: FittedEnsemble
    readings: tuple[Reading, ...]
    facts: SampleFacts | None = None

    @property
    def ensemble(self) -> Ensemble:
        """The ensemble with how its members are read."""
        pools = tuple(reading.pool for reading in self.readings)
        routes = tuple(reading.domains for reading in self.readings)
        return replace(self.fitted.ensemble, pools=pools, routes=routes if any(routes) else ())

    @property
    def crossed(self) -> AnyScores | None:
        """Logits of the evidence by models that left it out, where the ensemble knows them."""
        return self.fitted.crossed

    def read(self, members: Sequence[Any]) -> list[Any]:
        """One entry a member.

        Args:
            members: As they were fitted: one entry a member and pooling, and those with specialists.
        """
        return [read_member(members, reading, self.facts) for reading in self.readings]

    def __call__(self, members: Sequence[Scores]) -> AnyScores:
        """The members' scores as one.

        Args:
            members: As in `read`.
        """
        return self.fitted(self.read(members))


def read_member(members: Sequence[Evidence], reading: Reading, facts: SampleFacts | None) -> Evidence:
    """The scores of one member, its specialists' where they answer.

    Args:
        members: The scores of all, in all their poolings.
        reading: How it is read.
        facts: Know the domains of the samples.
    """
    overall = members[reading.place]
    if reading.specialists is None or not reading.domains:
        return overall
    logits, special = overall.logits, members[reading.specialists].logits
    for name, rows in rows_by_domain(overall.samples, facts).items():
        if name in reading.domains:
            logits = with_rows(logits, rows, special[rows])
    return replace(overall, logits=logits)
