"""Drawn weights under the names and shapes of published models, made from timm's own networks.

Names: facebookresearch/dinov2 and dinov3 (`vision_transformer.py`), mlfoundations/open_clip (`transformer.py`),
marrlab/DinoBloom and CaicedoLab/CHAMMI-75 (how their checkpoints are read), huggingface/transformers (version 5.24).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from torch import Tensor, nn

State = dict[str, Tensor]


@dataclass(frozen=True)
class Published:
    """A published model.

    Args:
        backbone: Its name in timm.
        checkpoint: Content of the file, from the state of timm's network.
        options: Keyword arguments with which timm builds the network as it was trained.
        left_out: Numbers of tensors that no backbone needs.
    """

    backbone: str
    checkpoint: Callable[[State], Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    left_out: int = 0
    channels: int = 3

    def draw(self, seed: int = 0, **options: Any) -> nn.Module:
        """Draw a network whose parameters all differ from their initial values."""
        torch.manual_seed(seed)
        options = {"in_chans": self.channels, "num_classes": 0, "global_pool": "", **self.options, **options}
        dynamic = {} if "dinov3" in self.backbone else {"dynamic_img_size": True}
        network = timm.create_model(self.backbone, **options, **dynamic)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                spread = 0.3 if "gamma" in name or parameter.ndim < 2 or "pos" in name else 0.05
                parameter.copy_(torch.randn(parameter.shape) * spread + ("norm" in name and name.endswith("weight")))
        return network.eval()


def dinov2(state: State) -> State:
    """`dinov2_vits14_pretrain.pth`: timm's names and a mask token."""
    state = dict(state)
    if "reg_token" in state:  # the published position embeddings have one for the class token
        state["register_tokens"] = state.pop("reg_token")
        first = torch.randn(state["cls_token"].shape)
        state["pos_embed"] = torch.cat([first, state["pos_embed"]], dim=1)
        state["cls_token"] = state["cls_token"] - first
    return {"mask_token": torch.zeros(1, state["cls_token"].shape[-1]), **state}


def dinov3(state: State) -> State:
    """`dinov3_vits16_pretrain_lvd1689m.pth`: storage tokens, rotary periods, and biases of queries and values."""
    width = state["cls_token"].shape[-1]
    names = {"reg_token": "storage_tokens"}
    names |= {name: re.sub(r"gamma_([12])", r"ls\1.gamma", name) for name in state if "gamma_" in name}
    gated = {"fc1_g": "w1", "fc1_x": "w2", "fc2": "w3"} if any("fc1_g" in name for name in state) else {}
    names |= {
        name: re.sub("|".join(gated), lambda part: gated[part[0]], name) for name in state if gated and "mlp" in name
    }
    published = {
        names.get(name, name): value for name, value in state.items() if not name.endswith(("q_bias", "v_bias"))
    }
    published |= {"mask_token": torch.zeros(1, width), "rope_embed.periods": torch.rand(16)}
    for name in [name for name in state if name.endswith("qkv.weight")]:
        block = name.removesuffix("qkv.weight")
        zero = torch.zeros(width)
        query, value = (state.get(f"{block}{part}_bias", zero) for part in "qv")
        published[f"{block}qkv.bias"] = torch.cat([query, zero, value])
        published[f"{block}qkv.bias_mask"] = torch.cat([torch.ones(width), zero, torch.ones(width)])
    return published


def open_clip(state: State) -> State:
    """`open_clip_pytorch_model.bin`: the vision transformer under `visual.`, and a text transformer."""
    swaps = (
        ("norm_pre.", "ln_pre."),
        ("patch_embed.proj.", "conv1."),
        ("mlp.fc1.", "mlp.c_fc."),
        ("mlp.fc2.", "mlp.c_proj."),
        ("attn.qkv.", "attn.in_proj_"),
        ("attn.proj.", "attn.out_proj."),
        ("blocks.", "transformer.resblocks."),
        ("norm1.", "ln_1."),
        ("norm2.", "ln_2."),
        ("norm.", "ln_post."),
    )
    published = {}
    for name, value in state.items():
        renamed = name
        for ours, theirs in swaps:
            renamed = renamed.replace(ours, theirs)
        published[f"visual.{renamed}"] = value
    published["visual.class_embedding"] = published.pop("visual.cls_token")[0, 0]
    published["visual.positional_embedding"] = published.pop("visual.pos_embed")[0]
    text = {"token_embedding.weight": (8, 4), "transformer.resblocks.0.ln_1.weight": (4,), "logit_scale": ()}
    published["visual.proj"] = torch.randn(len(published["visual.class_embedding"]), 4)
    return published | {name: torch.randn(shape) for name, shape in text.items()}


def dinobloom(state: State) -> Any:
    """`DinoBloom-S.pth`: the teacher of a DINOv2 training at 224 px, with its heads."""
    heads = {f"{head}.mlp.0.weight": torch.randn(4, 4) for head in ("dino_head", "ibot_head")}
    return {"teacher": {f"backbone.{name}": value for name, value in dinov2(state).items()} | heads}


def chammi(state: State) -> Any:
    """A checkpoint of DINO on single channels: student and teacher, and the options of the training."""
    heads = {"head.mlp.0.weight": torch.randn(4, 4), "head.last_layer.weight_g": torch.randn(4, 1)}
    student = {f"module.backbone.{name}": value + 1 for name, value in state.items()}
    teacher = {f"backbone.{name}": value for name, value in state.items()}
    return {
        "student": student | {f"module.{name}": value for name, value in heads.items()},
        "teacher": teacher | heads,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-3}]},
        "epoch": 99,
        "args": argparse.Namespace(arch="vit_small", lr=5e-5),
    }


def transformers_dinov2(state: State) -> State:
    """`model.safetensors` of facebook/dinov2-small: names of the library transformers."""
    return _transformers_names(dinov2(state), "encoder.layer", "attention.attention.{}", "attention.output.dense")


def transformers_dinov3(state: State) -> State:
    """`model.safetensors` of facebook/dinov3-vits16-pretrain-lvd1689m; its keys have no bias."""
    published = {name: value for name, value in dinov3(state).items() if not name.endswith(("bias_mask", "periods"))}
    renamed = _transformers_names(published, "layer", "attention.{}_proj", "attention.o_proj")
    return {name: value for name, value in renamed.items() if not name.endswith("k_proj.bias")}


def _transformers_names(state: State, layers: str, attention: str, output: str) -> State:
    kind = "query key value" if "attention" in attention.removeprefix("attention.") else "q k v"
    embeddings = {"pos_embed": "position_embeddings", "storage_tokens": "register_tokens"}
    embeddings |= {name: name for name in ("cls_token", "mask_token", "register_tokens")}
    published: State = {}
    for name, value in state.items():
        short = re.sub(r"^blocks\.(\d+)\.", rf"{layers}.\1.", name).replace("attn.proj", output)
        short = re.sub(r"ls([12])\.gamma", r"layer_scale\1.lambda1", short)
        if ".attn.qkv." in short:
            for part, values in zip(kind.split(), value.chunk(3), strict=True):
                published[short.replace("attn.qkv", attention.format(part))] = values
        elif name in embeddings:
            published[f"embeddings.{embeddings[name]}"] = value
        elif layers == "layer":  # DINOv3
            short = short.replace("patch_embed.proj", "embeddings.patch_embeddings")
            for ours, theirs in (("fc1", "up"), ("fc2", "down"), ("w1", "gate"), ("w2", "up"), ("w3", "down")):
                short = short.replace(f"mlp.{ours}.", f"mlp.{theirs}_proj.")
            published[short] = value
        else:
            short = short.replace("patch_embed.proj", "embeddings.patch_embeddings.projection")
            published[re.sub(r"^norm\.", "layernorm.", short)] = value
    return published


MODELS = {
    "DINOv2-S": Published("vit_small_patch14_dinov2", dinov2, left_out=1),
    "DINOv2-S with registers": Published("vit_small_patch14_reg4_dinov2", dinov2, left_out=1),
    "DINOv3-S": Published("vit_small_patch16_dinov3_qkvb", dinov3, left_out=2),
    "DINOv2-S of transformers": Published("vit_small_patch14_reg4_dinov2", transformers_dinov2, left_out=1),
    "DINOv3-S of transformers": Published("vit_small_patch16_dinov3_qkvb", transformers_dinov3, left_out=1),
    "OpenCLIP ViT-B": Published("vit_base_patch16_clip_224", open_clip, left_out=4),
    "DinoBloom-S": Published("vit_small_patch14_dinov2", dinobloom, {"img_size": 224}, left_out=3),
    "CHAMMI-75 ViT-S": Published("vit_small_patch16_224", chammi, left_out=2, channels=1),
}
"""Models by name; `left_out` counts the tensors without those of each block."""
