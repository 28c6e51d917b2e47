"""A run that starts from a model folder: trained, repeated, moved without the folder, exported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch

from holotype.api import run
from holotype.networks import load_network, open_checkpoint
from holotype.runs.export.export_run import ExportOptions, export_run
from holotype.runs.fitted_run import open_run

WriteRecipe = Callable[..., Path]
README = "---\nlicense: cc-by-nc-4.0\ntags: [microscopy]\n---\n# A model\n"


def a_model(folder: Path, seed: int = 0) -> Path:
    """A model folder of a small vision transformer on one channel, in a checkpoint of its training."""
    torch.manual_seed(seed)
    network = timm.create_model("test_vit", in_chans=1, depth=2)
    state = {f"module.backbone.{name}": value for name, value in network.state_dict().items()}
    folder.mkdir(exist_ok=True)
    torch.save({"teacher": state, "epoch": 3}, folder / "pytorch_model.bin")
    pretrained = {"mean": [0.5], "std": [0.25], "paper_ids": "arXiv:2404.05022"}
    config = {"architecture": "test_vit", "model_args": {"depth": 2}, "pretrained_cfg": pretrained}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "README.md").write_text(README)
    return folder


def write(write_recipe: WriteRecipe, folder: Path) -> Path:
    section = {"size": 32, "channels_as": "separate", "normalize": "weights"}
    model = {"name": "main", "backbone": "local-dir:model", "input": section, "phases": [{"epochs": 1}]}
    return write_recipe(folder, models=[model], split={"folds": 2}, decision={"kind": "threshold"})


@pytest.mark.parametrize("change", ["weights", "config"])
def test_a_changed_model_folder_trains_again(
    write_recipe: WriteRecipe, steps_of: Callable[[Path], dict[str, str]], tmp_path: Path, change: str
) -> None:
    a_model(tmp_path / "model")
    recipe = write(write_recipe, tmp_path)
    folder = run(recipe).folder.root
    run(recipe)
    assert steps_of(folder)["fit main 0"] == "reused"
    if change == "weights":
        a_model(tmp_path / "model", seed=1)
    else:
        path = tmp_path / "model" / "config.json"
        path.write_text(path.read_text().replace("0.25", "0.5"))
    run(recipe)
    assert steps_of(folder)["fit main 0"] == "made"


def test_a_run_needs_its_model_folder_no_longer(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    a_model(tmp_path / "model")
    folder = run(write(write_recipe, tmp_path)).folder.root
    shutil.rmtree(tmp_path / "model")
    checkpoint = open_checkpoint(folder / "models" / "main" / "fold0")
    facts = {name: checkpoint.card[f"weights_{name}"] for name in ("license", "citation", "loading")}
    assert facts == {
        "license": "cc-by-nc-4.0",
        "citation": "arXiv:2404.05022",
        "loading": "30 tensors loaded from `teacher`, names without `module.backbone.`; 2 left out (head.weight, "
        "head.bias)",
    }
    assert checkpoint.card["weights"] == "the model local-dir:model"
    assert checkpoint.card["model"]["backbone"] == "test_vit"
    assert checkpoint.card["normalization"] == {"mean": [127.5] * 4, "deviation": [63.75] * 4}
    assert str(tmp_path) not in json.dumps(checkpoint.card)
    network = load_network(checkpoint)
    assert network.head.width == 4 * network.width
    fitted = open_run(folder)
    exported = export_run(fitted, tmp_path / "graph", ExportOptions())
    assert exported.card["check"]["largest_difference"] < 1e-4
