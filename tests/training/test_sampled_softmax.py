"""Steps that look at some of the classes: the others stay as they are, and a step costs what its classes cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import holotype.training.epoch as epoch_module
from holotype.core.runtime import Runtime
from holotype.core.tensor_files import load_tensors
from holotype.data import PixelCache
from holotype.loading import ImageDataset
from holotype.losses import compose_loss
from holotype.networks.heads import CosineClassifier
from holotype.recipe.sections import HeadSpec, MarginSpec, OptimizerSpec
from holotype.training import FitJob, fit_model
from holotype.training.optimizers import optimizer_factory
from holotype.training.sampled_softmax import classes_per_step, restricted_to_classes, sample_classes
from holotype.types import LabelMatrix, Normalization

CLASSES, WIDTH = 40, 6
OPTIMISERS = [
    {"name": "adamw", "amsgrad": True},
    {"name": "sgd", "nesterov": True},
    {"name": "adam"},
    {"name": "adagrad"},
    {"name": "rmsprop"},
    {"name": "radam"},
    {"name": "adafactor"},
]


def layer_of(kind: str) -> torch.nn.Module:
    torch.manual_seed(1)
    return (
        torch.nn.Linear(WIDTH, CLASSES)
        if kind == "linear"
        else CosineClassifier(WIDTH, CLASSES, MarginSpec(subcenters=2))
    )


def trained(kind: str, spec: dict[str, Any], steps: list[torch.Tensor | None]) -> tuple[Any, Any]:
    """A layer after some steps, each over some classes or over all."""
    last = layer_of(kind)
    optimiser = optimizer_factory(OptimizerSpec.model_validate(spec))(
        [{"params": list(last.parameters()), "weight_decay": 0.1}], 0.01
    )
    for number, columns in enumerate(steps):
        torch.manual_seed(number)
        features, targets = torch.randn(8, WIDTH), torch.eye(CLASSES)[torch.randint(0, 5, (8,))]
        if columns is None:
            compose_loss({"cross_entropy": 1.0}, kind="multiclass")(last(features), targets).backward()
            optimiser.step()
        else:
            with restricted_to_classes(last, optimiser, columns, CLASSES):
                loss = compose_loss({"cross_entropy": 1.0}, kind="multiclass")
                loss(last(features), targets[:, columns]).backward()
                optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return last, optimiser


@pytest.mark.parametrize("kind", ["linear", "cosines"])
@pytest.mark.parametrize("spec", OPTIMISERS, ids=lambda spec: spec["name"])
def test_a_step_over_all_columns_is_the_plain_step(kind: str, spec: dict[str, Any]) -> None:
    every = torch.arange(CLASSES)
    (plain, first), (narrow, second) = (trained(kind, spec, [one] * 3) for one in (None, every))
    for one, other in zip(plain.parameters(), narrow.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
        for name, value in first.state[one].items():
            torch.testing.assert_close(value, second.state[other][name], rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["linear", "cosines"])
@pytest.mark.parametrize("spec", OPTIMISERS, ids=lambda spec: spec["name"])
def test_what_is_not_looked_at_stays_as_it_was(kind: str, spec: dict[str, Any]) -> None:
    some, others = torch.arange(0, 20), torch.arange(20, CLASSES)
    before, after = (trained(kind, spec, [torch.arange(CLASSES)] + [some] * count) for count in (1, 3))
    for one, other in zip(before[0].parameters(), after[0].parameters(), strict=True):
        each = len(one) // CLASSES
        kept, moved = slice(20 * each, None), slice(0, 20 * each)
        assert one.shape == other.shape
        torch.testing.assert_close(one[kept], other[kept], rtol=0, atol=0)
        assert not torch.equal(one[moved], other[moved])
        for name, value in before[1].state[one].items():
            if value.ndim and len(value) == len(one):
                torch.testing.assert_close(value[kept], after[1].state[other][name][kept], rtol=0, atol=0)
    assert len(others) == 20


def test_a_step_that_fails_leaves_the_layer_whole() -> None:
    last = layer_of("linear")
    optimiser = torch.optim.AdamW(last.parameters())
    before = last.weight.clone()

    def step() -> None:
        with restricted_to_classes(last, optimiser, torch.tensor([1, 5]), CLASSES):
            assert last.weight.shape == (2, WIDTH)
            raise RuntimeError("memory is full")

    with pytest.raises(RuntimeError, match="full"):
        step()
    assert torch.equal(last.weight, before)


def test_the_classes_of_the_batches_are_always_there_and_the_drawn_ones_hang_on_the_key_alone() -> None:
    parts = [torch.eye(CLASSES)[[3, 7]], 0.5 * torch.eye(CLASSES)[[30, 3]]]
    columns = sample_classes(parts, 10, 5)
    assert len(columns.indices) == 10
    assert {3, 7, 30} <= set(columns.indices.tolist())
    assert columns.indices.tolist() == sorted(set(columns.indices.tolist()))
    assert columns.indices.tolist() == sample_classes([torch.cat(parts)], 10, 5).indices.tolist()
    assert columns.indices.tolist() != sample_classes(parts, 10, 6).indices.tolist()
    own = torch.isin(columns.indices, torch.tensor([3, 7, 30]))
    np.testing.assert_allclose(columns.offset, np.where(own, 0, np.log(37 / 7)), rtol=1e-6)
    assert sample_classes(parts, 2, 5).indices.tolist() == [3, 7, 30]


def test_the_drawn_classes_stand_for_all_others_on_average() -> None:
    logits, targets = torch.randn(4, CLASSES, generator=torch.Generator().manual_seed(2)), torch.eye(CLASSES)[:4]
    sums = []
    for key in range(3_000):
        columns = sample_classes([targets], 12, key)
        sums.append((logits[:, columns.indices] + columns.offset).exp().sum(dim=1))
    torch.testing.assert_close(torch.stack(sums).mean(dim=0), logits.exp().sum(dim=1), rtol=0.02, atol=0)


def test_class_weights_and_logit_adjustment_follow_the_columns() -> None:
    weights, adjustment = torch.linspace(0.5, 2, CLASSES), torch.linspace(-1, 1, CLASSES)
    loss = compose_loss({"cross_entropy": 1.0}, weights, adjustment=adjustment, kind="multiclass")
    logits, targets = torch.randn(4, CLASSES), torch.eye(CLASSES)[[0, 4, 8, 8]]
    columns = torch.tensor([0, 4, 8, 20])
    shut = torch.full((CLASSES,), -1e9).index_fill(0, columns, 0.0)
    some = loss(logits[:, columns], targets[:, columns], columns=columns)
    torch.testing.assert_close(some, loss(logits + shut, targets))


def test_how_many_classes_a_step_looks_at() -> None:
    usual = HeadSpec()
    assert [classes_per_step(usual, classes) for classes in (2, 2_000, 2_001, 32_093)] == [None, None, 1_000, 3_209]
    assert classes_per_step(HeadSpec(classes_per_step=50), 100) == 50
    assert classes_per_step(HeadSpec(classes_per_step=100), 100) is None
    assert classes_per_step(usual, 32_093, processes=2) is None


@pytest.fixture
def job(plan_job: Callable[..., FitJob]) -> Callable[..., FitJob]:
    """A job of forty classes, of which a step looks at eight."""

    def plan(**model: Any) -> FitJob:
        made = plan_job(
            {"epochs": 2, "optimizer": {"name": "adamw", "amsgrad": True}, "accumulate": 2, "clip": 1.0, "ema": 0.9},
            **model,
        )
        return FitJob(
            made.model,
            2,
            7,
            made.train_rows,
            made.validation_rows,
            tuple(map(str, range(CLASSES))),
            "multiclass",
            None,
            made.normalization,
        )

    return plan


@pytest.fixture
def fed(specimens: ImageDataset) -> ImageDataset:
    """The same images with forty classes, of which eight have rows."""
    truth = LabelMatrix.from_pairs(np.arange(20), np.arange(20) % 8 * 5, (20, CLASSES))
    return ImageDataset(
        PixelCache(specimens.pixel_cache.pixels, "fit"), Normalization((128.0, 120.0), (60.0, 55.0)), truth
    )


@pytest.mark.parametrize("margin", [None, {"subcenters": 2}])
def test_killed_within_an_epoch_a_training_over_some_classes_ends_in_the_same_bytes(
    job: Callable[..., FitJob],
    fed: ImageDataset,
    runtime: Runtime,
    tmp_path: Path,
    margin: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = job(head={"classes_per_step": 8, "hidden": 5, "margin": margin})

    def fitted(folder: Path) -> bytes:
        (folder / "made").mkdir(parents=True, exist_ok=True)
        fit_model(chosen, fed, folder / "made", folder / "work", runtime)
        return (folder / "made" / "weights.safetensors").read_bytes()

    whole, calls, work = fitted(tmp_path / "whole"), [0], epoch_module.take_step

    def dying(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return work(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(epoch_module, "take_step", dying)
        with pytest.raises(KeyboardInterrupt):
            fitted(tmp_path / "killed")
    assert fitted(tmp_path / "killed") == whole
    tensors, _ = load_tensors(tmp_path / "whole" / "made" / "weights.safetensors")
    assert len(tensors["head.last.weight"]) == CLASSES * (2 if margin else 1)
