"""Names of vision transformers in the library transformers, converted to those that timm's filters know."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["has_transformers_names", "rename_transformers"]

BLOCK = re.compile(r"^(?:encoder\.|model\.)?layers?\.(\d+)\.")
PATTERNS = (
    (re.compile(r"^embeddings\.(cls_token|mask_token|register_tokens)$"), r"\1"),
    (re.compile(r"^embeddings\.position_embeddings$"), "pos_embed"),
    (re.compile(r"^embeddings\.patch_embeddings(\.projection|\.proj)?\."), "patch_embed.proj."),
    (BLOCK, r"blocks.\1."),
    (re.compile(r"\.attention\.(?:output\.dense|o_proj)\."), ".attn.proj."),
    (re.compile(r"\.attention\.(?:attention\.)?([qkv])(?:uery|ey|alue|_proj)\."), r".attn.\1."),
    (re.compile(r"\.layer_scale([12])\.lambda1$"), r".ls\1.gamma"),
    (re.compile(r"\.layernorm_before\."), ".norm1."),
    (re.compile(r"\.layernorm_after\."), ".norm2."),
    (re.compile(r"\.intermediate\.dense\."), ".mlp.fc1."),
    (re.compile(r"\.output\.dense\."), ".mlp.fc2."),
    (re.compile(r"\.mlp\.weights_in\."), ".mlp.w12."),
    (re.compile(r"\.mlp\.weights_out\."), ".mlp.w3."),
    (re.compile(r"^layernorm\."), "norm."),
)
"""Names of ViT, DINOv2 and DINOv3, in published files and in recent versions."""
GATED = {"gate_proj": "w1", "up_proj": "w2", "down_proj": "w3"}
PLAIN = {"up_proj": "fc1", "down_proj": "fc2"}


def has_transformers_names(names: Mapping[str, object]) -> bool:
    """True for the names of a vision transformer of the library transformers."""
    return "embeddings.cls_token" in names and any(map(BLOCK.match, names))


def rename_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors to the names of the original repositories, and join queries, keys and values.

    Args:
        tensors: For which `has_transformers_names` is true.
    """
    projections = GATED if any(".mlp.gate_proj." in name for name in tensors) else PLAIN
    renamed = {}
    for name, value in tensors.items():
        for pattern, replacement in PATTERNS:
            name = pattern.sub(replacement, name)
        renamed[re.sub(r"(?<=\.mlp\.)\w+_proj", lambda match: projections[match[0]], name)] = value
    if "register_tokens" in renamed and "pos_embed" not in renamed:  # DINOv3 has rotary embeddings
        renamed["storage_tokens"] = renamed.pop("register_tokens")
    return _join_attention(renamed)


def _join_attention(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Join `attn.q`, `attn.k` and `attn.v` to `attn.qkv`; DINOv3's keys have no bias, which is zero."""
    joined = {name: value for name, value in tensors.items() if not re.search(r"\.attn\.[qkv]\.", name)}
    for name, query in tensors.items():
        if ".attn.q." in name:
            key, value = (tensors.get(name.replace(".attn.q.", f".attn.{part}.")) for part in "kv")
            parts = [query, *(torch.zeros_like(query) if part is None else part for part in (key, value))]
            joined[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat(parts)
    return joined
