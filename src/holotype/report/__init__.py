"""The report: what a run found, on one page that opens offline.

ReportContents → write_report → report.html
"""

from holotype.report.contents import Mistake, Pair, ReportContents, Specimen, Suspect
from holotype.report.page import render_report, write_report

__all__ = ["Mistake", "Pair", "ReportContents", "Specimen", "Suspect", "render_report", "write_report"]
