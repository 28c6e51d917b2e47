"""What belongs together."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotype.core.errors import HolotypeError
from holotype.core.independence import components
from holotype.split import prove_disjoint


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_components_are_those_of_the_graph_of_shared_numbers(seed, ways):
    generator = np.random.default_rng(seed)
    samples = np.unique(generator.integers(0, 20, 30), return_inverse=True)[1].astype(np.int64)
    ties = [generator.integers(-1, 12, 30).astype(np.int64) for _ in range(ways)]
    graph = networkx.Graph()
    graph.add_nodes_from(samples.tolist())
    for way, tie in enumerate(ties):
        graph.add_edges_from(
            (int(sample), (way, int(value))) for sample, value in zip(samples, tie, strict=True) if value >= 0
        )
    found = components(samples, ties)
    for part in networkx.connected_components(graph):
        inside = [node for node in part if isinstance(node, int)]
        assert len(set(found[inside].tolist())) == 1
    assert len(np.unique(found)) == networkx.number_connected_components(graph)
    assert found.max() + 1 == len(np.unique(found))


def test_null_ties_nothing():
    samples = np.arange(4)
    assert len(set(components(samples, [np.full(4, -1)]))) == 4
    assert len(set(components(samples, []))) == 4


def test_a_chain_of_two_columns_is_one_component():
    plates, patients = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    assert set(components(np.arange(4), [plates, patients])) == {0}


def test_images_of_a_sample_carry_its_ties():
    samples = np.array([0, 0, 1, 2])
    assert components(samples, [np.array([-1, 5, 5, -1])]).tolist() == [0, 0, 1]


def test_a_crossing_component_is_found():
    prove_disjoint(np.array([0, 0, 1, -1]), np.array([4, 4, 5, 6]))
    with pytest.raises(HolotypeError, match=r"component 5 lies in folds \[0, 1\]"):
        prove_disjoint(np.array([0, 0, 1]), np.array([4, 5, 5]))


def test_a_sample_that_trains_everywhere_may_not_belong_to_a_fold():
    with pytest.raises(HolotypeError, match="cross folds"):
        prove_disjoint(np.array([0, -1]), np.array([3, 3]))
