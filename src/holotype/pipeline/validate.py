"""What a recipe may not ask of its data, above all where classes are very many, said before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holotype.core.errors import DataError, RecipeError
from holotype.recipe.sections import CalibrationSpecOrNone, DecisionSpec, EnsembleSpec, ModelSpec, ReportSpec
from holotype.types import MANY_CLASSES, TOP_K, ImageTable, Kind

__all__ = [
    "class_count_notes",
    "require_existing_samples",
    "require_supported_class_count",
    "require_valid_class_sampling",
]

ENSEMBLES, DECISIONS, CALIBRATIONS = ("mean", "weighted"), ("argmax", "top"), ("temperature",)
TOP_K_REASON = (
    f"above {MANY_CLASSES:,} classes the scores of a sample's {TOP_K} likeliest classes are kept, and the "
    f"sum of the others"
)


def require_supported_class_count(
    classes: int,
    kind: Kind,
    metric: str,
    ensemble: EnsembleSpec | None,
    calibrate: CalibrationSpecOrNone,
    decide: DecisionSpec | None,
) -> None:
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
    if classes <= MANY_CLASSES:
        return
    if kind == "multilabel":
        raise DataError(
            f"there are {classes:,} classes, and {TOP_K_REASON}, which many labels a sample cannot do with",
            field="data.labels.kind",
            value=kind,
            remedy=f"list at most {MANY_CLASSES:,} classes, or write `multiclass`",
        )
    if metric == "map":
        _raise_unsupported(
            "metric", metric, "average precision ranks all samples within every class", ("accuracy", "macro_f1")
        )
    if ensemble is not None and ensemble.kind not in ENSEMBLES:
        _raise_unsupported("ensemble.kind", ensemble.kind, "it looks at every class by itself", ENSEMBLES)
    if getattr(ensemble, "space", None) == "rank":
        _raise_unsupported(
            "ensemble.space", "rank", "ranks are those of every class by itself", ("logit", "probability")
        )
    if getattr(ensemble, "by", None) is not None:
        _raise_unsupported("ensemble.by", "domain", "weights are fitted for all samples together", ("null",))
    if calibrate is not None and calibrate.method not in {None, *CALIBRATIONS}:
        _raise_unsupported(
            "calibration.method", calibrate.method or "", "it looks at every class by itself", CALIBRATIONS
        )
    for name in ("prediction_sets", "abstain", "back_off"):
        if getattr(calibrate, name, None) is not None:
            option = getattr(calibrate, name)
            _raise_unsupported(
                f"calibration.{name}", str(option), "it looks at the probabilities of all classes", ("null",)
            )
    if decide is not None and decide.kind not in DECISIONS:
        _raise_unsupported("decision.kind", decide.kind, "it looks at every class by itself", DECISIONS)


def require_valid_class_sampling(models: Sequence[ModelSpec], classes: int, kind: Kind) -> None:
    """Refuse steps over some of the classes where every class is a question by itself.

    Args:
        models: The recipe's sections.
        classes: How many there are.
        kind: `multiclass` or `multilabel`.

    Raises:
        RecipeError: A head samples classes, and samples have many labels; a loss has a number for every class; or a
            model of some classes is one of very many.
    """
    for number, model in enumerate(models):
        if model.classes != "all" and classes > MANY_CLASSES:
            raise RecipeError(
                f"{TOP_K_REASON}, and a model of some classes needs what the others say of all",
                field=f"models.{number}.classes",
                remedy="write `all`",
            )
        if model.head.classes_per_step is not None and kind == "multilabel":
            raise RecipeError(
                "steps over some of the classes are for one label a sample",
                field=f"models.{number}.head.classes_per_step",
                value=model.head.classes_per_step,
                remedy="leave it out",
            )
        if model.head.classes_per_step is None and classes <= MANY_CLASSES:
            continue
        for phase_index, phase in enumerate(model.phases):
            for name, options in phase.loss.items() if isinstance(phase.loss, Mapping) else ():
                if isinstance(options, Mapping) and isinstance(options.get("alpha"), Sequence):
                    raise RecipeError(
                        f"a step looks at some of {classes:,} classes, {name!r} has a number for each",
                        field=f"models.{number}.phases.{phase_index}.loss.{name}.alpha",
                        remedy="write one number, or `class_weights`",
                    )


def class_count_notes(classes: int) -> tuple[str, ...]:
    """What a run over so many classes leaves out, in sentences.

    Args:
        classes: How many there are.
    """
    if classes <= MANY_CLASSES:
        return ()
    return (
        f"There are {classes:,} classes: {TOP_K_REASON}; labels that are likely wrong are not looked for, and the "
        f"report has no "
        "matrix of confusions.",
    )


def _raise_unsupported(field: str, value: str, why: str, allowed: tuple[str, ...]) -> None:
    raise RecipeError(
        f"{TOP_K_REASON}; {value!r} does not go with that, since {why}", field=field, value=value, allowed=allowed
    )


def require_existing_samples(spec: ReportSpec, images: ImageTable) -> None:
    """Refuse samples that the report is to show and that are not there.

    Args:
        spec: The recipe's section.
        images: The table.

    Raises:
        RecipeError: There is no such sample.
    """
    sample_ids = images.samples.frame["sample"].cast(str).to_list() if isinstance(spec.channels, list) else []
    for name in spec.channels if isinstance(spec.channels, list) else ():
        if name not in sample_ids:
            raise RecipeError(
                f"there is no sample {name!r}",
                field="report.channels",
                remedy="write ids of samples as the tables have them, or how many to show",
            )
