"""Candidate training plans, from the cheapest to the most expensive."""

from __future__ import annotations

from dataclasses import replace

from holotype.core.errors import pluralize
from holotype.planning.costs import DatasetSize, TrainingPlan

__all__ = [
    "ENLARGED",
    "HIGH_IMBALANCE",
    "MAX_NEIGHBOR_IMAGES",
    "MAX_SIZE",
    "STEP",
    "imbalance_ratio",
    "list_candidates",
    "probe_sizes",
    "sufficient_epochs",
]

HIGH_IMBALANCE = 8.0
"""Class imbalance from which rare classes are sampled more often."""
MAX_NEIGHBOR_IMAGES = 100_000
"""Most training images for which a plan adds neighbors by itself."""
MIN_SIZE, MAX_SIZE, STEP = 64, 160, 32
ENLARGED = 1.5  # small images train better when enlarged
ENOUGH_STEPS, FEW_STEPS = 800, 100
MIN_EPOCHS, MAX_EPOCHS = 6, 60
FROZEN = (20, 60)
SHARE = 0.3  # of the sufficient epochs; with fewer, a smaller input is better


def list_candidates(facts: DatasetSize) -> list[TrainingPlan]:
    """List every training plan worth considering, each better and slower than the one before.

    They are a frozen backbone; one fold, small and short; larger inputs; two folds up to all; a second model.
    """
    sizes, enough = _list_sizes(facts), sufficient_epochs(facts)
    few = max(2, min(-(-FEW_STEPS // facts.steps), enough))
    min_epochs, max_epochs = max(few, round(SHARE * enough)), 2 * enough
    least_views, most_views = facts.views or "flips", facts.views or "d4"
    first = (0,) if facts.folds_to_train is None else facts.folds_to_train
    count, working = len(first), sizes[-1]
    on = "one fold" if count == 1 else pluralize(count, "fold")
    candidates, begins = [], 2
    if facts.pretrained and facts.reusable:
        begins = few  # with less time a frozen backbone scores better
        words = f"{on} at {sizes[0]} px with a frozen backbone"
        candidates.append(TrainingPlan(words, sizes[:1], first, count, facts.views or "none", *FROZEN, draws=1))
        candidates.append(TrainingPlan(words, sizes[:1], first, count, least_views, *FROZEN, draws=4))
    candidates.append(
        TrainingPlan(f"{on} at {sizes[0]} px, few epochs", sizes[:1], first, count, least_views, begins, max_epochs)
    )
    candidates += [
        TrainingPlan(f"{on} at {size} px", (size,), first, count, most_views, min_epochs, max_epochs) for size in sizes
    ]
    if facts.folds_to_train is None:
        for fold_total in range(2, facts.folds):
            words, fold_numbers = f"{fold_total} folds at {working} px", tuple(range(fold_total))
            candidates.append(TrainingPlan(words, (working,), fold_numbers, fold_total, most_views, enough, max_epochs))
    every, fold_count = (None, facts.folds) if facts.folds_to_train is None else (facts.folds_to_train, count)
    if facts.folds_to_train is None:
        words = f"all {facts.folds} folds at {working} px"
        candidates.append(TrainingPlan(words, (working,), None, facts.folds, most_views, enough, max_epochs))
    second = working if facts.size is not None else working + STEP
    of_size = f"at {working} px" if second == working else f"at {working} and {second} px"
    words = f"two models {of_size} on {pluralize(fold_count, 'fold')}"
    candidates.append(TrainingPlan(words, (working, second), every, fold_count, most_views, enough, max_epochs))
    return [replace(candidate, neighbors=_has_time_for_neighbors(candidate, enough, facts)) for candidate in candidates]


def probe_sizes(facts: DatasetSize) -> tuple[int, ...]:
    """Image sizes to measure the speed at: the smallest and the largest of the candidates."""
    sizes = _list_sizes(facts)
    return (sizes[0],) if len(sizes) == 1 else (sizes[0], sizes[-1])


def imbalance_ratio(facts: DatasetSize) -> float:
    """Class imbalance: images of the most frequent class over images of the rarest."""
    return max(facts.counts) / min(facts.counts) if facts.counts else 1.0


def _has_time_for_neighbors(candidate: TrainingPlan, enough: int, facts: DatasetSize) -> bool:
    """Whether a plan includes neighbors: if the recipe requests them, or if the training is short."""
    short = candidate.draws is not None or candidate.min_epochs < enough
    return facts.neighbors == "required" or (facts.neighbors == "open" and short)


def _list_sizes(facts: DatasetSize) -> tuple[int, ...]:
    """Input sizes in pixels, from the smallest to the one that suits the images."""
    if facts.size is not None:
        return (facts.size,)
    largest = int(ENLARGED * facts.longest) // STEP * STEP
    return tuple(range(MIN_SIZE, min(max(largest, MIN_SIZE), MAX_SIZE) + 1, STEP))


def sufficient_epochs(facts: DatasetSize) -> int:
    """Epochs after which more help little; fewer steps per epoch mean more epochs."""
    epochs = -(-ENOUGH_STEPS // facts.steps)
    return min(max(epochs, MIN_EPOCHS), MAX_EPOCHS) * (1 if facts.pretrained else 2)
