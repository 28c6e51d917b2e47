"""Training of networks: jobs, phases, schedules, optimizers and the training loop."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
