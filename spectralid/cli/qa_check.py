"""``spectralid qa check``: whether a unit may be used today."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import Unread, add_reading_options, print_json, read_input, read_one
from spectralid.cli._instrument import add_instrument_options, check_instrument, measure_with_frames
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.qa.check import Darkness
    from spectralid.qa.performance import Figure, PerformanceCheck

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "check",
        help="the daily performance check of a unit; exit code 5 if it fails",
        description="Judge a unit by its spectrum of a standard, and keep the record.",
    )
    add = parser.add_argument
    add("file", metavar="FILE", nargs="?", help="spectrum of the standard, unless measured now")
    add("--standard", required=True, metavar="NAME", help="polystyrene, acetaminophen, polystyrene-film …")
    add("--accepted", metavar="FILE", help="the same standard on the day the unit was accepted")
    add("--dark", nargs="+", default=[], metavar="FILE", help="two dark frames or more, in counts, laser off")
    add("--accepted-dark", nargs="+", default=[], metavar="FILE", help="those of the day it was accepted")
    add("--adc-max", type=int, default=65535, metavar="COUNTS",
        help="largest count of the detector (default: 65535)")  # fmt: skip
    add("--limits", type=Path, metavar="FILE", help="an agency's own limits (TOML)")
    add("--lot", default="", help="lot of the reference material")
    add_reading_options(parser, files=False)
    add("--records", type=Path, metavar="FOLDER", help="keep the record there, in the folder of the unit")
    add("--pdf", type=Path, metavar="FILE", help="one page for the unit's binder")
    add("--json", action="store_true", help="print the record as JSON")
    add_instrument_options(parser, required=False)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from spectralid.qa.check import Darkness, check_performance
    from spectralid.qa.history import kept
    from spectralid.qa.limits import load_limits

    measured_now = bool(args.port) or args.simulate is not None
    if measured_now == bool(args.file):
        raise ParameterError("FILE", args.file, "given, or else --port or --simulate")
    if args.adc_max < 1:
        raise ParameterError("--adc-max", args.adc_max, "1 or more")
    limits = load_limits(args.limits)
    accepted = read_one(args.accepted, args) if args.accepted else None
    dark, accepted_dark = (_darkness(files, args) for files in (args.dark, args.accepted_dark))
    if measured_now:
        check_instrument(args)
        spectrum, measurement = measure_with_frames(args)
        if dark is None and measurement.dark is not None and len(measurement.dark.raw) > 1:
            dark = Darkness.of(measurement.dark, measurement.sample, measurement.profile.adc_max)
    else:
        spectrum = read_one(args.file, args)
    check = check_performance(
        spectrum,
        args.standard,
        limits=limits,
        accepted=accepted,
        dark=dark,
        accepted_dark=accepted_dark,
        lot=args.lot,
        time=spectrum.acquisition.time or datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if args.records:
        kept(args.records, check)
    if args.pdf:
        from spectralid.files import write_whole
        from spectralid.qa.check_page import check_pdf

        write_whole(args.pdf, [check_pdf(check)], mode=0o644)
    if args.json:
        print_json(check.to_dict())
    else:
        print("\n".join(_lines(check)))
    return Exit.IDENTIFIED if check.passed else Exit.DEVICE


def _darkness(files: Sequence[str], args: argparse.Namespace) -> Darkness | None:
    """What the detector shows without light, from files of one frame or of several."""
    from spectralid.qa.check import Darkness

    if not files:
        return None
    frames = []
    for file in files:
        loaded = read_input(file, args)
        if isinstance(loaded, Unread):
            raise loaded.error
        frames += loaded
    return Darkness.of_spectra(frames, args.adc_max)


def _lines(check: PerformanceCheck) -> list[str]:
    unit = " ".join(part for part in (check.instrument, check.serial) if part) or "unit unknown"
    lines = [f"{'PASSED' if check.passed else 'FAILED'}: {unit}, {check.standard}, {check.time}"]
    lines += [_line(figure) for figure in check.figures]
    if not check.passed:
        lines.append("The unit must not be used for results that count until somebody has looked at it.")
    return lines


def _line(figure: Figure) -> str:
    sign = {"passed": "ok  ", "failed": "FAIL", "not done": "–   "}[figure.status]
    value = "not told" if figure.value is None else f"{figure.value:.4g} {figure.unit}".rstrip()
    if figure.uncertainty is not None:
        value += f" ± {2 * figure.uncertainty:.2g}"
    bounds = [f"at least {figure.low:.4g}"] if figure.low is not None else []
    bounds += [f"at most {figure.high:.4g}"] if figure.high is not None else []
    said = ", ".join([*bounds, *([figure.note] if figure.note else [])])
    near = "; the limit lies within the uncertainty" if figure.near_limit else ""
    return f"{sign}  {figure.name.replace('_', ' ')}: {value}" + (f" ({said}{near})" if said else "")
