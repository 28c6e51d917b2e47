"""A training that stops on purpose before its end, with its state kept: a search goes on only where it is worth it."""

from __future__ import annotations

from typing import Any

from holotype.errors import HolotypeError
from holotype.train.training import Training

__all__ = ["HaltedError", "halt_where_asked"]


class HaltedError(HolotypeError):
    """A training has reached the epoch at which it was to stop; the same call without a stop goes on from there.

    Args:
        what: The message.
        history: One entry an epoch so far.
    """

    def __init__(self, what: str, history: list[dict[str, Any]]) -> None:
        super().__init__(what)
        self.history = history


def halt_where_asked(training: Training) -> None:
    """Stop where the runtime says so; the state of the last epoch lies on the disk already.

    Args:
        training: The network, between two epochs.

    Raises:
        HaltedError: So many epochs are done.
    """
    last, done = training.runtime.halt_after, training.course.done
    if last is not None and done >= last:
        raise HaltedError(f"{training.job.label}: stopped after epoch {done}, as asked", training.course.history)
