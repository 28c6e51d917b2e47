"""Near duplicates: pairs whose hashes are close in any orientation or crop, confirmed on their pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.audit.hamming_search import nearby_hashes
from holotype.audit.perceptual_hash import ORIENTATIONS, WINDOWS, perceptual_hashes
from holotype.audit.verify_duplicates import (
    MIN_R2_WITHOUT_PIXELS,
    MIN_THUMBNAIL_R2,
    channels_with_structure,
    confirm_on_content,
    confirm_on_fingerprints,
    confirm_on_pixels,
)
from holotype.data import Fingerprints
from holotype.types import Integers

__all__ = ["NearDuplicatePairs", "best_reading", "candidate_pairs", "find_near_duplicates", "informative_images"]

TRIED_PER_IMAGE = 4  # readings of one pair that are laid over each other
MAX_PARTNERS = 40  # of one image in one reading, so that images which all look alike stay a line and not a square

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class NearDuplicatePairs:
    """Pairs of images and how they were read.

    Args:
        rows: One image of each pair, shape (n,), read through a window and an orientation.
        others: The other, shape (n,).
        bits: By which the hashes differ, shape (n,).
        readings: Window times 8 plus orientation, shape (n,).
        similarity: Of the pixels, shape (n,), at most 1.
    """

    rows: Integers
    others: Integers
    bits: Integers
    readings: Integers
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, rows: Any) -> NearDuplicatePairs:
        """Some of the pairs.

        Args:
            rows: Numbers or a mask.
        """
        return NearDuplicatePairs(*(array[rows] for array in vars(self).values()))


def informative_images(fingerprints: Fingerprints) -> NDArray[np.bool_]:
    """Which images have a channel with anything but noise on it; the others are like each other for want of content.

    Args:
        fingerprints: Of n images.

    Returns:
        Shape (n,).
    """
    return np.asarray(channels_with_structure(fingerprints).any(axis=1))


def find_near_duplicates(
    fingerprints: Fingerprints, bits: int, read: Callable[[int], NDArray[Any]] | None = None, *, content: bool = False
) -> NearDuplicatePairs:
    """Pairs of images that show the same, though re-encoded, resized, brightened, turned, mirrored or a little cropped.

    Args:
        fingerprints: Of n images.
        bits: By which hashes may differ, from 0 to 16.
        read: Gives the pixels of an image by its number; without it fingerprints alone confirm.
        content: Whether the fingerprints are those of small content, which alone is compared.

    Returns:
        The confirmed pairs, the most similar reading of each.
    """
    usable = np.flatnonzero(informative_images(fingerprints))
    usable_fingerprints = Fingerprints(
        fingerprints.pixels[usable], fingerprints.contrast[usable], fingerprints.aspect[usable]
    )
    pairs = candidate_pairs(
        perceptual_hashes(usable_fingerprints), perceptual_hashes(usable_fingerprints, variants=True), bits
    )
    window, orientation = np.divmod(pairs.readings, ORIENTATIONS)
    similarity = confirm_on_fingerprints(usable_fingerprints, pairs.rows, pairs.others, window, orientation)
    pairs = best_reading(NearDuplicatePairs(pairs.rows, pairs.others, pairs.bits, pairs.readings, similarity))
    pairs = pairs.select(pairs.similarity >= (MIN_R2_WITHOUT_PIXELS if read is None else MIN_THUMBNAIL_R2))
    pairs = NearDuplicatePairs(usable[pairs.rows], usable[pairs.others], pairs.bits, pairs.readings, pairs.similarity)
    if read is None or not len(pairs):
        return pairs
    fine_similarity = np.array(
        [
            confirm_on_content(read, int(row), int(other), int(reading) % ORIENTATIONS)
            if content
            else confirm_on_pixels(read, int(row), int(other), *divmod(int(reading), ORIENTATIONS))
            for row, other, reading in zip(pairs.rows, pairs.others, pairs.readings, strict=True)
        ],
        np.float32,
    )
    return NearDuplicatePairs(pairs.rows, pairs.others, pairs.bits, pairs.readings, fine_similarity).select(
        fine_similarity > 0
    )


def candidate_pairs(hashes: Hashes, variants: Hashes, bits: int) -> NearDuplicatePairs:
    """Pairs whose hashes are close in some reading; images of one hash are paired with the first of them.

    Args:
        hashes: Of the images as they stand, shape (n,).
        variants: In all windows and orientations, shape (n, windows, 8).
        bits: By which hashes may differ.

    Returns:
        Up to four readings of each pair, the closest hashes first; their similarity is not known yet.
    """
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    same_hash = np.flatnonzero(first[inverse] != np.arange(len(hashes)))
    candidates = [(first[inverse[same_hash]], same_hash, np.zeros((2, len(same_hash)), np.int64))]
    for reading in range(len(WINDOWS) * ORIENTATIONS):
        queries = variants[first, reading // ORIENTATIONS, reading % ORIENTATIONS]
        for rows, others, distance in nearby_hashes(queries, hashes[first], bits):
            other = rows != others if reading else rows < others
            near = _closest_partners(rows[other], distance[other])
            rows, others = first[rows[other][near]], first[others[other][near]]
            facts = np.stack([distance[other][near].astype(np.int64), np.full(len(rows), reading)])
            candidates.append((rows, others, facts))
    rows, others = (np.concatenate([entry[side] for entry in candidates]) for side in (0, 1))
    distance, reading = np.concatenate([entry[2] for entry in candidates], axis=1)
    pair = np.minimum(rows, others) * len(hashes) + np.maximum(rows, others)
    order = np.lexsort((reading, rows, distance, pair))
    is_repeated = np.r_[
        False,
        (pair[order][1:] == pair[order][:-1])
        & (reading[order][1:] == reading[order][:-1])
        & (rows[order][1:] == rows[order][:-1]),
    ]
    order = order[~is_repeated[: len(order)]]
    _, begin, count = np.unique(pair[order], return_index=True, return_counts=True)
    turn = np.arange(len(order)) - np.repeat(begin, count)
    closest = order[turn < TRIED_PER_IMAGE]
    return NearDuplicatePairs(
        rows[closest], others[closest], distance[closest], reading[closest], np.zeros(len(closest), np.float32)
    )


def _closest_partners(rows: Integers, distance: NDArray[np.uint8]) -> Integers:
    """The nearest few partners of each image."""
    if not len(rows):
        return rows
    order = np.lexsort((distance, rows))
    _, begin, count = np.unique(rows[order], return_index=True, return_counts=True)
    return order[np.arange(len(order)) - np.repeat(begin, count) < MAX_PARTNERS]


def best_reading(pairs: NearDuplicatePairs) -> NearDuplicatePairs:
    """The most similar reading of each pair.

    Args:
        pairs: Each perhaps several times, in either order.
    """
    low, high = np.minimum(pairs.rows, pairs.others), np.maximum(pairs.rows, pairs.others)
    order = np.lexsort((pairs.readings, -pairs.similarity, high, low))
    first = np.ones(len(order), bool)
    first[1:] = (low[order][1:] != low[order][:-1]) | (high[order][1:] != high[order][:-1])
    return pairs.select(order[first])
