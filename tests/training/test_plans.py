"""Schedules, rewinds, finders, rates by layer, frozen names, carried momenta and averages, against what is written."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LinearLR, StepLR

from holotype.core.errors import RecipeError, TrainingError
from holotype.networks import build_network
from holotype.recipe.sections import ModelSpec, OptimizerSpec, PhaseSpec
from holotype.training.lr_finder import find_rate
from holotype.training.optimizers import carry_momentum, make_optimizer, optimizer_factory, parameter_groups
from holotype.training.phases import freeze, frozen_parameters, phase_schedule_value
from holotype.training.plateau import Plateau, advance, advance_early_stopping, plateau_rate
from holotype.training.schedules import SCHEDULES, cycle_ends
from holotype.training.weight_averaging import MovingAverage, average_weights, greedy_soup

PER_EPOCH = 4


def rates(**section: Any) -> list[float]:
    phase = PhaseSpec.model_validate(section)
    return [phase_schedule_value(phase, step, PER_EPOCH).rate for step in range(phase.epochs * PER_EPOCH)]


def told_by_torch(make: Any, steps: int) -> list[float]:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, told = make(optimiser), []
    for _ in range(steps):
        told.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return told


# ---- schedules


def test_restarts_are_those_of_torch() -> None:
    theirs = told_by_torch(lambda one: CosineAnnealingWarmRestarts(one, T_0=2 * PER_EPOCH, T_mult=2), 14 * PER_EPOCH)
    schedule = {"name": "cosine-restarts", "cycles": 3, "factor": 2}
    assert rates(epochs=14, schedule=schedule) == pytest.approx(theirs, abs=1e-12)
    assert cycle_ends(PhaseSpec.model_validate({"schedule": schedule}).schedule, 14) == [2, 6, 14]  # type: ignore[arg-type]


def test_steps_are_those_of_torch() -> None:
    theirs = told_by_torch(lambda one: StepLR(one, step_size=3 * PER_EPOCH, gamma=0.3), 10 * PER_EPOCH)
    assert rates(epochs=10, schedule={"name": "step", "every": 3, "factor": 0.3}) == pytest.approx(theirs)


def test_a_line_is_that_of_torch() -> None:
    steps = 5 * PER_EPOCH
    theirs = told_by_torch(lambda one: LinearLR(one, 1.0, 0.0, total_iters=steps), steps)
    assert rates(epochs=5, schedule="linear") == pytest.approx(theirs)


def test_rates_by_epoch_are_as_written() -> None:
    found = rates(epochs=4, lr={0: 3e-4, 1: 1.5e-4, 3: 3e-5}, schedule="constant")
    assert np.repeat([1.0, 0.5, 0.5, 0.1], PER_EPOCH).tolist() == pytest.approx(found)


def test_a_warm_up_rises_from_nothing_to_the_schedule() -> None:
    plain, warm = rates(epochs=6, schedule="cosine"), rates(epochs=6, schedule="cosine", warmup_epochs=1.5)
    ratio = np.array(warm) / np.array(plain)
    assert ratio.tolist() == pytest.approx([*((np.arange(6) + 1) / 6), *[1.0] * 18])


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 30), st.integers(1, 9))
def test_no_schedule_leaves_its_bounds(name: str, epochs: int, per_epoch: int) -> None:
    phase = PhaseSpec.model_validate({"epochs": epochs, "schedule": name})
    told = [phase_schedule_value(phase, step, per_epoch).rate for step in range(epochs * per_epoch)]
    assert all(0 <= rate <= 1 + 1e-12 for rate in told)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"lr": {1: 0.1}, "schedule": "constant"}, "must include epoch 0"),
        ({"lr": {0: 0.1}}, "require `schedule: constant`"),
        ({"epochs": 2, "warmup_epochs": 2}, "should be less than the 2 epochs"),
        ({"schedule": {"name": "step", "evry": 2}}, "did you mean 'every'"),
    ],
)
def test_plans_that_contradict_themselves_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PhaseSpec.model_validate(section)


# ---- rewinds and early ends


def test_a_plateau_cuts_after_its_patience_and_stops_after_its_rewinds() -> None:
    spec = PhaseSpec.model_validate({"schedule": {"name": "plateau", "patience": 2, "rewinds": 1}}).schedule
    state, verdicts = Plateau(), []
    for score in [0.1, 0.3, 0.3, math.nan, 0.2, 0.4, 0.1, 0.2]:
        state, verdict = advance(state, spec, score)  # type: ignore[arg-type]
        verdicts.append(verdict)
    assert verdicts == ["improved", "improved", "keep", "rewind", "keep", "improved", "keep", "stop"]
    assert plateau_rate(state, spec) == 0.5  # type: ignore[arg-type]


def test_a_cut_below_the_minimum_stops() -> None:
    spec = PhaseSpec.model_validate({"schedule": {"name": "plateau", "patience": 1, "minimum": 0.4}}).schedule
    state, _ = advance(Plateau(), spec, 1.0)  # type: ignore[arg-type]
    state, first = advance(state, spec, 0.5)  # type: ignore[arg-type]
    assert (first, advance(state, spec, 0.5)[1]) == ("rewind", "stop")  # type: ignore[arg-type]


def test_an_early_stop_wants_more_than_the_least_gain() -> None:
    spec = PhaseSpec.model_validate({"early_stopping": {"patience": 2, "min_delta": 0.05}}).early_stopping
    assert spec is not None
    state, verdicts = Plateau(), []
    for score in [0.1, 0.14, 0.2, 0.21, 0.22]:
        state, verdict = advance_early_stopping(state, spec, score)
        verdicts.append(verdict)
    assert verdicts == ["improved", "keep", "improved", "keep", "stop"]
    assert state.stopped


# ---- the finder


@pytest.mark.parametrize("curvature", [0.01, 1.0, 50.0])
def test_a_found_rate_trains_nearly_as_well_as_the_best_of_a_sweep(curvature: float) -> None:
    """Descent on noisy quadratics: what is best after the same number of steps is known by trying."""
    target = torch.linspace(-1, 1, 20)
    scales = curvature * torch.linspace(0.3, 1.0, 20)

    def after(rate: float, steps: int) -> float:
        place, generator = torch.full((20,), 3.0), torch.Generator().manual_seed(1)
        for _ in range(steps):
            place = place - rate * scales * (place - target + 0.05 * torch.randn(20, generator=generator))
        return float((scales * (place - target) ** 2).mean())

    state = {"place": torch.full((20,), 3.0)}

    def step(rate: float) -> float:
        loss = float((scales * (state["place"] - target) ** 2).mean())
        state["place"] = state["place"] - rate * scales * (state["place"] - target)
        return loss

    curve = find_rate(step, low=1e-5 / curvature, high=100 / curvature, steps=100)
    sweep = [10 ** (exponent / 4) / curvature for exponent in range(-16, 5)]
    best = min(sweep, key=lambda rate: after(rate, 60))
    assert best / 10 < curve.suggestion < best * 3
    assert after(curve.suggestion, 60) < 0.5 * after(curve.suggestion, 0)
    assert list(curve.rates) == sorted(curve.rates)


def test_a_loss_that_is_never_a_number_is_told() -> None:
    with pytest.raises(TrainingError, match="after 0 steps"):
        find_rate(lambda rate: math.nan)


# ---- what is moved, and how fast


@pytest.fixture(scope="module")
def network() -> nn.Module:
    model = ModelSpec.model_validate({"backbone": "test_efficientnet", "weights": "none"})
    return build_network(model, 3, 2, seed=1)[0]


def test_rates_fall_by_layer_from_the_head_to_the_stem(network: nn.Module) -> None:
    groups = parameter_groups(network, 0.01, layer_decay=0.5)
    share = {id(one): group["share"] for group in groups for one in group["params"]}  # type: ignore[attr-defined]
    named = {name: share[id(parameter)] for name, parameter in network.named_parameters()}
    assert named["head.last.weight"] == 1.0
    assert named["backbone.conv_stem.weight"] == min(named.values()) < 0.1
    blocks = [named[name] for name in named if name.startswith("backbone.blocks") and name.endswith("weight")]
    assert blocks == sorted(blocks)
    assert len(share) == len(list(network.parameters()))
    optimiser = make_optimizer(network, 0.2, OptimizerSpec(), 0.5)
    assert max(group["largest_rate"] for group in optimiser.param_groups) == 0.2


@pytest.mark.parametrize(
    ("names", "frozen"),
    [(["backbone.conv_stem"], {"backbone.conv_stem.weight"}), (["head.last", "*bn1.bias"], None), (None, set())],
)
def test_names_and_patterns_freeze_what_they_fit(network: nn.Module, names: Any, frozen: set[str] | None) -> None:
    freeze(network, PhaseSpec(freeze=names))
    found = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert found == frozen if frozen is not None else {"head.last.weight", "head.last.bias"} < found
    assert all(name.startswith("head.last") or name.endswith("bn1.bias") for name in found) or frozen is not None


def test_batch_statistics_of_frozen_parts_stay_put(network: nn.Module) -> None:
    freeze(network, PhaseSpec(freeze=["backbone.blocks.0"]))
    first, last = network.backbone.blocks[0], network.backbone.blocks[-1]  # type: ignore[union-attr,index]
    assert not any(module.training for module in first.modules() if isinstance(module, nn.BatchNorm2d))
    assert all(module.training for module in last.modules() if isinstance(module, nn.BatchNorm2d))


def test_a_name_that_fits_nothing_and_all_of_it_are_refused() -> None:
    names = ["backbone.stem.weight", "backbone.blocks.0.weight", "head.weight"]
    with pytest.raises(RecipeError, match=r"did you mean .backbone.blocks."):
        frozen_parameters(names, ["backbone.block"])
    with pytest.raises(RecipeError, match="all parameters are frozen"):
        frozen_parameters(names, ["*"])


# ---- optimisers by any name


@pytest.mark.parametrize("name", ["RMSprop", "nadam", "radam", "adagrad", "adamax", "rprop", "asgd", "adadelta"])
def test_an_optimiser_of_torch_is_found_by_its_name(name: str) -> None:
    spec = OptimizerSpec(name=name, weight_decay=0.0)
    layer = nn.Linear(3, 2)
    optimiser = make_optimizer(layer, 0.05, spec)
    layer(torch.randn(4, 3)).square().sum().backward()
    optimiser.step()
    assert type(optimiser).__name__.lower() == name.lower()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "rmsprop", "options": {"alfa": 0.9}}, "RMSprop has no option 'alfa'.*did you mean 'alpha'"),
        ({"name": "adamw", "options": {"eps": 1e-3}}, "as keys of `optimizer`"),
        ({"name": "lbfgs"}, "needs a closure"),
        ({"name": "rmsprp"}, "did you mean 'rmsprop'"),
    ],
)
def test_what_an_optimiser_does_not_have_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        optimizer_factory(OptimizerSpec.model_validate(spec))


def test_options_reach_the_optimiser() -> None:
    optimiser = make_optimizer(nn.Linear(2, 2), 0.1, OptimizerSpec(name="rmsprop", options={"alpha": 0.7}))
    assert optimiser.param_groups[0]["alpha"] == 0.7


# ---- momentum carried over


def trained(name: str, steps: int = 3, **more: Any) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    layer = nn.Linear(4, 2)
    optimiser = make_optimizer(layer, 0.0, OptimizerSpec(name=name, weight_decay=0.0, **more))
    for step in range(steps):
        torch.manual_seed(step)
        for parameter in layer.parameters():
            parameter.grad = torch.randn_like(parameter) + 1
        optimiser.step()
    return layer, optimiser


def test_adam_hands_its_mean_to_sgd_as_a_sum() -> None:
    layer, adam = trained("adam", steps=400)
    sgd = make_optimizer(layer, 0.1, OptimizerSpec(name="sgd", momentum=0.9, nesterov=False))
    assert carry_momentum(adam, sgd) == 2
    buffer = sgd.state[layer.weight]["momentum_buffer"]
    torch.testing.assert_close(buffer, adam.state[layer.weight]["exp_avg"] * 10)


def test_sgd_hands_its_sum_to_adam_whose_first_step_then_goes_the_same_way() -> None:
    layer, sgd = trained("sgd", steps=50, nesterov=False)
    adam = make_optimizer(layer, 0.01, OptimizerSpec(name="adamw", weight_decay=0.0))
    assert carry_momentum(sgd, adam) == 2
    way = sgd.state[layer.weight]["momentum_buffer"].sign()
    before = layer.weight.detach().clone()
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    adam.step()
    assert torch.equal((before - layer.weight).sign(), way)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_hands_everything_to_adamw(amsgrad: bool) -> None:
    layer, adam = trained("adam")
    after = make_optimizer(layer, 0.01, OptimizerSpec(name="adamw", amsgrad=amsgrad))
    carry_momentum(adam, after)
    for slot in ("exp_avg", "exp_avg_sq", "step"):
        torch.testing.assert_close(after.state[layer.weight][slot], adam.state[layer.weight][slot])
    for parameter in layer.parameters():
        parameter.grad = torch.ones_like(parameter)
    after.step()


# ---- averages of weights


def test_a_moving_average_is_the_sum_written_out() -> None:
    layer = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(0.0)
    average, slow = MovingAverage(layer, 0.9), 0.0
    for step in range(40):
        with torch.no_grad():
            layer.weight.fill_(float(step))
        average.update(layer, step)
        decay = min(0.9, (1 + step) / (10 + step))
        slow = decay * slow + (1 - decay) * step
    assert float(average.tensors()["weight"][0, 0]) == pytest.approx(slow, rel=1e-5)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6))
def test_a_uniform_soup_is_the_mean_and_keeps_counts(values: list[float]) -> None:
    states = [{"w": torch.tensor([value]), "n": torch.tensor(number)} for number, value in enumerate(values)]
    soup = average_weights(states)
    assert float(soup["w"]) == pytest.approx(np.mean(values), abs=1e-5)
    assert int(soup["n"]) == len(values) - 1


def test_a_greedy_soup_never_scores_below_its_best_part() -> None:
    random = np.random.default_rng(2)
    states = [{"w": torch.tensor(random.normal(size=3))} for _ in range(6)]

    def score(state: dict[str, torch.Tensor]) -> float:
        return -float((state["w"] - 0.1).square().sum())

    soup, chosen = greedy_soup(states, score)
    assert score(soup) >= max(score(state) for state in states)
    assert score(states[chosen[0]]) == max(score(state) for state in states)
