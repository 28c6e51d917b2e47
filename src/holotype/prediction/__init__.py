"""Prediction: one inference loop, pooling of test-time augmentation, embeddings and heat maps.

Conventions: `rows` are image rows of the dataset, shape (n,); networks are in evaluation mode and on the device.
"""

from typing import TYPE_CHECKING

from holotype.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from holotype.prediction.embed import embed_images, embed_with_network
    from holotype.prediction.explain import feature_map_size, grad_cam, heat_over_image
    from holotype.prediction.infer import infer, infer_logits
    from holotype.prediction.pooling import RunningPool
    from holotype.prediction.precision import in_precision, resolve_precision
    from holotype.prediction.score_files import load_scores, save_scores
    from holotype.prediction.tta import InferenceOptions, tta_transforms
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "embed": ("embed_images", "embed_with_network"),
            "explain": ("feature_map_size", "grad_cam", "heat_over_image"),
            "infer": ("infer", "infer_logits"),
            "pooling": ("RunningPool",),
            "precision": ("in_precision", "resolve_precision"),
            "score_files": ("load_scores", "save_scores"),
            "tta": ("InferenceOptions", "tta_transforms"),
        },
    )

__all__ = [
    "InferenceOptions",
    "RunningPool",
    "embed_images",
    "embed_with_network",
    "feature_map_size",
    "grad_cam",
    "heat_over_image",
    "in_precision",
    "infer",
    "infer_logits",
    "load_scores",
    "resolve_precision",
    "save_scores",
    "tta_transforms",
]
