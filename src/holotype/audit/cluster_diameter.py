"""Duplicate clusters of limited diameter: chains of links are cut where they are weakest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holotype.audit.hamming_search import connected
from holotype.types import Integers


def clusters_within_diameter(
    count: int,
    tails: Integers,
    heads: Integers,
    similarity: NDArray[np.float32],
    variants: NDArray[np.uint64],
    max_distance: int,
    contents: NDArray[np.uint64] | None = None,
) -> Integers:
    """Cluster linked images so that no two hashes of a cluster are further apart than `max_distance`.

    Links are taken from the most to the least similar. A link is skipped if it would put two images into one cluster
    whose hashes differ in more than `max_distance` bits in every orientation and window (complete linkage within the
    components of single linkage). A chain of small changes therefore cannot merge images that look different. `tails`:
    first image of each link, shape (links,); `heads`: second image of each link, shape (links,); `similarity`:
    similarity of each link, shape (links,); `variants`: hashes of each image in all windows and orientations, shape
    (images, windows, 8); `contents`: hashes of each image's content; the smaller of the two distances counts. Returns
    cluster label of each image, shape (images,); labels have gaps.
    """
    component = connected(count, tails, heads)
    cluster = component.copy()
    size = np.bincount(component, minlength=count)
    large = size[component[tails]] > 2
    order = np.flatnonzero(large)[np.argsort(-similarity[large], kind="stable")]
    cluster_rows: dict[int, list[int]] = {}
    for name in np.unique(component[tails[order]]) if len(order) else ():
        for row in np.flatnonzero(component == name):
            cluster[row] = count + row  # start from single images, which links merge
            cluster_rows[count + int(row)] = [int(row)]
    for link in order:
        first, second = int(cluster[tails[link]]), int(cluster[heads[link]])
        if (
            first != second
            and _max_distance_between(variants, contents, cluster_rows[first], cluster_rows[second]) <= max_distance
        ):
            cluster_rows[first] += cluster_rows.pop(second)
            cluster[cluster_rows[first]] = first
    return cluster


def _max_distance_between(
    variants: NDArray[np.uint64], contents: NDArray[np.uint64] | None, these: list[int], those: list[int]
) -> int:
    distance = _distances(variants, these, those)
    return int((distance if contents is None else np.minimum(distance, _distances(contents, these, those))).max())


def _distances(variants: NDArray[np.uint64], these: list[int], those: list[int]) -> NDArray[np.uint8]:
    unturned = variants[:, 0, 0]
    forward = np.bitwise_count(variants[these].reshape(len(these), 1, -1) ^ unturned[those][None, :, None]).min(axis=2)
    backward = np.bitwise_count(variants[those].reshape(len(those), 1, -1) ^ unturned[these][None, :, None]).min(axis=2)
    return np.asarray(np.minimum(forward, backward.T))
