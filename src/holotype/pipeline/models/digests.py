"""Digests of what networks read: the inputs of their cached steps.

No training reads TTA, ensemble or decision settings, so a change of these never trains a network again. Names are
resolved: weights count by the bytes of their file, `precision: auto` by what it means on this device.
"""

from __future__ import annotations

from holotype.core.digest import digest_array, digest_value
from holotype.core.runtime import Runtime
from holotype.prediction import resolve_precision
from holotype.training import FitJob, device_type
from holotype.types import Floats, ImageStatistics, Integers

RowNormalization = tuple[Floats, Floats] | None
"""Mean and deviation of each image row, from `ImageDataset`."""


def digest_inputs(statistics: ImageStatistics, rows: Integers, row_normalization: RowNormalization) -> str:
    """Digest of network inputs: the pixels of some image rows and their own normalization."""
    pixels = digest_pixels(statistics, rows)
    if row_normalization is None:
        return pixels
    return digest_value([pixels, *(digest_array(part[rows]) for part in row_normalization)])


def digest_pixels(statistics: ImageStatistics, rows: Integers | None = None) -> str:
    """Digest of the pixels of some image rows; of all by default."""
    digests = statistics.frame["digest"]
    return digest_array((digests if rows is None else digests.gather(rows)).to_numpy().astype("S"))


def computed_precision(runtime: Runtime) -> str:
    """Precision that networks compute in, with `auto` resolved for this device."""
    kind = device_type(runtime) if runtime.precision == "auto" else ""
    return resolve_precision(runtime.precision, kind)


def job_label(job: FitJob, part: str = "") -> str:
    """Label of a job in the names of steps: model, fold, round of pseudo-labeling, domain and part."""
    round_label = f"round {job.pseudo_round}" if job.pseudo_round else ""
    return " ".join(word for word in [job.model.name, str(job.fold), round_label, job.domain or "", part] if word)
