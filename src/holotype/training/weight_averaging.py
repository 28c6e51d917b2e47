"""Weight averaging: exponential moving average during training, and soups of several checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

StateDict = dict[str, Tensor]


class MovingAverage:
    """Exponential moving average of a network's state (Polyak & Juditsky 1992), with warm-up of the decay.

    `torch.optim.swa_utils.AveragedModel` has no such warm-up, copies instead of averaging at its first step, and
    averages integer buffers.

    Args:
        decay: In [0, 1).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._average = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move by 1 - min(decay, (1 + step) / (10 + step)) at a step, counted from 0; integer buffers are copied."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self._average[name].lerp_(tensor, share)
            else:
                self._average[name].copy_(tensor)

    def tensors(self) -> StateDict:
        """Get the averaged state by name, without copying."""
        return dict(self._average)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore an average from the tensors of `tensors`."""
        if tensors.keys() != self._average.keys():
            raise ValueError("the average is of another network: its tensors have other names")
        for name, tensor in tensors.items():
            self._average[name].copy_(tensor)


def average_weights(states: Sequence[Mapping[str, Tensor]]) -> StateDict:
    """Average weights uniformly (uniform soup, Wortsman et al. 2022); integer buffers are those of the last state."""
    if not states or any(state.keys() != states[0].keys() for state in states):
        raise ValueError("needs at least one state, and the same names in each")
    soup: StateDict = {}
    for name, last in states[-1].items():
        if last.is_floating_point():
            soup[name] = sum((state[name].double() for state in states[1:]), states[0][name].double())
            soup[name] = (soup[name] / len(states)).to(last.dtype)
        else:
            soup[name] = last.clone()
    return soup


def greedy_soup(
    states: Sequence[Mapping[str, Tensor]], score: Callable[[StateDict], float]
) -> tuple[StateDict, tuple[int, ...]]:
    """Greedy soup (Wortsman et al. 2022): from the best state on, add each state that does not lower the score.

    Returns the soup, and the indices of its parts in the order they joined.
    """
    single_scores = [score(dict(state)) for state in states]
    order = sorted(range(len(states)), key=lambda index: (-single_scores[index], index))
    selected = order[:1]
    soup = average_weights([states[index] for index in selected])
    best = single_scores[selected[0]]
    for index in order[1:]:
        candidate = average_weights([states[part] for part in (*selected, index)])
        if (candidate_score := score(candidate)) >= best:
            soup, best = candidate, candidate_score
            selected.append(index)
    return soup, tuple(selected)
