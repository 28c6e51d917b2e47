"""Training progress needed to resume, except tensors: epoch, step, plateau state and checkpoint candidates."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from holotype.recipe.sections import PhaseSpec
from holotype.training.pace import Pace
from holotype.training.plateau import Plateau, Verdict, advance, advance_early_stopping, plateau_rate, selection_score


@dataclass
class TrainingProgress:
    """Position in the recipe and decisions so far, writable as JSON.

    Args:
        skipped: Skipped steps of the next epoch, because of a loss that is NaN or infinite.
        history: One entry per epoch.
        rates: Rate found for each phase with `lr: find`, by the phase's index as text.
        halvings: Number of halved rates in the phase, because of divergence.
        parts: Number of parts per batch, because of short memory.
        candidates: Checkpoints on disk that may become the model: `epoch`, `score`, `loss`, `cycle`.
        pace: Progress along a schedule that follows the time of a budget; None if the phase has its own epochs.
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
    pace: Pace | None = None

    @property
    def done(self) -> int:
        """Completed epochs of all phases."""
        return len(self.history)

    @property
    def position(self) -> tuple[int, int, int]:
        """Phases, epochs and steps done, by which states are ordered."""
        return self.phase, self.done, self.step

    @property
    def is_out_of_time(self) -> bool:
        """End of a phase that follows a time budget."""
        return self.pace is not None and self.pace.is_finished

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingProgress:
        """Restore from the values of `to_dict`."""
        states = {name: Plateau(**values[name]) for name in ("plateau", "stop")}
        pace = None if values["pace"] is None else Pace(**values["pace"])
        return cls(**{**values, **states, "pace": pace})

    def rate_factor(self, phase: PhaseSpec) -> float:
        """Factor on the phase's largest learning rate, from plateau cuts and halvings."""
        cut = plateau_rate(self.plateau, phase.schedule) if phase.schedule.name == "plateau" else 1.0
        return cut * 0.5**self.halvings

    def update_plateau(self, phase: PhaseSpec, score: float, loss: float) -> Verdict:
        """Update plateau and early stopping with one epoch.

        `score`: the metric on the selection rows, larger is better; if NaN, the loss is used. Returns `keep`,
        `improved`, `rewind`, or `stop` if the phase is over.
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
        """Begin the next epoch."""
        self.epoch, self.step, self.images, self.skipped = self.epoch + 1, 0, 0, 0
        if self.pace is not None:
            self.pace.epoch_position = self.pace.position

    def next_phase(self) -> None:
        """Begin the next phase."""
        self.phase, self.epoch, self.step, self.images, self.skipped = self.phase + 1, 0, 0, 0, 0
        self.halvings, self.plateau, self.stop, self.pace = 0, Plateau(), Plateau(), None
