"""Messages that name the field, the value, what is allowed and the way out; registries that speak the same way."""

from __future__ import annotations

import pytest

import holotype.core.errors
from holotype.core.errors import (
    DataError,
    HolotypeError,
    InputError,
    RecipeError,
    StoreError,
    TrainingError,
    UnsupportedError,
    byte_size,
    did_you_mean,
    first_line,
    join_names,
    pluralize,
    truncate,
)
from holotype.core.registry import Registry


def test_a_message_is_one_sentence_of_field_fault_suggestion_choices_and_remedy():
    error = DataError("no such thing", field="data.id", value="lable", allowed=("id", "label"), remedy="write one")
    assert str(error) == "data.id: no such thing; did you mean 'label'?; allowed: id, label; write one."
    assert (error.what, error.field, error.value, error.allowed) == (
        "no such thing",
        "data.id",
        "lable",
        ("id", "label"),
    )
    assert str(HolotypeError("it failed")) == "it failed."
    assert str(RecipeError("wrong", value=3, allowed=[1, 2])) == "wrong; allowed: 1, 2."


@pytest.mark.parametrize(
    ("kind", "status"),
    [(HolotypeError, 1), (TrainingError, 1), (StoreError, 1)]
    + [(kind, 2) for kind in (InputError, RecipeError, UnsupportedError, DataError)],
)
def test_the_exit_status_tells_failed_work_from_wrong_input(kind, status):
    assert kind("x").exit_status == status
    assert issubclass(kind, HolotypeError)


def test_every_error_of_ours_descends_from_one():
    errors = [getattr(holotype.core.errors, name) for name in dir(holotype.core.errors) if name.endswith("Error")]
    assert all(issubclass(error, HolotypeError) for error in errors)


@pytest.mark.parametrize(
    ("value", "meant"),
    [("resnet81", "resnet18"), ("RESNET18", "resnet18"), ("Plate", "plate"), ("zebra", None), ("", None)],
)
def test_the_nearest_choice_is_suggested_whatever_its_case(value, meant):
    assert did_you_mean(value, ["resnet18", "efficientnet_b0", "plate"]) == (
        f"did you mean {meant!r}?" if meant else ""
    )
    assert did_you_mean(value, []) == ""


def test_a_long_list_stays_short():
    assert join_names(range(3)) == "0, 1, 2"
    assert join_names(range(2000), 2) == "0, 1 and 1,998 more"
    assert join_names([]) == ""


def test_a_registry_takes_dashes_for_underscores_and_suggests_the_nearest_name():
    registry = Registry("schedule")

    @registry.register
    def one_cycle() -> int:
        return 1

    assert registry["one-cycle"]() == registry["one_cycle"]() == 1
    assert ("one-cycle" in registry, "two" in registry, 3 in registry) == (True, False, False)
    assert (list(registry), len(registry)) == (["one_cycle"], 1)
    with pytest.raises(RecipeError, match=r"no schedule is named 'one-cylce'; did you mean 'one_cycle'\?"):
        registry["one-cylce"]


def test_two_functions_of_one_name_are_a_mistake_of_ours():
    registry = Registry("loss")

    def bce() -> None: ...

    registry.register(bce)
    with pytest.raises(ValueError, match="the loss 'bce' exists already"):
        registry.register(bce)


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [(0, "row", "0 rows"), (1, "row", "1 row"), (2_000, "row", "2,000 rows"), (2, "class", "2 classes")],
)
def test_a_number_agrees_with_its_noun(count, noun, words):
    assert pluralize(count, noun) == words


def test_a_message_stays_short_whatever_it_echoes():
    long = "x" * 1_000_000
    error = DataError(f"{long} is no column", field=long, value=long, allowed=[long, "b"], remedy=f"rename {long}")
    assert len(str(error)) < 2500
    assert "is no column" in str(error)
    assert "characters more" in str(error)
    assert len(join_names([long] * 12)) < 2000


def test_a_number_that_python_does_not_write_is_named_all_the_same():
    assert truncate(10**5000) == "a number of more than 4,300 digits"
    assert str(DataError("too large", value=10**5000, allowed=[1])) == "too large; allowed: 1."


@pytest.mark.parametrize(
    "advice",
    [
        "Object arrays cannot be loaded when allow_pickle=False",
        "Cannot load file containing pickled data when allow_pickle=False",
        "missing object_codec for object array",
        "Weights only load failed. Re-running `torch.load` with `weights_only` set to `False` will likely succeed",
    ],
)
def test_advice_to_switch_pickles_on_is_not_repeated(advice):
    message = str(DataError(f"x.npy cannot be read: {advice}", remedy="leave it out"))
    assert message == "x.npy cannot be read: it holds Python objects, which are never loaded; leave it out."
    assert first_line(ValueError(advice)) == "it holds Python objects, which are never loaded"


def test_of_a_library_s_error_its_first_line_is_told_or_its_type():
    assert first_line(ValueError("\n  no such thing.\n\nMore of it.")) == "no such thing"
    assert first_line(EOFError()) == "EOFError"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (3_450_000, "3.5 MB"),
        (12_300_000, "12 MB"),
        (1_500_000_000, "1.5 GB"),
        (2_000_000_000_000_000, "2,000 TB"),
    ],
)
def test_a_size_is_told_in_the_unit_that_suits_it(count, text):
    assert byte_size(count) == text


def test_a_function_is_registered_under_a_name_that_would_shadow_a_builtin() -> None:
    registry = Registry("metric")

    @registry.register(name="map")
    def mean_average_precision() -> str:
        return "found"

    assert (list(registry), registry["map"](), mean_average_precision()) == (["map"], "found", "found")
    with pytest.raises(ValueError, match="the metric 'map' exists already"):
        registry.register(name="map")(mean_average_precision)
