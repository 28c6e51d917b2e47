"""The command `weights`: what it prints of a drawn Hugging Face cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
from tests.networks.hub_cache import TIMM_NAME, TIMM_REPOSITORY, WEIGHTS, add_repository

from holotype.cli.check import license_notes
from holotype.cli.main import main
from holotype.cli.output import CommandResult, OutputOptions, print_result
from holotype.cli.weights import list_weights
from holotype.recipe.load import Recipe

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "hub"


def answer(capsys: Captured, *words: str, status: int = 0) -> str:
    assert main(["weights", *words]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def answer_json(capsys: Captured, *words: str) -> dict[str, Any]:
    content = json.loads(answer(capsys, *words, "--json"))
    assert isinstance(content, dict)
    return content


def test_the_list_tells_what_is_here_and_what_is_published(cache: Path, capsys: Captured) -> None:
    add_repository(cache, TIMM_REPOSITORY)
    add_repository(cache, "lab/language-model", {"model.safetensors": WEIGHTS})
    printed = answer(capsys, "list")
    assert f"{TIMM_NAME}  resnet18  {len(WEIGHTS)} bytes  apache-2.0  arXiv:2110.00476" in printed
    assert "Not listed: 1 model that Holotype cannot use (hf-hub:lab/language-model)" in printed
    assert "blood  DinoBloom-S  hf-hub:1aurent/vit_small_patch14_224.dinobloom  apache-2.0" in printed
    assert "cc-by-nc-nd-4.0 (not commercial)  asks for consent, file not tried" in printed


def test_the_list_of_one_network(cache: Path, capsys: Captured) -> None:
    add_repository(cache, TIMM_REPOSITORY)
    add_repository(cache, "timm/vit_small_patch16_dinov3.lvd1689m")
    content = answer_json(capsys, "list", "--backbone", "vit_small_patch16_dinov3")
    assert [entry["name"] for entry in content["installed"]] == ["vit_small_patch16_dinov3.lvd1689m"]
    assert [entry["name"] for entry in content["catalog"]] == ["DINOv3-S"]
    assert "DINOv3-S  hf-hub:timm/vit_small_patch16_dinov3.lvd1689m  dinov3-license  here" in answer(
        capsys, "list", "--backbone", "vit_small_patch16_dinov3.lvd1689m"
    )
    printed = answer(capsys, "list", "--backbone", "resnet34")
    assert printed.splitlines() == [
        "No weights on this machine.",
        "No published weights of this network in the catalog.",
    ]


def test_the_list_for_programs_has_recipes_sources_and_what_licenses_forbid(cache: Path, capsys: Captured) -> None:
    add_repository(cache, TIMM_REPOSITORY)
    content = answer_json(capsys, "list")
    installed = {entry["name"]: entry for entry in content["installed"]}
    assert installed[TIMM_NAME]["recipe"] == [f"backbone: {TIMM_NAME}"]
    assert installed[TIMM_NAME]["forbids_commercial_use"] is False
    catalog = {entry["name"]: entry for entry in content["catalog"]}
    assert catalog["UNI"]["forbids_commercial_use"] is True
    assert catalog["UNI"]["recipe"][1] == "  backbone: hf-hub:MahmoodLab/UNI"
    assert catalog["UNI"]["source"].startswith("https://")


def test_runs_beside_the_list_are_part_of_it(tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "runs" / "cells" / "models" / "net" / "fold0"
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(WEIGHTS)
    (folder / "card.json").write_text(json.dumps({"model": {"backbone": "resnet18"}}))
    assert f"run:{Path('runs/cells')}#net  resnet18" in answer(capsys, "list")


def test_the_list_is_drawn_on_a_terminal(cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr("holotype.cli.output.is_interactive", lambda _: True)
    monkeypatch.setenv("COLUMNS", "160")
    add_repository(cache, TIMM_REPOSITORY)
    result = list_weights([], None)
    assert isinstance(result, CommandResult)
    print_result(result, OutputOptions())
    printed = capsys.readouterr().out
    assert "On this machine" in printed
    assert TIMM_NAME in printed


def test_weights_are_packed_and_unpacked(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    license_text = json.dumps({"architecture": "test_vit", "license": "cc-by-nc-4.0"})
    add_repository(cache, "lab/net", {"model.safetensors": WEIGHTS, "config.json": license_text, "LICENSE": "terms"})
    add_repository(cache, "lab/other")
    assert main(["weights", "pack", "hf-hub:lab/net", "hf-hub:lab/other", "--out", "w.zip"]) == 0
    printed = capsys.readouterr()
    assert "hf-hub:lab/net: 3 files, cc-by-nc-4.0" in printed.out
    assert "on the other machine: holotype weights get w.zip" in printed.out
    assert "the license of hf-hub:lab/net (cc-by-nc-4.0) forbids commercial use; it may also forbid" in printed.err
    assert "the license of hf-hub:lab/other is unknown; find out before you pass the file on" in printed.err
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "second"))
    printed_text = answer(capsys, "get", "w.zip")
    assert "hf-hub:lab/net: unpacked" in printed_text
    assert "recipe:  backbone: hf-hub:lab/net" in printed_text
    assert "note: the license of these weights (cc-by-nc-4.0) forbids commercial use" in printed_text
    content = answer_json(capsys, "get", "w.zip", "--to", "models")
    assert [Path(entry["folder"]) for entry in content["weights"]] == [
        Path("models/lab--net"),
        Path("models/lab--other"),
    ]


def test_weights_in_the_cache_are_copied_without_a_network(cache: Path, capsys: Captured) -> None:
    add_repository(cache, TIMM_REPOSITORY)
    assert f"{TIMM_NAME}: in the cache already" in answer(capsys, "get", TIMM_NAME)
    printed = answer(capsys, "get", TIMM_NAME, "--to", "models")
    folder = Path("models") / TIMM_REPOSITORY.replace("/", "--")
    assert f"local-dir:{folder}: copied" in printed
    assert (folder / "origin.json").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("got",), "unknown action"),
        (("get",), "`weights get` needs the name of a model"),
        (("pack", "resnet18"), "name the file to write"),
        (("pack", "resnet18", "--out", "w.tar"), "ends in .zip"),
        (("pack", "resnet18", "--out", "w.zip"), "holotype weights get resnet18"),
        (("list", "absent"), "there is no folder 'absent'"),
        (("get", "absent.zip"), "there is no such file"),
    ],
)
def test_a_wrong_call_says_what_to_do(capsys: Captured, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in answer(capsys, *words, status=2)


def test_a_check_notes_weights_that_forbid_commercial_use(cache: Path) -> None:
    config = json.dumps({"architecture": "test_vit", "license": "cc-by-nc-4.0"})
    add_repository(cache, "lab/net", {"model.safetensors": WEIGHTS, "config.json": config})
    models = [{"name": "a", "backbone": "hf-hub:lab/net"}, {"name": "b", "backbone": "resnet18", "weights": "none"}]
    recipe = Recipe.model_validate({"data": {"train": "train.csv"}, "models": models})
    assert license_notes(recipe) == ["a: the license of the weights (cc-by-nc-4.0) forbids commercial use"]
