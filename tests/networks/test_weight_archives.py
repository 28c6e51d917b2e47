"""Downloads, copies and archives of weights: digests are compared, licenses travel along, nothing is half installed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import huggingface_hub.constants
import pytest
from huggingface_hub import errors
from tests.networks.hub_cache import COMMIT, TIMM_NAME, TIMM_REPOSITORY, WEIGHTS, add_repository

from holotype.core.errors import HolotypeError, InputError, StoreError
from holotype.networks.fetch_weights import copy_model, download_weights
from holotype.networks.installed_weights import find_model_files
from holotype.networks.model_folders import open_model_folder
from holotype.networks.weight_archives import MANIFEST, pack_weights, unpack_weights

FILES = {"model.safetensors": WEIGHTS, "config.json": '{"architecture": "test_vit"}', "LICENSE": "be kind"}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return set_cache(monkeypatch, tmp_path / "hub")


def set_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    return folder


def set_hub(monkeypatch: pytest.MonkeyPatch, published: dict[str, str | bytes] | Exception, cache: Path) -> list[str]:
    """Replace the hub by one repository with files, or by an error; returns the patterns that are asked for."""
    asked: list[str] = []

    def model_info(_self: object, repository: str, **_: object) -> object:
        if isinstance(published, Exception):
            raise published
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in published])

    def snapshot_download(repository: str, revision: str, allow_patterns: list[str]) -> str:
        asked.extend(allow_patterns)
        chosen = {name: published[name] for name in allow_patterns}
        return str(add_repository(cache, repository, chosen, revision))

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_only_weights_and_what_describes_them_is_downloaded(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    published = {**FILES, "pytorch_model.bin": b"", "tokenizer.json": "{}", "onnx/config.json": "{}", "model.py": ""}
    asked = set_hub(monkeypatch, published, cache)
    files, is_new = download_weights("hf-hub:lab/net")
    assert (sorted(asked), is_new) == (sorted(FILES), True)
    assert files.folder.name == COMMIT
    assert open_model_folder("hf-hub:lab/net", "f").architecture == "test_vit"
    set_hub(monkeypatch, RuntimeError("the network is not needed again"), cache)
    assert download_weights("hf-hub:lab/net")[1] is False


def test_one_of_several_weights_files_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    asked = set_hub(monkeypatch, {"small.bin": b"s", "large.bin": b"l"}, cache)
    with pytest.raises(InputError, match=r"no weights file, or several; allowed: small.bin, large.bin; name one"):
        download_weights("hf-hub:lab/net")
    assert asked == []
    with pytest.raises(InputError, match=r"has no weights file 'huge.bin'"):
        download_weights("hf-hub:lab/net", "huge.bin")
    files, _ = download_weights("hf-hub:lab/net", "large.bin")
    assert files.weights.read_bytes() == b"l"


def http_error(kind: type[Exception]) -> Exception:
    error = kind.__new__(kind)
    Exception.__init__(error, "the hub says no")
    return error


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (http_error(errors.GatedRepoError), InputError, "accept them on https://huggingface.co/lab/net"),
        (http_error(errors.RepositoryNotFoundError), InputError, "the hub has no model 'hf-hub:lab/net'"),
        (http_error(errors.RevisionNotFoundError), InputError, "the hub has no revision"),
        (errors.OfflineModeIsEnabled("offline mode"), HolotypeError, "holotype weights pack hf-hub:lab/net --out"),
        (ConnectionError("no route"), HolotypeError, "cannot be downloaded: no route"),
        (OSError(28, "No space left on device"), HolotypeError, "No space left"),
    ],
)
def test_a_failed_download_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, cache: Path, error: Exception, kind: type[Exception], sentence: str
) -> None:
    set_hub(monkeypatch, error, cache)
    with pytest.raises(HolotypeError, match=sentence) as caught:
        download_weights("hf-hub:lab/net")
    assert type(caught.value) is kind


def test_the_terms_of_a_gated_model_of_the_catalog_are_named_where_the_hub_hides_it(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    set_hub(monkeypatch, http_error(errors.RepositoryNotFoundError), cache)
    with pytest.raises(InputError, match=r"accept its terms.*hf auth login"):
        download_weights("hf-hub:MahmoodLab/UNI")


def test_an_error_of_the_program_is_not_taken_for_one_of_the_network(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    set_hub(monkeypatch, ZeroDivisionError(), cache)
    with pytest.raises(ZeroDivisionError):
        download_weights("hf-hub:lab/net")


def test_a_copy_is_a_model_folder_that_remembers_its_origin(cache: Path, tmp_path: Path) -> None:
    add_repository(cache, "MahmoodLab/UNI", {"pytorch_model.bin": b"0", "LICENSE": "terms"})
    copy_model(find_model_files("hf-hub:MahmoodLab/UNI"), tmp_path / "copies" / "uni")
    folder = open_model_folder(f"local-dir:{tmp_path / 'copies' / 'uni'}", "f")
    assert (folder.architecture, folder.arguments) == ("vit_large_patch16_224", {"init_values": 1e-5})
    assert folder.license == "cc-by-nc-nd-4.0"
    assert sorted(path.name for path in folder.folder.iterdir()) == ["LICENSE", "origin.json", "pytorch_model.bin"]
    with pytest.raises(InputError, match="exists already"):
        copy_model(find_model_files("hf-hub:MahmoodLab/UNI"), tmp_path / "copies" / "uni")
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["uni"]


def packed(cache: Path, archive: Path) -> Path:
    add_repository(cache, "lab/net", FILES, "v2")
    add_repository(cache, TIMM_REPOSITORY)
    pack_weights(["hf-hub:lab/net@v2", TIMM_NAME, TIMM_NAME], archive)
    return archive


def test_an_archive_brings_models_into_the_cache_of_another_machine(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    archive = packed(cache, tmp_path / "out" / "weights.zip")
    assert [path.name for path in archive.parent.iterdir()] == ["weights.zip"]
    second = tmp_path / "second.zip"
    pack_weights(["hf-hub:lab/net@v2", TIMM_NAME], second)
    assert archive.read_bytes() == second.read_bytes()  # equal weights give equal archives
    other = set_cache(monkeypatch, tmp_path / "other")
    for _ in range(2):  # a second time changes nothing
        models = unpack_weights(archive)
        assert [model.name for model in models] == ["hf-hub:lab/net@v2", TIMM_NAME]
        assert (models[0].folder / "LICENSE").read_text() == "be kind"
        assert models[1].weights.read_bytes() == WEIGHTS
        assert models[1].license == "apache-2.0"
    assert sorted(path.name for path in other.iterdir()) == ["models--lab--net", "models--timm--resnet18.a1_in1k"]
    assert open_model_folder("hf-hub:lab/net@v2", "f").architecture == "test_vit"
    # the library itself finds them, too
    found = huggingface_hub.snapshot_download("lab/net", revision="v2", cache_dir=other, local_files_only=True)
    assert Path(found).name == COMMIT


def test_an_archive_becomes_model_folders_where_a_folder_is_given(cache: Path, tmp_path: Path) -> None:
    archive = packed(cache, tmp_path / "weights.zip")
    models = unpack_weights(archive, tmp_path / "models")
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["lab--net", "timm--resnet18.a1_in1k"]
    origin = json.loads((tmp_path / "models" / "lab--net" / "origin.json").read_text())
    assert (origin["repository"], origin["revision"], origin["commit"]) == ("lab/net", "v2", COMMIT)
    assert models[0].repository == "lab/net"


def test_a_folder_of_ones_own_needs_a_folder_to_go_to(cache: Path, tmp_path: Path) -> None:
    own_model = tmp_path / "mine"
    own_model.mkdir()
    for name, content in FILES.items():
        (own_model / name).write_bytes(content.encode() if isinstance(content, str) else content)
    pack_weights([f"local-dir:{own_model}"], tmp_path / "weights.zip")
    with pytest.raises(InputError, match=r"'local-dir:mine' is not from the hub.*give --to FOLDER"):
        unpack_weights(tmp_path / "weights.zip")
    (model,) = unpack_weights(tmp_path / "weights.zip", tmp_path / "there")
    assert model.name == f"local-dir:{tmp_path / 'there' / 'mine'}"
    assert model.weights.read_bytes() == WEIGHTS


def rewritten(archive: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    with zipfile.ZipFile(archive) as file:
        members = [change(name, file.read(name)) for name in file.namelist()]
    with zipfile.ZipFile(archive, "w") as file:
        for member in filter(None, members):
            file.writestr(*member)


def change_weights(name: str, content: bytes) -> tuple[str, bytes]:
    return name, content[:-1] + b"\x07" if "resnet" in name else content


def lengthen_weights(name: str, content: bytes) -> tuple[str, bytes]:
    return name, content + b"\x00" if "resnet" in name else content


def leave_out_weights(name: str, content: bytes) -> tuple[str, bytes] | None:
    return None if "resnet" in name else (name, content)


@pytest.mark.parametrize("change", [change_weights, lengthen_weights, leave_out_weights])
def test_nothing_of_a_damaged_archive_is_installed(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path, change
) -> None:
    archive = packed(cache, tmp_path / "weights.zip")
    rewritten(archive, change)
    other = set_cache(monkeypatch, tmp_path / "other")
    with pytest.raises(StoreError, match=r"is damaged: (the digest of model.safetensors differs|.* is missing)"):
        unpack_weights(archive)
    assert list(other.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"lab--net"', '"../../evil"'),
        ('"lab/net"', '"../net"'),
        ('"v2"', '"../../v2"'),
        (COMMIT, "../c"),
        ('"LICENSE"', '"../LICENSE"'),
        ('"format": 1', '"format": 2'),
    ],
)
def test_a_manifest_with_other_names_than_files_and_folders_have_is_refused(
    cache: Path, tmp_path: Path, old: str, new: str
) -> None:
    archive = packed(cache, tmp_path / "weights.zip")
    before = archive.read_bytes()

    def change(name: str, content: bytes) -> tuple[str, bytes]:
        return name, content.replace(old.encode(), new.encode()) if name == MANIFEST else content

    rewritten(archive, change)
    assert archive.read_bytes() != before
    with pytest.raises(InputError, match="is no archive of weights: it has no valid manifest"):
        unpack_weights(archive)


def test_other_files_are_no_archives(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as file:
        file.writestr("a.png", b"")
    for name in ("text.zip", "images.zip"):
        with pytest.raises(InputError, match="is no archive of weights"):
            unpack_weights(tmp_path / name)
    with pytest.raises(InputError, match="there is no such file"):
        unpack_weights(tmp_path / "absent.zip")
