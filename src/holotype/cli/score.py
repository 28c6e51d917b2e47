"""Command `score`: predictions of any tool."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from holotype.cli.output import CommandResult, IntervalCell, Table, TextLine
from holotype.cli.tables import score_lines, score_table
from holotype.core.errors import InputError, pluralize
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.evaluation.score_predictions import ModelComparison, PredictionScores, score_tables
from holotype.evaluation.tables import to_json_value


def score_predictions(tables: Sequence[Path], out: Path | None, progress: Progress, **options: Any) -> CommandResult:
    """Score tables of predictions, show the scores and the paired differences, and write them if a folder is given.

    `options` are those of `holotype.evaluation.score_predictions.score_tables`.
    """
    if out is not None and (out / "recipe.yaml").is_file():
        raise InputError(f"{str(out)!r} is the folder of a run", field="--out", remedy="name another folder")
    result = score_tables(list(tables), **options)
    for note in dict.fromkeys(note for model in result.models for note in model.notes):
        progress.info(f"note: {note}")
    files = {} if out is None else _write(result, out)
    comparisons = [_comparison_to_json(comparison) for comparison in result.comparisons]
    models = [{"name": model.name, "notes": list(model.notes), **model.scores} for model in result.models]
    data = {"metric": result.metric, "models": models, "comparisons": comparisons, "files": files}
    written = [f"Written to {path}" for path in files.values()]
    if len(result.models) == 1:
        scores = result.scores
        blocks = [*score_table(scores), *(TextLine(line) for line in written)]
        return CommandResult([*score_lines(scores), *written], data, blocks)
    lines = [f"{model.name}: {line}" for model in result.models for line in score_lines(model.scores)]
    sentences = [_sentence(comparison, result.metric) for comparison in result.comparisons]
    blocks = [
        _model_table(result),
        _difference_table(result),
        *(TextLine(note, "note") for comparison in result.comparisons for note in comparison.notes),
        *(TextLine(line) for line in written),
    ]
    return CommandResult([*lines, *sentences, *written], data, blocks)


def _write(result: PredictionScores, out: Path) -> dict[str, Path]:
    """Write `scores.json` as in a run; of several models one each, and `comparisons.json`."""
    folder = RunFolder(out)
    if len(result.models) == 1:
        folder.write_json("scores.json", result.scores)
        return {"scores": out / "scores.json"}
    files = {}
    for number, model in enumerate(result.models, 1):
        name = f"{number}-{re.sub(r'[^A-Za-z0-9_-]+', '-', model.name)[:60]}/scores.json"
        folder.write_json(name, model.scores)
        files[model.name] = out / name
    folder.write_json("comparisons.json", [_comparison_to_json(comparison) for comparison in result.comparisons])
    return files | {"comparisons": out / "comparisons.json"}


def _comparison_to_json(comparison: ModelComparison) -> dict[str, Any]:
    metrics = {
        name: {**asdict(difference), "p_adjusted": comparison.adjusted[name]}
        for name, difference in comparison.metrics.items()
    }
    fields = {
        "model": comparison.model,
        "against": comparison.against,
        "samples": comparison.samples,
        "independent_groups": comparison.independent_groups,
        "metrics": metrics,
        "groups": comparison.groups,
        "notes": list(comparison.notes),
    }
    content: dict[str, Any] = to_json_value(fields)
    return content


def _model_table(result: PredictionScores) -> Table:
    rows = []
    for model in result.models:
        metric = model.scorecard.metrics[result.metric]
        rows.append(
            (
                model.name,
                IntervalCell(metric.value, metric.low, metric.high),
                f"{metric.low:.3f} to {metric.high:.3f}",
                f"{pluralize(metric.samples, 'sample')} in {pluralize(metric.groups, 'independent group')}",
            )
        )
    return Table(("model", f"{result.metric}, 0 to 1", "95 %", "on"), rows, title="Scores")


def _difference_table(result: PredictionScores) -> Table:
    rows = []
    for comparison in result.comparisons:
        difference = comparison.metrics[result.metric]
        rows.append(
            (
                comparison.model,
                f"{difference.value:+.3f}",
                f"{difference.low:+.3f} to {difference.high:+.3f}",
                f"{comparison.adjusted[result.metric]:.3f}",
                _better_groups(comparison.groups),
            )
        )
    return Table(
        ("model", "difference>", "95 %", "p (Holm)>", "better in"),
        rows,
        title=f"Paired differences of {result.metric} from {result.models[0].name}",
        below=f"p adjusted for {pluralize(len(rows), 'comparison')}; below 0.05: unlikely to be chance",
    )


def _sentence(comparison: ModelComparison, metric: str) -> str:
    difference, p_value = comparison.metrics[metric], comparison.adjusted[metric]
    verdict = "different" if p_value < 0.05 else "not significantly different"
    better = _better_groups(comparison.groups)
    return (
        f"{comparison.model} against {comparison.against}: {verdict}: {metric} {difference.value:+.3f} "
        f"({difference.low:+.3f} to {difference.high:+.3f}), p {p_value:.3f} adjusted by Holm, on "
        f"{pluralize(comparison.samples, 'shared sample')} in "
        f"{pluralize(comparison.independent_groups, 'independent group')}{'; better in ' + better if better else ''}"
    )


def _better_groups(groups: Sequence[Mapping[str, Any]]) -> str:
    """Number of groups with a higher score, of the first group column."""
    column = groups[0]["column"] if groups else None
    differences = [row["value"] for row in groups if row["column"] == column and row["value"] is not None]
    if not differences:
        return ""
    return f"{sum(value > 0 for value in differences)} of {pluralize(len(differences), str(column))}"
