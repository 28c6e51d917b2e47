"""Tables, layouts, images, their statistics and the pack."""

from holotype.data.fingerprint import (
    Fingerprints,
    content_square,
    crop_around,
    fingerprint,
    has_content,
    unpack_fingerprints,
)
from holotype.data.images import read_image, read_row
from holotype.data.normalisation import dataset_normalisation, extreme_rows, row_normalisation
from holotype.data.pack import Pack, PackPlan, input_size, open_pack, pack_images, packed_image, plan_pack
from holotype.data.reading import TABLE_ENDINGS, read_table
from holotype.data.resize import held_part, resize_image
from holotype.data.scores import ImportedScores, read_scores
from holotype.data.sources import folder_warnings
from holotype.data.statistics import (
    channel_statistics,
    gather_statistics,
    image_features,
    measure_image,
    measure_images,
    unmeasured,
)
from holotype.data.table import label_shares, read_images, table_warnings
from holotype.data.validity import missing_pixels, usable_pixels

__all__ = [
    "TABLE_ENDINGS",
    "Fingerprints",
    "ImportedScores",
    "Pack",
    "PackPlan",
    "channel_statistics",
    "content_square",
    "crop_around",
    "dataset_normalisation",
    "extreme_rows",
    "fingerprint",
    "folder_warnings",
    "gather_statistics",
    "has_content",
    "held_part",
    "image_features",
    "input_size",
    "label_shares",
    "measure_image",
    "measure_images",
    "missing_pixels",
    "open_pack",
    "pack_images",
    "packed_image",
    "plan_pack",
    "read_image",
    "read_images",
    "read_row",
    "read_scores",
    "read_table",
    "resize_image",
    "row_normalisation",
    "table_warnings",
    "unmeasured",
    "unpack_fingerprints",
    "usable_pixels",
]
