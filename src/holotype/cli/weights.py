"""Command `weights`: list, download and pack pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holotype.cli.output import CommandResult, Table, TextLine
from holotype.core.errors import InputError, byte_size, join_names, pluralize
from holotype.core.progress import Progress
from holotype.networks.catalog import CatalogEntry, is_noncommercial, read_catalog, recipe_lines
from holotype.networks.installed_weights import InstalledWeights, ModelFiles, list_installed_weights

UNKNOWN = "license unknown"


def list_weights(folders: Sequence[Path], backbone: str | None) -> CommandResult:
    """List the weights on this machine, and the catalog of published weights by field.

    Args:
        folders: Model folders, runs, or folders of them; none: the folder `runs`, if there is one.
        backbone: List only weights of this network; None lists all.
    """
    default = [Path("runs")] if Path("runs").is_dir() else []
    installed, others = list_installed_weights(folders or default)
    catalog = list(read_catalog())
    if backbone is not None:
        architecture = backbone.partition(".")[0]
        installed = [entry for entry in installed if (entry.architecture or "").partition(".")[0] == architecture]
        catalog = [entry for entry in catalog if (entry.architecture or "").partition(".")[0] == architecture]
    here = [_installed_row(entry) for entry in installed]
    published = [_catalog_row(entry, installed) for entry in catalog]
    note = f"Not listed: {pluralize(len(others), 'model')} that Holotype cannot use ({join_names(others)})"
    notes = [note] if others and backbone is None else []
    lines = [
        "On this machine:" if here else "No weights on this machine.",
        *("  ".join(row) for row in here),
        *notes,
        "Published:" if published else "No published weights of this network in the catalog.",
        *("  ".join(row) for row in published),
    ]
    blocks: list[Table | TextLine] = [
        Table(("name", "network", "size>", "license", "cite"), here, title="On this machine")
        if here
        else TextLine(lines[0], "note"),
        *(TextLine(line, "note") for line in notes),
        Table(
            ("field", "name", "get", "license", ""),
            published,
            title="Published",
            below="holotype weights get hf-hub:ID; --json shows papers, sources and lines of a recipe.",
        )
        if published
        else TextLine("No published weights of this network in the catalog.", "note"),
    ]
    data = {
        "installed": [_installed_data(entry) for entry in installed],
        "unusable": others,
        "catalog": [
            {**vars(entry), **_license_data(entry.license), "recipe": recipe_lines(entry)} for entry in catalog
        ],
    }
    return CommandResult(lines, data, blocks)


def get_weights(names: Sequence[str], target: Path | None, file: str | None, progress: Progress) -> CommandResult:
    """Download weights into the Hugging Face cache, or unpack archives of them.

    Args:
        names: timm's names, `hf-hub:ID`, or .zip files.
        target: Takes one model folder per model instead; None for the cache.
        file: Weights file, where a repository has several.
    """
    from holotype.networks.fetch_weights import copy_model, download_weights
    from holotype.networks.installed_weights import find_model_files
    from holotype.networks.weight_archives import unpack_weights

    installed: list[tuple[ModelFiles, str]] = []
    for name in _require_names(names, "get"):
        if name.lower().endswith(".zip"):
            installed += [(files, "unpacked") for files in unpack_weights(Path(name), target)]
            continue
        files, is_new = download_weights(name, file, progress.quiet)
        state = "downloaded" if is_new else "in the cache already"
        if target is not None:
            folder = target / (files.repository or "").replace("/", "--")
            copy_model(files, folder)
            files, state = find_model_files(f"local-dir:{folder}"), "copied"
        installed.append((files, state))
    lines = [line for files, state in installed for line in _describe_files(files, state)]
    data = {"weights": [{**_files_data(files), "state": state} for files, state in installed]}
    return CommandResult(lines, data)


def pack_archive(names: Sequence[str], archive: Path | None, progress: Progress) -> CommandResult:
    """Pack weights into one ZIP file, for a machine without a network.

    Args:
        names: timm's names, `hf-hub:ID` or `local-dir:FOLDER`.
        archive: File to write.
    """
    from holotype.networks.weight_archives import pack_weights

    if archive is None:
        raise InputError("name the file to write", field="--out", remedy="--out weights.zip")
    if archive.suffix.lower() != ".zip":
        raise InputError("an archive of weights ends in .zip", field="--out", value=archive.name)
    models = pack_weights(_require_names(names, "pack"), archive)
    for model in models:
        if model.license is None:
            progress.info(f"note: the license of {model.name} is unknown; find out before you pass the file on")
        elif is_noncommercial(model.license):
            progress.info(f"note: {_warn(model.name, model.license)}; it may also forbid passing the file on")
    size = archive.stat().st_size
    lines = [
        *(f"{model.name}: {len(model.files)} files, {model.license or UNKNOWN}" for model in models),
        f"{archive}: {byte_size(size)}; on the other machine: holotype weights get {archive.name}",
    ]
    return CommandResult(lines, {"file": archive, "bytes": size, "weights": [_files_data(model) for model in models]})


def _warn(name: str, license_text: str | None) -> str:
    return f"the license of {name} ({license_text}) forbids commercial use"


def _require_names(names: Sequence[str], action: str) -> list[str]:
    if not names:
        raise InputError(f"`weights {action}` needs the name of a model", remedy="`holotype weights list` shows names")
    return list(dict.fromkeys(names))


def _installed_row(entry: InstalledWeights) -> tuple[str, ...]:
    size, license_text = byte_size(entry.bytes), _license_words(entry.license)
    return (entry.name, entry.architecture or "network not stated", size, license_text, entry.citation or "")


def _catalog_row(entry: CatalogEntry, installed: Sequence[InstalledWeights]) -> tuple[str, ...]:
    address = "elsewhere" if entry.repository is None else f"hf-hub:{entry.repository}"
    names = {other.name for other in installed}
    is_here = address in names or entry.architecture in names
    remarks = ["here"] if is_here else ["asks for consent"] if entry.is_gated else []
    remarks += {"no": ["not usable here"], "expected": ["file not tried"]}.get(entry.loads, [])
    return (", ".join(entry.fields), entry.name, address, _license_words(entry.license), ", ".join(remarks))


def _license_words(license_text: str | None) -> str:
    return f"{license_text or UNKNOWN}{' (not commercial)' if is_noncommercial(license_text) else ''}"


def _license_data(license_text: str | None) -> dict[str, bool | None]:
    return {"forbids_commercial_use": None if license_text is None else is_noncommercial(license_text)}


def _installed_data(entry: InstalledWeights) -> dict[str, object]:
    return {**vars(entry), "recipe": list(entry.recipe), **_license_data(entry.license)}


def _files_data(files: ModelFiles) -> dict[str, object]:
    return {
        "name": files.name,
        "folder": files.folder,
        "files": [path.name for path in files.files],
        "bytes": files.weights.stat().st_size,
        "license": files.license,
        **_license_data(files.license),
        "citation": files.citation,
        "recipe": list(files.recipe),
    }


def _describe_files(files: ModelFiles, state: str) -> list[str]:
    size = byte_size(files.weights.stat().st_size)
    lines = [
        f"{files.name}: {state}, {size} in {files.folder}",
        f"  recipe:  {'; '.join(files.recipe)}",
        f"  license: {files.license or UNKNOWN}",
        f"  cite:    {files.citation or 'unknown'}",
    ]
    if is_noncommercial(files.license):
        lines.append(f"  note: {_warn('these weights', files.license)}")
    return lines
