"""Where first weights come from, what they are to a cache, and whether they may have seen what is scored."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import timm

from holotype.core.errors import StoreError
from holotype.networks import find_weights, pretraining_leak_reason, resolve_weights, weights_identity
from holotype.networks import pretrained as module


@pytest.fixture(autouse=True)
def _nothing_is_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What happens to lie in this machine's cache decides no test."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def a_file(path: Path, card: object = None, value: float = 0.0) -> Path:
    """Weights of a small network, with a card beside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    network = timm.create_model("test_resnet", num_classes=0, global_pool="")
    state = {f"backbone.{name}": tensor.contiguous() for name, tensor in network.state_dict().items()}
    state["backbone.bn1.weight"] = state["backbone.bn1.weight"] + value
    safetensors.torch.save_file(state, path)
    if card is not None:
        path.with_name("card.json").write_text(json.dumps(card))
    return path


def test_the_identity_of_a_file_is_that_of_its_bytes(tmp_path):
    file = a_file(tmp_path / "w.safetensors")
    known = hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()
    assert weights_identity("test_resnet", str(file)) == f"file {known}"
    a_file(file, value=1.0)
    assert weights_identity("test_resnet", str(file)) not in {f"file {known}", "random"}


def test_the_identity_holds_what_the_card_beside_a_file_asks_of_the_architecture(tmp_path):
    file = a_file(tmp_path / "w.safetensors")
    without = weights_identity("test_resnet", str(file))
    file.with_name("card.json").write_text(json.dumps({"backbone_options": {"bn_eps": 0.001}}))
    assert weights_identity("test_resnet", str(file)) == f"{without} bn_eps=0.001"


def test_automatic_weights_are_another_input_once_there_are_any(tmp_path):
    assert weights_identity("test_resnet", "auto") == weights_identity("test_resnet", "none") == "random"
    repository = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    cached = a_file(repository / "snapshots" / "abc" / "model.safetensors")
    assert weights_identity("test_resnet", "auto") == "random"  # no branch names it
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert huggingface_hub.try_to_load_from_cache("timm/test_resnet.r160_in1k", "model.safetensors") == str(cached)
    assert resolve_weights("test_resnet", "auto").path == cached
    assert weights_identity("test_resnet", "auto") == weights_identity("test_resnet", "imagenet")
    assert weights_identity("test_resnet", "auto").startswith("imagenet ")


def test_the_wheel_s_weights_are_known_by_their_bytes():
    path = resolve_weights("efficientnet_lite0", "lite").path
    known = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    assert weights_identity("efficientnet_lite0", "auto") == f"lite {known} bn_eps=0.001"


def test_each_fold_of_another_run_has_an_identity_of_its_own(tmp_path):
    for fold in range(2):
        a_file(tmp_path / f"run/models/m/fold{fold}/weights.safetensors", {}, value=float(fold))
    first, second = (weights_identity("test_resnet", f"run:{tmp_path / 'run'}#m", fold) for fold in range(2))
    assert first != second
    assert weights_identity("test_resnet", f"run:{tmp_path / 'run'}#m/fold1", 0) == second


@pytest.mark.parametrize("weights", ["auto", "imagenet", "lite", "none"])
def test_weights_of_imagenet_and_random_ones_have_not_seen_the_scored_rows(weights):
    assert pretraining_leak_reason(weights) == ""


def test_of_a_file_nobody_knows_what_it_has_seen():
    assert pretraining_leak_reason("/data/w.safetensors") == (
        "the first weights are of the file w.safetensors, which may have seen the scored rows"
    )


def test_networks_of_another_run_have_seen_what_that_run_s_own_first_weights_have(tmp_path):
    for name, weights in (
        ("clean", "auto"),
        ("after", f"run:{tmp_path / 'run'}#clean"),
        ("file", "/data/w.safetensors"),
    ):
        a_file(tmp_path / f"run/models/{name}/fold0/weights.safetensors", {"model": {"weights": weights}})
    run = f"run:{tmp_path / 'run'}"
    assert pretraining_leak_reason(f"{run}#clean") == pretraining_leak_reason(f"{run}#after") == ""
    assert pretraining_leak_reason(f"{run}#file").startswith("the first weights are of the file w.safetensors")
    assert "one network for all folds" in pretraining_leak_reason(f"{run}#clean/fold0")
    assert "nothing is known" in pretraining_leak_reason(f"run:{tmp_path / 'gone'}#m")


@pytest.mark.parametrize(
    "options",
    [
        {"checkpoint_path": "evil.pth"},
        {"pretrained": True},
        {"pretrained_cfg": {"url": "http://x"}},
        {"pretrained_cfg_overlay": {"file": "evil.pth"}},
        {"cache_dir": "/tmp"},
        {"features_only": True},
        {"bn_eps": "0.1"},
        {"bn_eps": float("nan")},
        {"dynamic_img_size": 1},
        ["bn_eps"],
        "bn_eps",
    ],
)
def test_a_card_beside_weights_chooses_from_a_short_list(tmp_path, options, monkeypatch):
    file = a_file(tmp_path / "w.safetensors", {"backbone_options": options})
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: pytest.fail("timm was asked"))
    with pytest.raises(StoreError, match=r"card\.json"):
        find_weights("test_resnet", str(file))


@pytest.mark.parametrize("text", ["", "{", "[]", "1" * 5000, "[" * 100_000, "\x00", '{"a": '])
def test_a_torn_card_beside_weights_is_one_sentence(tmp_path, text):
    file = a_file(tmp_path / "w.safetensors")
    file.with_name("card.json").write_text(text)
    with pytest.raises(StoreError, match=r"card\.json.*copy the run again"):
        find_weights("test_resnet", str(file))


def test_a_file_is_digested_once_for_all_folds(tmp_path, monkeypatch):
    file = a_file(tmp_path / "w.safetensors")
    asked = []
    monkeypatch.setattr(module, "digest_file", lambda path: asked.append(path) or "digest")
    assert {weights_identity("test_resnet", str(file), fold) for fold in range(5)} == {"file digest"}
    assert asked == [file]
