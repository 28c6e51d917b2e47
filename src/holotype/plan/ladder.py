"""The ladder of configurations: what a little more time is best spent on, from the least to the most."""

from __future__ import annotations

from dataclasses import replace

from holotype.errors import counted
from holotype.plan.costs import DataFacts, Rung

__all__ = [
    "ENLARGED",
    "LARGEST",
    "MOST_SPECIMENS",
    "STEP",
    "UNEVEN",
    "enough_epochs",
    "list_rungs",
    "probe_sizes",
    "unevenness",
]

UNEVEN = 8.0
"""From this ratio of the commonest class to the rarest on, rare ones are drawn more often."""
MOST_SPECIMENS = 100_000
"""Among so many at most neighbours are looked for without being asked for."""
SMALLEST, LARGEST, STEP = 64, 160, 32
ENLARGED = 1.5  # small images are learnt better from a larger input
ENOUGH_STEPS, FEW_STEPS = 800, 100
FEWEST_EPOCHS, MOST_EPOCHS = 6, 60
FROZEN = (20, 60)
SHARE = 0.3  # of the epochs that are enough: with fewer, a smaller input is better


def list_rungs(facts: DataFacts) -> list[Rung]:
    """Every configuration worth considering, each better and dearer than the one before.

    A frozen backbone; one fold, small and short; larger inputs; two folds and so on to all; a second member.

    Args:
        facts: Of the data, and what the recipe fixes.
    """
    sizes, enough = _sizes(facts), enough_epochs(facts)
    few = max(2, min(-(-FEW_STEPS // facts.steps), enough))
    some, most = max(few, round(SHARE * enough)), 2 * enough
    least_views, most_views = facts.views or "flips", facts.views or "d4"
    first = (0,) if facts.use is None else facts.use
    count, working = len(first), sizes[-1]
    on = "one fold" if count == 1 else counted(count, "fold")
    rungs, begins = [], 2
    if facts.pretrained and facts.reusable:
        begins = few  # with less time a frozen backbone does better
        words = f"{on} at {sizes[0]} px with a frozen backbone"
        rungs.append(Rung(words, sizes[:1], first, count, facts.views or "none", *FROZEN, draws=1))
        rungs.append(Rung(words, sizes[:1], first, count, least_views, *FROZEN, draws=4))
    rungs.append(Rung(f"{on} at {sizes[0]} px, few epochs", sizes[:1], first, count, least_views, begins, most))
    rungs += [Rung(f"{on} at {size} px", (size,), first, count, most_views, some, most) for size in sizes]
    if facts.use is None:
        for several in range(2, facts.folds):
            words, some_folds = f"{several} folds at {working} px", tuple(range(several))
            rungs.append(Rung(words, (working,), some_folds, several, most_views, enough, most))
    every, whole = (None, facts.folds) if facts.use is None else (facts.use, count)
    if facts.use is None:
        words = f"all {facts.folds} folds at {working} px"
        rungs.append(Rung(words, (working,), None, facts.folds, most_views, enough, most))
    second = working if facts.size is not None else working + STEP
    of_size = f"at {working} px" if second == working else f"at {working} and {second} px"
    words = f"two members {of_size} on {counted(whole, 'fold')}"
    rungs.append(Rung(words, (working, second), every, whole, most_views, enough, most))
    return [replace(rung, votes=_votes(rung, enough, facts)) for rung in rungs]


def probe_sizes(facts: DataFacts) -> tuple[int, ...]:
    """The sides at which a probe is worth its time: the smallest of the ladder, and the largest.

    Args:
        facts: Of the data, and what the recipe fixes.
    """
    sizes = _sizes(facts)
    return (sizes[0],) if len(sizes) == 1 else (sizes[0], sizes[-1])


def unevenness(facts: DataFacts) -> float:
    """How many times as many images the commonest class has as the rarest.

    Args:
        facts: Of the data.
    """
    return max(facts.counts) / min(facts.counts) if facts.counts else 1.0


def _votes(rung: Rung, enough: int, facts: DataFacts) -> bool:
    """Whether a rung has time for the nearest specimens: where they are asked for, or a network learns too little."""
    short = rung.draws is not None or rung.least < enough
    return facts.neighbours == "given" or (facts.neighbours == "open" and short)


def _sizes(facts: DataFacts) -> tuple[int, ...]:
    """Sides of the input, from the smallest to the one that suits the images."""
    if facts.size is not None:
        return (facts.size,)
    wanted = int(ENLARGED * facts.longest) // STEP * STEP
    return tuple(range(SMALLEST, min(max(wanted, SMALLEST), LARGEST) + 1, STEP))


def enough_epochs(facts: DataFacts) -> int:
    """Epochs after which more are of little use: by steps, since small sets want more of them.

    Args:
        facts: Of the data.
    """
    epochs = -(-ENOUGH_STEPS // facts.steps)
    return min(max(epochs, FEWEST_EPOCHS), MOST_EPOCHS) * (1 if facts.pretrained else 2)
