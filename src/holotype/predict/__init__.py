"""Prediction: one inference loop, the pooling of views, embeddings and heat maps."""

from holotype.predict.embed import embed_images, embed_with_network
from holotype.predict.explain import count_places, grad_cam, heat_over_image
from holotype.predict.files import load_said, save_said
from holotype.predict.infer import infer, infer_logits
from holotype.predict.pooling import RunningPool
from holotype.predict.precision import in_precision, resolve_precision
from holotype.predict.views import Reading, list_views

__all__ = [
    "Reading",
    "RunningPool",
    "count_places",
    "embed_images",
    "embed_with_network",
    "grad_cam",
    "heat_over_image",
    "in_precision",
    "infer",
    "infer_logits",
    "list_views",
    "load_said",
    "resolve_precision",
    "save_said",
]
