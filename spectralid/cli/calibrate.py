"""``spectralid calibrate``: the axis (``x``) or intensity scale (``y``) of an instrument, from a standard."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralid.cli._calibration_record import add_signing_options, check_record, write_record
from spectralid.cli._exit import Exit
from spectralid.cli._inputs import add_reading_options, calibration_of, print_json, read_one
from spectralid.cli._instrument import add_instrument_options, check_instrument, measure
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.calibration import AxisCalibration, IntensityCorrection
    from spectralid.spectrum import Spectrum

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "calibrate",
        help="calibrate the axis or the intensity scale of an instrument",
        description="Make a calibration record from the spectrum of a standard, or check one.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    x = commands.add_parser(
        "x",
        help="wavenumber axis, from a substance of known band positions",
        description="Find the bands of a standard and say by how much the axis is off, with uncertainty.",
    )
    _add_source(x)
    x.add_argument("--standard", metavar="NAME", help="polystyrene, acetaminophen, cyclohexane, silicon …")
    x.add_argument(
        "--order",
        type=int,
        choices=(0, 1, 2),
        help="0 shift, 1 also stretch, 2 also curvature (default: found)",
    )
    x.add_argument(
        "--space",
        choices=("shift", "wavelength"),
        default="shift",
        help="what the correction is a polynomial in",
    )
    x.add_argument("--plot", type=Path, metavar="PICTURE", help="draw the bands and what is left of them")
    x.set_defaults(run=_run_x)
    y = commands.add_parser(
        "y",
        help="relative intensity, from a NIST glass",
        description="Make the intensity correction from the spectrum of a glass of known luminescence.",
    )
    _add_source(y)
    y.add_argument("--standard", metavar="NAME", help="srm-2241 (785 nm), srm-2242a (532 nm) …")
    y.set_defaults(run=_run_y)
    film = commands.add_parser(
        "film",
        help="check an infrared instrument with a polystyrene film; exit code 5 if it fails",
        description="Check positions and depths of the bands of a polystyrene film, about 0.04 mm thick.",
    )
    film.add_argument("file", metavar="FILE", help="spectrum of the film; '-' reads standard input")
    add_reading_options(film, files=False)
    film.add_argument("--json", action="store_true", help="print the result as JSON")
    film.set_defaults(run=_run_film)


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="spectrum of the standard, unless measured now"
    )
    add_reading_options(parser, files=False)
    add_instrument_options(parser, required=False)
    parser.add_argument("--instrument", default="", help="maker and model, for the record")
    parser.add_argument("--serial", default="", help="serial number, for the record")
    parser.add_argument("--output", "-o", type=Path, metavar="RECORD", help="record to write (JSON)")
    parser.add_argument("--check", type=Path, metavar="RECORD", help="check a record instead of making one")
    add_signing_options(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _run_x(args: argparse.Namespace) -> int:
    from spectralid.calibration import calibrate_axis, load_calibration

    if args.check:
        calibration = load_calibration(args.check)
        return _checked(args, calibration, _axis_lines(calibration))
    spectrum = _standard_spectrum(args)
    calibration = calibrate_axis(
        spectrum,
        args.standard,
        order=args.order,
        space=args.space,
        laser_nm=args.laser_nm,
        instrument=args.instrument,
        serial=args.serial,
        time=spectrum.acquisition.time or _now(),
    )
    if args.plot:
        from spectralid.plot import calibration_figure, save

        save(calibration_figure(spectrum, calibration), args.plot)
    return _made(args, calibration, _axis_lines(calibration))


def _run_y(args: argparse.Namespace) -> int:
    from spectralid.calibration import calibrate_intensity, load_intensity_correction

    if args.check:
        correction = load_intensity_correction(args.check)
        return _checked(args, correction, _intensity_lines(correction))
    spectrum = _standard_spectrum(args)
    correction = calibrate_intensity(
        spectrum,
        args.standard,
        laser_nm=args.laser_nm,
        instrument=args.instrument,
        serial=args.serial,
        time=spectrum.acquisition.time or _now(),
    )
    return _made(args, correction, _intensity_lines(correction))


def _run_film(args: argparse.Namespace) -> int:
    from spectralid.calibration import check_film

    checks = check_film(read_one(args.file, args))
    passed = all(check.passed for check in checks)
    if args.json:
        rows = [
            {
                "what": c.what,
                "found": c.found,
                "wanted": c.wanted,
                "tolerance": c.tolerance,
                "passed": c.passed,
            }
            for c in checks
        ]
        print_json({"passed": passed, "checks": rows})
    else:
        for check in checks:
            found = "not there" if check.found is None else f"{check.found:.2f}"
            wanted = (
                f"{check.wanted:g} ± {check.tolerance:g}" if check.tolerance else f"at least {check.wanted:g}"
            )
            print(f"{'ok  ' if check.passed else 'FAIL'}  {check.what}: {found} ({wanted})")
    return Exit.IDENTIFIED if passed else Exit.DEVICE


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _standard_spectrum(args: argparse.Namespace) -> Spectrum:
    """The standard as measured: from the file, or with the instrument."""
    if not args.standard:
        raise ParameterError("--standard", None, "given: what was measured")
    measured_now = bool(args.port) or args.simulate is not None
    if measured_now == bool(args.file):
        raise ParameterError("FILE", args.file, "given, or else --port or --simulate")
    if measured_now:
        check_instrument(args)
        return measure(args)
    spectrum = read_one(args.file, args)
    return calibration_of(args)(spectrum)


def _made(args: argparse.Namespace, record: AxisCalibration | IntensityCorrection, lines: list[str]) -> int:
    signer = write_record(args, record) if args.output else ""
    if args.json:
        print_json({"sha256": record.sha256, "signed_by": signer, **record.to_dict()})
    else:
        print("\n".join(lines))
        if args.output:
            print(f"{args.output}: written{f', signed with the key {signer}' if signer else ', not signed'}.")
    return Exit.IDENTIFIED


def _checked(
    args: argparse.Namespace, record: AxisCalibration | IntensityCorrection, lines: list[str]
) -> int:
    signer = check_record(args)
    if args.json:
        print_json({"file": str(args.check), "intact": True, "sha256": record.sha256, "signed_by": signer})
    else:
        print("\n".join(lines))
        word = f"signed with the key {signer}" if signer else "signature not checked (no --public-key)"
        print(f"{args.check}: intact, {word}.")
    return Exit.IDENTIFIED


def _unit(record: AxisCalibration | IntensityCorrection) -> str:
    return " ".join(part for part in (record.instrument, record.serial, record.time) if part)


def _axis_lines(calibration: AxisCalibration) -> list[str]:
    prior = calibration.prior()
    fitted = len(calibration.coefficients) > 1 or calibration.space == "wavelength"
    low, high = calibration.valid_cm1
    scatter = f"{calibration.residual_sd_cm1:.2f} cm⁻¹" if calibration.degrees else "unknown (too few bands)"
    bands = f"{calibration.n_peaks} of {len(calibration.peaks)} bands"
    shift = f"{prior.shift_cm1:+.2f} ± {prior.shift_sd_cm1:.2f} cm⁻¹"
    lines = [
        f"{calibration.standard}, {bands} · {_unit(calibration)}",
        f"add {shift} at {calibration.pivot_cm1:.0f} cm⁻¹ (k = 1)",
        f"stretch {1e3 * prior.stretch:+.2f} ± {1e3 * prior.stretch_sd:.2f} ‰"
        if fitted
        else "no stretch fitted",
        f"a band is predicted from the others within {scatter}; valid from {low:.0f} to {high:.0f} cm⁻¹",
        "  standard     found      ±   before    after",
    ]
    lines += [
        f"{p.standard_cm1:10.1f}{p.found_cm1:10.2f}{p.found_sd_cm1:7.2f}{p.before_cm1:+9.2f}{p.after_cm1:+9.2f}"
        f"{'' if p.used else '  left out'}"
        for p in calibration.peaks
    ]
    return lines


def _intensity_lines(correction: IntensityCorrection) -> list[str]:
    low, high = correction.valid_cm1
    return [
        f"{correction.standard} · {_unit(correction)}",
        f"valid from {low:.0f} to {high:.0f} cm⁻¹; factors from {min(correction.factor):.3g} to "
        f"{max(correction.factor):.3g}, relative uncertainty up to {max(correction.relative_sd):.1%} (k = 1)",
    ]
