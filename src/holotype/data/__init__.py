"""Tables, labels, images, image statistics and the pixel cache."""

from holotype.data.image_statistics import (
    channel_statistics,
    empty_statistics,
    gather_statistics,
    image_features,
    measure_image,
    measure_images,
)
from holotype.data.image_table import class_frequencies, read_images, table_warnings
from holotype.data.images import read_image, read_row
from holotype.data.imported_scores import ImportedScores, read_scores
from holotype.data.normalization import dataset_normalization, extreme_rows, row_normalization
from holotype.data.pixel_cache import (
    CacheFormat,
    PixelCache,
    build_pixel_cache,
    input_size,
    open_pixel_cache,
    plan_pixel_cache,
    to_cache_format,
)
from holotype.data.resize import resize_image, unpadded_region
from holotype.data.table_sources import folder_warnings
from holotype.data.tables import TABLE_SUFFIXES, NotedTable, read_noted_table, read_table, text_table
from holotype.data.thumbnails import (
    Fingerprints,
    content_square,
    crop_around,
    fingerprint,
    has_content,
    unpack_fingerprints,
)
from holotype.data.validity import missing_pixels, usable_pixels

__all__ = [
    "TABLE_SUFFIXES",
    "CacheFormat",
    "Fingerprints",
    "ImportedScores",
    "NotedTable",
    "PixelCache",
    "build_pixel_cache",
    "channel_statistics",
    "class_frequencies",
    "content_square",
    "crop_around",
    "dataset_normalization",
    "empty_statistics",
    "extreme_rows",
    "fingerprint",
    "folder_warnings",
    "gather_statistics",
    "has_content",
    "image_features",
    "input_size",
    "measure_image",
    "measure_images",
    "missing_pixels",
    "open_pixel_cache",
    "plan_pixel_cache",
    "read_image",
    "read_images",
    "read_noted_table",
    "read_row",
    "read_scores",
    "read_table",
    "resize_image",
    "row_normalization",
    "table_warnings",
    "text_table",
    "to_cache_format",
    "unpack_fingerprints",
    "unpadded_region",
    "usable_pixels",
]
