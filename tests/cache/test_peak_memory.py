"""Peak memory of stretches that lie within each other."""

from __future__ import annotations

from mmap import mmap
from pathlib import Path

import pytest

from holotype.cache.peak_memory import PeakMemory

MB = 1_000_000


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the mark can be set back on Linux alone")
def test_a_stretch_holds_what_was_held_in_it_and_an_outer_one_what_its_inner_ones_held():
    peaks = PeakMemory()
    outer = peaks.start()
    before = peaks.current(outer)
    large = mmap(-1, 500 * MB)  # what the system itself gives and takes back, whatever an allocator keeps
    for _ in range(500):
        large.write(b"1" * MB)
    inner = peaks.start()
    held = peaks.current(inner)
    large.close()
    peaks.end(inner)
    after = peaks.start()
    assert peaks.current(outer) >= before + 300
    assert held >= before + 300
    assert peaks.current(after) <= held - 300  # what was given back is not counted again
    peaks.end(after)
    peaks.end(outer)


def test_a_stage_says_what_its_making_took_also_when_another_run_takes_it_from_the_store(tmp_path):
    from holotype.cache import RunLog, StageKey, Stages, Store
    from holotype.core.progress import Progress

    key = StageKey("fit one", 1)
    for name in ("first", "second"):
        stages = Stages(Store(tmp_path / "store"), RunLog(tmp_path / f"{name}.jsonl"), Progress(quiet=True))
        stages.cached_folder(key, lambda folder: (folder / "made").write_text("x"))
        cost = stages.costs["fit one"]
        assert cost["seconds"] >= 0
        assert cost["peak_mb"] > 10
    assert (stages.states["fit one"], stages.seconds["fit one"]) == ("reused", 0.0)
    event = stages.log.read("stage")[-1]
    assert event["took"] == cost
