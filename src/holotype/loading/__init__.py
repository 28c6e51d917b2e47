"""Data loading: order of rows, and batches from cached pixels."""

from typing import TYPE_CHECKING

from holotype.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from holotype.loading.dataset import ImageDataset, Tiles, compute_row_normalization, make_dataset
    from holotype.loading.loader import augmented_batch, prefetch, read_batch, to_device, training_batch, view_batch
    from holotype.loading.memory import batches_within_memory, describe_out_of_memory, is_out_of_memory, release_memory
    from holotype.loading.sampler import add_pseudo_labeled, batches, sample_epoch, shuffle
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "dataset": ("ImageDataset", "Tiles", "compute_row_normalization", "make_dataset"),
            "loader": ("augmented_batch", "prefetch", "read_batch", "to_device", "training_batch", "view_batch"),
            "memory": ("batches_within_memory", "describe_out_of_memory", "is_out_of_memory", "release_memory"),
            "sampler": ("add_pseudo_labeled", "batches", "sample_epoch", "shuffle"),
        },
    )

__all__ = [
    "ImageDataset",
    "Tiles",
    "add_pseudo_labeled",
    "augmented_batch",
    "batches",
    "batches_within_memory",
    "compute_row_normalization",
    "describe_out_of_memory",
    "is_out_of_memory",
    "make_dataset",
    "prefetch",
    "read_batch",
    "release_memory",
    "sample_epoch",
    "shuffle",
    "to_device",
    "training_batch",
    "view_batch",
]
