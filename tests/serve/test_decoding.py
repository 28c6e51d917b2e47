"""Decoding where it can be stopped: an upload that hangs, crashes or swallows memory costs its sender alone."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from holotype.serve import Limits

HANGS, CRASHES, SWALLOWS, RAISES, KEEPS = 241, 242, 244, 245, 246
SHORT = Limits(decoding=1.0, memory=1000.0)


def sent(client, png, *values):
    return client.post("/predict", files=[("images", (f"cell-{value}.png", png(value))) for value in values])


def workers(client):
    return client.app.state.service.decoding._workers


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (HANGS, "decoding the image took longer than 1 seconds"),
        (CRASHES, "decoding the image crashed the decoding process (signal 11)"),
        (SWALLOWS, "decoding the image needs more than 1,000 MB of memory"),
        (RAISES, "the image cannot be read: KeyError: 'no such thing'"),
    ],
)
def test_an_image_that_cannot_be_decoded_is_named_and_the_next_one_is_answered(ask, stand, png, value, words):
    with ask(stand, SHORT) as client:
        answer = sent(client, png, value)
        fault = answer.json()["error"]
        assert (answer.status_code, fault["field"]) == (422, f"cell-{value}.png")
        assert words in fault["what"]
        if value != RAISES:
            assert "--limit" in fault["remedy"]
        assert sent(client, png, 51).status_code == 200
        assert client.get("/health").json()["ready"]


def test_more_uploads_that_hang_than_processes_leave_room_for_an_honest_one(ask, stand, png):
    with ask(stand, SHORT) as client, ThreadPoolExecutor(5) as threads:
        bad = [threads.submit(sent, client, png, HANGS) for _ in range(4)]
        time.sleep(0.2)
        assert sent(client, png, 51).status_code == 200
        assert [one.result().status_code for one in bad] == [422] * 4


def test_the_first_image_that_fails_ends_the_whole_request(ask, stand, png):
    with ask(stand, SHORT) as client:
        began = time.monotonic()
        assert sent(client, png, 51, *[HANGS] * 99).status_code == 422
        assert time.monotonic() - began < 30


def test_a_stream_of_images_that_hang_ends_after_three_of_them(ask, stand, png):
    files = [("images", (f"{number}.png", png(HANGS))) for number in range(200)]
    with ask(stand, SHORT) as client:
        began = time.monotonic()
        lines = client.post("/predict/stream", files=files).text.splitlines()
        assert time.monotonic() - began < 60
        assert len(lines) < 80
        assert "three images of this request" in lines[-1]
        assert sent(client, png, 51).status_code == 200


def test_processes_that_were_killed_from_outside_are_replaced(ask, stand, png):
    with ask(stand) as client:
        for worker in list(workers(client)):
            os.kill(worker.process.pid, signal.SIGKILL)
        assert sent(client, png, 51).status_code == 200
        assert client.get("/health").json()["ready"]


def test_a_process_that_keeps_memory_is_replaced(ask, stand, png):
    with ask(stand, Limits(memory=2000.0)) as client:
        before = {worker.process.pid for worker in workers(client)}
        assert sent(client, png, KEEPS).status_code == 200
        until = time.monotonic() + 10
        while before <= {worker.process.pid for worker in workers(client)}:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert sent(client, png, 51).status_code == 200


def test_health_says_why_no_process_can_be_started(ask, stand, png, monkeypatch):
    from stand_reader import refuse_to_begin

    stand.opens.clear()  # so that nobody waits for it to be ready
    stand.make_reader = refuse_to_begin
    with ask(stand) as client:
        stand.opens.set()
        until = time.monotonic() + 20
        while "no decoding process can be started" not in client.get("/health").json()["why"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        health = client.get("/health")
        assert health.status_code == 503
        assert health.json() == {
            "ready": False,
            "why": "no decoding process can be started: nothing reads here",
            "nearest": "off",
        }
        assert sent(client, png, 51).status_code == 503


def test_an_end_in_the_middle_of_a_decoding_does_not_wait_for_it(ask, stand, png):
    with ThreadPoolExecutor(1) as threads:
        with ask(stand, Limits(decoding=300.0, seconds=1.0)) as client:
            bad = threads.submit(sent, client, png, HANGS)
            assert bad.result().status_code in {422, 504}
            began = time.monotonic()
        assert time.monotonic() - began < 5
