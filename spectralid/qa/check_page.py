"""One page of a performance check, for the binder of a unit; the same record always gives the same bytes."""

from __future__ import annotations

from typing import Final

from spectralid.qa.performance import Figure, PerformanceCheck
from spectralid.report.ink import Face, Row, space, text_rows
from spectralid.report.pdf import MARGIN, Placed, paper_size, written
from spectralid.report.tables import cells, pair

__all__ = ["check_pdf"]

_COLUMNS: Final = (0.0, 0.2, 0.36, 0.48, 0.64, 0.76)
_BAND_COLUMNS: Final = (0.0, 0.2, 0.4, 0.6, 0.8)
_SIGNS: Final = {"passed": "passed", "failed": "FAILED", "not done": "not done"}


def check_pdf(check: PerformanceCheck, *, paper: str = "a4") -> bytes:
    """The record as a PDF.

    Parameters
    ----------
    check : PerformanceCheck
        The record.
    paper : str
        ``"a4"`` or ``"letter"``.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ParameterError
        If the paper is not known.
    MissingDependencyError
        If the extra for reports is not installed.
    """
    width, height = paper_size(paper)
    inner = width - 2 * MARGIN
    pages: list[list[Placed]] = [[]]
    top = MARGIN
    for row in _rows(check, inner):
        if top + row.height > height - MARGIN:
            pages.append([])
            top = MARGIN
        pages[-1].append((MARGIN, top, row))
        top += row.height
    return written(pages, paper, title=f"Performance check {check.serial} {check.time}", language="en")


def _rows(check: PerformanceCheck, width: float) -> list[Row]:
    rows = [
        *text_rows("Performance check: " + ("PASSED" if check.passed else "FAILED"), width, 18, "bold"),
        *text_rows(
            "The unit may be used." if check.passed else
            "The unit must not be used for results that count; they are marked “instrument not verified”. "
            f"What failed: {', '.join(_plain(name) for name in check.rules)}.",
            width, 11,
        ),
        space(8),
        *(
            pair(label, value or "not stated", width, 10, 2)
            for label, value in (
                ("Instrument", check.instrument),
                ("Serial number", check.serial),
                ("Time", check.time),
                ("Standard", check.standard),
                ("Lot", check.lot),
                ("Limits", check.limits_version),
                ("Spectrum (SHA-256)", check.spectrum_sha256),
                ("Accepted unit (SHA-256)", check.accepted_sha256),
                ("Record (SHA-256)", check.id),
                ("Made by", check.software),
            )
        ),
        space(10),
        cells(["Figure", "Found", "± (k = 2)", "Limits", "", "Remark"], _COLUMNS, width, 9, face="bold"),
        *(_figure_row(figure, width) for figure in check.figures),
    ]  # fmt: skip
    if check.bands:
        rows += [
            space(10),
            cells(
                ["Band / cm⁻¹", "Found", "Found − standard", "± (k = 2)", "May be off by"],
                _BAND_COLUMNS, width, 9, face="bold",
            ),
        ]  # fmt: skip
        for band in check.bands:
            uncertainty = 2 * (band.found_sd_cm1**2 + band.standard_sd_cm1**2) ** 0.5
            mark = "" if band.passed else "  FAILED"
            rows.append(
                cells(
                    [f"{band.standard_cm1:.1f}", f"{band.found_cm1:.2f}", f"{band.deviation_cm1:+.2f}",
                     f"{uncertainty:.2f}", f"{band.limit_cm1:g}{mark}"],
                    _BAND_COLUMNS, width, 9,
                )
            )  # fmt: skip
    return rows


def _figure_row(figure: Figure, width: float) -> Row:
    limits = " … ".join("" if bound is None else f"{bound:.3g}" for bound in (figure.low, figure.high))
    remark = figure.note + (" (limit within the uncertainty)" if figure.near_limit else "")
    found = "–" if figure.value is None else f"{figure.value:.4g} {figure.unit}"
    uncertainty = "" if figure.uncertainty is None else f"{2 * figure.uncertainty:.2g}"
    shown = limits if (figure.low, figure.high) != (None, None) else ""
    face: Face = "bold" if figure.status == "failed" else "regular"
    texts = [_plain(figure.name), found, uncertainty, shown, _SIGNS[figure.status], remark]
    return cells(texts, _COLUMNS, width, 9, face=face, lines=(2, 1, 1, 1, 1, 4))


def _plain(name: str) -> str:
    return name.replace("_", " ")
