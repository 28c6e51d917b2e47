"""The time keeper: its decisions, its file, and resumed runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from holotype.planning.pacing import BudgetPacer, PacedNetwork, read_decisions

NETWORKS = tuple(PacedNetwork(f"main, fold {fold}", 80, 1.0, 10.0, 8, 200) for fold in range(3))
CLOSING = 15.0
BUDGET = 300.0


@dataclass
class Machine:
    """A clock, and the seconds that a unit of work takes from a moment on."""

    time: float = 1000.0
    slow_from: float = 1e9
    factor: float = 2.0

    def clock(self) -> float:
        return self.time

    def work(self, units: float) -> None:
        self.time += units * (self.factor if self.time >= self.slow_from else 1.0)


class KilledError(Exception):
    """Stands for the end of the process."""


def run(folder: Path, machine: Machine, dies_at: tuple[str, int] | None = None) -> dict[str, int]:
    """Steps of each network of a run, or of a resumed one, whose networks start anew."""
    pacer = BudgetPacer(NETWORKS, CLOSING, BUDGET, machine.time, folder, clock=machine.clock)
    labels, taken_steps = [network.label for network in NETWORKS], {}
    for network in labels:
        target, taken = NETWORKS[0].steps, 0
        while taken < target:
            if taken % 2 == 0:
                target = pacer.decide(network, taken, target)
            if (network, taken) == dies_at:
                raise KilledError
            machine.work(1)
            taken += 1
        machine.work(NETWORKS[0].other_seconds)
        taken_steps[network] = taken
    machine.work(CLOSING)
    return taken_steps


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_budget_holds_although_the_speed_changes(tmp_path: Path, factor: float) -> None:
    machine = Machine(slow_from=1120.0, factor=factor)
    steps = run(tmp_path, machine)
    assert 0.85 * BUDGET <= machine.time - 1000 <= 1.05 * BUDGET
    assert (steps["main, fold 2"] < 60) == (factor == 2.0)
    assert (steps["main, fold 2"] > 100) == (factor == 0.5)


def test_decisions_are_read_back_and_not_taken_again(tmp_path: Path) -> None:
    steps = run(tmp_path, Machine(slow_from=1120.0))
    lines = (tmp_path / "decisions.jsonl").read_bytes()
    assert run(tmp_path, Machine(factor=7.0, slow_from=0.0)) == steps  # another machine, at another time
    assert (tmp_path / "decisions.jsonl").read_bytes() == lines
    replay = BudgetPacer((), 0.0, 0.0, 0.0, tmp_path)
    first = read_decisions(tmp_path)[0]
    assert replay.decide(first["network"], first["taken"], 1) == first["target"]
    assert replay.decide("main, fold 0", 10_001, 12) == 12  # never asked before


def test_a_killed_run_keeps_its_decisions_and_its_time(tmp_path: Path) -> None:
    machine = Machine()
    with pytest.raises(KilledError):
        run(tmp_path, machine, dies_at=("main, fold 1", 40))
    spent = machine.time - 1000
    with (tmp_path / "decisions.jsonl").open("ab") as stream:
        stream.write(b'\n{"network": "main, fo')
    before = read_decisions(tmp_path)
    resumed = Machine(time=5000.0)
    pacer = BudgetPacer(NETWORKS, CLOSING, BUDGET, 5000.0, tmp_path, clock=resumed.clock)
    assert all(pacer.decide(record["network"], record["taken"], 0) == record["target"] for record in before)
    resumed.work(2)
    target = pacer.decide("main, fold 1", 42, 80)
    left = BUDGET - spent - 2 - 2 * 10 - 15
    assert target == pytest.approx((42 + left) / 2, abs=1)
    assert pacer.decide("main, fold 1", 42, 80) == target
    assert BudgetPacer(NETWORKS, CLOSING, BUDGET, 0.0, tmp_path).decide("main, fold 1", 42, 80) == target


def test_the_pace_is_measured_over_the_latest_time(tmp_path: Path) -> None:
    machine = Machine()
    pacer = BudgetPacer(NETWORKS[:1], CLOSING, BUDGET, machine.time, tmp_path, clock=machine.clock)
    assert pacer.decide("main, fold 0", 0, 80) == 200
    machine.work(20)
    pacer.decide("main, fold 0", 20, 80)
    machine.slow_from = 0.0
    for taken in range(22, 60, 2):
        machine.work(2)
        target = pacer.decide("main, fold 0", taken, 200)
    left = BUDGET - (machine.time - 1000) - 2 * 25
    assert target == pytest.approx(58 + left / 2, abs=1)


def test_models_of_different_costs_are_shortened_by_the_same_share(tmp_path: Path) -> None:
    networks = (
        PacedNetwork("small, fold 0", 120, 1.0, 0.0, 8, 500),
        PacedNetwork("large, fold 0", 40, 3.0, 0.0, 8, 500),
    )
    machine = Machine()
    pacer = BudgetPacer(networks, 0.0, 240.0, machine.time, tmp_path, clock=machine.clock)
    assert pacer.decide("small, fold 0", 0, 120) == 120
    machine.time += 120.0  # sixty steps, twice as slow as planned
    target = pacer.decide("small, fold 0", 60, 120)
    assert target == pytest.approx(60, abs=6)  # the annealing alone is left
    machine.time += 2.0 * (target - 60)
    assert pacer.decide("large, fold 0", 0, 40) == pytest.approx((120 - 2 * (target - 60)) / 6, abs=1)
