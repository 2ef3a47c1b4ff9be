"""A year of reachback at accelerated time, on the server's real code: does the planned roster keep the hour?

    python benchmarks/reachback/year.py                              # 70,000 scans on PostgreSQL
    python benchmarks/reachback/year.py --scans 2000 --database sqlite --chemists 2,4

The roster is the one that ``spectralid reachback plan --find`` gives for that load; what comes is drawn by
code of its own (`_year_arrivals`), so that the year tests the plan. 300 tablets send signed packets of the
real size; simulated chemists (`_year_desk`) take cases from the server's queue, under its leases, and
decide. The clock is injected and set by events; nothing of the server is left out but the line to it. Every
answer goes back to its tablet, which says that it was shown. At each event with an idle chemist it is
asserted that nothing waits that he may take. At the end the audit log is verified with every receipt.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import merge
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import sqlalchemy as sa

from benchmarks.reachback import _year_arrivals as arrivals
from benchmarks.reachback._field import Tablet
from benchmarks.reachback._server import KINDS, promises, server, size_of
from benchmarks.reachback._year_arrivals import START, SURGE, WEEK_MIN, YEAR, Span
from benchmarks.reachback._year_desk import Habits, Spell, Tally, Year
from spectralid.casework.clock import from_text
from spectralid.proportion import clopper_pearson
from spectralid.reachback.capacity.plan import (
    Demand,
    Handling,
    Interim,
    Plan,
    Roster,
    SizeMix,
    simulate,
    smallest_roster,
)
from spectralid.reachback.store import audit
from spectralid.reachback.store.database import Database
from spectralid.reachback.store.serverkeys import ServerKeys
from spectralid.reachback.store.tables import cases, rounds
from spectralid.reachback.tablets import enrolled

GOAL = 0.99
TABLETS = 300
DANGER, UNKNOWN = 0.20, 0.05
"""Shares of seizures in which the tablet finds one of the fentanyl family, or nothing that matches."""
_SIZES = "1:0.7,2-9:0.25,10-40:0.05"
_BREAK_MIN = 30.0


# --- the plan ----------------------------------------------------------------------------------------------


def demand() -> Demand:
    """What the plan is told of the load."""
    shape = np.array([arrivals.weight(hour + 0.5) for hour in range(168)])
    a_year = YEAR / (52 - 1 + SURGE) * 52
    return Demand.of_scans(
        a_year, SizeMix.parse(_SIZES), shape=shape, urgent=DANGER + UNKNOWN, surge=SURGE, surge_weeks=1
    )


def handling(habits: Habits) -> Handling:
    """What the plan is told of the work."""
    reviews = DANGER + (1 - DANGER - UNKNOWN) * habits.differs
    return Handling(
        first_min=habits.first_min,
        further_min=habits.further_min,
        cv=habits.cv,
        review_share=reviews,
        review_min=habits.review_min,
        interim=Interim(habits.interim_min, habits.before_min),
    )


def planned(habits: Habits, goal: float) -> tuple[Roster, Roster]:
    """The smallest rosters that the plan finds, for ordinary weeks and for the surge week."""
    ordinary = demand()
    found = []
    for part in (ordinary, replace(ordinary, seizures_per_hour=ordinary.seizures_per_hour * SURGE)):
        roster = smallest_roster(part, handling(habits), goal, block_h=8, break_min=_BREAK_MIN).roster
        assert roster is not None
        found.append(roster)
    return found[0], found[1]


def spells(ordinary: Roster, surge: Roster, span: Span) -> Iterator[Spell]:
    """When which seat is taken, for ever: as in ordinary weeks, and in the surge as planned for that."""
    begins, ends = span.surge

    def of(roster: Roster, start: float, end: float) -> Iterator[Spell]:
        week = int(start // WEEK_MIN)
        while week * WEEK_MIN < end:
            for on, seat, off in roster.week():
                on, off = max(on + week * WEEK_MIN, start), min(off + week * WEEK_MIN, end)
                if on < off:
                    yield on, seat, off
            week += 1

    forever = float("inf")
    yield from merge(of(ordinary, 0.0, begins), of(surge, begins, ends), of(ordinary, ends, forever))


# --- the year ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Period:
    """How a part of the year went.

    Attributes
    ----------
    cases, scans : int
        What came.
    in_time, answered_in_time, scans_in_time : int
        Cases with a first answer or interim within 60 minutes, with the final one, and scans of the former.
    minutes : tuple of float
        To the first answer or interim: the 50th, 95th and 99th percentile over cases.
    """

    cases: int
    scans: int
    in_time: int
    answered_in_time: int
    scans_in_time: int
    minutes: tuple[float, ...]

    @property
    def share(self) -> float:
        """Of cases in time."""
        return self.in_time / self.cases

    def row(self, name: str) -> str:
        """Of the table."""
        low, high = clopper_pearson(self.in_time, self.cases)
        waits = " / ".join(f"{m:.0f}" for m in self.minutes)
        return (
            f"| {name} | {self.cases:,} | {self.scans:,} | {self.share:.2%} ({low:.2%} - {high:.2%}) "
            f"| {self.scans_in_time / self.scans:.2%} | {self.answered_in_time / self.cases:.2%} | {waits} |"
        )


@dataclass(frozen=True)
class Outcome:
    """What a simulated year brought."""

    periods: dict[str, Period]
    tally: Tally
    grown: int
    problems: int
    undelivered: int
    wall_s: float
    verify_s: float


def played(
    db: Database,
    ordinary: Roster,
    surge: Roster,
    *,
    scans: int,
    seed: int = 1,
    habits: Habits | None = None,
    tablets: int = TABLETS,
    ahead: bool = True,
) -> Outcome:
    """Simulate a year, or a part of it.

    Parameters
    ----------
    db : Database
        Migrated and empty.
    ordinary, surge : Roster
        Who is there.
    scans : int
        About how many come.
    seed : int
        Of everything drawn.
    habits : Habits, optional
        How chemists work.
    tablets : int
        How many send.
    ahead : bool
        Whether another process makes the packets.
    """
    begun = time.perf_counter()
    habits = habits or Habits()
    keys, span = ServerKeys.open(db.folder), Span.of(scans)
    field = [Tablet(f"tablet-{number:03d}", number) for number in range(tablets)]
    coming = arrivals.seizures(span, tablets=tablets, danger=DANGER, unknown=UNKNOWN, seed=seed)
    packed = (arrivals.packed_ahead if ahead else arrivals.packed)(coming, field)
    for tablet in field:
        enrolled.add(db, tablet.device_id, tablet.key.public, site_ref="north", by="admin", now=START)
    before = size_of(db)
    year = Year(db, keys, packed, field, spells(ordinary, surge, span), habits, seed + 1)
    year.run()
    grown = size_of(db) - before
    wall, begun = time.perf_counter() - begun, time.perf_counter()
    problems = audit.verify(db, trusted=keys.trusted)
    periods, undelivered = _periods(db, span)
    return Outcome(periods, year.tally, grown, len(problems), undelivered, wall, time.perf_counter() - begun)


def _periods(db: Database, span: Span) -> tuple[dict[str, Period], int]:
    """From what the server has on record of each case."""
    columns = rounds.c
    chosen = sa.select(
        cases.c.scans, columns.opened_utc, columns.due_utc, columns.first_utc, columns.answered_utc,
        columns.delivered_utc,
    ).join(cases, cases.c.case_id == columns.case_id)  # fmt: skip
    with db.read() as tx:
        rows = tx.execute(chosen).all()
    parts: dict[str, list[Any]] = {"the whole time": list(rows), "ordinary": [], "surge": []}
    for row in rows:
        minute = (from_text(row.opened_utc) - START).total_seconds() / 60
        parts["surge" if span.surges(minute) else "ordinary"].append(row)
    return (
        {name: _period(some) for name, some in parts.items()},
        sum(row.delivered_utc is None for row in rows),
    )


def _period(rows: list[Any]) -> Period:
    waits = [(from_text(row.first_utc) - from_text(row.opened_utc)).total_seconds() / 60 for row in rows]
    right = [row.first_utc <= row.due_utc for row in rows]
    return Period(
        cases=len(rows),
        scans=sum(row.scans for row in rows),
        in_time=sum(right),
        answered_in_time=sum(row.answered_utc <= row.due_utc for row in rows),
        scans_in_time=sum(row.scans for row, good in zip(rows, right, strict=True) if good),
        minutes=tuple(np.percentile(waits, (50, 95, 99), method="higher").tolist()),
    )


# --- the table ---------------------------------------------------------------------------------------------


def report(outcome: Outcome, plan: Plan | None, rosters: tuple[Roster, Roster], what: str) -> str:
    """As Markdown."""
    tally = outcome.tally
    lines = [
        what,
        "roster: {} chemist-hours a week, {} in the surge week".format(*(r.chemist_hours for r in rosters)),
        "",
        "| | cases | scans | cases in time (95 %, Clopper-Pearson) | scans in time | final in time "
        "| min to first, p50 / p95 / p99 |",
        "|---|---|---|---|---|---|---|",
        *(period.row(name) for name, period in outcome.periods.items()),
    ]
    if plan is not None:
        for name, part in (("the whole time", plan.whole), ("surge", plan.surge)):
            assert part is not None
            waits = " / ".join(f"{part.reply_min[i]:.0f}" for i in (0, 2, 3))
            lines.append(
                f"| *planned:* {name} | {part.cases:,} | {part.scans:,} | {part.cases_in_time.value:.2%} "
                f"| {part.scans_in_time.value:.2%} | | {waits} |"
            )
    done = ", ".join(f"{count:,} {name}" for name, count in sorted(tally.counts.items()))
    lines += [
        "",
        f"- {tally.events:,} events; {done}; final answers not shown on a tablet: {outcome.undelivered}",
        f"- no case without an owner while a chemist was idle: seen at {tally.idle_checks:,} events",
        f"- {tally.packets:,} packets taken in, up to 8 of a seizure at once, "
        f"{tally.packets / tally.ingest_s:.0f}/s; "
        f"database {outcome.grown / 1e9:.2f} GB, {outcome.grown / tally.packets / 1e3:.1f} kB a packet "
        f"of {tally.sent_bytes / tally.packets / 1e3:.1f} kB",
        f"- audit log and all receipts verified in {outcome.verify_s:.0f} s: "
        + ("whole" if not outcome.problems else f"{outcome.problems} PROBLEMS"),
        f"- wall time {outcome.wall_s:.0f} s",
    ]
    return "\n".join(lines)


def main() -> int:
    """Simulate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--scans", type=int, default=YEAR, help="about how many (%(default)s); fewer are a shorter time")
    add("--database", choices=KINDS, default="postgresql")
    add("--goal", type=float, default=0.995, help="of the plan, with a margin to the 99 %% (%(default)s)")
    add("--chemists", metavar="N,M", help="as many always, and in the surge, instead of the planned roster")
    add("--seed", type=int, default=1)
    add("--json", type=Path, help="write the figures there too")
    args = parser.parse_args()
    habits = Habits()
    if args.chemists:
        n, m = (Roster.constant(int(count), break_min=_BREAK_MIN) for count in args.chemists.split(","))
        rosters = n, m
    else:
        rosters = planned(habits, args.goal)
    plan = simulate(demand(), handling(habits), rosters[0], surge_roster=rosters[1], seed=args.seed + 100)
    with server(args.database) as (db, _):
        outcome = played(db, *rosters, scans=args.scans, seed=args.seed, habits=habits)
        what = f"{args.scans:,} scans, {TABLETS} tablets, seed {args.seed}; {promises(db)}"
    print(report(outcome, plan, rosters, what))
    whole = {name: vars(period) | {"share": period.share} for name, period in outcome.periods.items()}
    if args.json:
        args.json.write_text(json.dumps(whole, indent=1), encoding="utf-8")
    good = all(period.share >= GOAL for period in outcome.periods.values()) and not outcome.problems
    return 0 if good and not outcome.undelivered else 1


if __name__ == "__main__":
    sys.exit(main())
