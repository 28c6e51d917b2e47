"""Feeding: the order of rows, and batches made from stored pixels."""

from holotype.feed.loader import drawn_batch, prepared_ahead, read_batch, to_device, training_batch, view_batch
from holotype.feed.memory import fitting_batches, is_out_of_memory, release_memory, shortage_of
from holotype.feed.sampler import batches, sampled, shuffled, with_joining
from holotype.feed.specimens import Specimens, Tiles, make_specimens, row_moments

__all__ = [
    "Specimens",
    "Tiles",
    "batches",
    "drawn_batch",
    "fitting_batches",
    "is_out_of_memory",
    "make_specimens",
    "prepared_ahead",
    "read_batch",
    "release_memory",
    "row_moments",
    "sampled",
    "shortage_of",
    "shuffled",
    "to_device",
    "training_batch",
    "view_batch",
    "with_joining",
]
