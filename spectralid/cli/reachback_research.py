"""``spectralid reachback research``: search the archive of scans again after a release."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.cli._reachback import add_server_options, opened

if TYPE_CHECKING:
    from spectralid.reachback.api.desk import Desk
    from spectralid.reachback.research.runs import Progress

__all__ = ["add_parser"]

_EPILOG: Final = """\
exit codes: 0 done · 1 the record or a library cannot be read, or a worker broke off · 2 usage
What is searched, and what becomes of it, stands in docs/reachback-research.md."""
_LOOK_S: Final = 0.5


def add_parser(subparsers: Any) -> None:
    """Register the command and its sub-commands."""
    parser = subparsers.add_parser(
        "research",
        help="search archived scans again for what a release changed",
        description="Search every archived scan again for what changed in the library, and reopen the cases "
        "whose answers change.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    one = commands.add_parser("run", help="work on what is queued until nothing is left")
    add_server_options(one)
    one.add_argument("--release", type=int, metavar="N", help="first queue a run for this release")
    one.add_argument("--processes", type=int, default=1, metavar="N", help="on this machine (%(default)s)")
    one.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster (tls://…)")
    one.add_argument("--follow", type=float, metavar="SECONDS", help="go on: look again every so often")
    one.set_defaults(run=_run)
    one = commands.add_parser("status", help="runs and how far they have come")
    add_server_options(one)
    one.add_argument("--json", action="store_true", help="as JSON")
    one.set_defaults(run=_status)
    one = commands.add_parser("archive", help="bring the archive of scans up to date, or check it")
    add_server_options(one)
    which = one.add_mutually_exclusive_group()
    which.add_argument("--rebuild", action="store_true", help="make all of it anew")
    which.add_argument("--verify", action="store_true", help="check every shard, and make torn ones again")
    one.add_argument("--json", action="store_true", help="print what is there as JSON")
    one.set_defaults(run=_archive)


def _run(args: argparse.Namespace) -> int:
    from spectralid.errors import ParameterError

    if args.processes < 1:
        raise ParameterError("--processes", args.processes, "at least 1")
    if args.follow is not None and not args.follow > 0:
        raise ParameterError("--follow", args.follow, "more than 0")
    with opened(args) as desk:
        if args.release is not None:
            from spectralid.reachback.research.runs import start_for_release

            start_for_release(desk.db, args.release, by="command", now=desk.now())
        while True:
            code = _once(args, desk)
            if args.follow is None or code:
                return code
            time.sleep(args.follow)


def _once(args: argparse.Namespace, desk: Desk) -> int:
    with _Bar() as bar:
        if args.dask is not None:
            from spectralid.reachback.research import cluster

            client = cluster.connect(args.dask, args.processes)
            try:
                _until_done(
                    desk,
                    lambda: cluster.work(desk.db, desk.keys, client, now=desk.now, progress=bar.show),
                )
            finally:
                client.close()
        elif args.processes > 1:
            return _processes(args, desk, bar)
        else:
            from spectralid.reachback.research import runs as research

            _until_done(desk, lambda: research.work(desk.db, desk.keys, now=desk.now, progress=bar.show))
    return Exit.IDENTIFIED


def _until_done(desk: Desk, work: Callable[[], int]) -> None:
    """Work, and wait for what others have: it comes back if they were killed."""
    from spectralid.reachback.research import runs as research

    while work() or research.pending(desk.db):
        time.sleep(_LOOK_S)


def _processes(args: argparse.Namespace, desk: Desk, bar: _Bar) -> int:
    """Workers beside each other; what one that breaks off has is left to the others."""
    from multiprocessing import get_context

    from spectralid.reachback.research import runs as research

    context = get_context("spawn")
    workers = [context.Process(target=_worker, args=(args,)) for _ in range(args.processes)]
    for worker in workers:
        worker.start()
    while alive := [worker for worker in workers if worker.is_alive()]:
        alive[0].join(_LOOK_S)
        for run in research.listed(desk.db, limit=5):
            if run.state == "running":
                bar.show(run)
    return Exit.INTERNAL if any(worker.exitcode for worker in workers) else Exit.IDENTIFIED


def _worker(args: argparse.Namespace) -> None:
    from spectralid.reachback.research import runs as research

    with opened(args) as desk:
        _until_done(desk, lambda: research.work(desk.db, desk.keys, now=desk.now))


class _Bar:
    """How far a run has come, on a terminal."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit=" scans", unit_scale=True, disable=not sys.stderr.isatty(), leave=False)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, run: Progress) -> None:
        self._bar.set_description(f"{run.library_name} {run.library_version}", refresh=False)
        self._bar.total = run.spectra
        self._bar.n = run.searched
        self._bar.set_postfix(changed=run.answers_changed, reopened=run.reopened)

    def count(self, done: int) -> None:
        self._bar.update(done - self._bar.n)


def _status(args: argparse.Namespace) -> int:
    from spectralid.reachback.research import runs as research

    with opened(args) as desk:
        runs = research.listed(desk.db)
    if args.json:
        print_json([asdict(run) for run in runs])
        return Exit.IDENTIFIED
    for run in runs:
        print(
            f"{run.run_id}  {run.state:8} {run.library_name} {run.library_version}: "
            f"{run.searched:,} of {run.spectra:,} scans searched for {run.changed + run.removed} references, "
            f"{run.judged:,} looked at again, {run.answers_changed:,} answers changed, "
            f"{run.reopened:,} cases reopened"
        )
    if not runs:
        print("Nothing was searched again yet.")
    return Exit.IDENTIFIED


def _archive(args: argparse.Namespace) -> int:
    from spectralid.reachback.research.archive import Archive

    with opened(args) as desk, _Bar() as bar:
        archive = Archive(desk.db)
        if args.verify:
            for name in archive.verify():
                archive.mend(name)
                print(f"{name}: made again", file=sys.stderr)
        elif args.rebuild:
            archive.rebuild(bar.count)
        else:
            archive.update(bar.count)
        there = archive.manifest()
    if args.json:
        print_json(there)
    else:
        rows = ", ".join(f"{count:,} {kind}" for kind, count in there["rows"].items())
        print(
            f"{rows} scans in {there['shards']} shards, {there['bytes'] / 1e9:.2f} GB; {there['skipped']:,} "
            "cannot be searched"
        )
    return Exit.IDENTIFIED
