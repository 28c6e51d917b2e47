"""What the commands that look at data before any training do: what there is, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holotype.errors import counted, listing
from holotype.face import default_folder
from holotype.pipeline import make_runtime, prepare
from holotype.plan import Findings, look, propose, write_recipe
from holotype.prepared import Prepared
from holotype.progress import Progress
from holotype.recipe import Recipe, load_recipe
from holotype.road.writing import write_audit, write_audit_page
from holotype.runs import RunFolder
from holotype.store import RunLog, Stages, Store
from holotype.terminal import Answer, Listing, Note, Table

__all__ = ["audit_data", "check_data", "propose_recipe"]


def propose_recipe(data: Path, output: Path, force: bool, progress: Progress) -> Answer:
    """Look at images and their table, and write a recipe for them.

    Args:
        data: A folder of images, or a table.
        output: The recipe to write.
        force: Replace what is there.
        progress: Where news of the work goes.
    """
    findings = look(data)
    proposal = propose(findings)
    text = write_recipe(proposal, output, force)
    notes = [*_notes_on_rewritten(findings), *proposal.warnings, *proposal.questions]
    for sentence in notes:
        progress.say(f"note: {sentence}")
    progress.say(f"Written to {output}. Read it, then: holotype run {output}")
    return Answer([text], {"recipe": output, "text": text, "notes": notes}, [Listing(text)])


def _notes_on_rewritten(findings: Findings) -> list[str]:
    """Tables of an earlier look at the same folders: they are passed over, whether or not they are written anew."""
    if not findings.rewritten:
        return []
    names = listing(path.name for path in findings.rewritten)
    were = "was" if len(findings.rewritten) == 1 else "were"
    return [f"{names} {were} written from the folders by an earlier `holotype new` and {were} not read: the folders "
            "say the classes; to use such a table, name it (`holotype new train.csv`)"]  # fmt: skip


def check_data(recipe: Recipe, path: Path, progress: Progress) -> Answer:
    """Read, measure, audit and divide, and say what there is.

    Args:
        recipe: From `load_recipe`.
        path: Its file.
        progress: Where news of the work goes.
    """
    log = make_runtime(recipe, path.resolve().parent).store / "check.jsonl"
    return _findings(_prepared(recipe, path, log, progress), f"{path} and its data are right.", {"recipe": path})


def audit_data(path: Path, changes: tuple[str, ...], out: Path | None, progress: Progress) -> Answer:
    """Audit the data of a recipe and write tables and a page of what was found.

    Args:
        path: The recipe's file.
        changes: As in `--set`.
        out: The run's folder.
        progress: Where news of the work goes.
    """
    recipe = load_recipe(path, changes)
    folder = RunFolder(out or default_folder(recipe, path))
    ready = _prepared(recipe, path, folder.path("log.jsonl"), progress)
    with folder.amended() as new:
        write_audit(ready, new)
    write_audit_page(ready, folder, recipe.name)
    written, page = folder.root / "audit", folder.root / "audit" / "report.html"
    last = f"Written to {written}; the page is {page}"
    return _findings(ready, last, {"recipe": path, "written": written, "page": page})


def _prepared(recipe: Recipe, path: Path, log: Path, progress: Progress) -> Prepared:
    runtime = make_runtime(recipe, path.resolve().parent, progress=progress)
    log.parent.mkdir(parents=True, exist_ok=True)
    return prepare(recipe, Stages(Store(runtime.store), RunLog(log), runtime.progress), runtime)


def _findings(ready: Prepared, last: str, beside: Mapping[str, Any]) -> Answer:
    frame = ready.images.frame
    counts = dict(frame["role"].value_counts(sort=True).iter_rows())
    form = ["channels", "height", "width", "depth"]
    measured = ready.statistics.frame.drop_nulls(form)
    shapes = measured.group_by(form).len().sort("len", *form, descending=True)
    shape = _shape_words(shapes.rows())
    roles = ", ".join(f"{count:,} {role}" for role, count in counts.items())
    classes, kind = len(ready.images.classes), ready.images.kind
    lines = [
        f"Images: {roles}; {shape}",
        f"Classes: {classes} ({kind}); folds: {ready.folds.count}",
        *(f"note: {warning}" for warning in ready.warnings),
        last,
    ]
    rows = [("images", roles), ("form", shape), ("classes", f"{classes:,} ({kind})"), ("folds", str(ready.folds.count))]
    data = {**beside, "images": counts, "forms": shapes.to_dicts(), "classes": list(ready.images.classes), "kind": kind,
            "folds": ready.folds.count, "notes": list(ready.warnings)}  # fmt: skip
    notes = [Note(warning, "note") for warning in ready.warnings]
    return Answer(lines, data, [Table(("", ""), rows), *notes, Note(last, "done")])


def _shape_words(shapes: Sequence[tuple[int, int, int, str, int]]) -> str:
    """The most frequent form of the images, and how many others there are.

    Args:
        shapes: Channels, height, width, depth and count of each form, the most frequent first.
    """
    if not shapes:
        return "no image files"
    channels, height, width, depth, _ = shapes[0]
    others = f" and {counted(len(shapes) - 1, 'other form')}" if len(shapes) > 1 else ""
    return f"{counted(channels, 'channel')}, {width}x{height} pixels, {depth}{others}"
