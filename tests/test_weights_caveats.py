"""What a reader of the scores is told of the weights that training began with."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest

from holotype.core.errors import RecipeError
from holotype.pipeline.caveats import score_caveats
from holotype.pipeline.validate import validate_names
from holotype.recipe.load import parse_recipe


def recipe(folder: Path, **model: object):
    data = {"train": "t.csv", "id": "id", "labels": {"column": "label"}}
    return parse_recipe({"data": data, "models": [{"name": "m", "backbone": "test_resnet", **model}]}, folder)


@pytest.fixture(autouse=True)
def _nothing_is_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What happens to lie in this machine's cache decides no test."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_random_weights_that_nobody_asked_for_are_a_caveat(tmp_path):
    words = "m starts from random weights: no pretrained weights of test_resnet are installed"
    assert score_caveats(recipe(tmp_path)) == [words]
    assert score_caveats(recipe(tmp_path, weights="none")) == []
    assert score_caveats(recipe(tmp_path, backbone="efficientnet_lite0")) == []


def test_weights_that_may_have_seen_the_scored_rows_are_a_caveat(tmp_path):
    assert score_caveats(recipe(tmp_path, weights="w.safetensors")) == [
        "m: the first weights are of the file w.safetensors, which may have seen the scored rows; the value may "
        "be too high"
    ]


@pytest.mark.parametrize("device", ["cuda:999", "cpu:3", "cuda:x", "nothing", "cuda:-1"])
def test_a_device_that_is_not_here_is_refused_before_anything_is_read(tmp_path, device):
    given = recipe(tmp_path)
    given = given.model_copy(update={"run": given.run.model_copy(update={"device": device})})
    with pytest.raises(RecipeError, match=rf"run\.device: there is no device '{device}' here; .*allowed: auto"):
        validate_names(given)
