"""A server as a process: how it begins, what it refuses, how it ends."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

import holotype
from holotype.cli.main import main
from holotype.core.errors import InputError
from holotype.serve import BindAddress, Limits, access_policy, limits_from

SOURCE = Path(holotype.__file__).parents[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_lets_it_finish_what_is_under_way_and_end_well(start, ready, form, finished, number):
    process, address = start(finished)
    assert ready(address)["ready"]
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    asked = urllib.request.Request(address + "predict/stream", form(120), kind)
    answers: list[bytes] = []
    began = threading.Event()

    def ask():
        with urllib.request.urlopen(asked) as answer:
            answers.append(answer.readline())
            began.set()
            answers.extend(answer.readlines())

    asking = threading.Thread(target=ask)
    asking.start()
    assert began.wait(60)
    process.send_signal(number)
    asking.join(60)
    assert process.wait(60) == 0
    assert len(answers) == 120
    assert all(json.loads(line)["prediction"] for line in answers)
    assert process.stderr.read() == ""


def test_it_says_where_it_listens_and_asks_for_a_token(start, ready, finished):
    process, address = start(finished, "--no-nearest", HOLOTYPE_TOKEN="secret")
    assert ready(address) == {"ready": True, "why": "ready", "nearest": "off"}
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(address + "classes")
    shown = urllib.request.Request(address + "classes", headers={"Authorization": "Bearer secret"})
    with urllib.request.urlopen(shown) as answer:
        assert json.load(answer)["run"] == "cells"
    process.terminate()
    assert process.wait(30) == 0


def test_other_machines_need_a_token_or_a_word():
    with pytest.raises(InputError, match="--allow-anonymous"):
        access_policy(BindAddress("0.0.0.0"), None)
    assert access_policy(BindAddress("0.0.0.0", anonymous=True), None).hosts is None
    assert access_policy(BindAddress("0.0.0.0"), "secret").token == "secret"
    assert "127.0.0.1" in access_policy(BindAddress(), None).hosts
    assert "ours.example" in access_policy(BindAddress(hosts=["Ours.example"]), None).hosts


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("quue=3", "did you mean 'queue'"),
        ("queue=no", "a whole number above zero"),
        ("seconds=-1", "above zero"),
        ("files=2.5", "whole number"),
        ("megabytes=inf", "above zero"),
        ("megabytes", "above zero"),
    ],
)
def test_a_limit_that_is_none_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        limits_from([given])


def test_limits_are_read():
    assert limits_from(["queue=3", "megabytes=0.5"]) == Limits(queue=3, megabytes=0.5)
    assert limits_from(["megabytes=0.5"]).bytes == 500_000


def run_cli(*arguments, before=""):
    program = f"{before}\nimport sys\nfrom holotype.cli.main import main\nsys.exit(main({list(arguments)!r}))"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_without_the_extra_one_sentence_says_what_to_install(finished, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith(("holotype.serve", "holotype.runs.serve"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["serve", str(finished)]) == 2
    assert capsys.readouterr().err == "holotype: serving needs the extra `serve`; pip install 'holotype[serve]'.\n"


NOTE = """
import os, sys
seen = []
sys.addaudithook(lambda event, given: event == "import" and given[0] == "torch" and seen.append(os.environ.copy()))
import atexit
atexit.register(lambda: print(seen[0].get("OMP_WAIT_POLICY"), seen[0].get("GOMP_SPINCOUNT"), file=sys.stderr))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("given", "expected"), [({}, "passive 1000"), ({"OMP_WAIT_POLICY": "active"}, "active None")])
def test_threads_that_wait_leave_the_cores_to_others_and_that_is_said_before_torch_is_there(
    monkeypatch, tmp_path, given, expected
):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert run_cli("serve", str(tmp_path), before=NOTE)[1].splitlines()[-1] == expected


def test_what_cannot_be_served_is_one_sentence(tmp_path, capsys):
    assert main(["serve", str(tmp_path)]) == 2
    assert "is not a finished run" in capsys.readouterr().err
    assert main(["serve", str(tmp_path), "--host", "0.0.0.0"]) == 2
    assert "set HOLOTYPE_TOKEN" in capsys.readouterr().err


def decoders(process):
    """The processes below the fork server of a server."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    children = {child for child, parent in parents.items() if parent == process.pid}
    return [child for child, parent in parents.items() if parent in children]


@pytest.mark.slow
def test_decoders_that_hang_are_replaced_and_the_server_still_ends_by_sigterm(start, ready, form, finished):
    process, address = start(finished, "--no-nearest", "--limit", "decoding=2", "--limit", "seconds=30")
    ready(address)
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    asked = urllib.request.Request(address + "predict", form(1), kind)
    for number in decoders(process):
        os.kill(number, signal.SIGSTOP)
    with pytest.raises(urllib.error.HTTPError, match="422") as refused:
        urllib.request.urlopen(asked)
    assert "decoding the image took longer than" in json.load(refused.value)["error"]["what"]
    with urllib.request.urlopen(asked) as answer:
        assert json.load(answer)["predictions"][0]["labels"] is not None
    for number in decoders(process):
        os.kill(number, signal.SIGSTOP)
    process.terminate()
    assert process.wait(40) == 0
    assert decoders(process) == []


@pytest.mark.slow
def test_half_sent_headers_leave_a_server_with_few_descriptors_at_work(start, ready, finished):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))  # inherited by the server
    try:
        process, address = start(finished, "--no-nearest")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    ready(address)
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    with ExitStack() as stack:
        os.kill(process.pid, signal.SIGSTOP)  # so that it finds all of them at once
        for _ in range(400):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        os.kill(process.pid, signal.SIGCONT)
        with urllib.request.urlopen(address + "health", timeout=20) as answer:
            assert json.load(answer)["ready"]
    process.terminate()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
