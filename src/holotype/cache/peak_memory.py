"""The largest resident memory of this process within a stretch of its work."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["PeakMemory"]

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Measures stretches that may lie within each other or overlap; what child processes hold is not counted.

    On Linux the process's own high-water mark is set back at every beginning and end. Elsewhere it cannot be, and a
    stretch shows the largest memory of the process so far.
    """

    def __init__(self) -> None:
        self._open: dict[int, float] = {}
        self._begun = 0

    def start(self) -> int:
        """Begin a stretch.

        Returns:
            What to end it with.
        """
        self._update()
        self._begun += 1
        self._open[self._begun] = 0.0
        return self._begun

    def current(self, stretch: int) -> float | None:
        """The largest memory of a stretch that has not ended.

        Args:
            stretch: From `begin`.

        Returns:
            Megabytes; none where the system does not say.
        """
        self._update()
        return self._open[stretch] or None

    def end(self, stretch: int) -> None:
        """End a stretch.

        Args:
            stretch: From `begin`.
        """
        self._update()
        del self._open[stretch]

    def _update(self) -> None:
        """What was held since the last look counts for every open stretch."""
        resident = _read_high_water()
        for stretch in self._open:
            self._open[stretch] = max(self._open[stretch], resident)
        with suppress(OSError):  # the mark then stands for the whole process
            RESET.write_text("5", encoding="ascii")


def _read_high_water() -> float:
    try:
        lines = STATUS.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        pass
    try:
        import resource  # not on Windows
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
