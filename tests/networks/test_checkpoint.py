"""Checkpoints: what is read back is what was written, and what is torn is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from holotype.core.errors import StoreError
from holotype.core.tensor_files import load_tensors, save_tensors
from holotype.networks import build_network, load_network, load_networks, open_checkpoint, save_network
from holotype.recipe.sections import ModelSpec


def saved(folder: Path, backbone: str = "test_efficientnet", channels: int = 3, **keys: object) -> torch.nn.Module:
    spec = ModelSpec.model_validate(
        {
            "backbone": backbone,
            "weights": "none",
            "input": {"size": 64},
            "head": {"pool": "concat", "hidden": 8},
            **keys,
        }
    )
    network, found = build_network(spec, 3, channels, seed=2)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor += 0.1 * torch.rand(tensor.shape)  # as if it had been trained
    card = {
        "model": spec.model_dump(mode="json"),
        "classes": ["a", "b", "é"],
        "channels": channels,
        "input_channels": channels,
        "backbone_options": found.options,
    }
    save_network(folder, network.to(memory_format=torch.channels_last), card)
    return network.eval()


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [("test_efficientnet", 4), ("test_resnet", 1), ("test_vit", 3), ("vit_tiny_patch16_224", 2)],
)
def test_a_network_that_was_saved_gives_the_same_logits(tmp_path, backbone, channels):
    network, images = saved(tmp_path, backbone, channels), torch.rand(2, channels, 64, 64)
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.card["classes"] == ["a", "b", "é"]
    again = load_network(checkpoint)
    assert not again.training
    with torch.no_grad():
        torch.testing.assert_close(again(images), network(images), rtol=0, atol=1e-6)


def test_what_is_saved_is_the_card_and_the_weights_and_nothing_else(tmp_path):
    saved(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["card.json", "weights.safetensors"]


@pytest.mark.parametrize("left", [0, 7, 1000, -1])
def test_a_torn_file_is_refused_with_its_name(tmp_path, left):
    saved(tmp_path)
    file = tmp_path / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(StoreError, match=r"weights\.safetensors cannot be read: .*; delete it and run again"):
        load_network(open_checkpoint(tmp_path))


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(StoreError, match="cannot be read"):
        load_tensors(tmp_path / "absent.safetensors")
    (tmp_path / "pickle.safetensors").write_bytes(b"\x80\x04\x95" * 50)
    with pytest.raises(StoreError, match="cannot be read"):
        load_tensors(tmp_path / "pickle.safetensors")


@pytest.mark.parametrize("card", [None, "", "{", b"\xff\xfe"])
def test_a_folder_without_a_card_holds_no_checkpoint(tmp_path, card):
    if card is not None:
        (tmp_path / "card.json").write_bytes(card if isinstance(card, bytes) else card.encode())
    with pytest.raises(StoreError, match=r"holds no checkpoint: it has no card\.json|card\.json is not JSON"):
        open_checkpoint(tmp_path)


def test_tensors_and_facts_come_back_as_they_were(tmp_path):
    tensors = {
        "a": torch.arange(6.0).reshape(2, 3).T,
        "b": torch.tensor(3),
        "c": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "d": torch.zeros(0, 2),
    }
    save_tensors(tmp_path / "t.safetensors", tensors, {"done": 3, "history": [{"loss": 0.1}]})
    found, facts = load_tensors(tmp_path / "t.safetensors")
    assert facts == {"done": 3, "history": [{"loss": 0.1}]}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_a_write_that_fails_leaves_the_old_file_and_no_half_of_a_new_one(tmp_path):
    path = tmp_path / "t.safetensors"
    save_tensors(path, {"a": torch.zeros(2)}, {})
    with pytest.raises(TypeError):
        save_tensors(path, {"a": torch.ones(2)}, {"facts": object()})
    assert torch.equal(load_tensors(path)[0]["a"], torch.zeros(2))
    assert [file.name for file in tmp_path.iterdir()] == ["t.safetensors"]


HUGE = 10**12


def changed(card, address, value):
    """A card with another value at an address."""
    card = json.loads(json.dumps(card))
    *way, last = address.split(".")
    inner = card
    for key in way:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return card


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("model.backbone", "hf-hub:evil/model"),
        ("model.backbone", "local-dir:/tmp"),
        ("model.backbone", "../x"),
        ("model.backbone", "no_such_network"),
        ("model.backbone", 3),
        ("model.head.hidden", HUGE),
        ("model.head.hidden", -1),
        ("model.head", []),
        ("model.unknown", 1),
        ("model", None),
        ("model", []),
        ("model.activation", "no_such"),
        ("classes", ["a"] * 7),
        ("classes", []),
        ("classes", None),
        ("classes", "abc"),
        ("classes", [["a"]]),
        ("input_channels", HUGE),
        ("input_channels", 2.5),
        ("input_channels", 1),
        ("networks", 10**9),
        ("networks", 3),
        ("networks", 0),
        ("networks", "1"),
        ("backbone_options", {"checkpoint_path": "evil.pth"}),
        ("backbone_options", {"pretrained_cfg": {}}),
        ("taxonomy", {"names": ["a"], "parents": [[HUGE] * 3], "weights": [1.0], "class_weight": 1.0}),
        ("taxonomy", 3),
        ("canvas", [64]),
        ("canvas", [HUGE, 64]),
        ("size", HUGE),
        ("kind", "none"),
        ("normalization", {"mean": "x"}),
    ],
)
def test_a_card_that_asks_for_what_no_run_writes_is_refused_at_once(tmp_path, address, value):
    saved(tmp_path)
    path = tmp_path / "card.json"
    path.write_text(json.dumps(changed(json.loads(path.read_text()), address, value)))
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"card\.json") as refused:
        load_networks(open_checkpoint(tmp_path))
    assert "\n" not in str(refused.value)
    assert time.monotonic() - began < 10


def test_weights_of_another_shape_are_refused_before_anything_is_built(tmp_path):
    saved(tmp_path)
    weights = tmp_path / "weights.safetensors"
    tensors = safetensors.torch.load_file(weights)
    name = next(name for name in tensors if name.startswith("head.last"))
    safetensors.torch.save_file({**tensors, name: torch.zeros(9)}, weights, metadata={"metadata": "{}"})
    with pytest.raises(
        StoreError, match=r"does not fit the card\.json beside it: 1 tensor, the first head\.last.*\(9,\)"
    ):
        load_networks(open_checkpoint(tmp_path))


def test_a_torn_file_of_weights_is_refused(tmp_path):
    saved(tmp_path)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(StoreError, match=r"weights\.safetensors cannot be read"):
        load_networks(open_checkpoint(tmp_path))
