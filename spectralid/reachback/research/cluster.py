"""Re-search on many machines: the same work, with the two passes done by the workers of a Dask cluster.

The coordinator is a worker like any other as far as the database is concerned: it claims parts, and stores
what comes of them under the token it was given. What it does not do itself is the work: both passes are pure
functions of what they are handed (`spectralid.reachback.research.job`), so that a task of a Dask worker that
is killed is simply done again by another, with the same result. Workers need no access to the database; they
need the folder of the archive under the same path, and spectralid in the same version.
"""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import MissingDependencyError, ParameterError, SpectralIDError
from spectralid.reachback.research import runs
from spectralid.reachback.research.archive import SHARD_ROWS, Archive, DamagedShardError, ScanRef
from spectralid.reachback.research.effects import Looked
from spectralid.reachback.research.job import (
    Candidate,
    Judge,
    Target,
    candidates_of_file,
    judge,
    one_thread,
)
from spectralid.reachback.research.judge import Judged

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys
    from spectralid.spectrum import Spectrum

__all__ = ["connect", "work"]

_SCANS_PER_TASK: Final = 16
_PARTS_PER_WORKER: Final = 2
_PATIENCE_S: Final = 30.0


def connect(address: str | None, workers: int) -> Any:
    """A client of a running cluster, or of one made on this machine.

    What Dask exchanges is code: whoever reaches a scheduler without TLS runs programs on every machine of
    it. So a running one is reached by TLS only, with certificates as Dask's configuration names them. One
    that is made here has certificates of its own, as other users of this machine are strangers, too.

    Parameters
    ----------
    address : str or None
        Of the scheduler (``tls://…``); a cluster of processes on this machine if not given.
    workers : int
        Processes of such a cluster.

    Returns
    -------
    distributed.Client
        To be closed.

    Raises
    ------
    ParameterError
        If the address is that of a line without TLS.
    MissingDependencyError
        If Dask is not installed.
    """
    if address is not None and not address.startswith("tls://"):
        raise ParameterError(
            "address", address, "one that begins with tls://, because Dask lets whoever reaches it run code"
        )
    distributed = _distributed()
    if address is not None:
        return distributed.Client(address)
    cluster = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        security=distributed.Security.temporary(),
    )
    return distributed.Client(cluster)


def _distributed() -> Any:
    # By name, because it says nothing of its types.
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise MissingDependencyError("distributed", extra="archive", purpose="for many machines") from None


@dataclass
class _Doing:
    """A part that is being worked on."""

    run: Mapping[str, Any]
    part: runs.Part
    target: Target
    renewed: datetime
    also: frozenset[ScanRef]
    waiting: set[Any] = field(default_factory=set)
    found: list[Candidate] = field(default_factory=list)
    scans: list[tuple[Candidate, runs.Scan]] = field(default_factory=list)
    judged: dict[Any, Sequence[Judged]] = field(default_factory=dict)
    order: list[Any] = field(default_factory=list)
    first_pass: dict[Any, tuple[int, int]] = field(default_factory=dict)


def work(
    db: Database,
    keys: ServerKeys,
    client: Any,
    *,
    now: Callable[[], datetime],
    holder: str | None = None,
    judge: Judge = judge,
    lease: timedelta = runs.LEASE,
    shard_rows: int = SHARD_ROWS,
    progress: Callable[[runs.Progress], object] | None = None,
) -> int:
    """As `spectralid.reachback.research.runs.work`, on a cluster.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    db, keys, now, holder, judge, lease, shard_rows, progress
        As there; `judge` has to be one that workers can import.

    Returns
    -------
    int
        Parts that were completed.

    Notes
    -----
    If a task fails for good (its workers were killed again and again), the error is raised; what was not
    completed is taken up by whoever works next, when the lease has run out.
    """
    return _Coordinator(db, keys, client, now, holder, judge, lease, shard_rows, progress).run()


class _Coordinator:
    def __init__(
        self,
        db: Database,
        keys: ServerKeys,
        client: Any,
        now: Callable[[], datetime],
        holder: str | None,
        judge: Judge,
        lease: timedelta,
        shard_rows: int,
        progress: Callable[[runs.Progress], object] | None,
    ) -> None:
        self.db = db
        self.keys = keys
        self.client = client
        self.now = now
        self.holder = holder or f"{socket.gethostname()}:{os.getpid()}:dask"
        self.judge = judge
        self.lease = lease
        self.archive = Archive(db, shard_rows=shard_rows)
        self.progress = progress
        self.doing: list[_Doing] = []
        self.done = 0

    def run(self) -> int:
        """Keep every worker busy until nothing is left."""
        distributed = _distributed()
        while True:
            most = _PARTS_PER_WORKER * max(1, len(self.client.scheduler_info(n_workers=-1)["workers"]))
            while len(self.doing) < most and self._begin():
                pass
            if not self.doing:
                return self.done
            futures = [future for one in self.doing for future in one.waiting]
            try:
                ready = distributed.wait(futures, timeout=_PATIENCE_S, return_when="FIRST_COMPLETED").done
            except distributed.TimeoutError:
                ready = set()
            for one in list(self.doing):
                for future in one.waiting & ready:
                    one.waiting.discard(future)
                    self._take(one, future)
                if not one.waiting:
                    self._end(one)
            self._renew()

    def _begin(self) -> bool:
        """Claim a part and hand out its first pass; whether there was one."""
        run = runs.forward(self.db, self.archive, now=self.now())
        if run is None:
            return False
        moment = self.now()
        part = runs.claim(self.db, run["run_id"], self.holder, now=moment, lease=self.lease)
        if part is None:
            return False
        target = runs.target_of(self.db, run)
        one = _Doing(run, part, target, moment, runs.suspected(self.db, target))
        size = self.archive.shard_rows
        for first in range(part.start // size * size, part.stop, size):
            self._first_pass(one, max(first, part.start), min(first + size, part.stop))
        self.doing.append(one)
        return True

    def _first_pass(self, one: _Doing, first: int, last: int) -> None:
        file = self.archive.file_of(one.part.kind, last - 1)
        base = file.number * self.archive.shard_rows
        future = self.client.submit(
            candidates_of_file, str(self.archive.path(file)), file, one.target, first - base, last - base,
            one.also, pure=False,
        )  # fmt: skip
        one.first_pass[future] = (first, last)
        one.waiting.add(future)

    def _take(self, one: _Doing, future: Any) -> None:
        """Go on with what a worker has brought."""
        if future not in one.first_pass:
            one.judged[future] = future.result()
            return
        first, last = one.first_pass[future]
        try:
            found = future.result()
        except DamagedShardError:
            # Torn, or grown since: made again here, then handed out once more.
            self.archive.shard(one.part.kind, last - 1)
            self._first_pass(one, first, last)
            return
        skip = runs.newer_libraries(self.db, one.run)
        one.found += found
        tasks: list[tuple[runs.Scan, Spectrum | SpectralIDError]] = []
        for candidate in found:
            scan, spectrum = runs.read_scan(self.db, candidate.ref)
            if scan.library not in skip:
                one.scans.append((candidate, scan))
                tasks.append((scan, spectrum))
        for start in range(0, len(tasks), _SCANS_PER_TASK):
            some = tasks[start : start + _SCANS_PER_TASK]
            task = self.client.submit(_judge_some, some, one.target, self.judge, pure=False)
            one.order.append(task)
            one.waiting.add(task)

    def _end(self, one: _Doing) -> None:
        self.doing.remove(one)
        verdicts = [judged for task in one.order for judged in one.judged[task]]
        looked = [
            Looked(candidate, scan.case_id, judged)
            for (candidate, scan), judged in zip(one.scans, verdicts, strict=True)
        ]
        self.done += runs.complete(
            self.db, self.keys, one.part, looked, passed=len(one.found), now=self.now()
        )
        if self.progress is not None:
            self.progress(runs.get(self.db, one.part.run_id))

    def _renew(self) -> None:
        for one in list(self.doing):
            moment = self.now()
            if moment - one.renewed > self.lease / 3:
                one.renewed = moment
                if not runs.renew(self.db, one.part, now=moment, lease=self.lease):
                    # Another worker has it by now; what ours bring is not wanted any more.
                    self.client.cancel(list(one.waiting))
                    self.doing.remove(one)


def _judge_some(
    tasks: Sequence[tuple[runs.Scan, Spectrum | SpectralIDError]], target: Target, judge: Judge
) -> list[Judged]:
    with one_thread():
        return [runs.judged(spectrum, scan, target, judge) for scan, spectrum in tasks]
