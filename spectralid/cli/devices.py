"""``spectralid devices``: which instruments there are drivers for, and what answers on a port."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.errors import SpectralIDError, TransportError
from spectralid.vouching import TrustedKeys

if TYPE_CHECKING:
    from spectralid.devices import Capabilities, Profile

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command and its sub-commands."""
    parser = subparsers.add_parser(
        "devices",
        help="list instruments, describe one, find out what is on a port",
        description="Instruments there are drivers for, and what answers on a serial port.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    lists = commands.add_parser("list", help="serial ports, instrument profiles and drivers")
    lists.set_defaults(run=_list)

    info = commands.add_parser("info", help="what a profile fixes, what its driver can do, safety")
    info.add_argument("profile", metavar="PROFILE", help="name of a profile, or path of a .toml file")
    info.set_defaults(run=_info)

    probe = commands.add_parser(
        "probe",
        help="find out which protocol answers on a port",
        description=(
            "Ask on a port who is there, with questions only: nothing sent means 'laser on' in any protocol "
            "known here. At a wrong rate an instrument may still misread something: turn the laser's key off."
        ),
    )
    probe.add_argument("port", metavar="PORT", help="serial port, like /dev/ttyUSB0 or COM5")
    probe.add_argument("--profile", metavar="NAME", help="only ask for the instrument of this profile")
    probe.set_defaults(run=_probe)

    for command in (lists, info, probe):
        command.add_argument("--json", action="store_true", help="print the result as JSON")


def _list(args: argparse.Namespace) -> int:
    from serial.tools import list_ports

    from spectralid.devices import bundled_profiles, load_profile
    from spectralid.devices.registry import BUILT_IN, protocols

    ports = [{"port": p.device, "description": p.description or ""} for p in list_ports.comports()]
    profiles = [{"profile": name, **_summary(load_profile(name))} for name in bundled_profiles()]
    drivers = [
        {"protocol": name, "from": "spectralid" if name in BUILT_IN else "another package"}
        for name in protocols()
    ]
    if args.json:
        print_json({"ports": ports, "profiles": profiles, "drivers": drivers})
        return Exit.IDENTIFIED
    print("Serial ports:")
    for port in ports:
        print(f"  {port['port']:<20} {port['description']}")
    if not ports:
        print("  none found")
    print("\nProfiles:")
    for profile in profiles:
        tried = "" if profile["tried_on_hardware"] else "  (not tried on hardware)"
        print(f"  {profile['profile']:<24} {profile['name']} – {profile['protocol']}{tried}")
    print("\nDrivers:")
    for driver in drivers:
        print(f"  {driver['protocol']:<24} {driver['from']}")
    return Exit.IDENTIFIED


def _summary(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "protocol": profile.protocol,
        "technique": profile.technique.value,
        "tried_on_hardware": profile.tried_on_hardware,
    }


def _info(args: argparse.Namespace) -> int:
    from spectralid.devices import load_profile

    profile = load_profile(args.profile, trusted=TrustedKeys.here())
    capabilities = _capabilities(profile)
    if args.json:
        print_json(
            {
                **{name: getattr(profile, name) for name in profile.__dataclass_fields__},
                "options": dict(profile.options),
                "capabilities": None if capabilities is None else asdict(capabilities),
            }
        )
        return Exit.IDENTIFIED
    for label, value in _facts(profile):
        print(f"{label + ':':<22}{value}")
    if capabilities is None:
        print("\nWhat the driver can do is known once it is open: it is another package's, or there is none.")
    else:
        print("\nThe driver, as tried with the simulated instrument:")
        for name, value in asdict(capabilities).items():
            print(f"  {name.replace('_', ' '):<24}{_in_words(value)}")
    if profile.safety:
        print(f"\n{profile.safety}")
    return Exit.IDENTIFIED


def _facts(profile: Profile) -> list[tuple[str, str]]:
    facts = [
        ("name", profile.name),
        ("protocol", profile.protocol),
        ("technique", profile.technique.value),
        ("tried on hardware", "yes" if profile.tried_on_hardware else "no, on none"),
    ]
    if profile.baud:
        low, high = profile.integration_ms
        facts += [
            ("line", f"{profile.baud} baud, 8N1"),
            ("detector", f"{profile.pixels} pixels, counts up to {profile.adc_max}"),
            ("integration time", f"{low:g} to {high:g} ms"),
        ]
    if profile.maximum_on_s:
        excitation = "as the unit says" if profile.laser_nm is None else f"{profile.laser_nm:g} nm"
        facts += [
            ("laser", f"{excitation}, on for at most {profile.maximum_on_s:g} s in one go"),
            ("warning, warm-up", f"{profile.warning_s:g} s, {profile.warm_up_s:g} s"),
        ]
    if profile.wavelength_nm:
        facts.append(("wavelengths", ", ".join(f"{c:g}" for c in profile.wavelength_nm) + " nm per power"))
    facts += [(name.replace("_", " "), _in_words(value)) for name, value in profile.options.items()]
    return facts


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _capabilities(profile: Profile) -> Capabilities | None:
    """What the driver offers with the simulated instrument; ``None`` where there is no simulated one."""
    from spectralid.devices import open_device
    from spectralid.devices.sim.emission import Scene
    from spectralid.devices.sim.models import BENCHES, DEFAULT_MODELS, PROTOCOLS, instrument_class
    from spectralid.devices.sim.physics import Detector
    from spectralid.devices.sim.virtual import VirtualLine

    if profile.protocol not in PROTOCOLS:
        return None
    detector = Detector(BENCHES[DEFAULT_MODELS[profile.protocol]], Scene(), seed=0)
    instrument = instrument_class(profile.protocol)(detector, "SIM")
    try:
        with open_device(VirtualLine(instrument, baud=profile.baud), profile) as driver:
            return driver.capabilities
    except SpectralIDError:
        return None


def _probe(args: argparse.Namespace) -> int:
    from spectralid.devices import bundled_profiles, load_profile
    from spectralid.devices.probe import PROBES, probe, probes_for
    from spectralid.devices.transport import open_transport

    questions = PROBES if args.profile is None else probes_for(load_profile(args.profile))
    with open_transport(args.port, questions[0].baud) as line:
        answer = probe(line, questions)
    if answer is None:
        asked = ", ".join(f"{q.protocol} at {q.baud}" for q in questions)
        raise TransportError(
            f"Nobody answers on {args.port} (asked: {asked}). Check power and cable; an instrument with the "
            "TCD1304 firmware cannot be asked who it is.",
            kind="timeout",
        )
    fitting = [name for name in bundled_profiles() if load_profile(name).protocol == answer.protocol]
    if args.json:
        print_json({"port": args.port, **asdict(answer), "profiles": fitting})
    else:
        print(f"{args.port}: {answer.protocol} at {answer.baud} baud, {answer.says}")
        print(f"Profiles of this protocol: {', '.join(fitting) or 'none bundled'}")
    return Exit.IDENTIFIED
