"""Engines: where jobs are worked through."""

from holotype.engine.local import LocalEngine

__all__ = ["LocalEngine"]
