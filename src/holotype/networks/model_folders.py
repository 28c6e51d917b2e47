"""Model folders as timm writes them: `config.json` and weights, in a local folder or in the Hugging Face cache."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holotype.core.errors import RecipeError, first_line, truncate
from holotype.networks.catalog import find_entry
from holotype.networks.weight_files import SUFFIXES

__all__ = [
    "HUB",
    "LOCAL",
    "ORIGIN",
    "PREFERRED_FILES",
    "ModelFolder",
    "hub_snapshot",
    "is_model_folder",
    "open_model_folder",
    "origin_of",
]

LOCAL, HUB = "local-dir:", "hf-hub:"
CONFIG = "config.json"
ORIGIN = "origin.json"
"""File beside copied weights: the repository and commit they come from, and the digest of each file."""
PROCESSOR = "preprocessor_config.json"  # of the library transformers
MAX_BYTES = 16 << 20  # a configuration with the names of 21,000 classes has 2 MB
PREFERRED_FILES = (  # in timm's order
    *("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth"),
    *("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"),
    *("open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth"),
)
IGNORED_ARGUMENTS = {"num_classes", "global_pool", "in_chans", "pretrained", "scriptable", "exportable"}
"""Arguments of a model that the recipe decides: classes, pooling and channels."""


@dataclass(frozen=True)
class ModelFolder:
    """Folder of a published model.

    Args:
        address: As in a recipe: `local-dir:FOLDER` or `hf-hub:ID`.
        folder: On this machine.
        architecture: timm's name of the network; None if `config.json` is missing or not timm's.
        arguments: Keyword arguments of the network in `config.json`, not validated.
        pretrained: What the configuration states of the weights: `mean`, `std`, `input_size`, `license`, ...
        license: As in `WeightsSource`.
        citation: As in `WeightsSource`.
    """

    address: str
    folder: Path
    architecture: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    pretrained: Mapping[str, Any] = field(default_factory=dict)
    license: str | None = None
    citation: str | None = None

    @property
    def config(self) -> Path:
        """Path of `config.json`."""
        return self.folder / CONFIG

    def require_architecture(self, field: str) -> str:
        """Get the name of the network.

        Raises:
            RecipeError: `config.json` is missing or names no network of timm.
        """
        if self.architecture is None:
            reason = "names no `architecture`" if self.config.is_file() else "is missing"
            raise RecipeError(
                f"{self.address!r} is no model folder of timm: its {CONFIG} {reason}",
                field=field,
                remedy=f"name the network, such as `backbone: vit_small_patch14_dinov2`, and write `weights: "
                f"{self.address}`",
            )
        return self.architecture

    def weights_path(self, field: str = "models.weights") -> Path:
        """Find the weights file: one of timm's usual names, or the only weights file.

        Raises:
            RecipeError: There is none, or there are several.
        """
        for name in PREFERRED_FILES:
            if (self.folder / name).is_file():
                return self.folder / name
        files = sorted(path for path in self.folder.glob("*") if path.suffix in SUFFIXES and path.is_file())
        if len(files) == 1:
            return files[0]
        names = [path.name for path in files]
        message = f"{self.address!r} has several weights files" if files else f"{self.address!r} has no weights file"
        remedy = f"write the path of one: {self.folder / names[0]}" if files else f"copy {PREFERRED_FILES[0]} there"
        raise RecipeError(message, field=field, value=None, allowed=names or PREFERRED_FILES, remedy=remedy)


def is_model_folder(address: str) -> bool:
    """True for `local-dir:FOLDER` and `hf-hub:ID`."""
    return address.startswith((LOCAL, HUB))


def open_model_folder(address: str, field: str) -> ModelFolder:
    """Open a model folder; only its JSON configuration and `README.md` are read, and nothing is downloaded.

    Args:
        address: `local-dir:FOLDER`, `hf-hub:ID` or `hf-hub:ID@REVISION`.
        field: Where the address stands in the recipe.

    Raises:
        RecipeError: There is no such folder on this machine, or its configuration cannot be read.
    """
    folder = _find_folder(address, field)
    config = _read_config(folder / CONFIG, field)
    if isinstance(config.get("pretrained_cfg"), dict):
        pretrained, arguments = config["pretrained_cfg"], config.get("model_args") or {}
    else:  # the form of earlier versions: one mapping
        pretrained, arguments = config, {}
    if not isinstance(arguments, dict):
        raise RecipeError(f"{folder / CONFIG}: `model_args` must be a mapping", field=field)
    processor = _read_config(folder / PROCESSOR, field)
    entry = find_entry(origin_of(address, folder))
    scales = [{"mean": processor.get("image_mean"), "std": processor.get("image_std")}]
    scales += [] if entry is None else [{"mean": [*entry.mean], "std": [*entry.deviation]}]
    pretrained = {**next((scale for scale in scales if all(scale.values())), {}), **pretrained}
    architecture = config.get("architecture")
    arguments = {name: value for name, value in arguments.items() if name not in IGNORED_ARGUMENTS}
    if entry is not None and entry.replaces_config:
        architecture, arguments = entry.architecture, dict(entry.arguments)
    elif entry is not None:
        architecture, arguments = architecture or entry.architecture, {**entry.arguments, **arguments}
    readme = _read_front_matter(folder / "README.md")
    licenses = (pretrained.get("license"), readme.get("license_name"), readme.get("license"), entry and entry.license)
    papers = pretrained.get("paper_ids") or pretrained.get("origin_url") or (entry and entry.citation)
    return ModelFolder(
        address,
        folder,
        architecture if isinstance(architecture, str) else None,
        arguments,
        pretrained,
        next(filter(None, map(_text, licenses)), None),
        _text(papers),
    )


def origin_of(address: str, folder: Path) -> str | None:
    """Repository on the hub that a model folder is, or was copied from by `holotype weights`; None if unknown.

    Args:
        address: As in `open_model_folder`.
        folder: On this machine.
    """
    if address.startswith(HUB):
        return address.removeprefix(HUB).partition("@")[0]
    try:
        content = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    repository = content.get("repository") if isinstance(content, dict) else None
    return repository if isinstance(repository, str) else None


def hub_snapshot(repository: str, revision: str | None = None) -> Path | None:
    """Find a repository in the Hugging Face cache, as `huggingface_hub` does, which is slow to import.

    Args:
        revision: Branch, tag or commit; None for the branch `main`.

    Returns:
        The folder of its files; None where the cache lacks it.
    """
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    revision = revision or "main"
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except OSError:
        commit = revision
    snapshot = folder / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def _find_folder(address: str, field: str) -> Path:
    if address.startswith(LOCAL):
        folder = Path(address.removeprefix(LOCAL))
        if not folder.is_dir():
            raise RecipeError(f"there is no folder {str(folder)!r}", field=field, remedy="write local-dir:FOLDER")
        return folder
    name, _, revision = address.removeprefix(HUB).partition("@")
    snapshot = hub_snapshot(name, revision or None)
    if snapshot is None:
        option = f" --revision {revision}" if revision else ""
        raise RecipeError(
            f"{address!r} is not in the Hugging Face cache of this machine, and Holotype downloads nothing",
            field=field,
            remedy=f"run `hf download {name}{option}` once while online, or copy its folder here and write "
            "local-dir:FOLDER",
        )
    return snapshot


def _read_config(path: Path, field: str) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError(
                f"{path} is larger than {MAX_BYTES >> 20} MiB, too large for a configuration", field=field
            )
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError(f"{path} cannot be read: {first_line(error)}", field=field) from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path} is no configuration of a model: it is not a JSON object", field=field)
    return content


def _read_front_matter(path: Path) -> Mapping[str, Any]:
    """License entries of the YAML block at the beginning of a model's README; empty if there is none."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(65_536)
    except (OSError, UnicodeDecodeError):
        return {}
    block = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    entries = re.findall(r"^(license|license_name):\s*(?:-\s+)?(\S.*?)\s*$", block[1] if block else "", re.MULTILINE)
    return {name: value.strip("'\"") for name, value in entries}


def _text(value: Any) -> str | None:
    """A short text, or several of them, such as the ids of papers; None for anything else."""
    texts = value if isinstance(value, list) else [value]
    texts = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    return truncate(", ".join(texts), 300) if texts else None
