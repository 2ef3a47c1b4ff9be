"""Documents for people and for other programs, made from what was recorded; values only, the same each time."""

from spectralid.report.scan import scan_json
from spectralid.report.scan_page import scan_report

__all__ = ["scan_json", "scan_report"]
