"""The graph: raw pixels in, logits and probabilities out, by the very parts that a run predicts with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from holotype.augment import normalise
from holotype.data import Pack
from holotype.feed import Specimens, make_specimens
from holotype.nets import load_networks
from holotype.predict import Reading, RunningPool, list_views
from holotype.spec import AugmentSpec, MemberSpec, ViewSpec
from holotype.types import Calibration, Checkpoint, ImageStatistics, ImageTable, LabelMatrix, Normalisation

__all__ = ["CalibratedGraph", "EnsembleGraph", "MemberGraph", "member_graph", "stored_form"]

SMALLEST = 1e-7  # as the ensemble's means of probabilities have it
SMALLEST_OF_ODDS = 1e-6  # as calibration has it


class MemberGraph(nn.Module):
    """One member: views, networks of all folds, their pooling and their mean.

    Args:
        folds: The networks of each fold.
        forms: How each fold's networks are fed.
        views: The recipe's `predict` section, with one pooling.
        card: Of one of the networks.
    """

    def __init__(
        self, folds: Sequence[Sequence[nn.Module]], forms: Sequence[Specimens], views: ViewSpec, card: dict[str, Any]
    ) -> None:
        super().__init__()
        self.folds = nn.ModuleList(nn.ModuleList(networks) for networks in folds)
        self.spec, self.kind = views, card["kind"]
        reading = Reading(card["size"], card["kind"], views, AugmentSpec())
        self.looks = [
            list_views(form, reading) for form in forms
        ]  # made here, as what they decide is no part of a graph
        self.scales = [(form.normalisation.mean, form.normalisation.deviation) for form in forms]
        self.limits = [(form.normalisation.low, form.normalisation.high) for form in forms]
        self.seen = [list(range(card["channels"]) if form.seen is None else form.seen) for form in forms]

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            pixels: Shape (n, channels, height, width), float32, in the files' own units, at the stored size.

        Returns:
            Shape (n, classes).
        """
        views: dict[Any, Tensor] = {}  # folds whose scale is the same look at the same views
        said = []
        for number, networks in enumerate(cast("list[nn.ModuleList]", list(self.folds))):
            scale = (self.scales[number], self.limits[number])
            if scale not in views:
                views[scale] = self._views(pixels, number)
            own = [self._pooled(network(views[scale]).float()) for network in networks]
            said.append(torch.stack(own).mean(dim=0) if len(own) > 1 else own[0])
        return torch.stack(said).mean(dim=0) if len(said) > 1 else said[0]

    def _views(self, pixels: Tensor, number: int) -> Tensor:
        order = self.seen[number]
        chosen = pixels if order == list(range(pixels.shape[1])) else pixels[:, order]
        mean, deviation = ([side[place] for place in order] for side in self.scales[number])
        low, high = (side and [side[place] for place in order] for side in self.limits[number])
        scaled = normalise(chosen, mean, deviation, low, high)
        return torch.cat([view(scaled) for view in self.looks[number]])

    def _pooled(self, logits: Tensor) -> Tensor:
        pool = RunningPool(self.spec.pool, self.kind)
        for view in logits.reshape(len(self.looks[0]), -1, logits.shape[1]).unbind():
            pool.add(view)
        return pool.logits()


class CalibratedGraph(nn.Module):
    """A calibration as a formula, computed in double precision as the run does.

    Args:
        calibration: From `decision.json`.
        kind: `multiclass` or `multilabel`.
    """

    numbers: Tensor
    places: Tensor
    slopes: Tensor
    start: Tensor

    def __init__(self, calibration: Calibration, kind: str) -> None:
        super().__init__()
        self.method, self.kind = calibration.method, kind
        if self.method in {"temperature", "beta"}:
            self.register_buffer("numbers", torch.tensor(calibration.numbers, dtype=torch.float64))
        elif self.method == "isotonic":
            places, heights = (_padded(rows) for rows in (calibration.steps, calibration.numbers))
            width = np.diff(places, axis=1)
            slopes = np.divide(np.diff(heights, axis=1), width, out=np.zeros_like(width), where=width > 0)
            for name, values in (("places", places), ("slopes", slopes), ("start", heights[:, 0])):
                self.register_buffer(name, torch.from_numpy(values))

    def forward(self, logits: Tensor) -> Tensor:
        """Calibrated logits.

        Args:
            logits: Shape (n, classes).
        """
        if self.method is None:
            return logits
        if self.method == "temperature":
            return logits * self.numbers[0, 0].float()
        odds = logits.double()
        if self.kind == "multiclass":
            known = odds.log_softmax(dim=1)
            odds = known - torch.log((-torch.expm1(known)).clamp_min(SMALLEST_OF_ODDS))
        if self.method == "beta":
            rise, fall, constant = self.numbers.unbind(dim=1)
            made = rise * nn.functional.logsigmoid(odds) - fall * nn.functional.logsigmoid(-odds) + constant
        else:  # a line in pieces is the sum of what is climbed on each of them
            climbed = odds.unsqueeze(2).maximum(self.places[:, :-1]).minimum(self.places[:, 1:])
            made = self.start + ((climbed - self.places[:, :-1]) * self.slopes).sum(dim=2)
        return (made if self.kind == "multilabel" else nn.functional.logsigmoid(made)).float()


class EnsembleGraph(nn.Module):
    """Members together, calibrated.

    Args:
        members: One graph a member.
        weights: One a member, summing to 1; none where they vote.
        space: `logit` or `probability`: what is averaged.
        calibrated: The calibration.
    """

    def __init__(
        self, members: Sequence[MemberGraph], weights: Sequence[float] | None, space: str, calibrated: CalibratedGraph
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.weights, self.space, self.calibrated = weights, space, calibrated
        self.kind = members[0].kind

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and probabilities of a batch.

        Args:
            pixels: Shape (n, channels, height, width), float32, in the files' own units, at the stored size.

        Returns:
            Shape (n, classes) each.
        """
        said = [member(pixels) for member in self.members]
        logits = self.calibrated(said[0] if len(said) == 1 else self.together(said))
        return logits, self._probabilities(logits)

    def together(self, said: Sequence[Tensor]) -> Tensor:
        """The members' logits as one.

        Args:
            said: One entry a member, shape (n, classes) each.
        """
        if self.weights is not None and self.space == "logit":
            return torch.stack([weight * one for weight, one in zip(self.weights, said, strict=True)]).sum(dim=0)
        sure = [self._probabilities(one) for one in said]
        if self.weights is not None:
            mean = torch.stack([weight * one for weight, one in zip(self.weights, sure, strict=True)]).sum(dim=0)
        else:
            most = [one > 0.5 if self.kind == "multilabel" else one == one.amax(1, keepdim=True) for one in sure]
            share, mean = torch.stack(most).float().mean(dim=0), torch.stack(sure).mean(dim=0)
            mean = (len(said) * share + mean) / (len(said) + 1)
        mean = mean.clamp(SMALLEST, 1 - SMALLEST)
        return mean.logit() if self.kind == "multilabel" else mean.log()

    def _probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.kind == "multilabel" else logits.softmax(dim=1)


def member_graph(checkpoints: Sequence[Checkpoint], views: ViewSpec) -> MemberGraph:
    """The graph of one member.

    Args:
        checkpoints: One a fold.
        views: The recipe's `predict` section, with one pooling.
    """
    folds = [[network.to(memory_format=torch.contiguous_format) for network in load_networks(one)]  # type: ignore[call-overload]
             for one in checkpoints]  # fmt: skip
    return MemberGraph(folds, [stored_form(one.card) for one in checkpoints], views, checkpoints[0].card).eval()


def stored_form(card: dict[str, Any]) -> Specimens:
    """How a network is fed, without an image: the stored size, the scale, the channels, the tiles.

    Args:
        card: The network's.
    """
    member = MemberSpec.model_validate(card["member"])
    nothing = np.zeros((1, card["channels"], *card["canvas"]), np.uint8)
    names = tuple(card["channel_names"]) if card.get("channel_names") else None
    scale = Normalisation.from_facts(card["normalisation"])
    nobody = ImageTable(pl.DataFrame(), tuple(card["classes"]), card["kind"], names)
    pack = Pack(nothing, "stretch" if member.input.resize == "stretch" else "fit")
    truth = LabelMatrix.nothing(1, len(card["classes"]))
    return make_specimens(member, pack, nobody, ImageStatistics(pl.DataFrame(), scale), scale, truth)


def _padded(rows: Sequence[Sequence[float]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows of several lengths as one array, their last number repeated."""
    longest = max(map(len, rows))
    return np.array([[*row, *[row[-1]] * (longest - len(row))] for row in rows], np.float64)
