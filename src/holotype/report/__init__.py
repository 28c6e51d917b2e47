"""The report: what a run found, or its audit alone, or runs side by side, on one page that opens offline.

ReportContents → write_report → report.html
"""

from holotype.report.class_curves import ClassCurve, ClassCurves
from holotype.report.compare import CompareContents, ComparedRun, Difference, PairedRuns
from holotype.report.contents import DataContents, EnsembleContents, Mistake, Pair, ReportContents, Specimen, Suspect
from holotype.report.network import ClassLinks
from holotype.report.page import render_audit, render_report, render_trials, write_report
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
    "Mistake",
    "Pair",
    "PairedRuns",
    "Provenance",
    "ReportContents",
    "Specimen",
    "StageFacts",
    "Suspect",
    "Trial",
    "TrialsContents",
    "render_audit",
    "render_report",
    "render_trials",
    "write_report",
]
