"""Everything that can change the result of a step is in its key: every field of whatever reaches a step is changed.

A field that changes no key has its reason here. A new field is in neither list, and fails until somebody decides.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.cache import RunLog, StepKey, StepResult, Steps, Store, libraries
from holotype.core.progress import Progress
from holotype.core.runtime import Runtime
from holotype.data import CacheFormat, PixelCache
from holotype.loading import ImageDataset, Tiles
from holotype.pipeline.data_steps import audit_table, make_fold_table, measure_table, read_table
from holotype.pipeline.models import TrainingContext, frozen, model_pixels, networks
from holotype.pipeline.models.knn import index_training_images
from holotype.pipeline.models.model_pixels import build_cached_pixels, embed_table
from holotype.pipeline.models.networks import TrainedNetwork, fit_network, predict_part
from holotype.pipeline.prepared import PreparedData
from holotype.planning import budget_run as budgeting
from holotype.recipe.load import Recipe
from holotype.recipe.sections import AuditSpec, DataSpec, HeadSpec, ModelSpec, PredictSpec, SplitSpec
from holotype.recipe.sections.base import Section
from holotype.recipe.sections.classifier import (
    KnnClassifierSpec,
    LdaClassifierSpec,
    LightgbmClassifierSpec,
    LogisticClassifierSpec,
    RidgeClassifierSpec,
)
from holotype.recipe.sections.learning import NeighborsSpec, PseudoLabelsSpec
from holotype.training import FitJob
from holotype.types import ImageStatistics, ImageTable, LabelMatrix, Normalization, RankHeads

SCALE = Normalization((0.0,), (1.0,))
STATISTICS = ImageStatistics(pl.DataFrame({"digest": [f"d{row}" for row in range(9)]}), SCALE)
SPECIMENS = ImageDataset(
    PixelCache(np.zeros((9, 1, 32, 32), np.uint8), "fit"),
    SCALE,
    LabelMatrix.from_dense(np.eye(3, dtype=bool)[np.arange(9) % 3]),
    input_channels=(0,),
    row_normalization=(np.zeros((9, 1), np.float32), np.ones((9, 1), np.float32)),
    tiles=Tiles(16, "grid"),
    jitter_channels=(0,),
)
MODEL = ModelSpec.model_validate(
    {
        "weights": "none",
        "input": {"size": 32, "channels": ["red"], "tile": {"size": 16}},
        "pseudo_labels": {},
        "neighbors": {},
        "head": {"margin": {}},
        "specialists": {"phases": [{"epochs": 1}]},
        "phases": [{"epochs": 2, "schedule": {"name": "one-cycle"}}],
        "augment": {"mix": {"kind": "mixup"}},
    }
)
JOB = FitJob(
    MODEL,
    0,
    1,
    np.arange(5),
    np.arange(6, 8),
    ("a", "b", "c"),
    "multiclass",
    ("red",),
    SCALE,
    inner_rows=np.array([5]),
    external=np.zeros(5, bool),
    pseudo_rows=np.array([8]),
    pseudo_round=1,
    rank_heads=RankHeads(("genus",), ((0, 0, 1),), (1.0,)),
)
RUNTIME = Runtime(device="cpu", precision="32")
FIT = fit_network.key(JOB, STATISTICS, SPECIMENS, RUNTIME)
ROWS = np.array([6, 7])
DIGESTS = {"images": "a", "statistics": "b", "audit": "c"}
IMAGES = ImageTable(
    pl.DataFrame(
        {
            "id": ["a", "b"],
            "sample": ["a", "b"],
            "role": ["train", "test"],
            "files": [["x.png"], ["y.png"]],
            "labels": [[0], None],
            "domain": ["one", "two"],
            "group.plate": ["P", "Q"],
        }
    ),
    ("a", "b"),
    "multiclass",
    ("red", "green", "blue"),
)
DATA = DataSpec.model_validate({"train": "t.csv", "images": "{id}.png", "labels": {"classes": ["a", "b"]}})


STORE = Store(Path("store"))


def context_of(statistics: ImageStatistics = STATISTICS, digests: dict[str, str] | None = None) -> TrainingContext:
    """A context of the training, as far as keys read it."""
    data = PreparedData(IMAGES, statistics, None, None, (), digests=digests or DIGESTS)  # type: ignore[arg-type]
    return TrainingContext(data, 1, Steps(STORE, RunLog(Path("log.jsonl")), Progress(quiet=True)), RUNTIME)


def trained(job: FitJob, fit: StepKey, dataset: ImageDataset = SPECIMENS) -> TrainedNetwork:
    return TrainedNetwork(job, StepResult(fit, STORE), dataset)


def predict_key(job: FitJob, rows: np.ndarray, dataset: ImageDataset = SPECIMENS) -> StepKey:
    return predict_part.key(trained(job, FIT, dataset), rows, "oof", context_of())


def folds_key(split: SplitSpec, seed: int, digests: dict[str, str], *more: Any) -> StepKey:
    features, before = (*more, None, None)[:2]
    return make_fold_table.key(context_of(digests=digests).data, split, seed, features, before)


def changed_sections(section: Section, name: str = "") -> Iterator[tuple[str, Section]]:
    """A section with each of its fields, at any depth, changed to something that it is not."""
    for field in type(section).model_fields:
        value, path = getattr(section, field), f"{name}.{field}".lstrip(".")
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], Section) else value
        if isinstance(inner, Section):
            for path_of_inner, other in changed_sections(inner, path):
                update = [other, *value[1:]] if isinstance(value, list) else other
                yield path_of_inner, section.model_copy(update={field: update})
        else:
            yield path, section.model_copy(update={field: f"not {value}"})


def same_keys(section: Section, key_of: Callable[[Any], StepKey]) -> set[str]:
    """The fields of a section that change nothing in a key."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic, of values that no recipe may hold
        before = key_of(section).digest
        return {path for path, other in changed_sections(section) if key_of(other).digest == before}


def under(paths: set[str], *beginnings: str) -> set[str]:
    return {path for path in paths if not any(f"{path}.".startswith(f"{beginning}.") for beginning in beginnings)}


def fit_of(model: ModelSpec) -> StepKey:
    return fit_network.key(replace(JOB, model=model), STATISTICS, SPECIMENS, RUNTIME)


def test_every_field_of_a_model_is_in_the_key_of_its_training() -> None:
    same = same_keys(MODEL, lambda model: fit_of(model) if model.weights == "none" else FIT)
    reasons = {
        "weights": "resolved to the file, tested by itself",
        "predict": "views and pooling come after the training, and are in the key of the predictions",
        "specialists": "the specialists' phases stand in the jobs of the specialists",
        "neighbors": "the search comes after the training, and is in the key of the index",
        "predictions": "a model of imported scores trains nothing",
        "classifier": "takes the place of training, and is in the key of its own fit",
        "measurements": "takes the place of a network",
        "pseudo_labels.rounds": "each round is a job of its own, with its number",
        "pseudo_labels.roles": "the rows that join are in the key themselves",
        "pseudo_labels.threshold": "the rows that join are in the key themselves",
        "pseudo_labels.confidence": "the rows that join are in the key themselves",
        "pseudo_labels.most": "the rows that join are in the key themselves",
    }
    assert under(same, *reasons) == set()


def test_every_field_of_the_predictions_section_is_in_the_key_of_the_predictions() -> None:
    def key_of(views: Section) -> StepKey:
        model = MODEL.model_copy(update={"predict": views})
        return predict_key(replace(JOB, model=model), ROWS)

    assert same_keys(MODEL.predict, key_of) == set()


CLASSIFIER_SPECS = [
    LogisticClassifierSpec(),
    RidgeClassifierSpec(kind="ridge"),
    LdaClassifierSpec(kind="lda"),
    KnnClassifierSpec(kind="knn"),
    LightgbmClassifierSpec(kind="lightgbm"),
]


@pytest.mark.parametrize("spec", CLASSIFIER_SPECS, ids=lambda spec: spec.kind)
def test_every_field_of_a_classifier_is_in_the_key_of_its_fit(spec: Section, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_groups", lambda *_: np.arange(5))
    features = StepResult(StepKey("features main", 1), STORE)

    def key_of(section: Section, groups: int = 5) -> StepKey:
        monkeypatch.setattr(frozen, "_groups", lambda *_: np.arange(5) % groups)
        model = MODEL.model_copy(update={"classifier": section})
        return frozen.fit_frozen_network.key(replace(JOB, model=model), features, SPECIMENS, context_of())

    assert same_keys(spec, key_of) == set()
    assert key_of(spec, 2).digest != key_of(spec).digest


def test_features_hang_on_the_backbone_and_on_how_images_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = CacheFormat((9, 1, 32, 32), "uint8", "fit")
    monkeypatch.setattr(frozen, "cache_format", lambda *_: plan)
    monkeypatch.setattr(frozen, "compute_row_normalization", lambda *_: None)
    views = PredictSpec(tta="none")
    model = MODEL.model_copy(update={"classifier": LogisticClassifierSpec()})

    def digest_of(model: ModelSpec = model, views: PredictSpec = views, **changes: Any) -> str:
        monkeypatch.setattr(frozen, "cache_format", lambda *_: replace(plan, **changes))
        return frozen.compute_features.key(model, views, context_of()).digest

    before = digest_of()
    assert digest_of(model.model_copy(update={"classifier": RidgeClassifierSpec(kind="ridge")})) == before
    assert digest_of(model.model_copy(update={"name": "other", "head": HeadSpec(dropout=0.1)})) == before
    others = {
        "backbone": "other",
        "activation": "mish",
        "head": HeadSpec(pool="max"),
        "input": model.input.model_copy(update={"normalize": "image"}),
    }
    assert [name for name, value in others.items() if digest_of(model.model_copy(update={name: value})) == before] == []
    assert digest_of(views=PredictSpec(tta="flips")) != before
    forms = {"shape": (9, 1, 32, 40), "depth": "uint16", "resize_mode": "stretch", "scale": 0.5, "fill": (1.0,)}
    assert [name for name, value in forms.items() if digest_of(**{name: value}) == before] == []
    assert digest_of(shape=(7, 1, 32, 32), skipped=frozenset({1})) == before  # rows are no form


def test_every_field_of_neighbours_is_in_the_key_of_the_index() -> None:
    def key_of(section: Section) -> StepKey:
        job = replace(JOB, model=MODEL.model_copy(update={"neighbors": section}))
        return index_training_images.key(trained(job, FIT), np.arange(9), context_of())

    reasons = {"override_similarity"}  # the votes are counted anew in every run
    assert same_keys(NeighborsSpec(), key_of) == reasons


def test_what_a_frozen_backbone_sees_hangs_on_how_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_pixels, "compute_row_normalization", lambda *_: None)
    looks = MODEL.model_copy(update={"phases": []})

    def key_of(model: ModelSpec) -> StepKey:
        sized = model if isinstance(model.input.size, int) else MODEL.model_copy(update={"name": "size"})
        return embed_table.key(sized.model_copy(update={"phases": MODEL.phases}), ROWS, context_of())

    before = embed_table.key(MODEL, ROWS, context_of()).digest
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("backbone", "activation"):
            other = looks.model_copy(update={name: "other", "phases": MODEL.phases})
            assert embed_table.key(other, ROWS, context_of()).digest != before
        for name in ("head", "input"):
            for path, section in changed_sections(getattr(MODEL, name)):
                if path in {"size", "tile.size"}:
                    continue  # numbers that other numbers are computed from; size is changed below
                other = MODEL.model_copy(update={name: section})
                assert key_of(other).digest != before, f"{name}.{path}"
    larger = MODEL.model_copy(update={"input": MODEL.input.model_copy(update={"size": 64})})
    assert key_of(larger).digest != before


JOBS: dict[str, Any] = {
    "model": MODEL.model_copy(update={"name": "other"}),
    "fold": 1,
    "seed": 2,
    "train_rows": np.arange(1, 6),
    "validation_rows": np.arange(6, 9),
    "classes": ("a", "b", "d"),
    "kind": "multilabel",
    "channels": ("green",),
    "normalization": Normalization((0.5,), (1.0,)),
    "inner_rows": np.array([4]),
    "external": np.ones(5, bool),
    "pseudo_rows": np.array([7]),
    "pseudo_round": 2,
    "domain": "a",
    "rank_heads": RankHeads(("genus",), ((0, 0, 1),), (0.5,)),
}
JOB_REASONS = {
    "pixels_digest": "a copy for the card of what is in the key",
    "init_checkpoint": "a path; the digest of what the network was made from counts",
    "init_digest": "counts together with `init_checkpoint`, tested by itself",
}


def test_every_field_of_a_job_is_in_its_key() -> None:
    assert {field.name for field in fields(FitJob)} == JOBS.keys() | JOB_REASONS.keys()
    made = {
        name: fit_network.key(replace(JOB, **{name: value}), STATISTICS, SPECIMENS, RUNTIME).digest
        for name, value in JOBS.items()
    }
    assert [name for name, digest in made.items() if digest == FIT.digest] == []
    started = [replace(JOB, init_checkpoint=Path("x"), init_digest=digest) for digest in ("one", "two")]
    assert len({fit_network.key(job, STATISTICS, SPECIMENS, RUNTIME).digest for job in (JOB, *started)}) == 3


SETS: dict[str, Any] = {
    "pixel_cache": [
        PixelCache(np.zeros((9, 1, 32, 40), np.uint8), "fit"),
        PixelCache(np.zeros((9, 1, 32, 32), np.uint16), "fit"),
        PixelCache(np.zeros((9, 1, 32, 32), np.uint8), "stretch"),
    ],
    "truth": [LabelMatrix.from_dense(np.eye(3, dtype=bool)[np.arange(9) % 2])],
    "input_channels": [None, (1,)],
    "row_normalization": [None, (np.ones((9, 1), np.float32), np.ones((9, 1), np.float32))],
    "tiles": [None, Tiles(8, "grid"), Tiles(16, "random")],
    "crop_share": [0.5],
    "jitter_channels": [None, (1,)],
}


def test_every_field_of_what_a_network_is_fed_with_is_in_its_key() -> None:
    reasons = {"normalization"}  # that of the job is the same, and counts
    assert {field.name for field in fields(ImageDataset)} == SETS.keys() | reasons
    for name, values in SETS.items():
        for value in values:
            assert (
                fit_network.key(JOB, STATISTICS, replace(SPECIMENS, **{name: value}), RUNTIME).digest != FIT.digest
            ), name


def test_what_scales_other_rows_trains_nothing_again() -> None:
    mean, deviation = (part.copy() for part in SPECIMENS.row_normalization)
    mean[:9] += np.eye(9, 1, -8, dtype=np.float32)  # row 8 alone, which joins: take it out
    job = replace(JOB, pseudo_rows=np.empty(0, np.int64), pseudo_round=0)
    other = replace(SPECIMENS, row_normalization=(mean, deviation))
    assert fit_network.key(job, STATISTICS, SPECIMENS, RUNTIME).digest == (
        fit_network.key(job, STATISTICS, other, RUNTIME).digest
    )
    by_rows = [predict_key(JOB, np.array([8]), one) for one in (SPECIMENS, other)]
    assert by_rows[0].digest != by_rows[1].digest


RUNTIMES: dict[str, Any] = {"precision": "bf16", "batch": 16, "processes": 2}
RUNTIME_REASONS = {
    "device": "devices round differently, as threads do; what `precision: auto` becomes on it counts",
    "threads": "the order of a sum at most",
    "workers": "batches are the same whoever prepares them",
    "save_seconds": "a resumed training ends in the same bytes",
    "halt_after": "a training that was halted is unfinished and never stored",
    "store": "where, not what",
    "progress": "news",
    "pacer": "decides by the `budget_plan` of the phase, which counts",
}


def test_every_field_of_the_runtime_is_in_the_key_or_has_its_reason() -> None:
    assert {field.name for field in fields(Runtime)} == RUNTIMES.keys() | RUNTIME_REASONS.keys()
    for name, value in RUNTIMES.items():
        assert fit_network.key(JOB, STATISTICS, SPECIMENS, replace(RUNTIME, **{name: value})).digest != FIT.digest, name
    same = {
        "threads": 7,
        "workers": 3,
        "save_seconds": 1.0,
        "halt_after": 3,
        "store": Path("x"),
        "progress": Progress(quiet=True),
    }
    for name, value in same.items():
        assert fit_network.key(JOB, STATISTICS, SPECIMENS, replace(RUNTIME, **{name: value})).digest == FIT.digest, name


def test_automatic_precision_counts_as_what_it_becomes() -> None:
    automatic = fit_network.key(JOB, STATISTICS, SPECIMENS, replace(RUNTIME, precision="auto"))
    assert automatic.digest == FIT.digest  # 32 bit on a CPU
    assert automatic.section["precision"] == "32"


def test_automatic_weights_count_as_what_they_are_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_pixels, "compute_row_normalization", lambda *_: None)
    job = replace(JOB, model=MODEL.model_copy(update={"weights": "auto"}))
    made = []
    for identity in ("random", "lite 0123", "lite 4567"):
        for module in (networks, model_pixels):
            monkeypatch.setattr(module, "weights_identity", lambda *_: identity)  # noqa: B023
        made.append(fit_network.key(job, STATISTICS, SPECIMENS, RUNTIME).digest)
        made.append(embed_table.key(job.model, ROWS, context_of()).digest)
    assert len(set(made)) == 6


def test_versions_of_libraries_count_where_they_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"torch": "2.9.1", "pillow": "11.0.0", "lightgbm": "4.6.0"}
    monkeypatch.setattr(libraries, "version_of", known.get)
    split = SplitSpec()

    def made() -> list[str]:
        return [
            fit_network.key(JOB, STATISTICS, SPECIMENS, RUNTIME).digest,
            measure_table.key(IMAGES, RUNTIME).digest,
            folds_key(split, 1, DIGESTS, (["feature"], np.ones(3, np.float32))).digest,
        ]

    before = made()
    known |= {"torch": "2.9.2", "lightgbm": "4.6.1"}
    assert made() == before
    known |= {"torch": "2.10.0", "pillow": "11.0.1", "lightgbm": "4.7.0"}
    assert [one == other for one, other in zip(made(), before, strict=True)] == [False, False, False]


def test_every_field_of_the_data_section_is_in_the_key_of_the_table() -> None:
    reasons = {"cache": "how pixels are kept", "review": "decisions come after the audit, with a digest of their own"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = read_table.key(DATA).digest
        external = DATA.model_copy(update={"external": ["other.csv"]})
        assert read_table.key(external).digest != before
        same = {
            path
            for path, other in changed_sections(DATA)
            if path != "external" and read_table.key(other).digest == before
        }
    assert same == reasons.keys()


def test_tables_of_one_name_in_two_folders_both_count(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.csv").write_text("a")
    spec = DATA.model_copy(update={"train": f"{tmp_path}/one/t.csv", "external": [f"{tmp_path}/two/t.csv"]})
    seen = {read_table.key(spec).digest}
    for name in ("one", "two"):
        (tmp_path / name / "t.csv").write_text("b")
        seen.add(read_table.key(spec).digest)
    assert len(seen) == 3


TABLES = {
    "classes": ("a", "c"),
    "kind": "multilabel",
    "taxonomy": pl.DataFrame({"class": ["a", "b"], "genus": ["x", "y"]}),
}
COLUMNS = {"id": ["a", "c"], "role": ["test", "test"], "files": [["x.png"], ["z.png"]]}
OTHER_COLUMNS = {"sample": ["a", "a"], "labels": [[1], None], "domain": ["one", "one"], "group.plate": ["P", "P"]}


def test_the_pass_over_the_pixels_hangs_on_the_files_and_on_how_they_are_read_alone() -> None:
    before = measure_table.key(IMAGES, RUNTIME).digest
    for field in fields(ImageTable):
        if field.name != "frame" and field.name not in TABLES:  # whatever says how files are read
            other = replace(IMAGES, **{field.name: ("other",)})
            assert measure_table.key(other, RUNTIME).digest != before, field.name
    for name, value in TABLES.items():  # a corrected label decodes nothing
        assert measure_table.key(replace(IMAGES, **{name: value}), RUNTIME).digest == before, name
    assert set(IMAGES.frame.columns) == COLUMNS.keys() | OTHER_COLUMNS.keys()
    for columns, same in ((COLUMNS, False), (OTHER_COLUMNS, True)):
        for name, values in columns.items():
            frame = IMAGES.frame.with_columns(pl.Series(name, values))
            assert (measure_table.key(replace(IMAGES, frame=frame), RUNTIME).digest == before) is same, name
    parted = IMAGES.frame.with_columns(files=pl.Series([["x.png", "y.png"], []], dtype=pl.List(pl.String)))
    assert measure_table.key(replace(IMAGES, frame=parted), RUNTIME).digest != before


PLANS = {
    "fill": (0.5,),
    "shape": (9, 1, 32, 40),
    "depth": "uint16",
    "resize_mode": "stretch",
    "skipped": frozenset({1}),
    "scale": 0.5,
}


def test_every_field_of_a_plan_of_stored_images_is_in_its_key() -> None:
    plan = CacheFormat((9, 1, 32, 32), "uint8", "fit")
    assert {field.name for field in fields(CacheFormat)} == PLANS.keys()
    before = build_cached_pixels.key(plan, 32, context_of(STATISTICS)).digest
    for name, value in PLANS.items():
        assert build_cached_pixels.key(replace(plan, **{name: value}), 32, context_of(STATISTICS)).digest != before, (
            name
        )
    other = replace(STATISTICS, frame=pl.DataFrame({"digest": [f"e{row}" for row in range(9)]}))
    assert build_cached_pixels.key(plan, 32, context_of(other)).digest != before


def test_every_field_of_audit_and_split_is_in_their_keys() -> None:
    assert same_keys(AuditSpec(), lambda spec: audit_table.key(spec, DIGESTS, IMAGES, STATISTICS)) == set()
    assert same_keys(SplitSpec(), lambda spec: folds_key(spec, 1, DIGESTS)) == set()
    for name in DIGESTS:
        other = {**DIGESTS, name: "other"}
        assert folds_key(SplitSpec(), 1, other) != folds_key(SplitSpec(), 1, DIGESTS) or name == "statistics"
    assert folds_key(SplitSpec(), 2, DIGESTS) != folds_key(SplitSpec(), 1, DIGESTS)
    befores = (None, {}, {"s1": 0}, {"s1": 1}, {"s1": 0, "s2": 0})
    assert len({folds_key(SplitSpec(), 1, DIGESTS, None, before).digest for before in befores}) == len(befores)
    turned = folds_key(SplitSpec(), 1, DIGESTS, None, {"s2": 0, "s1": 0})
    assert turned == folds_key(SplitSpec(), 1, DIGESTS, None, befores[-1])


def test_every_section_of_a_recipe_reaches_a_step_or_has_its_reason() -> None:
    steps = {"data", "audit", "split", "models", "seed"}
    reasons = {
        "name": "of folders",
        "metric": "scores are computed anew in every run",
        "run": "becomes the runtime",
        "ensemble": "fitted anew in every run",
        "calibration": "fitted anew in every run",
        "submission": "of a table",
        "decision": "fitted anew in every run",
        "final_model": "which jobs there are",
        "report": "in the keys of its pictures",
    }
    assert set(Recipe.model_fields) == steps | reasons.keys()


def test_a_pseudo_label_section_counts_where_labels_join() -> None:
    assert set(PseudoLabelsSpec.model_fields) >= {"weight", "ramp_epochs", "rounds", "roles"}
    plain = replace(JOB, pseudo_round=0, pseudo_rows=np.empty(0, np.int64))
    other = MODEL.model_copy(update={"pseudo_labels": PseudoLabelsSpec(weight=0.25)})
    assert fit_network.key(replace(plain, model=other), STATISTICS, SPECIMENS, RUNTIME).digest == (
        fit_network.key(plain, STATISTICS, SPECIMENS, RUNTIME).digest
    )


def test_the_plan_of_a_budget_is_kept_across_a_review_and_hangs_on_the_weights_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = Recipe.model_validate({"data": {"train": "t.csv", "images": "{id}.png"}})

    def key_of(**more: str) -> str:
        data = context_of(digests={**DIGESTS, **more}).data
        return budgeting.make_plan.key(recipe, (), data, RUNTIME, 600.0, 0.0).digest

    monkeypatch.setattr(budgeting, "weights_identity", lambda *_: "random")
    before = key_of()
    assert key_of(review="decisions") == before
    assert key_of(statistics="other") != before
    monkeypatch.setattr(budgeting, "weights_identity", lambda *_: "lite 0123")
    assert key_of() != before
