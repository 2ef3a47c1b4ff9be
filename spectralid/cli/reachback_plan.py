"""``spectralid reachback plan``: how many chemists it takes to answer within the hour."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.cli._output import add_force_option, check_new
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.reachback.capacity.plan import Demand, Handling, Plan, Roster

__all__ = ["add_parser"]

_EPILOG: Final = """\
exit codes: 0 simulated, and the goal (if one is given) is reached · 21 the goal is not reached · 2 usage
            3 a table cannot be read
What each assumption means, and where its default comes from, stands in docs/capacity-plan.md."""


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "plan",
        help="chance of an answer within the hour for a roster, or the smallest roster",
        description="Simulate the chemists' desk: the chance of an answer or interim answer in time for a "
        "roster, or with --find the smallest roster that reaches the goal.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument_group("what comes in").add_argument
    add("--scans-per-year", type=float, metavar="N", help="default 70000, or what --arrivals amounts to")
    add(
        "--arrivals",
        metavar="CSV",
        help="hour_of_week,seizures_per_hour; scaled if --scans-per-year is given",
    )
    add(
        "--sizes", default="1:0.7,2-9:0.25,10-40:0.05", metavar="MIX", help="scans of a seizure (%(default)s)"
    )
    add("--escalated", type=float, default=1.0, metavar="SHARE", help="seizures that reach a chemist (1)")
    add("--urgent", type=float, default=0.2, metavar="SHARE", help="cases of fentanyl or no match (0.2)")
    add("--surge", type=float, default=1.0, metavar="FACTOR", help="arrivals in a surge week (1: no surge)")
    add(
        "--surge-weeks",
        type=int,
        default=1,
        metavar="N",
        help="surge weeks in 52, where --surge is given (1)",
    )
    add = parser.add_argument_group("how it is worked on").add_argument
    add(
        "--first-min",
        type=float,
        default=11.0,
        metavar="MIN",
        help="mean minutes for a case's first scan (11)",
    )
    add("--further-min", type=float, default=0.5, metavar="MIN", help="for each further scan (0.5)")
    add(
        "--cv",
        type=float,
        default=0.5,
        metavar="CV",
        help="standard deviation over mean of a case's time (0.5)",
    )
    add(
        "--review-share", type=float, default=0.0, metavar="SHARE", help="cases that need a second person (0)"
    )
    add("--review-min", type=float, default=5.0, metavar="MIN", help="mean minutes of a second review (5)")
    add("--interim-min", type=float, metavar="MIN", help="minutes an interim answer costs (none are sent)")
    add("--interim-before", type=float, default=10.0, metavar="MIN", help="sent so long before the end (10)")
    add("--scan-by-scan", action="store_true", help="each scan a case of its own, for comparison")
    add("--target", type=float, default=60.0, metavar="MIN", help="an answer is wanted within (60)")
    add = parser.add_argument_group("who is there").add_argument
    add("--roster", default="4", metavar="N|CSV", help="chemists in every hour, or hour_of_week,chemists (4)")
    add("--surge-roster", metavar="N|CSV", help="in surge weeks (as in others)")
    add("--shift", type=float, default=8.0, metavar="H", help="hours of a shift (8)")
    add("--break", type=float, default=0.0, dest="break_min", metavar="MIN", help="break in each shift (0)")
    add = parser.add_argument_group("what is asked").add_argument
    add("--goal", type=float, metavar="SHARE", help="scans wanted in time, as 0.99")
    add(
        "--find",
        action="store_true",
        help="the smallest roster that reaches the goal (0.99 if none is given)",
    )
    add("--block", type=int, default=8, metavar="H", help="hours with as many chemists, with --find (8)")
    add("--weeks", type=int, default=52, metavar="N", help="weeks to simulate (52)")
    add("--seed", type=int, default=1, metavar="N", help="of everything drawn (1)")
    add("--json", action="store_true", help="print the plan as JSON")
    add("--plot", type=Path, metavar="FILE", help="figure (.png, .pdf, .svg)")
    add("--save-roster", type=Path, metavar="CSV", help="write the roster found, for --roster")
    add_force_option(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from spectralid.reachback.capacity.plan import simulate

    if args.save_roster is not None and not args.find:
        raise ParameterError("--save-roster", str(args.save_roster), "given together with --find")
    check_new(args, *(file for file in (args.plot, args.save_roster) if file is not None))
    demand, handling = _demand(args), _handling(args)
    if args.find:
        return _find(args, demand, handling)
    roster = _roster(args.roster, args)
    surge_roster = None if args.surge_roster is None else _roster(args.surge_roster, args)
    plan = simulate(
        demand,
        handling,
        roster,
        surge_roster=surge_roster,
        weeks=args.weeks,
        target_min=args.target,
        seed=args.seed,
        progress=_progress(),
    )
    _report(args, plan, {})
    return Exit.IDENTIFIED if args.goal is None or plan.reaches(args.goal) else Exit.GOAL_MISSED


def _find(args: argparse.Namespace, demand: Demand, handling: Handling) -> int:
    """The smallest roster of ordinary weeks and, if there is a surge, of its weeks; then both in a year."""
    from spectralid.reachback.capacity.files import roster_csv, roster_text
    from spectralid.reachback.capacity.plan import simulate, smallest_roster

    goal = 0.99 if args.goal is None else args.goal
    wanted = [("ordinary weeks", demand)]
    if demand.surge_weeks:
        wanted.append(
            ("surge weeks", replace(demand, seizures_per_hour=demand.seizures_per_hour * demand.surge))
        )
    rosters: list[Roster] = []
    for name, part in wanted:
        found = smallest_roster(
            part,
            handling,
            goal,
            block_h=args.block,
            shift_h=args.shift,
            break_min=args.break_min,
            weeks=args.weeks,
            target_min=args.target,
            seed=args.seed,
            progress=_progress(),
        )
        _end_of_progress()
        if found.roster is None:
            share = found.plan.whole.scans_in_time.value
            print(
                f"spectralid: no roster reaches {goal:.1%} in {name}: with a chemist always free it is "
                f"{share:.1%}, because the work itself takes too long. Send interim answers "
                "(--interim-min), or change the handling.",
                file=sys.stderr,
            )
            return Exit.GOAL_MISSED
        rosters.append(found.roster)
        if not args.json:
            print(f"smallest roster found, {name}: {found.roster.chemist_hours} chemist-hours a week")
            print(roster_text(found.roster) + "\n")
    plan = simulate(
        demand,
        handling,
        rosters[0],
        surge_roster=rosters[1] if len(rosters) > 1 else None,
        weeks=args.weeks,
        target_min=args.target,
        seed=args.seed + 1,
        progress=_progress(),
    )
    if args.save_roster is not None:
        args.save_roster.write_text(roster_csv(rosters[0]), encoding="utf-8")
    _report(args, plan, {"goal": goal, "block_h": args.block})
    return Exit.IDENTIFIED if plan.reaches(goal) else Exit.GOAL_MISSED


def _demand(args: argparse.Namespace) -> Demand:
    from spectralid.reachback.capacity.files import read_arrivals
    from spectralid.reachback.capacity.plan import Demand, SizeMix

    sizes = SizeMix.parse(args.sizes)
    shape = None if args.arrivals is None else read_arrivals(args.arrivals)
    surge_weeks = args.surge_weeks if args.surge != 1 else 0
    more: dict[str, Any] = {"escalated": args.escalated, "urgent": args.urgent, "surge": args.surge}
    if shape is not None and args.scans_per_year is None:
        return Demand(seizures_per_hour=shape, sizes=sizes, surge_weeks=surge_weeks, **more)
    scans = 70_000 if args.scans_per_year is None else args.scans_per_year
    return Demand.of_scans(scans, sizes, shape=shape, surge_weeks=surge_weeks, **more)


def _handling(args: argparse.Namespace) -> Handling:
    from spectralid.reachback.capacity.plan import Handling, Interim

    interim = None if args.interim_min is None else Interim(args.interim_min, args.interim_before)
    return Handling(
        first_min=args.first_min,
        further_min=args.further_min,
        cv=args.cv,
        review_share=args.review_share,
        review_min=args.review_min,
        interim=interim,
        by_seizure=not args.scan_by_scan,
    )


def _roster(given: str, args: argparse.Namespace) -> Roster:
    from spectralid.reachback.capacity.files import read_chemists
    from spectralid.reachback.capacity.plan import HOURS, Roster

    chemists = (int(given),) * HOURS if given.isdecimal() else read_chemists(given)
    return Roster(chemists=chemists, shift_h=args.shift, break_min=args.break_min)


def _report(args: argparse.Namespace, plan: Plan, more: dict[str, Any]) -> None:
    _end_of_progress()
    if args.json:
        print_json(plan.to_dict() | more)
    else:
        from spectralid.reachback.capacity.files import plan_text

        print(plan_text(plan))
    if args.plot is not None:
        from spectralid.plot import save
        from spectralid.reachback.capacity.files import plan_figure

        save(plan_figure(plan), args.plot)


def _progress() -> Callable[[str, float], None] | None:
    """One line on standard error that is written over; nothing where nobody watches."""
    if not sys.stderr.isatty():
        return None

    def show(what: str, part: float) -> None:
        shown = f"{part:.0%}" if what == "simulating" else f"try {part:.0f}"
        print(f"\r{what + ' ' + shown:<40}", end="", file=sys.stderr, flush=True)

    return show


def _end_of_progress() -> None:
    if sys.stderr.isatty():
        print(f"\r{'':<40}", end="", file=sys.stderr)
        print("\r", end="", file=sys.stderr, flush=True)
