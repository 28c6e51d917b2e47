"""Download of published weights into the Hugging Face cache, on request only, and copies of them in folders."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from holotype.core.digest import hash_file
from holotype.core.disk import flush_folder
from holotype.core.errors import HolotypeError, InputError, first_line
from holotype.networks.catalog import find_entry
from holotype.networks.installed_weights import COMPANION, ModelFiles, find_model_files, split_name
from holotype.networks.model_folders import ORIGIN, PREFERRED_FILES
from holotype.networks.weight_files import SUFFIXES

__all__ = ["copy_model", "download_weights", "staging_folder"]

LIBRARIES = ("huggingface_hub", "httpx", "hf_xet", "requests", "urllib3")  # whose errors are those of a download
TIMEOUT_SECONDS = 20.0  # of the first answer of the hub


def download_weights(name: str, file: str | None = None, quiet: bool = False) -> tuple[ModelFiles, bool]:
    """Download a model's weights, configuration and license into the Hugging Face cache, unless they are there.

    Args:
        name: As in `split_name`.
        file: Weights file, where the repository has several.
        quiet: Whether to hide the progress bars of the library.

    Returns:
        The files, and whether they were downloaded.

    Raises:
        InputError: The hub has no such model, revision or file, or asks for consent first.
        HolotypeError: The hub cannot be reached.
    """
    repository, revision, timm_file = split_name(name)
    if not file:
        try:
            return find_model_files(name), False
        except HolotypeError:
            pass  # it is not in the cache, or not complete
    import huggingface_hub
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if quiet:
        disable_progress_bars()
    try:
        siblings = huggingface_hub.HfApi().model_info(repository, revision=revision, timeout=TIMEOUT_SECONDS).siblings
        published = [sibling.rfilename for sibling in siblings or []]
        weights = _choose_weights(name, published, file or timm_file)
        files = [weights, *(other for other in published if COMPANION.fullmatch(other) and "/" not in other)]
        huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=[glob.escape(path) for path in files]
        )
    except HolotypeError:
        raise
    except Exception as error:
        raise _download_error(name, repository, error) from error
    return find_model_files(name), True


def copy_model(files: ModelFiles, folder: Path) -> None:
    """Copy a model into a new folder, with the file `origin.json`; the folder is complete or does not exist.

    Args:
        files: From `find_model_files`.
        folder: Must not exist, or be empty.

    Raises:
        InputError: The folder has files.
    """
    with staging_folder(folder) as stage:
        for path in files.files:
            shutil.copyfile(path, stage / path.name)
        origin = {
            "repository": files.repository,
            "revision": files.revision,
            "commit": files.folder.name if files.revision else None,
            "license": files.license,
            "citation": files.citation,
            "sha256": {path.name: hash_file(stage / path.name) for path in files.files},
        }
        (stage / ORIGIN).write_text(json.dumps(origin, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """Temporary folder that takes its name when the block ends without an error.

    Args:
        folder: Must not exist, or be empty.

    Raises:
        InputError: The folder has files.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} exists already", field="--to", remedy="name a new folder")
    stage = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        stage.mkdir(parents=True)
        yield stage
        flush_folder(stage)
        stage.replace(folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _choose_weights(name: str, published: Sequence[str], file: str | None) -> str:
    """Choose the weights file of a repository: the named one, one of timm's usual names, or the only one."""
    candidates = [path for path in published if Path(path).suffix in SUFFIXES and "/" not in path]
    preferred = [path for path in PREFERRED_FILES if path in candidates]
    choice = file or next(iter([*preferred, *(candidates if len(candidates) == 1 else [])]), None)
    if choice in candidates:
        return str(choice)
    message = f"{name!r} has no weights file {file!r}" if file else f"{name!r} has no weights file, or several"
    raise InputError(
        message, field="--file", value=file, allowed=candidates, remedy="name one with --file" if candidates else ""
    )


def _download_error(name: str, repository: str, error: Exception) -> HolotypeError:
    """Make the error of a failed download, with what to do."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    page = f"https://huggingface.co/{repository}"
    entry = find_entry(repository)
    if "GatedRepoError" in kinds or ("RepositoryNotFoundError" in kinds and entry is not None and entry.is_gated):
        return InputError(
            f"{name!r} is given only to those who accept its terms",
            field="weights",
            remedy=f"accept them on {page}, then run `hf auth login` and the command again",
        )
    absent = {"RepositoryNotFoundError": "model", "RevisionNotFoundError": "revision", "HFValidationError": "name"}
    missing = next((word for kind, word in absent.items() if kind in kinds), None)
    if missing is not None:
        return InputError(
            f"the hub has no {missing} {name!r}",
            field="weights",
            remedy=f"look at {page}; a private one needs `hf auth login`",
        )
    is_of_library = any(kind.__module__.startswith(LIBRARIES) for kind in type(error).__mro__)
    if not is_of_library and not isinstance(error, OSError):
        raise error
    return HolotypeError(
        f"{name!r} cannot be downloaded: {first_line(error)}",
        remedy=f"on a machine with a network, run `holotype weights get {name}` and `holotype weights pack {name} "
        "--out weights.zip`; copy the file here, and run `holotype weights get weights.zip`",
    )
