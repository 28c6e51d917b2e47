"""Mixed precision: float16 with a scaler, bfloat16 where the cores have it; on a CPU, by the very code of a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor, nn
from torch.nn import functional

import holotype.training.epoch as epoch_module
from holotype.core.runtime import Runtime
from holotype.core.tensor_files import load_tensors
from holotype.loading import ImageDataset
from holotype.networks import build_network
from holotype.prediction import InferenceOptions, in_precision, infer_logits, resolve_precision
from holotype.recipe.sections import ModelSpec, PredictSpec
from holotype.training import FitJob, StepOptions, fit_model, launch_fabric, train_step

PlanJob = Callable[..., FitJob]
CPU = torch.device("cpu")


class KilledError(Exception):
    """Stands for the end of the process."""


def fitted(job: FitJob, specimens: ImageDataset, folder: Path, runtime: Runtime) -> bytes:
    made = folder / "made"
    made.mkdir(parents=True, exist_ok=True)
    fit_model(job, specimens, made, folder / "workspace", runtime)
    return (made / "weights.safetensors").read_bytes()


def half(scale: float = 2.0**16) -> tuple[Fabric, torch.amp.GradScaler]:
    """A Fabric that trains in float16, as it does on a GPU without bfloat16."""
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)]), scaler


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(6, 3)


def mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits, targets)


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(4)
    return torch.randn(8, 6), torch.eye(3)[torch.arange(8) % 3]


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("on_nonfinite", ["halve", "skip"])
def test_float16_trains_with_every_optimizer_and_clipping(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, optimizer: str, on_nonfinite: str
) -> None:
    phase = {"epochs": 6, "lr": 0.02, "clip": 1.0, "optimizer": {"name": optimizer}, "on_nonfinite": on_nonfinite}
    calm = {"augment": {"flip": False, "rotate": 0, "scale": [1.0, 1.0]}}
    fitted(plan_job(phase, **calm), specimens, tmp_path, replace(runtime, precision="16"))
    story = pl.read_parquet(tmp_path / "made" / "history.parquet")
    assert np.isfinite(story["train_loss"].to_numpy()).all()
    assert story["train_loss"][-1] < story["train_loss"][0]


@pytest.mark.parametrize("clip", [None, 0.5, 1e6])
def test_a_step_in_float16_is_that_of_single_precision(clip: float | None) -> None:
    moved = []
    for fabric in (Fabric(accelerator="cpu", devices=1), half()[0]):
        network = linear()
        wrapped, optimiser = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=1.0, fused=True))
        before = network.weight.detach().clone()
        train_step(fabric, wrapped, optimiser, mean_loss, [batch()], StepOptions(1, clip))
        moved.append(network.weight.detach() - before)
    assert moved[0].abs().max() > 0.01
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-2, atol=1e-3)


def test_a_gradient_that_the_scaler_made_too_large_lowers_the_scale_and_is_no_lost_step() -> None:
    fabric, scaler = half(2.0**40)
    network = linear()
    wrapped, optimiser = fabric.setup(network, torch.optim.AdamW(network.parameters(), lr=1.0, fused=True))
    before = network.weight.detach().clone()
    rules = StepOptions(1, 1.0, skip_nonfinite=True)
    loss = train_step(fabric, wrapped, optimiser, mean_loss, [batch()], rules)
    assert torch.isfinite(loss)
    assert torch.equal(network.weight, before)
    assert scaler.get_scale() == 2.0**39
    for _ in range(40):
        train_step(fabric, wrapped, optimiser, mean_loss, [batch()], rules)
    assert not torch.equal(network.weight, before)
    assert torch.isfinite(network.weight).all()


def test_a_step_that_is_left_out_tells_the_scaler_which_is_ready_for_the_next() -> None:
    fabric, scaler = half()
    network = linear()
    wrapped, optimiser = fabric.setup(network, torch.optim.AdamW(network.parameters(), lr=0.1, fused=True))
    before = network.weight.detach().clone()
    pixels, targets = batch()
    rules = StepOptions(1, 1.0, skip_nonfinite=True)
    assert torch.isnan(train_step(fabric, wrapped, optimiser, mean_loss, [(pixels * torch.nan, targets)], rules))
    assert torch.equal(network.weight, before)
    assert scaler.get_scale() == 2.0**15
    assert torch.isfinite(train_step(fabric, wrapped, optimiser, mean_loss, [(pixels, targets)], rules))
    assert not torch.equal(network.weight, before)


def test_the_scale_is_kept_with_the_state_so_that_a_killed_training_ends_in_the_same_bytes(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, runtime = plan_job({"epochs": 3}), replace(runtime, precision="16")

    def too_large(*parts: Any) -> Any:
        fabric = launch(*parts)
        fabric.strategy.precision.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**30)
        return fabric

    launch = launch_fabric
    monkeypatch.setattr("holotype.training.fit.launch_fabric", too_large)
    whole = fitted(job, specimens, tmp_path / "whole", runtime)
    save, calls = epoch_module.save_state, []

    def dying(*parts: Any) -> None:
        save(*parts)
        calls.append(None)
        if len(calls) == 2:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(epoch_module, "save_state", dying)
        with pytest.raises(KilledError):
            fitted(job, specimens, tmp_path / "parts", runtime)
    tensors, _ = load_tensors(max((tmp_path / "parts" / "workspace").glob("state-*")))
    assert 0 < float(tensors["scaler.scale"]) < 2.0**30
    assert fitted(job, specimens, tmp_path / "parts", runtime) == whole


def test_automatic_precision_does_not_take_emulated_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    def emulated(including_emulation: bool = True) -> bool:
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", emulated)
    assert resolve_precision("auto", "cuda") == "16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert resolve_precision("auto", "cuda") == "bf16"
    assert [resolve_precision("auto", kind) for kind in ("cpu", "mps")] == ["32", "32"]
    assert [resolve_precision(said, "cpu") for said in ("32", "bf16", "16")] == ["32", "bf16", "16"]


@pytest.mark.parametrize(("precision", "plugin"), [("16", torch.float16), ("bf16", torch.bfloat16)])
def test_a_precision_that_is_written_is_the_one_that_trains(precision: Any, plugin: torch.dtype) -> None:
    fabric = launch_fabric(Runtime(device="cpu", threads=1, precision=precision))
    with fabric.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == plugin


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_a_network_predicts_in_the_precision_it_trained_in_and_its_scores_have_no_ties(precision: Any) -> None:
    model = ModelSpec.model_validate({"backbone": "test_efficientnet", "weights": "none"})
    network = build_network(model, 3, 2, seed=1)[0].eval()
    torch.manual_seed(1)
    pixels, kinds = torch.randn(32, 2, 32, 32), []
    network.backbone.register_forward_hook(lambda _, __, features: kinds.append(features.dtype))
    with torch.inference_mode():
        exact, mixed = network(pixels), in_precision(network, precision, CPU)(pixels)
    assert kinds == [torch.float32, {"bf16": torch.bfloat16, "16": torch.float16}[precision]]
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(exact, mixed, rtol=0.05, atol=0.02)
    assert (mixed != mixed.bfloat16().float()).float().mean() > 0.9  # more digits than those of bfloat16


def test_scores_beyond_float16_are_computed_again_in_single_precision() -> None:
    network = nn.Linear(4, 2)
    pixels = torch.full((3, 4), 1e5)
    with torch.inference_mode():
        torch.testing.assert_close(in_precision(network, "16", CPU)(pixels), network(pixels))
        assert in_precision(network, "32", CPU) is network


def test_validation_and_prediction_compute_in_the_same_precision(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path
) -> None:
    from holotype.networks import load_network, open_checkpoint

    job, runtime = plan_job({"epochs": 1}), replace(runtime, precision="bf16")
    fitted(job, specimens, tmp_path, runtime)
    network = in_precision(load_network(open_checkpoint(tmp_path / "made")), "bf16", CPU)
    reading = InferenceOptions(32, "multiclass", PredictSpec(tta="none"))
    logits = infer_logits(network, specimens, job.validation_rows, reading, CPU)
    truth = specimens.truth[job.validation_rows].argmax(axis=1)
    expected = functional.cross_entropy(torch.from_numpy(np.asarray(logits)), torch.from_numpy(truth))
    story = pl.read_parquet(tmp_path / "made" / "history.parquet")
    assert story["validation_loss"][-1] == pytest.approx(float(expected), rel=1e-5)
