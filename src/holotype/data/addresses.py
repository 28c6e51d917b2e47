"""Addresses of files: paths of this machine, or anything that fsspec opens (`s3://`, `https://`, `zip://`)."""

from __future__ import annotations

import io
import re
from pathlib import Path

from holotype.errors import DataError

__all__ = ["Address", "ending", "is_remote", "name_of", "opened", "without_row"]

Address = Path | str
ROW = re.compile(r"(?P<file>.*\.(npy|npz))#(?P<row>[0-9]+)", re.IGNORECASE)


def is_remote(address: Address) -> bool:
    """Whether a file is opened by fsspec.

    Args:
        address: A path or an address.
    """
    return isinstance(address, str) and "://" in address


def without_row(address: Address) -> tuple[Address, int | None]:
    """The file of an entry such as `images.npy#12`, and its row where it has one.

    Args:
        address: A path or an address.
    """
    found = ROW.fullmatch(str(address))
    return (address, None) if found is None else (found["file"], int(found["row"]))


def name_of(address: Address) -> str:
    """The last part of an address.

    Args:
        address: A path or an address.
    """
    return str(address).rstrip("/").rsplit("/", 1)[-1]


def ending(address: Address) -> str:
    """The ending of a file's name in small letters, with its point; empty where it has none.

    Args:
        address: A path or an address, perhaps with a row.
    """
    return Path(name_of(without_row(address)[0])).suffix.lower()


def opened(address: Address) -> Path | io.BytesIO:
    """A local file as its path, another one as its bytes.

    Args:
        address: A path or an address.

    Raises:
        FileNotFoundError: It is not there.
        DataError: What it would take to open it is not installed, or whoever holds it refuses.
    """
    if not is_remote(address):
        return Path(address)
    import fsspec  # slow, and needed for addresses only

    try:
        with fsspec.open(str(address), "rb") as stream:
            return io.BytesIO(stream.read())
    except FileNotFoundError:
        raise
    except ImportError as error:
        raise DataError(f"{address} cannot be opened: {error}", remedy="install what it names") from error
    except Exception as error:  # every protocol has errors of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{address} cannot be opened: {reason}") from error
