"""The audit: data that can be trusted before anything is trained."""

from holotype.audit.audit import audit_images
from holotype.audit.duplicates import duplicate_actions, duplicate_conflicts, find_duplicates
from holotype.audit.labels import confounded_classes, label_warnings, rare_classes
from holotype.audit.pixels import (
    constant_images,
    pixel_warnings,
    refuse_mixed_channels,
    refuse_unreadable,
    saturated_images,
)

__all__ = [
    "audit_images",
    "confounded_classes",
    "constant_images",
    "duplicate_actions",
    "duplicate_conflicts",
    "find_duplicates",
    "label_warnings",
    "pixel_warnings",
    "rare_classes",
    "refuse_mixed_channels",
    "refuse_unreadable",
    "saturated_images",
]
