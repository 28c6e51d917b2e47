"""Tables of measurements (CellProfiler, pycytominer, embeddings) as the features of a model."""

from holotype.measurements.measurement_table import MeasurementTable, measurements_digest, read_measurements
from holotype.measurements.normalize import CenterAndScale, center_and_scale, normalize_rows
from holotype.measurements.prepare import (
    FittedMeasurements,
    PreparedMeasurements,
    fit_measurements,
    fit_new_plates,
    measure_new_samples,
    prepare_measurements,
    transform_measurements,
)
from holotype.measurements.select_columns import ColumnSelection, select_columns

__all__ = [
    "CenterAndScale",
    "ColumnSelection",
    "FittedMeasurements",
    "MeasurementTable",
    "PreparedMeasurements",
    "center_and_scale",
    "fit_measurements",
    "fit_new_plates",
    "measure_new_samples",
    "measurements_digest",
    "normalize_rows",
    "prepare_measurements",
    "read_measurements",
    "select_columns",
    "transform_measurements",
]
