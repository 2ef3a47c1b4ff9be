"""``spectralid characterise FILE…``: what an instrument does to spectra, from known pure substances."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import (
    Unread,
    add_calibration_option,
    add_reading_options,
    calibration_of,
    library_of,
    print_json,
    read_input,
    report_unread,
)
from spectralid.cli._output import add_force_option, check_new
from spectralid.cli.identify import add_library_option
from spectralid.errors import InputError

if TYPE_CHECKING:
    from spectralid.library import ReferenceLibrary
    from spectralid.spectrum import Spectrum

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "characterise",
        help="measure how an instrument's spectra differ from the library's",
        description=(
            "Estimate, from spectra of known pure substances that the library holds, how far references are "
            "off on an instrument: response, heights, places and widths of bands, resolution. With the model "
            "made here ('--instrument-model' of identify and analyse) far smaller shares are found. Take "
            "20 spectra or more, of many substances and several days."
        ),
    )
    add_reading_options(parser)
    add_library_option(parser)
    add_calibration_option(parser)
    parser.add_argument("--name", required=True, help="name of the instrument or class of instruments")
    parser.add_argument(
        "--substances",
        type=Path,
        metavar="TABLE",
        help="CSV with the columns file and substance (name, CAS number or InChIKey); without it, the name "
        "each spectrum carries says what it is",
    )
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="MODEL", help="model to write (JSON)"
    )
    add_force_option(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from tqdm import tqdm

    from spectralid.identify import Identifier, write_instrument_model

    check_new(args, args.output)
    with library_of(args) as library:
        known, left_out = _known(args, library)
        with tqdm(desc="estimating", unit="step", disable=not sys.stderr.isatty(), leave=False) as bar:
            model, estimate = Identifier(library, families=()).characterise(
                known, args.name, progress=lambda *_: bar.update()
            )
    write_instrument_model(model, args.output)
    substances = len({slug for _, slug in known})
    if args.json:
        print_json(
            {
                "model": model.to_dict(),
                "spectra": estimate.n_pairs,
                "outliers": estimate.n_left_out,
                "substances": substances,
                "log_evidence_gained_per_spectrum": estimate.log_evidence_per_pair,
                "not_used": left_out,
            }
        )
        return Exit.IDENTIFIED
    print(f"{args.output}: {estimate.n_pairs} spectra of {substances} substances")
    for name, value in model.mismatch.to_dict().items():
        print(f"  {name:15s} {value:.4g}")
    print(f"  {estimate.log_evidence_per_pair:+.0f} nats per spectrum against what holds of any instrument")
    return Exit.IDENTIFIED


def _known(
    args: argparse.Namespace, library: ReferenceLibrary
) -> tuple[list[tuple[Spectrum, str]], list[dict[str, str]]]:
    """Spectra with the slug of what they are, and files that could not be used."""
    from spectralid.library.compounds import CompoundIndex

    index = CompoundIndex(library.compounds)
    named = _table(args.substances) if args.substances else {}
    calibrated = calibration_of(args)
    known: list[tuple[Spectrum, str]] = []
    left_out: list[dict[str, str]] = []
    for file in args.files:
        loaded = read_input(file, args)
        if isinstance(loaded, Unread):
            report_unread(loaded)
            left_out.append({"file": file, "error": str(loaded.error)})
            continue
        for spectrum in loaded:
            name = named.get(Path(file).name, "" if named else spectrum.name)
            found = index.find(cas=name, inchikey=name, name=name) if name else None
            if found is None:
                error = InputError(f"{file}: {name or 'a spectrum without a name'} is not in the library.")
                report_unread(Unread(file, error))
                left_out.append({"file": file, "error": str(error)})
                continue
            known.append((calibrated(spectrum), found[0].slug))
    return known, left_out


def _table(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV table: {error}.") from error
    if not rows or not {"file", "substance"} <= rows[0].keys():
        raise InputError(f"{path} needs the columns 'file' and 'substance'.")
    return {Path(row["file"]).name: row["substance"] for row in rows}
