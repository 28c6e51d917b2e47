"""Evaluation: out-of-fold scores, cross-fitted postprocessing, nested scores and step effects.

Conventions: `truth`, `decided` and `logits` have shape (n, classes), one row per sample; `models` holds one entry per
model, all of the same samples; `folds`, `groups` and `units` (independent groups) have shape (n,).
"""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
