"""Export graph: raw pixels in, logits and probabilities out, made of the same parts that a run predicts with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from holotype.augment import normalize
from holotype.data import PixelCache
from holotype.loading import ImageDataset, make_dataset
from holotype.networks import load_networks
from holotype.prediction import InferenceOptions, RunningPool, tta_transforms
from holotype.recipe.sections import AugmentSpec, ModelSpec, PredictSpec
from holotype.types import Calibration, Checkpoint, ImageStatistics, ImageTable, LabelMatrix, Normalization

MIN_PROBABILITY = 1e-7  # same as in the ensemble
MIN_COMPLEMENT = 1e-6  # same as in calibration


class ModelGraph(nn.Module):
    """Graph of one model: views, networks of all folds, pooling, mean."""

    def __init__(
        self,
        folds: Sequence[Sequence[nn.Module]],
        forms: Sequence[ImageDataset],
        views: PredictSpec,
        card: dict[str, Any],
    ) -> None:
        super().__init__()
        self.folds = nn.ModuleList(nn.ModuleList(networks) for networks in folds)
        self.spec, self.kind = views, card["kind"]
        reading = InferenceOptions(card["size"], card["kind"], views, AugmentSpec())
        self.tta_views = [
            tta_transforms(form, reading) for form in forms
        ]  # made here: their Python code cannot be exported
        self.scales = [(form.normalization.mean, form.normalization.deviation) for form in forms]
        self.limits = [(form.normalization.low, form.normalization.high) for form in forms]
        self.input_channels = [
            list(range(card["channels"]) if form.input_channels is None else form.input_channels) for form in forms
        ]

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch.

        `pixels`: shape (n, channels, height, width), float32, in the files' own units, at the cached size. Returns
        shape (n, classes).
        """
        views: dict[Any, Tensor] = {}  # folds with the same normalization share views
        fold_logits = []
        for number, networks in enumerate(cast("list[nn.ModuleList]", list(self.folds))):
            scale = (self.scales[number], self.limits[number])
            if scale not in views:
                views[scale] = self._make_views(pixels, number)
            network_logits = [self._pool(network(views[scale]).float()) for network in networks]
            fold_logits.append(
                torch.stack(network_logits).mean(dim=0) if len(network_logits) > 1 else network_logits[0]
            )
        return torch.stack(fold_logits).mean(dim=0) if len(fold_logits) > 1 else fold_logits[0]

    def _make_views(self, pixels: Tensor, number: int) -> Tensor:
        order = self.input_channels[number]
        selected = pixels if order == list(range(pixels.shape[1])) else pixels[:, order]
        mean, deviation = ([side[channel] for channel in order] for side in self.scales[number])
        low, high = (side and [side[channel] for channel in order] for side in self.limits[number])
        scaled = normalize(selected, mean, deviation, low, high)
        return torch.cat([view(scaled) for view in self.tta_views[number]])

    def _pool(self, logits: Tensor) -> Tensor:
        pool = RunningPool(self.spec.pooling, self.kind)
        for view in logits.reshape(len(self.tta_views[0]), -1, logits.shape[1]).unbind():
            pool.add(view)
        return pool.logits()


class CalibratedGraph(nn.Module):
    """Calibration as a formula, in double precision as in a run."""

    numbers: Tensor
    knots: Tensor
    slopes: Tensor
    start: Tensor

    def __init__(self, calibration: Calibration, kind: str) -> None:
        super().__init__()
        self.method, self.kind = calibration.method, kind
        if self.method in {"temperature", "beta"}:
            self.register_buffer("numbers", torch.tensor(calibration.parameters, dtype=torch.float64))
        elif self.method == "isotonic":
            knots, heights = (_pad_rows(rows) for rows in (calibration.knots, calibration.parameters))
            width = np.diff(knots, axis=1)
            slopes = np.divide(np.diff(heights, axis=1), width, out=np.zeros_like(width), where=width > 0)
            for name, values in (("knots", knots), ("slopes", slopes), ("start", heights[:, 0])):
                self.register_buffer(name, torch.from_numpy(values))

    def forward(self, logits: Tensor) -> Tensor:
        """Calibrated logits. `logits`: shape (n, classes)."""
        if self.method is None:
            return logits
        if self.method == "temperature":
            return logits * self.numbers[0, 0].float()
        odds = logits.double()
        if self.kind == "multiclass":
            log_probabilities = odds.log_softmax(dim=1)
            odds = log_probabilities - torch.log((-torch.expm1(log_probabilities)).clamp_min(MIN_COMPLEMENT))
        if self.method == "beta":
            rise, fall, constant = self.numbers.unbind(dim=1)
            calibrated = rise * nn.functional.logsigmoid(odds) - fall * nn.functional.logsigmoid(-odds) + constant
        else:  # piecewise linear: sum over the segments
            climbed = odds.unsqueeze(2).maximum(self.knots[:, :-1]).minimum(self.knots[:, 1:])
            calibrated = self.start + ((climbed - self.knots[:, :-1]) * self.slopes).sum(dim=2)
        return (calibrated if self.kind == "multilabel" else nn.functional.logsigmoid(calibrated)).float()


class EnsembleGraph(nn.Module):
    """Ensemble graph: models, their mean or vote, calibration.

    Args:
        weights: One per model, summing to 1; None means vote.
        space: Space of the mean, `logit` or `probability`.
    """

    def __init__(
        self, models: Sequence[ModelGraph], weights: Sequence[float] | None, space: str, calibrated: CalibratedGraph
    ) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.weights, self.space, self.calibrated = weights, space, calibrated
        self.kind = models[0].kind

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and probabilities of a batch.

        `pixels`: shape (n, channels, height, width), float32, in the files' own units, at the cached size. Returns
        shape (n, classes) each.
        """
        model_logits = [model(pixels) for model in self.models]
        logits = self.calibrated(model_logits[0] if len(model_logits) == 1 else self.combine(model_logits))
        return logits, self._probabilities(logits)

    def combine(self, model_logits: Sequence[Tensor]) -> Tensor:
        """Combine the models' logits, shape (n, classes) each."""
        if self.weights is not None and self.space == "logit":
            return torch.stack(
                [weight * logits for weight, logits in zip(self.weights, model_logits, strict=True)]
            ).sum(dim=0)
        probabilities = [self._probabilities(logits) for logits in model_logits]
        if self.weights is not None:
            mean = torch.stack(
                [weight * logits for weight, logits in zip(self.weights, probabilities, strict=True)]
            ).sum(dim=0)
        else:
            votes = [
                logits > 0.5 if self.kind == "multilabel" else logits == logits.amax(1, keepdim=True)
                for logits in probabilities
            ]
            share, mean = torch.stack(votes).float().mean(dim=0), torch.stack(probabilities).mean(dim=0)
            mean = (len(model_logits) * share + mean) / (len(model_logits) + 1)
        mean = mean.clamp(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        return mean.logit() if self.kind == "multilabel" else mean.log()

    def _probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.kind == "multilabel" else logits.softmax(dim=1)


def model_graph(checkpoints: Sequence[Checkpoint], views: PredictSpec) -> ModelGraph:
    """Graph of one model, from one checkpoint per fold and a `predict` section with one pooling."""
    folds = [
        [network.to(memory_format=torch.contiguous_format) for network in load_networks(checkpoint)]  # type: ignore[call-overload]
        for checkpoint in checkpoints
    ]
    return ModelGraph(
        folds, [input_format(checkpoint.card) for checkpoint in checkpoints], views, checkpoints[0].card
    ).eval()


def input_format(card: dict[str, Any]) -> ImageDataset:
    """Input format of a network without an image: cached size, scale, channels, tiles."""
    model = ModelSpec.model_validate(card["model"])
    blank = np.zeros((1, card["channels"], *card["canvas"]), np.uint8)
    names = tuple(card["channel_names"]) if card.get("channel_names") else None
    scale = Normalization.from_facts(card["normalization"])
    empty_images = ImageTable(pl.DataFrame(), tuple(card["classes"]), card["kind"], names)
    pack = PixelCache(blank, "stretch" if model.input.resize == "stretch" else "fit")
    truth = LabelMatrix.empty(1, len(card["classes"]))
    return make_dataset(model, pack, empty_images, ImageStatistics(pl.DataFrame(), scale), scale, truth)


def _pad_rows(rows: Sequence[Sequence[float]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    longest = max(map(len, rows))
    return np.array([[*row, *[row[-1]] * (longest - len(row))] for row in rows], np.float64)
