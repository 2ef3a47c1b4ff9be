"""``spectralid identify FILE…``: what is it, how sure are we, and what happens next."""

from __future__ import annotations

import argparse
import os
from collections import deque
from collections.abc import Iterator
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
from spectralid.cli._tiers import leads_document, leads_text
from spectralid.cli.policy import add_policy_options, policy_of
from spectralid.errors import InputError, ParameterError, SpectralIDError

if TYPE_CHECKING:
    from spectralid.identify import Identification
    from spectralid.library import ReferenceLibrary
    from spectralid.spectrum import Spectrum
    from spectralid.verdict import Verdict

__all__ = ["add_context_option", "add_library_option", "add_parser", "save_figure", "verdict_line", "worst"]


def add_library_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--library``."""
    parser.add_argument(
        "--library",
        "-l",
        metavar="FILE",
        default="spectralid",
        help="reference library (default: the one that comes with spectralid)",
    )


def add_context_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--context``."""
    parser.add_argument(
        "--context", action="append", type=_fact, default=[], metavar="NAME=VALUE",
        help="a fact of the scene to record, like declared=flour, container=glass or "
        "instrument_class=handheld; may be repeated",
    )  # fmt: skip


def _fact(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not (mark and name.strip() and value.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name.strip(), value.strip()


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "identify",
        help="identify the substance in spectrum files",
        description=(
            "Identify the substance in each spectrum against a reference library. A folder stands for the "
            "files in it. Presumptive."
        ),
    )
    add_reading_options(parser)
    add_library_option(parser)
    add_calibration_option(parser)
    add_instrument_model_option(parser)
    add_context_option(parser)
    add_policy_options(parser)
    parser.add_argument(
        "--jobs", "-j", type=int, default=1, metavar="N", help="processes to use for many spectra (default 1)"
    )
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="candidates to rank, 2 or more (default 5)"
    )
    parser.add_argument("--full", action="store_true", help="the whole verdict for each of several spectra")
    parser.add_argument(
        "--verbose", "-v", action="store_true",
        help="for a chemist: the verdict with every number behind it, and leads from computed references, "
        "which name nothing",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print results as JSON, leads included")
    parser.add_argument(
        "--figures",
        type=Path,
        metavar="DIR",
        help="save a picture of each spectrum with what was found in it",
    )
    parser.set_defaults(run=run)


def save_figure(
    spectrum: Spectrum, identification: Identification, library: ReferenceLibrary, file: Path
) -> None:
    """Save the spectrum with what was found in it as a picture."""
    from spectralid.plot import save

    save(identification.plot(spectrum, library), file)


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
    key = "line.score" if best.compound_slug in verdict.named else "line.nearest"
    name = verdict.catalog.named(best.compound_slug, best.compound_name)
    return f"{line} ({verdict.catalog.say(key, name=name, score=f'{best.score:.3f}')})"


class _Inputs:
    """The spectra of the files, read as they are needed, and in order what became of each."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._calibrated = calibration_of(args)
        self.files = _files(args.files)
        self.waiting: deque[tuple[str, str, int, Spectrum] | Unread] = deque()
        self.alone = len(self.files) == 1

    def __iter__(self) -> Iterator[Spectrum]:
        for file in progress(self.files, "file"):
            loaded = read_input(file, self._args)
            if isinstance(loaded, Unread):
                self.waiting.append(loaded)
                continue
            self.alone = self.alone and len(loaded) == 1
            for index, spectrum in enumerate(loaded, start=1):
                shown = f"{file} [{index}]" if len(loaded) > 1 else file
                try:
                    spectrum = self._calibrated(spectrum)
                except ParameterError:
                    raise
                except InputError as error:
                    self.waiting.append(Unread(shown, error))
                    continue
                self.waiting.append((shown, file, index, spectrum))
                yield spectrum


def _files(names: list[str]) -> list[str]:
    """The inputs, with folders as the files in them; hidden ones are nobody's spectra."""
    found: list[str] = []
    for name in names:
        if Path(name).is_dir():
            inside = (p for p in Path(name).iterdir() if p.is_file() and not p.name.startswith("."))
            found += sorted(str(p) for p in inside)
        else:
            found.append(name)
    return found


class _Session:
    """Tells results and refusals in the order of the inputs, and keeps what the end needs."""

    def __init__(self, args: argparse.Namespace, inputs: _Inputs, library: ReferenceLibrary) -> None:
        self._args = args
        self._inputs = inputs
        self._library = library
        self._rules = policy_of(args)
        self._results: list[dict[str, Any]] = []
        self._refused: list[dict[str, str]] = []
        self._codes: list[int] = []
        self._defect = False

    def take(self, result: Identification | SpectralIDError) -> None:
        """Tell the next result, and what could not be read before it."""
        from spectralid.identify import BatchError

        waiting = self._inputs.waiting
        while isinstance(item := waiting.popleft(), Unread):
            self._refuse(item)
        shown, file, index, spectrum = item
        if isinstance(result, SpectralIDError):
            self._refuse(Unread(shown, result))
            self._defect = self._defect or isinstance(result, BatchError)
            if isinstance(result, BatchError) and os.environ.get("SPECTRALID_DEBUG"):
                raise result.__cause__ or result
        else:
            self._tell(shown, file, index, spectrum, result)

    def end(self) -> int:
        """Tell what could not be read at last, and print what is printed at the end; the exit code."""
        for item in self._inputs.waiting:
            if isinstance(item, Unread):
                self._refuse(item)
        if self._args.json:
            print_json({"presumptive": True, "results": self._results, "unreadable": self._refused})
        if self._defect:
            return Exit.INTERNAL
        return Exit.UNREADABLE if self._refused else worst(self._codes)

    def _tell(
        self, shown: str, file: str, index: int, spectrum: Spectrum, identification: Identification
    ) -> None:
        from spectralid.verdict import decide

        args = self._args
        verdict = decide(identification, self._library, **self._rules)
        self._codes.append(Exit[verdict.kind.name])
        if args.figures:
            picture = _figure_path(args.figures, file, index, spectrum)
            save_figure(spectrum, identification, self._library, picture)
        if args.json:
            self._results.append(
                {
                    "file": shown,
                    "verdict": verdict.to_dict(),
                    "identification": identification.to_dict(),
                    "leads": leads_document(identification, self._library),
                }
            )
        elif args.full or args.verbose or self._inputs.alone:
            print(f"{shown}\n{verdict.text()}\n")
            if args.verbose:
                print(f"For a chemist, every number behind it:\n{identification.explain()}\n")
            if identification.leads:
                print(f"{leads_text(identification, self._library)}\n")
        else:
            print(verdict_line(shown, identification, verdict))

    def _refuse(self, item: Unread) -> None:
        report_unread(item)
        self._refused.append({"file": item.name, "error": str(item.error)})


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.identify import Identifier, identify_each

    models = instrument_models_of(args)
    if args.figures:
        args.figures.mkdir(parents=True, exist_ok=True)
    with library_of(args) as library:
        inputs = _Inputs(args)
        session = _Session(args, inputs, library)
        for result in identify_each(
            inputs,
            Identifier(library, instruments=models),
            processes=args.jobs,
            context=dict(args.context),
            top=args.top,
            leads=args.json or args.verbose,
        ):
            session.take(result)
        return session.end()
