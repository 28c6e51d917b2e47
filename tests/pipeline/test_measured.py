"""Models of measurements in a run: their folds, keys, refit and messages, and the same predictions afterwards."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter
from tests.pipeline.test_cache_keys import same_keys

from holotype.api import check, run
from holotype.cache import RunLog, Steps, Store
from holotype.classifiers import fit_classifier
from holotype.cli.dry_run import explain_reruns
from holotype.core.errors import DataError, InputError, RecipeError, StoreError
from holotype.core.progress import Progress
from holotype.core.seeds import derive_seed
from holotype.measurements import PreparedMeasurements
from holotype.pipeline.models import TrainingContext, measured
from holotype.pipeline.models.measured import IMPORTANCES, PARTS, fit_measured, prepare_table
from holotype.pipeline.prepare import prepare
from holotype.pipeline.runtime import make_runtime
from holotype.recipe.load import load_recipe
from holotype.recipe.sections import ClassifierSpec, MeasurementsSpec, ModelSpec
from holotype.runs.fitted_run import open_run
from holotype.runs.metadata import require_single_image_support
from holotype.training import plan_fit
from holotype.types import LabelMatrix

StepsOf = Callable[[Path], dict[str, str]]
QUIET = Progress(quiet=True)
CLASSES = ["round", "long", "torn"]
TRAIN, TEST, PLATES = 60, 12, 6
CLASSIFIER = {"kind": "logistic", "c": 1.0}
DATA = load_recipe({"data": {"train": "train.csv", "groups": ["plate"]}}).data
PROFILES = {"name": "profiles", "measurements": {"table": "profiles.csv", "normalize_by": "plate"}}


def draw_tables(folder: Path, leak: bool = False) -> dict[str, pl.DataFrame]:
    """Tables of samples on plates, and of four measurements, of which two depend on the class."""
    folder.mkdir(parents=True, exist_ok=True)
    random, count = np.random.default_rng(3), TRAIN + TEST
    labels, plates = random.integers(0, 3, count), np.arange(count) % PLATES
    values = random.normal(size=(count, 4)) + 0.5 * plates[:, None]
    values[:, :2] += 1.5 * np.eye(3)[labels][:, :2]
    samples = pl.DataFrame(
        {
            "id": [f"s{number:02}" for number in range(count)],
            "label": [CLASSES[label] for label in labels],
            "plate": [f"P{plate}" for plate in plates],
        }
    )
    profiles = samples.select("id").with_columns(pl.Series(f"x{column}", values[:, column]) for column in range(4))
    if leak:
        profiles = profiles.with_columns(pl.Series("compound", 10 + 7 * labels))
    samples.head(TRAIN).write_csv(folder / "train.csv")
    samples.tail(TEST).drop("label").write_csv(folder / "test.csv")
    profiles.write_csv(folder / "profiles.csv")
    return {"samples": samples, "profiles": profiles}


def write_recipe(folder: Path, models: Sequence[dict[str, Any]] = (PROFILES,), **sections: Any) -> Path:
    content = {
        "name": "wells",
        "run": {"threads": 1, "device": "cpu"},
        "data": {"train": "train.csv", "test": "test.csv", "groups": ["plate"]},
        "split": {"folds": 3},
        "models": [{"classifier": CLASSIFIER, **model} for model in models],
        **sections,
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(content), "utf-8")
    return path


def make_context(path: Path, folder: Path) -> TrainingContext:
    recipe = load_recipe(path)
    runtime = replace(make_runtime(recipe, folder), progress=QUIET)
    steps = Steps(Store(folder / "store"), RunLog(folder / "log.jsonl"), QUIET)
    return TrainingContext(prepare(recipe, steps, runtime), recipe.seed, steps, runtime)


def scores_in(path: Path) -> np.ndarray:
    """Scores of a table of scores, in the order of the ids, shape (samples, classes)."""
    return np.array(pl.read_parquet(path).sort("id")["scores"].to_list())


def notes_of(folder: Path) -> list[str]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    return [line["text"] for line in lines if line["event"] == "message" and line["text"].startswith("note: ")]


@pytest.fixture(scope="module")
def wells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a recipe without images, its data, its store and its run; nobody changes it."""
    folder = tmp_path_factory.mktemp("measured") / "wells"
    draw_tables(folder)
    run(write_recipe(folder), progress=QUIET)
    return folder


@pytest.fixture(scope="module")
def context(wells: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingContext:
    return make_context(wells / "recipe.yaml", tmp_path_factory.mktemp("context"))


def test_out_of_fold_scores_are_those_of_a_classifier_fitted_by_hand(wells: Path, context: TrainingContext) -> None:
    """Features by numpy: each plate is standardized by all of its rows, of training and test samples."""
    profiles = pl.read_csv(wells / "profiles.csv").join(
        pl.concat([pl.read_csv(wells / f"{name}.csv") for name in ("train", "test")], how="diagonal"), on="id"
    )
    columns = [pl.col(f"x{column}") for column in range(4)]
    features = profiles.select(
        (column - column.mean().over("plate")) / column.std(ddof=0).over("plate") for column in columns
    )
    truth = profiles["label"].head(TRAIN).replace_strict({name: k for k, name in enumerate(sorted(CLASSES))})
    folder = wells / "runs" / "wells"
    folds = pl.read_parquet(folder / "folds.parquet").filter(pl.col("role") == "train").sort("sample")
    scores = scores_in(folder / "models" / "profiles" / "oof.parquet")
    values = features.to_numpy().astype(np.float32)
    spec = TypeAdapter(ClassifierSpec).validate_python(CLASSIFIER)
    for fold in range(3):
        inside = (folds["fold"] == fold).to_numpy()
        train = np.flatnonzero(~inside)
        fitted = fit_classifier(
            values[train],
            truth.to_numpy()[train],
            spec,
            classes=3,
            kind="multiclass",
            groups=context.data.folds.component[train],
            seed=derive_seed(1, "profiles", fold, "classifier"),
        )
        np.testing.assert_allclose(scores[inside], fitted.logits(values[:TRAIN][inside]), atol=2e-3)


def test_no_plate_is_in_two_folds_and_labels_do_not_change_the_features(wells: Path, tmp_path: Path) -> None:
    folds = pl.read_parquet(wells / "runs" / "wells" / "folds.parquet").filter(pl.col("role") == "train")
    train = pl.read_csv(wells / "train.csv")
    assert folds.join(train, left_on="sample", right_on="id").group_by("plate").agg(
        pl.col("fold").n_unique()
    )["fold"].to_list() == [1] * PLATES  # fmt: skip
    features = []
    for number, name in enumerate(("one", "other")):
        folder = tmp_path / name
        draw_tables(folder)
        if number:
            train.with_columns(pl.col("label").shuffle(1)).write_csv(folder / "train.csv")
        context = make_context(write_recipe(folder), folder)
        table = prepare_table(context.steps, load_recipe(folder / "recipe.yaml").models[0], "models.0", DATA, context)
        features.append(table.read(PreparedMeasurements, PARTS).features)
    np.testing.assert_array_equal(*features)


@pytest.mark.parametrize("final_model", ["folds", "refit"])
def test_new_samples_get_the_predictions_of_the_run(wells: Path, tmp_path: Path, final_model: str) -> None:
    folder = wells / "runs" / "wells"
    if final_model == "refit":
        draw_tables(tmp_path)
        folder = run(write_recipe(tmp_path, final_model="refit"), progress=QUIET).folder.root
        cards = [json.loads(path.read_text("utf-8")) for path in (folder / "models").rglob("card.json")]
        assert all("table" not in card["model"]["measurements"] for card in cards)  # a path of this machine
        assert max(card["rows"]["train"] for card in cards) == TRAIN
    table = folder.parents[1] / "profiles.csv"
    fitted = open_run(folder).with_measurements(table)
    again, before = fitted.predict(table.with_name("test.csv")), pl.read_csv(folder / "predictions.csv")
    assert again["labels"].to_list() == before["labels"].to_list()
    (_, logits), *_ = fitted.predict_in_parts(table.with_name("test.csv"))
    np.testing.assert_allclose(logits, scores_in(folder / "test.parquet"), atol=1e-5)


def test_a_model_of_some_classes_gets_the_others_from_another_model(tmp_path: Path) -> None:
    draw_tables(tmp_path)
    some = {**PROFILES, "name": "some", "classes": ["long", "torn"]}
    folder = run(write_recipe(tmp_path, [PROFILES, some]), progress=QUIET).folder.root
    assert scores_in(folder / "models" / "some" / "oof.parquet").shape == (TRAIN, 3)
    again = open_run(folder).with_measurements(tmp_path / "profiles.csv").predict(tmp_path / "test.csv")
    assert again["labels"].to_list() == pl.read_csv(folder / "predictions.csv")["labels"].to_list()


def test_a_frozen_network_and_measurements_are_an_ensemble(
    screen: Path, write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    truth = pl.read_csv(screen / "truth.csv")
    random = np.random.default_rng(1)
    classes = truth["labels"].str.split(" ").list.first().rank("dense").to_numpy()
    values = {f"x{k}": random.normal(size=truth.height) + (classes == k + 1) for k in range(3)}
    truth.select("id").with_columns(**{name: pl.Series(column) for name, column in values.items()}).write_csv(
        tmp_path / "profiles.csv"
    )
    network = {"name": "probe", "backbone": "test_efficientnet", "weights": "none", "input": {"size": 32}}
    models = [{**network, "classifier": "ridge"}, {**PROFILES, "classifier": {"kind": "lightgbm", "rounds": 5}}]
    folder = run(write_recipe(tmp_path, models=models), progress=QUIET).folder.root
    ensemble = json.loads((folder / "ensemble.json").read_text("utf-8"))
    assert ensemble["models"] == ["probe", "profiles"]
    steps = [step["step"] for step in json.loads((folder / "scores.json").read_text("utf-8"))["steps"]]
    assert steps[:3] == ["probe", "profiles", "weighted of 2"]
    fitted = open_run(folder)
    with pytest.raises(InputError, match="'profiles' predicts from measurements, and no table of them was given"):
        fitted.predict(screen / "test.csv")
    again = fitted.with_measurements({"profiles": tmp_path / "profiles.csv"}).predict(screen / "test.csv")
    assert again["labels"].to_list() == pl.read_csv(folder / "predictions.csv")["labels"].to_list()
    with pytest.raises(InputError, match="profiles predicts from a table of measurements, and a server gets images"):
        require_single_image_support(fitted)
    with pytest.raises(InputError, match=r"unknown model of measurements.*allowed: profiles"):
        fitted.with_measurements({"probe": "profiles.csv"})


def _three_tables(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """CellProfiler's tables of images and two compartments, of two objects each."""
    images = frame.select(
        pl.int_range(1, pl.len() + 1).alias("ImageNumber"), pl.col("id").alias("Metadata_id"), Classify_Code="compound"
    )
    objects = pl.concat([images.select("ImageNumber").with_columns(ObjectNumber=pl.lit(n)) for n in (1, 2)])
    tables = {"Image": images}
    for name, columns in (("Cells", ("x0", "x1")), ("Nuclei", ("x2", "x3"))):
        values = frame.select(columns).with_columns(ImageNumber=pl.int_range(1, pl.len() + 1))
        tables[name] = objects.join(values, on="ImageNumber", maintain_order="left")
    return tables


@pytest.mark.parametrize("form", ["csv", "sqlite"])
def test_a_planted_leak_in_an_export_of_three_tables_is_named_before_training(tmp_path: Path, form: str) -> None:
    tables = _three_tables(draw_tables(tmp_path, leak=True)["profiles"])
    name = "output" if form == "csv" else "output.db"
    if form == "csv":
        (tmp_path / name).mkdir()
        for table, frame in tables.items():
            frame.write_csv(tmp_path / name / f"{table}.csv")
    else:
        with closing(sqlite3.connect(tmp_path / name)) as database, database:
            for table, frame in tables.items():
                database.execute(f"CREATE TABLE Per_{table} ({', '.join(map(repr, frame.columns))})")
                marks = ", ".join("?" * frame.width)
                database.executemany(f"INSERT INTO Per_{table} VALUES ({marks})", frame.iter_rows())
    path = write_recipe(tmp_path, [{"name": "cells", "measurements": {"table": name, "normalize_by": "plate"}}])
    notes = [note for note in check(path, progress=QUIET).notes if note.startswith("cells: ")]
    assert len(notes) == 2
    prefix = "" if form == "csv" else "Per_"
    assert f"144 of {prefix}Cells (2 columns of numbers), 144 of {prefix}Nuclei (2 columns of numbers)" in notes[0]
    assert "1 column (code of the label: Image_Classify_Code, its 3 values correspond to the label)" in notes[1]
    folder = run(path, progress=QUIET).folder.root
    assert [f"note: {note}" for note in notes] == [note for note in notes_of(folder) if ": cells: " in note]
    ranked = pl.read_csv(folder / "models" / "cells" / "fold0" / IMPORTANCES)
    assert set(ranked["name"]) == {"Cells_x0", "Cells_x1", "Nuclei_x2", "Nuclei_x3"}


def fit_key(context: TrainingContext, model: ModelSpec, fold: int = 0) -> Any:
    images, scale = context.images, context.data.statistics.normalization
    table = prepare_table(context.steps, profiles_model(context), "models.0", DATA, context)
    truth = images.samples.label_matrix(np.arange(len(images.samples)))
    return fit_measured.key(
        plan_fit(images, context.data.folds, fold, model, context.seed, scale), table, truth, context
    )


def profiles_model(context: TrainingContext) -> ModelSpec:
    table = context.steps.log.path.parent / "profiles.csv"
    if not table.is_file():
        draw_tables(table.parent)
    section = {"table": str(table), "normalize_by": "plate"}
    return ModelSpec.model_validate({"name": "profiles", "measurements": section, "classifier": CLASSIFIER})


def test_every_field_and_the_content_of_the_table_are_in_the_key(context: TrainingContext, tmp_path: Path) -> None:
    model = profiles_model(context)

    def key_of(section: Any) -> Any:
        section = section.model_copy(update={"table": model.measurements.table})  # type: ignore[union-attr]
        return prepare_table.key(model.model_copy(update={"measurements": section}), "models.0", DATA, context)

    assert same_keys(model.measurements, key_of) == {"table"}  # type: ignore[arg-type]
    before = prepare_table.key(model, "models.0", DATA, context).digest
    table = Path(model.measurements.table)  # type: ignore[union-attr]
    moved = Path(shutil.copy(table, tmp_path / "moved.csv"))

    def key_at(path: Path, field: str = "models.0", data: Any = DATA) -> str:
        section = MeasurementsSpec(table=str(path), normalize_by="plate")
        return prepare_table.key(model.model_copy(update={"measurements": section}), field, data, context).digest

    assert key_at(moved) == key_at(moved, "models.3") == before
    text = moved.read_text("utf-8")
    moved.write_text(text[:-2] + ("1" if text[-2] != "1" else "2") + "\n", "utf-8")
    assert key_at(moved) != before
    for name in ("id", "sample", "domain"):
        assert key_at(table, data=DATA.model_copy(update={name: "other"})) != before
    labels = DATA.labels.model_copy(update={"column": "x0"})  # no measurement any more
    assert key_at(table, data=DATA.model_copy(update={"labels": labels})) != before


@pytest.mark.parametrize("kind", ["logistic", "ridge", "lda", "knn", "lightgbm"])
def test_every_field_of_a_classifier_is_in_the_key_of_its_fit(context: TrainingContext, kind: str) -> None:
    spec = TypeAdapter(ClassifierSpec).validate_python(kind)
    model = profiles_model(context)
    assert same_keys(spec, lambda other: fit_key(context, model.model_copy(update={"classifier": other}))) == set()
    assert fit_key(context, model, 1).digest != fit_key(context, model).digest


def test_labels_and_groups_of_the_training_rows_are_in_the_key_and_others_are_not(context: TrainingContext) -> None:
    model, images, folds = profiles_model(context), context.images, context.data.folds
    table = prepare_table(context.steps, model, "models.0", DATA, context)
    job = plan_fit(images, folds, 0, model, context.seed, context.data.statistics.normalization)
    numbers = images.samples.label_matrix(np.arange(len(images.samples)))
    truth = np.zeros((len(images.samples), len(images.classes)), bool)
    truth[numbers.row_indices, numbers.numbers] = True
    before = fit_measured.key(job, table, LabelMatrix.from_dense(truth), context).digest
    for rows, changes in ((job.train_rows, True), (job.validation_rows, False)):
        other = truth.copy()
        other[images.sample_numbers[rows[0]]] = ~other[images.sample_numbers[rows[0]]]
        assert (fit_measured.key(job, table, LabelMatrix.from_dense(other), context).digest != before) == changes
    component = folds.component.copy()
    component[images.sample_numbers[job.train_rows[0]]] = 999
    regrouped = replace(context, data=replace(context.data, folds=replace(folds, component=component)))
    assert fit_measured.key(job, table, LabelMatrix.from_dense(truth), regrouped).digest != before


def test_samples_without_a_row_are_counted_and_too_many_stop_the_run(tmp_path: Path) -> None:
    profiles = draw_tables(tmp_path)["profiles"]
    profiles.filter(pl.col("id") != "s07").write_csv(tmp_path / "profiles.csv")
    path = write_recipe(tmp_path)
    assert any(
        "profiles: 1 of 60 train samples have no measurements: s07" in note
        for note in check(path, progress=QUIET).notes
    )
    profiles.head(40).write_csv(tmp_path / "profiles.csv")
    with pytest.raises(DataError, match=r"models\.0\.measurements\.id: 20 of 60 train samples have no measurements"):
        check(path, progress=QUIET)


def test_a_stopped_run_goes_on_with_the_fold_that_it_was_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_of: StepsOf
) -> None:
    draw_tables(tmp_path)
    path, fits = write_recipe(tmp_path), [0]

    def stop(*args: Any, **keywords: Any) -> Any:
        fits[0] += 1
        if fits[0] == 2:
            raise KeyboardInterrupt
        return fit_classifier(*args, **keywords)

    monkeypatch.setattr(measured, "fit_classifier", stop)
    with pytest.raises(KeyboardInterrupt):
        run(path, progress=QUIET)
    monkeypatch.undo()
    states = steps_of(run(path, progress=QUIET).folder.root)
    assert [states[f"fit profiles {fold}"] for fold in range(3)] == ["reused", "made", "made"]
    assert states["measurements profiles"] == "reused"


def test_a_dry_run_names_the_table_that_changed(tmp_path: Path) -> None:
    folder = tmp_path / "wells"
    draw_tables(folder)
    run(write_recipe(folder), progress=QUIET)
    before: Any = explain_reruns(folder / "recipe.yaml", (), None, None)
    assert before.data["causes"] == []
    profiles = pl.read_csv(folder / "profiles.csv")
    profiles.with_columns(pl.col("x0") + 1).write_csv(folder / "profiles.csv")
    after: Any = explain_reruns(folder / "recipe.yaml", (), None, None)
    assert after.data["causes"] == ["a table of measurements has other content"]
    states = {step["step"]: step["state"] for step in after.data["steps"]}
    assert {name for name, state in states.items() if state != "kept"} == {
        "measurements profiles", *(f"fit profiles {fold}" for fold in range(3))
    }  # fmt: skip
    first: Any = explain_reruns(folder / "recipe.yaml", ("models.0.name=new",), tmp_path / "none", None)
    assert "read the measurements of new" in "\n".join(first.lines)


@pytest.mark.parametrize("name", ["value.json", "classifier.json"])
def test_a_damaged_file_of_the_model_is_named(wells: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "wells"
    shutil.copytree(wells / "runs" / "wells", folder)
    (folder / "digests.json").unlink()
    damaged = next(iter((folder / "models" / "profiles" / "fold0").glob(name)))
    damaged.write_text("{", "utf-8")
    fitted = open_run(folder).with_measurements(wells / "profiles.csv")
    with pytest.raises((InputError, StoreError), match=r"fold0.*damaged|fold0.*cannot be read"):
        fitted.predict(wells / "test.csv")


def test_a_moved_run_predicts_and_a_recipe_in_another_folder_finds_the_table(
    wells: Path, tmp_path: Path, steps_of: StepsOf
) -> None:
    project = tmp_path / "elsewhere"
    shutil.copytree(wells, project)
    folder = project / "runs" / "wells"
    for path in folder.rglob("*"):
        assert not path.is_file() or str(wells).encode() not in path.read_bytes(), path
    again = open_run(folder).with_measurements(project / "profiles.csv").predict(project / "test.csv")
    assert again["labels"].to_list() == pl.read_csv(folder / "predictions.csv")["labels"].to_list()
    states = steps_of(run(folder / "recipe.yaml", out=tmp_path / "again", progress=QUIET).folder.root)
    assert states["measurements profiles"] == states["fit profiles 0"] == "reused"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"table": "profile.csv"}, r"models\.0\.measurements\.table: there is no table .*profile\.csv'.*profiles\.csv"),
    ({"table": "profiles.csv", "normalize_by": "batch"}, r"normalize_by: there is no column 'batch'"),
    ({"table": "profiles.csv", "columns": ["y*"]}, r"measurements\.columns\.0: no column matches 'y\*'"),
    ({"table": "profiles.csv", "id": "well"}, r"measurements\.id: there is no column 'well'"),
    ({"table": "profiles.csv", "missing": "keep"}, r"measurements\.missing: 'keep' requires classifier: lightgbm"),
]


@pytest.mark.parametrize(("section", "message"), WRONG)
def test_a_wrong_table_is_refused_by_check(tmp_path: Path, section: dict[str, Any], message: str) -> None:
    draw_tables(tmp_path)
    with pytest.raises((DataError, RecipeError), match=message):
        check(write_recipe(tmp_path, [{"name": "profiles", "measurements": section}]), progress=QUIET)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"neighbors": {}}, "neighbors: a model with `measurements` trains no network"),
        ({"phases": [{"epochs": 2}]}, "phases: a model with `measurements` trains no network"),
        ({"backbone": "resnet18"}, "backbone: a model with `measurements` trains no network"),
        ({"input": {"size": 64}}, "input: a model with `measurements` trains no network"),
        ({"predictions": {"test": "scores.npy"}}, "predictions: the scores of a model with `measurements` are not"),
    ],
)
def test_settings_of_networks_do_not_go_with_measurements(more: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe({"data": {"train": "train.csv"}, "models": [{**PROFILES, **more}]})


def test_missing_values_may_be_kept_for_trees_and_lda_is_refused_for_many_labels() -> None:
    keep = {"measurements": {"table": "profiles.csv", "missing": "keep"}, "classifier": "lightgbm"}
    assert load_recipe({"data": {"train": "t.csv"}, "models": [keep]}).models[0].measurements is not None
    data = {"train": "t.csv", "labels": {"kind": "multilabel"}}
    with pytest.raises(RecipeError, match=r"models\.0\.classifier: 'lda' requires multiclass labels"):
        load_recipe({"data": data, "models": [{**PROFILES, "classifier": "lda"}]})
