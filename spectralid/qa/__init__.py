"""Quality assurance: whether an instrument is in control, and whether a method holds what it promises.

Names load when first used: planning a study needs no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectralid._lazy import lazy

_WHERE = {
    "Audit": "library_audit",
    "Baseline": "charts",
    "Chart": "charts",
    "DetectionCurve": "detection",
    "Limits": "limits",
    "Manifest": "manifest",
    "Outcome": "study",
    "PerformanceCheck": "performance",
    "Rate": "tables",
    "Replay": "replaying",
    "Stress": "robustness",
    "Study": "study",
    "Transfer": "transfer",
    "audit_document": "library_report",
    "audit_library": "library_audit",
    "chart": "charts",
    "check_pdf": "check_page",
    "check_performance": "check",
    "claimable_rate": "planning",
    "confusion": "tables",
    "control_chart_figure": "chart_drawing",
    "detection_curve": "detection",
    "detection_limits": "measures",
    "disturb": "robustness",
    "levels_figure": "study_drawing",
    "load_limits": "limits",
    "read_history": "history",
    "read_manifest": "manifest",
    "replay": "replaying",
    "run_study": "study",
    "samples_needed": "planning",
    "stress_study": "robustness",
    "study_document": "study_report",
    "summary": "tables",
    "transfer_document": "transfer_report",
}

__all__ = [
    "Audit",
    "Baseline",
    "Chart",
    "DetectionCurve",
    "Limits",
    "Manifest",
    "Outcome",
    "PerformanceCheck",
    "Rate",
    "Replay",
    "Stress",
    "Study",
    "Transfer",
    "audit_document",
    "audit_library",
    "chart",
    "check_pdf",
    "check_performance",
    "claimable_rate",
    "confusion",
    "control_chart_figure",
    "detection_curve",
    "detection_limits",
    "disturb",
    "levels_figure",
    "load_limits",
    "read_history",
    "read_manifest",
    "replay",
    "run_study",
    "samples_needed",
    "stress_study",
    "study_document",
    "summary",
    "transfer_document",
]

if TYPE_CHECKING:
    from spectralid.qa.chart_drawing import control_chart_figure as control_chart_figure
    from spectralid.qa.charts import Baseline as Baseline
    from spectralid.qa.charts import Chart as Chart
    from spectralid.qa.charts import chart as chart
    from spectralid.qa.check import check_performance as check_performance
    from spectralid.qa.check_page import check_pdf as check_pdf
    from spectralid.qa.detection import DetectionCurve as DetectionCurve
    from spectralid.qa.detection import detection_curve as detection_curve
    from spectralid.qa.history import read_history as read_history
    from spectralid.qa.library_audit import Audit as Audit
    from spectralid.qa.library_audit import audit_library as audit_library
    from spectralid.qa.library_report import audit_document as audit_document
    from spectralid.qa.limits import Limits as Limits
    from spectralid.qa.limits import load_limits as load_limits
    from spectralid.qa.manifest import Manifest as Manifest
    from spectralid.qa.manifest import read_manifest as read_manifest
    from spectralid.qa.measures import detection_limits as detection_limits
    from spectralid.qa.performance import PerformanceCheck as PerformanceCheck
    from spectralid.qa.planning import claimable_rate as claimable_rate
    from spectralid.qa.planning import samples_needed as samples_needed
    from spectralid.qa.replaying import Replay as Replay
    from spectralid.qa.replaying import replay as replay
    from spectralid.qa.robustness import Stress as Stress
    from spectralid.qa.robustness import disturb as disturb
    from spectralid.qa.robustness import stress_study as stress_study
    from spectralid.qa.study import Outcome as Outcome
    from spectralid.qa.study import Study as Study
    from spectralid.qa.study import run_study as run_study
    from spectralid.qa.study_drawing import levels_figure as levels_figure
    from spectralid.qa.study_report import study_document as study_document
    from spectralid.qa.tables import Rate as Rate
    from spectralid.qa.tables import confusion as confusion
    from spectralid.qa.tables import summary as summary
    from spectralid.qa.transfer import Transfer as Transfer
    from spectralid.qa.transfer_report import transfer_document as transfer_document

__getattr__, __dir__ = lazy(__name__, _WHERE, __all__)
