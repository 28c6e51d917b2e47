"""Archives of pretrained weights: one ZIP file to carry to a machine without a network, with digests and licenses."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holotype.core.digest import hash_file
from holotype.core.disk import flush_folder
from holotype.core.errors import InputError, StoreError, first_line
from holotype.networks.fetch_weights import copy_model, staging_folder
from holotype.networks.installed_weights import ModelFiles, find_model_files
from holotype.networks.model_folders import HUB, LOCAL

__all__ = ["MANIFEST", "pack_weights", "unpack_weights"]

MANIFEST = "holotype-weights.json"
MAX_BYTES = 1 << 20  # of the manifest
CHUNK = 1 << 22
EPOCH = (1980, 1, 1, 0, 0, 0)  # one date for all files, so that equal weights give equal archives
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+ -]{0,200}$")]


class _File(BaseModel):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    """Model of an archive: one from the hub has a repository, a revision and a commit."""

    name: str
    folder: FileName
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*$")] | None
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*$")] | None
    commit: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][\w.-]*$")] | None
    license: str | None
    citation: str | None
    weights: FileName
    files: dict[FileName, _File]


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True)

    format: Annotated[int, Field(ge=1, le=1)]
    models: list[_Model]


def pack_weights(names: Sequence[str], archive: Path) -> list[ModelFiles]:
    """Pack models into one ZIP file, with their configurations, licenses and digests.

    Args:
        names: timm's names, `hf-hub:ID` or `local-dir:FOLDER`; all on this machine.
        archive: Replaced at once when it is complete.

    Raises:
        InputError: A model is not on this machine, or two have the same name.
    """
    models = [find_model_files(name) for name in dict.fromkeys(names)]
    folders = [_folder_name(model) for model in models]
    twice = next((name for name in folders if folders.count(name) > 1), None)
    if twice is not None:
        raise InputError("two models have the same folder name", field="weights pack", value=twice)
    manifest = _Manifest(format=1, models=[_describe(model) for model in models])
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as file:  # weights do not get smaller
            file.writestr(zipfile.ZipInfo(MANIFEST, EPOCH), manifest.model_dump_json(indent=2))
            for model, folder in zip(models, folders, strict=True):
                for path in model.files:
                    member = zipfile.ZipInfo(f"{folder}/{path.name}", EPOCH)
                    member.file_size = path.stat().st_size  # beyond 2 GiB, the header has another form
                    with path.open("rb") as source, file.open(member, "w") as target:
                        shutil.copyfileobj(source, target, CHUNK)
        temporary.replace(archive)
    finally:
        temporary.unlink(missing_ok=True)
    return models


def unpack_weights(archive: Path, folder: Path | None = None) -> list[ModelFiles]:
    """Unpack an archive into the Hugging Face cache, or into model folders; nothing is installed if a digest differs.

    Args:
        archive: From `pack_weights`.
        folder: Takes one model folder per model; None for the cache.

    Raises:
        InputError: The file is no archive of weights, or a model in it is not from the hub and needs a folder.
        StoreError: A file in the archive is damaged.
    """
    from huggingface_hub import constants

    manifest = _read_manifest(archive)
    local = next((model for model in manifest.models if not (model.repository and model.commit)), None)
    if folder is None and local is not None:
        raise InputError(
            f"{local.name!r} is not from the hub, so it has no place in the cache",
            field="--to",
            remedy="give --to FOLDER",
        )
    root = folder or Path(constants.HF_HUB_CACHE)
    stage = root / f".holotype.{os.getpid()}"
    try:
        with zipfile.ZipFile(archive) as file:
            for model in manifest.models:
                _extract(file, model, stage / model.folder)
        flush_folder(stage)
        return [
            _install_in_cache(model, stage / model.folder, root)
            if folder is None
            else _install_in_folder(model, stage / model.folder, folder)
            for model in manifest.models
        ]
    except (zipfile.BadZipFile, EOFError) as error:
        raise _damaged(archive, first_line(error)) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _folder_name(model: ModelFiles) -> str:
    return (model.repository or Path(model.name.removeprefix(LOCAL)).resolve().name).replace("/", "--")


def _describe(model: ModelFiles) -> _Model:
    commit = model.folder.name if model.revision else None
    files = {path.name: _File(sha256=hash_file(path), bytes=path.stat().st_size) for path in model.files}
    try:
        return _Model(
            name=model.name if model.revision else f"{LOCAL}{_folder_name(model)}",
            folder=_folder_name(model),
            repository=model.repository,
            revision=model.revision,
            commit=commit,
            license=model.license,
            citation=model.citation,
            weights=model.weights.name,
            files=files,
        )
    except ValidationError as error:
        message = f"{model.name!r} has a name that an archive cannot hold: {error.errors()[0]['input']!r}"
        raise InputError(message, remedy="rename the file or folder with letters, digits, `.`, `_` and `-`") from error


def _read_manifest(archive: Path) -> _Manifest:
    try:
        with zipfile.ZipFile(archive) as file:
            if file.getinfo(MANIFEST).file_size > MAX_BYTES:
                raise KeyError
            return _Manifest.model_validate_json(file.read(MANIFEST))
    except (KeyError, ValidationError, zipfile.BadZipFile, FileNotFoundError, IsADirectoryError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else "it has no valid manifest"
        raise InputError(
            f"{str(archive)!r} is no archive of weights: {reason}",
            field="weights get",
            remedy="`holotype weights pack NAME --out FILE.zip` writes one",
        ) from error


def _extract(file: zipfile.ZipFile, model: _Model, target: Path) -> None:
    """Extract the files of a model that the manifest lists, and compare each with its digest."""
    target.mkdir(parents=True)
    for name, expected in model.files.items():
        digest, size = hashlib.sha256(), 0
        try:
            with file.open(f"{model.folder}/{name}") as source, (target / name).open("wb") as copy:
                while size <= expected.bytes and (part := source.read(CHUNK)):
                    digest.update(part)
                    size += copy.write(part)
        except KeyError as error:
            raise _damaged(Path(str(file.filename)), f"{name} is missing") from error
        if (digest.hexdigest(), size) != (expected.sha256, expected.bytes):
            raise _damaged(Path(str(file.filename)), f"the digest of {name} differs")


def _install_in_cache(model: _Model, stage: Path, cache: Path) -> ModelFiles:
    """Move files to the snapshot of their commit, then let the revision point to it, as `huggingface_hub` does."""
    home = cache / f"models--{str(model.repository).replace('/', '--')}"
    snapshot = home / "snapshots" / str(model.commit)
    snapshot.mkdir(parents=True, exist_ok=True)
    for name in sorted(model.files, key=lambda name: name == model.weights):  # complete once the weights are there
        (stage / name).replace(snapshot / name)
    if model.revision != model.commit:
        reference = home / "refs" / str(model.revision)
        reference.parent.mkdir(parents=True, exist_ok=True)
        (stage / "reference").write_text(str(model.commit), encoding="utf-8")
        (stage / "reference").replace(reference)
    return find_model_files(model.name)


def _install_in_folder(model: _Model, stage: Path, folder: Path) -> ModelFiles:
    files = find_model_files(f"{LOCAL}{stage}")
    target = folder / model.folder
    if model.repository is None:
        with staging_folder(target) as copy:
            for name in model.files:
                (stage / name).replace(copy / name)
        return find_model_files(f"{LOCAL}{target}")
    origin = ModelFiles(
        f"{HUB}{model.repository}",
        model.repository,
        model.revision,
        Path(str(model.commit)),
        stage / model.weights,
        tuple(stage / name for name in model.files),
        model.license or files.license,
        model.citation or files.citation,
    )
    copy_model(origin, target)
    return find_model_files(f"{LOCAL}{target}")


def _damaged(archive: Path, reason: str) -> StoreError:
    return StoreError(f"{str(archive)!r} is damaged: {reason}", remedy="copy the archive again; nothing was installed")
