"""Commands that make or use a run, as functions that return a `CommandResult`."""

from __future__ import annotations

import json
import os
import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holotype.cli.output import CommandResult, OutputOptions, TextLine, print_result
from holotype.cli.tables import prediction_table, score_lines, score_table, trial_table
from holotype.core.errors import InputError, StoreError, pluralize
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.core.stop import stopping_on_signals
from holotype.core.table_files import PARQUET_SUFFIXES, require_table_suffix, write_table_parts

if TYPE_CHECKING:
    import polars as pl

    from holotype.runs.export.export_run import ExportOptions
    from holotype.tuning.tune import TuneOptions
    from holotype.types import AnyScores

FILES = {"report": "report.html", "submission": "submission.csv", "table": "predictions.csv"}
SERVER_PACKAGES = ("fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn")


def run_recipe(
    path: Path, changes: tuple[str, ...], out: Path | None, budget: str | None, began: float | None, progress: Progress
) -> CommandResult:
    """Run a recipe and show its score.

    `budget`: time limit, for example `10m`; `began`: start of the budget, by `time.perf_counter`.
    """
    from holotype.api import run

    with stopping_on_signals(progress.info):
        folder = run(path, out, changes, budget, began, progress).folder.root
    return report_run(folder, show=False)


def tune_recipe(path: Path, changes: tuple[str, ...], search: TuneOptions, progress: Progress) -> CommandResult:
    """Tune the hyperparameters of a recipe and show the best trial."""
    from holotype.tuning.tune import run_trials

    with stopping_on_signals(progress.info):
        result = run_trials(path, changes, search, progress)
    trials = [asdict(trial) for trial in result.trials]
    data = {
        "trials": trials,
        "best": asdict(result.best),
        "judged": result.scored_rows,
        "page": result.page,
        "recipe": result.recipe,
    }
    blocks = [*trial_table(result.trials), *(TextLine(line) for line in result.lines[-3:])]
    return CommandResult(result.lines, data, blocks)


def predict_images(
    run_folder: Path,
    images: Sequence[Path],
    output: Path | None,
    progress: Progress,
    skip_unreadable: bool = False,
    measurements: Sequence[str] = (),
) -> CommandResult:
    """Predict new images: print a table as CSV, or write it to a file.

    `output`: file that ends in .csv, .tsv, .xlsx, or in .parquet, which also has the scores; `skip_unreadable`: write a
    row with the reason for an image that cannot be predicted, instead of stopping; `measurements`: `TABLE`, or
    `MODEL=TABLE` for each model.
    """
    from holotype.postprocessing.submission import score_columns
    from holotype.runs.fitted_run import open_run

    if output is not None:
        require_table_suffix(output, "--output")  # fail before the work
    _require_run_first(run_folder, images)
    fitted_run = open_run(run_folder)
    fitted_run = replace(fitted_run, runtime=replace(fitted_run.runtime, progress=progress))
    for entry in measurements:
        name, mark, table_path = entry.partition("=")
        tables = {**fitted_run.measurements, name: table_path} if mark else entry
        fitted_run = fitted_run.with_measurements(tables)
    if output is None:
        table = fitted_run.predict(images, skip_unreadable)
        data = {
            "run": run_folder,
            "rows": table.height,
            **_count_flagged_rows([table]),
            "predictions": _prediction_records(table),
        }
        return CommandResult([table.write_csv()], data, prediction_table(table))
    output.parent.mkdir(parents=True, exist_ok=True)
    flagged = []

    def collect_flagged() -> Iterator[tuple[pl.DataFrame, AnyScores]]:
        for table, scores in fitted_run.predict_in_parts(images, skip_unreadable=skip_unreadable):
            flagged.append(table.select(name for name in ("warning", "error") if name in table.columns))
            yield table, scores

    parts = collect_flagged()
    if output.suffix.lower() in PARQUET_SUFFIXES:
        rows = write_table_parts((table.with_columns(score_columns(scores)) for table, scores in parts), output)
    else:
        rows = write_table_parts((table for table, _ in parts), output, byte_order_mark=True)
    line = f"{rows:,} predictions written to {output}"
    data = {"run": run_folder, "rows": rows, **_count_flagged_rows(flagged), "file": output}
    return CommandResult([line], data, [TextLine(line, "done")])


def embed_images(
    source: Path, images: Sequence[Path], output: Path, progress: Progress, model: str | None, fold: int | None
) -> CommandResult:
    """Write the features of images, by a network of a run or the pretrained backbone of a recipe."""
    from holotype.runs.embed import open_embedder

    require_table_suffix(output, "--out")  # fail before the work
    _require_run_first(source, images)
    embedder = open_embedder(source, model, fold, progress)
    rows = embedder.write(images, output)
    line = f"features of {pluralize(rows, 'image')} written to {output} ({embedder.description})"
    data = {"source": source, "rows": rows, "file": output, "model": embedder.model, "network": embedder.description}
    return CommandResult([line], data, [TextLine(line, "done")])


def _require_run_first(run_folder: Path, images: Sequence[Path]) -> None:
    runs = [path for path in images if (path / "scores.json").is_file()]
    if runs and not (run_folder / "scores.json").is_file():
        raise InputError(
            f"{str(run_folder)!r} is not a finished run, but {str(runs[0])!r} is",
            remedy="the run comes first: holotype predict RUN IMAGES",
        )


def _prediction_records(table: pl.DataFrame) -> list[dict[str, Any]]:
    rows = table.to_dicts()
    for row in rows:
        if row.get("nearest"):
            row["nearest"] = json.loads(row["nearest"])
    return rows


def _count_flagged_rows(tables: Sequence[pl.DataFrame]) -> dict[str, int]:
    counts = {"warnings": "warning", "errors": "error"}
    return {
        key: sum(int(table[name].is_not_null().sum()) for table in tables if name in table.columns)
        for key, name in counts.items()
    }


def export_run(run_folder: Path, output: Path | None, options: ExportOptions, progress: Progress) -> CommandResult:
    """Export a run as one graph, with a model card and an example.

    `output`: default: `NAME.export` beside the run, with the names of model and domain.
    """
    from holotype.runs.export.export_run import export_run as export
    from holotype.runs.fitted_run import open_run

    fitted_run = open_run(run_folder)
    fitted_run = replace(fitted_run, runtime=replace(fitted_run.runtime, progress=progress))
    parts = [name for name in (options.model, options.domain) if name]
    root = run_folder.resolve()
    result = export(fitted_run, output or root.with_name("-".join([f"{root.name}.export", *parts])), options)
    card, check = result.card, result.card["check"]
    shape = " x ".join(map(str, card["input"]["shape"]))
    example = result.folder / "example.py"
    lines = [
        f"{result.folder / card['file']}: {card['what']}, {pluralize(card['networks'], 'network')}, "
        f"{card['bytes'] / 1e6:,.1f} MB; input {shape}",
        f"Check:   {check['words']}"
        + (
            ""
            if check["largest_difference"] is None
            else f"; largest difference {check['largest_difference']:.1e} "
            f"on {pluralize(check['images'], 'image')} of the run"
        ),
        f"Card:    {result.folder / 'card.json'}",
        f"Example: python {example} IMAGE.npy",
    ]
    licenses = sorted({entry["license"] for entry in card["weights"] if entry["forbids_commercial_use"]})
    if licenses:
        lines.append(f"Note:    the license of the initial weights forbids commercial use: {'; '.join(licenses)}")
    data = {"folder": result.folder, "files": list(result.files), "card": card}
    return CommandResult(lines, data, [TextLine(lines[0], "done"), *map(TextLine, lines[1:])])


def manage_cache(action: str, folder: Path, days: float | None = None) -> CommandResult:
    """List, measure, verify or prune the cache. `days`: for `prune`: also remove entries unused for this many days."""
    from holotype.cache import Store, find_damaged, list_stored_artifacts, prune, size_of

    store = Store(_find_store(folder))
    if action == "prune":
        freed = prune(store, days)
        return CommandResult([f"{store.root}: {freed / 1e6:,.1f} MB freed"], {"store": store.root, "freed": freed})
    if action == "verify":
        faults = find_damaged(store)
        for path, fault in faults:
            Progress().info(f"damaged: {path}: {fault}")
        if faults:
            raise StoreError(
                f"{pluralize(len(faults), 'damaged artifact')} in {store.root}",
                remedy="`holotype cache prune` removes them; the next run computes them again",
            )
        count = len(store.list_artifacts())
        line = f"{pluralize(count, 'artifact')} in {store.root} verified, none is damaged"
        return CommandResult([line], {"store": store.root, "artifacts": count, "damaged": []})
    artifacts = list_stored_artifacts(store)
    total = f"{pluralize(len(artifacts), 'artifact')}, {size_of(store.root) / 1e6:,.1f} MB in {store.root}"
    rows = [asdict(artifact) for artifact in artifacts] if action == "list" else []
    lines = [
        f"{artifact.bytes / 1e6:>10,.1f} MB  {artifact.idle_days:>6.1f} days  {artifact.step}"
        for artifact in artifacts
        if rows
    ]
    return CommandResult(
        [*lines, total], {"store": store.root, "bytes": size_of(store.root), "artifacts": rows or len(artifacts)}
    )


def _find_store(folder: Path) -> Path:
    base, environment_store = folder if folder.is_dir() else folder.resolve().parent, os.environ.get("HOLOTYPE_STORE")
    base_store, named = (
        base if (base / "locks").is_dir() else None,
        Path(environment_store) if environment_store else None,
    )
    choices = [base_store, named, RunFolder(base).store(), base / ".holotype"]
    store = next((path for path in choices if path is not None and path.is_dir()), None)
    if store is None:
        raise InputError(
            f"there is no cache at {str(folder)!r}",
            remedy="give a recipe that was run or a run folder, or set HOLOTYPE_STORE",
        )
    return store


def serve_run(
    run_folder: Path,
    limits: Sequence[str],
    nearest: bool,
    options: OutputOptions,
    *,
    host: str,
    port: int,
    anonymous: bool = False,
    hosts: Sequence[str] = (),
) -> None:
    """Serve a finished run until a signal. `port`: 0 takes a free one."""
    try:
        from holotype.runs.serve import load_predictor
        from holotype.serve import BindAddress, access_policy, limits_from, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in SERVER_PACKAGES:
            raise
        raise InputError("serving needs the extra `serve`", remedy="pip install 'holotype[serve]'") from error
    bind_address, request_limits = BindAddress(host, port, anonymous, hosts), limits_from(limits)
    access_policy(bind_address, os.environ.get("HOLOTYPE_TOKEN"))  # fail before the networks are loaded
    predictor, runtime = load_predictor(run_folder, nearest)

    def announce(address: str, who: str) -> None:
        if options.quiet or options.json:
            print_result(CommandResult([address], {"run": run_folder, "address": address, "callers": who}), options)
        else:
            options.progress.info(f"Serving {predictor.about.run} on {address} ({who}); press Ctrl-C to stop.")

    serve(predictor, bind_address, request_limits, runtime.thread_count, announce)


def review_run(run_folder: Path, port: int, decisions: Path | None, show: bool, options: OutputOptions) -> None:
    """Serve the review page of a finished run until it is stopped."""
    from holotype.runs.review import open_review, review_key_hint

    server = open_review(run_folder, port, decisions)
    notes, count = list(server.record.warnings), len(server.record.active.decisions)
    for note in notes:
        options.progress.info(f"note: {note}")
    lines = [
        f"Decisions:  {server.record.path} ({pluralize(count, 'decision')} so far)",
        f"Review:     {server.address}  (press Ctrl-C to stop; saved decisions are kept)",
    ]
    hint = review_key_hint(run_folder, server.record.path)
    lines += [] if hint is None else [hint]
    data = {"run": run_folder, "page": server.address, "decisions": server.record.path, "count": count, "notes": notes}
    print_result(CommandResult(lines, data), options)
    if show:
        webbrowser.open(server.address)
    server.serve()


def report_run(run_folder: Path, show: bool) -> CommandResult:
    """Show the score of a finished run and the paths of its files."""
    folder = RunFolder(run_folder)
    scores = folder.read_json("scores.json")
    files = {label: folder.root / file for label, file in FILES.items() if (folder.root / file).is_file()}
    if show:
        webbrowser.open(folder.require("report.html").resolve().as_uri())
    where = _file_lines(files)
    blocks = [*score_table(scores), *(TextLine(line) for line in where)]
    name = next(iter(scores["metrics"]), None)
    empty = dict.fromkeys(
        ("value", "low", "high", "prediction_interval", "samples", "groups", "method")
    )  # `groups` is a number here
    headline = empty if name is None else scores["metrics"][name]
    data = {**scores, "run": folder.root, "metric": name, **headline, "files": files}
    return CommandResult([*score_lines(scores), *where], data, blocks)


def _file_lines(files: dict[str, Path]) -> list[str]:
    lines = {f"{label.capitalize()}:": str(file) for label, file in files.items()}
    if "submission" not in files and "Table:" in lines:
        lines["Predictions:"] = f"{lines.pop('Table:')} (out-of-fold, of the training images)"
    width = max(11, *map(len, lines)) if lines else 0
    return [f"{label:<{width}} {file}" for label, file in lines.items()]


def compare_runs(run_folders: Sequence[Path], output: Path, show: bool) -> CommandResult:
    """Compare finished runs and write the comparison page."""
    from holotype.evaluation.tables import to_json_value
    from holotype.runs.compare import write_comparison

    contents, lines = write_comparison(run_folders, output)
    pairs = [to_json_value(pair) for pair in contents.pairs]
    if show:
        webbrowser.open(output.resolve().as_uri())
    data = {"page": output, "runs": list(run_folders), "lines": lines, "pairs": pairs}
    return CommandResult(lines, data, [TextLine(line) for line in lines])
