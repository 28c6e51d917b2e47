"""Models of a run: train networks by fold, pseudo-labeling, specialists, kNN, predictions."""

from holotype.pipeline.models.adversarial_validation import train_test_features
from holotype.pipeline.models.explanations import EmbeddingMap, ExplainedModel, embedding_map, heat_maps
from holotype.pipeline.models.knn import knn_scores
from holotype.pipeline.models.labels import model_classes
from holotype.pipeline.models.measured import describe_tables, train_measured
from holotype.pipeline.models.model_pixels import cache_format, resolve_model
from holotype.pipeline.models.predictions import ModelPredictions
from holotype.pipeline.models.train import histories, train_and_predict
from holotype.pipeline.models.training_context import TrainingContext, test_rows, validation_rows

__all__ = [
    "EmbeddingMap",
    "ExplainedModel",
    "ModelPredictions",
    "TrainingContext",
    "cache_format",
    "describe_tables",
    "embedding_map",
    "heat_maps",
    "histories",
    "knn_scores",
    "model_classes",
    "resolve_model",
    "test_rows",
    "train_and_predict",
    "train_measured",
    "train_test_features",
    "validation_rows",
]
