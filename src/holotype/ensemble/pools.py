"""Which pooling of views a member is read with: chosen by out-of-fold log loss, and so refitted with the ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from holotype.ensemble.fit import EnsembleChoice, FittedEnsemble, Scores, fit_ensemble
from holotype.ensemble.weights import mean_log_loss
from holotype.types import AnyLabels, AnyScores, Ensemble, OofPredictions

__all__ = ["FittedPools", "PooledChoice"]


@dataclass(frozen=True)
class PooledChoice:
    """An ensemble whose members come in several poolings each.

    Args:
        inner: The ensemble of one pooling a member.
        pools: The poolings of each member, in the order of the scores; one where nothing is to be chosen.
    """

    inner: EnsembleChoice
    pools: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """What it is called in the score's words."""
        return f"the pooling of views with {self.inner.name}" if self._chooses else self.inner.name

    @property
    def learns(self) -> bool:
        """Whether it hangs on the labels of the scores."""
        return self._chooses or self.inner.learns

    @property
    def _chooses(self) -> bool:
        return any(len(own) > 1 for own in self.pools)

    def fit(self, evidence: Sequence[OofPredictions], truth: AnyLabels, /) -> FittedPools:
        """Choose the poolings, and fit the ensemble of them.

        Args:
            evidence: Out-of-fold scores, one entry a member and pooling, member by member.
            truth: Which classes each sample has.
        """
        picked, names, start = [], [], 0
        for own in self.pools:
            parts = evidence[start : start + len(own)]
            losses = [mean_log_loss(part.logits, truth, self.inner.kind) for part in parts] if len(own) > 1 else [0.0]
            best = int(np.argmin(losses))
            picked.append(start + best)
            names.append(own[best])
            start += len(own)
        fitted = fit_ensemble([evidence[place] for place in picked], truth, self.inner)
        return FittedPools(fitted, tuple(picked), tuple(names))


@dataclass(frozen=True)
class FittedPools:
    """An ensemble of chosen poolings that can be applied.

    Args:
        fitted: The ensemble of them.
        picked: Places of the chosen scores.
        pools: Names of the chosen poolings, one a member.
    """

    fitted: FittedEnsemble
    picked: tuple[int, ...]
    pools: tuple[str, ...]

    @property
    def ensemble(self) -> Ensemble:
        """The ensemble with its poolings."""
        return replace(self.fitted.ensemble, pools=self.pools)

    @property
    def crossed(self) -> AnyScores | None:
        """Logits of the evidence by models that left it out, where the ensemble knows them."""
        return self.fitted.crossed

    def __call__(self, members: Sequence[Scores]) -> AnyScores:
        """The members' scores as one.

        Args:
            members: One entry a member and pooling, as they were fitted.
        """
        return self.fitted([members[place] for place in self.picked])
