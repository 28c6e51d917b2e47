"""Checkpoints: what is read back is what was written, and what is torn is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from holotype.errors import StoreError
from holotype.nets import build_network, load_network, load_tensors, open_checkpoint, save_network, save_tensors
from holotype.spec import MemberSpec


def saved(folder: Path, backbone: str = "test_efficientnet", channels: int = 3, **keys: object) -> torch.nn.Module:
    spec = MemberSpec.model_validate(
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
        "member": spec.model_dump(mode="json"),
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
    with pytest.raises(StoreError, match="holds no checkpoint"):
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
