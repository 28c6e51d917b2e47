"""What the commands that make a run or ask one do, as functions that give an `Answer`."""

from __future__ import annotations

import json
import os
import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl

from holotype.errors import InputError, StoreError, counted
from holotype.face import run
from holotype.finished.compared import write_comparison
from holotype.finished.exported import Wish
from holotype.finished.exported import export_run as export
from holotype.finished.opened import open_run
from holotype.looks import answer_looks, score_lines, score_looks, stage_looks, trial_looks
from holotype.progress import Progress
from holotype.runs import RunFolder
from holotype.store import Store, damaged, held, prune, size_of
from holotype.submit import score_columns
from holotype.table_files import PARQUET_ENDINGS, require_table_ending, write_table_parts
from holotype.terminal import Answer, Manner, Note, deliver
from holotype.tuning import Search, tune_recipe
from holotype.types import AnyScores
from holotype.why import foresee

__all__ = [
    "compare_runs",
    "explain_run",
    "export_run",
    "look_after_cache",
    "predict_images",
    "report_run",
    "review_run",
    "run_recipe",
    "search_settings",
    "serve_images",
]

FILES = {"report": "report.html", "submission": "submission.csv", "table": "predictions.csv"}
SERVING = ("fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn")


def run_recipe(
    path: Path, changes: tuple[str, ...], out: Path | None, budget: str | None, began: float | None,
    progress: Progress,
) -> Answer:  # fmt: skip
    """Run a recipe and say what came out.

    Args:
        path: The recipe's file.
        changes: As in `--set`.
        out: The run's folder.
        budget: The time that everything may take, as in `10m`.
        began: When that time began, by `time.perf_counter`.
        progress: Where news of the work goes.
    """
    return report_run(run(path, out, changes, budget, began, progress).folder.root, show=False)


def search_settings(path: Path, changes: tuple[str, ...], search: Search, progress: Progress) -> Answer:
    """Search for better settings and say what was found.

    Args:
        path: The recipe's file.
        changes: As in `--set`.
        search: What is asked for.
        progress: Hears of each trial when it has ended.
    """
    found = tune_recipe(path, changes, search, progress)
    trials = [asdict(one) for one in found.trials]
    data = {"trials": trials, "best": asdict(found.best), "judged": found.judged, "page": found.page,
            "recipe": found.recipe}  # fmt: skip
    looks = [*trial_looks(found.trials), *(Note(line) for line in found.lines[-3:])]
    return Answer(found.lines, data, looks)


def predict_images(
    run_folder: Path, images: Sequence[Path], output: Path | None, progress: Progress, skip_unreadable: bool = False
) -> Answer:
    """Label new images: a table as CSV, or where it was written.

    Args:
        run_folder: A finished run.
        images: Folders, tables and files.
        output: A file that ends in .csv, .tsv, .xlsx, or in .parquet, which holds the scores too.
        progress: Where news of the work goes.
        skip_unreadable: Give images that cannot be predicted a row with the reason instead of stopping.
    """
    if output is not None:
        require_table_ending(output, "--output")  # better refused now than after the work
    opened = open_run(run_folder)
    opened = replace(opened, runtime=replace(opened.runtime, progress=progress))
    if output is None:
        table = opened.predict(images, skip_unreadable)
        data = {"run": run_folder, "rows": table.height, **_odd_rows([table]), "predictions": _answers(table)}
        return Answer([table.write_csv()], data, answer_looks(table))
    output.parent.mkdir(parents=True, exist_ok=True)
    odd = []

    def noted() -> Iterator[tuple[pl.DataFrame, AnyScores]]:
        for table, scores in opened.predict_in_parts(images, skip_unreadable=skip_unreadable):
            odd.append(table.select(name for name in ("warning", "error") if name in table.columns))
            yield table, scores

    parts = noted()
    if output.suffix.lower() in PARQUET_ENDINGS:
        rows = write_table_parts((table.with_columns(score_columns(said)) for table, said in parts), output)
    else:
        rows = write_table_parts((table for table, _ in parts), output, byte_order_mark=True)
    line = f"{rows:,} predictions written to {output}"
    data = {"run": run_folder, "rows": rows, **_odd_rows(odd), "file": output}
    return Answer([line], data, [Note(line, "done")])


def _answers(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Predictions for programs: the nearest specimens as a list, which a table holds as text."""
    rows = table.to_dicts()
    for row in rows:
        if row.get("nearest"):
            row["nearest"] = json.loads(row["nearest"])
    return rows


def _odd_rows(tables: Sequence[pl.DataFrame]) -> dict[str, int]:
    """How many samples are unlike the training images, and how many were passed over."""
    counts = {"warnings": "warning", "errors": "error"}
    return {
        key: sum(int(table[name].is_not_null().sum()) for table in tables if name in table.columns)
        for key, name in counts.items()
    }


def export_run(run_folder: Path, output: Path | None, wish: Wish, progress: Progress) -> Answer:
    """Write a run as one graph, with its card and an example.

    Args:
        run_folder: A finished run.
        output: Where to; `NAME.export` beside the run where no folder is given, with the member's and domain's names.
        wish: What is wanted.
        progress: Where news of the work goes.
    """
    opened = open_run(run_folder)
    opened = replace(opened, runtime=replace(opened.runtime, progress=progress))
    parts = [one for one in (wish.member, wish.domain) if one]
    root = run_folder.resolve()
    made = export(opened, output or root.with_name("-".join([f"{root.name}.export", *parts])), wish)
    card, check = made.card, made.card["check"]
    shape = " x ".join(map(str, card["input"]["shape"]))
    example = made.folder / "example.py"
    lines = [
        f"{made.folder / card['file']}: {card['what']}, {counted(card['networks'], 'network')}, "
        f"{card['bytes'] / 1e6:,.1f} MB; input {shape}",
        f"Check:   {check['words']}"
        + ("" if check["largest_difference"] is None else f"; largest difference {check['largest_difference']:.1e} "
           f"on {counted(check['images'], 'image')} of the run"),
        f"Card:    {made.folder / 'card.json'}",
        f"Example: python {example} IMAGE.npy",
    ]  # fmt: skip
    data = {"folder": made.folder, "files": list(made.files), "card": card}
    return Answer(lines, data, [Note(lines[0], "done"), *map(Note, lines[1:])])


def explain_run(run_folder: Path, changes: tuple[str, ...], stage: str | None) -> Answer:
    """What would run again, and because of what.

    Args:
        run_folder: The run's folder.
        changes: As in `--set`, tried without being made.
        stage: Only stages whose name begins with these words.
    """
    stages = foresee(run_folder, changes, stage)
    lines = [f"{one.stage}: {one.words}" for one in stages]
    looks = stage_looks([(one.stage, one.state, one.words) for one in stages])
    return Answer(lines, {"run": run_folder, "stages": [asdict(one) for one in stages]}, looks)


def look_after_cache(action: str, folder: Path, days: float | None = None) -> Answer:
    """List, measure, verify or prune the store of artefacts.

    Args:
        action: `list`, `size`, `verify` or `prune`.
        folder: A store, a recipe beside which it lies, or a run that used it.
        days: Of `prune`: what was not used for so many days goes too.

    Raises:
        InputError: There is no store.
        StoreError: Of `verify`: artefacts are damaged.
    """
    store = Store(_store_of(folder))
    if action == "prune":
        freed = prune(store, days)
        return Answer([f"{store.root}: {freed / 1e6:,.1f} MB freed"], {"store": store.root, "freed": freed})
    if action == "verify":
        faults = damaged(store)
        for place, fault in faults:
            Progress().say(f"damaged: {place}: {fault}")
        if faults:
            raise StoreError(f"{counted(len(faults), 'damaged artefact')} in {store.root}",
                             remedy="`holotype cache prune` removes them; the next run makes them again")  # fmt: skip
        count = len(store.artefacts())
        line = f"{counted(count, 'artefact')} of {store.root}: undamaged"
        return Answer([line], {"store": store.root, "artefacts": count, "damaged": []})
    every = held(store)
    total = f"{counted(len(every), 'artefact')}, {size_of(store.root) / 1e6:,.1f} MB in {store.root}"
    rows = [asdict(one) for one in every] if action == "list" else []
    lines = [f"{one.bytes / 1e6:>10,.1f} MB  {one.idle_days:>6.1f} days  {one.stage}" for one in every if rows]
    return Answer([*lines, total], {"store": store.root, "bytes": size_of(store.root), "artefacts": rows or len(every)})


def _store_of(folder: Path) -> Path:
    """The store that a path means: itself, a run's, or the one beside a recipe."""
    beside, given = folder if folder.is_dir() else folder.resolve().parent, os.environ.get("HOLOTYPE_STORE")
    own, named = beside if (beside / "locks").is_dir() else None, Path(given) if given else None
    choices = [own, named, RunFolder(beside).store(), beside / ".holotype"]
    found = next((one for one in choices if one is not None and one.is_dir()), None)
    if found is None:
        raise InputError(f"there is no store at {str(folder)!r}",
                         remedy="give a recipe that was run, a run's folder, or set HOLOTYPE_STORE")  # fmt: skip
    return found


def serve_images(
    run_folder: Path,
    address: tuple[str, int],
    limits: Sequence[str],
    nearest: bool,
    callers: tuple[bool, Sequence[str]],
    manner: Manner,
) -> None:
    """Serve a finished run until a signal says to end.

    Args:
        run_folder: A finished run.
        address: Where to listen: host and port.
        limits: As in `--limit`.
        nearest: Whether training specimens are named.
        callers: Whether other machines may ask without a token, and more names of this server.
        manner: How its address is told: in a sentence on standard error, or alone on standard output.

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

    def announce(address: str, who: str) -> None:
        if manner.quiet or manner.json:
            deliver(Answer([address], {"run": run_folder, "address": address, "callers": who}), manner)
        else:
            manner.progress.say(f"Serving {answerer.about.run} on {address} ({who}); Ctrl-C ends it.")

    serve(answerer, place, chosen, runtime.thread_count, announce)


def review_run(run_folder: Path, port: int, decisions: Path | None, show: bool, manner: Manner) -> None:
    """Serve the page on which a person reviews a finished run, until it is stopped.

    Args:
        run_folder: The run's folder.
        port: Of the page.
        decisions: The file that decisions are written to.
        show: Open the page in a browser.
        manner: How the page's address is told.
    """
    from holotype.finished.reviewing import open_review

    server = open_review(run_folder, port, decisions)
    notes, count = list(server.record.warnings), len(server.record.standing.decisions)
    for note in notes:
        manner.progress.say(f"note: {note}")
    lines = [
        f"Decisions:  {server.record.path} ({counted(count, 'decision')} so far)",
        f"Review:     {server.address}  (Ctrl-C ends it; nothing that was saved is lost)",
    ]
    data = {"run": run_folder, "page": server.address, "decisions": server.record.path, "count": count, "notes": notes}
    deliver(Answer(lines, data), manner)
    if show:
        webbrowser.open(server.address)
    server.serve()


def report_run(run_folder: Path, show: bool) -> Answer:
    """The score of a finished run, and where its files are.

    Args:
        run_folder: The run's folder.
        show: Open the report in a browser.
    """
    folder = RunFolder(run_folder)
    scores = folder.read_json("scores.json")
    files = {label: folder.root / file for label, file in FILES.items() if (folder.root / file).is_file()}
    if show:
        webbrowser.open(folder.existing("report.html").resolve().as_uri())
    where = [f"{label.capitalize() + ':':<11} {file}" for label, file in files.items()]
    looks = [*score_looks(scores), *(Note(line) for line in where)]
    name = next(iter(scores["metrics"]), None)
    nothing = dict.fromkeys(("value", "low", "high", "next", "samples", "groups", "how"))  # `groups` is a number here
    own = nothing if name is None else scores["metrics"][name]
    data = {**scores, "run": folder.root, "metric": name, **own, "files": files}
    return Answer([*score_lines(scores), *where], data, looks)


def compare_runs(run_folders: Sequence[Path], output: Path, show: bool) -> Answer:
    """What differs between finished runs, and where the page is that shows it.

    Args:
        run_folders: The others are compared with the first.
        output: The page.
        show: Open it in a browser.
    """
    lines = list(write_comparison(run_folders, output))
    if show:
        webbrowser.open(output.resolve().as_uri())
    return Answer(lines, {"page": output, "runs": list(run_folders), "said": lines}, [Note(line) for line in lines])
