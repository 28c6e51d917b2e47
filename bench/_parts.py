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

    A change names keys of the member, or: `loss` and `phase` (of every phase), `members` (more of them, each by its
    own changes), `recipe` (sections beside the members).

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
TWO = {"members": [SECOND]}
RANKS = {"genus": 0.3, "family": 0.1}
CASCADE = {"kind": "cascade", "levels": [0.5, 0.46, 0.445], "fallback": "argmax"}
CYCLES = {"phase": {"schedule": {"name": "cosine-restarts", "cycles": 3}}}
LIKE_TEST = {"folds": 5, "like_test": True, "use": [0]}
CROPS = {"augment": {"crop": {"from": 96}}, "predict": {"views": {"crops": 4, "from": 96}}}

PARTS: dict[str, Part] = {
    # The decision and the ensemble: the networks are shared.
    "thresholds of each class's own": Part({"recipe": {"decide": {"kind": "per-class"}}}, sets=MANY_LABELS),
    "cascade": Part({"recipe": {"decide": CASCADE}}, sets=MANY_LABELS),
    "per-class instead of the cascade": Part(
        {"recipe": {"decide": {"kind": "per-class"}}}, {"recipe": {"decide": CASCADE}}, MANY_LABELS,
        {"community-b1b2": "per-class"}),
    "as often as in training": Part(
        {"recipe": {"decide": {"kind": "prior"}}}, sets=MANY_LABELS, marks={"bestfitting": "prior"}),
    "per-class instead of prior": Part(
        {"recipe": {"decide": {"kind": "per-class"}}}, {"recipe": {"decide": {"kind": "prior"}}}, MANY_LABELS,
        {"pudae": "per-class"}),
    "a second member, weighted": Part(TWO | {"recipe": {"ensemble": {"kind": "weighted"}}}, sets=SCORED),
    "mean instead of weighted": Part(
        {"recipe": {"ensemble": {"kind": "mean"}}}, TWO | {"recipe": {"ensemble": {"kind": "weighted"}}}, SCORED,
        {"pudae": "mean"}),
    "mean instead of a stack": Part(
        {"recipe": {"ensemble": {"kind": "mean"}}}, TWO | {"recipe": {"ensemble": {"kind": "stack"}}}, MANY_LABELS,
        {"one-more-layer-of-stacking": "mean"}),
    "a stack without image statistics": Part(
        {"recipe": {"ensemble": {"kind": "stack", "features": ["scores"]}}},
        TWO | {"recipe": {"ensemble": {"kind": "stack", "features": ["scores", "image-statistics"]}}}, MANY_LABELS,
        {"one-more-layer-of-stacking": "statistics"}),
    "one weight for all domains": Part(
        {"recipe": {"ensemble": {"kind": "weighted"}}},
        TWO | {"recipe": {"ensemble": {"kind": "weighted", "by": "domain"}}}, ("screen", "drawn", "mitocheck"),
        {"cellular-silver": "by"}),
    "no assignment": Part(
        {"recipe": {"decide": {"kind": "argmax"}}},
        {"recipe": {"decide": {"kind": "assign", "one_class_per": "batch", "sets": "sets.csv"}}}, ("screen",),
        {"cellular-silver": "assign"}),
    # How an image is read at prediction: the networks are shared.
    "no views": Part({"predict": {"views": "none"}}, {"predict": {"views": "d4"}}, SCORED, {"pudae": "views"}),
    "eight drawn views instead of d4": Part(
        {"predict": {"views": {"as_trained": 8}}}, {"predict": {"views": "d4"}}, SCORED),
    "the mean of the crops instead of the largest": Part(
        {"predict": {"pool": "mean-logit"}}, CROPS | {"predict": CROPS["predict"] | {"pool": "max"}},
        ("atlas", "bccd"), {"bestfitting": "pool"}),
    "the whole image in eight views instead of crops": Part(
        {"predict": {"views": "d4", "pool": "max"}}, CROPS | {"predict": CROPS["predict"] | {"pool": "max"}},
        ("atlas", "bccd"), {"bestfitting": "views"}),
    # What joins a network, and what is learnt of others.
    "neighbours": Part({"neighbours": {"k": 5}}, sets=SCORED),
    "neighbours that vote instead of taking over": Part(
        {"neighbours": {"k": 5}}, {"neighbours": {"k": 1, "take_over": 0.9}}, SCORED, {"bestfitting": "votes"}),
    "no retrieval": Part({"neighbours": None}, {"neighbours": {"k": 1, "take_over": 0.9}}, SCORED,
                         {"bestfitting": "neighbours"}),
    "no specialists": Part(
        {"specialise": None}, {"specialise": {"phases": [{"epochs": 4, "lr": 5.0e-4}], "least": 40}},
        ("screen", "drawn"), {"cellular-silver": "specialise"}),
    "no pseudo-labels": Part({"pseudo": None}, {"pseudo": {"confidence": 0.95}}, (*REAL, "screen", "drawn"),
                             {"cellular-silver": "pseudo"}),
    # Losses and heads.
    "focal": Part({"loss": FOCAL}, sets=SCORED),
    "focal alone instead of focal and Lovász": Part(
        {"loss": FOCAL}, {"loss": FOCAL | {"lovasz": 1.0}}, MANY_LABELS, {"bestfitting": "lovasz"}),
    "focal and LSEP": Part({"loss": FOCAL | {"lsep": 1.0}}, sets=MANY_LABELS),
    "a hidden layer on concatenated pools": Part(
        {"head": {"pool": "concat", "batch_norm": True, "hidden": 128, "dropout": 0.5}}, sets=REAL),
    "no margin": Part(
        {"head": {"margin": None}, "loss": "cross_entropy"},
        ANGLES | {"loss": {"cross_entropy": 0.8, "arcface": 0.2}}, ("screen", "leaf", "jurkat"),
        {"cellular-silver": "arcface"}),
    "arcface for all species": Part(ANGLES | {"loss": {"arcface": {"warm_up": 2}}}, sets=("sheets", "leaf"),
                                    marks={"herbarium-focal": "arcface"}),
    "ranks as sums instead of heads": Part(
        {"head": {"levels": {"kind": "sums", "weights": RANKS}}},
        {"head": {"levels": {"kind": "heads", "weights": RANKS}}}, ("sheets", "leaf"), {"herbarium-focal": "sums"}),
    "species alone": Part({"head": {"levels": None}}, {"head": {"levels": {"kind": "heads", "weights": RANKS}}},
                          ("sheets", "leaf"), {"herbarium-focal": "levels"}),
    "no class weights": Part(
        {"phase": {"class_weights": None}}, {"phase": {"class_weights": "inverse"}, "loss": FOCAL},
        ("sheets", "leaf", "jurkat", "mitocheck"), {"herbarium-focal": "weights"}),
    # How a network is trained.
    "rare classes drawn more often": Part(
        {"sampler": "sqrt"}, {"sampler": "shuffle"}, ("sheets", "leaf", "bccd", "atlas"),
        {"herbarium-focal": "sampler"}),
    "restarts instead of one cycle": Part(CYCLES, sets=REAL, marks={"community-b1b2": "cosine-restarts"}),
    "snapshots": Part({"keep": {"cycles": 3}}, CYCLES, REAL, {"one-more-layer-of-stacking": "snapshots"}),
    "weights of the last three averaged, not their predictions": Part(
        {"keep": {"last": 3, "merge": "weights"}}, {"keep": {"last": 3, "merge": "predictions"}}, REAL,
        {"pudae": "merge", "community-b1b2": "merge"}),
    "mixup": Part({"augment": {"mix": "mixup"}}, sets=(*REAL, "atlas"), marks={"one-more-layer-of-stacking": "mixup"}),
    "sample pairing": Part({"augment": {"mix": "pairing"}}, sets=(*REAL, "atlas"),
                           marks={"one-more-layer-of-stacking": "pairing"}),
    "the green channel alone changed": Part({"augment": {"channels": ["green"]}}, sets=("atlas",),
                                            marks={"one-more-layer-of-stacking": "green"}),
    "smaller rates further from the head": Part({"phase": {"layer_decay": 0.7}}, sets=REAL),
    "twice the size": Part({"input": {"size": 128}}, sets=("atlas", "mitocheck"),
                           marks={"one-more-layer-of-stacking": "1024"}),
    "half the size": Part({"input": {"size": 32}}, sets=("atlas", "mitocheck"), marks={"pudae": "512"}),
    "scaled by plate": Part({"input": {"normalise": "plate"}}, sets=("screen", "mitocheck", "drawn"),
                            marks={"cellular-silver": "plate"}),
    "one class against the rest": Part(
        {"members": [{"name": "only", "classes": "the rarest"}], "recipe": {"ensemble": {"kind": "weighted"}}},
        sets=("atlas", "bccd"), marks={"one-more-layer-of-stacking": "one-against-rest"}),
    # What the score is measured on.
    "a holdout like the test rows": Part(
        {"recipe": {"split": LIKE_TEST}}, {"recipe": {"split": {"folds": 5, "use": [0]}}}, ("dated",),
        judged="distance"),
    "all folds instead of a holdout like the test rows": Part(
        {"recipe": {"split": {"folds": 5, "use": "all"}}}, {"recipe": {"split": LIKE_TEST}}, ("dated",),
        {"one-more-layer-of-stacking": "folds"}, "distance"),
    "a holdout by a discriminator": Part(
        {"recipe": {"split": LIKE_TEST | {"discriminator": "m"}}}, {"recipe": {"split": LIKE_TEST}}, ("dated",),
        {"herbarium-focal": "discriminator"}, "distance"),
    "whole experiments left out": Part(
        {"recipe": {"split": {"folds": "leave-group-out"}}}, {"recipe": {"split": {"folds": 4}}}, ("screen",),
        {"cellular-silver": "leave-group-out"}, "distance"),
}  # fmt: skip


def content_of(
    name: str, one: TrialSet, changes: list[Changes], seed: int, threads: int, tested: bool = False
) -> dict[str, Any]:
    """The whole recipe of a set, the plain one with some changes; with test rows where something hangs on them."""
    content: dict[str, Any] = {
        "name": "parts", "seed": seed, "metric": one.metric, "data": one.data, "run": {"threads": threads},
        "split": {"use": list(range(one.folds))},
        "decide": {"kind": "threshold" if name in MANY_LABELS else "argmax"}, "ensemble": {"kind": "mean"},
    }  # fmt: skip
    joined = merged({}, *(one_change for one_change in changes))
    others = joined.pop("members", [])
    content |= joined.pop("recipe", {})
    if content["decide"].get("sets"):
        content["decide"] = content["decide"] | {"sets": str(one.data["train"]).replace("train.csv", "sets.csv")}
    content["members"] = [member(one, joined), *(member(one, merged(joined, other)) for other in others)]
    if not tested and not any(own.get("pseudo") for own in content["members"]):
        content["data"] = {key: value for key, value in one.data.items() if key != "test"}  # nothing is learnt of it
    return content


def member(one: TrialSet, changes: Changes) -> dict[str, Any]:
    """The plain member of a set with some changes."""
    plain: dict[str, Any] = {
        "name": "m", "weights": "lite", "input": {"size": one.size}, "predict": {"views": "flips"},
        "sampler": {"cap": one.cap} if one.cap else "shuffle", "phases": [{"epochs": one.epochs}],
    }  # fmt: skip
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
