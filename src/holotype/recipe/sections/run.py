"""`run:` section: device, precision and parallelism."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from holotype.recipe.sections.base import Section

Auto = Literal["auto"]
ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]


class PluginSpec(Section):
    """Python module whose losses, metrics, augmentations and other parts a recipe names. Its code is run."""

    module: ModuleName
    """Name of the module, with dots: a file or package in `folder`, or of an installed package."""
    folder: str | None = None
    """Folder of the module; the recipe's by default."""
    digest: str | None = None
    """Digest of its source, as a run folder records it: other code is refused."""


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
    plugins: list[PluginSpec] = []
    """Python modules with parts of your own, by name (`[my_module]`) or as sections. They are code, which every command
    that reads the recipe runs."""

    @field_validator("plugins", mode="before")
    @classmethod
    def _expand_plugins(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"module": entry} if isinstance(entry, str) else entry for entry in value]
