"""File addresses: local paths, or anything that fsspec opens (`s3://`, `https://`, `zip://`)."""

from __future__ import annotations

import io
import os
import re
import stat
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from holotype.core.errors import DataError

Address = Path | str
MAX_REMOTE_BYTES = 4 << 30  # remote files are read completely
FILE_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
LOCAL_URI = re.compile(r"(?:file|local)://(?P<path>/.*)", re.IGNORECASE)
ROW_INDEX = re.compile(r"(?P<file>.*\.(npy|npz))#(?P<row>[0-9]+)", re.IGNORECASE)


def is_remote(address: Address) -> bool:
    """Test if an address needs fsspec."""
    return isinstance(address, str) and "://" in address


def strip_row_index(address: Address) -> tuple[Address, int | None]:
    """Split an entry such as `images.npy#12` into its file and its row, None if it has no row."""
    match = ROW_INDEX.fullmatch(str(address))
    return (address, None) if match is None else (match["file"], int(match["row"]))


def basename(address: Address) -> str:
    """Last part of an address."""
    return str(address).rstrip("/").rsplit("/", 1)[-1]


def normalize_name(text: str) -> str:
    """Normalize a name's case and Unicode form (NFC), which systems may change."""
    return unicodedata.normalize("NFC", text).casefold()


def missing_file_message(address: Address) -> str:
    """Message for a missing file, with an existing path that differs only in case, accents or slashes."""
    message = f"{address} does not exist"
    if is_remote(address):
        return message
    path = Path(str(address).replace("\\", "/"))
    while not path.exists() and path != path.parent:
        folder = path.parent
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        rest = path.relative_to(folder).parts
        try:
            matches = _names_by_normalized(folder, folder.stat().st_mtime_ns).get(normalize_name(rest[0]), [])
        except OSError:
            return message
        if len(matches) != 1 or matches[0] == rest[0]:
            return message
        path = folder.joinpath(matches[0], *rest[1:])
    if path == Path(address):
        return message
    return f"{message}; {str(path)!r} does; it differs in case, slashes or the encoding of accents"


@lru_cache(maxsize=16)
def _names_by_normalized(folder: Path, changed: int) -> dict[str, list[str]]:
    """Names in a folder by `normalize_name`, cached while the folder does not change."""
    names: dict[str, list[str]] = {}
    for path in folder.iterdir():
        names.setdefault(normalize_name(path.name), []).append(path.name)
    return names


def suffix(address: Address) -> str:
    """Suffix of a file's name in lower case, with its point; empty if it has none. A row index is ignored."""
    stem, point, last = basename(strip_row_index(address)[0]).rpartition(".")
    return f".{last.lower()}" if stem and point and last else ""


def require_regular(address: Address, mode: int | None = None) -> None:
    """Raise for anything but a regular file before it is opened: reading a pipe or a device may never end.

    `address`: a local path; its mode is looked up if none is given; `mode`: `st_mode` of a file that is already open.
    """
    if mode is None:
        try:
            mode = Path(address).stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(str(address)) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{address} cannot be opened: {_describe_error(error)}") from error
    if not stat.S_ISREG(mode):
        what = FILE_KINDS.get(stat.S_IFMT(mode), "something else")
        raise DataError(f"{address} is {what} and not a file", remedy="name a regular file")


def strip_file_scheme(address: Address) -> Address:
    """Convert `file:///...` to a local path; other addresses stay as they are."""
    local = LOCAL_URI.fullmatch(address) if isinstance(address, str) and "://" in address else None
    return address if local is None else unquote(local["path"])


def open_file(address: Address) -> BinaryIO:
    """Open a regular file or a remote one for reading.

    The kind of file is checked before and after opening, and opening never blocks, so that a file swapped in between
    cannot stall the program. Returns a seekable binary stream; a remote file has been read into memory.
    """
    local = strip_file_scheme(address)
    if is_remote(local):
        return _read_remote(str(local))
    path = Path(local)
    require_regular(path)
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{address} cannot be opened: {_describe_error(error)}") from error
    try:
        require_regular(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_uri(address: Address) -> Path | io.BytesIO:
    """Path of a local file, or content of a remote one."""
    if is_remote(address):
        return _read_remote(str(address))
    path = Path(address)
    if path.exists() and not path.is_dir():
        require_regular(path)
    return path


def _read_remote(address: str) -> io.BytesIO:
    import fsspec  # slow import, needed for remote files only

    for part in address.split("::"):  # the last part of a chain such as zip://a.png::/data/images.zip may be local
        local = strip_file_scheme(part)
        if not is_remote(local) and Path(local).exists():
            require_regular(local)
    try:
        with fsspec.open(address, "rb") as stream:
            content = stream.read(MAX_REMOTE_BYTES + 1)
    except FileNotFoundError:
        raise
    except ImportError as error:
        raise DataError(f"{address} cannot be opened: {error}", remedy="install what it names") from error
    except Exception as error:  # every protocol has its own errors
        raise DataError(f"{address} cannot be opened: {_describe_error(error)}") from error
    if len(content) > MAX_REMOTE_BYTES:
        raise DataError(
            f"{address} is larger than {MAX_REMOTE_BYTES >> 30} GB", remedy="fetch it, and name the local file"
        )
    return io.BytesIO(content)


def _describe_error(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
