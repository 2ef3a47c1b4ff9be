"""What goes into a capacity plan and comes out of it: tables of the hours of the week, text, figure."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from spectralid.errors import UnreadableFileError
from spectralid.reachback.capacity.plan import HOURS, Period, Plan, Roster
from spectralid.spectrum import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plan_figure", "plan_text", "read_arrivals", "read_chemists", "roster_csv", "roster_text"]

_HOUR: Final = "hour_of_week"
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LARGEST_BYTES: Final = 1_000_000


def read_arrivals(file: str | os.PathLike[str]) -> FloatArray:
    """Seizures per hour of the week, from a CSV file of ``hour_of_week,seizures_per_hour``.

    Parameters
    ----------
    file : path
        168 lines in any order; hour 0 is Monday 00:00 – 01:00.

    Returns
    -------
    FloatArray, shape (168,)

    Raises
    ------
    UnreadableFileError
        If it is not such a file; the line is named.
    """
    return np.array(_read(file, "seizures_per_hour", float, "a number of 0 or more"))


def read_chemists(file: str | os.PathLike[str]) -> tuple[int, ...]:
    """Chemists in each hour of the week, from a CSV file of ``hour_of_week,chemists``.

    Parameters
    ----------
    file : path
        168 lines in any order; hour 0 is Monday 00:00 – 01:00.

    Returns
    -------
    tuple of int, 168

    Raises
    ------
    UnreadableFileError
        If it is not such a file; the line is named.
    """
    return tuple(int(n) for n in _read(file, "chemists", int, "a whole number of 0 or more"))


def _read(
    file: str | os.PathLike[str], column: str, number: Callable[[str], float], allowed: str
) -> list[float]:
    name, found = str(file), dict[int, float]()
    for line, row in _rows(file, column):
        where = f"line {line}"
        try:
            hour = int(row[0])
        except ValueError:
            hour = -1
        if not 0 <= hour < HOURS:
            raise UnreadableFileError(f"{_HOUR} must be 0 to 167; got {row[0]!r}.", file=name, where=where)
        if hour in found:
            raise UnreadableFileError(f"hour {hour} stands there twice.", file=name, where=where)
        try:
            value = number(row[1])
        except (ValueError, IndexError):
            value = -1
        if not 0 <= value < 1e9:
            given = row[1] if len(row) > 1 else ""
            raise UnreadableFileError(f"{column} must be {allowed}; got {given!r}.", file=name, where=where)
        found[hour] = value
    missing = [hour for hour in range(HOURS) if hour not in found]
    if missing:
        raise UnreadableFileError(
            f"{len(missing)} of the 168 hours of the week are missing, first {missing[0]}; add their lines.",
            file=name,
        )
    return [found[hour] for hour in range(HOURS)]


def _rows(file: str | os.PathLike[str], column: str) -> list[tuple[int, list[str]]]:
    """The lines below the heading that are not empty, with their numbers."""
    name = str(file)
    try:
        with Path(file).open("rb") as source:
            raw = source.read(_LARGEST_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise UnreadableFileError(f"cannot be read ({error.strerror}).", file=name) from None
    except UnicodeDecodeError:
        raise UnreadableFileError("is not UTF-8 text; save it as CSV in UTF-8.", file=name) from None
    if len(raw) > _LARGEST_BYTES:
        raise UnreadableFileError("is too large for 168 hours of a week.", file=name)
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UnreadableFileError(
            f"is not CSV ({error}).", file=name, where=f"line {reader.line_num}"
        ) from None
    heading = [cell.strip() for cell in rows[0][1]] if rows else []
    if heading != [_HOUR, column]:
        raise UnreadableFileError(f"the first line must be {_HOUR},{column}.", file=name, where="line 1")
    return rows[1:]


def roster_csv(roster: Roster) -> str:
    """The roster as `read_chemists` reads it."""
    lines = [f"{hour},{n}" for hour, n in enumerate(roster.chemists)]
    return "\n".join([f"{_HOUR},chemists", *lines, ""])


def roster_text(roster: Roster) -> str:
    """The roster, a line a day; hours in a row with as many chemists together."""
    lines = []
    for day, name in enumerate(_DAYS):
        hours = roster.chemists[day * 24 : day * 24 + 24]
        starts = [h for h in range(24) if h == 0 or hours[h] != hours[h - 1]]
        spans = [f"{a:02d}–{b:02d} h {hours[a]}" for a, b in zip(starts, [*starts[1:], 24], strict=True)]
        lines.append(f"  {name}  " + " · ".join(spans))
    return "\n".join(lines)


def plan_text(plan: Plan) -> str:
    """The plan as a table."""
    roster, demand = plan.roster, plan.demand
    people = (
        f"{min(roster.chemists)} to {max(roster.chemists)}"
        if len(set(roster.chemists)) > 1
        else f"{max(roster.chemists)}"
    )
    noun = "chemist" if people == "1" else "chemists"
    unit = "seizure" if plan.handling.by_seizure else "scan"
    target = f"{plan.target_min:g} min"
    lines = [
        f"{demand.scans_a_year:,.0f} scans a year, each {unit} a case; {people} {noun}, "
        f"{roster.chemist_hours} chemist-hours a week; {plan.whole.weeks} weeks simulated (seed {plan.seed})",
        "",
        f"{'':16}{'':>9}  {f'scans, answer or interim in {target}':<34}{'answered':>10}"
        f"{'minutes to either, of cases':>30}{'at':>8}",
        f"{'':16}{'cases':>9}  {'share (95 % interval)':<34}{'in it':>10}"
        f"{'50 %':>12}{'90 %':>9}{'99 %':>9}{'work':>8}",
    ]
    for name, period in _periods(plan):
        share = period.scans_in_time
        interval = f"{share.value:.2%} ({share.low:.2%} – {share.high:.2%})"
        p50, p90, _, p99 = (_minutes(m) for m in period.reply_min)
        lines.append(
            f"{name:16}{period.cases:>9,}  {interval:<34}{period.answered_in_time.value:>10.2%}"
            f"{p50:>12}{p90:>9}{p99:>9}{period.utilisation:>8.0%}"
        )
    worst = int(np.nanargmin(plan.by_hour))
    lines += [
        "",
        f"worst hour: {_DAYS[worst // 24]} {worst % 24:02d}:00, {plan.by_hour[worst]:.1%} of scans in time",
        "Simulated from the assumptions given; it is as good as they are.",
    ]
    return "\n".join(lines)


def _periods(plan: Plan) -> Sequence[tuple[str, Period]]:
    if plan.surge is None:
        return [("all weeks", plan.whole)]
    factor = f"surge weeks {plan.demand.surge:g}×"
    return [("ordinary weeks", plan.ordinary), (factor, plan.surge), ("all weeks", plan.whole)]


def _minutes(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else "never"


def plan_figure(plan: Plan) -> Figure:
    """Arrivals and chemists, the chance by hour of the week, and how long the first answer takes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 9), dpi=120, layout="constrained")
    people, chance, waiting = figure.subplots(3, 1)
    hours = np.arange(HOURS + 1)

    def steps(values: FloatArray) -> FloatArray:
        return np.append(values, values[-1])

    people.step(
        hours, steps(np.array(plan.roster.chemists, float)), where="post", color="#222222", label="chemists"
    )
    if plan.surge_roster is not None:
        more = steps(np.array(plan.surge_roster.chemists, float))
        people.step(
            hours, more, where="post", color="#D55E00", linestyle="--", label="chemists in a surge week"
        )
    cases = plan.demand.seizures_per_hour * plan.demand.escalated
    people.step(hours, steps(cases), where="post", color="#0072B2", label="seizures an hour for them")
    people.set_ylim(bottom=0)
    people.legend(loc="upper right", fontsize="small", ncols=3)
    chance.step(hours, steps(plan.by_hour * 100), where="post", color="#222222")
    chance.set_ylabel(f"% of scans within {plan.target_min:g} min")
    for axes in (people, chance):
        axes.set_xlim(0, HOURS)
        axes.set_xticks(range(0, HOURS, 24), _DAYS, ha="left")
    chance.set_xlabel("hour of the week in which the seizure came")
    reached = np.sort(plan.reply_min[np.isfinite(plan.reply_min)])
    share = np.arange(1, reached.size + 1) / plan.reply_min.size * 100
    waiting.plot(reached, share, color="#222222")
    waiting.axvline(plan.target_min, color="#D55E00", linestyle="--")
    waiting.set_xlim(0, 2 * plan.target_min)
    waiting.set_ylim(0, 101)
    waiting.set_xlabel("minutes to the first answer or interim answer")
    waiting.set_ylabel("% of cases")
    for axes in (people, chance, waiting):
        axes.grid(True, color="#D8DCE0", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    share_in_time = plan.whole.scans_in_time
    figure.suptitle(
        f"{share_in_time.value:.2%} of scans within {plan.target_min:g} min (95 %: {share_in_time.low:.2%} – "
        f"{share_in_time.high:.2%}), {plan.roster.chemist_hours} chemist-hours a week, simulated"
    )
    return figure
