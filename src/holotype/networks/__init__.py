"""Neural networks: timm backbones, stems, heads, weights and checkpoints."""

from typing import TYPE_CHECKING

from holotype.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from holotype.networks.backbones import architecture_of, check_backbone
    from holotype.networks.build import Network, build_network
    from holotype.networks.checkpoint import (
        cache_networks,
        load_arrays,
        load_metadata,
        load_network,
        load_networks,
        load_tensors,
        open_checkpoint,
        save_network,
        save_tensors,
    )
    from holotype.networks.heads import POOLS, Head
    from holotype.networks.pretrained import (
        check_weights,
        find_weights,
        pretraining_leak_reason,
        resolve_weights,
        shared_weights_name,
        weights_file,
        weights_identity,
    )
    from holotype.networks.stems import adapt_stem, first_kernels
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "backbones": ("architecture_of", "check_backbone"),
            "build": ("Network", "build_network"),
            "checkpoint": (
                "cache_networks",
                "load_arrays",
                "load_metadata",
                "load_network",
                "load_networks",
                "load_tensors",
                "open_checkpoint",
                "save_network",
                "save_tensors",
            ),
            "heads": ("POOLS", "Head"),
            "pretrained": (
                "check_weights",
                "find_weights",
                "pretraining_leak_reason",
                "resolve_weights",
                "shared_weights_name",
                "weights_file",
                "weights_identity",
            ),
            "stems": ("adapt_stem", "first_kernels"),
        },
    )

__all__ = [
    "POOLS",
    "Head",
    "Network",
    "adapt_stem",
    "architecture_of",
    "build_network",
    "cache_networks",
    "check_backbone",
    "check_weights",
    "find_weights",
    "first_kernels",
    "load_arrays",
    "load_metadata",
    "load_network",
    "load_networks",
    "load_tensors",
    "open_checkpoint",
    "pretraining_leak_reason",
    "resolve_weights",
    "save_network",
    "save_tensors",
    "shared_weights_name",
    "weights_file",
    "weights_identity",
]
