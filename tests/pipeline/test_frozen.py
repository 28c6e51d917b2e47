"""Models with a classifier on the features of a frozen backbone: runs, their cache, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import timm
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import holotype
from holotype import prediction
from holotype.classifiers import LinearClassifier, fit_classifier
from holotype.core.errors import InputError, RecipeError
from holotype.core.progress import Progress
from holotype.networks import build_network
from holotype.networks.build import build_architecture
from holotype.recipe.load import load_recipe
from holotype.recipe.sections import ModelSpec
from holotype.recipe.sections.classifier import LogisticClassifierSpec
from holotype.runs.export.export_run import ExportOptions, export_run
from holotype.runs.model_predictors import predict_models
from holotype.runs.new_dataset import measure_new_images
from holotype.training.frozen import make_last_layer
from holotype.tuning.tune import TuneOptions, run_trials

StepsOf = Callable[[Path], dict[str, str]]
CLASSES = ("dark", "stripes", "waves")
KINDS = {
    "logistic": {"kind": "logistic", "c": 0.05},
    "ridge": {"kind": "ridge"},
    "knn": {"kind": "knn", "k": 5},
    "lightgbm": {"kind": "lightgbm", "rounds": 5, "leaves": 4},
}


def draw_image(folder: Path, number: int) -> dict[str, Any]:
    """An image whose class and second label show, and its row of the table."""
    generator = np.random.default_rng(number)
    label, is_bright = CLASSES[number % 3], number % 4 < 2
    row, column = np.mgrid[:24, :24]
    pattern = {"dark": 0 * row, "stripes": 90 * (row // 3 % 2), "waves": 45 * (1 + np.sin(column / 1.5))}[label]
    pixels = pattern + 70 * is_bright + generator.normal(30, 12, (24, 24))
    (folder / "images").mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"i{number}.png")
    labels = f"{label} bright" if is_bright else label
    return {"id": f"i{number}", "label": label, "labels": labels, "plate": f"p{number % 7}"}


def draw_table(folder: Path, name: str, numbers: range) -> None:
    """A table of drawn images."""
    pl.DataFrame([draw_image(folder, number) for number in numbers]).write_csv(folder / name)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 42 training and 9 test images; nobody changes it."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_table(folder, "train.csv", range(42))
    draw_table(folder, "test.csv", range(100, 109))
    return folder


def frozen(name: str = "main", classifier: Any = "ridge", **section: Any) -> dict[str, Any]:
    return {
        "name": name,
        "backbone": "test_efficientnet",
        "weights": "none",
        "input": {"size": 24},
        "classifier": classifier,
        **section,
    }


def recipe_of(folder: Path, *models: dict[str, Any], kind: str = "multiclass", **sections: Any) -> dict[str, Any]:
    labels = {"column": "labels" if kind == "multilabel" else "label", "kind": kind}
    return {
        "name": "drawn",
        "run": {"threads": 1, "workers": 0, "batch": 16, "device": "cpu"},
        "data": {
            "train": str(folder / "train.csv"),
            "test": str(folder / "test.csv"),
            "images": f"{folder}/images/{{id}}.png",
            "labels": labels,
            "groups": ["plate"],
        },
        "split": {"folds": 3},
        "report": {"map": 0},
        "models": list(models) or [frozen()],
        **sections,
    }


def write(place: Path, recipe: dict[str, Any]) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    (place / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return place / "recipe.yaml"


def read_scores(path: Path) -> dict[str, list[float]]:
    """Logits by image, from the table of a run."""
    return dict(pl.read_parquet(path).select("id", "scores").iter_rows())


def stored_features(store: Path, run: Path) -> dict[str, np.ndarray]:
    """Features of each image by its id, from the files of the cache."""
    (folder,) = (store / "features").iterdir()
    keys, values = (np.load(folder / name) for name in ("keys.npy", "features.npy"))
    by_digest = dict(zip(keys.tolist(), values[:, 0], strict=True))
    table = pl.read_parquet(run / "audit" / "statistics.parquet").select("id", "digest")
    return {str(name): by_digest[digest] for name, digest in table.iter_rows()}


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_an_opened_run_predicts_what_the_run_has_predicted(drawn: Path, tmp_path: Path, kind: str) -> None:
    """Every kind of classifier, two of them with flips, and their mean."""
    views = {"logistic": "flips", "ridge": "none", "knn": "flips", "lightgbm": "none"}
    models = [frozen(name, classifier, predict={"tta": views[name]}) for name, classifier in KINDS.items()]
    opened = holotype.run(write(tmp_path, recipe_of(drawn, *models, kind=kind, ensemble={"kind": "mean"})))
    run, table = opened.folder.root, opened.read_images(drawn / "test.csv")
    ids = table.samples.frame["id"].to_list()
    new = measure_new_images(table, opened.runtime, opened.training_ranges)
    predicted, _ = predict_models(opened.models, new)
    parts = {name: scores.logits for name, scores in zip(KINDS, predicted, strict=True)} | {"": opened.logits(table)}
    for name, logits in parts.items():
        expected = read_scores(run / (f"models/{name}/test.parquet" if name else "test.parquet"))
        assert np.allclose(logits, [expected[image] for image in ids], rtol=1e-6, atol=1e-4), name
    if kind == "multiclass":
        labels = dict(pl.read_csv(drawn / "train.csv").select("id", "label").iter_rows())
        names = pl.read_csv(run / "classes.csv").to_series(0).to_list()
        for name in KINDS:
            oof = read_scores(run / "models" / name / "oof.parquet")
            right = [names[int(np.argmax(scores))] == labels[image] for image, scores in oof.items()]
            assert np.mean(right) > 0.6, name


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_out_of_fold_scores_are_those_of_a_classifier_fitted_on_the_other_folds(
    drawn: Path, tmp_path: Path, kind: str
) -> None:
    model = frozen(classifier=KINDS["logistic"])
    run = holotype.run(write(tmp_path, recipe_of(drawn, model, kind=kind))).folder.root
    features = stored_features(tmp_path / ".holotype", run)
    folds = dict(pl.read_parquet(run / "folds.parquet").select("sample", "fold").iter_rows())
    labels = {row["id"]: row for row in pl.read_csv(drawn / "train.csv").to_dicts()}
    oof = read_scores(run / "oof.parquet")
    names = pl.read_csv(run / "classes.csv").to_series(0).to_list()
    for fold in range(3):
        train = [name for name, value in folds.items() if value not in {fold, None} and name in labels]
        held_out = [name for name, value in folds.items() if value == fold]
        scores = np.array([oof[name] for name in held_out])
        x, queries = (np.array([features[name] for name in part]) for part in (train, held_out))
        if kind == "multiclass":
            oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, tol=1e-8, max_iter=5000))
            oracle.fit(x, [labels[name]["label"] for name in train])
            odds = np.exp(scores - scores.max(axis=1, keepdims=True))
            assert list(oracle.classes_) == sorted(names)
            order = [names.index(name) for name in oracle.classes_]
            difference = odds[:, order] / odds.sum(axis=1, keepdims=True) - oracle.predict_proba(queries)
            assert np.abs(difference).max() < 1e-3
            continue
        for column, name in enumerate(names):
            oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, tol=1e-8, max_iter=5000))
            oracle.fit(x, [name in labels[image]["labels"].split() for image in train])
            difference = 1 / (1 + np.exp(-scores[:, column])) - oracle.predict_proba(queries)[:, 1]
            assert np.abs(difference).max() < 1e-3, name


def count_embedded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of images that backbones embed from now on, one per call."""
    counts: list[int] = []
    embed_views = prediction.embed_views

    def count(model: Any, views: Any, dataset: Any, rows: Any, *more: Any) -> Any:
        counts.append(len(rows))
        return embed_views(model, views, dataset, rows, *more)

    monkeypatch.setattr(prediction, "embed_views", count)
    return counts


def test_features_are_computed_once(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_of: StepsOf
) -> None:
    """Two models share them, and a change of the classifier computes none again."""
    embedded = count_embedded(monkeypatch)
    recipe = recipe_of(drawn, frozen("near", "knn"), frozen("ridge", {"kind": "ridge", "c": 0.1}))
    before = holotype.run(write(tmp_path, recipe)).folder.root
    assert embedded == [51]
    scores = (before / "oof.parquet").read_bytes()
    changed = recipe_of(drawn, frozen("near", "knn"), frozen("ridge", {"kind": "ridge", "c": 10.0}))
    run = holotype.run(write(tmp_path, changed)).folder.root
    assert embedded == [51]
    states = steps_of(run)
    assert {name: states[name] for name in ("features ridge", "fit near 0", "fit ridge 0", "predict ridge 0")} == {
        "features ridge": "reused",
        "fit near 0": "reused",
        "fit ridge 0": "made",
        "predict ridge 0": "made",
    }
    assert (run / "oof.parquet").read_bytes() != scores


def test_new_images_alone_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of earlier images are taken over, unless their file is damaged."""
    folder = tmp_path / "data"
    draw_table(folder, "train.csv", range(42))
    draw_table(folder, "test.csv", range(100, 109))
    embedded = count_embedded(monkeypatch)
    by_image = {"input": {"size": 24, "normalize": "image"}}
    holotype.run(write(tmp_path, recipe_of(folder, frozen(**by_image))))
    draw_table(folder, "test.csv", range(100, 114))
    run = holotype.run(write(tmp_path, recipe_of(folder, frozen(**by_image)))).folder.root
    assert embedded == [51, 5]
    shutil.copytree(run, tmp_path / "grown")
    features = sorted((tmp_path / ".holotype" / "features").iterdir())
    assert len(features) == 2
    for damaged in features:
        path = damaged / "features.npy"
        path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    draw_table(folder, "test.csv", range(100, 113))
    run = holotype.run(write(tmp_path, recipe_of(folder, frozen(**by_image)))).folder.root
    assert embedded == [51, 5, 55]
    before, after = (read_scores(path / "test.parquet") for path in (tmp_path / "grown", run))
    assert after.keys() < before.keys()
    assert np.allclose([before[name] for name in after], list(after.values()), atol=1e-4)


def test_features_of_images_in_another_form_are_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A higher image makes the canvas of all images higher, so that the backbone sees other borders."""
    folder = tmp_path / "data"
    draw_table(folder, "train.csv", range(42))
    draw_table(folder, "test.csv", range(100, 103))
    for path in (folder / "images").iterdir():
        Image.open(path).crop((0, 0, 24, 16)).save(path)
    embedded = count_embedded(monkeypatch)
    model = frozen(input={"size": 24, "normalize": "image"})
    holotype.run(write(tmp_path, recipe_of(folder, model)))
    draw_image(folder, 103)
    (folder / "test.csv").write_text((folder / "test.csv").read_text() + "i103,waves,waves,p5\n")
    holotype.run(write(tmp_path, recipe_of(folder, model)))
    assert embedded == [45, 46]


def test_a_run_of_a_frozen_model_resumes(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_of: StepsOf
) -> None:
    """A run that stops in the second fit keeps the features and the first fit, and ends in the same scores."""
    from holotype import training

    recipe, fits = recipe_of(drawn), []
    expected = holotype.run(write(tmp_path / "once", recipe)).folder.root
    fit_frozen = training.fit_frozen

    def stop(job: Any, *more: Any) -> None:
        fits.append(job.fold)
        if len(fits) == 2:
            raise KeyboardInterrupt
        fit_frozen(job, *more)

    monkeypatch.setattr(training, "fit_frozen", stop)
    source = write(tmp_path / "stopped", recipe)
    with pytest.raises(KeyboardInterrupt):
        holotype.run(source)
    run = holotype.run(source).folder.root
    states = steps_of(run)
    assert [states[name] for name in ("features main", "fit main 0", "fit main 2")] == ["reused", "reused", "made"]
    assert (run / "oof.parquet").read_bytes() == (expected / "oof.parquet").read_bytes()


def test_a_dry_run_lists_features_fits_and_predictions(drawn: Path, tmp_path: Path) -> None:
    from holotype.cli.dry_run import explain_reruns

    path = write(tmp_path, recipe_of(drawn, frozen(predict={"tta": "flips"})))
    holotype.check(path)
    lines = explain_reruns(path, (), None, None).lines
    assert [line for line in lines if "main" in line] == [
        "would run: compute the features of main",
        "would run: train main, folds 0 to 2",
        "would run: compute the features of main (views)",
        "would run: predict with main, folds 0 to 2",
        "would run: predict with main (test), folds 0 to 2",
    ]


def test_a_refitted_model_and_one_of_some_classes_with_neighbors_and_a_network(drawn: Path, tmp_path: Path) -> None:
    """The parts that other models have too: `final_model`, `classes`, `neighbors`, and an ensemble with a network."""
    network = {name: value for name, value in frozen("network").items() if name != "classifier"}
    network |= {"phases": [{"epochs": 1}], "predict": {"tta": "none"}}
    some = frozen("some", "ridge", classes=["dark", "waves"])
    near = frozen("near", "knn", neighbors={"k": 3})
    sections = {"final_model": "refit", "ensemble": {"kind": "mean"}}
    opened = holotype.run(write(tmp_path, recipe_of(drawn, near, some, network, **sections)))
    run, table = opened.folder.root, opened.read_images(drawn / "test.csv")
    assert sorted(path.name for path in (run / "models" / "near").glob("*-*")) == []
    assert len(list((run / "models" / "near").glob("*/card.json"))) == 1 + 3
    assert not list((run / "models" / "near").glob("*/history.parquet"))
    expected = read_scores(run / "test.parquet")
    ids = table.samples.frame["id"].to_list()
    assert np.abs(opened.logits(table) - np.array([expected[name] for name in ids])).max() < 1e-4
    answers = opened.predict(drawn / "test.csv")
    assert json.loads(answers["nearest"][0])
    kept = holotype.open_run(run, keep_in_memory=True)
    assert np.abs(kept.logits(table) - opened.logits(table)).max() < 1e-5


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_the_last_layer_predicts_what_the_classifier_predicts_also_far_from_the_training_rows(kind: Any) -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(500, 3, (60, 12)).astype(np.float32)
    features[:, 3] = 500 + 1e-3 * generator.normal(size=60)  # nearly constant: its weight is large
    truth = np.eye(3, dtype=bool)[np.arange(60) % 3]
    features[:, :3] += 5 * truth
    spec = LogisticClassifierSpec(c=1.0)
    groups = np.arange(60)
    fitted = fit_classifier(features, truth, spec, classes=3, kind=kind, groups=groups)
    assert isinstance(fitted, LinearClassifier)
    layer = make_last_layer(fitted)
    queries = np.concatenate([features, features + generator.normal(0, 100, features.shape).astype(np.float32)])
    with torch.inference_mode():
        logits = layer(torch.from_numpy(queries)).numpy()
    assert np.allclose(logits, fitted.logits(queries), rtol=1e-5, atol=1e-3)
    assert np.abs(logits).max() < 1000


def test_a_linear_classifier_is_exported_and_others_are_refused(drawn: Path, tmp_path: Path) -> None:
    """The exported graph is compared with the run on images of the run."""
    models = [frozen("probe", "logistic", predict={"tta": "flips"}), frozen("near", "knn"), frozen("trees", "lightgbm")]
    opened = holotype.run(write(tmp_path, recipe_of(drawn, *models, ensemble={"kind": "mean"})))
    result = export_run(opened, tmp_path / "probe", ExportOptions("probe"))
    assert result.card["check"]["largest_difference"] < 1e-3
    for name, kind in (("near", "knn"), ("trees", "lightgbm")):
        with pytest.raises(InputError, match="a graph contains linear ones only") as caught:
            export_run(opened, tmp_path / name, ExportOptions(name))
        assert f"models.{name}.classifier" in str(caught.value)
        assert repr(kind) in str(caught.value)
        assert "allowed: logistic, ridge, lda" in str(caught.value)


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "lda of many labels": ({"classifier": "lda"}, "multilabel", "models.0.classifier: 'lda' requires multiclass"),
    "phases": ({"phases": [{"epochs": 2}]}, "multiclass", "phases: a model with `classifier` trains no network"),
    "specialists": ({"specialists": {}}, "multiclass", "specialists: a model with `classifier` trains no network"),
    "pseudo-labels": (
        {"pseudo_labels": {}},
        "multiclass",
        "pseudo_labels: a model with `classifier` trains no network",
    ),
    "a hidden layer": ({"head": {"hidden": 8}}, "multiclass", "head.hidden: a model with `classifier` trains no head"),
    "learned pooling": ({"head": {"pool": "gem"}}, "multiclass", "head.pool: gem has learned parameters"),
    "a network per fold": ({"weights": "run:other#main"}, "multiclass", "write run:other#main/fold0"),
    "an unknown kind": ({"classifier": "svm"}, "multiclass", "models.0.classifier"),
}


@pytest.mark.parametrize(("section", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_go_with_a_frozen_backbone_is_refused(
    drawn: Path, section: dict[str, Any], kind: str, message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe_of(drawn, frozen(**section), kind=kind))
    assert message in str(caught.value)
    assert "models.0" in str(caught.value)


def test_tuning_and_planning_name_the_classifier(drawn: Path, tmp_path: Path) -> None:
    path = write(tmp_path, recipe_of(drawn))
    for refused in (
        lambda: run_trials(path, (), TuneOptions(trials=1), Progress(quiet=True)),
        lambda: holotype.run(path, budget="1m"),
    ):
        with pytest.raises(RecipeError, match="classifier"):
            refused()


def test_the_class_token_is_that_of_timm_and_other_backbones_have_none() -> None:
    section = {"backbone": "test_vit", "weights": "none", "input": {"size": 160}, "head": {"pool": "token"}}
    network, _ = build_network(ModelSpec.model_validate(section | {"classifier": "ridge"}), 2, 3, 0)
    oracle = timm.create_model("test_vit", num_classes=0)  # pools by its class token
    oracle.load_state_dict(network.backbone.state_dict())
    pixels = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.allclose(network.eval().pooled(pixels), oracle.eval()(pixels), atol=1e-6)
    for backbone in ("test_efficientnet", "vit_base_patch16_siglip_224"):
        other = ModelSpec.model_validate(section | {"backbone": backbone})
        with torch.device("meta"), pytest.raises(RecipeError, match=r"models.head.pool: .* has no class token"):
            build_architecture(backbone, 2, 3, other.head, {})
