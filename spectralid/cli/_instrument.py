"""What the commands that measure share: which instrument, consent to its laser, progress, signals."""

from __future__ import annotations

import argparse
import getpass
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spectralid.errors import DeviceError, ParameterError
from spectralid.vouching import TrustedKeys

if TYPE_CHECKING:
    from spectralid.devices import ArmToken, Profile, Progress
    from spectralid.devices.record import Measurement
    from spectralid.devices.sim.launch import Simulator
    from spectralid.spectrum import Spectrum

__all__ = [
    "CONFIRMATION",
    "add_instrument_options",
    "check_instrument",
    "ending_in_order",
    "measure",
    "measure_with_frames",
]

SIMULATED_PROTOCOL: Final = "obp"
SIMULATED_PROFILE: Final = "ocean-ventana-785l"
SIMULATED_SUBSTANCE: Final = "acetaminophen"
CONFIRMATION: Final = "laser on"
# Long enough for a slow line with many frames, short enough that nobody forgets having said yes.
CONSENT_S: Final = 300.0
# How many frames --until-snr may take when nobody says how many.
_PATIENCE: Final = 200
_AVERAGES: Final = 10
# Limit for the laser of a simulated rig whose profile knows none.
_SIMULATED_ON_S: Final = 120.0


def add_instrument_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the options that choose an instrument and say how to measure."""
    source = parser.add_mutually_exclusive_group(required=required)
    source.add_argument(
        "--simulate",
        nargs="?",
        const=SIMULATED_SUBSTANCE,
        metavar="SUBSTANCE",
        help=f"start a simulated instrument with SUBSTANCE under its probe (default {SIMULATED_SUBSTANCE})",
    )
    source.add_argument("--port", help="serial port of a real instrument, like /dev/ttyUSB0 or COM5")
    add = parser.add_argument
    add("--profile", metavar="NAME", help="instrument profile; 'spectralid devices list' names them")
    add(
        "--simulate-protocol",
        metavar="PROTOCOL",
        help=f"with --simulate: what the instrument speaks (default {SIMULATED_PROTOCOL})",
    )
    add("--arm-laser", action="store_true", help="with --port: use the laser, after a confirmation")
    add("--operator", metavar="NAME", help="who measures (default: the user logged in)")
    add(
        "--integration",
        type=float,
        metavar="MS",
        help="integration time of a frame (default: found by itself)",
    )
    add(
        "--averages",
        type=int,
        metavar="N",
        help=f"frames to average (default {_AVERAGES}; with --until-snr at most N, default {_PATIENCE})",
    )
    add(
        "--until-snr",
        type=float,
        metavar="RATIO",
        help="average until the strongest band stands this many times above its noise",
    )
    add(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="axis calibration of this very instrument, from 'spectralid calibrate x'",
    )
    add("--seed", type=int, default=0, metavar="N", help="with --simulate: seed of the noise (default 0)")


def check_instrument(args: argparse.Namespace) -> None:
    """Find what is wrong with the options before an instrument is touched.

    Raises
    ------
    ParameterError
        If something is.
    """
    if args.seed < 0:
        raise ParameterError("--seed", args.seed, "0 or more")
    if args.port:
        if not args.profile:
            raise ParameterError(
                "--profile", None, "given with --port; 'spectralid devices list' names the profiles"
            )
        if args.simulate_protocol:
            raise ParameterError("--simulate-protocol", args.simulate_protocol, "left out with --port")
        return
    from spectralid.devices.sim.models import PROTOCOLS
    from spectralid.devices.sim.samples import bundled_samples

    if args.simulate_protocol and args.simulate_protocol not in PROTOCOLS:
        raise ParameterError("--simulate-protocol", args.simulate_protocol, "one of " + ", ".join(PROTOCOLS))
    known = bundled_samples()
    if args.simulate.lower() not in known:
        raise ParameterError("--simulate", args.simulate, "one of " + ", ".join(sorted(known)))
    profile = chosen_profile(args)
    if args.simulate_protocol not in (None, profile.protocol):
        raise ParameterError(
            "--profile", args.profile, f"of an instrument that speaks {args.simulate_protocol}"
        )
    if profile.protocol not in PROTOCOLS:
        raise ParameterError("--profile", args.profile, "of a protocol that can be simulated")


def chosen_profile(args: argparse.Namespace) -> Profile:
    """The profile asked for, or the first bundled one of the protocol to simulate.

    Raises
    ------
    ParameterError, FileError
        If there is none, or it cannot be read.
    """
    from spectralid.devices import bundled_profiles, load_profile

    if args.profile:
        return load_profile(args.profile, trusted=TrustedKeys.here())
    if args.simulate_protocol in (None, SIMULATED_PROTOCOL):
        return load_profile(SIMULATED_PROFILE)
    for name in bundled_profiles():
        if (profile := load_profile(name)).protocol == args.simulate_protocol:
            return profile
    raise ParameterError("--profile", None, f"given: none of the bundled ones is {args.simulate_protocol}")


def measure(args: argparse.Namespace) -> Spectrum:
    """Measure as the options say, with progress on standard error.

    Raises
    ------
    DeviceError, ParameterError
        See `spectralid.devices.Session`.
    """
    return measure_with_frames(args)[0]


def measure_with_frames(args: argparse.Namespace) -> tuple[Spectrum, Measurement]:
    """As `measure`, with the frames, for what judges the detector.

    Raises
    ------
    DeviceError, ParameterError
        See `spectralid.devices.Session`.
    """
    from spectralid.devices import ScanPlan, Session, open_device

    simulated = args.simulate is not None
    profile = chosen_profile(args)
    few = _PATIENCE if args.until_snr else _AVERAGES
    plan = ScanPlan(
        integration_ms=args.integration,
        averages=few if args.averages is None else args.averages,
        until_snr=args.until_snr,
        # Nobody needs a warning of light that does not exist.
        warning_s=0.0 if simulated else None,
        name=f"simulated {args.simulate}" if simulated else "",
        operator=args.operator or getpass.getuser(),
    )
    calibration = None
    if args.calibration:
        from spectralid.calibration import load_calibration

        calibration = load_calibration(args.calibration, trusted=TrustedKeys.here())
    with ExitStack() as stack:
        port = args.port
        if simulated:
            profile = _as_simulated(profile)
            port = stack.enter_context(_simulator(args, profile)).port
            print(f"Simulated {profile.name} on {port}", file=sys.stderr)
        token = _consent(args, profile, plan.operator)
        stack.enter_context(ending_in_order())
        session = stack.enter_context(Session(partial(open_device, port, profile)))
        measurement = session.measure(
            # A simulated laser that no software switches shines all the time: there is no dark.
            replace(plan, dark=session.has_laser or not simulated),
            token=token,
            acknowledge_unknown_interlock=True,
            light=None if session.has_laser or simulated else _switch_by_hand,
            progress=show_progress,
        )
    spectrum = measurement.spectrum(axis_calibration=calibration, intensity_calibration=None)
    if simulated:
        # No simulated spectrum may ever pass for evidence.
        spectrum = spectrum.replace(acquisition=spectrum.acquisition.with_flags("simulated"))
    return spectrum, measurement


def _simulator(args: argparse.Namespace, profile: Profile) -> Simulator:
    from spectralid.devices.sim.launch import Simulator as Process
    from spectralid.devices.sim.models import BENCHES

    model = [name for name in BENCHES if args.profile and args.profile.endswith(name)]
    return Process(
        *("--protocol", profile.protocol, "--substance", args.simulate, "--seed", str(args.seed)),
        *(("--model", *model) if model else ()),
    )


def _as_simulated(profile: Profile) -> Profile:
    """The profile of a spectrometer without a laser, as whoever builds a Raman rig around it completes it."""
    if profile.laser_nm is not None or profile.maximum_on_s:
        return profile
    from spectralid.devices.sim.models import BENCHES, DEFAULT_MODELS

    switches = {name: True for name in ("laser_on_strobe_line", "light_source") if name in profile.options}
    return replace(
        profile,
        laser_nm=BENCHES[DEFAULT_MODELS[profile.protocol]].laser_nm,
        maximum_on_s=_SIMULATED_ON_S,
        options={**profile.options, **switches},
    )


def _consent(args: argparse.Namespace, profile: Profile, operator: str) -> ArmToken:
    """The operator's consent to the laser, typed where there is a real one."""
    from spectralid.devices import LaserRefusedError, arm

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
    asked = (
        f"By typing '{CONFIRMATION}' you, {operator}, confirm that glasses are on, that key and interlock "
        "were checked, and that nobody is in the beam: "
    )
    if _typed(asked).lower() != CONFIRMATION:
        raise LaserRefusedError("The laser was not confirmed; nothing was measured.")
    return arm(operator, valid_s=CONSENT_S)


def _switch_by_hand(on: bool) -> None:
    """Have the operator switch a light that software cannot."""
    what = "Switch the laser on" if on else "Switch the laser OFF, or block its beam"
    _typed(f"{what}, then press Enter: ")


def _typed(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise DeviceError("Standard input has ended; nothing was measured.")
    return line.strip()


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let a request to end the program unwind it, so that lines are closed and simulators end."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    wanted = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, leave) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_progress(progress: Progress) -> None:
    """One line on standard error: rewritten on a terminal, once per stage elsewhere."""
    from spectralid.devices import Stage

    if progress.stage in (Stage.WARNING, Stage.WARM_UP):
        text, last = f"{progress.stage.value} {progress.done} s", progress.done == 1
    else:
        text = f"{progress.stage.value} {progress.done}/{progress.total}"
        last = progress.done == progress.total
    if progress.snr is not None:
        text += f" · strongest band {progress.snr:.0f} times its noise"
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last:
        print(text, file=sys.stderr)
