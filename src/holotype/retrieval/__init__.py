"""Retrieval: the most similar specimens of a training set, and what their labels say."""

from holotype.retrieval.cosine import Neighbours
from holotype.retrieval.files import Collection, load_index, save_index
from holotype.retrieval.index import ExactIndex, FaissIndex, make_index
from holotype.retrieval.leaks import refuse_scored_fold
from holotype.retrieval.nearest import nearest
from holotype.retrieval.pooled import pooled_neighbours
from holotype.retrieval.projection import project
from holotype.retrieval.votes import fit_temperature, neighbour_logits, take_over

__all__ = [
    "Collection",
    "ExactIndex",
    "FaissIndex",
    "Neighbours",
    "fit_temperature",
    "load_index",
    "make_index",
    "nearest",
    "neighbour_logits",
    "pooled_neighbours",
    "project",
    "refuse_scored_fold",
    "save_index",
    "take_over",
]
