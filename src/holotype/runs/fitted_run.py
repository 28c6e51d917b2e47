"""Fitted run: a finished run, opened to predict new images with its own networks, views and decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from holotype.core.errors import DataError, InputError, join_names
from holotype.core.run_folder import RunFolder
from holotype.core.runtime import Runtime
from holotype.pipeline.fit_postprocessing import plate_codes, sample_features
from holotype.pipeline.out_of_distribution import TrainingRanges, read_training_digests, read_training_ranges
from holotype.pipeline.runtime import make_runtime
from holotype.postprocessing.decision import calibrate, decide
from holotype.postprocessing.ensemble import apply_ensemble
from holotype.recipe.load import Recipe, load_recipe
from holotype.runs.answering import predict_parts
from holotype.runs.measurement_predictor import MeasurementPredictor, missing_table_error
from holotype.runs.model_predictors import ModelPredictor, Nearest, load_models, predict_models
from holotype.runs.new_dataset import NewImages, measure_new_images
from holotype.runs.new_images import read_new_images
from holotype.runs.stored import intact, read_decision, read_ensemble
from holotype.types import AnyLabels, AnyScores, Calibration, Decision, Ensemble, ImageTable, Integers

CHUNK_SIZE = 4096  # images in memory at once


@dataclass(frozen=True)
class FittedRun:
    """Fitted run that can predict."""

    folder: RunFolder
    recipe: Recipe
    decision: Decision
    calibration: Calibration
    ensemble: Ensemble
    runtime: Runtime
    keep_in_memory: bool = False
    measurements: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def models(self) -> tuple[ModelPredictor | MeasurementPredictor, ...]:
        """Predictors of its models, opened on first use. Raises InputError if scores of a model were imported."""
        self._require_networks()
        return load_models(
            self.recipe, self.folder, self.ensemble, self.decision.classes, self.keep_in_memory, self.measurements
        )

    def with_measurements(self, tables: str | Path | Mapping[str, str | Path]) -> FittedRun:
        """Copy of the run that reads the measurements of new samples from a table, or from tables by name of the model.

        Raises InputError if the run has no such model.
        """
        names = [model.name for model in self.recipe.models if model.measurements is not None]
        by_name = tables if isinstance(tables, Mapping) else dict.fromkeys(names, tables)
        if not names:
            raise InputError(
                "no model of the run reads measurements", field="--measurements", remedy="leave the table out"
            )
        for name in by_name:
            if name not in names:
                raise InputError("unknown model of measurements", field="--measurements", value=name, allowed=names)
        return replace(self, measurements={name: str(table) for name, table in by_name.items()})

    def _require_networks(self) -> None:
        imported = [model.name for model in self.recipe.models if model.predictions is not None]
        if imported:
            raise InputError(
                f"the scores of {join_names(imported)} were made elsewhere: new images cannot be predicted",
                remedy="predict with a run that trained all of its models",
            )

    def _require_tables(self) -> None:
        for model in self.recipe.models:
            if model.measurements is not None and model.name not in self.measurements:
                raise missing_table_error(model.name)

    @cached_property
    def training_ranges(self) -> TrainingRanges:
        """Training ranges that new images are checked against."""
        with intact(self.folder.root / "audit" / "statistics.parquet"):
            return read_training_ranges(self.folder, self.decision.kind, len(self.decision.classes))

    @cached_property
    def training_digests(self) -> frozenset[str]:
        """Digests of the pixels of its training images."""
        with intact(self.folder.root / "audit" / "statistics.parquet"):
            return read_training_digests(self.folder)

    def predict(self, images: Path | str | Sequence[Path | str], skip_unreadable: bool = False) -> pl.DataFrame:
        """Predict labels and probabilities of new images.

        `images`: folders, files, or tables with the columns of the recipe's pattern; `skip_unreadable`: give images
        that cannot be predicted a row without labels and a reason in the column `error`, instead of stopping. Returns
        `id`, `labels`, the likeliest classes with their probabilities, and `warning`: reasons why an image is unusual.
        """
        return pl.concat([table for table, _ in self.predict_in_parts(images, skip_unreadable=skip_unreadable)])

    def predict_in_parts(
        self, images: Path | str | Sequence[Path | str], max_images: int = CHUNK_SIZE, skip_unreadable: bool = False
    ) -> Iterator[tuple[pl.DataFrame, AnyScores]]:
        """Predict new images in chunks, so that any number of them fits into memory.

        `max_images`: images per chunk; a plate that a decision or a normalization needs as a unit is never split.
        Returns tables as from `predict`, and their scores of shape (rows, classes).
        """
        self._require_networks()  # before images are read
        self._require_tables()
        table, separator = self.read_images(images), self.recipe.submission.separator
        yield from predict_parts(self, table, max_images, self._plate_column, separator, skip_unreadable)

    def read_images(self, images: Path | str | Sequence[Path | str]) -> ImageTable:
        """Read new images as a table, with files named by the recipe's pattern."""
        decision, progress = self.decision, self.runtime.progress
        return read_new_images(images, self.recipe.data, decision.classes, decision.kind, progress, self.trained_files)

    @property
    def trained_files(self) -> pl.Series | None:
        """Lists of files of the run's own images; None if the run folder lacks their table."""
        there = (self.folder.root / "images.parquet").is_file()
        return self.folder.images()["files"] if there else None

    @property
    def _plate_column(self) -> str | None:
        """Column of the plates, if a decision or a normalization needs them as units."""
        if self.decision.unique_class_per is not None:
            return f"group.{self.decision.unique_set_per or self.decision.unique_class_per}"
        by_plate = any(model.input.normalize == "plate" for model in self.recipe.models)
        return f"group.{self.recipe.data.groups[0]}" if by_plate and self.recipe.data.groups else None

    def logits(self, images: ImageTable) -> AnyScores:
        """Calibrated ensemble logits.

        `images`: rows of the role `test`. Returns shape (samples, classes), in the order of the table.
        """
        return self.predict_logits(measure_new_images(images, self.runtime, self.training_ranges))[0]

    def predict_logits(self, new: NewImages) -> tuple[AnyScores, Nearest]:
        """Predict calibrated ensemble logits, and the nearest training images if a model has neighbors.

        Returns logits of shape (samples, classes) in the order of the table; one list of neighbors per sample, or an
        empty list.
        """
        model_logits, nearest = predict_models(self.models, new)
        needs_features = self.ensemble.stack or self.ensemble.weights_by_domain
        features = sample_features(new.images, new.statistics) if needs_features else None
        ensemble_logits = apply_ensemble(self.ensemble, model_logits, self.decision.kind, features)
        return calibrate(self.calibration, ensemble_logits, self.decision.kind), nearest

    def decide(self, logits: AnyScores, images: ImageTable) -> AnyLabels:
        """Decide the labels of samples. Returns shape (samples, classes)."""
        columns = (self.decision.unique_class_per, self.decision.unique_set_per)
        return decide(self.decision, logits, *(self._plate_codes(images, name) for name in columns))

    def _plate_codes(self, images: ImageTable, name: str | None) -> Integers | None:
        if name is None:
            return None
        column, frame = f"group.{name}", images.samples.frame
        if column not in frame.columns:
            raise DataError(
                f"the decision assigns each class or set once per {name}, which the images do not have",
                field="images",
                remedy="give a table with that column",
            )
        return plate_codes(frame[column])


def open_run(folder: Path | str, runtime: Runtime | None = None, keep_in_memory: bool = False) -> FittedRun:
    """Open a finished run. `runtime`: device and threads; None takes those of the recipe."""
    run = RunFolder(Path(folder))
    source = run.require("recipe.yaml")
    run.require_intact(weights=False)  # weights are checked when networks are opened
    recipe = load_recipe(source)
    decision, calibration = read_decision(run)
    ensemble = read_ensemble(run, recipe.models)
    run_runtime = runtime or make_runtime(recipe, Path(folder))
    return FittedRun(run, recipe, decision, calibration, ensemble, run_runtime, keep_in_memory)
