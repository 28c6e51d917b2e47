"""Heat maps: the paper's equations, every kind of head and backbone, and the place they are laid over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from holotype.core.errors import InputError
from holotype.core.runtime import Runtime
from holotype.data import PixelCache
from holotype.loading import ImageDataset, Tiles
from holotype.networks import Network, build_network, load_network, open_checkpoint, save_network
from holotype.prediction import explain, grad_cam, heat_over_image
from holotype.recipe.sections import ModelSpec
from holotype.types import Checkpoint, Normalization, RankHeads

CPU = torch.device("cpu")
PLAIN = Normalization((100.0, 100.0), (50.0, 50.0))
CLASSES = ["a", "b", "c"]


def specimens(side: int = 96, fitting: Any = "fit", count: int = 5) -> ImageDataset:
    pixels = np.random.default_rng(3).integers(0, 255, (count, 2, side, side)).astype(np.uint8)
    return ImageDataset(PixelCache(pixels, fitting), PLAIN, np.zeros((count, 3), bool))


def checkpoint(
    folder: Path,
    backbone: str,
    head: dict[str, Any] | None = None,
    size: int = 96,
    levels: RankHeads | None = None,
    networks: int = 1,
    kind: str = "multiclass",
) -> Checkpoint:
    phases = [{"epochs": 1}]
    model = ModelSpec.model_validate(
        {
            "name": "m",
            "backbone": backbone,
            "weights": "none",
            "input": {"size": size},
            "head": head or {},
            "phases": phases,
        }
    )
    made = [build_network(model, 3, 2, seed, rank_heads=levels)[0] for seed in range(networks)]
    for network in made:  # untrained statistics and weights of the head would leave the maps nearly flat
        network.head.last.weight.data.normal_(generator=torch.Generator().manual_seed(5))
    card = {
        "model": model.model_dump(mode="json"),
        "classes": CLASSES,
        "input_channels": 2,
        "backbone_options": {},
        "size": size,
        "fold": 0,
        "kind": kind,
    }
    if levels is not None:
        card["taxonomy"] = {
            "names": levels.names,
            "parents": levels.parents,
            "weights": levels.weights,
            "class_weight": 1.0,
        }
    folder.mkdir(exist_ok=True)
    save_network(folder, made[0], card, [one.state_dict() for one in made[1:]])
    return open_checkpoint(folder)


def maps(network: Checkpoint, seen: ImageDataset, rows: list[int], classes: list[int]) -> np.ndarray:
    return grad_cam(network, seen, np.array(rows), np.array(classes), Runtime(threads=1), CPU)


class Centred(nn.Module):
    """A network whose logits have a mean of nothing."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        said = self.network(pixels)
        return said - said.mean(dim=1, keepdim=True)


def by_captum(
    network: Network, seen: ImageDataset, rows: list[int], classes: list[int], kind: str = "multiclass"
) -> Tensor:
    """Maps before they are scaled."""
    from captum.attr import LayerAttribution, LayerGradCam

    pixels = (torch.from_numpy(seen.pixel_cache.pixels[rows]).float() - 100) / 50
    asked = Centred(network) if kind == "multiclass" else network
    found = LayerGradCam(asked, network.backbone).attribute(pixels, torch.tensor(classes), relu_attributions=True)
    return LayerAttribution.interpolate(found, pixels.shape[2:], "bilinear")[:, 0].detach()


HEADS = [
    {},
    {"pool": "concat", "hidden": 16, "dropout": 0.5, "batch_norm": True},
    {"pool": "gem", "margin": {"subcenters": 2}},
]


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "test_convnext"])
@pytest.mark.parametrize("head", HEADS, ids=["plain", "concat", "margin"])
@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_maps_are_those_of_captum(tmp_path: Path, backbone: str, head: dict[str, Any], kind: str) -> None:
    network, seen = checkpoint(tmp_path, backbone, head, kind=kind), specimens()
    rows, classes = [4, 0, 0, 2], [1, 2, 0, 1]
    expected = by_captum(load_network(network), seen, rows, classes, kind)
    expected = expected / expected.amax(dim=(1, 2), keepdim=True).clamp_min(1e-30)
    found = maps(network, seen, rows, classes)
    assert found.shape == (4, 96, 96)
    assert found.dtype == np.float32
    assert found.std() > 0.01
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_levels_speak_through_the_one_distribution_that_they_and_the_classes_give(tmp_path: Path) -> None:
    levels = RankHeads(("genus",), ((0, 0, 1),), (0.5,), 1.0)
    network = checkpoint(tmp_path, "test_resnet", {"taxonomy": {"genus": 0.5}}, levels=levels)
    seen = specimens()
    expected = by_captum(load_network(network), seen, [1], [2])
    np.testing.assert_allclose(maps(network, seen, [1], [2]), expected.numpy() / expected.max().item(), atol=1e-4)


@pytest.mark.parametrize("backbone", ["test_vit", "test_vit3"])
def test_the_tokens_of_a_transformer_are_laid_out_as_they_were_cut(tmp_path: Path, backbone: str) -> None:
    network, seen = checkpoint(tmp_path, backbone, size=160), specimens(160, count=2)
    own = load_network(network)
    with torch.no_grad():
        tokens = own.backbone((torch.from_numpy(seen.pixel_cache.pixels[:1]).float() - 100) / 50)
        patches = tokens[:, own.backbone.num_prefix_tokens :]  # type: ignore[misc]
        side = int(patches.shape[1] ** 0.5)
        said = (
            (patches @ (own.head.last.weight[1] - own.head.last.weight.mean(dim=0))).relu().reshape(1, 1, side, side)
        )  # the mean over tokens is linear
        expected = functional.interpolate(said, (160, 160), mode="bilinear")[0, 0]
    assert side > 2
    np.testing.assert_allclose(maps(network, seen, [0], [1])[0], (expected / expected.max()).numpy(), atol=1e-4)


def test_a_map_hangs_on_its_own_image_alone(tmp_path: Path) -> None:
    network, seen = checkpoint(tmp_path, "test_resnet"), specimens()
    together = maps(network, seen, [0, 1, 2, 3], [0, 1, 2, 0])
    np.testing.assert_allclose(together[2], maps(network, seen, [2], [2])[0], atol=1e-5)
    assert maps(network, seen, [], []).shape == (0, 96, 96)


def test_networks_whose_predictions_are_averaged_have_their_maps_averaged(tmp_path: Path) -> None:
    seen = specimens()
    both, one = checkpoint(tmp_path / "both", "test_resnet", networks=2), checkpoint(tmp_path / "one", "test_resnet")
    two = open_checkpoint(both.folder)
    own = [explain.load_networks(two)[place] for place in (0, 1)]
    expected = sum(by_captum(network, seen, [1], [0]) for network in own).numpy()  # type: ignore[union-attr]
    np.testing.assert_allclose(maps(both, seen, [1], [0]), expected / expected.max(), atol=1e-4)
    assert np.abs(maps(both, seen, [1], [0]) - maps(one, seen, [1], [0])).max() > 0.05


@pytest.mark.parametrize(("backbone", "size"), [("test_resnet", 32), ("test_vit", 160)])
def test_what_ends_without_places_is_refused_in_words(
    tmp_path: Path, backbone: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = checkpoint(tmp_path, backbone, size=size)
    if backbone == "test_vit":
        monkeypatch.setattr(Network, "features", lambda self, pixels: torch.ones(len(pixels), self.width, 1, 1))
    with pytest.raises(InputError, match="no heat map can be computed: the backbone ends in a single position"):
        maps(network, specimens(size, count=1), [0], [0])


def test_what_is_added_to_all_classes_alike_changes_nothing_where_there_is_one_label(tmp_path: Path) -> None:
    network, seen = checkpoint(tmp_path, "test_resnet"), specimens()
    own = load_network(network)
    expected = maps(network, seen, [0, 1], [1, 2])
    own.head.last.weight.data += 3 * torch.randn(own.head.last.weight.shape[1])
    (tmp_path / "moved").mkdir()
    save_network(tmp_path / "moved", own, network.card)
    np.testing.assert_allclose(maps(open_checkpoint(tmp_path / "moved"), seen, [0, 1], [1, 2]), expected, atol=1e-3)


class Brightness(nn.Module):
    """Says how bright the first channel is, so that its heat map is the picture itself, only coarser."""

    backbone = nn.Identity()

    def features(self, pixels: Tensor) -> Tensor:
        return functional.avg_pool2d(pixels, 4)

    def head(self, features: Tensor) -> Tensor:
        return features[:, :1].mean(dim=(2, 3)) * torch.tensor([[1.0, -1.0, 1.0]])


@pytest.mark.parametrize(("fitting", "tiled"), [("fit", False), ("fit", True), ("stretch", False)])
def test_a_map_lies_over_what_it_speaks_of(
    tmp_path: Path, fitting: Any, tiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.zeros((1, 2, 48, 96), np.uint8)
    pixels[0, 0, 8:16, 68:76] = 250
    tiles = Tiles(40, "grid") if tiled else None
    seen = ImageDataset(
        PixelCache(pixels, fitting), Normalization((0.0, 0.0), (1.0, 1.0)), np.zeros((1, 3), bool), tiles=tiles
    )
    network = checkpoint(tmp_path, "test_resnet", size=96)
    monkeypatch.setattr(explain, "load_networks", lambda _: [Brightness()])
    found = maps(network, seen, [0], [0])[0]
    assert found.shape == (48, 96)
    across, down = found.sum(axis=0), found.sum(axis=1)
    assert across @ np.arange(96) / across.sum() == pytest.approx(71.5, abs=0.6)
    assert down @ np.arange(48) / down.sum() == pytest.approx(11.5, abs=0.6)
    assert maps(network, seen, [0], [1]).max() == 0.0  # nothing in the picture speaks for darkness


def test_a_map_is_cut_to_the_image_that_was_set_into_a_canvas() -> None:
    model = ModelSpec.model_validate({"name": "m", "backbone": "test_resnet", "input": {"size": 64}})
    heat = np.zeros((64, 64), np.float32)
    heat[16:48] = 1.0  # an image twice as wide as high stands in the middle of the canvas
    np.testing.assert_allclose(heat_over_image(heat, 100, 200, model), 1.0)
    small = np.zeros((64, 64), np.float32)
    small[27:37, 22:42] = 1.0  # never enlarged
    np.testing.assert_allclose(heat_over_image(small, 10, 20, model), 1.0)
    stretched = model.model_copy(update={"input": model.input.model_copy(update={"resize": "stretch"})})
    assert heat_over_image(heat, 32, 8, stretched)[:, 3].tolist()[:4] == [0.0] * 4
