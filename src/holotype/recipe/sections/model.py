"""`models:` section: model configurations, each trained once per fold."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from holotype.recipe.sections.augment import AugmentSpec
from holotype.recipe.sections.base import Name, Section
from holotype.recipe.sections.checkpoints import CheckpointsSpec
from holotype.recipe.sections.classifier import ClassifierSpec, LogisticClassifierSpec
from holotype.recipe.sections.head import HeadSpec
from holotype.recipe.sections.input import InputSpec
from holotype.recipe.sections.learning import NeighborsSpec, PseudoLabelsSpec, SpecialistsSpec
from holotype.recipe.sections.measurements import MeasurementsSpec
from holotype.recipe.sections.phase import PhaseSpec
from holotype.recipe.sections.predictions import PredictionsSpec

FROZEN_FIELDS = {"name", "backbone", "weights", "activation", "classes", "input", "head", "classifier", "predict"}
FROZEN_FIELDS |= {"neighbors"}
TABLE_FIELDS = {"name", "classes", "classifier", "measurements"}


class PredictSpec(Section):
    """Test-time augmentation (TTA) and pooling."""

    tta: (
        Literal["none", "flips", "d4"] | dict[Literal["crops", "image_size", "train_augmentation", "identity"], int]
    ) = "d4"
    """Views of an image: `none`; `flips`: four flips; `d4`: the eight symmetries of the square; `{crops: 4, image_size:
    768}`: fixed random windows of the input's size, from images of that size; `{train_augmentation: 32, identity: 1}`:
    samples of the training augmentation, and so many unchanged views."""
    pooling: Literal["mean-logit", "mean-probability", "max", "geometric", "fit"] = "mean-logit"
    """Pooling of the views of an image, and of the images of a sample; `fit` selects the one with the smallest
    out-of-fold log loss."""

    @field_validator("tta")
    @classmethod
    def _validate_tta(cls, views: Any) -> Any:
        if not isinstance(views, dict):
            return views
        crops, drawn = (
            set(views) == {"crops", "image_size"},
            set(views) in ({"train_augmentation"}, {"train_augmentation", "identity"}),
        )
        if not (crops or drawn) or any(value < (name != "identity") for name, value in views.items()):
            raise ValueError(
                f"{views} should be of the form {{crops: 4, image_size: 768}} or "
                f"{{train_augmentation: 32, identity: 1}}"
            )
        return views

    @property
    def pools(self) -> tuple[str, ...]:
        """Poolings to compute."""
        return ("mean-logit", "mean-probability", "max", "geometric") if self.pooling == "fit" else (self.pooling,)

    @property
    def crops_from(self) -> int | None:
        """Side in pixels of the images that windows are cut from; None without crops."""
        return self.tta["image_size"] if isinstance(self.tta, dict) and "image_size" in self.tta else None


class ModelSpec(Section):
    """Model configuration."""

    name: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name of the model and of its folder."""
    backbone: str = "efficientnet_lite0"
    """Name of a timm network; or the network of a model folder as timm writes it (`config.json` and weights):
    `local-dir:FOLDER`, or `hf-hub:OWNER/NAME` in this machine's Hugging Face cache."""
    weights: str = "auto"
    """Pretrained weights. `auto`: those of a model folder that `backbone` names, else ImageNet weights if they are
    cached, else the `lite` package if it fits, else none. Or `imagenet`, `lite`, `none`; the path of a .safetensors,
    .pth, .pt or .bin file; `local-dir:FOLDER` or `hf-hub:OWNER/NAME`; or `run:PATH#model`: another run's model, for
    each fold the network of the same fold (`run:PATH#model/fold0`: that network for all folds, whatever it was trained
    on)."""
    activation: str | None = None
    """Activation that replaces the backbone's: `mish`, `gelu`, `silu` and others."""
    classes: Literal["all"] | Annotated[list[Name], Field(min_length=1)] = "all"
    """Classes that the model learns and predicts; for multiclass labels it also learns "none of these". The other
    classes get the scores of the other models."""
    input: InputSpec = InputSpec()
    head: HeadSpec = HeadSpec()
    augment: AugmentSpec = AugmentSpec()
    sampler: Literal["shuffle", "balanced", "sqrt"] | dict[Literal["cap"], Annotated[int, Field(ge=1)]] = "shuffle"
    """Sampling of the training rows of an epoch: `shuffle`, each once; `balanced`, so that classes are equally
    frequent; `sqrt`, half way to that; or at most so many per class (`{cap: 100}`)."""
    phases: list[PhaseSpec] = Field(default=[PhaseSpec()], min_length=1)
    checkpoints: CheckpointsSpec = CheckpointsSpec()
    specialists: SpecialistsSpec | None = None
    pseudo_labels: PseudoLabelsSpec | None = None
    neighbors: NeighborsSpec | None = None
    classifier: ClassifierSpec | None = None
    """Classifier on the features of the pretrained backbone, which is not trained (a linear probe), instead of
    `phases`; or on `measurements`. The kind alone is enough: `logistic`, `ridge`, `lda`, `knn` or `lightgbm`."""
    measurements: MeasurementsSpec | None = None
    """Table of measurements (CellProfiler, pycytominer, embeddings), instead of a network."""
    predictions: PredictionsSpec | None = None
    """Scores from another program, instead of a network."""
    predict: PredictSpec = PredictSpec()

    @property
    def reads_images(self) -> bool:
        """True if the model is a network, trained or with frozen features."""
        return self.predictions is None and self.measurements is None

    @property
    def is_frozen(self) -> bool:
        """True if a classifier on the features of a frozen backbone takes the place of training."""
        return self.classifier is not None and self.measurements is None

    @property
    def names(self) -> tuple[str, ...]:
        """Name of the model, and of the model of its neighbors."""
        return (self.name, f"{self.name}.neighbors") if self.neighbors else (self.name,)

    @property
    def selects(self) -> bool:
        """True if training selects by a score: a checkpoint, a rewind or early stopping."""
        by_phase = (phase.early_stopping is not None or phase.schedule.name == "plateau" for phase in self.phases)
        return self.checkpoints.selects or any(by_phase)

    def phase_size(self, phase: int) -> int:
        """Input side in one phase, in pixels.

        Raises:
            TypeError: The size is still `auto`.
        """
        size = self.phases[phase].size or self.input.size
        if not isinstance(size, int):
            raise TypeError("the input size must be resolved before training")
        return size

    @property
    def largest_size(self) -> int:
        """Largest input side of all phases, in pixels."""
        return max(self.phase_size(number) for number in range(len(self.phases)))

    @property
    def stored_size(self) -> int:
        """Longest side of the cached images, so that a window of them fills the largest input."""
        if not isinstance(self.input.size, int):
            raise TypeError("the input size must be resolved before images are stored")
        trained = round(self.largest_size / self.augment.crop_share(self.input.size))
        return max(trained, self.predict.crops_from or 0)

    @model_validator(mode="after")
    def _validate_tiles(self) -> ModelSpec:
        if self.input.tile is not None and self.augment.crop != "none":
            raise ValueError(
                "augment.crop: cannot be combined with input.tile; write crop: none, or leave input.tile out"
            )
        if self.input.tile is not None and self.predict.crops_from is not None:
            raise ValueError("predict.tta: crops cannot be combined with input.tile; write tta: none, flips or d4")
        source = self.predict.crops_from
        if source is not None and isinstance(self.input.size, int) and source < self.largest_size:
            raise ValueError(f"predict.tta: windows of {self.largest_size} px do not fit into {source} px")
        return self

    @model_validator(mode="after")
    def _validate_normalization(self) -> ModelSpec:
        if self.input.normalize == "weights" and (self.weights in {"none", "lite"} or self.weights.startswith("run:")):
            raise ValueError(
                f"input.normalize: 'weights' needs weights that state a mean and standard deviation, and "
                f"{self.weights!r} states none; write dataset"
            )
        return self

    @model_validator(mode="after")
    def _validate_taxonomy(self) -> ModelSpec:
        if self.classes != "all" and self.head.taxonomy is not None:
            raise ValueError("head.taxonomy: requires all classes; write classes: all, or leave taxonomy out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _complete_classifier(cls, values: Any) -> Any:
        """Defaults of a model with a classifier: one view of each image; logistic regression on measurements."""
        if not isinstance(values, dict):
            return values
        if values.get("measurements") is not None and values.get("classifier") is None:
            values = values | {"classifier": LogisticClassifierSpec()}
        is_frozen = values.get("classifier") is not None and values.get("measurements") is None
        return values | {"predict": {"tta": "none"}} if is_frozen and "predict" not in values else values

    @model_validator(mode="after")
    def _validate_classifier(self) -> ModelSpec:
        if self.classifier is None:
            return self
        kind, allowed = ("measurements", TABLE_FIELDS) if self.measurements else ("classifier", FROZEN_FIELDS)
        others = {name: field for name, field in type(self).model_fields.items() if name not in allowed}
        extra = [name for name, field in others.items() if getattr(self, name) != field.get_default()]
        if "predictions" in extra:
            raise ValueError(
                f"predictions: the scores of a model with `{kind}` are not imported; leave one of them out"
            )
        if extra:
            raise ValueError(f"{extra[0]}: a model with `{kind}` trains no network; leave it out")
        for name in ("hidden", "batch_norm", "margin", "taxonomy", "classes_per_step"):
            if getattr(self.head, name):
                raise ValueError(f"head.{name}: a model with `classifier` trains no head; leave it out")
        if self.is_frozen and self.weights.startswith("run:") and "/fold" not in self.weights:
            raise ValueError(
                f"weights: a frozen backbone is the same in every fold, but {self.weights!r} names a network per fold; "
                f"write {self.weights}/fold0, or leave `classifier` out and train"
            )
        if self.head.pool in {"gem", "attention"}:
            raise ValueError(f"head.pool: {self.head.pool} has learned parameters; write avg, max or concat")
        return self

    @field_validator("classes")
    @classmethod
    def _validate_classes(cls, classes: Any) -> Any:
        if classes != "all" and len(set(classes)) != len(classes):
            raise ValueError("classes must name each class once")
        return classes

    @field_validator("backbone", "weights")
    @classmethod
    def _validate_model_folder(cls, address: str) -> str:
        kind, mark, rest = address.partition(":")
        if mark and kind == "hf-hub" and not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?(@\w[\w.-]*)?", rest):
            raise ValueError(f"{address!r} should be written hf-hub:OWNER/NAME, or hf-hub:OWNER/NAME@REVISION")
        if mark and kind == "local-dir" and not rest:
            raise ValueError(f"{address!r} should be written local-dir:FOLDER")
        return address

    @model_validator(mode="before")
    @classmethod
    def _use_weights_of_model_folder(cls, values: Any) -> Any:
        """A backbone that is a model folder comes with its weights."""
        backbone = values.get("backbone") if isinstance(values, dict) else None
        if not isinstance(backbone, str) or not backbone.startswith(("local-dir:", "hf-hub:")):
            return values
        return values | {"weights": backbone} if values.get("weights", "auto") == "auto" else values

    @field_validator("weights")
    @classmethod
    def _validate_weights(cls, weights: str) -> str:
        if weights.startswith("run:") and not re.fullmatch(r"run:[^#]+#[^#/]+(/fold[0-9]+)?", weights):
            raise ValueError(f"{weights!r} should be written run:PATH#model, or run:PATH#model/fold0")
        return weights
