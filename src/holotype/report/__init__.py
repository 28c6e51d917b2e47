"""The report: what a run found, or its audit alone, or runs side by side, on one page that opens offline.

ReportContents → write_report → report.html
"""

from holotype.report.class_curves import ClassCurve, ClassCurves
from holotype.report.compare import CompareContents, ComparedRun, Difference, PairedRuns
from holotype.report.contents import (
    DataContents,
    EnsembleContents,
    Mistake,
    Pair,
    ReportContents,
    ReviewContents,
    Suspect,
)
from holotype.report.gallery import channel_colours
from holotype.report.network import ClassLinks
from holotype.report.page import render_audit, render_report, render_trials, write_report
from holotype.report.pictured import (
    Explained,
    FirstLayer,
    Heat,
    Kin,
    MapContents,
    PictureContents,
    Specimen,
    Uncertain,
)
from holotype.report.provenance import Provenance, StageFacts
from holotype.report.trials import Trial, TrialsContents

__all__ = [
    "ClassCurve",
    "ClassCurves",
    "ClassLinks",
    "CompareContents",
    "ComparedRun",
    "DataContents",
    "Difference",
    "EnsembleContents",
    "Explained",
    "FirstLayer",
    "Heat",
    "Kin",
    "MapContents",
    "Mistake",
    "Pair",
    "PairedRuns",
    "PictureContents",
    "Provenance",
    "ReportContents",
    "ReviewContents",
    "Specimen",
    "StageFacts",
    "Suspect",
    "Trial",
    "TrialsContents",
    "Uncertain",
    "channel_colours",
    "render_audit",
    "render_report",
    "render_trials",
    "write_report",
]
