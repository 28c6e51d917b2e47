"""Candidate training plans: image sizes, folds, views and models, with the epochs still open."""

from __future__ import annotations

from dataclasses import dataclass, replace

from holotype.core.errors import pluralize
from holotype.planning.costs import DatasetSize, TrainingPlan, Views
from holotype.planning.expected import steps_worth_taking

__all__ = [
    "ENLARGED",
    "HIGH_IMBALANCE",
    "MAX_NEIGHBOR_IMAGES",
    "MAX_SIZE",
    "STEP",
    "imbalance_ratio",
    "list_candidates",
    "list_sizes",
    "max_epochs",
    "probe_sizes",
    "sufficient_epochs",
]

HIGH_IMBALANCE = 8.0
"""Class imbalance from which rare classes are sampled more often."""
MAX_NEIGHBOR_IMAGES = 100_000
"""Most training images for which a plan adds neighbors by itself."""
FEW_GROUPS = 12
"""Most independent groups of which each may become a fold."""
MIN_SIZE, MAX_SIZE, STEP = 64, 160, 32
ENLARGED = 1.5  # small images train better when enlarged
ENOUGH_STEPS = 800
MIN_EPOCHS, MAX_EPOCHS = 6, 60
MIN_TRAINING_EPOCHS = 2
FROZEN = (20, 60)


def list_candidates(facts: DatasetSize) -> list[TrainingPlan]:
    """List every training plan worth considering, from the cheapest structure to the most expensive.

    They are a frozen backbone; one fold, several, all; every independent group in turn, where groups are few; a second
    model on all folds. A single fold is followed by a network on all rows, which predicts new images.
    """
    sizes, choices = list_sizes(facts), _list_networks(facts)
    candidates = []
    if facts.pretrained and facts.reusable and not facts.first_answer:
        candidates = [_make_plan(facts, sizes[:1], networks, draws=draws) for networks in choices for draws in (1, 4)]
    for size in sizes:
        candidates += [
            _make_plan(facts, (size,), networks, views)
            for networks in choices
            for views in (("flips", "d4") if facts.views is None else (facts.views,))
        ]
    second = sizes[-1] if facts.size is not None else sizes[-1] + STEP
    return candidates + [_make_plan(facts, (sizes[-1], second), networks, "d4") for networks in choices[-2:]]


def probe_sizes(facts: DatasetSize) -> tuple[int, ...]:
    """Image sizes to measure the speed at: the smallest and the largest of the candidates."""
    sizes = list_sizes(facts)
    return (sizes[0],) if len(sizes) == 1 else (sizes[0], sizes[-1])


def imbalance_ratio(facts: DatasetSize) -> float:
    """Class imbalance: images of the most frequent class over images of the rarest."""
    return max(facts.counts) / min(facts.counts) if facts.counts else 1.0


def list_sizes(facts: DatasetSize) -> tuple[int, ...]:
    """Input sizes in pixels, from the smallest to the one that suits the images."""
    if facts.size is not None:
        return (facts.size,)
    largest = int(ENLARGED * facts.longest) // STEP * STEP
    return tuple(range(MIN_SIZE, min(max(largest, MIN_SIZE), MAX_SIZE) + 1, STEP))


def sufficient_epochs(facts: DatasetSize) -> int:
    """Epochs after which more help little; fewer steps per epoch mean more epochs."""
    epochs = -(-ENOUGH_STEPS // facts.steps)
    return min(max(epochs, MIN_EPOCHS), MAX_EPOCHS) * (1 if facts.pretrained else 2)


def max_epochs(candidate: TrainingPlan, facts: DatasetSize) -> int:
    """Most epochs that the learning curve is worth."""
    if candidate.draws is not None:
        return FROZEN[1]
    epochs = -(-steps_worth_taking(len(facts.counts), facts.pretrained) // facts.count_steps(candidate.of_folds))
    return min(max(epochs, MIN_EPOCHS), MAX_EPOCHS * (1 if facts.pretrained else 2))


@dataclass(frozen=True)
class _Networks:
    """Networks of a model: trained folds (None means all), their number, the number of folds, and a refit."""

    folds_to_train: tuple[int, ...] | None
    folds: int
    of_folds: int
    refit: bool


def _list_networks(facts: DatasetSize) -> list[_Networks]:
    """Networks to choose from, in ascending number; a single fold may be followed by a refit on all rows."""
    refit = facts.final_model == "refit"
    if facts.folds_to_train is not None:
        choices = [_Networks(facts.folds_to_train, len(facts.folds_to_train), facts.folds, refit)]
    else:
        choices = [_Networks(tuple(range(count)), count, facts.folds, refit) for count in range(1, facts.folds)]
        choices.append(_Networks(None, facts.folds, facts.folds, refit))
        if facts.open_folds and facts.folds < facts.group_count <= FEW_GROUPS:
            choices.append(_Networks(None, facts.group_count, facts.group_count, refit))
    if facts.final_model is None and choices[0].folds == 1:
        choices.insert(1, replace(choices[0], refit=True))
    return choices


def _make_plan(
    facts: DatasetSize, sizes: tuple[int, ...], networks: _Networks, views: Views = "none", draws: int | None = None
) -> TrainingPlan:
    plan = TrainingPlan(
        description="",
        sizes=sizes,
        folds_to_train=networks.folds_to_train,
        folds=networks.folds,
        views=views if facts.views is None else facts.views,
        min_epochs=FROZEN[0] if draws is not None else MIN_TRAINING_EPOCHS,
        max_epochs=0,
        of_folds=networks.of_folds,
        refit=networks.refit,
        draws=draws,
    )
    longest = max_epochs(plan, facts)
    neighbors = facts.neighbors != "none"  # time for them, whether they are planned depends on the epochs
    return replace(plan, max_epochs=longest, neighbors=neighbors, description=_describe(plan, facts))


def _describe(plan: TrainingPlan, facts: DatasetSize) -> str:
    """Structure of a plan in words."""
    on = "one fold" if plan.folds == 1 else pluralize(plan.folds, "fold")
    if plan.folds_to_train is None:
        on = (
            f"all {plan.folds} folds"
            if plan.of_folds == facts.folds
            else f"each of {plan.folds} groups left out in turn"
        )
    sizes = sorted(set(plan.sizes))
    words = f"{on} at {' and '.join(map(str, sizes))} px"
    if len(plan.sizes) > 1:
        words = f"two models on {words}"
    if plan.draws is not None:
        words += " with a frozen backbone"
    return words + (", then one network on all rows" if plan.refit else "")
