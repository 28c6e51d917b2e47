"""A thousand requests of every kind, in no order: nothing breaks, nothing leaks."""

from __future__ import annotations

import gc
import os
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import holotype
from holotype.runs.serve import RunPredictor
from holotype.serve import Limits

REQUESTS, CHANNELS = 1_000, ("microtubules", "nucleus", "reticulum", "protein")


def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
def test_a_thousand_mixed_requests_break_nothing_and_leave_nothing(ask, kept_run, screen, png, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    answerer = RunPredictor(holotype.open_run(kept_run, keep_in_memory=True), tmp_path.parent / "abuse-store")
    good = [
        ("images", (f"test-00001_{channel}.png", (screen / "images" / f"test-00001_{channel}.png").read_bytes()))
        for channel in CHANNELS
    ]

    def with_first(content, name=None):
        return [("images", (name or good[0][1][0], content)), *good[1:]]

    bomb, huge, cut = png(0, shape=(9000, 9000)), b"x" * 100_000_000, good[0][1][1][:-40]
    kinds = {
        "good": ("/predict", good, 200),
        "stream": ("/predict/stream", good, 200),
        "explained": ("/explain?class=golgi", good, 200),
        "truncated": ("/predict", with_first(cut), 422),
        "bomb": ("/predict", with_first(bomb), 422),
        "channels": ("/predict", good[:3], 422),
        "colours": ("/predict", with_first(png(shape=(32, 32, 3))), 422),
        "type": ("/predict", with_first(b"MZ executable", "a.exe"), 422),
        "text": ("/predict", with_first(b"not an image"), 422),
        "path": ("/predict", with_first(good[0][1][1], "../../../etc/passwd_microtubules.png"), 422),
        "class": ("/explain?class=nothing", good, 422),
        "huge": ("/predict", with_first(huge), 413),
    }
    names = list(kinds)
    order = np.random.default_rng(7).choice(len(names), REQUESTS, p=[0.3, 0.06, 0.06, *[0.072] * 8, 0.004])
    seen: Counter[str] = Counter()
    with ask(answerer, Limits(megapixels=20), raise_server_exceptions=False) as client:
        marks = []
        for number, kind in enumerate(order):
            path, files, status = kinds[names[kind]]
            answer = client.post(path, files=files)
            assert answer.status_code == status, (names[kind], answer.text[:300])
            seen[names[kind]] += 1
            if number in {REQUESTS // 2, REQUESTS - 1}:
                marks.append((resident(), open_files()))
        assert "\nholotype_queue_images 0.0" in client.get("/metrics").text
    assert set(seen) == set(kinds)
    assert list(tmp_path.iterdir()) == []
    (memory, files), (later, more) = marks
    assert later - memory < 60e6
    assert more <= files + 2
