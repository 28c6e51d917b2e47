"""Prediction: one inference loop, and the pooling of views."""

from holotype.predict.infer import Reading, infer, infer_logits
from holotype.predict.pooling import RunningPool

__all__ = ["Reading", "RunningPool", "infer", "infer_logits"]
