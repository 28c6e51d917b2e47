"""Two processes take steps together; one is short of memory, or sees a loss that is no number, and both do the same.

A script, since each process reads it again. It prints what each of them has met.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from holotype.runtime import Runtime
from holotype.train import StepRules, launch_fabric, train_step

PLACE = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()


class Scenario:
    """One kind of step on one process; `odd` is the process that is unlike the other."""

    def __init__(self, fabric: Fabric, rules: StepRules) -> None:
        torch.manual_seed(0)
        self.fabric, self.rules = fabric, rules
        self.network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=0.01, fused=True)
        self.wrapped, self.optimiser = fabric.setup(self.network, optimiser)

    def step(self, rows: int, kind: str = "") -> Any:
        odd = self.fabric.global_rank == 1
        torch.manual_seed(7 + self.fabric.global_rank)
        pixels, targets = torch.randn(rows, 2, 8, 8), torch.eye(3)[torch.arange(rows) % 3]

        def loss(logits: Tensor, truth: Tensor) -> Tensor:
            if odd and kind == "memory":
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
            value = functional.cross_entropy(logits, truth)
            return value * torch.nan if odd and kind == "lost" else value

        parts = [(pixels, targets)] if rows else []
        try:
            met = train_step(self.fabric, self.wrapped, self.optimiser, loss, parts, self.rules)
            return "not a number" if torch.isnan(met) else round(float(met), 6)
        except torch.OutOfMemoryError as error:
            self.optimiser.zero_grad()
            return f"out of memory: {error}"

    def state(self) -> str:
        """The sum of everything that a checkpoint would hold, to the last digit."""
        return repr(
            {
                name: float(value.double().sum())
                for name, value in self.network.state_dict().items()
                if "tracked" not in name
            }
        )


def meet(fabric: Fabric) -> None:
    """Go through every kind of step."""
    odd, met = fabric.global_rank == 1, {}
    scenario = Scenario(fabric, StepRules(1, 1.0, rows=8))
    met["alike"] = [scenario.step(4), scenario.state()]
    met["memory"] = [scenario.step(4, "memory"), scenario.step(4), scenario.state()]
    scenario = Scenario(fabric, StepRules(1, 1.0, rows=8, skip_nonfinite=True))
    before = scenario.state()
    met["lost"] = [scenario.step(4, "lost"), scenario.state() == before, scenario.step(4), scenario.state()]
    scenario = Scenario(fabric, StepRules(1, 1.0, rows=4))
    met["without rows"] = [scenario.step(0 if odd else 4), scenario.state()]
    (PLACE / f"{fabric.global_rank}.json").write_text(json.dumps(met))


class _Work:
    """An object, since Lightning takes the arguments of functions apart."""

    def __call__(self, fabric: Fabric) -> None:
        meet(fabric)


if __name__ == "__main__":
    launch_fabric(Runtime(device="cpu", threads=2, processes=2)).launch(_Work())
