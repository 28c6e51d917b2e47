"""Memory that is short: batches in parts, in training, in the sweep of rates and in prediction; else one sentence."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import holotype.training.epoch as epoch_module
import holotype.training.phase_state as phase_module
from holotype.core.errors import HolotypeError, TrainingError
from holotype.core.runtime import Runtime
from holotype.loading import ImageDataset, is_out_of_memory
from holotype.prediction import InferenceOptions, infer_logits
from holotype.recipe.sections import PredictSpec
from holotype.training import FitJob, fit_model

PlanJob = Callable[..., FitJob]
CPU_WORDS = (
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "9000000000 bytes. Error code 12 (Cannot allocate memory)"
)
SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError(CPU_WORDS),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9000000000 bytes."),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.00 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("could not create a primitive"),
    RuntimeError("std::bad_alloc"),
    MemoryError("Unable to allocate 8.38 GiB for an array with shape (9, 1000000000) and data type uint8"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: str(error)[:30])
def test_every_library_s_word_for_a_full_memory_is_known(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shape mismatch"), ValueError("out of memory"), OSError(28, "No space")]
)
def test_other_errors_are_not_taken_for_a_full_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)


def fitted(job: FitJob, specimens: ImageDataset, folder: Path, runtime: Runtime) -> bytes:
    made = folder / "made"
    made.mkdir(parents=True, exist_ok=True)
    fit_model(job, specimens, made, folder / "workspace", runtime)
    return (made / "weights.safetensors").read_bytes()


def allow_images(monkeypatch: pytest.MonkeyPatch, most: int, error: Exception) -> list[int]:
    """Let no more than so many images fit into a step at once; returns how many were taken."""
    sizes: list[int] = []
    for module in (epoch_module, phase_module):
        step = module.take_step

        def crowded(training: Any, phase: Any, parts: Any, *others: Any, step: Any = step) -> Tensor:
            if any(len(targets) > most for _, targets in parts):
                raise error
            sizes.extend(len(targets) for _, targets in parts)
            done: Tensor = step(training, phase, parts, *others)
            return done

        monkeypatch.setattr(module, "take_step", crowded)
    return sizes


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: str(error)[:30])
def test_whatever_says_that_memory_is_short_a_batch_is_taken_in_halves(
    plan_job: PlanJob,
    specimens: ImageDataset,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    sizes = allow_images(monkeypatch, 3, error)
    fitted(plan_job({"epochs": 1}), specimens, tmp_path, runtime)
    assert sizes == [3, 2] * 3


def test_parts_change_the_rounding_and_nothing_else(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holotype.core.tensor_files import load_tensors

    job = plan_job({"epochs": 1, "lr": 0.001}, backbone="test_vit", head={"dropout": 0.0})
    fitted(job, specimens, tmp_path / "whole", runtime)
    allow_images(monkeypatch, 3, MemoryError())
    fitted(job, specimens, tmp_path / "parts", runtime)
    whole, parts = (load_tensors(tmp_path / name / "made" / "weights.safetensors")[0] for name in ("whole", "parts"))
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-3, atol=5e-5)


def test_the_sweep_of_rates_takes_batches_in_halves_too(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phase_module, "FINDER_STEPS", 8)
    sizes = allow_images(monkeypatch, 3, torch.OutOfMemoryError("CUDA out of memory"))
    fitted(plan_job({"epochs": 1, "lr": "find"}), specimens, tmp_path, runtime)
    assert len(sizes) > 6
    assert max(sizes) <= 3


def test_one_image_that_does_not_fit_ends_in_a_sentence_and_the_work_before_it_is_kept(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = plan_job({"epochs": 1}, {"epochs": 1})
    whole = fitted(job, specimens, tmp_path / "whole", runtime)
    step, calls = epoch_module.take_step, []

    def exhausted(*parts: Any) -> Tensor:
        calls.append(None)
        if len(calls) > 4:
            raise RuntimeError(CPU_WORDS)
        done: Tensor = step(*parts)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(epoch_module, "take_step", exhausted)
        with pytest.raises(
            TrainingError, match="main, fold 2: one image does not fit in memory while training"
        ) as word:
            fitted(job, specimens, tmp_path / "kept", runtime)
    assert "9000000000 bytes" in str(word.value)
    assert "input.size" in str(word.value)
    assert "the same command continues" in str(word.value)
    assert "\n" not in str(word.value)
    heard: list[str] = []
    speaking = replace(runtime, progress=runtime.progress.with_listener(heard.append))
    assert fitted(job, specimens, tmp_path / "kept", speaking) == whole
    assert any("resumes after epoch 1" in sentence for sentence in heard)


def test_memory_that_is_short_outside_a_step_ends_in_a_sentence(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("holotype.training.fit.build_network", exhausted)
    with pytest.raises(TrainingError, match=r"main, fold 2: out of memory \(MemoryError\); write a smaller"):
        fitted(plan_job({"epochs": 1}), specimens, tmp_path, runtime)


@pytest.mark.parametrize("error", SHORTAGES[:2], ids=["GPU", "CPU"])
def test_a_batch_of_predictions_that_does_not_fit_is_taken_in_halves(
    specimens: ImageDataset, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def network(pixels: Tensor, most: int = 7) -> Tensor:
        if len(pixels) > most:
            raise error
        sizes.append(len(pixels))
        return pixels.mean(dim=(2, 3)).repeat(1, 2)

    reading = InferenceOptions(32, "multiclass", PredictSpec(tta="none"))
    rows, cpu = np.arange(20), torch.device("cpu")
    logits = infer_logits(network, specimens, rows, reading, cpu)
    assert sizes == [5, 5, 5, 5]
    whole = infer_logits(lambda pixels: network(pixels, 99), specimens, rows, reading, cpu)
    np.testing.assert_array_equal(logits, whole)


def test_one_prediction_that_does_not_fit_ends_in_a_sentence(specimens: ImageDataset) -> None:
    def network(_: Tensor) -> Tensor:
        raise RuntimeError(CPU_WORDS)

    reading = InferenceOptions(32, "multiclass", PredictSpec(tta="none"))
    with pytest.raises(HolotypeError, match=r"one image does not fit in memory .*9000000000 bytes"):
        infer_logits(network, specimens, np.arange(20), reading, torch.device("cpu"))
