"""Rendering of report pages: one HTML file without external resources."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from holotype.core.errors import StoreError
from holotype.core.independence import few_groups_warning
from holotype.report import data_quality, formatting, reliability, sections, taxonomy
from holotype.report.chance import chance_warning, is_chance
from holotype.report.class_graph import class_graph
from holotype.report.compare import CompareData, compare_page
from holotype.report.confusion_matrix import MAX_LABELED, confusion_matrix_svg, row_normalize
from holotype.report.folds_and_duplicates import duplicates, fold_rows
from holotype.report.pictures import pictured
from holotype.report.provenance import provenance
from holotype.report.render import channel_colors, draw_pictures
from holotype.report.report_data import DatasetData, ReportData
from holotype.report.summary import frequent_confusions, next_steps, summarize
from holotype.report.threshold_curves import curve_data
from holotype.report.training import training
from holotype.report.trials import TrialsData, format_setting, trials_page
from holotype.report.vega import vega_script

STYLES = ("style.css", "pictures.css", "charts.css")
LABEL_ERROR_BYTES, PAIR_BYTES = 1_000_000, 1_000_000
MISTAKE_BYTES = 3_000_000
EXAMPLE_BYTES = 1_500_000
MAX_CONFUSIONS = 14
CODE = re.compile(r"`([^`]+)`")
MAX_WEAK_LABEL_ERRORS = 6  # shown of a model that is not better than chance


def write_report(path: Path, contents: DatasetData | TrialsData | CompareData) -> None:
    """Write a report page atomically.

    `path`: usually `report.html` in the run folder. Raises StoreError if the file cannot be written.
    """
    page = _page(contents)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(page.encode("utf-8"))
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"cannot write the report {str(path)!r}: {error.strerror}") from error


def _page(contents: DatasetData | TrialsData | CompareData) -> str:
    if isinstance(contents, CompareData):
        return _render("compare.html.j2", compare_page(contents))
    if isinstance(contents, TrialsData):
        return render_trials(contents)
    return render_report(contents) if isinstance(contents, ReportData) else render_audit(contents)


def render_trials(contents: TrialsData) -> str:
    """Tuning page as one HTML document."""
    return _render("trials.html.j2", trials_page(contents))


def render_report(contents: ReportData) -> str:
    """Run report as one HTML document."""
    return _render("report.html.j2", _report_values(contents))


def render_audit(contents: DatasetData) -> str:
    """Audit page as one HTML document."""
    samples = contents.folds.frame["sample"].n_unique()
    about = f"{contents.folds.frame.height:,} images of {samples:,} samples, {len(contents.classes):,} classes, "
    about += f"{contents.folds.count} folds."
    return _render("audit.html.j2", {"name": contents.name, "words": about, **_data_values(contents)})


@cache
def _environment() -> Environment:
    folder = files("holotype.report")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
    )
    environment.filters |= {
        "score": formatting.format_score,
        "percent": formatting.percent,
        "count": "{:,}".format,
        "setting": format_setting,
    }
    environment.filters["code_spans"] = _mark_code
    environment.filters["signed"] = formatting.format_difference
    return environment


def _render(template: str, values: dict[str, Any]) -> str:
    folder = files("holotype.report")
    style = "".join(folder.joinpath(name).read_text("utf-8") for name in STYLES)
    scripts = [folder.joinpath("script.js").read_text("utf-8")]
    if values.get("pictured", {}).get("moves"):
        scripts += [folder.joinpath("pictures.js").read_text("utf-8")]
    if values.get("curves"):
        scripts += [vega_script(), folder.joinpath("curves.js").read_text("utf-8")]
    assets = {"style": Markup(style), "scripts": [(_policy_digest(script), Markup(script)) for script in scripts]}
    return _environment().get_template(template).render(**assets, **values)


def _score_warnings(contents: DatasetData) -> list[str]:
    """Warnings if the score rests on one or two independent groups, or is not better than chance."""
    if not isinstance(contents, ReportData) or not contents.scorecard.metrics:
        return []
    metric = next(iter(contents.scorecard.metrics.values()))
    warnings = (few_groups_warning(metric.samples, metric.groups), chance_warning(contents))
    return [warning for warning in warnings if warning is not None]


def _data_values(contents: DatasetData) -> dict[str, Any]:
    sides = draw_pictures([side for pair in contents.pairs for side in pair.pixels], contents.channels, PAIR_BYTES)
    warnings = [*_score_warnings(contents), *contents.warnings, *contents.audit.warnings, *contents.folds.warnings]
    return {
        "contents": contents,
        "problems": data_quality.image_problems(contents),
        "cooccurrence": data_quality.label_cooccurrence(contents),
        "train_test": data_quality.train_test_likeness(contents),
        "duplicate_kinds": data_quality.duplicate_kinds(contents),
        "duplicates": duplicates(contents),
        "pairs": list(zip(contents.pairs, sides[::2], sides[1::2], strict=True)),
        "folds": fold_rows(contents),
        "warnings": list(dict.fromkeys(warnings)),
        "subsets": [],
        "folded": False,
    }


def _report_values(contents: ReportData) -> dict[str, Any]:
    contents = _without_weak_label_errors(contents)
    supports = {str(entry["name"]): int(entry.get("support") or 0) for entry in contents.scorecard.classes}
    has_multilabel_counts = contents.kind == "multilabel" and contents.counts.size
    totals = sections.supports_of(contents.classes, supports) if has_multilabel_counts else None
    shares = row_normalize(contents.counts, totals)
    is_single_label = contents.kind == "multiclass"
    confusions = []
    if is_single_label and contents.counts.size:
        confusions = frequent_confusions(contents.counts, shares, contents.classes, MAX_CONFUSIONS)
    class_rows = sections.class_rows(contents)
    drawing = (
        confusion_matrix_svg(contents.counts, shares, contents.classes, errors=is_single_label)
        if contents.counts.any()
        else ""
    )
    return {
        **_data_values(contents),
        "summary": sections.summary(contents),
        "folded": True,
        "classes_first": bool(class_rows)
        and (not drawing or not is_single_label or len(contents.classes) > MAX_LABELED),
        "is_chance": is_chance(contents),
        "findings": summarize(contents, confusions),
        "next_steps": next_steps(contents, confusions),
        "steps": sections.step_effects(contents),
        "classes": class_rows,
        "curves": curve_data(contents.curves, contents.scorecard.classes, [row["number"] for row in class_rows]),
        "classes_left": len(contents.scorecard.classes) - len(class_rows),
        "has_thresholds": any(row["threshold"] is not None for row in class_rows),
        "matrix": Markup(drawing),
        "names_hidden": len(contents.classes) > MAX_LABELED,
        "confusions": sections.confusion_rows(confusions),
        "scores_by": sections.score_by(contents),
        "training": training(contents),
        "provenance": provenance(contents.provenance),
        "class_graph": class_graph(contents.links, contents.classes),
        "distribution": sections.distribution(class_rows),
        "subsets": sections.subset_rows(contents),
        "reliability": reliability.reliability(contents),
        "ensemble": reliability.ensemble_table(contents),
        "taxonomy": taxonomy.by_rank(contents),
        "recipe": Markup(escape(formatting.escape_control(contents.recipe, keep="\n"))),
        "pictured": pictured(contents),
        **_picture_values(contents),
    }


def _without_weak_label_errors(contents: ReportData) -> ReportData:
    """Report data with only a few label errors if the model that suspects them is not better than chance."""
    if not is_chance(contents):
        return contents
    count = len(contents.label_errors) if contents.label_error_count is None else contents.label_error_count
    return replace(contents, label_errors=contents.label_errors[:MAX_WEAK_LABEL_ERRORS], label_error_count=count)


def _picture_values(contents: ReportData) -> dict[str, Any]:
    mistakes = draw_pictures([item.pixels for item in contents.mistakes], contents.channels, MISTAKE_BYTES)
    specimens = draw_pictures([item.pixels for item in contents.samples], contents.channels, EXAMPLE_BYTES)
    suspects = draw_pictures([item.pixels for item in contents.label_errors], contents.channels, LABEL_ERROR_BYTES)
    legend = []
    if contents.channels is not None and len(contents.channels) > 1:
        colors = channel_colors(len(contents.channels), contents.channels)
        legend = [
            {"name": name, "color": Markup("rgb({} {} {})".format(*(round(255 * part) for part in color)))}
            for name, color in zip(contents.channels, colors, strict=True)
        ]
    sheet = "".join(
        f".specimen-{number}{{background-image:url({picture.source})}}" for number, picture in enumerate(specimens)
    )
    return {
        "mistakes": list(zip(contents.mistakes, mistakes, strict=True)),
        "examples": list(zip(contents.samples, specimens, strict=True)),
        "example_style": Markup(sheet),
        "label_errors": list(zip(contents.label_errors, suspects, strict=True)),
        "legend": legend,
    }


def _finalize(value: Any) -> Any:
    """Escape control characters of strings; Markup (finished drawings) passes unchanged."""
    return formatting.escape_control(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _mark_code(text: str) -> Markup:
    """Sentence whose words between backticks become code."""
    parts = CODE.split(formatting.escape_control(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )


def _policy_digest(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return base64.b64encode(digest).decode("ascii")
