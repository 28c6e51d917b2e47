"""Stems for any number of channels, and heads for any kind of backbone."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from holotype.core.errors import RecipeError
from holotype.networks import POOLS, Head, adapt_stem
from holotype.networks.heads import LEARNED_POOLS, as_feature_map
from holotype.recipe.sections import HeadSpec


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


# ---- stems


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
@pytest.mark.parametrize("old", [1, 3])
def test_a_grey_image_gives_the_response_of_the_pretrained_stem_whatever_its_channels(channels, old):
    weight, grey = noise(8, old, 3, 3), noise(2, 1, 9, 9)
    before = functional.conv2d(grey.expand(-1, old, -1, -1), weight)
    adapted = adapt_stem(weight, channels)
    assert adapted.shape == (8, channels, 3, 3)
    after = functional.conv2d(grey.expand(-1, channels, -1, -1), adapted)
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


def test_every_new_channel_counts_alike_and_equal_counts_change_nothing():
    weight = noise(8, 3, 3, 3)
    assert adapt_stem(weight, 3) is weight
    adapted = adapt_stem(weight, 5)
    assert torch.equal(adapted, adapted[:, :1].expand_as(adapted))


# ---- poolings


@pytest.mark.parametrize("shape", [(2, 5, 3, 4), (1, 1, 1, 1), (3, 2, 1, 7)])
def test_poolings_are_those_of_torch(shape):
    features = noise(*shape)
    average, largest = functional.adaptive_avg_pool2d(features, 1), functional.adaptive_max_pool2d(features, 1)
    expected = {"avg": average, "max": largest, "concat": torch.cat([average, largest], dim=1)}
    expected["token"] = features.flatten(2)[:, :, :1]
    assert set(expected) == set(POOLS)
    for name, pooled in expected.items():
        torch.testing.assert_close(POOLS[name](features), pooled.flatten(1))


@pytest.mark.parametrize("pool", ["avg", "max", "concat"])
@pytest.mark.parametrize("hidden", [None, 7])
def test_a_head_pools_projects_and_ends_in_one_logit_a_class(pool, hidden):
    head = Head(6, 4, HeadSpec(pool=pool, hidden=hidden, dropout=0.3)).eval()
    features = noise(3, 6, 2, 2)
    found = POOLS[pool](features)
    if hidden is not None:
        linear, norm, _ = head.neck
        found = functional.relu(norm(functional.linear(found, linear.weight)))
        assert linear.weight.shape == (hidden, 12 if pool == "concat" else 6)
    expected = functional.linear(found, head.last.weight, head.last.bias)
    assert head(features).shape == (3, 4)
    torch.testing.assert_close(head(features), expected)
    assert not head.last.bias.any()


def test_dropout_is_for_training_only():
    head, features = Head(64, 3, HeadSpec(dropout=0.9)), noise(2, 64, 2, 2)
    assert torch.equal(head.eval()(features), head(features))
    assert not torch.equal(head.train()(features), head(features))


def test_an_unknown_pooling_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match=r"no pooling is named 'concta'; did you mean 'concat'\?"):
        POOLS["concta"]


# ---- poolings that learn


def test_the_power_mean_lies_between_the_mean_and_the_largest():
    features = noise(3, 5, 4, 4).abs() + 0.1
    pool = LEARNED_POOLS["gem"](5)
    slow = (features.double() ** 3).mean(dim=(2, 3)) ** (1 / 3)  # Radenović et al., equation 3
    torch.testing.assert_close(pool(features).double(), slow, rtol=1e-5, atol=1e-6)
    pool.power.data.fill_(1.0)
    torch.testing.assert_close(pool(features), features.mean(dim=(2, 3)))
    pool.power.data.fill_(10.0)
    assert (pool(features) > features.mean(dim=(2, 3))).all()
    assert (pool(features) <= features.amax(dim=(2, 3)) + 1e-6).all()


def test_attention_is_a_weighted_mean_that_does_not_mind_the_order_of_places():
    features, pool = noise(3, 5, 2, 3), LEARNED_POOLS["attention"](5)
    found = pool(features)
    assert found.shape == (3, 5)
    assert (found <= features.amax(dim=(2, 3)) + 1e-6).all()
    assert (found >= features.amin(dim=(2, 3)) - 1e-6).all()
    torch.testing.assert_close(pool(features.flip(2, 3)), found)
    alike = features[:, :, :1, :1].expand(-1, -1, 2, 3)
    torch.testing.assert_close(pool(alike), alike.mean(dim=(2, 3)))


@pytest.mark.parametrize("pool", sorted(LEARNED_POOLS))
def test_poolings_that_learn_are_trained_with_the_head(pool):
    head = Head(6, 4, HeadSpec(pool=pool))
    head(noise(3, 6, 2, 2)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_a_neck_has_the_layers_that_are_named():
    head = Head(6, 4, HeadSpec(pool="concat", batch_norm=True, hidden=[8, 3], activation="mish"))
    assert [type(layer).__name__ for layer in head.neck] == [
        "BatchNorm1d",
        "Linear",
        "BatchNorm1d",
        "Mish",
        "Linear",
        "BatchNorm1d",
        "Mish",
    ]
    assert [tuple(layer.weight.shape) for layer in (head.neck[1], head.neck[4], head.last)] == [(8, 12), (3, 8), (4, 3)]


# ---- layouts of features


def test_maps_channels_last_maps_tokens_and_vectors_become_maps():
    features = noise(2, 8, 3, 5)
    assert torch.equal(as_feature_map(features, 8), features)
    assert torch.equal(as_feature_map(features.permute(0, 2, 3, 1), 8), features)
    tokens = noise(2, 7, 8)
    assert torch.equal(as_feature_map(tokens, 8), tokens.transpose(1, 2)[..., None])
    vector = noise(2, 8)
    assert torch.equal(as_feature_map(vector, 8), vector[:, :, None, None])
    for pool in ("avg", "max"):
        torch.testing.assert_close(POOLS[pool](as_feature_map(vector, 8)), vector)
    torch.testing.assert_close(POOLS["avg"](as_feature_map(tokens, 8)), tokens.mean(dim=1))
