"""Entry point: parse, run one sub-command, and turn every error into one sentence and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Final

from spectralid import __version__
from spectralid.cli import (
    analyse,
    calibrate,
    characterise,
    convert,
    devices,
    fuse,
    identify,
    info,
    library,
    packets,
    plot,
    policy,
    qa,
    reachback,
    report,
    scan,
    sim,
    tablet,
    trust,
    watch,
)
from spectralid.cli._exit import Exit
from spectralid.cli._plain import PlainText
from spectralid.errors import DeviceError, LibraryError, ParameterError, SpectralIDError

__all__ = ["main"]

# numpy's linear algebra gains nothing from threads on one spectrum and loses a factor on small machines; the
# variables only count when set before numpy is first imported, which is why they are set here.
_THREAD_VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

_EPILOG: Final = """\
exit codes:
            0 identified · 10 mixture · 11 family · 12 inconclusive · 13 no match · 14 poor signal
            2 usage · 3 unreadable input · 4 library · 5 device · 1 internal error
            20 different (library diff) · 21 goal missed, or something to look at (reachback plan, qa)
            130 interrupted · 141 pipe closed
All results are presumptive until a laboratory confirms them."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spectralid",
        description="What an unknown substance is, from its Raman or infrared spectrum.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"spectralid {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        scan,
        watch,
        identify,
        fuse,
        analyse,
        calibrate,
        characterise,
        convert,
        plot,
        info,
        library,
        devices,
        sim,
        policy,
        tablet,
        trust,
        packets,
        report,
        qa,
        reachback,
    ):
        module.add_parser(commands)
    return parser


def _exit_code(error: SpectralIDError) -> Exit:
    if isinstance(error, ParameterError):
        return Exit.USAGE
    if isinstance(error, LibraryError):
        return Exit.LIBRARY
    if isinstance(error, DeviceError):
        return Exit.DEVICE
    return Exit.UNREADABLE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        An exit code of `spectralid.cli._exit.Exit`.
    """
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    for stream in (sys.stdout, sys.stderr):
        # A pipe in a code page without "⁻¹" must not cost a scan; what cannot be written is spelled out.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with redirect_stdout(PlainText(sys.stdout)), redirect_stderr(PlainText(sys.stderr)):
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    args = _parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except SpectralIDError as error:
        print(f"spectralid: {error}", file=sys.stderr)
        return _exit_code(error)
    except BrokenPipeError:
        # The reader (head, less) has gone; Python would complain again while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PIPE_CLOSED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"spectralid: {where}{error.strerror or error}.", file=sys.stderr)
        return Exit.UNREADABLE
    except KeyboardInterrupt:
        print("spectralid: interrupted; what was already written is kept.", file=sys.stderr)
        return Exit.INTERRUPTED
    except Exception as error:
        # A defect of ours. An officer can do nothing with a traceback; a developer asks for it.
        if os.environ.get("SPECTRALID_DEBUG"):
            raise
        print(
            f"spectralid: internal error ({type(error).__name__}: {error}); nothing recorded is lost. "
            "Set SPECTRALID_DEBUG=1 to see where, and report it.",
            file=sys.stderr,
        )
        return Exit.INTERNAL
    return code
