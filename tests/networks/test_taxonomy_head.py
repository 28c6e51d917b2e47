"""A head that says something of ranks beside its classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holotype.networks import load_network, open_checkpoint, save_network
from holotype.networks.build import build_architecture
from holotype.networks.heads import Head
from holotype.networks.taxonomy_head import combined_logits
from holotype.recipe.sections import HeadSpec
from holotype.types import RankHeads

LEVELS = RankHeads(("genus", "family"), ((0, 0, 1, 2), (0, 0, 0, 1)), (0.5, 0.25))
WEIGHTS = {"genus": 0.5, "family": 0.25}


def spec(kind: str = "separate", **more: object) -> HeadSpec:
    return HeadSpec.model_validate({"dropout": 0, "taxonomy": {"kind": kind, "weights": WEIGHTS}, **more})


def test_a_class_gets_what_is_said_of_the_taxa_above_it():
    # Worked by hand: p = (1/2, 1/4, 1/8, 1/8), genera (1/2, 1/4, 1/4), families (1/4, 3/4); weights 1 and 2.
    leaves, genus, family = (torch.tensor([row]).log() for row in ([4.0, 2, 1, 1], [2.0, 1, 1], [1.0, 3]))
    said = combined_logits(leaves, [genus, family], torch.tensor(LEVELS.parents), [1.0, 2.0])
    expected = np.array([4 * 2 * 1, 2 * 2 * 1, 1 * 1 * 1, 1 * 1 * 9])
    np.testing.assert_allclose(said.softmax(1).numpy()[0], expected / expected.sum(), rtol=1e-5)


@pytest.mark.parametrize("more", [{}, {"margin": {}}, {"hidden": 6, "pool": "concat"}], ids=["plain", "angles", "deep"])
def test_it_says_ranks_in_training_and_one_distribution_else(more):
    head = Head(8, 4, spec(**more), LEVELS)
    features = torch.randn(3, 8, 2, 2)
    assert head.train()(features).shape == (3, 4 + 3 + 2)
    head.eval()
    assert head(features).shape == (3, 4)


def test_sums_need_no_logits_beside_the_classes():
    head = Head(8, 4, spec("marginal"), LEVELS)
    assert head.train()(torch.randn(3, 8, 2, 2)).shape == (3, 4)
    assert {name for name, _ in head.named_parameters()} == {"last.weight", "last.bias"}


def test_without_levels_a_head_draws_the_same_weights_as_before():
    drawn = []
    for levels in (None, LEVELS):
        torch.manual_seed(3)
        drawn.append(Head(8, 4, spec(), levels).last.weight)
    torch.testing.assert_close(*drawn)


def test_the_card_gives_a_network_its_ranks_back(tmp_path):
    network = build_architecture("test_efficientnet", 4, 3, spec(), {}, None, LEVELS).eval()
    model = {"backbone": "test_efficientnet", "activation": None, "head": spec().model_dump(mode="json")}
    held = {
        "names": LEVELS.names,
        "parents": LEVELS.parents,
        "weights": LEVELS.weights,
        "class_weight": LEVELS.class_weight,
    }
    card = {"model": model, "classes": list("abcd"), "input_channels": 3, "backbone_options": {}, "taxonomy": held}
    save_network(tmp_path, network, card)
    again = load_network(open_checkpoint(tmp_path))
    pixels = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(again(pixels), network(pixels))
