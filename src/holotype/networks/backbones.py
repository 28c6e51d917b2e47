"""Backbone names and the locations of their pretrained weights, without importing timm.

`backbones.json` lists them for one version of timm (`python docs/write_backbones.py` writes it). For any other version,
and in a process that has loaded timm (a plugin may have registered networks), timm itself is asked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from holotype.core.errors import RecipeError, join_names
from holotype.core.plugins import load_inherited_plugins
from holotype.core.registry import Registry
from holotype.core.runtime import version_of
from holotype.networks.model_folders import is_model_folder, open_model_folder

__all__ = [
    "BACKBONES",
    "LIST_FILE",
    "BackboneList",
    "architecture_of",
    "check_backbone",
    "hub_file",
    "hub_names",
    "list_of_timm",
    "weights_origin",
]

BACKBONES = Registry("backbone")
"""Functions `(channels: int) -> torch.nn.Module` of plugins. The module maps pixels (n, channels, H, W) to features
(n, width, h, w), tokens (n, tokens, width) or vectors (n, width), and has the attribute `num_features`, the width."""
LIST_FILE = Path(__file__).with_name("backbones.json")
DEFAULT_WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True)
class BackboneList:
    """The networks of one version of timm.

    Args:
        names: Architectures, as timm lists them.
        deprecated: Old names that still build a network.
        pretrained: Names with the tag of their weights.
        hub_files: Name to `owner/repository` of its weights on the hub, followed by `/file` where the file has an
            unusual name.
        origins: Name to license and citation of its weights, each empty where timm states none; names without either
            are missing.
    """

    version: str
    names: tuple[str, ...]
    deprecated: tuple[str, ...]
    pretrained: tuple[str, ...]
    hub_files: Mapping[str, str]
    origins: Mapping[str, tuple[str, str]]


def architecture_of(backbone: str, field: str = "models.backbone") -> str:
    """Get timm's name of a backbone; for `local-dir:FOLDER` and `hf-hub:ID`, that of the folder's `config.json`.

    Raises:
        RecipeError: There is no such folder on this machine, or its configuration names no network.
    """
    return open_model_folder(backbone, field).require_architecture(field) if is_model_folder(backbone) else backbone


def check_backbone(name: str, field: str = "models.backbone") -> None:
    """Refuse a backbone that neither timm nor a plugin has, or both.

    Args:
        name: With or without the tag of its weights; or `local-dir:FOLDER` or `hf-hub:ID`.
        field: Where the name stands in the recipe.

    Raises:
        RecipeError: Unknown name; the message suggests the nearest ones.
    """
    load_inherited_plugins()  # in a process that training has spawned
    backbones, name = _backbones(), architecture_of(name, field)
    architecture, _, tag = name.partition(".")
    if name in BACKBONES:
        if name in backbones.names:
            raise RecipeError(
                f"the plugin {BACKBONES.plugin_of(name)!r} registers the backbone {name!r}, which timm has",
                field=field,
                value=name,
                remedy="rename it",
            )
        return
    if architecture not in backbones.names and architecture not in backbones.deprecated:
        suggestions = get_close_matches(architecture, [*BACKBONES, *backbones.names], n=5, cutoff=0.5)
        remedy = f"the nearest are {join_names(suggestions)}" if suggestions else "see timm.list_models()"
        raise RecipeError(f"timm has no network {name!r}", field=field, remedy=remedy)
    tagged = [full for full in backbones.pretrained if full.startswith(f"{architecture}.")] if tag else []
    if tag and name not in tagged:
        raise RecipeError(f"timm has no weights {name!r}", field=field, value=name, allowed=[architecture, *tagged])


def hub_file(name: str) -> tuple[str, str] | None:
    """Find the hub repository and file of the weights of a (tagged) name; None where the hub has none."""
    entry = _backbones().hub_files.get(name)
    if entry is None:
        return None
    owner, repository, *file = entry.split("/", 2)
    return f"{owner}/{repository}", file[0] if file else DEFAULT_WEIGHTS_FILE


def hub_names() -> dict[str, str]:
    """Map each hub repository of timm's weights to the name of the network, with the tag of its weights."""
    files = sorted(_backbones().hub_files.items(), key=lambda item: "." in item[0])  # of two names, that with a tag
    return {"/".join(file.split("/", 2)[:2]): name for name, file in files}


def weights_origin(name: str) -> tuple[str | None, str | None]:
    """License and citation of timm's weights of a (tagged) name, as timm states them; None where it does not."""
    license_text, citation = _backbones().origins.get(name, ("", ""))
    return license_text or None, citation or None


def list_of_timm() -> BackboneList:
    """List the networks of the installed timm; slow, because it imports timm."""
    import timm
    from timm.models import _registry

    listed = timm.list_models()
    hub_files, origins = {}, {}
    for name in sorted({*listed, *_registry._model_pretrained_cfgs}):
        config = timm.get_pretrained_cfg(name, allow_unregistered=True)
        if config is not None and config.hf_hub_id:
            hub_files[name] = "/".join(filter(None, (config.hf_hub_id, config.hf_hub_filename)))
        if config is not None and config.has_weights:
            papers = config.paper_ids or config.origin_url or ""
            citation = papers if isinstance(papers, str) else ", ".join(papers)
            origins[name] = ("" if config.license in {None, "unknown"} else config.license, citation)
    origins = {name: origin for name, origin in origins.items() if any(origin)}
    deprecated, pretrained = sorted({*_registry._model_entrypoints} - {*listed}), timm.list_pretrained()
    return BackboneList(timm.__version__, tuple(listed), tuple(deprecated), tuple(pretrained), hub_files, origins)


def _backbones() -> BackboneList:
    stored = _stored_list()
    return stored if "timm" not in sys.modules and stored.version == version_of("timm") else _list_of_loaded_timm()


@cache
def _stored_list() -> BackboneList:
    content: dict[str, Any] = json.loads(LIST_FILE.read_text(encoding="utf-8"))
    names, deprecated, pretrained = (tuple(content[key].split()) for key in ("names", "deprecated", "pretrained"))
    pairs = (entry.partition("=") for entry in content["hub_files"].split())
    hub_files = {name: file or f"timm/{name}" for name, _, file in pairs}
    groups = (entry.split("\t") for entry in content["origins"])
    origins = {name: (license_text, citation) for license_text, citation, listed in groups for name in listed.split()}
    return BackboneList(content["version"], names, deprecated, pretrained, hub_files, origins)


_timm_lists: dict[int, BackboneList] = {}


def _list_of_loaded_timm() -> BackboneList:
    """The list of the loaded timm, made again after networks were registered."""
    from timm.models import _registry

    count = len(_registry._model_entrypoints)
    if count not in _timm_lists:
        _timm_lists[count] = list_of_timm()
    return _timm_lists[count]
