"""The parts of the six systems and of Holotype itself: what each changes in a recipe, and on which sets it is tried."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from _sets import MANY_LABELS, SCORED, TrialSet

Changes = dict[str, Any]
ONE_LABEL = tuple(name for name in SCORED if name not in MANY_LABELS)
REAL = ("leaf", "jurkat", "mitocheck", "bccd")
FOCAL = {"focal": {"weight": 1.0, "gamma": 2.0}}
ANGLES = {"head": {"margin": {}}}


@dataclass(frozen=True)
class Part:
    """One difference between two recipes.

    A change names keys of the model, or: `loss` and `phase` (of every phase), `models` (more of them, each by its
    own changes), `recipe` (sections beside the models).

    Args:
        with_it: What the part adds to the base.
        base: What both recipes change in the plain one.
        sets: Where it is tried.
        marks: By system the mark of its switch in the system's page, with a minus where the switch takes it away.
        judged: By the nested score, or by how far that is from the score on the test samples, whose truth is known:
            how the folds are made changes what is measured.
    """

    with_it: Changes
    base: Changes = field(default_factory=dict)
    sets: tuple[str, ...] = REAL
    marks: Mapping[str, str] = field(default_factory=dict)
    judged: Literal["score", "distance"] = "score"


SECOND = {"name": "focal", "loss": FOCAL}
TWO = {"models": [SECOND]}
RANKS = {"genus": 0.3, "family": 0.1}
CASCADE = {"kind": "cascade", "levels": [0.5, 0.46, 0.445], "fallback": "argmax"}
CYCLES = {"phase": {"schedule": {"name": "cosine-restarts", "cycles": 3}}}
LIKE_TEST = {"folds": 5, "like_test": True, "folds_to_train": [0]}
CROPS = {"augment": {"crop": {"image_size": 96}}, "predict": {"tta": {"crops": 4, "image_size": 96}}}

PARTS: dict[str, Part] = {
    # The decision and the ensemble: the networks are shared.
    "one threshold per class": Part({"recipe": {"decision": {"kind": "per-class"}}}, sets=MANY_LABELS),
    "cascade": Part({"recipe": {"decision": CASCADE}}, sets=MANY_LABELS),
    "one threshold per class instead of the cascade": Part(
        {"recipe": {"decision": {"kind": "per-class"}}},
        {"recipe": {"decision": CASCADE}},
        MANY_LABELS,
        {"community-b1b2": "per-class"},
    ),
    "class frequencies as in training": Part(
        {"recipe": {"decision": {"kind": "prior"}}}, sets=MANY_LABELS, marks={"bestfitting": "prior"}
    ),
    "one threshold per class instead of class frequencies": Part(
        {"recipe": {"decision": {"kind": "per-class"}}},
        {"recipe": {"decision": {"kind": "prior"}}},
        MANY_LABELS,
        {"pudae": "per-class"},
    ),
    "a second model with a fitted weight": Part(TWO | {"recipe": {"ensemble": {"kind": "weighted"}}}, sets=SCORED),
    "mean instead of weighted": Part(
        {"recipe": {"ensemble": {"kind": "mean"}}},
        TWO | {"recipe": {"ensemble": {"kind": "weighted"}}},
        SCORED,
        {"pudae": "mean"},
    ),
    "mean instead of a stack": Part(
        {"recipe": {"ensemble": {"kind": "mean"}}},
        TWO | {"recipe": {"ensemble": {"kind": "stack"}}},
        MANY_LABELS,
        {"one-more-layer-of-stacking": "mean"},
    ),
    "a stack without image statistics": Part(
        {"recipe": {"ensemble": {"kind": "stack", "features": ["scores"]}}},
        TWO | {"recipe": {"ensemble": {"kind": "stack", "features": ["scores", "image-statistics"]}}},
        MANY_LABELS,
        {"one-more-layer-of-stacking": "statistics"},
    ),
    "one weight for all domains": Part(
        {"recipe": {"ensemble": {"kind": "weighted"}}},
        TWO | {"recipe": {"ensemble": {"kind": "weighted", "by": "domain"}}},
        ("screen", "drawn", "mitocheck"),
        {"cellular-silver": "by"},
    ),
    "no assignment": Part(
        {"recipe": {"decision": {"kind": "argmax"}}},
        {"recipe": {"decision": {"kind": "assign", "unique_class_per": "batch", "class_sets": "sets.csv"}}},
        ("screen",),
        {"cellular-silver": "assign"},
    ),
    # How an image is read at prediction: the networks are shared.
    "no test-time augmentation": Part(
        {"predict": {"tta": "none"}}, {"predict": {"tta": "d4"}}, SCORED, {"pudae": "views"}
    ),
    "eight random views instead of d4": Part(
        {"predict": {"tta": {"train_augmentation": 8}}}, {"predict": {"tta": "d4"}}, SCORED
    ),
    "crops pooled by mean instead of maximum": Part(
        {"predict": {"pooling": "mean-logit"}},
        CROPS | {"predict": CROPS["predict"] | {"pooling": "max"}},
        ("atlas", "bccd"),
        {"bestfitting": "pool"},
    ),
    "eight views of the whole image instead of crops": Part(
        {"predict": {"tta": "d4", "pooling": "max"}},
        CROPS | {"predict": CROPS["predict"] | {"pooling": "max"}},
        ("atlas", "bccd"),
        {"bestfitting": "views"},
    ),
    # What joins a network, and what is learnt of others.
    "neighbors": Part({"neighbors": {"k": 5}}, sets=SCORED),
    "neighbors that vote instead of override": Part(
        {"neighbors": {"k": 5}}, {"neighbors": {"k": 1, "override_similarity": 0.9}}, SCORED, {"bestfitting": "votes"}
    ),
    "no neighbors": Part(
        {"neighbors": None}, {"neighbors": {"k": 1, "override_similarity": 0.9}}, SCORED, {"bestfitting": "neighbors"}
    ),
    "no specialists": Part(
        {"specialists": None},
        {"specialists": {"phases": [{"epochs": 4, "lr": 5.0e-4}], "min_samples": 40}},
        ("screen", "drawn"),
        {"cellular-silver": "specialists"},
    ),
    "no pseudo-labels": Part(
        {"pseudo_labels": None},
        {"pseudo_labels": {"confidence": 0.95}},
        (*REAL, "screen", "drawn"),
        {"cellular-silver": "pseudo"},
    ),
    # Losses and heads.
    "focal loss": Part({"loss": FOCAL}, sets=SCORED),
    "focal loss without Lovász loss": Part(
        {"loss": FOCAL}, {"loss": FOCAL | {"lovasz": 1.0}}, MANY_LABELS, {"bestfitting": "lovasz"}
    ),
    "focal loss with LSEP loss": Part({"loss": FOCAL | {"lsep": 1.0}}, sets=MANY_LABELS),
    "hidden layer on concatenated pooling": Part(
        {"head": {"pool": "concat", "batch_norm": True, "hidden": 128, "dropout": 0.5}}, sets=REAL
    ),
    "no margin": Part(
        {"head": {"margin": None}, "loss": "cross_entropy"},
        ANGLES | {"loss": {"cross_entropy": 0.8, "arcface": 0.2}},
        ("screen", "leaf", "jurkat"),
        {"cellular-silver": "arcface"},
    ),
    "ArcFace for all species": Part(
        ANGLES | {"loss": {"arcface": {"warmup_epochs": 2}}},
        sets=("sheets", "leaf"),
        marks={"herbarium-focal": "arcface"},
    ),
    "marginal taxonomy instead of separate heads": Part(
        {"head": {"taxonomy": {"kind": "marginal", "weights": RANKS}}},
        {"head": {"taxonomy": {"kind": "separate", "weights": RANKS}}},
        ("sheets", "leaf"),
        {"herbarium-focal": "sums"},
    ),
    "no taxonomy in training": Part(
        {"head": {"taxonomy": None}},
        {"head": {"taxonomy": {"kind": "separate", "weights": RANKS}}},
        ("sheets", "leaf"),
        {"herbarium-focal": "taxonomy"},
    ),
    "no class weights": Part(
        {"phase": {"class_weights": None}},
        {"phase": {"class_weights": "inverse"}, "loss": FOCAL},
        ("sheets", "leaf", "jurkat", "mitocheck"),
        {"herbarium-focal": "weights"},
    ),
    # How a network is trained.
    "rare classes sampled more often": Part(
        {"sampler": "sqrt"}, {"sampler": "shuffle"}, ("sheets", "leaf", "bccd", "atlas"), {"herbarium-focal": "sampler"}
    ),
    "warm restarts instead of one cycle": Part(CYCLES, sets=REAL, marks={"community-b1b2": "cosine-restarts"}),
    "snapshot ensemble": Part(
        {"checkpoints": {"cycles": 3}}, CYCLES, REAL, {"one-more-layer-of-stacking": "snapshots"}
    ),
    "averaged weights instead of averaged predictions": Part(
        {"checkpoints": {"last": 3, "average": "weights"}},
        {"checkpoints": {"last": 3, "average": "predictions"}},
        REAL,
        {"pudae": "average", "community-b1b2": "average"},
    ),
    "mixup": Part({"augment": {"mix": "mixup"}}, sets=(*REAL, "atlas"), marks={"one-more-layer-of-stacking": "mixup"}),
    "sample pairing": Part(
        {"augment": {"mix": "sample-pairing"}}, sets=(*REAL, "atlas"), marks={"one-more-layer-of-stacking": "pairing"}
    ),
    "augmentation of the green channel only": Part(
        {"augment": {"channels": ["green"]}}, sets=("atlas",), marks={"one-more-layer-of-stacking": "green"}
    ),
    "layer-wise learning rate decay": Part({"phase": {"layer_decay": 0.7}}, sets=REAL),
    "twice the size": Part(
        {"input": {"size": 128}}, sets=("atlas", "mitocheck"), marks={"one-more-layer-of-stacking": "1024"}
    ),
    "half the size": Part({"input": {"size": 32}}, sets=("atlas", "mitocheck"), marks={"pudae": "512"}),
    "normalization per plate": Part(
        {"input": {"normalize": "plate"}}, sets=("screen", "mitocheck", "drawn"), marks={"cellular-silver": "plate"}
    ),
    "one class against the rest": Part(
        {"models": [{"name": "only", "classes": "the rarest"}], "recipe": {"ensemble": {"kind": "weighted"}}},
        sets=("atlas", "bccd"),
        marks={"one-more-layer-of-stacking": "one-against-rest"},
    ),
    # What the score is measured on.
    "a holdout that resembles the test rows": Part(
        {"recipe": {"split": LIKE_TEST}},
        {"recipe": {"split": {"folds": 5, "folds_to_train": [0]}}},
        ("dated",),
        judged="distance",
    ),
    "all folds instead of a holdout that resembles the test rows": Part(
        {"recipe": {"split": {"folds": 5, "folds_to_train": "all"}}},
        {"recipe": {"split": LIKE_TEST}},
        ("dated",),
        {"one-more-layer-of-stacking": "folds"},
        "distance",
    ),
    "a holdout by an adversarial model": Part(
        {"recipe": {"split": LIKE_TEST | {"adversarial_model": "m"}}},
        {"recipe": {"split": LIKE_TEST}},
        ("dated",),
        {"herbarium-focal": "discriminator"},
        "distance",
    ),
    "whole experiments left out": Part(
        {"recipe": {"split": {"folds": "leave-group-out"}}},
        {"recipe": {"split": {"folds": 4}}},
        ("screen",),
        {"cellular-silver": "leave-group-out"},
        "distance",
    ),
}


def content_of(
    name: str, one: TrialSet, changes: list[Changes], seed: int, threads: int, tested: bool = False
) -> dict[str, Any]:
    """The whole recipe of a set, the plain one with some changes; with test rows where something hangs on them."""
    content: dict[str, Any] = {
        "name": "parts",
        "seed": seed,
        "metric": one.metric,
        "data": one.data,
        "run": {"threads": threads},
        "split": {"folds_to_train": list(range(one.folds))},
        "decision": {"kind": "threshold" if name in MANY_LABELS else "argmax"},
        "ensemble": {"kind": "mean"},
    }
    joined = merged({}, *(one_change for one_change in changes))
    others = joined.pop("models", [])
    content |= joined.pop("recipe", {})
    if content["decision"].get("class_sets"):
        content["decision"] = content["decision"] | {
            "class_sets": str(one.data["train"]).replace("train.csv", "sets.csv")
        }
    content["models"] = [model(one, joined), *(model(one, merged(joined, other)) for other in others)]
    if not tested and not any(own.get("pseudo_labels") for own in content["models"]):
        content["data"] = {key: value for key, value in one.data.items() if key != "test"}  # nothing is learnt of it
    return content


def model(one: TrialSet, changes: Changes) -> dict[str, Any]:
    """The plain model of a set with some changes."""
    plain: dict[str, Any] = {
        "name": "m",
        "weights": "lite",
        "input": {"size": one.size},
        "predict": {"tta": "flips"},
        "sampler": {"cap": one.cap} if one.cap else "shuffle",
        "phases": [{"epochs": one.epochs}],
    }
    made = copy.deepcopy(plain | one.network)
    changes = copy.deepcopy(changes)
    loss, phase = changes.pop("loss", None), changes.pop("phase", {})
    for own in made["phases"]:
        own.update(phase | ({"loss": loss} if loss else {}))
    for key, value in changes.items():
        made[key] = made[key] | value if isinstance(made.get(key), dict) and isinstance(value, dict) else value
    return made


def merged(first: Changes, *others: Changes) -> Changes:
    """Changes one after the other; sections are merged key by key, what is no section is replaced."""
    result = copy.deepcopy(first)
    for other in others:
        for key, value in other.items():
            whole = key in {"loss", "views"} or not isinstance(value, dict) or not isinstance(result.get(key), dict)
            result[key] = copy.deepcopy(value) if whole else result[key] | copy.deepcopy(value)
    return result
