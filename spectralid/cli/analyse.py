"""``spectralid analyse FILE…``: the chemist's dossier of a spectrum, from a joint fit of the library."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import (
    Unread,
    add_calibration_option,
    add_instrument_model_option,
    add_reading_options,
    calibration_of,
    instrument_models_of,
    library_of,
    print_json,
    progress,
    read_input,
    report_unread,
)
from spectralid.cli.identify import add_context_option, add_library_option, save_figure
from spectralid.errors import InputError, ParameterError

if TYPE_CHECKING:
    from spectralid.identify import Identifier
    from spectralid.spectrum import Spectrum

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "analyse",
        help="components of a spectrum and every number behind them, for a chemist",
        description=(
            "The dossier of each spectrum, without a verdict: components with shares and intervals, bands "
            "that bear them out or are missing, bands nothing accounts for, what share of each family could "
            "have hidden, and what each number rests on. Exit code 0: every input was analysed."
        ),
    )
    add_reading_options(parser)
    add_library_option(parser)
    add_calibration_option(parser)
    add_instrument_model_option(parser)
    add_context_option(parser)
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.add_argument(
        "--figures", type=Path, metavar="DIR", help="save a picture of each spectrum over its components"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.identify import Identifier

    if args.figures:
        args.figures.mkdir(parents=True, exist_ok=True)
    calibrated, models = calibration_of(args), instrument_models_of(args)
    results: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    with library_of(args) as library:
        identifier = Identifier(library, instruments=models)
        for file in progress(args.files, "file"):
            loaded = read_input(file, args)
            failures = [loaded] if isinstance(loaded, Unread) else []
            for index, spectrum in enumerate([] if isinstance(loaded, Unread) else loaded, start=1):
                shown = f"{file} [{index}]" if index > 1 else file
                try:
                    document = _one(identifier, calibrated(spectrum), shown, args, index)
                except ParameterError:
                    raise
                except InputError as error:
                    failures.append(Unread(shown, error))
                    continue
                results.append(document)
            for failure in failures:
                report_unread(failure)
                refused.append({"file": failure.name, "error": str(failure.error)})
    if args.json:
        print_json({"presumptive": True, "results": results, "unreadable": refused})
    return Exit.UNREADABLE if refused else Exit.IDENTIFIED


def _one(
    identifier: Identifier, spectrum: Spectrum, shown: str, args: argparse.Namespace, index: int
) -> dict[str, Any]:
    identification = identifier.identify(spectrum, context=dict(args.context))
    if not args.json:
        print(f"{shown}\n{identification.explain()}\n")
    if args.figures:
        target = args.figures / f"{Path(shown).stem}-{index}-{spectrum.sha256[:8]}-components.png"
        save_figure(spectrum, identification, identifier.library, target)
    return {"file": shown, **identification.to_dict()}
