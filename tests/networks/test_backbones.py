"""The list of timm's networks is what timm itself says, and names are refused by it."""

from __future__ import annotations

import pytest
import timm

from holotype.core.errors import RecipeError
from holotype.networks import backbones as module
from holotype.networks import check_backbone

OTHER_TIMM = timm.__version__ != module._stored_list().version


@pytest.mark.skipif(OTHER_TIMM, reason="the list is of another version of timm, and is not used")
def test_the_list_is_what_timm_says():
    assert module._stored_list() == module.list_of_timm()


@pytest.fixture(params=["by the list", "by timm"])
def _source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    source = module._stored_list if request.param == "by the list" else module._list_of_loaded_timm
    monkeypatch.setattr(module, "_backbones", source)


@pytest.mark.usefixtures("_source")
def test_networks_are_known_with_and_without_the_tag_of_their_weights():
    for name in ("resnet18", "resnet18.a1_in1k", "test_vit", "tf_efficientnet_b0_ns"):  # the last by its earlier name
        check_backbone(name)
    with pytest.raises(RecipeError, match=r"no network 'resnet1OO'; the nearest are resnet1"):
        check_backbone("resnet1OO")
    with pytest.raises(RecipeError, match=r"no weights 'resnet18\.a9_in1k'.*a1_in1k"):
        check_backbone("resnet18.a9_in1k")
    assert module.hub_file("resnet18") == ("timm/resnet18.a1_in1k", "model.safetensors")
    assert module.hub_file("nonsense") is None


def test_a_network_that_a_plugin_registered_is_known(monkeypatch):
    from timm.models import _registry

    monkeypatch.setitem(_registry._model_entrypoints, "my_network", lambda **_: None)
    check_backbone("my_network")


def test_another_version_of_timm_is_asked_itself(monkeypatch):
    monkeypatch.delitem(module.sys.modules, "timm")
    assert module._backbones() is module._stored_list() or OTHER_TIMM
    monkeypatch.setattr(module, "version_of", lambda _: "0.0")
    assert module._backbones() is module._list_of_loaded_timm()
