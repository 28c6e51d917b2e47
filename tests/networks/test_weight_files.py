"""What a weights file may hold: data alone, wrapped in whatever a training adds, and every tensor is accounted for."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from holotype.core.errors import RecipeError
from holotype.networks import check_weights, find_weights
from holotype.networks.load_backbone import fit_weights_to_backbone
from holotype.networks.weight_files import read_checkpoint

State = dict[str, Tensor]
TRUTH = timm.create_model("test_resnet", num_classes=0, global_pool="").state_dict()


def load(path: Path, content: Any, backbone: str = "test_resnet", **options: Any) -> Any:
    torch.save(content, path, **options)
    return find_weights(backbone, str(path))


def under(prefix: str, state: State, shift: float = 0.0) -> State:
    return {prefix + name: value + shift if value.is_floating_point() else value for name, value in state.items()}


def same(state: State | None, truth: State = TRUTH) -> bool:
    return (
        state is not None and set(state) == set(truth) and all(torch.equal(state[name], truth[name]) for name in truth)
    )


WRAPPED: dict[str, tuple[Callable[[State], Any], str]] = {
    "bare": (lambda state: state, ""),
    "state_dict": (lambda state: {"state_dict": state, "epoch": 3}, " from `state_dict`"),
    "model": (lambda state: {"model": under("module.", state)}, " from `model`, names without `module.`"),
    "compiled": (lambda state: under("_orig_mod.module.", state), " from names without `_orig_mod.module.`"),
    "lightning": (
        lambda state: {"state_dict": under("model.", state), "hyper_parameters": {"lr": 0.1}},
        " from `state_dict`, names without `model.`",
    ),
    "two deep": (lambda state: {"model": {"ema": state}}, " from `model.ema`"),
    "averaged": (
        lambda state: {"model": under("", state, 1.0), "model_ema": state, "optimizer": {"state": {}}},
        " from `model_ema`",
    ),
    "teacher": (
        lambda state: {"student": under("backbone.", state, 1.0), "teacher": under("backbone.", state)},
        " from `teacher`, names without `backbone.`",
    ),
    "options": (lambda state: {"model": state, "args": argparse.Namespace(lr=0.1)}, " from `model`"),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", WRAPPED)
def test_wrapped_weights_are_unwrapped_and_the_description_says_from_what(
    tmp_path: Path, name: str, zipped: bool
) -> None:
    wrap, words = WRAPPED[name]
    weights = load(tmp_path / "w.pth", wrap(TRUTH), _use_new_zipfile_serialization=zipped)
    assert same(weights.state)
    assert weights.loading == f"{len(TRUTH)} tensors loaded{words}"


def test_blocks_in_chunks_are_those_of_one_sequence(tmp_path: Path) -> None:
    truth = timm.create_model("test_vit", num_classes=0, global_pool="").state_dict()
    chunked = {re.sub(r"^blocks\.(\d+)\.", r"blocks.\1.\1.", name): value for name, value in truth.items()}
    assert same(load(tmp_path / "w.pth", {"teacher": chunked}, "test_vit").state, truth)


def test_tensors_that_are_left_out_are_counted_and_named(tmp_path: Path) -> None:
    state = {"fc.weight": torch.ones(3, 3), **under("encoder.", TRUTH), "encoder.fc.bias": torch.ones(3)}
    weights = load(tmp_path / "w.pth", state)
    assert (
        weights.loading == f"{len(TRUTH)} tensors loaded from names without `encoder.`; 2 left out (fc.bias, fc.weight)"
    )


def test_a_little_may_be_missing_and_is_named(tmp_path: Path) -> None:
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0, global_pool="")
    state = network.state_dict()
    del state["norm.weight"], state["norm.bias"]
    weights = load(tmp_path / "w.pth", state, "vit_tiny_patch16_224")
    assert weights.loading == ("148 tensors loaded; 2 of 150 missing, left as initialized (norm.bias, norm.weight)")


@pytest.mark.parametrize(
    "lost", [r"blocks\.11\.", r"ls\d|norm", r"patch_embed\.proj\.weight", r"pos_embed", r"patch_embed"]
)
def test_more_than_a_little_must_not_be_missing(tmp_path: Path, lost: str) -> None:
    state = timm.create_model("vit_tiny_patch16_224", num_classes=0, global_pool="").state_dict()
    state = {name: value for name, value in state.items() if not re.search(lost, name)}
    with pytest.raises(RecipeError, match=r"do not fit the backbone: \d+ of 150 tensors are missing"):
        load(tmp_path / "w.pth", state, "vit_tiny_patch16_224")


@pytest.mark.parametrize("backbone", ["densenet121", "vgg11", "regnety_008", "convnext_atto", "xcit_nano_12_p8_224"])
def test_filters_of_every_kind_keep_weights_of_timm_as_they_are(backbone: str) -> None:
    with torch.device("meta"):
        state = timm.create_model(backbone).state_dict()
        expected = timm.create_model(backbone, num_classes=0, global_pool="").state_dict()
    fitted = fit_weights_to_backbone(state, backbone, {})
    assert (set(fitted.state), fitted.options) == (set(expected), {})


def test_running_means_of_batch_norm_must_not_be_missing(tmp_path: Path) -> None:
    state = {name: value for name, value in TRUTH.items() if "running_mean" not in name}
    with pytest.raises(RecipeError, match="tensors are missing"):
        load(tmp_path / "w.pth", state)
    counted = {name: value for name, value in TRUTH.items() if "num_batches_tracked" not in name}
    assert load(tmp_path / "w.pth", counted).loading == f"{len(counted)} tensors loaded"


def test_biases_that_a_variant_of_the_backbone_lacks_are_not_dropped(tmp_path: Path) -> None:
    with_biases = timm.create_model("vit_small_patch16_dinov3_qkvb", num_classes=0, depth=1)
    (tmp_path / "card.json").write_text('{"backbone_options": {"depth": 1}}')
    names = {
        "reg_token": "storage_tokens",
        "blocks.0.gamma_1": "blocks.0.ls1.gamma",
        "blocks.0.gamma_2": "blocks.0.ls2.gamma",
    }
    state = {names.get(name, name): value for name, value in with_biases.state_dict().items() if "_bias" not in name}
    backbone = "vit_small_patch16_dinov3"
    assert load(tmp_path / "w.pth", {**state, "blocks.0.attn.qkv.bias": torch.zeros(1152)}, backbone).state is not None
    with pytest.raises(RecipeError, match=r"1 bias that .*'vit_small_patch16_dinov3' lacks.*write `backbone: .*_qkvb`"):
        load(tmp_path / "w.pth", {**state, "blocks.0.attn.qkv.bias": torch.ones(1152)}, backbone)


def test_a_pickle_of_program_objects_is_refused(tmp_path: Path) -> None:
    for zipped in (True, False):
        with pytest.raises(
            RecipeError, match=r"only data are loaded: torch\.nn\.modules\.linear\.Linear; if you trust"
        ):
            load(tmp_path / "w.pth", {"model": nn.Linear(2, 2)}, _use_new_zipfile_serialization=zipped)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 cut"])
@pytest.mark.parametrize("suffix", ["pth", "bin", "safetensors"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"cannot be read: .*copy the file again"):
        find_weights("test_resnet", str(path))


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"model": {}}])
def test_a_file_without_named_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(RecipeError, match="hold no tensors with names"):
        load(tmp_path / "w.pth", content)


def test_weights_of_half_precision_are_loaded(tmp_path: Path) -> None:
    state = {name: value.half() if value.is_floating_point() else value for name, value in TRUTH.items()}
    assert load(tmp_path / "w.pth", state).loading == f"{len(TRUTH)} tensors loaded"


@pytest.mark.parametrize("zipped", [True, False])
def test_zip_files_are_mapped_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool) -> None:
    torch.save(TRUTH, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    options: list[Any] = []
    original = torch.load
    monkeypatch.setattr(torch, "load", lambda path, **more: options.append(more["mmap"]) or original(path, **more))
    assert set(read_checkpoint(tmp_path / "w.pt")) == set(TRUTH)
    assert options == [zipped]


def test_a_check_reads_no_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(TRUTH, tmp_path / "w.pth")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the tensors were read"))
    check_weights("test_resnet", str(tmp_path / "w.pth"))
