"""Models on tables of measurements: the table once, and a classifier per fold."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from holotype.cache import Reads, StepOutput, StepResult, library_versions, step
from holotype.classifiers import FittedClassifier, fit_classifier, importances, load_classifier
from holotype.core.digest import digest_array, digest_value
from holotype.core.seeds import derive_seed
from holotype.core.table_files import write_table
from holotype.measurements import FittedMeasurements, PreparedMeasurements, measurements_digest, prepare_measurements
from holotype.pipeline.models.digests import job_label
from holotype.pipeline.models.labels import model_classes, model_labels
from holotype.pipeline.models.predictions import ModelPredictions
from holotype.pipeline.models.training_context import TrainingContext
from holotype.recipe.sections import DataSpec, MeasurementsSpec, ModelSpec
from holotype.training import ALL_ROWS, FitJob, plan_fit
from holotype.types import Integers, LabelMatrix, Predictions

__all__ = ["IMPORTANCES", "describe_tables", "fit_measured", "prepare_table", "train_measured"]

IMPORTANCES = "importances.csv"
PARTS: dict[str, type] = {"fitted": FittedMeasurements}


def _table_reads(model: ModelSpec, field: str, data: DataSpec, context: TrainingContext) -> Reads:
    """A table is read with the ids, files, labels and groups of the samples, whose columns are no measurements."""
    spec = _measurements_of(model)
    names = {f"data.{name}": getattr(data, name) for name in ("id", "sample", "groups", "domain")}
    taxonomy = data.labels.taxonomy
    names |= {"data.labels": data.labels.column, "ranks": taxonomy if isinstance(taxonomy, list) else []}
    digests = {
        "measured table": measurements_digest(spec),
        "groups of the samples": digest_array(context.data.folds.groups_of(np.arange(len(context.images.samples)))),
        **{name: context.data.digests[name] for name in ("images", "review") if name in context.data.digests},
    }
    return Reads(spec.model_dump(mode="json", exclude={"table"}) | names, digests, model.name)


@step("measurements", 1, _table_reads)
def prepare_table(output: StepOutput, model: ModelSpec, field: str, data: DataSpec, context: TrainingContext) -> None:
    """Features of all samples from a table of measurements: selected, normalized, aggregated."""
    spec, field = _measurements_of(model), f"{field}.measurements"
    groups = context.data.folds.groups_of(np.arange(len(context.images.samples)))
    output.write(prepare_measurements(spec, context.images, data, independent_groups=groups, field=field))


def describe_tables(models: Sequence[ModelSpec], data: DataSpec, context: TrainingContext) -> tuple[str, ...]:
    """Notes on the tables of measurements of all models, which are read and checked here, before any training.

    Raises:
        DataError: A table is missing or broken, a column does not exist, or its rows do not match the samples.
    """
    notes: list[str] = []
    for number, model in enumerate(models):
        if model.measurements is None:
            continue
        table = prepare_table(context.steps, model, f"models.{number}", data, context)
        if table.is_cached:  # not in a dry run, if the table would be read
            measured = table.read(PreparedMeasurements, PARTS)
            paragraphs = (*measured.notes, " ".join(measured.warnings))
            notes += [f"{model.name}: {paragraph}" for paragraph in paragraphs if paragraph]
    return tuple(notes)


def _fit_reads(job: FitJob, table: StepResult, truth: LabelMatrix, context: TrainingContext) -> Reads:
    samples = _samples(job.train_rows, context)
    digests = {
        "measurements": table.key.digest,
        "samples": digest_array(samples),
        "labels": truth.rows(samples).digest(),
        "groups": digest_array(context.data.folds.component[samples]),
        "classes": digest_value([job.classes, job.kind]),
        "libraries": library_versions("scikit-learn", "lightgbm", "torch"),
    }
    classifier = job.model.classifier
    settings = {"classifier": classifier and classifier.model_dump(mode="json"), "name": job.model.name}
    return Reads(settings | {"seed": job.seed, "fold": job.fold}, digests, job_label(job))


@step("fit", 9, _fit_reads)
def fit_measured(
    output: StepOutput, job: FitJob, table: StepResult, truth: LabelMatrix, context: TrainingContext
) -> None:
    """Classifier of one fold on measurements, with its card and the importance of each column."""
    measured, samples = table.read(PreparedMeasurements, PARTS), _samples(job.train_rows, context)
    if job.model.classifier is None:
        raise TypeError("the model has no classifier")
    classifier = fit_classifier(
        measured.features[samples],
        truth.rows(samples),
        job.model.classifier,
        classes=len(job.classes),
        kind=job.kind,
        groups=context.data.folds.component[samples],
        seed=derive_seed(job.seed, job.seed_name, job.fold, "classifier"),
        threads=context.runtime.thread_count,
    )
    classifier.save(output.folder)
    output.write(measured.fitted)  # columns and normalization, for new samples
    ranked = importances(classifier, measured.fitted.columns)
    if ranked is not None:
        write_table(ranked, output.folder / IMPORTANCES)
    card = {
        "model": job.model.model_dump(mode="json", exclude={"measurements": {"table"}}),  # a path of this machine
        "fold": job.fold,
        "domain": None,
        "seed": job.seed,
        "classes": list(job.classes),
        "kind": job.kind,
        "classifier_summary": classifier.describe(),
        "columns": list(measured.fitted.columns),
        "rows": {"train": len(samples)},
    }
    (output.folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False, sort_keys=True), "utf-8")


def train_measured(model: ModelSpec, field: str, data: DataSpec, context: TrainingContext) -> ModelPredictions:
    """Fit a classifier on measurements in every fold, and predict the held-out fold and the test rows.

    Args:
        field: Recipe key of the model, for messages.
    """
    images, folds = context.images, context.data.folds
    table = prepare_table(context.steps, model, field, data, context)
    classes = model_classes(model, images)
    truth = model_labels(images.samples.label_matrix(np.arange(len(images.samples))), classes, images.kind)
    scale = context.data.statistics.normalization
    numbers = (*folds.used, *([ALL_ROWS] if context.final_model == "refit" else []))
    jobs = [plan_fit(images, folds, fold, model, context.seed, scale) for fold in numbers]
    results = [fit_measured(context.steps, job, table, truth, context) for job in jobs]
    measured = table.read(PreparedMeasurements, PARTS)
    folders = context.steps.each(lambda result: result.folder, results)
    classifiers = [load_classifier(folder) for folder in folders]
    pairs = list(zip(jobs, classifiers, strict=True))
    final = [pair for pair in pairs if pair[0].fold == ALL_ROWS] or pairs
    rows = context.prediction_rows()

    def predict(job: FitJob, classifier: FittedClassifier, part: Integers) -> Predictions:
        logits = classifier.logits(measured.features[_sample_of(part, context)])
        return Predictions(model.name, job.fold, part, logits)

    return ModelPredictions(
        model.name,
        [predict(job, classifier, job.validation_rows) for job, classifier in pairs if job.fold != ALL_ROWS],
        [predict(*pair, rows["test"]) for pair in final],
        folders,
        [predict(*pair, rows["validation"]) for pair in final],
        classes=classes,
    )


def _measurements_of(model: ModelSpec) -> MeasurementsSpec:
    if model.measurements is None:
        raise TypeError("the model has no measurements")
    return model.measurements


def _samples(rows: Integers, context: TrainingContext) -> Integers:
    """Numbers of the samples of some image rows, ascending."""
    return np.unique(_sample_of(rows, context))


def _sample_of(rows: Integers, context: TrainingContext) -> Integers:
    return context.images.sample_numbers[rows]
