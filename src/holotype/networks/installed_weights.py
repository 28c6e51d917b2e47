"""Pretrained weights on this machine: the Hugging Face cache, packages, model folders and finished runs."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from holotype.core.errors import HolotypeError, InputError
from holotype.networks.backbones import check_backbone, hub_file, hub_names, weights_origin
from holotype.networks.card import CARD, read_card
from holotype.networks.catalog import find_entry
from holotype.networks.model_folders import HUB, LOCAL, ModelFolder, hub_snapshot, open_model_folder, origin_of
from holotype.networks.pretrained import LITE_WHEELS, resolve_weights

__all__ = ["InstalledWeights", "ModelFiles", "find_model_files", "list_installed_weights", "split_name"]

COMPANION = re.compile(
    r"(?!tokenizer|vocab|merges|special_tokens).*(\.json|README.*|LICEN[CS]E.*|NOTICE.*|COPYING.*)", re.IGNORECASE
)
"""Files that travel with weights: configurations, licenses and cards, but no vocabularies of texts."""


@dataclass(frozen=True)
class InstalledWeights:
    """Weights that a recipe can name on this machine.

    Args:
        name: As in `holotype weights get` and `pack`, or the address of a run's model.
        recipe: Lines of a recipe's model that use them.
        architecture: timm's name of the network; None if no file states it.
        bytes: Size of the weights files.
        license: Identifier; None if unknown.
        citation: Paper or page to cite; None if unknown.
        path: Weights file, or the folder of a run's model.
    """

    name: str
    recipe: tuple[str, ...]
    architecture: str | None
    bytes: int
    license: str | None
    citation: str | None
    path: Path


@dataclass(frozen=True)
class ModelFiles:
    """Files of a published model that are copied together.

    Args:
        name: timm's name, `hf-hub:ID` or `local-dir:FOLDER`.
        repository: On the hub; None if unknown.
        revision: Branch or tag; None for a folder.
        folder: Where the files are; a snapshot of the cache has the commit as its name.
        weights: The weights file.
        files: All files, the weights first.
        license: Identifier; None if unknown.
        citation: Paper or page to cite; None if unknown.
    """

    name: str
    repository: str | None
    revision: str | None
    folder: Path
    weights: Path
    files: tuple[Path, ...]
    license: str | None
    citation: str | None

    @property
    def recipe(self) -> tuple[str, ...]:
        """Lines of a recipe's model that use the weights."""
        return _recipe(self.name, open_model_folder(self.name, "models.backbone") if ":" in self.name else None)


def split_name(name: str) -> tuple[str, str, str | None]:
    """Split the name of published weights.

    Args:
        name: timm's name of a network, with or without the tag of its weights, or `hf-hub:ID` or `hf-hub:ID@REVISION`.

    Returns:
        Repository on the hub, revision, and name of the weights file; None where the repository decides.

    Raises:
        InputError: timm has no such network, or no weights of it.
    """
    if name.startswith(HUB):
        repository, _, revision = name.removeprefix(HUB).partition("@")
        return repository, revision or "main", None
    if "/" in name:
        raise InputError(f"{name!r} is no name of timm", field="weights", remedy=f"write {HUB}OWNER/NAME")
    check_backbone(name, "weights")
    stored = hub_file(name)
    if stored is None:
        raise InputError(
            f"timm publishes no weights of {name!r}", field="weights", remedy="see `holotype weights list`"
        )
    return stored[0], "main", stored[1]


def find_model_files(name: str) -> ModelFiles:
    """Find the files of a model in the Hugging Face cache or in a folder; nothing is downloaded.

    Args:
        name: As in `split_name`, or `local-dir:FOLDER`.

    Raises:
        InputError: The model is not on this machine, or has no weights file or several.
    """
    if name.startswith(LOCAL):
        folder = open_model_folder(name, "weights")
        return _model_files(name, origin_of(name, folder.folder), None, folder, folder.weights_path("weights"))
    repository, revision, file = split_name(name)
    if hub_snapshot(repository, revision) is None:
        raise InputError(
            f"{name!r} is not in the Hugging Face cache of this machine",
            field="weights",
            remedy=f"holotype weights get {name}",
        )
    folder = open_model_folder(f"{HUB}{repository}@{revision}", "weights")
    weights = folder.folder / file if file else folder.weights_path("weights")
    if not weights.is_file():
        raise InputError(f"the cache has no file {file!r} of {name!r}", remedy=f"holotype weights get {name}")
    return _model_files(name, repository, revision, folder, weights)


def list_installed_weights(folders: Sequence[Path] = ()) -> tuple[list[InstalledWeights], list[str]]:
    """List the weights on this machine; only names, sizes and small files are read.

    Args:
        folders: Model folders, runs, or folders of them, to list besides the cache and the packages.

    Returns:
        The weights, and the names of models that no network of timm reads.

    Raises:
        InputError: A folder does not exist.
    """
    installed: list[InstalledWeights] = []
    others: list[str] = []
    for address in _cached_addresses():
        entry = _cached_weights(address)
        installed, others = (installed, [*others, address]) if entry is None else ([*installed, entry], others)
    installed += _packaged_weights()
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"there is no folder {str(folder)!r}", field="FOLDER")
        for inner in [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]:
            try:
                installed += [*_run_weights(inner), *_folder_weights(inner)]
            except HolotypeError:  # a torn card; a list of many goes on
                others.append(str(inner))
    return installed, others


def _model_files(
    name: str, repository: str | None, revision: str | None, folder: ModelFolder, weights: Path
) -> ModelFiles:
    companions = sorted(path for path in folder.folder.iterdir() if COMPANION.fullmatch(path.name) and path.is_file())
    license_text, citation = (None, None) if ":" in name else weights_origin(name)
    return ModelFiles(
        name,
        repository,
        revision,
        folder.folder,
        weights,
        (weights, *companions),
        license_text or folder.license,
        citation or folder.citation,
    )


def _recipe(name: str, folder: ModelFolder | None) -> tuple[str, ...]:
    """Lines of a recipe; a folder that states no network needs one by name."""
    if folder is None or folder.architecture is not None:
        return (f"backbone: {name}",)
    return ("backbone: NAME  # of timm", f"weights: {name}")


def _cached_addresses() -> Iterator[str]:
    """Addresses of all snapshots in the Hugging Face cache; those without a branch or tag by their commit."""
    from huggingface_hub import constants

    for repository in sorted(Path(constants.HF_HUB_CACHE).glob("models--*")):
        name = repository.name.removeprefix("models--").replace("--", "/", 1)
        references = repository / "refs"
        commits = {
            path.read_text(encoding="utf-8").strip(): path.relative_to(references).as_posix()
            for path in sorted(references.rglob("*"))
            if path.is_file()
        }
        for snapshot in sorted((repository / "snapshots").glob("*")):
            revision = commits.get(snapshot.name, snapshot.name)
            yield f"{HUB}{name}" if revision == "main" else f"{HUB}{name}@{revision}"


def _cached_weights(address: str) -> InstalledWeights | None:
    """Weights of a snapshot; None if it has none, or none that a network of timm reads."""
    repository, _, revision = address.removeprefix(HUB).partition("@")
    timm_name = None if revision else hub_names().get(repository)
    try:
        folder = open_model_folder(address, "weights")
        files = find_model_files(timm_name or address)
    except HolotypeError:
        return None
    entry = find_entry(repository)
    is_clip = (folder.folder / "open_clip_config.json").is_file()
    if timm_name is None and folder.architecture is None and not is_clip and (entry is None or entry.loads == "no"):
        return None
    name = files.name
    return InstalledWeights(
        name,
        _recipe(name, None if timm_name else folder),
        (timm_name or folder.architecture or "").partition(".")[0] or None,
        files.weights.stat().st_size,
        files.license,
        files.citation,
        files.weights,
    )


def _packaged_weights() -> list[InstalledWeights]:
    names = [name for name, module in LITE_WHEELS.items() if importlib.util.find_spec(module) is not None]
    sources = {name: resolve_weights(name, "lite").path for name in names}
    return [
        InstalledWeights(
            LITE_WHEELS[name].replace("_", "-"),
            (f"backbone: {name}", "weights: lite"),
            name,
            path.stat().st_size,
            None,
            None,
            path,
        )
        for name, path in sources.items()
        if path is not None
    ]


def _run_weights(folder: Path) -> list[InstalledWeights]:
    """Networks of a run, one entry per model."""
    entries = []
    for model in sorted({card.parent.parent for card in folder.glob(f"models/*/fold*/{CARD}")}):
        card = read_card(next(iter(sorted(model.glob(f"fold*/{CARD}")))))
        section = card.get("model")
        files = list(model.glob("fold*/weights*.safetensors"))
        backbone = section.get("backbone") if isinstance(section, dict) else None
        if isinstance(backbone, str) and files:
            address = f"run:{folder}#{model.name}"
            license_text, citation = (card.get(f"weights_{name}") for name in ("license", "citation"))
            size = sum(path.stat().st_size for path in files)
            recipe = (f"backbone: {backbone}", f"weights: {address}")
            entries.append(InstalledWeights(address, recipe, backbone, size, license_text, citation, model))
    return entries


def _folder_weights(folder: Path) -> list[InstalledWeights]:
    """Weights of a model folder; none if it is not one."""
    if not any((folder / name).is_file() for name in ("config.json", "open_clip_config.json", "origin.json")):
        return []
    files = find_model_files(f"{LOCAL}{folder}")
    model = open_model_folder(files.name, "weights")
    size = files.weights.stat().st_size
    recipe = _recipe(files.name, model)
    return [
        InstalledWeights(files.name, recipe, model.architecture, size, files.license, files.citation, files.weights)
    ]
