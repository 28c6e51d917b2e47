"""HTML reports of runs, audits, comparisons and tuning: one file each, readable offline."""

from holotype.report.class_graph import ClassGraphData
from holotype.report.compare import CompareData, ComparedRun, Difference, PairedRuns
from holotype.report.examples import (
    EmbeddingMapData,
    ExampleImage,
    ExplainedSample,
    FirstLayer,
    Heatmap,
    NearestImage,
    PictureData,
    Uncertain,
)
from holotype.report.page import render_audit, render_report, render_trials, write_report
from holotype.report.provenance import Provenance, StepFacts
from holotype.report.render import channel_colors
from holotype.report.report_data import (
    DatasetData,
    EnsembleData,
    LabelError,
    Mistake,
    Pair,
    ReportData,
    ReviewEffectData,
)
from holotype.report.threshold_curves import ClassCurve, ClassCurves
from holotype.report.trials import Trial, TrialsData

__all__ = [
    "ClassCurve",
    "ClassCurves",
    "ClassGraphData",
    "CompareData",
    "ComparedRun",
    "DatasetData",
    "Difference",
    "EmbeddingMapData",
    "EnsembleData",
    "ExampleImage",
    "ExplainedSample",
    "FirstLayer",
    "Heatmap",
    "LabelError",
    "Mistake",
    "NearestImage",
    "Pair",
    "PairedRuns",
    "PictureData",
    "Provenance",
    "ReportData",
    "ReviewEffectData",
    "StepFacts",
    "Trial",
    "TrialsData",
    "Uncertain",
    "channel_colors",
    "render_audit",
    "render_report",
    "render_trials",
    "write_report",
]
