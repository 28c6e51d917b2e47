"""`run:` what the work runs on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holotype.recipe.sections.base import Section

__all__ = ["RunSpec"]

Auto = Literal["auto"]


class RunSpec(Section):
    """Where and how the work is done. Batch and precision change what is learnt, the others nothing but rounding."""

    device: str = "auto"
    """`auto` takes a GPU where there is one; or `cpu`, `cuda`, `cuda:1`, `mps`."""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """`auto` is 32 bit on a CPU and mixed precision on a GPU: `bf16` where its cores have it, else `16`."""
    threads: Auto | Annotated[int, Field(ge=1)] = "auto"
    """Threads of computation; `auto` takes `OMP_NUM_THREADS`, else every core within a container's quota."""
    workers: Auto | Annotated[int, Field(ge=0)] = "auto"
    """Threads that prepare batches ahead of the model; `auto` is 0 on a CPU, whose cores the model needs itself."""
    batch: Auto | Annotated[int, Field(ge=1)] = "auto"
    """Images a step; `auto` is 32."""
    processes: int = Field(default=1, ge=1, le=64)
    """Processes that train one network together, each on a device of its own and on its part of every batch."""
    save_minutes: float = Field(default=5.0, ge=0.0)
    """Minutes of training that a kill may cost at most; what is written down changes nothing that is learnt."""
