"""Library versions as inputs of steps."""

from __future__ import annotations

from holotype.core.digest import digest_value
from holotype.core.runtime import version_of


def library_versions(*packages: str, numbers: int = 2) -> str:
    """Digest of package versions; packages that are not installed do not count.

    Versions count where they can change a result. Decoders count in full, because any release may change a pixel, and
    measuring again trains nothing if the pixels are the same. PyTorch and timm count by major and minor number, because
    patch releases only fix bugs and training is expensive. NumPy, SciPy and Polars do not count: the functions used
    here compute the same in every release.

    Args:
        numbers: How many numbers of each version count.
    """
    versions = {name: version_of(name) for name in packages}
    return digest_value({name: ".".join(full.split(".")[:numbers]) for name, full in versions.items() if full})
