"""Weights on this machine: what the cache, packages, folders and runs hold, without reading tensors."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub.constants
import pytest
from tests.networks.hub_cache import COMMIT, TIMM_NAME, TIMM_REPOSITORY, WEIGHTS, add_repository

from holotype.core.errors import InputError
from holotype.networks.installed_weights import find_model_files, list_installed_weights, split_name


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def listed(folders: tuple[Path, ...] = ()) -> dict[str, object]:
    return {entry.name: entry for entry in list_installed_weights(folders)[0] if "lite" not in entry.name}


def test_weights_of_timm_are_listed_by_the_name_that_a_recipe_takes(cache: Path) -> None:
    add_repository(cache, TIMM_REPOSITORY)
    entry = listed()[TIMM_NAME]
    assert entry.recipe == (f"backbone: {TIMM_NAME}",)
    assert (entry.architecture, entry.bytes, entry.license) == ("resnet18", len(WEIGHTS), "apache-2.0")
    assert entry.citation == "arXiv:2110.00476"


def test_a_repository_of_someone_is_listed_with_what_its_files_state(cache: Path) -> None:
    config = {"architecture": "test_vit", "pretrained_cfg": {"license": "cc-by-nc-4.0", "paper_ids": "arXiv:1"}}
    add_repository(cache, "lab/net", {"model.safetensors": WEIGHTS, "config.json": json.dumps(config)}, "v2")
    entry = listed()["hf-hub:lab/net@v2"]
    assert (entry.architecture, entry.license, entry.citation) == ("test_vit", "cc-by-nc-4.0", "arXiv:1")
    assert entry.recipe == ("backbone: hf-hub:lab/net@v2",)


def test_a_network_without_a_name_of_timm_is_one_that_the_recipe_must_name(cache: Path) -> None:
    add_repository(cache, "lab/clip", {"open_clip_model.safetensors": WEIGHTS, "open_clip_config.json": "{}"})
    entry = listed()["hf-hub:lab/clip"]
    assert entry.architecture is None
    assert entry.recipe == ("backbone: NAME  # of timm", "weights: hf-hub:lab/clip")


def test_models_that_are_no_use_here_are_named_apart(cache: Path) -> None:
    add_repository(cache, "lab/language-model", {"model.safetensors": WEIGHTS, "config.json": "{}"})
    add_repository(cache, "recursionpharma/OpenPhenom")
    add_repository(cache, "lab/empty", {})
    assert listed() == {}
    assert sorted(list_installed_weights()[1]) == [
        "hf-hub:lab/empty",
        "hf-hub:lab/language-model",
        "hf-hub:recursionpharma/OpenPhenom",
    ]


def test_runs_and_model_folders_are_listed_where_they_are_given(tmp_path: Path) -> None:
    for fold in (0, 1):
        folder = tmp_path / "runs" / "cells" / "models" / "net" / f"fold{fold}"
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(WEIGHTS)
        card = {"model": {"backbone": "resnet18"}, "weights_license": "mit", "weights_citation": "arXiv:2"}
        (folder / "card.json").write_text(json.dumps(card))
    model = tmp_path / "runs" / "vit"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"architecture": "test_vit"}))
    (model / "model.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "runs" / "torn" / "models" / "net" / "fold0").mkdir(parents=True)
    (tmp_path / "runs" / "torn" / "models" / "net" / "fold0" / "card.json").write_text("{")
    entries = listed((tmp_path / "runs",))
    run = entries[f"run:{tmp_path / 'runs' / 'cells'}#net"]
    assert (run.architecture, run.bytes, run.license, run.citation) == ("resnet18", 2 * len(WEIGHTS), "mit", "arXiv:2")
    assert entries[f"local-dir:{model}"].architecture == "test_vit"
    assert list_installed_weights([tmp_path / "runs"])[1] == [str(tmp_path / "runs" / "torn")]
    assert f"local-dir:{model}" in listed((model,))


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        list_installed_weights([tmp_path / "absent"])


def test_names_of_weights() -> None:
    assert split_name(TIMM_NAME) == (TIMM_REPOSITORY, "main", "model.safetensors")
    assert split_name("hf-hub:lab/net") == ("lab/net", "main", None)
    assert split_name("hf-hub:lab/net@v2") == ("lab/net", "v2", None)
    with pytest.raises(InputError, match="write hf-hub:OWNER/NAME"):
        split_name("lab/net")
    with pytest.raises(InputError, match="timm has no network"):
        split_name("resnet1000")


def test_the_files_of_a_model_are_its_weights_and_what_describes_them(cache: Path) -> None:
    names = ["config.json", "LICENSE", "README.md", "tokenizer.json", "vocab.json", "LICENSE.pdf", "train.py"]
    snapshot = add_repository(cache, "lab/net", {"model.safetensors": WEIGHTS, **dict.fromkeys(names, "{}")})
    files = find_model_files("hf-hub:lab/net")
    assert [path.name for path in files.files] == [
        "model.safetensors",
        "LICENSE",
        "LICENSE.pdf",
        "README.md",
        "config.json",
    ]
    assert (files.folder, files.folder.name, files.revision) == (snapshot, COMMIT, "main")


def test_a_model_that_is_not_here_is_an_error_with_the_command(cache: Path) -> None:
    with pytest.raises(InputError, match="holotype weights get hf-hub:lab/net"):
        find_model_files("hf-hub:lab/net")
    add_repository(cache, TIMM_REPOSITORY, {"README.md": ""})
    with pytest.raises(InputError, match="has no file"):
        find_model_files(TIMM_NAME)
