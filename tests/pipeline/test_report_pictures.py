"""What the report shows as pictures, on the whole road: whom the networks never saw, and what a change costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.api import run
from holotype.cache import RunLog, Steps, Store
from holotype.core.errors import RecipeError
from holotype.core.progress import Progress
from holotype.pipeline.models import TrainingContext
from holotype.pipeline.report_pictures import pictures_of
from holotype.pipeline.run import run_steps
from holotype.pipeline.run_result import RunResult
from holotype.pipeline.runtime import make_runtime
from holotype.recipe.load import Recipe, load_recipe
from holotype.recipe.sections import ReportSpec
from holotype.report import PictureData
from holotype.split import duplicate_components

WriteRecipe = Callable[..., Path]
MODEL: dict[str, Any] = {
    "name": "main",
    "backbone": "test_resnet",
    "weights": "none",
    "input": {"size": 64},
    "phases": [{"epochs": 1, "lr": 0.002}],
}
Seen = tuple[RunResult, Steps, Recipe]


def opened(path: Path) -> Seen:
    """What a recipe comes to; all of it from the store where it ran before."""
    recipe = load_recipe(path)
    runtime = make_runtime(recipe, path.parent, progress=Progress(quiet=True))
    steps = Steps(Store(runtime.store), RunLog(path.parent / "test-log.jsonl"), runtime.progress)
    return run_steps(recipe, steps, runtime), steps, recipe


def shown(seen: Seen, **wishes: Any) -> PictureData:
    outcome, steps, recipe = seen
    runtime = make_runtime(recipe, steps.store.root.parent, progress=Progress(quiet=True))
    workshop = TrainingContext(outcome.prepared, recipe.seed, steps, runtime)
    assert outcome.nested is not None
    return pictures_of(outcome, outcome.nested, ReportSpec(**wishes), recipe.models, workshop)


@pytest.fixture(scope="module")
def ran(write_recipe: WriteRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of a run with heat maps; its store lies beside it."""
    path = write_recipe(tmp_path_factory.mktemp("pictures"), models=[MODEL], report={"attributions": 3})
    run(path)
    return path


@pytest.fixture(scope="module")
def seen(ran: Path) -> Seen:
    return opened(ran)


@pytest.mark.parametrize(
    ("change", "made"),
    [
        ("report.attributions=3", set()),
        ("report.channels=2", set()),
        ("report.map=10", {"map main 0"}),
        ("report.map=0", set()),
        ("report.attributions=1", {"heat main 0", "heat main 1", "heat main 2"}),
    ],
)
def test_a_change_of_the_report_trains_and_predicts_nothing(
    ran: Path, tmp_path: Path, change: str, made: set[str], steps_of: Callable[[Path], dict[str, str]]
) -> None:
    folder = run(ran, tmp_path, (change,)).folder.root
    again = {step for step, state in steps_of(folder).items() if state != "reused"}
    assert again <= made
    assert made <= again | {"heat main 0", "heat main 1", "heat main 2"}


def test_the_map_holds_what_its_network_was_not_trained_on(seen: Seen) -> None:
    outcome = seen[0]
    drawn = shown(seen).map
    assert drawn is not None
    fold = dict(outcome.prepared.folds.frame.select(pl.col("sample").cast(str), "fold").iter_rows())
    role = dict(outcome.prepared.images.samples.frame.select(pl.col("sample").cast(str), "role").iter_rows())
    assert {(role[name], fold[name]) for name in drawn.ids} == {("train", 0), ("test", None)}
    assert (
        len(drawn.ids)
        == len(set(drawn.ids))
        == sum((role[name], fold[name]) in {("train", 0), ("test", None)} for name in role)
    )
    assert drawn.test.tolist() == [role[name] == "test" for name in drawn.ids]
    assert drawn.left_out == 0
    assert outcome.nested is not None
    place = {int(sample): number for number, sample in enumerate(outcome.nested.samples)}
    names = outcome.prepared.images.samples.frame["sample"].cast(str).to_list()
    for name, wrong in zip(drawn.ids, drawn.wrong, strict=True):
        number = place.get(names.index(name))
        expected = number is not None and (outcome.nested.truth[number] != outcome.nested.decided[number]).any()
        assert wrong == expected


def test_a_small_map_keeps_room_for_both_and_is_the_same_again(seen: Seen) -> None:
    first, again = shown(seen, map=12).map, shown(seen, map=12).map
    assert first is not None
    assert again is not None
    assert len(first.ids) == 12
    assert 0 < first.test.sum() < 12
    assert first.left_out > 0
    assert first.ids == again.ids
    assert first.positions.tobytes() == again.positions.tobytes()


def test_the_nearest_are_labelled_others_and_no_duplicates(seen: Seen) -> None:
    outcome, pictures = seen[0], shown(seen)
    images = outcome.prepared.images
    ties = duplicate_components(images, outcome.prepared.audit)
    number = {str(name): place for place, name in enumerate(images.samples.frame["sample"].to_list())}
    sample = dict(images.frame.select(pl.col("id").cast(str), pl.col("sample").cast(str)).iter_rows())
    assert pictures.nearest_images
    assert "on which no network was trained" in pictures.nearest_source
    for name, near in pictures.nearest_images.items():
        assert 0 < len(near) <= 3
        assert [one.similarity for one in near] == sorted((one.similarity for one in near), reverse=True)
        for one in near:
            assert one.labels
            assert ties[number[sample[one.id]]] != ties[number[name]]


def test_a_model_that_knows_neighbours_names_them(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    path = write_recipe(tmp_path, models=[MODEL | {"neighbors": {"k": 4}}], split={"folds": 3, "folds_to_train": [1]})
    folder = run(path).folder.root
    pictures = shown(opened(path), map=0)
    table = {row["id"]: row for row in pl.read_parquet(folder / "models/main.neighbors/nearest.parquet").to_dicts()}
    assert pictures.map is None
    assert "the training images of the networks" in pictures.nearest_source
    assert pictures.nearest_images
    for name, near in pictures.nearest_images.items():
        assert [one.id for one in near] == table[name]["nearest"][:3]  # one image a sample: its id is the sample's


def test_heat_maps_are_of_mistakes_and_then_of_other_specimens(seen: Seen) -> None:
    explained = shown(seen, attributions=3).explained
    assert [one.wrong for one in explained][:3] == [True] * 3
    assert len({one.id for one in explained}) == len(explained) > 3
    fold = dict(seen[0].prepared.folds.frame.select("sample", "fold").iter_rows())
    for one in explained:
        assert one.network == f"main, fold {fold[one.id]}"
        assert [heat.map.shape for heat in one.heats] == [one.pixels.shape[1:]] * len(one.heats)
        assert {heat.role for heat in one.heats} <= {"decided", "true", "decided and true"}
    assert any(heat.map.max() > 0.9 for one in explained for heat in one.heats)
    assert shown(seen).explained == ()


def test_a_backbone_that_ends_without_places_is_told_of_in_the_report(
    write_recipe: WriteRecipe, tmp_path: Path
) -> None:
    small = MODEL | {"input": {"size": 32}}
    path = write_recipe(tmp_path, models=[small], split={"folds": 3, "folds_to_train": [0]}, report={"attributions": 2})
    page = (run(path).folder.root / "report.html").read_text(encoding="utf-8")
    assert "No heat map can be computed: the backbone ends in a single position" in page


def test_the_channels_shown_are_of_common_classes_or_of_chosen_samples(seen: Seen, ran: Path, tmp_path: Path) -> None:
    assert len(shown(seen, channels=2).views) == 2
    assert shown(seen, channels=0).views == ()
    chosen = shown(seen, channels=["test-00003", "train-00001"]).views
    assert [(one.id, bool(one.labels)) for one in chosen] == [("test-00003", False), ("train-00001", True)]
    assert chosen[0].pixels.shape[0] == 4
    with pytest.raises(RecipeError, match=r"report\.channels: there is no sample 'nobody'"):
        run(ran, tmp_path, ("report.channels=[nobody]",))


def test_photographs_stay_photographs(seen: Seen) -> None:
    outcome, *rest = seen
    unnamed = replace(outcome.prepared.images, channels=None)
    plain = replace(outcome, prepared=replace(outcome.prepared, images=unnamed))
    assert shown((plain, *rest)).views == ()  # type: ignore[arg-type]


def test_the_first_layer_is_the_first_networks(seen: Seen) -> None:
    layer = shown(seen).filters
    assert layer is not None
    assert layer.channels == ("microtubules", "nucleus", "reticulum", "protein")
    assert layer.kernels.shape[1] == 4
    assert layer.start is None  # it began from random weights


def test_the_least_certain_come_first(seen: Seen) -> None:
    uncertain = shown(seen).uncertain
    assert len(uncertain) == 24
    far = [abs(np.log(p / (1 - p)) - np.log(t / (1 - t))) for one in uncertain for _, p, t in one.options]  # type: ignore[operator]
    assert far == sorted(far)


@pytest.mark.slow
def test_a_trained_network_finds_what_speaks_for_a_class_on_the_cells(tmp_path: Path) -> None:
    import json

    import torch

    from holotype.networks import open_checkpoint
    from holotype.prediction import grad_cam, infer
    from holotype.recipe.sections import PredictSpec
    from holotype.runs.fitted_run import open_run
    from holotype.runs.new_dataset import dataset_for, measure_new_images
    from holotype.simulate.cells import SimulationPlan, simulate_cells

    plan = SimulationPlan(train=240, test=4, size=96, plates=6, wrong_labels=0, duplicates=0, multilabel=False)
    screen = simulate_cells(tmp_path / "screen", plan).folder
    model = MODEL | {"input": {"size": 96}, "phases": [{"epochs": 12, "lr": 0.003}]}
    channels = ["microtubules", "nucleus", "reticulum", "protein"]
    data = {
        "train": str(screen / "train.csv"),
        "images": f"{screen}/images/{{id}}_{{channel}}.png",
        "channels": channels,
        "labels": {"column": "labels"},
        "groups": ["plate"],
    }
    recipe = {
        "name": "cells",
        "run": {"threads": 1, "device": "cpu"},
        "data": data,
        "split": {"folds": 3, "folds_to_train": [0]},
        "models": [model],
        "report": {"map": 0},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    opened_run = open_run(run(tmp_path / "recipe.yaml").folder.root)
    new = measure_new_images(
        opened_run.read_images(sorted((screen / "images").glob("train-000[0-5]?_*.png"))),
        opened_run.runtime,
        opened_run.training_ranges,
    )
    network = open_checkpoint(opened_run.folder.checkpoints("main")[0])
    seen, rows, device = dataset_for(network.card, new), np.arange(60), torch.device("cpu")
    said = infer(network, seen, rows, PredictSpec(tta="none"), opened_run.runtime, device)[0].logits
    heat = grad_cam(network, seen, rows, np.asarray(said).argmax(axis=1), opened_run.runtime, device)
    light = seen.pixel_cache.pixels[rows].max(axis=1)
    cells = light > np.quantile(light, 0.6, axis=(1, 2), keepdims=True)
    empty = light < np.quantile(light, 0.2, axis=(1, 2), keepdims=True)
    on, off = (np.array([own[there].mean() for own, there in zip(heat, mask, strict=True)]) for mask in (cells, empty))
    assert on.mean() > off.mean() + 0.05
    assert (on > off).mean() > 0.7


def test_a_file_that_cannot_be_read_is_named_with_the_reason_and_never_drawn(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path
) -> None:
    import shutil

    place = shutil.copytree(screen, tmp_path / "screen")
    (place / "images" / "train-00007_nucleus.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    path = write_recipe(
        tmp_path,
        models=[MODEL],
        split={"folds": 3, "folds_to_train": [0]},
        audit={"on_unreadable": "skip"},
        data={"train": str(place / "train.csv"), "images": f"{place}/images/{{id}}_{{channel}}.png"},
        report={"channels": ["train-00007", "train-00008"]},
    )
    page = (run(path).folder.root / "report.html").read_text(encoding="utf-8")
    odd = page.partition('id="image-problems"')[2].partition("</section>")[0]
    assert "train-00007" in odd
    assert "unreadable" in odd
    assert "train-00007_nucleus.png" in odd
    assert [one.id for one in shown(opened(path), channels=["train-00007", "train-00008"]).views] == ["train-00008"]
