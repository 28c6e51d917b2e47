"""Feeding: the order of rows, and batches made from stored pixels."""

from holotype.feed.loader import Specimens, prepared_ahead, read_batch, training_batch, view_batch
from holotype.feed.sampler import batches, shuffled

__all__ = ["Specimens", "batches", "prepared_ahead", "read_batch", "shuffled", "training_batch", "view_batch"]
