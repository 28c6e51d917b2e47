"""Rules that bind sections to each other: what a section says must fit what another does."""

from __future__ import annotations

from collections.abc import Sequence

from holotype.errors import listing
from holotype.spec.data import DataSpec
from holotype.spec.decide import DecideSpec
from holotype.spec.ensemble import CalibrationSpec, EnsembleSpec, GreedySpec, WeightedSpec
from holotype.spec.member import MemberSpec
from holotype.spec.split import SplitSpec
from holotype.types import LEAVES

__all__ = ["leaves_by_one_name", "sections_agree"]

FOR_ONE_LABEL = ("argmax", "prior", "assign", "top")
FOR_MANY_LABELS = ("threshold", "cascade", "per-class", "prior", "top")


def sections_agree(
    data: DataSpec,
    members: Sequence[MemberSpec],
    split: SplitSpec,
    ensemble: EnsembleSpec | None,
    calibrate: CalibrationSpec | None,
    decide: DecideSpec | None,
) -> None:
    """Refuse sections that do not fit each other.

    Args:
        data: The recipe's section.
        members: The recipe's sections.
        split: The recipe's section.
        ensemble: The recipe's section, if there is one.
        calibrate: The recipe's section, if there is one.
        decide: The recipe's section, if there is one.

    Raises:
        ValueError: Two do not; the message begins with the place.
    """
    for number, member in enumerate(members):
        _channels_fit(member, data, f"members.{number}")
        _learning_fits(member, data, f"members.{number}")
        _levels_fit(member, data, f"members.{number}.head.levels")
    if calibrate is not None and calibrate.back_off is not None and data.labels.kind == "multilabel":
        raise ValueError("calibrate.back_off: it answers samples of one label; data.labels.kind is 'multilabel'")
    if decide is not None:
        _decision_fits(decide, data)
    teller = split.discriminator
    if teller is not None and teller not in [one.name for one in members if one.predictions is None]:
        raise ValueError(f"split.discriminator: {teller!r} should be one of the members that are trained")
    if isinstance(ensemble, WeightedSpec | GreedySpec) and ensemble.by and data.domain is None:
        raise ValueError("ensemble.by: 'domain' needs the column of the domains in data.domain")


def _decision_fits(section: DecideSpec, data: DataSpec) -> None:
    allowed = FOR_ONE_LABEL if data.labels.kind == "multiclass" else FOR_MANY_LABELS
    if section.kind not in allowed:
        gives = "one label" if section.kind in FOR_ONE_LABEL else "any number of labels"
        raise ValueError(
            f"decide: {section.kind!r} gives {gives} a sample, but data.labels.kind is {data.labels.kind!r}; "
            f"allowed: {listing(allowed)}"
        )
    if section.kind == "assign" and section.one_class_per not in data.groups:
        raise ValueError(f"decide.one_class_per: {section.one_class_per!r} should be one of data.groups")
    if section.kind == "assign" and section.unique_set_per not in {None, *data.groups}:
        raise ValueError(f"decide.unique_set_per: {section.unique_set_per!r} should be one of data.groups")


def _channels_fit(member: MemberSpec, data: DataSpec, place: str) -> None:
    seen = member.input.channels or data.channels
    for section, wanted, known in (("input", member.input.channels, data.channels),
                                   ("augment", member.augment.channels, seen)):  # fmt: skip
        unknown = [name for name in wanted or [] if name not in (known or [])]
        if unknown:
            allowed = listing(known) if known else "none; list them in data.channels"
            raise ValueError(f"{place}.{section}.channels: there is no channel {unknown[0]!r}; allowed: {allowed}")
    if member.input.normalise == "plate" and not data.groups:
        raise ValueError(f"{place}.input.normalise: 'plate' needs the column of the plates, first in data.groups")


def _learning_fits(member: MemberSpec, data: DataSpec, place: str) -> None:
    if member.specialise is not None and data.domain is None:
        raise ValueError(f"{place}.specialise: needs the column of the domains in data.domain")
    if member.pseudo is None:
        return
    has = {"test": data.test is not None, "external": bool(data.external)}
    has["both"] = has["test"] and has["external"]
    if not has[member.pseudo.rows]:
        raise ValueError(f"{place}.pseudo.rows: {member.pseudo.rows!r} needs rows that data does not name")


def _levels_fit(member: MemberSpec, data: DataSpec, place: str) -> None:
    levels, column = member.head.levels, data.labels.column
    if levels is None:
        return
    if data.labels.kind == "multilabel":
        raise ValueError(f"{place}: ranks are learnt of one label a sample; data.labels.kind is 'multilabel'")
    if data.labels.taxonomy is None:
        raise ValueError(f"{place}: there are no ranks; name a table of the classes' ranks in data.labels.taxonomy")
    if column != LEAVES and {column, LEAVES} <= set(levels.weights):
        raise ValueError(f"{place}.weights: {column!r} and {LEAVES!r} are the same; write one of them")
    if levels.weights.get(column) == 0:
        raise ValueError(f"{place}.weights: {column!r} should be above 0, or the classes would not be learnt")


def leaves_by_one_name(member: MemberSpec, column: str) -> MemberSpec:
    """A member that calls the classes' own rank `class`, whatever the labels' column is called.

    Args:
        member: The recipe's section.
        column: The labels' column.
    """
    levels = member.head.levels
    if levels is None or column not in levels.weights:
        return member
    weights = {LEAVES if name == column else name: weight for name, weight in levels.weights.items()}
    renamed = levels.model_copy(update={"weights": weights})
    return member.model_copy(update={"head": member.head.model_copy(update={"levels": renamed})})
