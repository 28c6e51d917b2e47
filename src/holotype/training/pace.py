"""Schedule of variable length: the position along a learning-rate schedule while its remaining steps change.

Each step advances the position by its share of the part that is left, so the schedule always reaches its end, and a
length that never changes gives the schedule itself.
"""

from __future__ import annotations

from dataclasses import dataclass

DECISIONS = 40  # per network, evenly spaced over the planned steps


@dataclass
class Pace:
    """Pace of one phase.

    Args:
        planned: Steps of the phase in the recipe.
        target: Steps of the phase by the last decision.
        taken: Steps so far.
        position: Share of the schedule that is done, from 0 to 1.
        epoch_position: The same at the start of the current epoch.
    """

    planned: int
    target: int
    taken: int = 0
    position: float = 0.0
    epoch_position: float = 0.0

    @property
    def is_finished(self) -> bool:
        """Last step taken, so that the phase is over."""
        return self.taken >= self.target

    @property
    def is_decision_due(self) -> bool:
        """Decision due before the next step; it depends on the steps alone, so that a resumed run repeats it."""
        return not self.is_finished and self.taken % max(self.planned // DECISIONS, 1) == 0

    def advance(self) -> None:
        """Take one step."""
        self.position += (1.0 - self.position) / max(self.target - self.taken, 1)
        self.taken += 1

    def schedule_step(self, share: float = 1.0) -> int:
        """Step of the planned schedule that stands at a position.

        Args:
            share: Between the position at the start of the epoch (0) and the current one (1).
        """
        position = self.epoch_position + share * (self.position - self.epoch_position)
        return min(round(position * self.planned), self.planned - 1)
