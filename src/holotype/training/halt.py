"""Pausing a training: it stops on purpose before its end, with its state kept, so that a search may go on with it."""

from __future__ import annotations

from typing import Any

from holotype.core.errors import HolotypeError
from holotype.training.training_state import TrainingState

__all__ = ["TrainingPaused", "stop_training_if_requested"]


class TrainingPaused(HolotypeError):  # noqa: N818  (a pause is not an error)
    """A training has reached the epoch at which it was to stop; the same call without a stop goes on from there.

    Args:
        what: The message.
        history: One entry an epoch so far.
    """

    def __init__(self, what: str, history: list[dict[str, Any]]) -> None:
        super().__init__(what)
        self.history = history


def stop_training_if_requested(training: TrainingState) -> None:
    """Stop where the runtime says so; the state of the last epoch lies on the disk already.

    Args:
        training: The network, between two epochs.

    Raises:
        TrainingPaused: So many epochs are done.
    """
    last, done = training.runtime.halt_after, training.progress.done
    if last is not None and done >= last:
        raise TrainingPaused(
            f"{training.job.label}: stopped after epoch {done}, as requested", training.progress.history
        )
