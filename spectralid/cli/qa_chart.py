"""``spectralid qa chart``: control charts of a unit's checks, and how long such charts run."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.qa.history import ChartedFigure

__all__ = ["add_parser"]

_SHIFTS: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "chart",
        help="control charts of a unit's daily checks; exit code 5 if a rule stops it",
        description="EWMA and 1_3s stop a unit; CUSUM and Westgard's rules are advice.",
    )
    add = parser.add_argument
    add("folder", type=Path, nargs="?", metavar="FOLDER", help="records of 'qa check --records'")
    add("--serial", default="", help="of the unit, if the folder holds several")
    add("--standard", default="", metavar="NAME", help="only checks with this standard")
    add("--figure", action="append", metavar="NAME", help="which figure (repeat; default: every one told)")
    add("--baseline", type=int, default=20, metavar="DAYS",
        help="first days that the usual value is taken from (default 20)")  # fmt: skip
    add("--plot", type=Path, metavar="PICTURE", help="draw the charts")
    add("--json", action="store_true", help="print as JSON")
    add("--run-lengths", action="store_true",
        help="say after how many days each rule signals, right or wrong, and end")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from spectralid.qa.history import chart_figure_of, charted_names, read_history

    if args.run_lengths:
        return _run_lengths(args)
    if args.folder is None:
        raise ParameterError("FOLDER", None, "given, or else --run-lengths")
    checks, damaged = read_history(args.folder, serial=args.serial, standard=args.standard)
    names = tuple(args.figure or charted_names(checks))
    charted, left_out = [], {}
    for name in names:
        try:
            charted.append(chart_figure_of(checks, name, baseline_days=args.baseline))
        except ParameterError as error:
            # A figure that never moves (no saturated point on any day) has no scatter to chart.
            if args.figure:
                raise
            left_out[name] = str(error)
    if args.plot and charted:
        from spectralid.plot import save
        from spectralid.qa.chart_drawing import control_chart_figure

        save(control_chart_figure(charted, title=f"{checks[0].instrument} {checks[0].serial}"), args.plot)
    if args.json:
        print_json(
            {
                "charts": [_plain(one) for one in charted],
                "not_charted": left_out,
                "damaged": [str(file) for file in damaged],
            }
        )
    else:
        for one in charted:
            print("\n".join(_lines(one)))
        for name in left_out:
            print(f"–     {name.replace('_', ' ')}: does not vary from day to day; nothing to chart")
        for file in damaged:
            print(f"DAMAGED  {file}")
    if damaged:
        return Exit.UNREADABLE
    return Exit.IDENTIFIED if all(one.chart.in_control for one in charted) else Exit.DEVICE


def _plain(one: ChartedFigure) -> dict[str, Any]:
    chart = one.chart
    return {
        "figure": one.name,
        "unit": one.unit,
        "baseline": {"mean": chart.baseline.mean, "sd": chart.baseline.sd, "n": chart.baseline.n},
        "in_control": chart.in_control,
        "missing": one.missing,
        "days": [
            {"time": check.time, "check": check.id, "z": float(z), "ewma": float(average),
             "ewma_limit": float(limit), "cusum_up": float(up), "cusum_down": float(down)}
            for check, z, average, limit, up, down in zip(
                one.checks, chart.z, chart.ewma, chart.ewma_limit, chart.cusum_up, chart.cusum_down,
                strict=True,
            )
        ],
        "signals": [
            {"time": one.checks[signal.index].time, "rule": signal.rule, "stops": signal.stops,
             "value": signal.value, "limit": signal.limit}
            for signal in chart.signals
        ],
    }  # fmt: skip


def _lines(one: ChartedFigure) -> list[str]:
    chart, name = one.chart, one.name.replace("_", " ")
    usual = f"{chart.baseline.mean:.4g} ± {chart.baseline.sd:.2g} {one.unit}".rstrip()
    state = "ok    in control" if chart.in_control else "STOP  out of control"
    lines = [f"{state}: {name}, {len(one.checks)} days against {usual}"]
    first = {signal.rule: signal for signal in reversed(chart.signals)}
    times = Counter(signal.rule for signal in chart.signals)
    for rule, signal in sorted(first.items(), key=lambda pair: (not pair[1].stops, pair[1].index)):
        kind = "stops" if signal.stops else "advice"
        often = f", on {times[rule]} days since" if times[rule] > 1 else ""
        lines.append(
            f"      {rule} ({kind}): first {one.checks[signal.index].time}, {signal.value:+.2f} sd against "
            f"{signal.limit:.2f}{often}"
        )
    return lines


def _run_lengths(args: argparse.Namespace) -> int:
    from spectralid.qa import run_length

    rules: dict[str, Callable[[float], run_length.RunLength]] = {
        "1_3s": run_length.of_shewhart,
        "ewma": run_length.of_ewma,
        "cusum": run_length.of_cusum,
        "1_3s or ewma": run_length.of_stop_rules,
    }
    rows = [
        {"shift_sd": shift, **{name: rule(shift).mean for name, rule in rules.items()}} for shift in _SHIFTS
    ]
    if args.json:
        print_json({"average_run_length_days": rows})
        return Exit.IDENTIFIED
    print("average days until a signal, of one figure; the mean moved by so many standard deviations")
    print("shift  " + "  ".join(f"{name:>12}" for name in rules))
    for row in rows:
        print(f"{row['shift_sd']:5.1f}  " + "  ".join(f"{row[name]:12.1f}" for name in rules))
    return Exit.IDENTIFIED
