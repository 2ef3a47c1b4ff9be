"""The checks of a unit, day by day: a folder of records, and each of their figures as a control chart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from spectralid.errors import UnreadableFileError
from spectralid.qa.charts import Baseline, Chart, chart
from spectralid.qa.performance import CheckError, PerformanceCheck

__all__ = [
    "ChartedFigure",
    "chart_figure_of",
    "charted_names",
    "folder_of",
    "kept",
    "moment_of",
    "read_history",
]


@dataclass(frozen=True, slots=True)
class ChartedFigure:
    """A figure of a unit over its days.

    Attributes
    ----------
    name, unit : str
        Of the figure.
    checks : tuple of PerformanceCheck
        The days that are charted: those after the baseline that told the figure.
    missing : int
        Days of which the figure could not be told: each is a failed check of its own.
    chart : Chart
        Of the figure.
    """

    name: str
    unit: str
    checks: tuple[PerformanceCheck, ...]
    missing: int
    chart: Chart


def kept(folder: Path, check: PerformanceCheck) -> Path:
    """Keep a record in the folder of its unit; the same record is kept once.

    Parameters
    ----------
    folder : Path
        Where all records are.
    check : PerformanceCheck
        The record.

    Returns
    -------
    Path
        Its file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    stamp = moment_of(check).strftime("%Y%m%dT%H%M%SZ")
    place = folder_of(folder, check.serial)
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"{stamp}-{check.standard}-{check.id[:12]}.json"
    if not file.exists():
        check.save(file)
    return file


def folder_of(folder: Path, serial: str) -> Path:
    """Where the records of a unit are kept.

    Parameters
    ----------
    folder : Path
        Where all records are.
    serial : str
        The unit; what no file name may hold is replaced.

    Returns
    -------
    Path
        Whether or not it is there.
    """
    return folder / (re.sub(r"[^\w.-]+", "_", serial or "unknown").strip(".") or "unknown")


def read_history(
    folder: Path, *, serial: str = "", standard: str = ""
) -> tuple[tuple[PerformanceCheck, ...], tuple[UnreadableFileError, ...]]:
    """The records of a folder in the order of time.

    Parameters
    ----------
    folder : Path
        Of one unit, or of many.
    serial, standard : str
        Only those of this unit and standard.

    Returns
    -------
    checks : tuple of PerformanceCheck
        Those that read.
    damaged : tuple of UnreadableFileError
        The files that do not: a record that was changed is never taken for one, nor passed over in silence.

    Raises
    ------
    UnreadableFileError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise UnreadableFileError("there is no such folder of records.", file=str(folder))
    checks: dict[str, PerformanceCheck] = {}
    damaged = []
    for file in sorted(folder.rglob("*.json")):
        try:
            check = PerformanceCheck.load(file)
            moment_of(check)
        except UnreadableFileError as error:
            damaged.append(error)
            continue
        except CheckError as error:
            damaged.append(UnreadableFileError(str(error), file=file.name))
            continue
        if serial in ("", check.serial) and standard in ("", check.standard):
            checks[check.id] = check
    return tuple(sorted(checks.values(), key=lambda check: (moment_of(check), check.id))), tuple(damaged)


def charted_names(checks: Sequence[PerformanceCheck]) -> tuple[str, ...]:
    """Figures that were told on any day, in the order of the records.

    Parameters
    ----------
    checks : sequence of PerformanceCheck
        Of one unit and standard, by time.

    Returns
    -------
    tuple of str
        Names of the figures.
    """
    names = dict.fromkeys(f.name for check in checks for f in check.figures if f.value is not None)
    return tuple(names)


def chart_figure_of(
    checks: Sequence[PerformanceCheck],
    name: str,
    *,
    baseline_days: int = 20,
    baseline: Baseline | None = None,
) -> ChartedFigure:
    """A control chart of one figure.

    Parameters
    ----------
    checks : sequence of PerformanceCheck
        Of one unit and standard, by time.
    name : str
        Of the figure.
    baseline_days : int
        How many of the first days the usual value is taken from; they are not charted.
    baseline : Baseline, optional
        The usual value, if it is known; every day is charted then.

    Returns
    -------
    ChartedFigure
        The chart, and which records it is of.

    Raises
    ------
    CheckError
        If the records are of several units or standards, or too few.
    """
    units = sorted({(check.serial, check.standard) for check in checks})
    if len(units) > 1:
        said = "; ".join(f"{serial or 'unit unknown'}, {standard}" for serial, standard in units)
        raise CheckError(f"A chart is of one unit and one standard; the records are of {said}.")
    told = [(check, check.figure(name)) for check in checks]
    days = [(check, figure.value, figure.unit) for check, figure in told if figure.value is not None]
    missing = len(told) - len(days)
    if baseline is None:
        if len(days) <= baseline_days:
            raise CheckError(
                f"There are {len(days)} days with {name}; a chart needs more than the {baseline_days} that "
                "the usual value is taken from."
            )
        baseline = Baseline.estimated(np.array([value for _, value, _ in days[:baseline_days]]))
        days = days[baseline_days:]
    values = np.array([value for _, value, _ in days])
    unit = days[0][2] if days else ""
    return ChartedFigure(name, unit, tuple(check for check, _, _ in days), missing, chart(values, baseline))


def moment_of(check: PerformanceCheck) -> datetime:
    """When it was made, in UTC; a time without a zone is taken as UTC.

    Parameters
    ----------
    check : PerformanceCheck
        The record.

    Returns
    -------
    datetime
        With its zone, UTC.

    Raises
    ------
    CheckError
        If the check states none that can be read.
    """
    try:
        moment = datetime.fromisoformat(check.time)
    except ValueError:
        raise CheckError(
            f"The check {check.id[:12]} states no time that can be read ({check.time!r}); state when it was "
            "made."
        ) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
