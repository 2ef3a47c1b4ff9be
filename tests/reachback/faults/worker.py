"""A server's worker that is to be killed: it does what it is told, and says what it has done.

Run as a fork server, so that a victim costs a fork and not a start of Python. Every line on standard input is
an order in JSON; a child is forked, does the jobs of the order's folder one after the other, or some at once
(``packet``: take it in; ``decide``: lease, decide, hand the answer out) and says ``did N <sha256>`` after
each. It is killed after so many seconds, or kills itself at the so-manieth thing that it asks of the
database: before a statement, after it, before a commit, after it; or right after a commit, with nothing said
yet. When it is dead the server says ``dead``,
and ``done`` if it had finished before.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import itertools
import json
import os
import select
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from spectralid.casework import messages  # noqa: F401  (before the fork)
from spectralid.reachback.bench import decisions
from spectralid.reachback.bench.decisions import Decision
from spectralid.reachback.caseload import leases
from spectralid.reachback.errors import TransitionError
from spectralid.reachback.store.database import Database, open_database
from spectralid.reachback.store.serverkeys import ServerKeys
from spectralid.reachback.tablets import answers, ingest
from tests.faults import guards

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SAYS = Decision("identified", "Lactose", "Presumptive.", "Bands at 850 cm-1.", ("lactose",))


def _say(text: str) -> None:
    # One write below PIPE_BUF is atomic: what arrives is a whole line, whenever the kill comes.
    os.write(1, f"{text}\n".encode())


def do(db: Database, keys: ServerKeys, job: dict[str, str], folder: Path) -> str:
    """Do one job, which may have been done before by a worker that could not say so."""
    match job["kind"]:
        case "packet":
            raw = (folder / job["file"]).read_bytes()
            done = ingest.ingest(
                db,
                raw,
                device=job["device"],
                idempotency_key=hashlib.sha256(raw).hexdigest(),
                now=lambda: NOW,
                keys=keys,
            )
            return hashlib.sha256(done.receipt).hexdigest()
        case "decide":
            case_id = job["case"]
            with contextlib.suppress(TransitionError):
                lease = leases.take(db, case_id, "ada", now=NOW)
                decisions.adjudicate(db, keys, case_id, lease.token, "ada", SAYS, now=NOW)
            (answer,) = answers.of_case(db, case_id)
            answers.after(db, keys, job["device"], answer.n - 1, now=NOW)
            return hashlib.sha256(answer.raw).hexdigest()
    raise ValueError(job["kind"])


def dies_at(db: Database, count: int, *, commits: bool = False) -> None:
    """Let this process kill itself at the so-manieth thing it asks of the database, or has stored there."""
    left, here = count, threading.local()

    def tick(*_: object) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def stores(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        here.stores = getattr(here, "stores", False) or statement.startswith("INSERT")

    commit = db.engine.dialect.do_commit

    def committed(connection: object) -> None:
        commit(connection)
        stored, here.stores = getattr(here, "stores", False), False
        if stored or not commits:
            tick()

    db.engine.dialect.do_commit = committed  # type: ignore[method-assign]
    sa.event.listen(db.engine, "before_cursor_execute", stores)
    if not commits:
        sa.event.listen(db.engine, "before_cursor_execute", tick)
        sa.event.listen(db.engine, "after_cursor_execute", tick)
        sa.event.listen(db.engine, "commit", tick)


class _Opened:
    """A server's database, opened once: a worker inherits what has been learnt of it, and no connection."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.folder = Path(order["folder"])
        self.db = open_database(order["url"], self.folder / "server")
        self.keys = ServerKeys.open(self.db.folder)

    def work(self, begin: int, end: int | None = None, *, threads: int = 1) -> int:
        """The packets of a seizure by so many threads at once, then its decision."""
        jobs = json.loads((self.folder / "jobs.json").read_text())[:end]

        def one(number: int) -> None:
            _say(f"did {number} {do(self.db, self.keys, jobs[number], self.folder)}")

        with ThreadPoolExecutor(threads) as pool:
            waiting = range(begin, len(jobs))
            for _, run in itertools.groupby(waiting, lambda number: jobs[number]["kind"]):
                for _ in pool.map(one, run) if threads > 1 else map(one, run):
                    pass
        return len(jobs)


def _worker(opened: _Opened, order: dict[str, Any], begin: int) -> None:
    try:
        if order["dies_at"]:
            dies_at(opened.db, order["dies_at"], commits=order["commits"])
        opened.work(begin, threads=order["threads"])
    except BaseException as error:
        _say(f"failed {type(error).__name__}: {error}".replace("\n", " "))
        os._exit(1)
    os._exit(0)


def main() -> None:
    guards.remove_named(os.environ)
    known: dict[str, _Opened] = {}
    for line in sys.stdin:
        order = json.loads(line)
        begin, folder = order["begin"], order["folder"]
        if folder not in known:
            known[folder] = _Opened(order)
            begin = known[folder].work(begin, begin + order["warm_up"])
            known[folder].db.close()
            gc.freeze()
        ended, end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ended)
            _worker(known[folder], order, begin)
        os.close(end)
        # Its end of the pipe closes when it is dead, by whatever way.
        select.select([ended], [], [], order["dies_after"])
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(ended)
        _say("dead" if os.WIFSIGNALED(status) else "done")


if __name__ == "__main__":
    main()
