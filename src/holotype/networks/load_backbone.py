"""Loading of published weights into timm backbones: names are converted by timm, and every tensor is accounted for."""

from __future__ import annotations

import contextlib
import inspect
import io
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.models import _builder
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from holotype.core.errors import RecipeError, join_names, pluralize
from holotype.networks.backbones import BACKBONES
from holotype.networks.stems import stem_names
from holotype.networks.transformers_names import has_transformers_names, rename_transformers
from holotype.networks.weight_files import StateDict, state_dicts

__all__ = ["FittedWeights", "fit_weights_to_backbone"]

MAX_MISSING = 0.05  # share of tensors; only vectors may be missing, such as the scale of a final normalization
COLORS = 3  # channels of nearly all pretraining
MAX_NAMES = 4  # listed in a description
LAYER_SCALE = re.compile(r"(^|\.)blocks\.\d+\.ls[12]\.gamma$")
"""Scales of a transformer's residual branches (Touvron et al., 2021), which timm builds only if it is asked to."""

Filter = Callable[..., Mapping[str, Tensor]]
_capture_lock = threading.Lock()


@dataclass(frozen=True)
class FittedWeights:
    """Weights with the names and shapes of a timm backbone.

    Args:
        state: Tensors of the backbone; those that the file lacks are missing. The first layers have the channels of
            the file.
        options: Keyword arguments of `timm.create_model` that follow from the shapes of the tensors.
        description: Numbers of tensors that are loaded, left out and missing, in words.
    """

    state: dict[str, Tensor]
    options: dict[str, Any]
    description: str


def fit_weights_to_backbone(checkpoint: Any, backbone: str, options: Mapping[str, Any]) -> FittedWeights:
    """Unwrap a checkpoint and convert it to the names and shapes of a timm backbone.

    The mapping and the prefix that fill most of the backbone are used; of equally good ones, the averaged network
    (teacher, moving average). Names are converted and embeddings resized by timm's own filter of the architecture.

    Args:
        checkpoint: From `read_checkpoint`.
        backbone: Name in timm.
        options: Keyword arguments of `timm.create_model`.

    Raises:
        RecipeError: Tensors are missing, have another shape, or have no counterpart in the backbone that they need.
    """
    target = _Target(backbone, options)
    best = max(state_dicts(checkpoint), key=target.rank, default=None)
    if best is None:
        raise RecipeError("the weights hold no tensors with names", field="models.weights", remedy="name another file")
    size = target.position_grid_size(best)
    if size is not None:
        resized = {**options, "img_size": size}
        with contextlib.suppress(TypeError):  # architectures that take no size keep resized embeddings
            target = _Target(backbone, resized)
            options = resized
    state, sources = target.convert(best)
    if any(name not in target.expected for name in state if LAYER_SCALE.search(name)):
        scaled = {**options, "init_values": 1e-5}  # the value is that of training from scratch; the file replaces it
        with contextlib.suppress(TypeError):  # architectures without the option are refused below
            target, options = _Target(backbone, scaled), scaled
            state, sources = target.convert(best)
    expected = target.expected
    loaded = {name: value for name, value in state.items() if name in expected}
    _require_fit(loaded, target, best)
    used = {source for name in loaded for source in sources.get(name, ())}
    left_out = [name for name in best.tensors if name not in used]
    _require_no_lost_bias(best, used, left_out, backbone)
    description = _describe(best, len(loaded), target.required, left_out, sorted(set(target.required) - set(loaded)))
    return FittedWeights(loaded, dict(options), description)


class _Target:
    """A backbone without memory (on the meta device), and timm's filter of its state dicts."""

    def __init__(self, backbone: str, options: Mapping[str, Any]) -> None:
        self.network, self.filter = _build_with_filter(backbone, options)
        self.expected = {name: tuple(value.shape) for name, value in self.network.state_dict().items()}
        self.stems = {f"{name}.weight" for name in stem_names(self.network)}

    @property
    def required(self) -> list[str]:
        """Names of tensors that weights must have; counters of batches have no effect on features."""
        return [name for name in self.expected if not name.endswith("num_batches_tracked")]

    def fits(self, name: str, value: Tensor) -> bool:
        """True if a tensor has the shape that the backbone expects; a first layer may have other channels."""
        shape, expected = tuple(value.shape), self.expected[name]
        if name in self.stems and len(shape) == len(expected):
            return shape[0] == expected[0] and shape[2:] == expected[2:]
        return shape == expected

    def convert(self, candidate: StateDict) -> tuple[dict[str, Tensor], dict[str, set[str]]]:
        """Convert names and shapes.

        Returns:
            Tensors by timm's names, and the names in the file that each was made from.
        """
        tensors = dict(candidate.tensors)
        with _Lineage(tensors) as lineage, torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            if has_transformers_names(tensors):
                tensors = rename_transformers(tensors)
            state = dict(self.filter(tensors, self.network))  # timm prints what it skips
        return state, {name: lineage.sources_of(value) for name, value in state.items()}

    def rank(self, candidate: StateDict) -> tuple[int, bool]:
        """Rank of a candidate: how many tensors of the backbone it fills, then whether it is an averaged network."""
        try:
            state, _ = self.convert(candidate)
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError):
            return -1, False  # the filter meets names that it does not expect
        return sum(name in self.expected and self.fits(name, state[name]) for name in state), candidate.is_averaged

    def position_grid_size(self, candidate: StateDict) -> tuple[int, int] | None:
        """Image size whose patches have the position embeddings of a file; None if the backbone's size is that.

        Embeddings are kept as they are in the file: resizing them here and again for the images would blur them.
        """
        embed = getattr(self.network, "patch_embed", None)
        grid, patch = getattr(embed, "grid_size", None), getattr(embed, "patch_size", None)
        try:
            sources = self.convert(candidate)[1].get("pos_embed", set())
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError):
            return None
        positions = [candidate.tensors[name] for name in sources if "pos" in name]
        if grid is None or patch is None or len(positions) != 1 or positions[0].ndim not in {2, 3}:
            return None
        tokens = positions[0].shape[-2]
        for prefix_tokens in sorted({1, 0, int(getattr(self.network, "num_prefix_tokens", 1))}):
            side = math.isqrt(max(tokens - prefix_tokens, 0))
            if side > 0 and side * side == tokens - prefix_tokens:
                return None if (side, side) == tuple(grid) else (side * int(patch[0]), side * int(patch[1]))
        return None


class _Lineage(TorchFunctionMode):
    """Record of the named tensors that each result of PyTorch's functions was made from."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._sources = {id(value): {name} for name, value in tensors.items()}
        self._kept: list[Tensor] = list(tensors.values())  # ids are those of living objects

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sources = set().union(*(self.sources_of(part) for part in _tensors((args, kwargs or {}))))
        for part in _tensors(result):
            self._sources.setdefault(id(part), set()).update(sources)
            self._kept.append(part)
        return result

    def sources_of(self, tensor: Tensor) -> set[str]:
        """Names of the tensors that a tensor was made from."""
        return self._sources.get(id(tensor), set())


def _tensors(value: Any) -> Iterable[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def _build_with_filter(backbone: str, options: Mapping[str, Any]) -> tuple[nn.Module, Filter]:
    """Build a backbone on the meta device, and find the filter that timm would load its weights with."""
    with torch.device("meta"), _captured_filter() as filters:
        if backbone in BACKBONES:
            network: nn.Module = BACKBONES[backbone](COLORS, **options)
        else:  # with `pretrained`, timm asks for its loader, which is replaced here; another library might download
            is_from_timm = timm.models.model_entrypoint(backbone.partition(".")[0]).__module__.startswith("timm.")
            network = timm.create_model(backbone, pretrained=is_from_timm, num_classes=0, global_pool="", **options)
    conversion = next((entry for entry in filters if entry is not None), None)

    def convert(tensors: dict[str, Tensor], network: nn.Module) -> Mapping[str, Tensor]:
        if conversion is None:
            return tensors
        takes_network = len(inspect.signature(conversion).parameters) > 1
        return conversion(tensors, network) if takes_network else conversion(tensors)

    return network, convert


@contextlib.contextmanager
def _captured_filter() -> Iterator[list[Filter | None]]:
    """Replace timm's loading of weights for a while: the filter is recorded, and nothing is loaded."""
    filters: list[Filter | None] = []

    def record(*_: Any, filter_fn: Filter | None = None, **__: Any) -> None:
        filters.append(filter_fn)

    with _capture_lock:
        original = _builder.load_pretrained
        _builder.load_pretrained = record
        try:
            yield filters
        finally:
            _builder.load_pretrained = original


def _require_fit(loaded: Mapping[str, Tensor], target: _Target, candidate: StateDict) -> None:
    """Refuse weights of other shapes, and weights that lack a matrix or kernel or many vectors of the backbone."""
    missing = [name for name in target.required if name not in loaded]
    other_shape = [name for name, value in loaded.items() if not target.fits(name, value)]
    lacks_matrix = any(len(target.expected[name]) > 1 for name in missing)
    if not (other_shape or lacks_matrix or len(missing) > MAX_MISSING * len(target.required)):
        return
    stored = join_names(list(candidate.tensors), MAX_NAMES)
    raise RecipeError(
        f"the weights do not fit the backbone: {len(missing)} of {len(target.required)} tensors are missing and "
        f"{len(other_shape)} have another shape, the first {(missing + other_shape)[0]!r}; the file has {stored}",
        field="models.weights",
        remedy="name the backbone they were trained with",
    )


def _require_no_lost_bias(candidate: StateDict, used: set[str], left_out: list[str], backbone: str) -> None:
    """Refuse weights with biases or scales that the backbone lacks; its features would differ without another sign."""
    scales = [name for name in left_out if LAYER_SCALE.search(name)]
    if scales:
        raise RecipeError(
            f"the weights have {pluralize(len(scales), 'scale')} of residual branches that the backbone {backbone!r} "
            f"lacks, the first {scales[0]!r}",
            field="models.backbone",
            remedy="name the backbone they fit",
        )
    lost = [
        name
        for name in left_out
        if name.endswith(".bias") and f"{name[:-4]}weight" in used and bool(candidate.tensors[name].any())
    ]
    if lost:
        variant = f"{backbone.partition('.')[0]}_qkvb"
        remedy = f"write `backbone: {variant}`" if variant in timm.list_models() else "name the backbone they fit"
        raise RecipeError(
            f"the weights have {pluralize(len(lost), 'bias')} that the backbone {backbone!r} lacks, the first "
            f"{lost[0]!r}",
            field="models.backbone",
            remedy=remedy,
        )


def _describe(candidate: StateDict, loaded: int, required: list[str], left_out: list[str], missing: list[str]) -> str:
    """Numbers of tensors in words, with the first names of those that are left out or missing."""
    wrapped = [f"`{candidate.path}`"] if candidate.path else []
    wrapped += [f"names without `{candidate.prefix}`"] if candidate.prefix else []
    words = [f"{loaded:,} tensors loaded" + (f" from {', '.join(wrapped)}" if wrapped else "")]
    left_out = [*left_out, *candidate.others]
    if left_out:
        words.append(f"{len(left_out):,} left out ({join_names(left_out, MAX_NAMES)})")
    if missing:
        words.append(
            f"{len(missing):,} of {len(required):,} missing, left as initialized ({join_names(missing, MAX_NAMES)})"
        )
    return "; ".join(words)
