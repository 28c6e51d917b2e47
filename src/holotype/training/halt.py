"""Paused training: stop on purpose before the end with the state saved, so that a search may resume it."""

from __future__ import annotations

from typing import Any

from holotype.core.errors import HolotypeError
from holotype.training.training_state import TrainingState


class TrainingPaused(HolotypeError):  # noqa: N818  (a pause is not an error)
    """A pause of training at the requested epoch; the same call without a limit resumes it."""

    def __init__(self, what: str, history: list[dict[str, Any]]) -> None:
        super().__init__(what)
        self.history = history


def stop_training_if_requested(training: TrainingState) -> None:
    """Stop if the epoch limit of the runtime is reached; the state of the last epoch is on disk already."""
    last, done = training.runtime.halt_after, training.progress.done
    if last is not None and done >= last:
        raise TrainingPaused(
            f"{training.job.label}: stopped after epoch {done}, as requested", training.progress.history
        )
