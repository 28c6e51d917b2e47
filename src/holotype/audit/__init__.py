"""The audit: data that can be trusted before anything is trained."""

from holotype.audit.apart import duplicates_of, take_apart
from holotype.audit.audit import audit_images, audit_labels
from holotype.audit.class_links import class_links
from holotype.audit.duplicates import Duplicates, duplicate_actions, duplicate_conflicts, find_duplicates
from holotype.audit.hashes import perceptual_hashes
from holotype.audit.input_checks import describe_training, form_mismatch, input_warnings
from holotype.audit.labels import confounded_classes, label_warnings, rare_classes
from holotype.audit.links import cluster_hashes
from holotype.audit.pixels import (
    constant_images,
    pixel_warnings,
    refuse_mixed_channels,
    refuse_unreadable,
    saturated_images,
)
from holotype.audit.suspects import find_suspects, label_quality, no_suspects, suspect_labels

__all__ = [
    "Duplicates",
    "audit_images",
    "audit_labels",
    "class_links",
    "cluster_hashes",
    "confounded_classes",
    "constant_images",
    "describe_training",
    "duplicate_actions",
    "duplicate_conflicts",
    "duplicates_of",
    "find_duplicates",
    "find_suspects",
    "form_mismatch",
    "input_warnings",
    "label_quality",
    "label_warnings",
    "no_suspects",
    "perceptual_hashes",
    "pixel_warnings",
    "rare_classes",
    "refuse_mixed_channels",
    "refuse_unreadable",
    "saturated_images",
    "suspect_labels",
    "take_apart",
]
