"""Export of a finished run: one graph in a file, checked against the run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from holotype.core.errors import InputError, join_names
from holotype.core.table_files import read_parquet
from holotype.recipe.sections import ModelSpec
from holotype.runs.export.example import write_example
from holotype.runs.export.export_check import GraphModel, compare_with_run, covers_whole_run
from holotype.runs.export.formats import load_session, require_extra, write_graph
from holotype.runs.export.model_card import decision_facts, model_card, simple_rule, weight_provenance
from holotype.runs.export.onnx_graph import CalibratedGraph, EnsembleGraph, model_graph
from holotype.runs.export.unsupported import require_exportable_ensemble, require_exportable_model
from holotype.runs.fitted_run import FittedRun
from holotype.runs.stored import open_network
from holotype.training import launch_fabric
from holotype.types import Calibration

VIEWS = ("none", "flips", "d4")


@dataclass(frozen=True)
class ExportOptions:
    """Export options.

    Args:
        model: Name of a single model; None exports the ensemble.
        form: `onnx` or `torch`.
        views: Test-time augmentation instead of the recipe's: `none`, `flips` or `d4`.
    """

    model: str | None = None
    form: str = "onnx"
    views: str | None = None
    domain: str | None = None


@dataclass(frozen=True)
class ExportResult:
    """Export result."""

    folder: Path
    files: tuple[str, ...]
    card: Mapping[str, Any]


def export_run(fitted_run: FittedRun, folder: Path, options: ExportOptions) -> ExportResult:
    """Export the networks of a run as one graph with a card and an example, and check it."""
    require_extra(options.form)
    if options.views is not None and options.views not in VIEWS:
        raise InputError("unknown views", field="--views", value=options.views, allowed=VIEWS)
    launch_fabric(fitted_run.runtime)
    graph_models = _select_graph_models(fitted_run, options)
    graph = _build_graph(fitted_run, graph_models, options.domain)
    first = graph_models[0].checkpoints[0].card
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        fitted_run.runtime.progress.info(f"Writing {_describe_contents(graph_models)} as {options.form} ...")
        shape = (first["channels"], *first["canvas"])
        path = write_graph(graph, shape, options.form, temporary, {"holotype.classes": json.dumps(first["classes"])})
        check = compare_with_run(
            fitted_run, graph_models, load_session(path, fitted_run.runtime.thread_count), options.domain
        )
        card = (
            model_card(first, _pixel_type(fitted_run), path)
            | _card_fields(fitted_run, graph_models, options)
            | {"check": check}
        )
        card |= {"training": {**fitted_run.training_ranges.training, "fill": list(first["normalization"]["mean"])}}
        text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (temporary / "card.json").write_text(text, encoding="utf-8")
        write_example(temporary, options.form)
        folder.mkdir(parents=True, exist_ok=True)
        files = sorted(temporary.iterdir(), key=lambda file: file.name == "card.json")  # a card means a complete export
        for file in files:
            file.replace(folder / file.name)
    except OSError as error:
        raise InputError(f"{str(folder)!r} cannot be written: {error.strerror}", remedy="give another -o") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ExportResult(folder, tuple(file.name for file in files), card)


def _select_graph_models(fitted_run: FittedRun, options: ExportOptions) -> list[GraphModel]:
    ensemble, sections = (
        fitted_run.ensemble,
        {name: entry for entry in fitted_run.recipe.models for name in entry.names},
    )
    networks = [name for name, entry in sections.items() if name == entry.name and entry.reads_images]
    if options.model is not None and options.model not in sections:
        raise InputError("unknown model", field="--model", value=options.model, allowed=networks)
    selected = list(sections) if options.model is None else [options.model]
    alone = len(selected) == 1
    for name in selected:
        require_exportable_model(sections[name], name, options.views or sections[name].predict.tta, alone, networks)
    graph_models = [_make_graph_model(fitted_run, sections[name], options) for name in selected]
    if options.model is None:
        cards = {entry.name: entry.checkpoints[0].card for entry in graph_models}
        require_exportable_ensemble(
            ensemble, {entry.name: entry.section for entry in graph_models}, cards, options.domain
        )
    domains = sorted({domain for entry in graph_models for domain in entry.routes} | set(ensemble.weights_by_domain))
    if options.domain is not None and options.domain not in domains:
        raise InputError(
            "this domain has no weights or specialists of its own",
            field="--domain",
            value=options.domain,
            allowed=domains,
            remedy="leave --domain out" if not domains else "",
        )
    return graph_models


def _make_graph_model(fitted_run: FittedRun, section: ModelSpec, options: ExportOptions) -> GraphModel:
    index = fitted_run.ensemble.models.index(section.name)
    routes = fitted_run.ensemble.specialist_domains[index] if fitted_run.ensemble.specialist_domains else ()
    if routes and options.domain is None:
        raise InputError(
            f"{section.name!r} has specialists in some domains",
            field="--domain",
            allowed=routes,
            remedy="export one graph per domain: --domain NAME",
        )
    update: dict[str, Any] = {"pooling": fitted_run.ensemble.pools[index]}
    views = section.predict.model_copy(update=update | ({"tta": options.views} if options.views else {}))
    classes, folder = fitted_run.decision.classes, fitted_run.folder
    checkpoints = [open_network(path, classes) for path in folder.checkpoints(section.name)]
    for special in (open_network(path, classes) for path in folder.specialists(section.name)) if routes else ():
        if special.card["domain"] == options.domain and options.domain in routes:
            checkpoints = [special if checkpoint.fold == special.fold else checkpoint for checkpoint in checkpoints]
    if any(checkpoint.card["canvas"] != checkpoints[0].card["canvas"] for checkpoint in checkpoints):
        raise InputError(f"the networks of {section.name!r} read images of different cached sizes")
    return GraphModel(section.name, section.model_copy(update={"predict": views}), routes, tuple(checkpoints))


def _build_graph(fitted_run: FittedRun, graph_models: list[GraphModel], domain: str | None) -> EnsembleGraph:
    ensemble = fitted_run.ensemble
    calibration = fitted_run.calibration if covers_whole_run(fitted_run, graph_models) else Calibration()
    models = [model_graph(entry.checkpoints, entry.section.predict) for entry in graph_models]
    weights = None if ensemble.kind == "vote" else _model_weights(fitted_run, graph_models, domain)
    return EnsembleGraph(models, weights, ensemble.space, CalibratedGraph(calibration, models[0].kind)).eval()


def _pixel_type(fitted_run: FittedRun) -> str | None:
    path = fitted_run.folder.root / "audit" / "statistics.parquet"
    depths = read_parquet(path)["depth"].drop_nulls().unique().to_list() if path.is_file() else []
    return str(np.result_type(*map(np.dtype, depths))) if depths else None


def _model_weights(fitted_run: FittedRun, graph_models: list[GraphModel], domain: str | None) -> tuple[float, ...]:
    return (
        (1.0,)
        if len(graph_models) == 1
        else fitted_run.ensemble.weights_by_domain.get(domain or "", fitted_run.ensemble.weights)
    )


def _describe_contents(graph_models: list[GraphModel]) -> str:
    names = join_names(entry.name for entry in graph_models)
    return f"the model {names}" if len(graph_models) == 1 else f"the ensemble of {names}"


def _card_fields(fitted_run: FittedRun, graph_models: list[GraphModel], options: ExportOptions) -> dict[str, Any]:
    covers_run = covers_whole_run(fitted_run, graph_models)
    name, metric = next(iter(fitted_run.folder.read_json("scores.json")["metrics"].items()))
    first = graph_models[0].checkpoints[0].card
    plate = fitted_run.decision.unique_class_per
    plate_note = (
        "" if plate is None else f"; the run also assigns each class once per {plate}, which needs more than one image"
    )
    return {
        "name": fitted_run.recipe.name,
        "what": _describe_contents(graph_models),
        "format": options.form,
        "domain": options.domain,
        "ensemble": {
            "kind": fitted_run.ensemble.kind if len(graph_models) > 1 else "none",
            "space": fitted_run.ensemble.space,
            "weights": list(_model_weights(fitted_run, graph_models, options.domain)),
        },
        "networks": sum(
            item.card.get("networks", 1) for graph_model in graph_models for item in graph_model.checkpoints
        ),
        "tta": {
            item.name: {"tta": item.section.predict.tta, "pooling": item.section.predict.pooling}
            for item in graph_models
        },
        "tta_as_in_run": options.views is None,
        "samples": "one image; where a sample has several, pool their scores as `tta` says",
        "calibration": fitted_run.calibration.method if covers_run else None,
        "metric": {"name": name, **metric} if covers_run and options.views is None else None,
        "rule": simple_rule(fitted_run.decision if covers_run else None, first["kind"]),
        "rule_note": f"as the run decides{plate_note}"
        if covers_run
        else "default rule: the run's decision was fitted to the scores of all models",
        "decision": decision_facts(fitted_run.decision, fitted_run.calibration) if covers_run else None,
        "weights": [entry for item in graph_models for entry in weight_provenance(item.checkpoints)],
    }
