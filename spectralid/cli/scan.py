"""``spectralid scan``: measure with an instrument on a serial line, and say what it is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import library_of, print_json
from spectralid.cli._instrument import add_instrument_options, check_instrument, measure
from spectralid.cli.identify import add_context_option, add_library_option, save_figure
from spectralid.cli.policy import add_policy_options, policy_of
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.spectrum import Spectrum

__all__ = ["add_parser"]

_AGAIN: Final = {
    "saturated": "points are saturated, shorten the integration time or let it be found",
    "light_unsteady": "light did not come with every frame, check interlock, shutter and probe",
}


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "scan",
        help="measure with an instrument and identify",
        description="Measure a Raman spectrum with an instrument on a serial line and identify it.",
    )
    add_instrument_options(parser)
    add_library_option(parser)
    add_context_option(parser)
    add_policy_options(parser)
    parser.add_argument(
        "--save",
        type=Path,
        metavar="PICTURE",
        help="save the spectrum with what was found in it as a picture",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="save the spectrum, like scan.jdx")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.identify import identify
    from spectralid.verdict import decide

    _check(args)
    rules = policy_of(args)
    # The library is opened first: a scan nobody can evaluate needs no laser.
    with library_of(args) as library:
        spectrum = measure(args)
        if args.out:
            from spectralid.io import write

            write(spectrum, args.out)
        if "retake" in spectrum.acquisition.flags:
            return _measure_again(spectrum, as_json=args.json)
        identification = identify(spectrum, library, context=dict(args.context))
        verdict = decide(identification, library, **rules)
        if args.save:
            # Before anything is printed: who reads the text may be gone after the first lines.
            save_figure(spectrum, identification, library, args.save)
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
    return int(Exit[verdict.kind.name])


def _check(args: argparse.Namespace) -> None:
    """Find what is wrong with the options before an instrument is touched."""
    from spectralid.io import formats

    check_instrument(args)
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


def _measure_again(spectrum: Spectrum, *, as_json: bool) -> int:
    """Say that a suspect spectrum is not searched for: a wrong one must not end as "no match"."""
    facts = spectrum.acquisition
    why = "; ".join(text for flag, text in _AGAIN.items() if flag in facts.flags)
    if as_json:
        print_json(
            {
                "presumptive": True,
                "instrument": facts.to_dict(),
                "retake": why,
                "verdict": None,
                "identification": None,
            }
        )
    else:
        print(f"{_headline(spectrum)}\nMEASURE AGAIN: {why}. This spectrum was not identified.")
    return Exit.POOR_SIGNAL


def _headline(spectrum: Spectrum) -> str:
    facts = spectrum.acquisition
    simulated = " · SIMULATED, no evidence" if "simulated" in facts.flags else ""
    return (
        f"{facts.instrument} {facts.serial} · {facts.averages} × {facts.integration_ms:g} ms · "
        f"{facts.time}{simulated}"
    )
