"""``spectralid identify FILE…``: what is it, how sure are we, and what happens next."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import (
    Unread,
    add_calibration_option,
    add_reading_options,
    calibration_of,
    print_json,
    progress,
    read_input,
    report_unread,
)
from spectralid.cli._tiers import leads_document, leads_text
from spectralid.errors import InputError, ParameterError

if TYPE_CHECKING:
    from spectralid.identify import Identification
    from spectralid.library import ReferenceLibrary
    from spectralid.spectrum import Spectrum
    from spectralid.verdict import Verdict

__all__ = ["add_library_option", "add_parser", "save_figure", "verdict_line", "worst"]


def add_library_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--library``."""
    parser.add_argument(
        "--library",
        "-l",
        metavar="FILE",
        default="spectralid",
        help="reference library (default: the one that comes with spectralid)",
    )


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "identify",
        help="identify the substance in spectrum files",
        description="Identify the substance in each spectrum against a reference library. Presumptive.",
    )
    add_reading_options(parser)
    add_library_option(parser)
    add_calibration_option(parser)
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="candidates to list, 2 or more (default 5)"
    )
    parser.add_argument("--full", action="store_true", help="the whole verdict for each of several spectra")
    parser.add_argument(
        "--verbose", "-v", action="store_true",
        help="for a chemist: the whole verdict, and leads from computed references, which name nothing",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print results as JSON, leads included")
    parser.add_argument(
        "--figures", type=Path, metavar="DIR", help="save a picture of each spectrum over its best matches"
    )
    parser.set_defaults(run=run)


def save_figure(
    spectrum: Spectrum, identification: Identification, library: ReferenceLibrary, file: Path
) -> None:
    """Save the spectrum over its best matches as a picture."""
    from spectralid.plot import match_figure, save

    save(match_figure(spectrum, identification, library), file)


def _figure_path(folder: Path, file: str, index: int, spectrum: Spectrum) -> Path:
    # The identity keeps the spectra of equally named files apart.
    return folder / f"{Path(file).stem}-{index}-{spectrum.sha256[:8]}.png"


def worst(codes: list[int]) -> int:
    """The exit code of several verdicts."""
    return max(codes, default=Exit.IDENTIFIED)


def verdict_line(shown: str, identification: Identification, verdict: Verdict) -> str:
    """A verdict in one line."""
    line = f"{shown}: {verdict.kind.value} – {verdict.headline}"
    if not identification.candidates:
        return line
    best = identification.candidates[0]
    named = "" if best.compound_slug in verdict.named else f"nearest {best.compound_name}, "
    return f"{line} ({named}score {best.score:.3f})"


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.identify import Identifier
    from spectralid.library import open_library
    from spectralid.verdict import decide

    if args.figures:
        args.figures.mkdir(parents=True, exist_ok=True)
    calibrated = calibration_of(args)
    results: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    codes: list[int] = []
    with open_library(args.library) as library:
        identifier = Identifier(library)
        for file in progress(args.files, "file"):
            loaded = read_input(file, args)
            spectra = [] if isinstance(loaded, Unread) else loaded
            failures = [loaded] if isinstance(loaded, Unread) else []
            for index, spectrum in enumerate(spectra):
                shown = f"{file} [{index + 1}]" if len(spectra) > 1 else file
                try:
                    spectrum = calibrated(spectrum)
                    identification = identifier.identify(
                        spectrum, top=args.top, leads=args.json or args.verbose
                    )
                except ParameterError:
                    raise
                except InputError as error:
                    failures.append(Unread(shown, error))
                    continue
                verdict = decide(identification, library)
                codes.append(Exit[verdict.kind.name])
                if args.figures:
                    save_figure(
                        spectrum,
                        identification,
                        library,
                        _figure_path(args.figures, file, index + 1, spectrum),
                    )
                if args.json:
                    results.append(
                        {
                            "file": shown,
                            "verdict": verdict.to_dict(),
                            "identification": identification.to_dict(),
                            "leads": leads_document(identification, library),
                        }
                    )
                elif args.full or args.verbose or (len(args.files) == 1 and len(spectra) == 1):
                    print(f"{shown}\n{verdict.text()}\n")
                    if identification.leads:
                        print(f"{leads_text(identification, library)}\n")
                else:
                    print(verdict_line(shown, identification, verdict))
            for failure in failures:
                report_unread(failure)
                refused.append({"file": failure.name, "error": str(failure.error)})
    if args.json:
        print_json({"presumptive": True, "results": results, "unreadable": refused})
    return Exit.UNREADABLE if refused else worst(codes)
