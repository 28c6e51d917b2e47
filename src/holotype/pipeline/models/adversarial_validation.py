"""Adversarial validation: features that distinguish training from test images, before folds are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from holotype.core.errors import DataError
from holotype.data import image_features
from holotype.evaluation import gather_oof
from holotype.pipeline.models.model_pixels import embed_with_model, resolve_model
from holotype.pipeline.models.train import train_and_predict
from holotype.pipeline.models.training_context import TrainingContext
from holotype.recipe.sections import CheckpointsSpec, ModelSpec, PredictSpec, SplitSpec
from holotype.split import make_folds
from holotype.types import Floats, ImageTable, to_dense

FOLDS = 3  # each network trains on two thirds of the rows
ROLES = ("train", "test")


def train_test_features(
    models: Sequence[ModelSpec], split: SplitSpec, context: TrainingContext
) -> tuple[list[str], Floats]:
    """Features that distinguish training from test images (adversarial validation).

    Args:
        models: The backbone of the first one, as pretrained, embeds the images.
        split: May name an adversarial model.
        context: Its folds are not used.

    Returns:
        Column names, and values of shape (image rows, columns); NaN for unknown values.
    """
    images, statistics, audit = context.images, context.data.statistics, context.data.audit
    names, table = image_features(statistics.frame)
    rows = np.setdiff1d(np.arange(len(images)), audit.unreadable)
    embeddings = embed_with_model(resolve_model(models[0], statistics), rows, context)
    names = [*names, *(f"embedding {number}" for number in range(embeddings.shape[1]))]
    if split.adversarial_model is None:
        return names, np.hstack([table, embeddings])
    adversarial_model = next(candidate for candidate in models if candidate.name == split.adversarial_model)
    test_likeness = test_likeness_by_network(resolve_model(adversarial_model, statistics), context)
    return [*names, f"adversarial_model {adversarial_model.name}"], np.hstack(
        [table, embeddings, test_likeness[:, None]]
    )


def test_likeness_by_network(model: ModelSpec, context: TrainingContext) -> Floats:
    """Log-odds that an image is a test image, by a network that never saw it, its group or its duplicates.

    The network has the model's backbone, input, augmentation and phases. Its labels are the roles of the rows, so the
    model's
    settings of classes, domains and losses are left out.

    Args:
        model: Its input size resolved.
        context: Its folds are not used.

    Returns:
        Shape (image rows,); NaN for other roles and unreadable images.

    Raises:
        DataError: There are no test rows.
    """
    data = context.data
    if not len(data.images.rows_of_role("test")):
        raise DataError(
            "an adversarial model needs test rows, and there are none",
            field="split.adversarial_model",
            remedy="remove the key",
        )
    images = role_labels(data.images)
    folds = make_folds(images, data.audit, SplitSpec(folds=FOLDS, stratify=["labels"]), context.seed)
    role_context = replace(context, data=replace(data, images=images, folds=folds), final_model="folds")
    predictions = train_and_predict(_adversarial_model(model), role_context)
    pool = predictions[0].pools[0]
    oof = gather_oof([prediction for prediction in predictions[0].oof if prediction.pool == pool], folds, images, pool)
    of_sample = np.full(len(images.samples), np.nan, np.float32)
    logits = to_dense(oof.logits, "an adversarial model")
    of_sample[oof.samples] = logits[:, 1] - logits[:, 0]
    return of_sample[images.sample_numbers]


def role_labels(images: ImageTable) -> ImageTable:
    """Image table with the roles `train` and `test` as labels; external rows have none."""
    role = images.frame["role"]
    number = role.replace_strict(ROLES, [0, 1], default=None, return_dtype=pl.Int64)
    labels = pl.DataFrame({"number": number}).select(
        pl.when(pl.col("number").is_not_null()).then(pl.concat_list("number")).alias("labels")
    )["labels"]
    role_column = pl.Series("role", ["train" if value in ROLES else "test" for value in role])
    frame = images.frame.with_columns(labels, role_column, pl.lit(None, pl.String).alias("domain"))
    return ImageTable(frame, ROLES, "multiclass", images.channels, projection=images.projection)


def _adversarial_model(model: ModelSpec) -> ModelSpec:
    phase_changes = {"loss": None, "class_weights": None, "logit_adjustment": 0.0, "rows": "all"}
    changes = {
        "name": f"{model.name}.adversarial",
        "classes": "all",
        "specialists": None,
        "pseudo_labels": None,
        "neighbors": None,
        "checkpoints": CheckpointsSpec(),
        "predict": PredictSpec(tta="none"),
        "phases": [phase.model_copy(update=phase_changes) for phase in model.phases],
        "head": model.head.model_copy(update={"taxonomy": None, "margin": None}),
    }
    return model.model_copy(update=changes)
