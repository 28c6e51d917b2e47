"""The report: what a run found, on one page that opens offline.

ReportContents → write_report → report.html
"""

from holotype.report.contents import Mistake, ReportContents, Specimen
from holotype.report.page import render_report, write_report

__all__ = ["Mistake", "ReportContents", "Specimen", "render_report", "write_report"]
