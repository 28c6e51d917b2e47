"""Replanning during a run: the steps of the network in training, from the time that is left and the current speed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RemainingWork", "replan"]

ANNEALING = 0.05  # least share of a network's steps in which its learning rate still falls to the end of its schedule


@dataclass(frozen=True)
class RemainingWork:
    """Remaining work of a run whose networks are trained one after another.

    Args:
        seconds: Time left for this work.
        step_seconds: Current seconds per training step.
        taken: Steps that the current network has taken.
        target: Steps that were decided for it last.
        later_networks: Networks after the current one, as multiples of its planned training time.
        fixed_seconds: Predictions of these networks, scores and report, at the current speed.
        min_steps: Fewest steps of a network.
        max_steps: Steps of a network beyond which nothing is gained.
    """

    seconds: float
    step_seconds: float
    taken: int
    target: int
    later_networks: float
    fixed_seconds: float
    min_steps: int
    max_steps: int


def replan(work: RemainingWork) -> int:
    """Steps of the current network, so that it and all later ones end in time with equally many steps.

    The steps that still fit are shared evenly. A network that has already taken more than its share ends after a short
    annealing; every network takes at least `min_steps`, even if the time is then exceeded.

    Returns:
        The total, at least `taken` and, before the network is done, more than `taken`.
    """
    affordable = max(work.seconds - work.fixed_seconds, 0.0) / work.step_seconds
    share = int((work.taken + affordable) / (1 + work.later_networks))
    share = min(max(share, work.min_steps), max(work.max_steps, work.min_steps))
    if work.taken >= work.target:
        return work.taken  # done: its learning rate has reached the end
    shortest = min(work.target, work.taken + max(round(ANNEALING * work.target), 1))
    return max(share, shortest)
