"""What the report shows as pictures beside its galleries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holotype.decide import label_names, narrowest, surest_of_classes
from holotype.members import Workshop
from holotype.report import Explained, PictureContents, Specimen, Uncertain
from holotype.road.charted import chosen_thresholds
from holotype.road.exhibits import pixels_of_row, row_of_sample, small_pixels, surely_wrong
from holotype.road.looking import explained, first_layer, kin_of_mistakes, look_around, map_contents, observer_of
from holotype.road.outcome import Outcome
from holotype.score import NestedScore
from holotype.spec import MemberSpec, ReportSpec
from holotype.types import Integers, LabelMatrix, some_rows

__all__ = ["pictures_of"]

UNCERTAIN_SHOWN, SPECIMENS_SHOWN = 24, 48


def pictures_of(
    outcome: Outcome, nested: NestedScore, spec: ReportSpec, members: Sequence[MemberSpec], workshop: Workshop
) -> PictureContents:
    """Everything that the report shows as pictures beside its galleries.

    Args:
        outcome: What the run came to.
        nested: Its honest score.
        spec: The recipe's section.
        members: The recipe's sections.
        workshop: What networks were made from.
    """
    wrong, _ = surely_wrong(outcome, nested)
    mistaken = nested.samples[wrong]
    views, uncertain = _views(outcome, nested, spec), _uncertain(outcome, nested)
    observer = observer_of(members, outcome.members, workshop)
    seen = look_around(observer, nested, spec.map, mistaken) if observer is not None and spec.map else None
    kin, kin_of = kin_of_mistakes(mistaken, seen, outcome)
    if observer is None:
        return PictureContents(views=views, uncertain=uncertain, kin=kin, kin_of=kin_of)
    shown: tuple[Explained, ...] = ()
    reason = ""
    if spec.attributions:
        worst = wrong[: spec.attributions]
        best = np.asarray(surest_of_classes(nested.truth, nested.decided, nested.logits, SPECIMENS_SHOWN), np.int64)
        right = best[~np.isin(best, worst)][: spec.attributions]
        places, kinds = np.concatenate([worst, right]), [True] * len(worst) + [False] * len(right)
        shown, reason = explained(places, kinds, observer, outcome, nested)
    drawn = None if seen is None else map_contents(seen, observer, outcome, nested)
    return PictureContents(shown, reason, views, first_layer(observer), uncertain, kin, kin_of, drawn)


def _views(outcome: Outcome, nested: NestedScore, spec: ReportSpec) -> tuple[Specimen, ...]:
    """Samples to be shown channel by channel: those asked for, or one of each of the commonest classes."""
    images = outcome.prepared.images
    if images.channels is None or len(images.channels) < 2:
        return ()
    if isinstance(spec.channels, list):
        number = {str(name): place for place, name in enumerate(images.samples.frame["sample"].to_list())}
        samples = np.array([number[name] for name in spec.channels], np.int64)
    else:
        samples = _of_common_classes(nested, spec.channels)
    ready = outcome.prepared
    readable = np.setdiff1d(np.arange(len(images)), ready.folds.unreadable)
    samples = samples[np.isin(samples, images.sample_numbers[readable])]
    names = images.samples.frame["sample"].cast(str)
    labels = label_names(images.samples.label_matrix(samples), images.classes)
    return tuple(
        Specimen(names[int(sample)], tuple(own), pixels_of_row(ready, row_of_sample(ready, int(sample))))
        for sample, own in zip(samples, labels, strict=True)
    )


def _of_common_classes(nested: NestedScore, count: int) -> Integers:
    truth = LabelMatrix.of(nested.truth)
    best = np.asarray(surest_of_classes(nested.truth, nested.decided, nested.logits, SPECIMENS_SHOWN), np.int64)
    sizes = truth.counts()
    commonest = [max(sizes[own]) if own else 0 for own in truth.rows(best).lists()]
    chosen = np.sort(np.argsort(-np.asarray(commonest), kind="stable")[:count])
    return nested.samples[best[chosen]] if len(best) else np.empty(0, np.int64)


def _uncertain(outcome: Outcome, nested: NestedScore) -> tuple[Uncertain, ...]:
    """The samples whose decision hangs on least."""
    images, decision = outcome.prepared.images, outcome.chosen.decision
    thresholds = chosen_thresholds(decision) or (0.5,) * len(images.classes)
    margin, classes, sure = narrowest(nested.logits, images.kind, thresholds)
    shown = np.argsort(margin, kind="stable")[:UNCERTAIN_SHOWN]
    truths, decisions = (label_names(some_rows(part, shown), images.classes) for part in (nested.truth, nested.decided))
    names, many = images.samples.frame["sample"].cast(str), images.kind == "multilabel"
    return tuple(
        Uncertain(
            id=names[int(nested.samples[row])],
            fold=int(outcome.prepared.folds.fold_of_sample[nested.samples[row]]),
            truth=tuple(truth), decided=tuple(decided),
            options=tuple(
                (images.classes[number], float(value), thresholds[number] if many else None)
                for number, value in zip(classes[row], sure[row], strict=True)
            ),
            pixels=small_pixels(outcome.prepared, row_of_sample(outcome.prepared, int(nested.samples[row]))),
        )
        for row, truth, decided in zip(shown, truths, decisions, strict=True)
    )  # fmt: skip
