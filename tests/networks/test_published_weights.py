"""Published weights in every container give the features of the network that they were drawn from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import safetensors.torch
import torch
from tests.networks.published import MODELS, Published, dinov3, transformers_dinov3
from torch import Tensor

from holotype.networks import build_network
from holotype.recipe.sections import ModelSpec

CONTAINERS = ("safetensors", "pth", "pt", "bin", "local-dir", "hf-hub")
DEPTH = 1
LEFT_OUT = {name: 3 if name == "DINOv3-S" else published.left_out for name, published in MODELS.items()}


@pytest.fixture(autouse=True)
def _hub_of_the_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def flat(checkpoint: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
    """Tensors of a nested checkpoint under dotted names, because safetensors has no nested mappings."""
    tensors: dict[str, Tensor] = {}
    for name, value in checkpoint.items():
        if isinstance(value, Tensor):
            tensors[f"{prefix}{name}"] = value.contiguous().clone()
        elif isinstance(value, Mapping):
            tensors |= flat(value, f"{prefix}{name}.")
    return tensors


def stored(folder: Path, published: Published, checkpoint: Any, container: str, depth: int | None) -> dict[str, str]:
    """`backbone` and `weights` of a recipe for a checkpoint that was written into a container."""
    options = {} if depth is None else {"depth": depth}
    if container in {"local-dir", "hf-hub"}:
        model = folder / "hub" / "models--lab--model" / "snapshots" / "abc"
        model.mkdir(parents=True)
        torch.save(checkpoint, model / "pytorch_model.bin")
        arguments = {**options, **published.options}
        config = {"architecture": published.backbone, "model_args": arguments, "pretrained_cfg": {"license": "mit"}}
        (model / "config.json").write_text(json.dumps(config))
        (model.parents[1] / "refs").mkdir()
        (model.parents[1] / "refs" / "main").write_text("abc")
        return {"backbone": f"local-dir:{model}" if container == "local-dir" else "hf-hub:lab/model"}
    path = folder / f"weights.{container}"
    if container == "safetensors":
        safetensors.torch.save_file(
            flat({name: part for name, part in checkpoint.items() if name != "optimizer"}), path
        )
    else:
        torch.save(checkpoint, path)
    path.with_name("card.json").write_text(json.dumps({"backbone_options": options}))
    return {"backbone": published.backbone, "weights": str(path)}


def features_agree(
    folder: Path, published: Published, container: str, channels: int, sizes: tuple[int, ...], depth: int | None
) -> str:
    """Compare features with those of the drawn network, on images of several sizes; return what was loaded."""
    drawn = published.draw(**({} if depth is None else {"depth": depth}))
    source = stored(folder, published, published.checkpoint(drawn.state_dict()), container, depth)
    spec = {"input": {"size": sizes[0]}, "phases": [{"size": size} for size in sizes], **source}
    network, weights = build_network(ModelSpec.model_validate(spec), 2, channels, seed=1)
    for size in sizes:
        pixels = torch.randn((2, channels, size, size), generator=torch.Generator().manual_seed(size))
        # A first layer with the mean kernel sees the mean channel, whatever the number of channels.
        seen = (
            pixels
            if channels == published.channels
            else pixels.mean(1, keepdim=True).repeat(1, published.channels, 1, 1)
        )
        with torch.no_grad():
            expected = drawn(seen).transpose(1, 2)[..., None]
            torch.testing.assert_close(network.eval().features(pixels), expected, rtol=1e-5, atol=1e-5)
    return weights.loading


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", MODELS)
def test_every_container_gives_the_features_of_the_drawn_network(tmp_path: Path, name: str, container: str) -> None:
    published = MODELS[name]
    loading = features_agree(tmp_path, published, container, published.channels, (112,), DEPTH)
    assert " missing" not in loading
    assert f"; {LEFT_OUT[name]} left out (" in loading or container == "safetensors"


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
@pytest.mark.parametrize("name", MODELS)
def test_features_of_any_number_of_channels_are_those_of_the_mean_channel(
    tmp_path: Path, name: str, channels: int
) -> None:
    features_agree(tmp_path, MODELS[name], "pth", channels, (224, 112), DEPTH)


@pytest.mark.parametrize("names", [dinov3, transformers_dinov3])
def test_gated_layers_keep_their_gate(tmp_path: Path, names: Callable[..., Any]) -> None:
    published = Published("vit_small_plus_patch16_dinov3_qkvb", names)
    features_agree(tmp_path, published, "pth", 3, (112,), DEPTH)


@pytest.mark.parametrize("channels_as", ["separate", "separate-mean"])
@pytest.mark.parametrize("name", ["DINOv2-S", "CHAMMI-75 ViT-S"])
def test_separate_channels_give_the_features_of_each_as_a_gray_image(
    tmp_path: Path, name: str, channels_as: str
) -> None:
    published = MODELS[name]
    drawn = published.draw(depth=DEPTH)
    source = stored(tmp_path, published, published.checkpoint(drawn.state_dict()), "pth", DEPTH)
    spec = ModelSpec.model_validate({"input": {"size": 112, "channels_as": channels_as}, **source})
    network, _ = build_network(spec, 2, 4, seed=1)
    pixels = torch.randn((2, 4, 112, 112), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        gray = [pixels[:, number : number + 1].repeat(1, published.channels, 1, 1) for number in range(4)]
        maps = [drawn(image).transpose(1, 2)[..., None] for image in gray]
        expected = torch.cat(maps, dim=1) if channels_as == "separate" else sum(maps) / 4
        for layout in (torch.contiguous_format, torch.channels_last):
            features = network.eval().features(pixels.contiguous(memory_format=layout))
            torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)
        assert network(pixels).shape == (2, 2)
    parameters = sum(part.numel() for part in network.backbone.parameters())
    stacked, _ = build_network(ModelSpec.model_validate({"input": {"size": 112}, **source}), 2, 1, seed=1)
    assert parameters == sum(part.numel() for part in stacked.backbone.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("channels", [3, 5])
@pytest.mark.parametrize("name", MODELS)
def test_models_of_the_published_size_load(tmp_path: Path, name: str, channels: int) -> None:
    features_agree(tmp_path, MODELS[name], "pth", channels, (224, 112), None)
