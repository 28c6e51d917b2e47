"""How much one caller may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from holotype.core.errors import InputError

__all__ = ["Limits", "limits_from"]


@dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Args:
        megabytes: Of a request, but for `/predict/stream`.
        stream: Megabytes of a request of many images.
        megapixels: Of an image file: width times height, of a TIFF or an array all its values.
        files: In a request, but for `/predict/stream`.
        seconds: That a request may take; of many images, that may pass without any progress.
        queue: Images that may wait, over all requests.
        batch: Images that are answered for at once.
        wait: Milliseconds that a batch waits for images which are on their way.
        decoding: Seconds that decoding one image may take.
        memory: Megabytes that decoding one image may take.
        uploads: Megabytes of all uploads that wait on the disk.
        headers: Seconds in which a request's headers must be complete.
        connections: That may be open at once.
        address: Connections of one address.
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
        """Of a request, but for many images."""
        return round(self.megabytes * 1e6)

    @property
    def stream_bytes(self) -> int:
        """Of a request of many images."""
        return round(self.stream * 1e6)

    @property
    def pixels(self) -> int:
        """Of an image file."""
        return round(self.megapixels * 1e6)


def limits_from(settings: Sequence[str]) -> Limits:
    """Limits as they are written on the command line.

    Args:
        settings: Each as in `megabytes=200`.

    Raises:
        InputError: There is no such limit, or it is no number above zero.
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
            raise InputError(f"{setting!r} should be {kind} above zero", field="--limit", remedy=f"write {name}=10")
        parsed[name] = number
    return replace(Limits(), **parsed)  # type: ignore[arg-type]
