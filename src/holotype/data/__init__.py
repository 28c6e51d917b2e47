"""Tables, layouts, images, their statistics and the pack."""

from holotype.data.fingerprint import Fingerprints, fingerprint, unpack_fingerprints
from holotype.data.images import read_image
from holotype.data.normalisation import dataset_normalisation, row_normalisation
from holotype.data.pack import Pack, PackPlan, input_size, open_pack, pack_images, plan_pack
from holotype.data.reading import read_table
from holotype.data.resize import resize_image
from holotype.data.statistics import channel_statistics, image_features, measure_images
from holotype.data.table import read_images, table_warnings

__all__ = [
    "Fingerprints",
    "Pack",
    "PackPlan",
    "channel_statistics",
    "dataset_normalisation",
    "fingerprint",
    "image_features",
    "input_size",
    "measure_images",
    "open_pack",
    "pack_images",
    "plan_pack",
    "read_image",
    "read_images",
    "read_table",
    "resize_image",
    "row_normalisation",
    "table_warnings",
    "unpack_fingerprints",
]
