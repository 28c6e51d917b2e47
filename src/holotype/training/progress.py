"""Where a training stands: everything beside the tensors that a killed one needs to go on as if nothing had been."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from holotype.recipe.sections import PhaseSpec
from holotype.training.plateau import Plateau, Verdict, advance, advance_early_stopping, plateau_rate, selection_score

__all__ = ["TrainingProgress"]


@dataclass
class TrainingProgress:
    """The place in the recipe, and what was decided on the way; all of it can be written as JSON.

    Args:
        phase: The phase that is being trained.
        epoch: Epochs of it that are done.
        step: Steps of the next epoch that are done.
        images: Images of the next epoch that were seen.
        skipped: Steps of the next epoch that were left out, their loss being no number.
        history: One entry an epoch.
        rates: The rate found for a phase that looks for one, by its number as text.
        halvings: How often the phase's rate was halved because it diverged.
        parts: Into how many pieces a batch is cut because it does not fit in memory.
        plateau: Of the phase.
        stop: Of the phase's early stop.
        candidates: Checkpoints on disk that may become the model: `epoch`, `score`, `loss`, `cycle`.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    images: int = 0
    skipped: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)
    halvings: int = 0
    parts: int = 1
    plateau: Plateau = field(default_factory=Plateau)
    stop: Plateau = field(default_factory=Plateau)
    candidates: list[dict[str, Any]] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Epochs over all phases."""
        return len(self.history)

    @property
    def position(self) -> tuple[int, int, int]:
        """Phases, epochs and steps that are done: which of two states is the newer."""
        return self.phase, self.done, self.step

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingProgress:
        """A course that was written.

        Args:
            values: From `values`.
        """
        states = {name: Plateau(**values[name]) for name in ("plateau", "stop")}
        return cls(**{**values, **states})

    def rate_factor(self, phase: PhaseSpec) -> float:
        """What the phase's largest rate is multiplied by.

        Args:
            phase: The recipe's section.
        """
        cut = plateau_rate(self.plateau, phase.schedule) if phase.schedule.name == "plateau" else 1.0
        return cut * 0.5**self.halvings

    def update_plateau(self, phase: PhaseSpec, score: float, loss: float) -> Verdict:
        """Take an epoch into account.

        Args:
            phase: The recipe's section.
            score: The metric on the rows that choose, larger is better; NaN where it is not defined, and the loss
                decides.
            loss: On the same rows.

        Returns:
            `keep`, `improved`, `rewind`, or `stop` where the phase is over.
        """
        verdict: Verdict = "keep"
        if phase.schedule.name == "plateau":
            watched = selection_score(score, loss, "metric")
            self.plateau, verdict = advance(self.plateau, phase.schedule, watched)
        if phase.early_stopping is not None:
            watched = selection_score(score, loss, phase.early_stopping.metric)
            self.stop, ended = advance_early_stopping(self.stop, phase.early_stopping, watched)
            verdict = "stop" if ended == "stop" else verdict
        return verdict

    def next_epoch(self) -> None:
        """The epoch is done."""
        self.epoch, self.step, self.images, self.skipped = self.epoch + 1, 0, 0, 0

    def next_phase(self) -> None:
        """The phase is done."""
        self.phase, self.epoch, self.step, self.images, self.skipped = self.phase + 1, 0, 0, 0, 0
        self.halvings, self.plateau, self.stop = 0, Plateau(), Plateau()
