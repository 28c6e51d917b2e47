"""Feeding: the order of rows, and batches made from stored pixels."""

from holotype.feed.loader import drawn_batch, prepared_ahead, read_batch, training_batch, view_batch
from holotype.feed.sampler import batches, sampled, shuffled, with_joining
from holotype.feed.specimens import Specimens, Tiles, make_specimens

__all__ = [
    "Specimens",
    "Tiles",
    "batches",
    "drawn_batch",
    "make_specimens",
    "prepared_ahead",
    "read_batch",
    "sampled",
    "shuffled",
    "training_batch",
    "view_batch",
    "with_joining",
]
