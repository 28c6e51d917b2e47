"""Tables, layouts, images, their statistics and the pack."""

from holotype.data.images import read_image
from holotype.data.pack import Pack, PackPlan, input_size, open_pack, pack_images, plan_pack, resize_image
from holotype.data.reading import read_table
from holotype.data.statistics import channel_statistics, dataset_normalisation, measure_images
from holotype.data.table import read_images, table_warnings

__all__ = [
    "Pack",
    "PackPlan",
    "channel_statistics",
    "dataset_normalisation",
    "input_size",
    "measure_images",
    "open_pack",
    "pack_images",
    "plan_pack",
    "read_image",
    "read_images",
    "read_table",
    "resize_image",
    "table_warnings",
]
