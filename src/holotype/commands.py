"""What the commands do, as functions that give lines to print."""

from __future__ import annotations

import json
import os
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from holotype.errors import InputError, counted
from holotype.face import default_folder, run
from holotype.finished.opened import open_run
from holotype.pipeline import make_runtime, prepare
from holotype.prepared import Prepared
from holotype.progress import Progress
from holotype.recipe import Recipe, load_recipe
from holotype.road.writing import write_audit, write_audit_page
from holotype.runs import RunFolder
from holotype.store import RunLog, Stages, Store
from holotype.submit import score_columns, write_in_parts

__all__ = ["audit_data", "check_data", "predict_images", "report_lines", "run_recipe", "serve_images"]

SERVING = ("fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn")


def check_data(recipe: Recipe, path: Path) -> Iterator[str]:
    """Read, measure, audit and divide, and say what there is.

    Args:
        recipe: From `load_recipe`.
        path: Its file.
    """
    ready = _prepared(recipe, path, make_runtime(recipe, path.resolve().parent).store / "check.jsonl")
    yield from _findings(ready)
    yield f"{path} and its data are right."


def audit_data(path: Path, changes: tuple[str, ...], out: Path | None) -> Iterator[str]:
    """Audit the data of a recipe and write tables and a page of what was found.

    Args:
        path: The recipe's file.
        changes: As in `--set`.
        out: The run's folder.
    """
    recipe = load_recipe(path, changes)
    folder = RunFolder(out or default_folder(recipe, path))
    ready = _prepared(recipe, path, folder.path("log.jsonl"))
    write_audit(ready, folder)
    write_audit_page(ready, folder, recipe.name)
    yield from _findings(ready)
    yield f"Written to {folder.root / 'audit'}; the page is {folder.root / 'audit' / 'report.html'}"


def run_recipe(
    path: Path, changes: tuple[str, ...], out: Path | None, budget: str | None = None, began: float | None = None
) -> Iterator[str]:
    """Run a recipe and say what came out.

    Args:
        path: The recipe's file.
        changes: As in `--set`.
        out: The run's folder.
        budget: The time that everything may take, as in `10m`.
        began: When that time began, by `time.perf_counter`.
    """
    yield from report_lines(run(path, out, changes, budget, began).folder.root, show=False)


def predict_images(run_folder: Path, images: Sequence[Path], output: Path | None) -> str:
    """Label new images and give the table as CSV, or where it was written.

    Args:
        run_folder: A finished run.
        images: A folder, a table, or files.
        output: A CSV file, or a Parquet file, which holds the scores too; written part by part.
    """
    opened = open_run(run_folder)
    asked = images[0] if len(images) == 1 else list(images)
    if output is None:
        return opened.predict(asked).write_csv()
    output.parent.mkdir(parents=True, exist_ok=True)
    parts = opened.predict_in_parts(asked)
    if output.suffix == ".parquet":
        rows = write_in_parts(output, (table.with_columns(score_columns(said)) for table, said in parts))
    else:
        rows = write_in_parts(output, (table for table, _ in parts))
    return f"{rows:,} predictions written to {output}"


def serve_images(
    run_folder: Path,
    address: tuple[str, int],
    limits: Sequence[str],
    nearest: bool,
    callers: tuple[bool, Sequence[str]],
) -> None:
    """Serve a finished run until a signal says to end.

    Args:
        run_folder: A finished run.
        address: Where to listen: host and port.
        limits: As in `--limit`.
        nearest: Whether training specimens are named.
        callers: Whether other machines may ask without a token, and more names of this server.

    Raises:
        InputError: What a server needs is not installed, or it must not listen there.
    """
    try:
        from holotype.finished.served import serve_run
        from holotype.serve import Place, limits_from, rules_for, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in SERVING:
            raise
        raise InputError("serving needs the extra `serve`", remedy="pip install 'holotype[serve]'") from error
    place, chosen = Place(*address, *callers), limits_from(limits)
    rules_for(place, os.environ.get("HOLOTYPE_TOKEN"))  # better refused now than after the networks are found
    answerer, runtime = serve_run(run_folder, nearest)
    serve(answerer, place, chosen, runtime.thread_count, Progress().say)


def report_lines(run_folder: Path, show: bool) -> Iterator[str]:
    """The score of a finished run in words, and where its files are.

    Args:
        run_folder: The run's folder.
        show: Open the report in a browser.
    """
    folder = RunFolder(run_folder)
    scores: dict[str, Any] = json.loads(folder.existing("scores.json").read_text(encoding="utf-8"))
    name, metric = next(iter(scores["metrics"].items()))
    fresh = metric["next"]
    yield (
        f"{name} {metric['value']:.3f} on {metric['samples']:,} samples in {metric['groups']:,} groups; "
        f"95 % interval {metric['low']:.3f} to {metric['high']:.3f}; a fresh test set of {fresh['rows']:,.0f} rows "
        f"should fall between {fresh['low']:.3f} and {fresh['high']:.3f}"
    )
    page = folder.existing("report.html")
    yield f"Report:     {page}"
    for label, file in (("Submission", "submission.csv"), ("Table", "predictions.csv")):
        if (folder.root / file).is_file():
            yield f"{label + ':':<11} {folder.root / file}"
    if show:
        webbrowser.open(page.resolve().as_uri())


def _prepared(recipe: Recipe, path: Path, log: Path) -> Prepared:
    runtime = make_runtime(recipe, path.resolve().parent)
    log.parent.mkdir(parents=True, exist_ok=True)
    return prepare(recipe, Stages(Store(runtime.store), RunLog(log), runtime.progress), runtime)


def _findings(ready: Prepared) -> Iterator[str]:
    frame = ready.images.frame
    roles = ", ".join(f"{count:,} {role}" for role, count in frame["role"].value_counts(sort=True).iter_rows())
    form = ["channels", "height", "width", "depth"]
    shapes = ready.statistics.frame.group_by(form).len().sort("len", *form, descending=True)
    channels, height, width, depth, _ = shapes.row(0)
    more = shapes.height - 1
    others = f" and {counted(more, 'other form')}" if more else ""
    yield f"Images: {roles}; {counted(channels, 'channel')}, {width}x{height} pixels, {depth}{others}"
    yield f"Classes: {len(ready.images.classes)} ({ready.images.kind}); folds: {ready.folds.count}"
    for warning in ready.warnings:
        yield f"note: {warning}"
