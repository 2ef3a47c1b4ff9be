"""``spectralid fuse RAMAN INFRARED``: one item by two techniques; do they agree?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import Unread, library_of, print_json, read_input
from spectralid.cli.identify import add_context_option, add_library_option, verdict_line
from spectralid.cli.policy import add_policy_options, policy_of
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.spectrum import Spectrum

__all__ = ["add_parser"]

_EPILOG: Final = """\
exit codes: 12 (inconclusive) where the two disagree, else the lower of the two verdicts' codes, as of
            'spectralid identify'. 3 if a file could not be read."""


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "fuse",
        help="a Raman and an infrared spectrum of one item: do they agree?",
        description=(
            "Identify one item by its Raman and its infrared spectrum, and say whether the two agree. "
            "Probabilities are combined only where both are calibrated. Presumptive."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("raman", metavar="RAMAN", help="file of the Raman spectrum")
    parser.add_argument("infrared", metavar="INFRARED", help="file of the infrared spectrum")
    add_library_option(parser)
    add_context_option(parser)
    add_policy_options(parser)
    parser.add_argument(
        "--laser-nm", type=float, metavar="NM", help="laser wavelength in nm, for axes in nm that lack it"
    )
    parser.add_argument("--full", action="store_true", help="the whole verdict of each")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.set_defaults(run=run, format=None)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.identify import Identifier, Outcome, fuse
    from spectralid.verdict import decide

    rules = policy_of(args)
    spectra = [_read(args.raman, "raman", args), _read(args.infrared, "ftir", args)]
    with library_of(args) as library:
        identifier = Identifier(library)
        results = [identifier.identify(s, context=dict(args.context)) for s in spectra]
        verdicts = [decide(r, library, **rules) for r in results]
    together = fuse(*results)
    files = (args.raman, args.infrared)
    if args.json:
        print_json(
            {
                "presumptive": True,
                "results": [
                    {"file": file, "verdict": v.to_dict(), "identification": r.to_dict()}
                    for file, v, r in zip(files, verdicts, results, strict=True)
                ],
                "fusion": together.to_dict(),
            }
        )
    else:
        for file, verdict, result in zip(files, verdicts, results, strict=True):
            print(f"{file}\n{verdict.text()}\n" if args.full else verdict_line(file, result, verdict))
        print(together.words)
    if together.outcome is Outcome.DISAGREE:
        return Exit.INCONCLUSIVE
    return min(Exit[v.kind.name] for v in verdicts)


def _read(name: str, technique: str, args: argparse.Namespace) -> Spectrum:
    """The one spectrum of a file."""
    loaded = read_input(name, argparse.Namespace(**vars(args), technique=technique))
    if isinstance(loaded, Unread):
        raise loaded.error
    if len(loaded) != 1:
        raise ParameterError(technique.upper(), name, f"a file of one spectrum, not of {len(loaded)}")
    return loaded[0]
