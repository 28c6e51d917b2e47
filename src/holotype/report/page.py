"""The page: one HTML file that opens anywhere and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from holotype.errors import StoreError
from holotype.independence import few_groups_warning
from holotype.report import ranks, sections, soundness, trust, words
from holotype.report.class_curves import curve_data
from holotype.report.compare import CompareContents, compare_page
from holotype.report.contents import DataContents, ReportContents
from holotype.report.findings import find_out, frequent_confusions
from holotype.report.gallery import channel_colours, draw_pictures
from holotype.report.heatmap import LABELLED_UP_TO, heat_map, row_shares
from holotype.report.holdings import duplicates, fold_rows
from holotype.report.network import network
from holotype.report.pictures import pictured
from holotype.report.provenance import provenance
from holotype.report.training import training
from holotype.report.trials import TrialsContents, shown, trials_page
from holotype.report.vega import vega_script

__all__ = ["render_audit", "render_report", "render_trials", "write_report"]

STYLES = ("style.css", "pictures.css", "charts.css")
SUSPECT_BYTES, PAIR_BYTES = 1_000_000, 1_000_000
MISTAKE_BYTES = 3_000_000
SPECIMEN_BYTES = 1_500_000
CONFUSIONS_SHOWN = 14


def write_report(path: Path, contents: DataContents | TrialsContents | CompareContents) -> None:
    """Write the report of a run, of an audit alone, of a search or of a comparison, whole or not at all.

    Args:
        path: The file, usually `report.html` in a run's folder.
        contents: What the report is made of.

    Raises:
        StoreError: The file cannot be written.
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


def _page(contents: DataContents | TrialsContents | CompareContents) -> str:
    if isinstance(contents, CompareContents):
        return _rendered("compare.html.j2", compare_page(contents))
    if isinstance(contents, TrialsContents):
        return render_trials(contents)
    return render_report(contents) if isinstance(contents, ReportContents) else render_audit(contents)


def render_trials(contents: TrialsContents) -> str:
    """The page of a search as one HTML document.

    Args:
        contents: What the search came to.
    """
    return _rendered("trials.html.j2", trials_page(contents))


def render_report(contents: ReportContents) -> str:
    """The report of a run as one HTML document.

    Args:
        contents: What the report is made of.
    """
    return _rendered("report.html.j2", _everything(contents))


def render_audit(contents: DataContents) -> str:
    """The report of an audit as one HTML document.

    Args:
        contents: What the audit found.
    """
    samples = contents.folds.frame["sample"].n_unique()
    about = f"{contents.folds.frame.height:,} images of {samples:,} samples, {len(contents.classes):,} classes, "
    about += f"{contents.folds.count} folds."
    return _rendered("audit.html.j2", {"name": contents.name, "words": about, **_of_the_data(contents)})


@cache
def _environment() -> Environment:
    """The templates and their filters; templates are compiled once a process."""
    folder = files("holotype.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalised,
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
    )  # fmt: skip
    environment.filters |= {"score": words.score, "percent": words.percent, "count": "{:,}".format, "setting": shown}
    environment.filters["signed"] = words.signed
    return environment


def _rendered(template: str, values: dict[str, Any]) -> str:
    folder = files("holotype.report")
    style = "".join(folder.joinpath(name).read_text("utf-8") for name in STYLES)
    scripts = [folder.joinpath("script.js").read_text("utf-8")]
    if values.get("pictured", {}).get("moves"):
        scripts += [folder.joinpath("pictures.js").read_text("utf-8")]
    if values.get("curves"):
        scripts += [vega_script(), folder.joinpath("curves.js").read_text("utf-8")]
    given = {"style": Markup(style), "scripts": [(_policy_digest(one), Markup(one)) for one in scripts]}
    return _environment().get_template(template).render(**given, **values)


def _of_few_groups(contents: DataContents) -> list[str]:
    """The first warning of the page, where the score rests on one or two independent groups."""
    if not isinstance(contents, ReportContents) or not contents.scorecard.metrics:
        return []
    metric = next(iter(contents.scorecard.metrics.values()))
    warning = few_groups_warning(metric.samples, metric.groups)
    return [] if warning is None else [warning]


def _of_the_data(contents: DataContents) -> dict[str, Any]:
    sides = draw_pictures([side for pair in contents.pairs for side in pair.pixels], contents.channels, PAIR_BYTES)
    warnings = [*_of_few_groups(contents), *contents.warnings, *contents.audit.warnings, *contents.folds.warnings]
    return {
        "contents": contents,
        "faults": soundness.faults(contents),
        "links": soundness.links(contents),
        "likeness": soundness.likeness(contents),
        "kinds": soundness.duplicate_kinds(contents),
        "duplicates": duplicates(contents),
        "pairs": list(zip(contents.pairs, sides[::2], sides[1::2], strict=True)),
        "folds": fold_rows(contents),
        "warnings": list(dict.fromkeys(warnings)),
        "apart": [],
    }


def _everything(contents: ReportContents) -> dict[str, Any]:
    supports = {str(entry["name"]): int(entry.get("support") or 0) for entry in contents.scorecard.classes}
    many = contents.kind == "multilabel" and contents.counts.size
    totals = sections.supports_of(contents.classes, supports) if many else None
    shares = row_shares(contents.counts, totals)
    one_label = contents.kind == "multiclass"
    confusions = []
    if one_label and contents.counts.size:
        confusions = frequent_confusions(contents.counts, shares, contents.classes, CONFUSIONS_SHOWN)
    class_rows = sections.class_rows(contents)
    drawing = heat_map(contents.counts, shares, contents.classes, errors=one_label) if contents.counts.any() else ""
    return {
        **_of_the_data(contents),
        "summary": sections.summary(contents),
        "findings": find_out(contents, confusions),
        "ledger": sections.ledger(contents),
        "classes": class_rows,
        "curves": curve_data(contents.curves, contents.scorecard.classes, [row["number"] for row in class_rows]),
        "classes_left": len(contents.scorecard.classes) - len(class_rows),
        "has_thresholds": any(row["threshold"] is not None for row in class_rows),
        "heat": Markup(drawing),
        "names_hidden": len(contents.classes) > LABELLED_UP_TO,
        "confusions": sections.confusion_rows(confusions),
        "scores_by": sections.score_by(contents),
        "training": training(contents),
        "provenance": provenance(contents.provenance),
        "network": network(contents.links, contents.classes),
        "distribution": sections.distribution(class_rows),
        "apart": sections.apart(contents),
        "reliability": trust.reliability(contents),
        "together": trust.together(contents),
        "ranks": ranks.by_rank(contents),
        "recipe": Markup(escape(words.visible(contents.recipe, keep="\n"))),
        "pictured": pictured(contents),
        **_pictures(contents),
    }


def _pictures(contents: ReportContents) -> dict[str, Any]:
    mistakes = draw_pictures([one.pixels for one in contents.mistakes], contents.channels, MISTAKE_BYTES)
    specimens = draw_pictures([one.pixels for one in contents.samples], contents.channels, SPECIMEN_BYTES)
    suspects = draw_pictures([one.pixels for one in contents.suspects], contents.channels, SUSPECT_BYTES)
    legend = []
    if contents.channels is not None and len(contents.channels) > 1:
        colours = channel_colours(len(contents.channels), contents.channels)
        legend = [
            {"name": name, "colour": Markup("rgb({} {} {})".format(*(round(255 * part) for part in colour)))}
            for name, colour in zip(contents.channels, colours, strict=True)
        ]
    sheet = "".join(
        f".specimen-{number}{{background-image:url({picture.source})}}" for number, picture in enumerate(specimens)
    )
    return {
        "mistakes": list(zip(contents.mistakes, mistakes, strict=True)),
        "specimens": list(zip(contents.samples, specimens, strict=True)),
        "specimen_style": Markup(sheet),
        "suspects": list(zip(contents.suspects, suspects, strict=True)),
        "legend": legend,
    }


def _finalised(value: Any) -> Any:
    """What the template prints: finished drawings as they are, names with their unseen characters written out."""
    return words.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy_digest(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return base64.b64encode(digest).decode("ascii")
