"""What a phase freezes, which loss it has, how many steps it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from holotype.core.errors import RecipeError
from holotype.losses import arcface, cross_entropy
from holotype.networks import Network, build_network
from holotype.recipe.sections import HeadSpec, MarginSpec, ModelSpec, PhaseSpec
from holotype.training import check_phase
from holotype.training.phases import freeze, phase_loss, phase_optimizer

ONE_LABEL = np.eye(3, dtype=bool)[[0, 0, 0, 1, 1, 2]]
FROZEN = PhaseSpec(freeze="backbone", optimizer={"name": "sgd"}, lr=0.1)  # type: ignore[arg-type]


def small_network() -> Network:
    model = ModelSpec.model_validate({"backbone": "test_efficientnet", "weights": "none"})
    return build_network(model, 3, 2, seed=1)[0]


def one_step(network: Network, phase: PhaseSpec) -> dict[str, Tensor]:
    """The network's state after one step in a phase."""
    optimiser = phase_optimizer(phase, network, 0.1)
    torch.manual_seed(0)
    network(torch.randn(8, 2, 32, 32) * 3 + 1).square().sum().backward()
    optimiser.step()
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_a_frozen_backbone_keeps_its_weights_and_its_batch_statistics() -> None:
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    after = one_step(network, FROZEN)
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {"head.last.weight", "head.last.bias"}


def test_a_thawed_backbone_moves_and_counts_batches() -> None:
    network = small_network()
    freeze(network, FROZEN)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    after = one_step(network, PhaseSpec(optimizer={"name": "sgd"}, lr=0.1))  # type: ignore[arg-type]
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert any(name.endswith("running_mean") for name in moved)
    assert {"backbone.conv_stem.weight", "head.last.weight"} <= moved
    assert network.backbone.training


def loss_of(kind: str, **section: object) -> tuple[float, torch.Tensor, torch.Tensor]:
    """The loss of a phase for some logits, with the logits and targets."""
    torch.manual_seed(0)
    logits, targets = torch.randn(6, 3), torch.from_numpy(ONE_LABEL).float()
    loss = phase_loss(PhaseSpec.model_validate(section), ONE_LABEL, kind, HeadSpec())
    return float(loss(logits, targets)), logits, targets


def test_left_out_the_loss_of_one_label_is_plain_cross_entropy() -> None:
    loss, logits, targets = loss_of("multiclass")
    assert loss == pytest.approx(float(functional.cross_entropy(logits, targets)), rel=1e-6)


def test_left_out_the_loss_of_many_labels_is_plain_binary_cross_entropy() -> None:
    loss, logits, targets = loss_of("multilabel")
    assert loss == pytest.approx(float(functional.binary_cross_entropy_with_logits(logits, targets)), rel=1e-6)


def test_class_weights_of_many_labels_lift_the_positives_of_rare_ones() -> None:
    loss, logits, targets = loss_of("multilabel", class_weights="sqrt")
    rarity = torch.tensor([4 / 3, 5 / 2, 6 / 1]).sqrt()  # negatives over positives, one pseudo-count
    known = functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=rarity)
    assert loss == pytest.approx(float(known), rel=1e-6)


def test_class_weights_of_one_label_are_those_of_torch() -> None:
    loss, logits, targets = loss_of("multiclass", class_weights="inverse")
    known = functional.cross_entropy(logits, targets.argmax(dim=1), weight=1 / torch.tensor([3.0, 2.0, 1.0]))
    assert loss == pytest.approx(float(known), rel=1e-6)


def test_logit_adjustment_adds_the_log_frequencies_in_training() -> None:
    adjusted, logits, targets = loss_of("multiclass", logit_adjustment=1.0)
    prior = torch.log(torch.tensor([4.0, 3.0, 2.0]))  # one pseudo-count a class; a constant drops out of the softmax
    assert adjusted == pytest.approx(float(functional.cross_entropy(logits + prior, targets)), rel=1e-5)


@pytest.mark.parametrize(
    ("section", "meant"),
    [
        ({"optimizer": "adamww"}, "adamw"),
        ({"loss": "cross_entropie"}, "cross_entropy"),
        ({"loss": {"bce": 1.0, "cross-entropi": 2.0}}, "cross_entropy"),
    ],
)
def test_a_name_that_is_not_registered_is_refused_before_training(section: dict[str, object], meant: str) -> None:
    with pytest.raises(RecipeError, match=f"did you mean '{meant}'"):
        check_phase(PhaseSpec.model_validate(section), "multiclass", HeadSpec())


@pytest.mark.parametrize("loss", ["cross_entropy", "cross-entropy", {"bce": 0.5}])
def test_registered_names_pass_with_either_sign(loss: object) -> None:
    check_phase(PhaseSpec.model_validate({"loss": loss, "schedule": "one_cycle"}), "multiclass", HeadSpec())


def test_a_schedule_of_another_name_is_refused_when_the_recipe_is_read() -> None:
    with pytest.raises(ValueError, match="did you mean 'cosine'"):
        PhaseSpec.model_validate({"schedule": "cosinus"})


def test_a_loss_with_a_margin_needs_a_head_that_measures_angles_and_takes_its_scale() -> None:
    section = PhaseSpec.model_validate({"loss": {"cross_entropy": 0.8, "arcface": 0.2}})
    with pytest.raises(RecipeError, match="needs a cosine head"):
        check_phase(section, "multiclass", HeadSpec())
    angles = HeadSpec(margin=MarginSpec(scale=8.0))
    check_phase(section, "multiclass", angles)
    with pytest.raises(RecipeError, match="supports one label per sample only"):
        check_phase(PhaseSpec(), "multilabel", angles)
    torch.manual_seed(0)
    logits, targets = 8 * (2 * torch.rand(6, 3) - 1), torch.from_numpy(ONE_LABEL).float()
    mixed = 0.8 * cross_entropy(logits, targets) + 0.2 * arcface(logits, targets, scale=8.0)
    assert float(phase_loss(section, ONE_LABEL, "multiclass", angles)(logits, targets)) == pytest.approx(float(mixed))
