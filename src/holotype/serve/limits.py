"""Request limits of the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from holotype.core.errors import InputError


@dataclass(frozen=True)
class Limits:
    """Request limits.

    Args:
        megabytes: Size of a request, except `/predict/stream`.
        stream: Size of a request to `/predict/stream`, in megabytes.
        megapixels: Size of an image file: width times height; all values for a TIFF or an array.
        files: Files per request, except `/predict/stream`.
        seconds: Time of a request; for a stream, time without progress.
        wait: Milliseconds that a batch waits for announced images.
        decoding: Seconds to decode one image.
        memory: Megabytes of memory to decode one image.
        uploads: Megabytes of all uploads waiting on the disk.
        headers: Seconds until the headers of a request must be complete.
        connections: Open connections.
    """

    megabytes: float = 64.0
    stream: float = 20_000.0
    megapixels: float = 25.0
    files: int = 128
    seconds: float = 60.0
    queue: int = 256
    batch: int = 64
    wait: float = 5.0
    decoding: float = 15.0
    memory: float = 3_000.0
    uploads: float = 4_000.0
    headers: float = 10.0
    connections: int = 512
    address: int = 128

    @property
    def bytes(self) -> int:
        """Size of a request in bytes, except `/predict/stream`."""
        return round(self.megabytes * 1e6)

    @property
    def stream_bytes(self) -> int:
        """Size of a request to `/predict/stream` in bytes."""
        return round(self.stream * 1e6)

    @property
    def pixels(self) -> int:
        """Pixels per image file."""
        return round(self.megapixels * 1e6)


def limits_from(settings: Sequence[str]) -> Limits:
    """Parse limits of the command line.

    `settings`: for example `megabytes=200`. Raises InputError if a limit is unknown or not a positive number.
    """
    is_integer = {field.name: isinstance(field.default, int) for field in fields(Limits)}
    parsed: dict[str, float] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in is_integer:
            raise InputError("there is no such limit", field="--limit", value=name, allowed=is_integer)
        try:
            number = int(value) if is_integer[name] else float(value)
        except ValueError:
            number = 0
        if not 0 < number < float("inf"):
            kind = "a whole number" if is_integer[name] else "a number"
            raise InputError(f"{setting!r} must be {kind} above zero", field="--limit", remedy=f"write {name}=10")
        parsed[name] = number
    return replace(Limits(), **parsed)  # type: ignore[arg-type]
