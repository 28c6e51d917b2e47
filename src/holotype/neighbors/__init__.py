"""Nearest-neighbor retrieval: the most similar training images, and predictions from their labels.

Conventions: embeddings have shape (rows, width); `queries` are compared with the `keys` of an index.
"""

from typing import TYPE_CHECKING

from holotype.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from holotype.neighbors.cosine import Neighbors
    from holotype.neighbors.index import ExactIndex, FaissIndex, make_index
    from holotype.neighbors.index_files import IndexedImages, load_index, save_index
    from holotype.neighbors.leak_check import require_no_scored_fold
    from holotype.neighbors.merge import merge_neighbors
    from holotype.neighbors.nearest import nearest
    from holotype.neighbors.projection import project
    from holotype.neighbors.votes import fit_temperature, neighbor_logits, override_scores
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "cosine": ("Neighbors",),
            "index": ("ExactIndex", "FaissIndex", "make_index"),
            "index_files": ("IndexedImages", "load_index", "save_index"),
            "leak_check": ("require_no_scored_fold",),
            "merge": ("merge_neighbors",),
            "nearest": ("nearest",),
            "projection": ("project",),
            "votes": ("fit_temperature", "neighbor_logits", "override_scores"),
        },
    )

__all__ = [
    "ExactIndex",
    "FaissIndex",
    "IndexedImages",
    "Neighbors",
    "fit_temperature",
    "load_index",
    "make_index",
    "merge_neighbors",
    "nearest",
    "neighbor_logits",
    "override_scores",
    "project",
    "require_no_scored_fold",
    "save_index",
]
