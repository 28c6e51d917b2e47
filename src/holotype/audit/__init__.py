"""Data audit: image and label checks, duplicates, and label errors."""

from holotype.audit.audit import audit_images, audit_labels
from holotype.audit.duplicates import Duplicates, duplicate_actions, duplicate_conflicts, find_duplicates
from holotype.audit.hamming_search import cluster_hashes
from holotype.audit.image_checks import (
    constant_images,
    pixel_warnings,
    require_readable,
    require_same_channels,
    saturated_images,
)
from holotype.audit.input_checks import describe_training, form_mismatch, input_warnings
from holotype.audit.label_checks import confounded_classes, label_warnings, rare_classes
from holotype.audit.label_cooccurrence import label_cooccurrence
from holotype.audit.label_errors import empty_label_errors, find_label_errors, label_error_mask, label_quality
from holotype.audit.perceptual_hash import perceptual_hashes
from holotype.audit.split_clusters import duplicates_of, split_clusters

__all__ = [
    "Duplicates",
    "audit_images",
    "audit_labels",
    "cluster_hashes",
    "confounded_classes",
    "constant_images",
    "describe_training",
    "duplicate_actions",
    "duplicate_conflicts",
    "duplicates_of",
    "empty_label_errors",
    "find_duplicates",
    "find_label_errors",
    "form_mismatch",
    "input_warnings",
    "label_cooccurrence",
    "label_error_mask",
    "label_quality",
    "label_warnings",
    "perceptual_hashes",
    "pixel_warnings",
    "rare_classes",
    "require_readable",
    "require_same_channels",
    "saturated_images",
    "split_clusters",
]
