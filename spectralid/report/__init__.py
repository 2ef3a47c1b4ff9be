"""Documents for people and for other programs, made from what was recorded: the same bytes each time."""

from spectralid.report.fentanyl import fentanyl_csv, fentanyl_json
from spectralid.report.scan import scan_json
from spectralid.report.scan_page import scan_report
from spectralid.report.seizure import seizure_json
from spectralid.report.seizure_pages import seizure_report

__all__ = ["fentanyl_csv", "fentanyl_json", "scan_json", "scan_report", "seizure_json", "seizure_report"]
