"""Two processes take steps together; one is short of memory, or sees a loss that is no number, and both do the same.

A module, since each process reads it again. Each of them writes what it has met.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from holotype.training import StepOptions, train_step


class Scenario:
    """One kind of step on one process; `odd` is the process that is unlike the other."""

    def __init__(self, fabric: Fabric, rules: StepOptions) -> None:
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


@dataclass(frozen=True)
class Meeting:
    """What a process does; an object, since Lightning takes the arguments of functions apart.

    Args:
        folder: Where each process writes what it has met.
    """

    folder: Path

    def __call__(self, fabric: Fabric) -> None:
        """Go through every kind of step."""
        odd, met = fabric.global_rank == 1, {}
        scenario = Scenario(fabric, StepOptions(1, 1.0, rows=8))
        met["alike"] = [scenario.step(4), scenario.state()]
        met["memory"] = [scenario.step(4, "memory"), scenario.step(4), scenario.state()]
        scenario = Scenario(fabric, StepOptions(1, 1.0, rows=8, skip_nonfinite=True))
        before = scenario.state()
        met["lost"] = [scenario.step(4, "lost"), scenario.state() == before, scenario.step(4), scenario.state()]
        scenario = Scenario(fabric, StepOptions(1, 1.0, rows=4))
        met["without rows"] = [scenario.step(0 if odd else 4), scenario.state()]
        (self.folder / f"{fabric.global_rank}.json").write_text(json.dumps(met))
