"""What cannot be said as one graph, each with the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holotype.errors import InputError, listing
from holotype.spec import MemberSpec
from holotype.types import Ensemble

__all__ = ["refuse_ensemble", "refuse_member"]


def refuse_member(section: MemberSpec, name: str, views: object, alone: bool, others: Sequence[str]) -> None:
    """Refuse a member whose answers hang on more than the pixels of one image.

    Args:
        section: The recipe's section.
        name: The member's name, its neighbours' where those are meant.
        views: How often an image is read.
        alone: Whether it is exported by itself.
        others: The members that could be exported by themselves.

    Raises:
        InputError: With what to export in its place.
    """
    rest = [other for other in others if other != name]
    remedy = f"export another member: --member {rest[0]}" if rest else "the run itself predicts: holotype predict"
    remedy = f"export the members that are networks: --member {listing(rest)}" if rest and not alone else remedy
    if section.predictions is not None:
        raise InputError(f"the scores of {name!r} were made elsewhere, so that there is no network", remedy=remedy)
    if name != section.name:
        raise InputError(f"{name!r} looks its answers up in a collection of specimens, which a graph does not hold",
                         remedy=remedy)  # fmt: skip
    if section.input.normalise != "dataset":
        whose = {"image": "of each file", "plate": "of each plate"}[section.input.normalise]
        raise InputError(
            f"{name!r} scales pixels by the mean {whose}, which its input no longer shows", field="input.normalise",
            value=section.input.normalise, allowed=("dataset",), remedy=f"train with it, or {remedy}",
        )  # fmt: skip
    if isinstance(views, Mapping) and "as_trained" in views:
        raise InputError(f"{name!r} reads views that are drawn as in training", field="predict.views",
                         remedy="add --views none, flips or d4; the card says whose they are")  # fmt: skip


def refuse_ensemble(
    ensemble: Ensemble, members: Mapping[str, MemberSpec], cards: Mapping[str, Mapping[str, Any]], domain: str | None
) -> None:
    """Refuse an ensemble that is no mean or vote of networks that read one and the same input.

    Args:
        ensemble: As it was fitted.
        members: The sections of those that are networks.
        cards: One of each member's networks.
        domain: The domain that it is exported for.

    Raises:
        InputError: With what to export in its place.
    """
    alone = f"export the members by themselves: --member {listing(members)}"
    if ensemble.stack:
        raise InputError("a stack of gradient-boosted trees is no part of a graph", field="ensemble.kind",
                         value=ensemble.kind, remedy=alone)  # fmt: skip
    if ensemble.ladder is not None:
        raise InputError("a mean of ranks is read from tables that are no part of a graph", field="ensemble.space",
                         remedy=alone)  # fmt: skip
    if len(members) == 1:
        return
    some = [name for name, section in members.items() if section.classes != "all"]
    if some:
        raise InputError(f"{listing(some)} answers for some of the classes, and is completed by the others",
                         field="members.classes", remedy=alone)  # fmt: skip
    forms = {name: _form(card) for name, card in cards.items()}
    if len(set(forms.values())) > 1:
        sides = ", ".join(f"{name} {form[2]}x{form[1]}" for name, form in forms.items())
        raise InputError(f"the members read images stored in different forms ({sides} pixels)", field="members.input",
                         remedy=alone)  # fmt: skip
    own = sorted(ensemble.parts)
    if own and domain is None:
        raise InputError("the members' weights hang on the domain", field="--domain", allowed=own,
                         remedy="export a graph for each: --domain NAME")  # fmt: skip


def _form(card: Mapping[str, Any]) -> tuple[Any, ...]:
    resize, tile = card["member"]["input"]["resize"], card["member"]["input"]["tile"]
    return card["channels"], *card["canvas"], "stretch" if resize == "stretch" else "fit", tile is not None
