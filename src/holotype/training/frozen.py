"""Frozen backbone: a classifier is fitted on its features and becomes the last layer of the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from holotype.classifiers import LinearClassifier, fit_classifier
from holotype.core.runtime import Runtime
from holotype.core.seeds import derive_seed
from holotype.loading import ImageDataset
from holotype.networks import BACKBONE_SEED, build_network, save_network
from holotype.networks.heads import ClippedLinear
from holotype.training.job import FitJob
from holotype.types import Floats, Integers


def fit_frozen(
    job: FitJob, dataset: ImageDataset, features: Floats, groups: Integers, folder: Path, runtime: Runtime
) -> None:
    """Fit the classifier of a frozen backbone and write both as one network.

    Args:
        features: Pooled features of the training rows, shape (n, width).
        groups: Independent group of each training row, shape (n,).
        folder: Takes the checkpoint.
    """
    spec = job.model.classifier
    if spec is None:
        raise TypeError("the model has no classifier")
    network, pretrained = build_network(job.model, len(job.classes), dataset.channels, BACKBONE_SEED)
    classifier = fit_classifier(
        features,
        dataset.truth.rows(job.train_rows),
        spec,
        classes=len(job.classes),
        kind=job.kind,
        groups=groups,
        seed=derive_seed(job.seed, job.seed_name, job.fold, "classifier"),
        threads=runtime.thread_count,
    )
    facts = pretrained.card_facts | {"normalization": dataset.normalization.as_facts()}
    facts |= {"classifier": spec.kind, "classifier_summary": classifier.describe()}
    if isinstance(classifier, LinearClassifier):
        facts["classifier"] = "linear"
        network.head.last = make_last_layer(classifier)
    else:
        classifier.save(folder)
    save_network(folder, network, job.card(dataset.pixel_cache) | facts)


def make_last_layer(classifier: LinearClassifier) -> ClippedLinear:
    """Last layer with the weights of a linear classifier; its bias makes up for the rounding of the center."""
    layer = ClippedLinear(classifier.width, classifier.classes)
    rounded = classifier.center.astype(np.float32)
    bias = classifier.bias + classifier.weight.astype(np.float64) @ (rounded - classifier.center)
    values = classifier.arrays() | {"center": rounded, "bias": bias}
    layer.load_state_dict({name: torch.from_numpy(values[name]).float() for name in layer.state_dict()})
    return layer
