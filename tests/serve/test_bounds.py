"""What uploads may take of the disk, of memory and of time, and which pages may ask."""

from __future__ import annotations

import asyncio
import errno
import os
import time

import pytest

from holotype.serve import AccessPolicy, Limits
from holotype.serve.access import AccessMiddleware
from holotype.serve.errors import ApiError
from holotype.serve.metrics import ServerMetrics
from holotype.serve.upload_folder import RequestFolder, UploadFolder
from holotype.serve.uploads import uploads

KIND = {"Content-Type": "multipart/form-data; boundary=x"}


def test_uploads_that_wait_take_no_more_of_the_disk_than_they_may(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scratch = UploadFolder(1000)
    scratch.open()
    with scratch.folder() as first, scratch.folder() as second:
        first.take(600)
        (first.path / "a").write_bytes(b"a" * 600)
        with pytest.raises(ApiError) as refused:
            second.take(500)
        assert refused.value.status == 429
        first.remove(first.path / "a")
        second.take(900)
    assert scratch.bytes == 0
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_is_too_large_for_the_disk_is_refused_and_leaves_nothing(ask, stand, png):
    with ask(stand, Limits(uploads=0.001)) as client:
        large = [("images", ("a.png", png(7, (300, 300)) + b"0" * 3000))]
        assert client.post("/predict", files=large).status_code == 429
        assert client.app.state.service.upload_folder.bytes == 0
        assert client.post("/predict", files=[("images", ("a.png", png()))]).status_code == 200


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EMFILE])
def test_a_server_without_room_for_an_upload_says_so(ask, stand, png, monkeypatch, fault):
    with ask(stand) as client:
        files = [("images", ("a.png", png()))]

        def take(*_):
            raise OSError(fault, os.strerror(fault))

        with monkeypatch.context() as patch:
            patch.setattr(RequestFolder, "take", take)
            for path in ("/predict", "/predict/stream"):
                answer = client.post(path, files=files)
                assert (answer.status_code, answer.json()["error"]["field"]) == (503, "server")
                assert os.strerror(fault) in answer.json()["error"]["what"]
        assert client.post("/predict", files=files).status_code == 200


def test_headers_of_a_part_do_not_grow_without_end(ask, stand):
    body = b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 100_000
    with ask(stand) as client:
        answer = client.post("/predict", content=body, headers=KIND)
        assert answer.status_code == 400
        assert "header" in answer.json()["error"]["what"]


def test_an_upload_that_drips_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    class Dripping:
        headers = {"content-type": "multipart/form-data; boundary=x"}  # noqa: RUF012

        async def stream(self):
            for _ in range(1000):
                await asyncio.sleep(0.02)
                yield b"-"

    async def read():
        scratch = UploadFolder()
        scratch.open()
        with scratch.folder() as folder:
            async for _ in uploads(Dripping(), folder, (".png",), 3, 0.3):
                pass

    began = time.monotonic()
    with pytest.raises(ApiError) as refused:
        asyncio.run(read())
    assert refused.value.status in {400, 408}
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("host", "origin", "is_own"),
    [
        ("localhost:8000", "http://localhost:8000", True),
        ("127.0.0.1", "http://127.0.0.1", True),
        ("localhost:8000", "http://localhost:3000", False),
        ("localhost:8000", "http://localhost", False),
        ("127.0.0.1:8000", "http://localhost:8000", False),
        ("localhost:8000", "null", False),
        ("localhost:8000", "", False),
        ("localhost:8000", "http://ours.example", True),
        ("localhost:8000", "http://theirs.example", False),
    ],
)
@pytest.mark.parametrize("hosts", [("localhost", "127.0.0.1", "ours.example"), None])
def test_pages_of_this_server_and_of_its_proxy_may_ask_and_no_others(host, origin, is_own, hosts):
    guard = AccessMiddleware(None, AccessPolicy(None, hosts, ("ours.example",)), Limits(), ServerMetrics())
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    refusal = guard._reject({"type": "http", "path": "/predict", "headers": headers}, 10**6)
    assert (refusal is None) == is_own
    assert is_own or refusal.status == 403
