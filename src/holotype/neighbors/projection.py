"""Two-dimensional embedding map for display (PCA or t-SNE)."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from holotype.neighbors.cosine import normalize_rows
from holotype.types import Floats

COMPONENTS, PERPLEXITY = 50, 30.0
MIN_SPREAD = 1e-9
MIN_TSNE_POINTS = 10  # below this, neighborhoods mean little


def project(embeddings: Floats, seed: int) -> tuple[Floats, str]:
    """Project embeddings to two dimensions so that similar ones lie close together; deterministic.

    Only directions count, as in the neighbor search. Up to ten points are drawn along their two principal components.
    More are reduced by PCA and laid out by t-SNE (van der Maaten & Hinton 2008), initialized from the components so
    that the clusters lie where those put them, on one thread.

    Returns shape (n, 2), each axis within -1 to 1, and the name of the method.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    unit = np.nan_to_num(normalize_rows(embeddings).astype(np.float32))
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
