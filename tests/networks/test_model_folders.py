"""Model folders: found on this machine or refused with what to do; they choose options from a short list."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch

from holotype.core.errors import HolotypeError, RecipeError, StoreError
from holotype.networks import (
    architecture_of,
    check_backbone,
    check_weights,
    find_weights,
    pretraining_leak_reason,
    pretraining_statistics,
    resolve_weights,
    shared_weights_name,
    weights_identity,
)
from holotype.recipe.load import load_recipe
from holotype.recipe.paths import AbsolutePaths, RelativePaths, resolve_model_paths
from holotype.recipe.sections import ModelSpec

CONFIG = {"architecture": "test_vit", "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a network was asked"))


def a_folder(path: Path, config: Any = CONFIG, names: tuple[str, ...] = ("model.safetensors",), seed: int = 0) -> str:
    path.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    torch.manual_seed(seed)
    state = timm.create_model("test_vit").state_dict()
    for name in names:
        safetensors.torch.save_file(state, path / name)
    return f"local-dir:{path}"


def test_a_folder_is_the_backbone_and_its_weights(tmp_path: Path) -> None:
    address = a_folder(tmp_path / "m")
    model = ModelSpec.model_validate({"backbone": address})
    assert model.weights == address
    check_backbone(address)
    check_weights(address, address)
    assert architecture_of(address) == "test_vit"
    weights = find_weights(address, address)
    assert (weights.description, weights.state is None) == ("the model local-dir:m", False)
    assert pretraining_statistics(address, address) == ((0.5,) * 3, (0.25,) * 3)


def test_other_weights_keep_the_network_of_a_folder(tmp_path: Path) -> None:
    address = a_folder(tmp_path / "m", {**CONFIG, "model_args": {"depth": 1, "num_classes": 7}})
    assert ModelSpec.model_validate({"backbone": address, "weights": "none"}).weights == "none"
    source = resolve_weights(address, "none")
    assert (source.path, source.options) == (None, {"depth": 1})
    assert weights_identity(address, "none") == "random depth=1"
    assert weights_identity("test_vit", "none") == "random"


def test_weights_of_a_folder_fit_a_backbone_that_the_recipe_names(tmp_path: Path) -> None:
    address = a_folder(tmp_path / "m", None)
    assert find_weights("test_vit", address).state is not None
    with pytest.raises(
        RecipeError, match=r"^models\.backbone: .*is no model folder of timm: its config.json is missing"
    ):
        check_backbone(address)


def test_the_hub_is_its_cache_on_this_machine(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'hf-hub:lab/m' is not in the .* cache .*; run `hf download lab/m` once"):
        check_backbone("hf-hub:lab/m")
    repository = tmp_path / "hub" / "models--lab--m"
    for commit, depth in (("a1", 1), ("b2", 2)):
        a_folder(repository / "snapshots" / commit, {**CONFIG, "model_args": {"depth": depth}})
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a1")
    (repository / "refs" / "v2").write_text("b2")
    for revision, depth in (("", 1), ("@v2", 2), ("@b2", 2)):
        assert resolve_weights(f"hf-hub:lab/m{revision}", "auto").options == {"depth": depth}
    with pytest.raises(RecipeError, match="hf download lab/m --revision v3"):
        check_backbone("hf-hub:lab/m@v3")


@pytest.mark.parametrize("address", ["hf-hub:", "hf-hub:a/b/c", "hf-hub:../x", "hf-hub:a/b@../c", "local-dir:"])
@pytest.mark.parametrize("key", ["backbone", "weights"])
def test_an_address_has_a_form(address: str, key: str) -> None:
    with pytest.raises(ValueError, match="should be written"):
        ModelSpec.model_validate({key: address})


def test_paths_of_folders_are_those_of_the_recipe(tmp_path: Path) -> None:
    a_folder(tmp_path / "m")
    recipe = {"data": {"train": "t.csv"}, "models": [{"backbone": "local-dir:m"}, {"name": "b", "weights": "w.pth"}]}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    first, second = load_recipe(tmp_path / "recipe.yaml").models
    assert first.backbone == first.weights == f"local-dir:{tmp_path / 'm'}"
    assert second.weights == str(tmp_path / "w.pth")


def test_paths_of_folders_are_relative_again_in_another_folder(tmp_path: Path) -> None:
    model = ModelSpec.model_validate({"backbone": "local-dir:m"})
    absolute = AbsolutePaths(tmp_path / "a")
    resolved = resolve_model_paths(model, absolute)
    moved = resolve_model_paths(resolved, RelativePaths(tmp_path / "b", absolute.relative))
    assert (moved.backbone, moved.weights) == ("local-dir:../a/m",) * 2
    hub = ModelSpec.model_validate({"backbone": "hf-hub:lab/m"})
    assert resolve_model_paths(hub, absolute) == hub


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", r"config\.json cannot be read"),
        ("[]", "is not a JSON object"),
        ({"architectures": ["Dinov2Model"]}, "names no `architecture`"),
        ({"architecture": "no_such_network"}, "timm has no network 'no_such_network'"),
        ({**CONFIG, "model_args": 3}, "`model_args` must be a mapping"),
    ],
)
def test_a_configuration_of_another_kind_is_one_sentence(tmp_path: Path, config: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_backbone(a_folder(tmp_path / "m", config))


@pytest.mark.parametrize(
    "arguments",
    [
        {"checkpoint_path": "evil.pth"},
        {"pretrained_cfg": {"url": "http://x"}},
        {"depth": -1},
        {"depth": 10**9},
        {"img_size": [224, 224, 3]},
        {"act_layer": "os.system"},
        {"norm_layer": {"a": 1}},
    ],
)
def test_a_configuration_chooses_from_a_short_list(tmp_path: Path, arguments: dict[str, Any]) -> None:
    address = a_folder(tmp_path / "m", {**CONFIG, "model_args": arguments})
    with pytest.raises(StoreError, match=r"config\.json"):
        check_weights(address, address)


def test_one_of_several_weights_files_must_be_named(tmp_path: Path) -> None:
    several = a_folder(tmp_path / "two", CONFIG, ("a.safetensors", "b.safetensors"))
    with pytest.raises(RecipeError, match=r"several weights files.*write the path of one: .*a\.safetensors"):
        resolve_weights(several, several)
    assert resolve_weights("test_vit", a_folder(tmp_path / "one", CONFIG, ("a.safetensors",))).path is not None
    none = a_folder(tmp_path / "none", CONFIG, ())
    with pytest.raises(RecipeError, match=r"has no weights file.*copy model\.safetensors there"):
        resolve_weights(none, none)


@pytest.mark.parametrize(
    ("pretrained", "readme", "known"),
    [
        ({"license": "mit", "paper_ids": ["arXiv:1", "arXiv:2"]}, "", ("mit", "arXiv:1, arXiv:2")),
        ({"origin_url": "https://x.org"}, "---\nlicense: 'cc-by-4.0'\n---\n", ("cc-by-4.0", "https://x.org")),
        ({}, "---\nlicense: other\nlicense_name: dinov3-license\n---\n", ("dinov3-license", None)),
        ({}, "# A model\nlicense: none of the front matter\n", (None, None)),
        ({"license": 3, "paper_ids": {"a": 1}}, "", (None, None)),
    ],
)
def test_license_and_citation_are_those_that_the_folder_states(
    tmp_path: Path, pretrained: dict[str, Any], readme: str, known: tuple[str | None, str | None]
) -> None:
    address = a_folder(tmp_path / "m", {"architecture": "test_vit", "pretrained_cfg": pretrained})
    (tmp_path / "m" / "README.md").write_text(readme)
    source = resolve_weights(address, address)
    assert (source.license, source.citation) == known
    weights = find_weights(address, address)
    assert (weights.license, weights.citation) == known


def test_the_pretraining_of_a_folder_of_transformers_is_that_of_its_processor(tmp_path: Path) -> None:
    address = a_folder(tmp_path / "m", {"architectures": ["ViTModel"]})
    (tmp_path / "m" / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.4, 0.3], "image_std": [1, 2, 3]}')
    assert pretraining_statistics("test_vit", address) == ((0.5, 0.4, 0.3), (1.0, 2.0, 3.0))


def test_weights_of_timm_have_the_license_that_timm_states(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--timm--test_vit.r160_in1k" / "snapshots" / "a1"
    a_folder(snapshot, None)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("a1")
    assert find_weights("test_vit", "imagenet").license == "apache-2.0"
    assert pretraining_statistics("test_vit", "imagenet") == ((0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize("weights", ["none", "auto", "lite"])
def test_nothing_is_known_of_the_pretraining_of_other_weights(weights: str) -> None:
    backbone = "efficientnet_lite0" if weights == "lite" else "test_vit"
    with pytest.raises(RecipeError, match=r"^models\.input\.normalize: no mean .*allowed: dataset, image, plate"):
        pretraining_statistics(backbone, weights)


@pytest.mark.parametrize("weights", ["none", "lite", "run:/data/r#m"])
def test_a_recipe_without_a_known_pretraining_cannot_normalize_by_it(weights: str) -> None:
    with pytest.raises(ValueError, match=f"'weights' needs weights that state a mean .* '{weights}' states none"):
        ModelSpec.model_validate({"weights": weights, "input": {"normalize": "weights"}})


def test_the_identity_of_a_folder_is_that_of_its_bytes_and_its_configuration(tmp_path: Path) -> None:
    configs = (CONFIG, {**CONFIG, "model_args": {"qkv_bias": True}}, {"architecture": "test_vit"})
    identities = [weights_identity(*[a_folder(tmp_path / str(n), config)] * 2) for n, config in enumerate(configs)]
    assert len(set(identities)) == 3
    assert all(identity.startswith("folder ") for identity in identities)
    assert weights_identity(*[a_folder(tmp_path / "elsewhere")] * 2) == identities[0]
    assert weights_identity(*[a_folder(tmp_path / "0", seed=1)] * 2) != identities[0]


def test_cards_name_no_folder_of_this_machine() -> None:
    names = {
        "auto": "auto",
        "/data/w.pth": "w.pth",
        "local-dir:/data/m": "local-dir:m",
        "hf-hub:lab/m@v2": "hf-hub:lab/m@v2",
        "run:/data/r#m/fold0": "run:r#m/fold0",
    }
    assert {name: shared_weights_name(name) for name in names} == names


def test_of_a_model_folder_nobody_knows_what_it_has_seen() -> None:
    for address, name in (("local-dir:/data/m", "local-dir:m"), ("hf-hub:lab/m", "hf-hub:lab/m")):
        expected = f"the first weights are of the model {name}, which may have seen the scored rows"
        assert pretraining_leak_reason(address) == expected


def test_every_error_is_one_of_ours(tmp_path: Path) -> None:
    with pytest.raises(HolotypeError, match="there is no folder"):
        check_backbone(f"local-dir:{tmp_path / 'gone'}")
