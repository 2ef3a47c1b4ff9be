"""``spectralid watch FOLDER``: identify each spectrum file as another program writes it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import Unread, add_reading_options, library_of, report_unread
from spectralid.cli.identify import add_context_option, add_library_option, verdict_line, worst
from spectralid.cli.policy import add_policy_options, policy_of
from spectralid.errors import FileError, InputError, ParameterError, SpectralIDError

if TYPE_CHECKING:
    from spectralid.devices.watch_folder import Notice, WatchFolder
    from spectralid.identify import Identification
    from spectralid.spectrum import Spectrum
    from spectralid.verdict import Verdict

__all__ = ["add_parser"]

_EPILOG = """\
exit codes: with --once those of 'spectralid identify': 3 if a file could not be read (or was still being
            written), else the highest verdict code, 0 if there was nothing new. Without --once 0 when stopped
            by Ctrl-C or a termination signal. 2 usage · 4 library · 5 the ledger is in use.
A file counts as taken once its verdict is printed (and saved): after a crash what was not is done again."""


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "watch",
        help="identify spectrum files as they appear in a folder",
        description=(
            "Watch the folder an instrument's own software exports to (FTIR benches, handhelds, network "
            "shares) and identify each new spectrum file once. Presumptive."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder to watch")
    add_reading_options(parser, files=False)
    add_library_option(parser)
    add_context_option(parser)
    add_policy_options(parser)
    parser.add_argument("--once", action="store_true", help="take what is there now, then end")
    parser.add_argument("--subfolders", action="store_true", help="also watch the folders in it")
    parser.add_argument(
        "--ledger",
        type=Path,
        metavar="FILE",
        help="where it is remembered what was taken (default: a hidden file in FOLDER)",
    )
    parser.add_argument(
        "--poll-s", type=float, default=1.0, metavar="S", help="seconds between two looks (default 1)"
    )
    parser.add_argument("--full", action="store_true", help="the whole verdict for each spectrum")
    parser.add_argument("--json", action="store_true", help="print one JSON document per line")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="save each result as a JSON file in this folder"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    from spectralid.devices.watch_folder import LEDGER_NAME, NoticeKind, WatchFolder
    from spectralid.identify import Identifier
    from spectralid.io import read_all
    from spectralid.verdict import decide

    _check(args)
    rules = policy_of(args)
    session = _Session(args)

    def told(notice: Notice) -> None:
        if notice.kind is NoticeKind.UNREADABLE:
            session.refuse(str(notice.path), notice.message)
        else:
            print(f"spectralid: {notice.message}", file=sys.stderr)

    reader = partial(read_all, technique=args.technique, laser_nm=args.laser_nm, format=args.format)
    ledger = args.ledger or args.folder / LEDGER_NAME
    with (
        library_of(args) as library,
        WatchFolder(
            args.folder,
            reader,
            ledger=ledger,
            poll_s=args.poll_s,
            subfolders=args.subfolders,
            notify=told,
        ) as watch,
        _stopped_by_signals(watch),
    ):
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
        identifier = Identifier(library)
        if not args.once:
            print(
                f"Watching {args.folder} (taken files are listed in {ledger}); Ctrl-C ends it.",
                file=sys.stderr,
                flush=True,
            )
        for path, spectrum in watch.present() if args.once else watch:
            try:
                identification = identifier.identify(spectrum, context=dict(args.context))
            except InputError as error:
                # Not acknowledged: with the right options it can be identified after the next start.
                session.refuse(str(path), str(error))
                continue
            session.tell(path, spectrum, identification, decide(identification, library, **rules))
            watch.ack()
        if args.once:
            for path in watch.unsettled:
                session.refuse(str(path), f"{path}: it is still being written; run this again later.")
    return session.end()


def _check(args: argparse.Namespace) -> None:
    if args.out is None:
        return
    out, folder = args.out.resolve(), args.folder.resolve()
    if out == folder or (args.subfolders and folder in out.parents):
        raise ParameterError("--out", str(args.out), "a folder that is not itself watched")
    if args.out.exists() and not args.out.is_dir():
        raise ParameterError("--out", str(args.out), "a folder")


class _Session:
    """Tells results and refusals, and counts them."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._codes: list[int] = []
        self._kinds: Counter[str] = Counter()
        self._refused = 0

    def tell(self, path: Path, spectrum: Spectrum, identification: Identification, verdict: Verdict) -> None:
        """Print a result and save it."""
        result = {
            "presumptive": True,
            "file": str(path),
            "file_sha256": spectrum.acquisition.metadata["file_sha256"],
            "instrument": spectrum.acquisition.to_dict(),
            "verdict": verdict.to_dict(),
            "identification": identification.to_dict(),
        }
        if self._args.out:
            # The identity keeps the spectra of equally named files apart, and doing one again harmless.
            _save(result, self._args.out / f"{path.stem}-{spectrum.sha256[:8]}.json")
        if self._args.json:
            self._print_json(result)
        elif self._args.full:
            print(f"{path}\n{verdict.text()}\n", flush=True)
        else:
            print(verdict_line(str(path), identification, verdict), flush=True)
        self._codes.append(Exit[verdict.kind.name])
        self._kinds[verdict.kind.value] += 1

    def refuse(self, name: str, message: str) -> None:
        """Say that something could not be used."""
        report_unread(Unread(name, SpectralIDError(message)))
        self._refused += 1
        if self._args.json:
            self._print_json({"file": name, "error": message})

    def end(self) -> int:
        """Sum up; the exit code."""
        counts = [f"{count} {kind}" for kind, count in sorted(self._kinds.items())]
        if self._refused:
            counts.append(f"{self._refused} could not be used")
        print(f"Ended: {', '.join(counts) or 'nothing new'}.", file=sys.stderr)
        if not self._args.once:
            return Exit.IDENTIFIED
        return Exit.UNREADABLE if self._refused else worst(self._codes)

    @staticmethod
    def _print_json(value: dict[str, Any]) -> None:
        # One line each, at once: whoever reads the pipe acts on it now.
        print(json.dumps(value, ensure_ascii=False, allow_nan=False), flush=True)


def _save(result: dict[str, Any], target: Path) -> None:
    partial_file = target.with_name(target.name + ".partial")
    try:
        partial_file.write_text(
            json.dumps(result, ensure_ascii=True, indent=2, allow_nan=False) + "\n", encoding="ascii"
        )
        os.replace(partial_file, target)
    except OSError as error:
        raise FileError(f"it cannot be written ({error.strerror}).", file=str(target)) from None


@contextmanager
def _stopped_by_signals(watch: WatchFolder) -> Iterator[None]:
    """The first request to end lets the file at hand be finished; a second one is not waited for."""

    def stop(number: int, _: FrameType | None) -> None:
        watch.stop()
        signal.signal(number, before[signal.Signals(number)])

    wanted = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
