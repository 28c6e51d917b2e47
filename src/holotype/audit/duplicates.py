"""Duplicate images: exact copies and near duplicates, and the action on each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.audit.cluster_diameter import clusters_within_diameter
from holotype.audit.hamming_search import connected
from holotype.audit.near_duplicates import NearDuplicatePairs, best_reading, find_near_duplicates
from holotype.audit.perceptual_hash import perceptual_hashes
from holotype.data import Fingerprints, has_content, unpack_fingerprints
from holotype.recipe.sections import DuplicatesSpec
from holotype.types import DUPLICATE_PAIRS, ImageTable, Integers

MAX_DIAMETER = 3  # largest distance within a cluster, in multiples of a link's bits


@dataclass(frozen=True)
class Duplicates:
    """Clusters of duplicate images and the pairs that link them.

    Args:
        cluster: Cluster of each image, shape (n,), numbered from 0 by first appearance; -1 for an image without
            duplicates.
        pairs: Linked pairs, with the columns of `holotype.types.DUPLICATE_PAIRS`.
    """

    cluster: Integers
    pairs: pl.DataFrame


def find_duplicates(
    digests: NDArray[np.str_],
    fingerprints: Sequence[bytes | None] | None = None,
    bits: int | None = None,
    read: Callable[[int], NDArray[Any]] | None = None,
) -> Duplicates:
    """Cluster images with equal pixels, and images that look the same.

    Args:
        digests: Digest of each image's pixels, shape (n,); an empty digest matches nothing.
        fingerprints: From `holotype.data.thumbnails`, None for an unreadable image; without them only equal pixels
            count.
        bits: Largest Hamming distance between near duplicates, 0 to 16; None to compare equal pixels only.
        read: Return the pixels (channels, height, width) of an image row, to verify near duplicates.
    """
    digests = np.asarray(digests, dtype=np.str_)
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    copies = np.flatnonzero((first[inverse] != np.arange(len(digests))) & (digests != ""))
    originals = first[inverse[copies]].astype(np.int64)
    tails, heads = originals, copies.astype(np.int64)
    exact = len(tails)
    distance, similarity = np.zeros(exact, np.int64), np.ones(exact, np.float32)
    cluster = connected(len(digests), tails, heads)
    if fingerprints is not None and bits is not None:
        alone = np.setdiff1d(np.flatnonzero(digests != ""), copies)
        alone = alone[[fingerprints[int(row)] is not None for row in alone]]
        near, groups = _find_near(alone, fingerprints, bits, read)
        tails, heads = np.concatenate([tails, near.rows]), np.concatenate([heads, near.others])
        distance, similarity = np.concatenate([distance, near.bits]), np.concatenate([similarity, near.similarity])
        cluster = connected(len(digests), np.concatenate([originals, groups[0]]), np.concatenate([copies, groups[1]]))
    number = renumber_clusters(cluster)
    kinds = np.where(np.arange(len(tails)) < exact, "exact", "near")
    links = pl.DataFrame(
        [number[tails], np.minimum(tails, heads), np.maximum(tails, heads), kinds, distance, similarity],
        schema=DUPLICATE_PAIRS,
    )
    inside = pl.Series(number[tails] == number[heads], dtype=pl.Boolean)
    return Duplicates(number, links.filter(inside).sort("cluster", "row", "other"))


def _find_near(
    alone: Integers, fingerprints: Sequence[bytes | None], bits: int, read: Callable[[int], NDArray[Any]] | None
) -> tuple[NearDuplicatePairs, tuple[Integers, Integers]]:
    packed = [fingerprints[int(row)] for row in alone]
    if not packed:
        return NearDuplicatePairs(alone, alone, alone, alone, alone.astype(np.float32)), (alone, alone)
    unpacked = unpack_fingerprints(packed)  # type: ignore[arg-type]
    if read is None:
        pairs, squares = find_near_duplicates(unpacked, bits), unpacked.pixels
    else:
        pairs, squares = _whole_and_content(packed, unpacked, bits, lambda index: read(int(alone[index])))
    nodes, ends = np.unique(np.stack([pairs.rows, pairs.others]), return_inverse=True)
    tails, heads = ends.reshape(2, -1)
    variants, contents = (
        perceptual_hashes(Fingerprints(pixels[nodes], unpacked.contrast[nodes], unpacked.aspect[nodes]), variants=True)
        if len(nodes)
        else np.empty((0, 1, 8), np.uint64)
        for pixels in (unpacked.pixels, squares)
    )
    cluster = clusters_within_diameter(
        len(nodes), tails, heads, pairs.similarity, variants, MAX_DIAMETER * max(bits, 1), contents
    )
    _, first, inverse = np.unique(cluster, return_index=True, return_inverse=True)
    placed = replace(pairs, rows=alone[pairs.rows], others=alone[pairs.others])
    return placed, (alone[nodes[first[inverse]]], alone[nodes])


def _whole_and_content(
    packed: Sequence[bytes | None], unpacked: Fingerprints, bits: int, read: Callable[[int], NDArray[Any]]
) -> tuple[NearDuplicatePairs, NDArray[np.uint8]]:
    """Pairs alike as whole images or in their small content; and thumbnails of the content, else of the whole image.

    Small objects on an empty background all share one hash as whole images.
    """
    pairs, squares = find_near_duplicates(unpacked, bits, read), unpacked.pixels
    small = np.array(
        [index for index, entry in enumerate(packed) if entry is not None and has_content(entry)], np.int64
    )
    if len(small) < 2:
        return pairs, squares
    contents = unpack_fingerprints([packed[index] for index in small], content=True)  # type: ignore[misc]
    close = find_near_duplicates(contents, bits, lambda index: read(int(small[index])), content=True)
    squares = squares.copy()
    squares[small] = contents.pixels
    close = replace(close, rows=small[close.rows], others=small[close.others])
    both = zip(vars(pairs).values(), vars(close).values(), strict=True)
    return best_reading(NearDuplicatePairs(*map(np.concatenate, both))), squares


def renumber_clusters(cluster: Integers) -> Integers:
    """Number clusters of at least two images from 0 by first appearance; all others become -1.

    `cluster`: cluster of each image, shape (n,), with gaps; a negative one is no cluster.
    """
    labels, first, inverse, counts = np.unique(cluster, return_index=True, return_inverse=True, return_counts=True)
    several = np.flatnonzero((counts > 1) & (labels >= 0))
    number = np.full(len(labels), -1, np.int64)
    number[several[np.argsort(first[several])]] = np.arange(len(several))
    return number[inverse]


def duplicate_actions(clusters: Integers, roles: NDArray[np.str_], rules: DuplicatesSpec) -> NDArray[np.str_]:
    """Choose the action on each duplicate.

    Args:
        clusters: Cluster of each image, shape (n,); -1 for none.
        roles: `train`, `external` or `test` for each image, shape (n,).

    Returns:
        One word an image, shape (n,): `grouped` (shares a fold with the other grouped images), `dropped` (never
        trains), `validated` (never trains and is scored separately), `kept` (no action), `reported` (a test image), or
        an empty string outside clusters.
    """
    actions = np.full(len(clusters), "", dtype="<U9")
    inside = clusters >= 0
    train, external, test = (inside & (roles == role) for role in ("train", "external", "test"))
    train_count, has_test = _count_in_clusters(clusters, train), _count_in_clusters(clusters, test) > 0

    dropped = np.zeros(len(clusters), bool)
    validated = np.zeros(len(clusters), bool)
    if rules.external_test == "drop":
        dropped |= external & has_test
    elif rules.external_test == "validate":
        validated = external & has_test & (train_count == 0)
        dropped |= external & has_test & (train_count > 0)  # a training duplicate would raise their score
    if rules.train_external == "drop":
        dropped |= external & (train_count > 0)
    if rules.within_train == "drop":
        rows = np.flatnonzero(train)
        dropped |= train
        dropped[rows[np.unique(clusters[rows], return_index=True)[1]]] = False

    grouped = np.zeros(len(clusters), bool)
    if rules.within_train == "group":
        grouped |= train & (train_count > 1)
    if rules.train_external == "group":
        external_count = _count_in_clusters(clusters, external & ~dropped)
        grouped |= (train & (external_count > 0)) | (external & (train_count > 0))

    actions[inside] = "kept"
    actions[test] = "reported"
    actions[grouped] = "grouped"
    actions[dropped] = "dropped"
    actions[validated] = "validated"
    return actions


def duplicate_conflicts(images: ImageTable, clusters: Integers) -> pl.DataFrame:
    """Clusters whose labeled images carry different labels.

    `clusters`: cluster of each image, shape (n,); -1 for none. Returns `cluster`, `ids` and `labels` (class names
    joined by commas, one text an id).
    """
    rows = images.frame.select("id", "role", "labels").with_columns(pl.Series("cluster", clusters))
    labeled = rows.filter((pl.col("cluster") >= 0) & (pl.col("role") != "test") & pl.col("labels").is_not_null())
    as_text = pl.col("labels").list.sort().cast(pl.List(pl.String)).list.join(",")
    marked = labeled.with_columns(as_text.alias("set"))
    differing = marked.group_by("cluster").agg(pl.col("set").n_unique()).filter(pl.col("set") > 1)
    conflicts = marked.filter(pl.col("cluster").is_in(differing["cluster"].to_list()))
    names = [", ".join(images.classes[number] for number in sorted(numbers)) for numbers in conflicts["labels"]]
    named = conflicts.select("cluster", ids="id").with_columns(pl.Series("labels", names, dtype=pl.String))
    return named.group_by("cluster", maintain_order=True).agg("ids", "labels").sort("cluster")


def _count_in_clusters(clusters: Integers, mask: NDArray[np.bool_]) -> Integers:
    counts = np.bincount(clusters[mask], minlength=int(clusters.max(initial=-1)) + 2)  # the last, -1, stays 0
    return counts[clusters]
