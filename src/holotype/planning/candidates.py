"""The ladder of configurations: what a little more time is best spent on, from the least to the most."""

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
"""From this ratio of the commonest class to the rarest on, rare ones are drawn more often."""
MAX_NEIGHBOR_IMAGES = 100_000
"""Among so many at most neighbors are looked for without being asked for."""
MIN_SIZE, MAX_SIZE, STEP = 64, 160, 32
ENLARGED = 1.5  # small images are learnt better from a larger input
ENOUGH_STEPS, FEW_STEPS = 800, 100
MIN_EPOCHS, MAX_EPOCHS = 6, 60
FROZEN = (20, 60)
SHARE = 0.3  # of the epochs that are enough: with fewer, a smaller input is better


def list_candidates(facts: DatasetSize) -> list[TrainingPlan]:
    """Every configuration worth considering, each better and dearer than the one before.

    A frozen backbone; one fold, small and short; larger inputs; two folds and so on to all; a second model.

    Args:
        facts: Of the data, and what the recipe fixes.
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
        begins = few  # with less time a frozen backbone does better
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
    """The sides at which a probe is worth its time: the smallest of the ladder, and the largest.

    Args:
        facts: Of the data, and what the recipe fixes.
    """
    sizes = _list_sizes(facts)
    return (sizes[0],) if len(sizes) == 1 else (sizes[0], sizes[-1])


def imbalance_ratio(facts: DatasetSize) -> float:
    """How many times as many images the commonest class has as the rarest.

    Args:
        facts: Of the data.
    """
    return max(facts.counts) / min(facts.counts) if facts.counts else 1.0


def _has_time_for_neighbors(candidate: TrainingPlan, enough: int, facts: DatasetSize) -> bool:
    """Whether a rung has time for the nearest specimens: where they are asked for, or a network learns too little."""
    short = candidate.draws is not None or candidate.min_epochs < enough
    return facts.neighbors == "required" or (facts.neighbors == "open" and short)


def _list_sizes(facts: DatasetSize) -> tuple[int, ...]:
    """Sides of the input, from the smallest to the one that suits the images."""
    if facts.size is not None:
        return (facts.size,)
    largest = int(ENLARGED * facts.longest) // STEP * STEP
    return tuple(range(MIN_SIZE, min(max(largest, MIN_SIZE), MAX_SIZE) + 1, STEP))


def sufficient_epochs(facts: DatasetSize) -> int:
    """Epochs after which more are of little use: by steps, since small sets want more of them.

    Args:
        facts: Of the data.
    """
    epochs = -(-ENOUGH_STEPS // facts.steps)
    return min(max(epochs, MIN_EPOCHS), MAX_EPOCHS) * (1 if facts.pretrained else 2)
