"""Recipe validation: names that do not exist, and settings that the data do not allow. Runs before any training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from holotype.core.errors import DataError, RecipeError
from holotype.core.runtime import Runtime
from holotype.evaluation.metrics import RANKING_METRICS
from holotype.networks import check_backbone, check_pretraining_statistics, check_weights
from holotype.pipeline.models import model_classes
from holotype.postprocessing.decision import thresholds_by_class
from holotype.postprocessing.submission import submission_order
from holotype.recipe.load import Recipe
from holotype.recipe.sections import (
    CalibrationSpecOrNone,
    DecisionSpec,
    EnsembleSpec,
    ModelSpec,
    ReportSpec,
    ThresholdSpec,
)
from holotype.training import check_phase, model_taxonomy
from holotype.types import MANY_CLASSES, TOP_K, ImageTable, Kind

ENSEMBLES, DECISIONS, CALIBRATIONS = ("mean", "weighted"), ("argmax", "top"), ("temperature",)
TOP_K_REASON = (
    f"with more than {MANY_CLASSES:,} classes only the {TOP_K} top scores of a sample are kept, and the sum of the rest"
)


def validate_names(recipe: Recipe) -> None:
    """Refuse unknown backbones, weights, optimizers, schedules and losses, and missing devices.

    Raises:
        RecipeError: A name is unknown; the nearest is suggested.
    """
    if recipe.run.device not in {"auto", "cpu"} or recipe.run.processes > 1:
        from holotype.training import launch_fabric

        launch_fabric(Runtime(device=recipe.run.device, processes=recipe.run.processes))
    for number, model in enumerate(recipe.models):
        if not model.reads_images:
            continue
        check_backbone(model.backbone, f"models.{number}.backbone")
        if model.weights not in {"auto", "none"}:
            with _error_field(f"models.{number}.weights"):
                check_weights(model.backbone, model.weights)
        if model.input.normalize == "weights":
            with _error_field(f"models.{number}.input.normalize"):
                check_pretraining_statistics(model.backbone, model.weights)
        for phase_number, phase in enumerate(model.phases):
            with _error_field(f"models.{number}.phases.{phase_number}"):
                check_phase(phase, recipe.data.labels.kind, model.head)


def validate_with_data(recipe: Recipe, images: ImageTable) -> None:
    """Refuse settings that do not fit the image table, before any pixel is read.

    Raises:
        DataError: The recipe needs images, ids or fewer classes.
        RecipeError: A setting names something that is not in the table, or does not go with its classes.
    """
    for number, model in enumerate(recipe.models):
        with _error_field(f"models.{number}.head.taxonomy.weights"):
            model_taxonomy(model.head.taxonomy, images.ranks)
        with _error_field(f"models.{number}.classes"):
            model_classes(model, images)
    require_valid_class_sampling(recipe.models, len(images.classes), images.kind)
    require_supported_class_count(
        len(images.classes), images.kind, recipe.metric, recipe.ensemble, recipe.calibration, recipe.decision
    )
    require_existing_samples(recipe.report, images)
    if not images.has_files and any(model.reads_images for model in recipe.models):
        raise DataError(
            "the recipe has no pattern for image files", field="data.images", remedy="write `images/{id}.png`"
        )
    if isinstance(recipe.decision, ThresholdSpec):
        thresholds_by_class(recipe.decision.thresholds, images.classes)
    submission_order(
        images.samples, recipe.submission.order, recipe.submission.id or recipe.data.sample or recipe.data.id
    )


@contextmanager
def _error_field(field: str) -> Iterator[None]:
    """Add the recipe path to a `RecipeError`."""
    try:
        yield
    except RecipeError as error:
        details = {"value": error.value, "allowed": error.allowed, "remedy": error.remedy}
        raise RecipeError(error.what, field=field, **details) from None  # type: ignore[arg-type]


def require_supported_class_count(
    classes: int,
    kind: Kind,
    metric: str,
    ensemble: EnsembleSpec | None,
    calibrate: CalibrationSpecOrNone,
    decide: DecisionSpec | None,
) -> None:
    """Refuse settings that need the scores of all classes if only the top ones are kept.

    Raises:
        DataError: Many classes, and many labels per sample.
        RecipeError: A setting does not work with so many classes.
    """
    if classes <= MANY_CLASSES:
        return
    if kind == "multilabel":
        raise DataError(
            f"there are {classes:,} classes; {TOP_K_REASON}, which is not enough for multilabel data",
            field="data.labels.kind",
            value=kind,
            remedy=f"list at most {MANY_CLASSES:,} classes, or write `multiclass`",
        )
    if metric in RANKING_METRICS:
        _raise_unsupported("metric", metric, "it ranks all samples within every class", ("accuracy", "macro_f1"))
    if ensemble is not None and ensemble.kind not in ENSEMBLES:
        _raise_unsupported("ensemble.kind", ensemble.kind, "it needs the scores of every class", ENSEMBLES)
    if getattr(ensemble, "space", None) == "rank":
        _raise_unsupported(
            "ensemble.space", "rank", "it ranks all samples within every class", ("logit", "probability")
        )
    if getattr(ensemble, "by", None) is not None:
        _raise_unsupported("ensemble.by", "domain", "weights are fitted on all samples at once", ("null",))
    if calibrate is not None and calibrate.method not in {None, *CALIBRATIONS}:
        _raise_unsupported(
            "calibration.method", calibrate.method or "", "it needs the scores of every class", CALIBRATIONS
        )
    for name in ("prediction_sets", "abstain", "back_off"):
        if getattr(calibrate, name, None) is not None:
            option = getattr(calibrate, name)
            _raise_unsupported(
                f"calibration.{name}", str(option), "it needs the probabilities of all classes", ("null",)
            )
    if decide is not None and decide.kind not in DECISIONS:
        _raise_unsupported("decision.kind", decide.kind, "it needs the scores of every class", DECISIONS)


def require_valid_class_sampling(models: Sequence[ModelSpec], classes: int, kind: Kind) -> None:
    """Refuse class sampling and models of some classes where they cannot work.

    Raises:
        RecipeError: Class sampling with multilabel data; a loss with one number per class; or a model of some classes
            among
            very many.
    """
    for number, model in enumerate(models):
        if model.classes != "all" and classes > MANY_CLASSES:
            raise RecipeError(
                f"{TOP_K_REASON}; a model of some classes needs the scores of all others",
                field=f"models.{number}.classes",
                remedy="write `all`",
            )
        if model.head.classes_per_step is not None and kind == "multilabel":
            raise RecipeError(
                "class sampling is for multiclass data only",
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
                        f"a training step samples some of {classes:,} classes, but {name!r} has one number per class",
                        field=f"models.{number}.phases.{phase_index}.loss.{name}.alpha",
                        remedy="write one number, or `class_weights`",
                    )


def class_count_notes(classes: int) -> tuple[str, ...]:
    """Notes on what a run with very many classes leaves out."""
    if classes <= MANY_CLASSES:
        return ()
    return (
        f"There are {classes:,} classes: {TOP_K_REASON}; label errors are not searched, and the report has no "
        "confusion matrix.",
    )


def _raise_unsupported(field: str, value: str, why: str, allowed: tuple[str, ...]) -> None:
    raise RecipeError(f"{TOP_K_REASON}; {value!r} is not possible: {why}", field=field, value=value, allowed=allowed)


def require_existing_samples(spec: ReportSpec, images: ImageTable) -> None:
    """Refuse unknown samples in `report.channels`.

    Raises:
        RecipeError: There is no such sample.
    """
    sample_ids = images.samples.frame["sample"].cast(str).to_list() if isinstance(spec.channels, list) else []
    for name in spec.channels if isinstance(spec.channels, list) else ():
        if name not in sample_ids:
            raise RecipeError(
                f"there is no sample {name!r}",
                field="report.channels",
                remedy="write sample ids as in the tables, or the number of samples to show",
            )
