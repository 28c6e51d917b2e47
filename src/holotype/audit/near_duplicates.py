"""Near duplicates: pairs whose hashes are close in any orientation or crop, verified on their pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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

TRIED_PER_IMAGE = 4  # transformations of one pair that are verified
MAX_PARTNERS = 40  # of one image in one transformation, so that cost stays linear if all images look alike

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class NearDuplicatePairs:
    """Candidate or verified pairs of images, and the transformation that matches them.

    Args:
        rows: First image of each pair, shape (n,), transformed by a window and an orientation.
        others: Second image, shape (n,), untransformed.
        bits: Hamming distance between the hashes, shape (n,).
        readings: Window index times 8 plus orientation, shape (n,).
        similarity: Share of the pixels' variance explained, shape (n,), at most 1.
    """

    rows: Integers
    others: Integers
    bits: Integers
    readings: Integers
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, rows: Any) -> NearDuplicatePairs:
        """Select pairs by index or mask."""
        return NearDuplicatePairs(*(array[rows] for array in vars(self).values()))


def find_near_duplicates(
    fingerprints: Fingerprints, bits: int, read: Callable[[int], NDArray[Any]] | None = None, *, content: bool = False
) -> NearDuplicatePairs:
    """Find pairs of images that look the same although re-encoded, resized, brightened, turned, mirrored or cropped.

    `bits`: largest Hamming distance between hashes, 0 to 16; `read`: return the pixels of an image row; without it the
    pairs are verified on fingerprints alone; `content`: whether the fingerprints show small content, which alone is
    then compared.
    """
    usable = np.flatnonzero(channels_with_structure(fingerprints).any(axis=1))  # images of noise are all alike
    usable_fingerprints = Fingerprints(
        fingerprints.pixels[usable], fingerprints.contrast[usable], fingerprints.aspect[usable]
    )
    pairs = candidate_pairs(
        perceptual_hashes(usable_fingerprints), perceptual_hashes(usable_fingerprints, variants=True), bits
    )
    window, orientation = np.divmod(pairs.readings, ORIENTATIONS)
    similarity = confirm_on_fingerprints(usable_fingerprints, pairs.rows, pairs.others, window, orientation)
    pairs = best_reading(replace(pairs, similarity=similarity))
    pairs = pairs.select(pairs.similarity >= (MIN_R2_WITHOUT_PIXELS if read is None else MIN_THUMBNAIL_R2))
    pairs = replace(pairs, rows=usable[pairs.rows], others=usable[pairs.others])
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
    return replace(pairs, similarity=fine_similarity).select(fine_similarity > 0)


def candidate_pairs(hashes: Hashes, variants: Hashes, bits: int) -> NearDuplicatePairs:
    """Pairs whose hashes are close in some transformation; images of equal hash are paired with the first of them.

    `hashes`: hashes of the untransformed images, shape (n,); `variants`: hashes in all windows and orientations, shape
    (n, windows, 8).
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
    if not len(rows):
        return rows
    order = np.lexsort((distance, rows))
    _, begin, count = np.unique(rows[order], return_index=True, return_counts=True)
    return order[np.arange(len(order)) - np.repeat(begin, count) < MAX_PARTNERS]


def best_reading(pairs: NearDuplicatePairs) -> NearDuplicatePairs:
    """Most similar transformation of each pair."""
    low, high = np.minimum(pairs.rows, pairs.others), np.maximum(pairs.rows, pairs.others)
    order = np.lexsort((pairs.readings, -pairs.similarity, high, low))
    first = np.ones(len(order), bool)
    first[1:] = (low[order][1:] != low[order][:-1]) | (high[order][1:] != high[order][:-1])
    return pairs.select(order[first])
