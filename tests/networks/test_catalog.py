"""The catalog of published weights: its networks exist, its recipes are valid, and it completes published folders."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from ruamel.yaml import YAML
from tests.networks.hub_cache import WEIGHTS, add_repository

from holotype.core.errors import RecipeError
from holotype.networks.backbones import _stored_list, hub_file, weights_origin
from holotype.networks.card import backbone_options
from holotype.networks.catalog import find_entry, is_noncommercial, read_catalog, recipe_lines
from holotype.networks.load_backbone import fit_weights_to_backbone
from holotype.networks.model_folders import open_model_folder
from holotype.recipe.sections import ModelSpec

ENTRIES = read_catalog()
IDS = [entry.name for entry in ENTRIES]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_the_network_of_an_entry_is_one_of_timm_with_arguments_that_a_card_may_have(entry) -> None:
    if entry.architecture is None:
        return
    names = _stored_list()
    assert entry.architecture.partition(".")[0] in names.names
    assert "." not in entry.architecture or entry.architecture in names.pretrained
    backbone_options({"model_args": entry.arguments}, Path("catalog.json"), "model_args")


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if "timm/" in (entry.repository or "")])
def test_an_entry_of_timm_has_the_repository_and_license_that_timm_states(entry) -> None:
    assert hub_file(entry.architecture) == (entry.repository, "model.safetensors")
    assert weights_origin(entry.architecture)[0] == entry.license


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_the_recipe_of_an_entry_is_valid(entry, cache: Path) -> None:
    lines = recipe_lines(entry)
    assert bool(lines) == (entry.loads != "no")
    if not lines:
        return
    if entry.repository is not None:
        config = {} if entry.architecture else {"config.json": json.dumps({"architecture": "test_vit"})}
        add_repository(cache, entry.repository, {"model.safetensors": WEIGHTS, **config})
    (section,) = YAML(typ="safe").load(StringIO("\n".join(lines)))
    model = ModelSpec.model_validate(section)
    assert (model.input.size, model.input.normalize, model.head.pool) == (entry.size, entry.normalize, entry.pool)
    assert model.classifier is not None


def test_the_sides_of_images_fit_the_patches() -> None:
    for entry in ENTRIES:
        patch = 14 if "patch14" in (entry.architecture or "") else 16
        assert "patch" not in (entry.architecture or "") or entry.size % patch == 0, entry.name


@pytest.mark.parametrize(
    ("name", "millions"),
    [("UNI2-h", 681), ("Virchow", 631), ("H-optimus-0", 1135), ("UNI", 303), ("Channel-Adaptive DINO", 303)],
)
def test_the_arguments_of_an_entry_give_the_published_number_of_parameters(name: str, millions: int) -> None:
    entry = next(entry for entry in ENTRIES if entry.name == name)
    with torch.device("meta"):
        network = timm.create_model(entry.architecture, num_classes=0, **entry.arguments)
    assert round(sum(value.numel() for value in network.parameters()) / 1e6) == millions


def test_a_repository_without_a_network_of_timm_gets_that_of_the_catalog(cache: Path) -> None:
    readme = "---\nlicense:\n- mit\nlibrary_name: open_clip\n---\n"
    add_repository(cache, "imageomics/bioclip-2", {"open_clip_model.safetensors": WEIGHTS, "README.md": readme})
    folder = open_model_folder("hf-hub:imageomics/bioclip-2", "models.backbone")
    assert (folder.architecture, folder.license) == ("vit_large_patch14_clip_224", "mit")
    assert folder.citation == "arXiv:2505.23883"
    assert folder.pretrained["mean"][0] == pytest.approx(0.4815, abs=1e-4)  # of CLIP; timm's default is another


def test_a_statement_of_the_folder_counts_before_the_catalog(cache: Path) -> None:
    pretrained = {"mean": [0.1] * 3, "std": [0.2] * 3, "license": "other"}
    arguments = {"init_values": 0.5}
    config = {"architecture": "vit_large_patch16_224", "model_args": arguments, "pretrained_cfg": pretrained}
    add_repository(cache, "MahmoodLab/UNI", {"pytorch_model.bin": b"", "config.json": json.dumps(config)})
    folder = open_model_folder("hf-hub:MahmoodLab/UNI", "f")
    assert (folder.arguments, folder.license) == ({"init_values": 0.5}, "other")
    assert folder.pretrained["mean"] == [0.1] * 3


def test_the_catalog_replaces_a_network_that_lacks_arguments_of_code(cache: Path) -> None:
    config = {"architecture": "vit_huge_patch14_224", "model_args": {"img_size": 224}}
    add_repository(cache, "paige-ai/Virchow2", {"model.safetensors": WEIGHTS, "config.json": json.dumps(config)})
    folder = open_model_folder("hf-hub:paige-ai/Virchow2", "f")
    assert folder.architecture == "vit_giant_patch14_dinov2"
    assert folder.arguments["reg_tokens"] == 4


def test_an_unknown_repository_is_not_in_the_catalog() -> None:
    assert find_entry("someone/else") is None
    assert find_entry(None) is None
    assert find_entry("mahmoodlab/uni").name == "UNI"


@pytest.mark.parametrize(
    ("text", "forbids"),
    [
        ("cc-by-nc-4.0", True),
        ("CC-BY-NC-ND-4.0", True),
        ("fair-noncommercial-research-license", True),
        ("Non-Commercial End User License Agreement", True),
        ("owkin-non-commercial", True),
        ("apache-2.0", False),
        ("mit", False),
        ("bsd-3-clause", False),
        ("dinov3-license", False),
        ("gpl-3.0-incl", False),
        (None, False),
    ],
)
def test_licenses_that_forbid_commercial_use_are_recognized(text: str | None, forbids: bool) -> None:
    assert is_noncommercial(text) is forbids


def test_scales_of_residual_branches_are_loaded_into_a_network_that_has_them_only_on_request() -> None:
    torch.manual_seed(0)
    trained = timm.create_model("test_vit", num_classes=0, init_values=0.3)
    fitted = fit_weights_to_backbone(trained.state_dict(), "test_vit", {})
    assert "init_values" in fitted.options
    assert "left out" not in fitted.description
    network = timm.create_model("test_vit", num_classes=0, **fitted.options)
    network.load_state_dict(fitted.state)
    image = torch.rand(1, 3, 160, 160)
    assert torch.equal(network.eval()(image), trained.eval()(image))


def test_scales_that_a_network_cannot_have_are_refused() -> None:
    state = timm.create_model("test_vit", num_classes=0).state_dict()
    state["blocks.99.ls1.gamma"] = torch.ones(64)
    with pytest.raises(RecipeError, match=r"scale of residual branches|do not fit the backbone"):
        fit_weights_to_backbone(state, "test_vit", {})
