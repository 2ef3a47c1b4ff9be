"""``spectralid scan``: measure with an instrument on a serial line, and say what it is."""

from __future__ import annotations

import argparse
import getpass
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.cli.identify import add_library_option, save_figure
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.devices import ArmToken, Profile, Progress
    from spectralid.spectrum import Spectrum

__all__ = ["add_parser"]

SIMULATED_PROFILE: Final = "ocean-ventana-785l"
SIMULATED_SUBSTANCE: Final = "acetaminophen"
CONFIRMATION: Final = "laser on"
# Long enough for a slow line with many frames, short enough that nobody forgets having said yes.
CONSENT_S: Final = 300.0


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "scan",
        help="measure with an instrument and identify",
        description="Measure a Raman spectrum with an instrument on a serial line and identify it.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--simulate",
        nargs="?",
        const=SIMULATED_SUBSTANCE,
        metavar="SUBSTANCE",
        help=f"start a simulated handheld with SUBSTANCE under its probe (default {SIMULATED_SUBSTANCE})",
    )
    source.add_argument("--port", help="serial port of a real instrument, like /dev/ttyUSB0 or COM5")
    parser.add_argument(
        "--profile", metavar="NAME", help=f"instrument profile for --port, like {SIMULATED_PROFILE}"
    )
    parser.add_argument(
        "--arm-laser", action="store_true", help="with --port: use the laser, after a confirmation"
    )
    parser.add_argument("--operator", metavar="NAME", help="who measures (default: the user logged in)")
    parser.add_argument(
        "--integration",
        type=float,
        metavar="MS",
        help="integration time of a frame (default: found by itself)",
    )
    parser.add_argument(
        "--averages", type=int, default=10, metavar="N", help="frames to average (default 10)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="with --simulate: seed of the noise (default 0)"
    )
    add_library_option(parser)
    parser.add_argument(
        "--save", type=Path, metavar="PICTURE", help="save the spectrum over its best matches as a picture"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="save the spectrum, like scan.jdx")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.identify import identify
    from spectralid.library import open_library
    from spectralid.verdict import decide

    _check(args)
    # The library is opened first: a scan nobody can evaluate needs no laser.
    with open_library(args.library) as library:
        spectrum = _measure(args)
        if args.out:
            from spectralid.io import write

            write(spectrum, args.out)
        identification = identify(spectrum, library)
        verdict = decide(identification, library)
        if args.json:
            print_json(
                {
                    "presumptive": True,
                    "instrument": spectrum.acquisition.to_dict(),
                    "verdict": verdict.to_dict(),
                    "identification": identification.to_dict(),
                }
            )
        else:
            print(f"{_headline(spectrum)}\n{verdict.text()}")
        if args.save:
            save_figure(spectrum, identification, library, args.save)
    return int(Exit[verdict.kind.name])


def _check(args: argparse.Namespace) -> None:
    """Find what is wrong with the options before an instrument is touched."""
    from spectralid.io import formats

    if args.port and not args.profile:
        raise ParameterError("--profile", None, "given with --port; see the folder devices/ for the profiles")
    if args.simulate is not None and args.profile:
        raise ParameterError("--profile", args.profile, "left out with --simulate, which brings its own")
    if args.out and not any(f.write and args.out.suffix.lower() in f.extensions for f in formats()):
        known = sorted({extension for f in formats() if f.write for extension in f.extensions})
        raise ParameterError("--out", str(args.out), "named with one of the extensions " + ", ".join(known))
    if args.out and args.out.exists():
        raise ParameterError("--out", str(args.out), "a file that does not exist yet; a measurement is kept")
    if args.save and args.save.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ParameterError("--save", str(args.save), "named .png, .pdf or .svg")
    for option, target in (("--out", args.out), ("--save", args.save)):
        if target and not target.absolute().parent.is_dir():
            raise ParameterError(option, str(target), "in a folder that exists")
    if args.seed < 0:
        raise ParameterError("--seed", args.seed, "0 or more")


def _measure(args: argparse.Namespace) -> Spectrum:
    from spectralid.devices import ScanPlan, load_profile, open_device, scan

    profile = load_profile(args.profile or SIMULATED_PROFILE)
    plan = ScanPlan(
        integration_ms=args.integration,
        averages=args.averages,
        # Nobody needs a warning of light that does not exist.
        warning_s=0.0 if args.simulate is not None else None,
        name=f"simulated {args.simulate}" if args.simulate else "",
    )
    with ExitStack() as stack:
        port = args.port
        if args.simulate is not None:
            from spectralid.devices.sim.launch import Simulator

            arguments = ("--substance", args.simulate, "--seed", str(args.seed))
            port = stack.enter_context(Simulator(*arguments)).port
            print(f"Simulated {profile.name} on {port}", file=sys.stderr)
        token = _consent(args, profile)
        stack.enter_context(_ending_in_order())
        instrument = stack.enter_context(open_device(port, profile))
        spectrum = scan(
            instrument, plan, token=token, acknowledge_unknown_interlock=True, progress=_show_progress
        )
    if args.simulate is not None:
        # No simulated spectrum may ever pass for evidence.
        return spectrum.replace(acquisition=spectrum.acquisition.with_flags("simulated"))
    return spectrum


def _consent(args: argparse.Namespace, profile: Profile) -> ArmToken:
    """The operator's consent to the laser, typed where there is a real one."""
    from spectralid.devices import LaserRefusedError, arm

    operator = args.operator or getpass.getuser()
    if args.simulate is not None:
        return arm(operator, valid_s=CONSENT_S)
    if not args.arm_laser:
        raise LaserRefusedError("A scan needs the laser; add --arm-laser when everyone wears their glasses.")
    if not sys.stdin.isatty():
        raise LaserRefusedError(
            "The laser is armed by a person at a terminal; standard input is none. "
            "Programs use spectralid.devices.arm() and answer for it themselves."
        )
    print(f"\n{profile.safety}\n", file=sys.stderr)
    if not profile.tried_on_hardware:
        print("This driver has never been tried on a real instrument of this model.\n", file=sys.stderr)
    print(
        f"By typing '{CONFIRMATION}' you, {operator}, confirm that glasses are on, that key and interlock "
        "were checked, and that nobody is in the beam: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if sys.stdin.readline().strip().lower() != CONFIRMATION:
        raise LaserRefusedError("The laser was not confirmed; nothing was measured.")
    return arm(operator, valid_s=CONSENT_S)


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let a request to end the program unwind it, so that the laser is switched off on the way out."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    wanted = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, leave) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_progress(progress: Progress) -> None:
    """One line on standard error: rewritten on a terminal, once per stage elsewhere."""
    from spectralid.devices import Stage

    if progress.stage is Stage.WARNING:
        text, last = f"{progress.stage.value} {progress.done} s", progress.done == 1
    else:
        text = f"{progress.stage.value} {progress.done}/{progress.total}"
        last = progress.done == progress.total
    if sys.stderr.isatty():
        print(f"\r{text:<40}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last:
        print(text, file=sys.stderr)


def _headline(spectrum: Spectrum) -> str:
    facts = spectrum.acquisition
    simulated = " · SIMULATED, no evidence" if "simulated" in facts.flags else ""
    return (
        f"{facts.instrument} {facts.serial} · {facts.averages} × {facts.integration_ms:g} ms · "
        f"{facts.time}{simulated}"
    )
