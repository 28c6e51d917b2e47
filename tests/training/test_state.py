"""The state of unfinished training on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from holotype.recipe.sections import OptimizerSpec
from holotype.training.optimizers import make_optimizer
from holotype.training.plateau import Plateau
from holotype.training.progress import TrainingProgress
from holotype.training.state import candidate_path, load_optimizer, newest_state, save_checked, save_state, strip_prefix


def trained(name: str = "adamw", steps: int = 2) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A channels-last network and its optimiser after some steps."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = make_optimizer(network, 0.01, OptimizerSpec(name=name, amsgrad=name == "adamw"))
    for step in range(steps):
        torch.manual_seed(step)
        network(torch.randn(5, 3, 8, 8)).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    return network, optimiser


def at(done: int) -> TrainingProgress:
    """A course after some epochs, in the midst of the next."""
    history = [{"train_loss": 0.1 + 0.2, "epoch": number} for number in range(done)]
    return TrainingProgress(epoch=done, step=3, history=history, plateau=Plateau(0.1 + 0.2, 1), rates={"0": 1 / 3})


def saved_epochs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    network, optimiser = trained()
    for done in (1, 2, 9, 10):
        save_state(tmp_path, at(done), network, optimiser, {})
    assert saved_epochs(tmp_path) == ["state-000-00009-0000003.safetensors", "state-000-00010-0000003.safetensors"]


def test_the_newest_is_read_with_its_facts(tmp_path: Path) -> None:
    network, optimiser = trained()
    for done in (1, 2):
        save_state(tmp_path, at(done), network, optimiser, {"loss_sum": torch.tensor(0.25)})
    found = newest_state(tmp_path)
    assert found is not None
    assert found[1] == at(2)
    assert float(found[0]["loss_sum"]) == 0.25


@pytest.mark.parametrize("length", [0, 5, 400, -1], ids=["empty", "five bytes", "header", "one byte short"])
def test_a_torn_newest_is_passed_over(tmp_path: Path, length: int) -> None:
    network, optimiser = trained()
    for done in (1, 2):
        save_state(tmp_path, at(done), network, optimiser, {})
    newest = tmp_path / "state-000-00002-0000003.safetensors"
    newest.write_bytes(newest.read_bytes()[:length])
    found = newest_state(tmp_path)
    assert found is not None
    assert found[1].done == 1


@pytest.mark.parametrize("file", ["state-000-00002-0000003", "candidate-00002"])
def test_a_newest_with_a_changed_bit_in_it_or_in_its_candidates_is_passed_over(tmp_path: Path, file: str) -> None:
    network, optimiser = trained()
    for done in (1, 2):
        course = at(done)
        course.candidates = [{"epoch": number, "phase": 0, "score": 0.5, "loss": 1.0} for number in range(1, done + 1)]
        save_checked(candidate_path(tmp_path, done), network.state_dict(), course.candidates[-1])
        save_state(tmp_path, course, network, optimiser, {"halves": torch.ones(3, dtype=torch.bfloat16)})
    found = newest_state(tmp_path)
    assert found is not None
    assert found[1].done == 2
    content = bytearray((tmp_path / f"{file}.safetensors").read_bytes())
    content[-9] ^= 1
    (tmp_path / f"{file}.safetensors").write_bytes(content)
    found = newest_state(tmp_path)
    assert found is not None
    assert found[1].done == 1


def test_before_the_first_epoch_there_is_no_state(tmp_path: Path) -> None:
    assert newest_state(tmp_path) is None


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_weights_statistics_and_moments_come_back_exactly_and_lie_as_before(tmp_path: Path, name: str) -> None:
    network, optimiser = trained(name)
    save_state(tmp_path, at(1), network, optimiser, {})
    fresh, its_optimiser = trained(name, steps=0)
    found = newest_state(tmp_path)
    assert found is not None
    fresh.load_state_dict(strip_prefix(found[0], "network."))
    load_optimizer(found[0], its_optimiser)
    for key, value in network.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[key]), key
    for was, now in zip(network.parameters(), fresh.parameters(), strict=True):
        slots, own = optimiser.state[was], its_optimiser.state[now]
        assert set(slots) == set(own)
        for slot, value in slots.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, own[slot]), slot
                assert value.stride() == own[slot].stride(), slot
                assert value.dtype == own[slot].dtype, slot


def test_a_restored_network_goes_on_as_the_first_would_have(tmp_path: Path) -> None:
    pixels = torch.randn(5, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    network, optimiser = trained()
    save_state(tmp_path, at(1), network, optimiser, {})
    fresh, its_optimiser = trained(steps=0)
    found = newest_state(tmp_path)
    assert found is not None
    fresh.load_state_dict(strip_prefix(found[0], "network."))
    load_optimizer(found[0], its_optimiser)
    for one, other in ((network, optimiser), (fresh, its_optimiser)):
        one(pixels).square().sum().backward()
        other.step()
    assert all(torch.equal(one, other) for one, other in zip(network.parameters(), fresh.parameters(), strict=True))


def test_candidates_live_as_long_as_a_state_knows_them(tmp_path: Path) -> None:
    network, optimiser = trained()
    for done in range(1, 5):
        (tmp_path / f"candidate-{done:05d}.safetensors").write_bytes(b"x")
        course = at(done)
        course.candidates = [{"epoch": done}]
        save_state(tmp_path, course, network, optimiser, {})
    assert sorted(path.name for path in tmp_path.glob("candidate-*")) == [
        "candidate-00003.safetensors",
        "candidate-00004.safetensors",
    ]


def test_states_of_another_run_that_vanish_meanwhile_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, optimiser = trained()
    for done in (1, 2):
        save_state(tmp_path, at(done), network, optimiser, {})
    unlink = Path.unlink

    def unlink_after_another_did(path: Path, missing_ok: bool = False) -> None:
        unlink(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_after_another_did)
    save_state(tmp_path, at(3), network, optimiser, {})
    assert len(saved_epochs(tmp_path)) == 2
