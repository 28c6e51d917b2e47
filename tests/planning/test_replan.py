"""Replanning: simulated machines whose speed changes in the middle of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotype.planning.replan import RemainingWork, replan

AIM = 0.95
WORK = RemainingWork(
    seconds=100.0,
    step_seconds=1.0,
    taken=0,
    target=20,
    later_networks=4,
    fixed_seconds=0.0,
    min_steps=2,
    max_steps=1000,
)


@dataclass
class Machine:
    """A machine that needs `step` seconds per unit of work, and `factor` times that from the moment `change` on."""

    step: float
    factor: float
    change: float
    time: float = 0.0

    def work(self, units: float) -> None:
        before = max(self.change - self.time, 0.0) / self.step
        first = min(units, before)
        self.time += first * self.step + (units - first) * self.step * self.factor

    @property
    def pace(self) -> float:
        return self.step * (self.factor if self.time >= self.change else 1.0)


def simulate_run(machine: Machine, budget: float, networks: int, *, overhead: float, tail: float) -> list[int]:
    """Steps of each network of a run that is planned for the speed at its start; `overhead` and `tail` in units."""
    fixed = networks * overhead + tail
    planned = int((AIM * budget / machine.step - fixed) / networks)
    every = max(planned // 40, 1)
    all_steps = []
    for network in range(networks):
        target, taken = planned, 0
        while taken < target:
            if taken % every == 0:
                later = networks - network - 1
                target = replan(
                    RemainingWork(
                        seconds=AIM * budget - machine.time,
                        step_seconds=machine.pace,
                        taken=taken,
                        target=target,
                        later_networks=later,
                        fixed_seconds=((later + 1) * overhead + tail) * machine.pace,
                        min_steps=max(planned // 10, 1),
                        max_steps=3 * planned,
                    )
                )
            machine.work(1)
            taken += 1
        machine.work(overhead)
        all_steps.append(taken)
    machine.work(tail)
    return all_steps


def test_steps_are_shared_evenly() -> None:
    assert replan(WORK) == 20
    assert replan(replace(WORK, step_seconds=2.0)) == 10
    assert replan(replace(WORK, fixed_seconds=50.0)) == 10
    assert replan(replace(WORK, taken=10, later_networks=1)) == 55


def test_a_network_that_is_over_its_share_still_anneals_and_then_ends() -> None:
    late = replace(WORK, seconds=1.0, taken=100, target=200)
    shortest = replan(late)
    assert shortest == 110
    assert replan(replace(late, taken=105, target=shortest)) == 110
    assert replan(replace(late, taken=110, target=shortest)) == 110


@pytest.mark.parametrize(("field", "steps"), [("min_steps", 30), ("max_steps", 10)])
def test_limits_of_the_steps(field: str, steps: int) -> None:
    assert replan(replace(WORK, **{field: steps})) == steps


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("networks", [1, 5])
def test_a_run_ends_in_time_although_the_speed_changes_midway(factor: float, networks: int) -> None:
    machine = Machine(0.25, factor, change=150.0)
    steps = simulate_run(machine, 300.0, networks, overhead=15, tail=20)
    assert 0.85 * 300 <= machine.time <= 1.05 * 300, steps
    assert len(steps) == networks


@given(
    budget=st.floats(60, 3600),
    networks=st.integers(1, 12),
    factor=st.floats(0.5, 2.0),
    moment=st.floats(0.0, 1.0),
    steps=st.integers(60, 3000),
    overhead=st.floats(0.0, 0.05),
    tail=st.floats(0.0, 0.05),
)
def test_property_the_end_is_within_85_and_105_percent(
    budget: float, networks: int, factor: float, moment: float, steps: int, overhead: float, tail: float
) -> None:
    """Feasible runs: at least 60 steps each, and at most a tenth of the time is needed after the last step."""
    units = steps * networks
    step = AIM * budget * (1 - overhead - tail) / units
    machine = Machine(step, factor, moment * budget)
    simulate_run(machine, budget, networks, overhead=overhead * units / networks, tail=tail * units)
    assert 0.85 <= machine.time / budget <= 1.05


@given(factor=st.floats(0.5, 2.0))
def test_property_networks_after_the_change_are_alike(factor: float) -> None:
    machine = Machine(0.25, factor, change=0.0)
    steps = simulate_run(machine, 300.0, 5, overhead=15, tail=20)
    assert max(steps) - min(steps) <= 2
