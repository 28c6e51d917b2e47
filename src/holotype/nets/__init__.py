"""Networks: stems, heads, weights and checkpoints around timm's backbones."""

from holotype.nets.build import Network, build_network, check_backbone
from holotype.nets.checkpoint import (
    hold_networks,
    load_facts,
    load_network,
    load_networks,
    load_tensors,
    open_checkpoint,
    save_network,
    save_tensors,
)
from holotype.nets.heads import POOLS, Head
from holotype.nets.stems import adapt_stem, first_kernels
from holotype.nets.weights import (
    find_weights,
    resolve_weights,
    weights_file,
    weights_identity,
    weights_may_have_seen,
)

__all__ = [
    "POOLS",
    "Head",
    "Network",
    "adapt_stem",
    "build_network",
    "check_backbone",
    "find_weights",
    "first_kernels",
    "hold_networks",
    "load_facts",
    "load_network",
    "load_networks",
    "load_tensors",
    "open_checkpoint",
    "resolve_weights",
    "save_network",
    "save_tensors",
    "weights_file",
    "weights_identity",
    "weights_may_have_seen",
]
