"""Commands `init`, `check` and `audit`, which only look at data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from holotype.api import default_run_folder, init, prepare_data, summarize_data
from holotype.cli.output import CodeBlock, CommandResult, Table, TextLine
from holotype.core.errors import pluralize
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.networks import resolve_weights
from holotype.networks.catalog import is_noncommercial
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.write_run import write_audit, write_audit_page
from holotype.recipe.load import Recipe, load_recipe


def propose_recipe(
    data: Path, output: Path, force: bool, progress: Progress, changes: tuple[str, ...] = ()
) -> CommandResult:
    """Inspect a folder or table and write a recipe for it, with the answers of `--set`."""
    proposed = init(data, output, force, changes)
    for sentence in proposed.notes:
        progress.info(f"note: {sentence}")
    command = f"holotype run {output}"
    progress.info(
        f"Written to {output}. Read it, then: {command} (or, to finish in half an hour: {command} --budget 30m)"
    )
    data_out = {"recipe": output, "text": proposed.text, "notes": list(proposed.notes)}
    return CommandResult([proposed.text], data_out, [CodeBlock(proposed.text)])


def check_data(recipe: Recipe, path: Path, progress: Progress) -> CommandResult:
    """Read and audit the data of a recipe, make its folds, and summarize them."""
    prepared = prepare_data(recipe, path.resolve().parent, progress)
    notes = [f"note: {sentence}" for sentence in license_notes(recipe)]
    return _summarize_data(prepared, f"{path} and its data are valid.", {"recipe": path, "licenses": notes}, notes)


def license_notes(recipe: Recipe) -> list[str]:
    """Notes on models whose initial weights have a license that forbids commercial use."""
    notes = []
    for model in recipe.models:
        if model.predictions is None and model.measurements is None:
            license_text = resolve_weights(model.backbone, model.weights).license
            if is_noncommercial(license_text):
                notes.append(f"{model.name}: the license of the weights ({license_text}) forbids commercial use")
    return notes


def audit_data(path: Path, changes: tuple[str, ...], out: Path | None, progress: Progress) -> CommandResult:
    """Audit the data of a recipe; write tables and a page."""
    recipe = load_recipe(path, changes)
    folder = RunFolder(out or default_run_folder(recipe, path))
    prepared = prepare_data(recipe, path.resolve().parent, progress, folder.path("log.jsonl"))
    with folder.amended() as new:
        write_audit(prepared, new)
    write_audit_page(prepared, folder, recipe.name)
    written, page = folder.root / "audit", folder.root / "audit" / "report.html"
    last = f"Written to {written}; the page is {page}"
    files = {"recipe": path, "written": written, "page": page}
    return _summarize_data(prepared, last, files, [_count_problems(prepared)])


def _summarize_data(
    prepared: PreparedData, last: str, extra: Mapping[str, Any], findings: Sequence[str] = ()
) -> CommandResult:
    summary = summarize_data(prepared)
    shape = _describe_shapes([tuple(form.values()) for form in summary.forms])
    roles = ", ".join(f"{count:,} {role}" for role, count in summary.images.items())
    classes, kind = len(summary.classes), summary.kind
    lines = [
        f"Images: {roles}; {shape}",
        f"Classes: {classes} ({kind}); folds: {summary.folds}",
        *findings,
        *(f"note: {warning}" for warning in summary.notes),
        last,
    ]
    rows = [("images", roles), ("form", shape), ("classes", f"{classes:,} ({kind})"), ("folds", str(summary.folds))]
    notes = [*map(TextLine, findings), *(TextLine(warning, "note") for warning in summary.notes)]
    return CommandResult(lines, {**extra, **asdict(summary)}, [Table(("", ""), rows), *notes, TextLine(last, "done")])


def _count_problems(prepared: PreparedData) -> str:
    """Numbers of duplicate and unreadable images, which are said even if there are none."""
    clusters = prepared.audit.clusters
    count = clusters["cluster"].n_unique()
    duplicates = f"{pluralize(clusters.height, 'image')} in {pluralize(count, 'cluster')}" if count else "none"
    return f"Duplicates: {duplicates}; unreadable images: {len(prepared.audit.unreadable):,}"


def _describe_shapes(shapes: Sequence[tuple[int, int, int, str, int]]) -> str:
    if not shapes:
        return "no image files"
    channels, height, width, depth, _ = shapes[0]
    others = f" and {pluralize(len(shapes) - 1, 'other form')}" if len(shapes) > 1 else ""
    return f"{pluralize(channels, 'channel')}, {width}x{height} pixels, {depth}{others}"
