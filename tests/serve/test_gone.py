"""Callers and servers that go away in the middle: what they held is let go."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from holotype.serve.upload_folder import UploadFolder

HEAD = b"POST /predict/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary folders go."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def until(found, seconds=20.0):
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)


def connected(address):
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    return socket.create_connection((host, int(port)))


def queue(address):
    with urllib.request.urlopen(address + "metrics") as answer:
        found = [line for line in answer.read().decode().splitlines() if line.startswith("holotype_queue_images")]
    return float(found[0].split()[1])


def requests(temporary):
    return list(temporary.glob("holotype-serve-*/request-*"))


def test_folders_of_servers_that_are_no_more_are_removed_and_no_others(temporary):
    left = (
        "from holotype.serve.upload_folder import UploadFolder\nimport os\none = UploadFolder()\none.open()\n"
        "(one.folder().path / 'image.png').touch()\nos._exit(9)"
    )
    subprocess.run([sys.executable, "-c", left], check=False)
    foreign = temporary / "holotype-serve-foreign"
    foreign.mkdir()
    (killed,) = (path for path in temporary.glob("holotype-serve-*") if path != foreign)
    alive, second = UploadFolder(), UploadFolder()
    alive.open()
    assert not killed.exists()
    second.open()
    assert len(list(temporary.iterdir())) == 3
    with second.folder() as folder:
        assert folder.path.is_dir()
    alive.close(), second.close()
    assert list(temporary.iterdir()) == [foreign]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_ends_under_way_leaves_no_upload(start, ready, form, finished, temporary, number):
    process, address = start(finished, "--no-nearest", "--limit", "seconds=2")
    ready(address)
    body = form(2)
    with connected(address) as caller:
        caller.sendall(HEAD + b"Content-Length: 99999999\r\n\r\n" + body[:-20])
        until(lambda: requests(temporary))
        process.send_signal(number)
        process.wait(30)
    if number == signal.SIGKILL:
        assert requests(temporary)
        after, address = start(finished, "--no-nearest")
        ready(address)
        assert not requests(temporary)
        after.terminate()
        assert after.wait(30) == 0
    left = [path.name for path in temporary.iterdir() if not path.name.startswith("pymp-")]  # a socket of Python's own
    assert left == []


@pytest.mark.slow
def test_a_caller_who_goes_away_leaves_nothing(start, ready, form, finished, temporary):
    _, address = start(finished, "--no-nearest")
    ready(address)
    for _ in range(3):
        with connected(address) as caller:
            caller.sendall(HEAD + b"Content-Length: 99999999\r\n\r\n" + form(2)[:-20])
            until(lambda: requests(temporary))
    until(lambda: not requests(temporary))
    assert queue(address) == 0


def predicts(address, body):
    """Whether an image is answered for, or has to come back later."""
    asked = urllib.request.Request(address + "predict", body, {"Content-Type": "multipart/form-data; boundary=x"})
    try:
        with urllib.request.urlopen(asked) as answer:
            return bool(json.load(answer)["predictions"])
    except urllib.error.HTTPError as error:
        if error.code != 429:
            raise
        return False


def open_uploads(files, temporary):
    """What a server has open below the folder for temporary files, but for its lock; removed files are, too."""
    found = []
    for file in files.iterdir():
        with suppress(OSError):
            found.append(str(file.readlink()))
    return [name for name in found if name.startswith(str(temporary)) and not name.endswith(("in-use", "listener"))]


@pytest.mark.slow
def test_a_caller_who_stops_reading_is_let_go_and_keeps_nobody_else_out(start, ready, form, finished, temporary):
    process, address = start(finished, "--no-nearest", "--limit", "seconds=3", "--limit", "queue=2")
    ready(address)
    files = Path(f"/proc/{process.pid}/fd")
    body = form(400)
    head = HEAD.replace(b" HTTP", b"?picture=true HTTP")  # more than the system keeps for a connection
    callers = [connected(address) for _ in range(2)]
    for caller in callers:
        caller.sendall(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    until(lambda: predicts(address, form(1)))
    until(lambda: not requests(temporary) and not open_uploads(files, temporary), 120)
    for caller in callers:  # the server has let go of them: what was on its way is followed by no more
        caller.settimeout(60)
        with suppress(ConnectionResetError):
            while caller.recv(1 << 20):
                pass
        caller.close()
    process.terminate()
    assert process.wait(30) == 0


@pytest.mark.slow
def test_streams_that_only_begin_keep_nobody_else_out(start, ready, form, finished):
    _, address = start(finished, "--no-nearest", "--limit", "queue=2")
    ready(address)
    callers = [connected(address) for _ in range(6)]
    for caller in callers:
        caller.sendall(HEAD + b"Content-Length: 99999999\r\n\r\n" + form(1)[:-20])
    assert predicts(address, form(1))
    for caller in callers:
        caller.close()
