"""Kill the tablet's program, the server's worker on both databases, and PostgreSQL, thousands of times.

Run from the root of the project::

    python -m benchmarks.reachback.kills --kills 10000

After every thousand (and at the end) everything is compared: each packet once and byte for byte, each receipt
that was given on record, one case and one answer for each seizure, the audit log whole against every
checkpoint that was handed out. What is not so ends it with the sentence of the check. The table goes to
standard output, and with ``--save`` to ``benchmarks/reachback/kills.json``, which
docs/faults.md is made from.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from spectralid.reachback.store import migrate
from spectralid.reachback.store.database import Database, open_database
from tests.reachback import postgres
from tests.reachback.faults.kills import Killing, fork_server

ROOT = Path(__file__).resolve().parents[2]
_CHECK_EVERY = 1000
_MEMORY = Path("/dev/shm")


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where, prefix="kills-") as name:
        yield Path(name)


def workers(kind: str, kills: int, seed: int) -> dict[str, object]:
    """Kill workers of the server."""
    begun, done, packets = time.perf_counter(), 0, 0
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(fork_server())
        running = stack.enter_context(postgres.cluster()) if kind == "postgresql" else None
        number = 0
        while done < kills:
            # A new database now and then: what is compared grows with what is in it.
            number += 1
            with _folder() as folder:
                url = None
                if running is not None:
                    _create(running, f"kills_{number}")
                    url = running.url(f"kills_{number}")
                db = open_database(url, folder / "server")
                migrate.upgrade(db)
                killing = Killing(db, url, folder, server, random.Random(seed + number))
                killing.kill(min(_CHECK_EVERY, kills - done), 0.03 if url is None else 0.06)
                killing.check()
                done += killing.kills
                packets += len(killing.raw)
                db.close()
            print(f"{kind}: {done} of {kills} kills, nothing lost, nothing doubled", flush=True)
    what = f"worker of the server, {'SQLite' if kind == 'sqlite' else 'PostgreSQL'}"
    return _row(what, done, packets, time.perf_counter() - begun)


def _create(running: postgres.Cluster, name: str) -> None:
    address = running.url().replace("postgresql:", "postgresql+psycopg:")
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()


def database(kills: int, seed: int) -> dict[str, object]:
    """Kill processes of PostgreSQL, and every twentieth time all of it."""
    from tests.reachback.desk import Desk
    from tests.reachback.faults import test_kill_database as tests

    begun, chance, given = time.perf_counter(), random.Random(seed), {}
    with postgres.cluster(durable=True) as running, _folder() as folder:
        db: Database = open_database(running.url(), folder / "server")
        migrate.upgrade(db)
        desk = Desk(db)
        killer = tests.Killer(db)
        for number in range(1, kills + 1):
            if number % 20 == 0:
                os.kill(running.pid, signal.SIGKILL)
                held = tests.until_refused(desk, given)
                tests.start_again(running)
                given[held], *_ = tests.insist(desk, held)
            else:
                killer.left = chance.randrange(1, 40)
                while killer.left > 0:
                    raw = desk.tablet.scan()
                    given[raw], *_ = tests.insist(desk, raw)
            if number % 100 == 0 or number == kills:
                tests.nothing_lost(desk, given)
                print(f"database: {number} of {kills} kills, nothing lost, nothing doubled", flush=True)
        db.close()
    return _row("processes of PostgreSQL, and all of it", kills, len(given), time.perf_counter() - begun)


def tablets(kills: int, seed: int) -> dict[str, object]:
    """Kill the program of a tablet while it records."""
    from tests.casework.powercut import test_kill as tests

    begun, done = time.perf_counter(), 0
    with subprocess.Popen(
        [sys.executable, "-m", "tests.casework.powercut.victim"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        while done < kills:
            with _folder() as folder:
                tests.test_nothing_acknowledged_is_lost_to_a_kill(folder, server, seed + done)
            done += tests.KILLS
            print(f"tablet: {done} of {kills} kills, nothing lost, nothing torn", flush=True)
        server.kill()
    return _row("program of the tablet", done, None, time.perf_counter() - begun)


def _row(what: str, kills: int, packets: int | None, seconds: float) -> dict[str, object]:
    return {"what": what, "kills": kills, "packets": packets, "lost": 0, "doubled": 0, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10_000, help="in all (default 10000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", action="store_true", help="write benchmarks/reachback/kills.json")
    args = parser.parse_args()
    there = not postgres.why_not()
    of_database = args.kills // 20 if there else 0
    of_postgresql = args.kills * 3 // 10 if there else 0
    of_tablets = args.kills // 5
    runs = [
        tablets(of_tablets, args.seed),
        workers("sqlite", args.kills - of_postgresql - of_database - of_tablets, args.seed),
    ]
    if there:
        runs.append(workers("postgresql", of_postgresql, args.seed))
        runs.append(database(of_database, args.seed))
    for run in runs:
        print("{what:42} {kills:7,} kills, {lost} lost, {doubled} doubled, {seconds:6.0f} s".format(**run))
    if args.save:
        said = {
            "command": f"python -m benchmarks.reachback.kills --kills {args.kills}",
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "runs": runs,
        }
        (ROOT / "benchmarks" / "reachback" / "kills.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
