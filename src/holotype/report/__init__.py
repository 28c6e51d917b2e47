"""The report: what a run found, or its audit alone, on one page that opens offline.

ReportContents → write_report → report.html
"""

from holotype.report.contents import (
    DataContents,
    EnsembleContents,
    Mistake,
    Pair,
    ReportContents,
    ReviewContents,
    Specimen,
    Suspect,
)
from holotype.report.gallery import channel_colours
from holotype.report.page import render_audit, render_report, render_trials, write_report
from holotype.report.pictured import (
    ChannelView,
    Explained,
    FirstLayer,
    Heat,
    Kin,
    MapContents,
    PictureContents,
    Uncertain,
)
from holotype.report.trials import Trial, TrialsContents

__all__ = [
    "ChannelView",
    "DataContents",
    "EnsembleContents",
    "Explained",
    "FirstLayer",
    "Heat",
    "Kin",
    "MapContents",
    "Mistake",
    "Pair",
    "PictureContents",
    "ReportContents",
    "ReviewContents",
    "Specimen",
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
