"""What the commands that look at data before any training do: what there is, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holotype.api import default_run_folder
from holotype.cache import RunLog, Stages, Store
from holotype.cli.output import CodeBlock, CommandResult, Table, TextLine
from holotype.core.errors import join_names, pluralize
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.inspect.inspect_folder import FolderFindings, inspect_folder
from holotype.inspect.propose import propose
from holotype.inspect.write_recipe import write_recipe
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.run import make_runtime, prepare
from holotype.pipeline.write_run import write_audit, write_audit_page
from holotype.recipe.load import Recipe, load_recipe

__all__ = ["audit_data", "check_data", "propose_recipe"]


def propose_recipe(data: Path, output: Path, force: bool, progress: Progress) -> CommandResult:
    """Look at images and their table, and write a recipe for them.

    Args:
        data: A folder of images, or a table.
        output: The recipe to write.
        force: Replace what is there.
        progress: Where news of the work goes.
    """
    findings = inspect_folder(data)
    proposal = propose(findings)
    text = write_recipe(proposal, output, force)
    notes = [*_notes_on_rewritten(findings), *proposal.warnings, *proposal.questions]
    for sentence in notes:
        progress.info(f"note: {sentence}")
    progress.info(f"Written to {output}. Read it, then: holotype run {output}")
    return CommandResult([text], {"recipe": output, "text": text, "notes": notes}, [CodeBlock(text)])


def _notes_on_rewritten(findings: FolderFindings) -> list[str]:
    """Tables of an earlier look at the same folders: they are passed over, whether or not they are written anew."""
    if not findings.rewritten:
        return []
    names = join_names(path.name for path in findings.rewritten)
    were = "was" if len(findings.rewritten) == 1 else "were"
    return [
        f"{names} {were} written from the folders by an earlier `holotype new` and {were} not read: the folders "
        "say the classes; to use such a table, name it (`holotype new train.csv`)"
    ]


def check_data(recipe: Recipe, path: Path, progress: Progress) -> CommandResult:
    """Read, measure, audit and divide, and say what there is.

    Args:
        recipe: From `load_recipe`.
        path: Its file.
        progress: Where news of the work goes.
    """
    log = make_runtime(recipe, path.resolve().parent).store / "check.jsonl"
    return _summarize_data(
        _prepare_data(recipe, path, log, progress), f"{path} and its data are valid.", {"recipe": path}
    )


def audit_data(path: Path, changes: tuple[str, ...], out: Path | None, progress: Progress) -> CommandResult:
    """Audit the data of a recipe and write tables and a page of what was found.

    Args:
        path: The recipe's file.
        changes: As in `--set`.
        out: The run's folder.
        progress: Where news of the work goes.
    """
    recipe = load_recipe(path, changes)
    folder = RunFolder(out or default_run_folder(recipe, path))
    prepared = _prepare_data(recipe, path, folder.path("log.jsonl"), progress)
    with folder.amended() as new:
        write_audit(prepared, new)
    write_audit_page(prepared, folder, recipe.name)
    written, page = folder.root / "audit", folder.root / "audit" / "report.html"
    last = f"Written to {written}; the page is {page}"
    return _summarize_data(prepared, last, {"recipe": path, "written": written, "page": page})


def _prepare_data(recipe: Recipe, path: Path, log: Path, progress: Progress) -> PreparedData:
    runtime = make_runtime(recipe, path.resolve().parent, progress=progress)
    log.parent.mkdir(parents=True, exist_ok=True)
    return prepare(recipe, Stages(Store(runtime.store), RunLog(log), runtime.progress), runtime)


def _summarize_data(prepared: PreparedData, last: str, extra: Mapping[str, Any]) -> CommandResult:
    frame = prepared.images.frame
    counts = dict(frame["role"].value_counts(sort=True).iter_rows())
    shape_columns = ["channels", "height", "width", "depth"]
    measured = prepared.statistics.frame.drop_nulls(shape_columns)
    shapes = measured.group_by(shape_columns).len().sort("len", *shape_columns, descending=True)
    shape = _describe_shapes(shapes.rows())
    roles = ", ".join(f"{count:,} {role}" for role, count in counts.items())
    classes, kind = len(prepared.images.classes), prepared.images.kind
    lines = [
        f"Images: {roles}; {shape}",
        f"Classes: {classes} ({kind}); folds: {prepared.folds.count}",
        *(f"note: {warning}" for warning in prepared.warnings),
        last,
    ]
    rows = [
        ("images", roles),
        ("form", shape),
        ("classes", f"{classes:,} ({kind})"),
        ("folds", str(prepared.folds.count)),
    ]
    data = {
        **extra,
        "images": counts,
        "forms": shapes.to_dicts(),
        "classes": list(prepared.images.classes),
        "kind": kind,
        "folds": prepared.folds.count,
        "notes": list(prepared.warnings),
    }
    notes = [TextLine(warning, "note") for warning in prepared.warnings]
    return CommandResult(lines, data, [Table(("", ""), rows), *notes, TextLine(last, "done")])


def _describe_shapes(shapes: Sequence[tuple[int, int, int, str, int]]) -> str:
    """The most frequent form of the images, and how many others there are.

    Args:
        shapes: Channels, height, width, depth and count of each form, the most frequent first.
    """
    if not shapes:
        return "no image files"
    channels, height, width, depth, _ = shapes[0]
    others = f" and {pluralize(len(shapes) - 1, 'other form')}" if len(shapes) > 1 else ""
    return f"{pluralize(channels, 'channel')}, {width}x{height} pixels, {depth}{others}"
