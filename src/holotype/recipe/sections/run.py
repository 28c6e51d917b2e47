"""`run:` section: device, precision and parallelism."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holotype.recipe.sections.base import Section

__all__ = ["RunSpec"]

Auto = Literal["auto"]


class RunSpec(Section):
    """Device, precision and parallelism. Batch and precision change what is learned, the others only rounding."""

    device: str = "auto"
    """`auto` uses a GPU if there is one; or `cpu`, `cuda`, `cuda:1`, `mps`."""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """`auto` is 32 bit on a CPU and mixed precision on a GPU: `bf16` if its cores support it, else `16`."""
    threads: Auto | Annotated[int, Field(ge=1)] = "auto"
    """Compute threads; `auto` is `OMP_NUM_THREADS`, else every core within a container's quota."""
    workers: Auto | Annotated[int, Field(ge=0)] = "auto"
    """Threads that prepare batches ahead of the network; `auto` is 0 on a CPU, where the network needs all cores."""
    batch: Auto | Annotated[int, Field(ge=1)] = "auto"
    """Images per step; `auto` is 32."""
    processes: int = Field(default=1, ge=1, le=64)
    """Processes that train one network together, each on its own device and part of every batch."""
    save_minutes: float = Field(default=5.0, ge=0.0)
    """Minutes of training that a kill may lose at most; it does not change what is learned."""
