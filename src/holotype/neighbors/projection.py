"""Embeddings on a plane, to look at."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from holotype.neighbors.cosine import normalize_rows
from holotype.types import Floats

__all__ = ["project"]

COMPONENTS, PERPLEXITY = 50, 30.0
MIN_SPREAD = 1e-9
MIN_TSNE_POINTS = 10  # points from which on neighborhoods say more than directions


def project(embeddings: Floats, seed: int) -> tuple[Floats, str]:
    """Two coordinates for each embedding, such that what is alike lies close; the same on every call.

    Directions alone count, as in the search for neighbors. Few points lie along their two principal components. Of
    more, principal components take away noise and t-SNE (van der Maaten & Hinton 2008) keeps who is whose neighbor;
    it begins from the components, so that its clusters lie where those put them, and runs on one thread.

    Args:
        embeddings: Shape (n, width).
        seed: For what is drawn.

    Returns:
        Shape (n, 2), each axis from -1 to 1 at most, and how they were found in words.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    unit = np.nan_to_num(normalize_rows(np.asarray(embeddings, np.float64)))
    component_count = min(COMPONENTS, *unit.shape)
    if len(unit) < 2 or np.ptp(unit, axis=0).max() < MIN_SPREAD:
        return np.zeros((len(unit), 2), np.float32), "nothing to compare"
    with threadpool_limits(1):
        components = PCA(component_count, svd_solver="full", random_state=0).fit_transform(unit)
        coordinates, method = np.pad(components, ((0, 0), (0, 2)))[:, :2], "principal components"
        if len(unit) > MIN_TSNE_POINTS and components[:, 0].std() > 0:
            perplexity = min(PERPLEXITY, (len(unit) - 1) / 3)
            start = coordinates / max(float(coordinates[:, 0].std()), 1e-30) * 1e-4
            tsne = TSNE(2, perplexity=perplexity, init=start, learning_rate="auto", random_state=seed, n_jobs=1)
            coordinates, method = tsne.fit_transform(components), f"t-SNE of {component_count} principal components"
    coordinates = coordinates - (coordinates.max(axis=0) + coordinates.min(axis=0)) / 2
    return (coordinates / max(float(np.abs(coordinates).max()), 1e-30)).astype(np.float32), method
