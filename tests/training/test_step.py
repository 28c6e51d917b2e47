"""The one training step: accumulation, clipping, the loss it tells, what it draws."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from holotype.training import StepOptions, train_step

Parts = list[tuple[Tensor, Tensor]]


def network_without_batch_norm() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))


def batch_of(rows: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(rows)
    return torch.randn(rows, 2, 8, 8), torch.eye(3)[torch.arange(rows) % 3]


def mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits, targets)


def step_taken(
    parts: Parts, clip: float | None = None, network: nn.Module | None = None, noise: int = 1
) -> tuple[nn.Module, Tensor, list[Tensor]]:
    """The network after one step of plain descent at rate 1, the loss, and how far each parameter moved."""
    network = network or network_without_batch_norm()
    before = [parameter.detach().clone() for parameter in network.parameters()]
    fabric = Fabric(accelerator="cpu", devices=1)
    wrapped, optimiser = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=1.0))
    loss = train_step(fabric, wrapped, optimiser, mean_loss, parts, StepOptions(noise, clip))
    moved = [was - parameter.detach() for was, parameter in zip(before, network.parameters(), strict=True)]
    return network, loss, moved


@pytest.mark.parametrize("cuts", [[6, 6], [4, 4, 4], [7, 3, 2], [1] * 12], ids=str)
def test_parts_make_the_step_of_one_large_batch(cuts: list[int]) -> None:
    pixels, targets = batch_of(12)
    parts = list(zip(pixels.split(cuts), targets.split(cuts), strict=True))
    whole, loss, _ = step_taken([(pixels, targets)])
    summed, loss_of_parts, _ = step_taken(parts)
    for one, other in zip(whole.parameters(), summed.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert float(loss) == pytest.approx(float(loss_of_parts), abs=1e-6)


def test_the_loss_is_the_mean_over_rows_before_the_step() -> None:
    parts = [batch_of(5), batch_of(3)]
    network = network_without_batch_norm()
    rows = torch.cat([functional.cross_entropy(network(x), y, reduction="none") for x, y in parts])
    _, loss, _ = step_taken(parts)
    assert float(loss) == pytest.approx(rows.mean().item(), rel=1e-6)
    assert not loss.requires_grad


def test_clipping_bounds_the_norm_of_the_gradient_and_keeps_its_direction() -> None:
    parts = [batch_of(9)]
    _, _, free = step_taken(parts)
    _, _, clipped = step_taken(parts, clip=0.01)
    norm = torch.linalg.vector_norm(torch.cat([moved.flatten() for moved in free]))
    assert norm > 0.01
    for one, other in zip(free, clipped, strict=True):
        torch.testing.assert_close(one * 0.01 / norm, other, rtol=1e-3, atol=1e-6)


def test_clipping_above_the_norm_changes_nothing() -> None:
    parts = [batch_of(9)]
    (_, _, free), (_, _, clipped) = step_taken(parts), step_taken(parts, clip=1e6)
    assert all(torch.equal(one, other) for one, other in zip(free, clipped, strict=True))


def test_gradients_are_gone_after_the_step() -> None:
    network, _, _ = step_taken([batch_of(4)])
    assert all(parameter.grad is None for parameter in network.parameters())


def test_what_the_network_draws_hangs_on_the_seed_alone() -> None:
    def with_dropout() -> nn.Module:
        return nn.Sequential(network_without_batch_norm()[:3], nn.Dropout(0.5), nn.Linear(4 * 36, 3))

    torch.manual_seed(5)
    network = with_dropout()
    losses = []
    for noise, drawn_before in ((1, 0), (1, 17), (2, 0)):
        torch.rand(drawn_before)
        copy = with_dropout()
        copy.load_state_dict(network.state_dict())
        losses.append(float(step_taken([batch_of(6)], network=copy, noise=noise)[1]))
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]
