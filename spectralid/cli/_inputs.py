"""What the commands that read spectrum files share: options, standard input, going on after a bad file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralid.errors import InputError, MissingDependencyError, ParameterError, SpectralIDError
from spectralid.spectrum import Spectrum
from spectralid.vouching import TrustedKeys

if TYPE_CHECKING:
    from spectralid.identify import InstrumentModel
    from spectralid.library import ReferenceLibrary

__all__ = [
    "Unread",
    "add_calibration_option",
    "add_instrument_model_option",
    "add_reading_options",
    "calibration_of",
    "instrument_models_of",
    "library_of",
    "print_json",
    "progress",
    "read_input",
    "read_one",
    "report_unread",
]

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Unread:
    """An input that could not be read, and why."""

    name: str
    error: SpectralIDError


def add_reading_options(parser: argparse.ArgumentParser, *, files: bool = True) -> None:
    """Add FILE (with `files`), ``--technique``, ``--laser-nm`` and ``--format``."""
    if files:
        parser.add_argument(
            "files",
            metavar="FILE",
            nargs="+",
            help="spectrum files; '-' reads one from standard input",
        )
    parser.add_argument(
        "--technique",
        choices=["raman", "ftir_atr", "ftir_transmission", "ftir"],
        help="technique, for files that do not state it",
    )
    parser.add_argument(
        "--laser-nm", type=float, metavar="NM", help="laser wavelength in nm, for axes in nm that lack it"
    )
    parser.add_argument("--format", metavar="NAME", help="file format, to skip recognition by content")


def add_calibration_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--calibration``."""
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="RECORD",
        help="axis calibration of the instrument that measured the files, from 'spectralid calibrate x'",
    )


def calibration_of(args: argparse.Namespace) -> Callable[[Spectrum], Spectrum]:
    """What puts a spectrum on the axis that ``--calibration`` corrects; leaves it as it is without.

    Raises
    ------
    UnreadableFileError
        If the record cannot be read.
    NotVouchedError
        If keys are trusted here and none of them has signed it.
    """
    if args.calibration is None:
        return lambda spectrum: spectrum
    from spectralid.calibration import load_calibration

    return load_calibration(args.calibration, trusted=TrustedKeys.here()).apply


def library_of(args: argparse.Namespace) -> ReferenceLibrary:
    """The library that ``--library`` names.

    Raises
    ------
    LibraryError
        If it cannot be used, or keys are trusted here and none of them has signed it.
    """
    from spectralid.library import open_library
    from spectralid.library.signing import vouch_library

    return vouch_library(open_library(args.library), TrustedKeys.here())


def add_instrument_model_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--instrument-model``."""
    parser.add_argument(
        "--instrument-model",
        type=Path,
        action="append",
        default=[],
        metavar="MODEL",
        help="model of the instrument that measured the files, from 'spectralid characterise'; one for Raman "
        "and one for infrared at most",
    )


def instrument_models_of(args: argparse.Namespace) -> tuple[InstrumentModel, ...]:
    """The models that ``--instrument-model`` names.

    Raises
    ------
    InputError
        If one cannot be read.
    ParameterError
        If two are for the same technique.
    """
    from spectralid.identify import read_instrument_model

    trusted = TrustedKeys.here()
    models = tuple(read_instrument_model(path, trusted=trusted) for path in args.instrument_model)
    if len({model.infrared for model in models}) < len(models):
        raise ParameterError(
            "--instrument-model", len(models), "one model for Raman and one for infrared at most"
        )
    return models


def read_input(name: str, args: argparse.Namespace) -> list[Spectrum] | Unread:
    """Read one input; one that cannot be read comes back as `Unread`, so that a batch goes on."""
    from spectralid.io import read_all

    shown = "standard input" if name == STDIN else name
    try:
        return read_all(
            sys.stdin.buffer if name == STDIN else Path(name),
            technique=args.technique,
            laser_nm=args.laser_nm,
            format=args.format,
            name=shown,
        )
    except ParameterError:
        raise  # A wrong option is wrong for every file.
    except (InputError, MissingDependencyError) as error:
        return Unread(shown, error)


def read_one(name: str, args: argparse.Namespace) -> Spectrum:
    """Read an input that holds one spectrum.

    Raises
    ------
    InputError, MissingDependencyError
        If it cannot be read.
    ParameterError
        If it holds several.
    """
    loaded = read_input(name, args)
    if isinstance(loaded, Unread):
        raise loaded.error
    if len(loaded) != 1:
        raise ParameterError("FILE", name, f"a file of one spectrum; it holds {len(loaded)}")
    return loaded[0]


def progress(items: Sequence[Any], unit: str) -> Any:
    """A progress bar on standard error over `items`; silent when nobody watches or there is little to do."""
    from tqdm import tqdm

    return tqdm(items, unit=unit, disable=len(items) < 8 or not sys.stderr.isatty(), leave=False)


def report_unread(item: Unread) -> None:
    """One sentence on standard error, above a running progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(f"spectralid: {item.error}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print a JSON document on standard output; strict JSON, so any tool can read it."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))
