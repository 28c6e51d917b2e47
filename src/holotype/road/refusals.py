"""What a recipe may not ask of its data, above all where classes are very many, said before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holotype.errors import DataError, RecipeError
from holotype.spec import CalibrateSpec, DecideSpec, EnsembleSpec, MemberSpec, ReportSpec
from holotype.types import MANY, MOST, ImageTable, Kind

__all__ = ["notes_on_many_classes", "refuse_for_many_classes", "refuse_sampling", "refuse_unknown_samples"]

ENSEMBLES, DECISIONS, CALIBRATIONS = ("mean", "weighted"), ("argmax", "top"), ("temperature",)
WHY = f"above {MANY:,} classes the scores of a sample's {MOST} likeliest classes are kept, and the sum of the others"


def refuse_for_many_classes(
    classes: int, kind: Kind, metric: str, ensemble: EnsembleSpec | None, calibrate: CalibrateSpec,
    decide: DecideSpec | None,
) -> None:  # fmt: skip
    """Refuse what needs the scores of all classes, where only the likeliest are kept.

    Args:
        classes: How many there are.
        kind: `multiclass` or `multilabel`.
        metric: The recipe's metric.
        ensemble: The recipe's section.
        calibrate: The recipe's section.
        decide: The recipe's section.

    Raises:
        DataError: Samples have many labels each.
        RecipeError: A choice does not go with so many classes.
    """
    if classes <= MANY:
        return
    if kind == "multilabel":
        raise DataError(f"there are {classes:,} classes, and {WHY}, which many labels a sample cannot do with",
                        field="data.labels.kind", value=kind,
                        remedy=f"list at most {MANY:,} classes, or write `multiclass`")  # fmt: skip
    if metric == "map":
        _refuse("metric", metric, "average precision ranks all samples within every class", ("accuracy", "macro_f1"))
    if ensemble is not None and ensemble.kind not in ENSEMBLES:
        _refuse("ensemble.kind", ensemble.kind, "it looks at every class by itself", ENSEMBLES)
    if getattr(ensemble, "space", None) == "rank":
        _refuse("ensemble.space", "rank", "ranks are those of every class by itself", ("logit", "probability"))
    if getattr(ensemble, "by", None) is not None:
        _refuse("ensemble.by", "domain", "weights are fitted for all samples together", ("null",))
    if calibrate is not None and calibrate.method not in {None, *CALIBRATIONS}:
        _refuse("calibrate.method", calibrate.method or "", "it looks at every class by itself", CALIBRATIONS)
    for name in ("sets", "abstain", "back_off"):
        if getattr(calibrate, name, None) is not None:
            given = getattr(calibrate, name)
            _refuse(f"calibrate.{name}", str(given), "it looks at the probabilities of all classes", ("null",))
    if decide is not None and decide.kind not in DECISIONS:
        _refuse("decide.kind", decide.kind, "it looks at every class by itself", DECISIONS)


def refuse_sampling(members: Sequence[MemberSpec], classes: int, kind: Kind) -> None:
    """Refuse steps over some of the classes where every class is a question by itself.

    Args:
        members: The recipe's sections.
        classes: How many there are.
        kind: `multiclass` or `multilabel`.

    Raises:
        RecipeError: A head samples classes, and samples have many labels; a loss has a number for every class; or a
            member of some classes is one of very many.
    """
    for number, member in enumerate(members):
        if member.classes != "all" and classes > MANY:
            raise RecipeError(f"{WHY}, and a member of some classes needs what the others say of all",
                              field=f"members.{number}.classes", remedy="write `all`")  # fmt: skip
        if member.head.sampled is not None and kind == "multilabel":
            raise RecipeError("steps over some of the classes are for one label a sample",
                              field=f"members.{number}.head.sampled", value=member.head.sampled,
                              remedy="leave it out")  # fmt: skip
        if member.head.sampled is None and classes <= MANY:
            continue
        for place, phase in enumerate(member.phases):
            for name, given in phase.loss.items() if isinstance(phase.loss, Mapping) else ():
                if isinstance(given, Mapping) and isinstance(given.get("alpha"), Sequence):
                    raise RecipeError(f"a step looks at some of {classes:,} classes, {name!r} has a number for each",
                                      field=f"members.{number}.phases.{place}.loss.{name}.alpha",
                                      remedy="write one number, or `class_weights`")  # fmt: skip


def notes_on_many_classes(classes: int) -> tuple[str, ...]:
    """What a run over so many classes leaves out, in sentences.

    Args:
        classes: How many there are.
    """
    if classes <= MANY:
        return ()
    return (
        f"There are {classes:,} classes: {WHY}; labels that are likely wrong are not looked for, and the report has no "
        "matrix of confusions.",
    )


def _refuse(field: str, value: str, why: str, allowed: tuple[str, ...]) -> None:
    raise RecipeError(f"{WHY}; {value!r} does not go with that, since {why}", field=field, value=value,
                      allowed=allowed)  # fmt: skip


def refuse_unknown_samples(spec: ReportSpec, images: ImageTable) -> None:
    """Refuse samples that the report is to show and that are not there.

    Args:
        spec: The recipe's section.
        images: The table.

    Raises:
        RecipeError: There is no such sample.
    """
    known = images.samples.frame["sample"].cast(str).to_list() if isinstance(spec.channels, list) else []
    for name in spec.channels if isinstance(spec.channels, list) else ():
        if name not in known:
            raise RecipeError(f"there is no sample {name!r}", field="report.channels", remedy="write ids of samples as "
                              "the tables have them, or how many to show")  # fmt: skip
