"""Predictor of a finished run's model of measurements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from holotype.cache import read_value
from holotype.classifiers import load_classifier
from holotype.core.errors import InputError
from holotype.evaluation import gather_test
from holotype.measurements import FittedMeasurements, measure_new_samples
from holotype.recipe.sections import DataSpec, ModelSpec
from holotype.runs.new_dataset import NewImages
from holotype.runs.stored import intact
from holotype.types import Checkpoint, Predictions, TestPredictions


def missing_table_error(model: str) -> InputError:
    """Error of a prediction without the measurements that a model needs."""
    return InputError(
        f"the model {model!r} predicts from measurements, and no table of them was given",
        field="--measurements",
        remedy=f"add --measurements {model}=TABLE, with the columns of the training table",
    )


@dataclass(frozen=True)
class MeasurementPredictor:
    """Predictor of one model of measurements. `folders`: one per fold; `table`: measurements of the new samples."""

    section: ModelSpec
    data: DataSpec
    field: str
    folders: tuple[Path, ...]
    table: str | None = None
    networks: ClassVar[tuple[Checkpoint, ...]] = ()
    indexes: ClassVar[tuple[Path, ...]] = ()

    def predict(self, new: NewImages) -> TestPredictions:
        """Predict new samples; scores of the model's own classes, shape (samples, classes)."""
        spec, rows = self.section.measurements, np.arange(len(new.images))
        if spec is None or self.table is None:
            raise missing_table_error(self.section.name)
        with intact(self.folders[0] / "value.json"):
            fitted = read_value(FittedMeasurements, self.folders[0])
        new_spec = spec.model_copy(update={"table": str(Path(self.table).absolute())})
        features, notes = measure_new_samples(
            fitted, new_spec, new.images, self.data, field=f"{self.field}.measurements"
        )
        for note in notes:
            new.runtime.progress.info(f"note: {self.section.name}: {note}")
        predictions = []
        for number, folder in enumerate(self.folders):
            logits = load_classifier(folder).logits(features)[new.images.sample_numbers]
            predictions.append(Predictions(self.section.name, number, rows, logits))
        names = tuple(map(str, range(predictions[0].logits.shape[1])))
        return gather_test(predictions, replace(new.images, classes=names), rows, "mean-logit")
