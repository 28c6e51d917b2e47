"""Simulation plan: the images of a simulated screen, their labels and their flaws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.errors import DataError
from holotype.core.seeds import keyed_generator
from holotype.simulate.cell_geometry import SHAPES

SEPARATOR = " "
CLASS_COUNTS = {
    "nucleoplasm": 13, "cytosol": 11, "mitochondria": 8, "nucleoli": 5,
    "plasma-membrane": 5, "microtubules": 4, "golgi": 3, "vesicles": 1,
}  # fmt: skip  # of 50 images; a long tail, as in the Human Protein Atlas
EXTRA_LABELS = (0.62, 0.28, 0.10)  # probabilities of one, two and three labels
WELLS = tuple(f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25))
CLASSES = tuple(CLASS_COUNTS)
MAX_IMAGES = 2**62


@dataclass(frozen=True)
class SimulationPlan:
    """Screen size and flaws of a simulation.

    Args:
        train: Labeled images, at least 1.
        test: Images to predict.
        size: Side of an image in pixels, 32 to 1024.
        depth: Bits per pixel, 8 or 16.
        plates: Number of plates, at least 2; a fifth of them holds only the test images.
        cell_types: Cell lines, names of `SHAPES`.
        duplicates: Share of the training images that copy an earlier one, 0 to 0.5.
        test_duplicates: Share of the test images that copy a training image, 0 to 0.5.
        wrong_labels: Share of the training images with one label swapped for another, 0 to 0.5.
        multilabel: One to three labels per image, or exactly one.

    Raises:
        DataError: A field is out of its range.
    """

    train: int = 600
    test: int = 150
    size: int = 64
    depth: int = 8
    plates: int = 12
    cell_types: tuple[str, ...] = ("A-431", "HEK 293", "U-2 OS")
    duplicates: float = 0.03
    test_duplicates: float = 0.0
    wrong_labels: float = 0.03
    multilabel: bool = True

    def __post_init__(self) -> None:
        require_within("train", self.train, 1, 10**6)
        require_within("test", self.test, 0, 10**6)
        require_within("size", self.size, 32, 1024)
        require_within("plates", self.plates, 2, 10**4)
        for name in ("duplicates", "test_duplicates", "wrong_labels"):
            require_within(name, getattr(self, name), 0.0, 0.5)
        if self.depth not in (8, 16):
            raise DataError("unsupported bit depth", field="depth", value=self.depth, allowed=(8, 16))
        if not self.cell_types:
            raise DataError("at least one cell type is needed", field="cell_types", allowed=SHAPES)
        for cell_type in self.cell_types:
            if cell_type not in SHAPES:
                raise DataError(f"unknown cell type {cell_type!r}", field="cell_types", value=cell_type, allowed=SHAPES)


def plan_images(plan: SimulationPlan, seed: int) -> pl.DataFrame:
    """Plan the images and their labels before anything is drawn.

    Returns one row per image, training images first: `id`, `role`, `index` (within the role), `labels` (the truth),
    `written` (labels in `train.csv`, null for test images), `plate`, `well`, `cell_type`, `duplicate_of` (an id, or
    null), `wrong_label`.
    """
    train_plates, test_plates = _split_plates(plan, seed)
    rows: list[dict[str, Any]] = []
    for role, count, copies, plates in (
        ("train", plan.train, plan.duplicates, train_plates),
        ("test", plan.test, plan.test_duplicates, test_plates),
    ):
        primary = balanced_draw(
            seed, f"{role} labels", count, np.repeat(np.arange(len(CLASS_COUNTS)), list(CLASS_COUNTS.values()))
        )
        plate_of = balanced_draw(seed, f"{role} plates", count, np.arange(len(plates)))
        cell_types = balanced_draw(seed, f"{role} cell types", count, np.arange(len(plan.cell_types)))
        is_copy = np.append(False, _mark_one_in_every(seed, f"{role} copies", count, copies))  # none before the first
        is_wrong = _mark_one_in_every(seed, "wrong labels", count, plan.wrong_labels if role == "train" else 0.0)
        originals = [row for row in rows if row["duplicate_of"] is None]
        for index in range(count):
            random = keyed_generator(seed, "labels", role, index)
            labels = [int(primary[index])]
            if plan.multilabel:
                labels = draw_labels(labels[0], list(CLASS_COUNTS.values()), EXTRA_LABELS, random)
            plate = plates[plate_of[index]]
            wells = keyed_generator(seed, "wells", plate).permutation(len(WELLS))
            row = {
                "id": f"{role}-{index:05d}",
                "role": role,
                "index": index,
                "labels": labels,
                "plate": plate,
                "well": WELLS[wells[index // len(plates) % len(WELLS)]],
                "cell_type": plan.cell_types[cell_types[index]],
                "duplicate_of": None,
            }
            if is_copy[index]:
                row |= _copy_row(originals[random.integers(len(originals))], role)
            elif role == "train":
                originals.append(row)
            written = _swap_label(row["labels"], random) if is_wrong[index] else row["labels"]
            row |= {"written": written if role == "train" else None, "wrong_label": bool(is_wrong[index])}
            rows.append(row)
    columns = ["id", "role", "index", "labels", "written", "plate", "well", "cell_type", "duplicate_of", "wrong_label"]
    frame = pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"duplicate_of": pl.String})
    in_words = [pl.col(name).map_elements(_join_labels, return_dtype=pl.String) for name in ("labels", "written")]
    return frame.with_columns(in_words).select(columns)


def _split_plates(plan: SimulationPlan, seed: int) -> tuple[list[str], list[str]]:
    order = keyed_generator(seed, "plates").permutation(plan.plates)
    names = [f"P{number + 1:02d}" for number in order.tolist()]
    test_count = max(1, plan.plates // 5)
    return sorted(names[test_count:]), sorted(names[:test_count])


def draw_labels(
    primary: int, weights: Sequence[float], extra_labels: Sequence[float], random: np.random.Generator
) -> list[int]:
    """Draw one to three labels without replacement, one of them given; sorted.

    `extra_labels`: probabilities of zero, one and two labels in addition to `primary`.
    """
    others = np.array(weights, dtype=float)
    others[primary] = 0.0
    extra_count = int(random.choice(len(extra_labels), p=extra_labels))
    extra = random.choice(len(others), extra_count, replace=False, p=others / others.sum())
    return sorted([primary, *extra.tolist()])


def _copy_row(source: dict[str, Any], role: str) -> dict[str, Any]:
    """Fields that a copy shares with its original.

    A training copy lies on the same plate, because copies between plates would join all plates into one group. A
    leak into the test set cannot, because the test plates hold no training images.
    """
    same = ("labels", "cell_type", "plate", "well") if role == "train" else ("labels", "cell_type")
    return {name: source[name] for name in same} | {"duplicate_of": source["id"]}


def _swap_label(labels: list[int], random: np.random.Generator) -> list[int]:
    absent = [label for label in range(len(CLASS_COUNTS)) if label not in labels]
    dropped = random.integers(len(labels))
    return sorted([*labels[:dropped], *labels[dropped + 1 :], absent[random.integers(len(absent))]])


def _join_labels(numbers: pl.Series) -> str:
    return SEPARATOR.join(CLASSES[number] for number in numbers)


def balanced_draw(seed: int, purpose: str, count: int, deck: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw values from one shuffled deck after another: shares are exact, and a larger count keeps the earlier ones."""
    decks = [keyed_generator(seed, purpose, number).permutation(deck) for number in range(-(-count // len(deck)))]
    return np.concatenate([np.empty(0, np.int64), *decks])[:count]


def _mark_one_in_every(seed: int, purpose: str, count: int, rate: float) -> NDArray[np.bool_]:
    """Mark one image in each stretch of 1 / rate images, at a random position in the stretch."""
    marked = np.zeros(count, dtype=bool)
    for stretch in range(int(np.ceil(count * rate))):
        low, high = (int(min(end / rate, MAX_IMAGES)) for end in (stretch, stretch + 1))
        position = keyed_generator(seed, purpose, stretch).integers(low, high)
        if position < count:
            marked[position] = True
    return marked


def require_within(name: str, value: float, low: float, high: float) -> None:
    """Require a field of a plan to be within its range. Raises DataError if the value is out of range."""
    if not low <= value <= high:
        raise DataError(f"{value} is out of range", field=name, allowed=(f"{low} to {high}",))
