"""The page of a search."""

from __future__ import annotations

import re
from pathlib import Path

from holotype.report import Trial, TrialsData, render_trials, write_report
from holotype.report.trials import parallel_trials, trials_over_time

TRIALS = [
    Trial(0, "finished", 0.5, 9, {"rate": 0.001, "sampler": "sqrt"}),
    Trial(1, "pruned", 0.2, 3, {"rate": 0.01, "sampler": "shuffle"}),
    Trial(2, "failed", None, 0, {"rate": 0.0001, "sampler": "sqrt"}),
    Trial(3, "finished", 0.7, 9, {"rate": 0.001, "sampler": "<b>"}),
]
AXES = {"rate": (1e-4, 1e-2, True), "sampler": ("shuffle", "sqrt", "<b>")}
CONTENTS = TrialsData("leaves & cells", "macro F1", "scored on inner rows", TRIALS, 3, AXES, {"rate": 0.9})


def path_of(drawing: str, style: str) -> list[tuple[float, float]]:
    (path,) = re.findall(rf'class="line {style}">(?:<title>[^<]*</title>)?<path d="([^"]+)"', drawing)
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_the_line_follows_the_best_finished_trial_so_far() -> None:
    drawing = trials_over_time(TRIALS)
    line = path_of(drawing, "line-0")
    assert len(line) == 3  # the failed one has no score
    assert line[0][1] == line[1][1] > line[2][1]  # upwards on a screen is downwards in numbers
    assert drawing.count('class="dot low"') == 1


def test_a_trial_goes_through_one_place_an_axis() -> None:
    drawing = parallel_trials([TRIALS[0], TRIALS[3]], AXES, 3)
    through = path_of(drawing, "line-1")
    assert len(through) == 3
    middle = path_of(parallel_trials(TRIALS[:1], AXES, 0), "line-1")[0][1]
    assert through[0][1] == middle == 14 + 0.5 * (210 - 14 - 8)  # 1e-3 lies half way between 1e-4 and 1e-2


def test_the_page_opens_offline_and_escapes_what_it_is_given(tmp_path: Path) -> None:
    write_report(tmp_path / "tune.html", CONTENTS)
    page = (tmp_path / "tune.html").read_text(encoding="utf-8")
    assert page == render_trials(CONTENTS)
    assert "leaves &amp; cells" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "1 pruned (stopped early because they were worse than the median), 1 failed." in page
    assert "The best is trial 3: macro F1 0.700, scored on inner rows." in page
    assert page.index('scope="row" class="n">3<') < page.index('scope="row" class="n">0<')  # the best first
