"""kill -9 of the server that real tablets talk to, at any moment of a request: they come again, one case."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra [reachback]")
pytest.importorskip("uvicorn", reason="the server needs the extra [reachback]")

from spectralid.reachback.store import migrate
from spectralid.reachback.store.database import open_database
from spectralid.reachback.store.serverkeys import ServerKeys
from tests.reachback.faults.line import Served, Tablet

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="servers are forked")

KILLS = 8
ROOT = Path(__file__).resolve().parents[3]


class Forked:
    """A server that is started and killed at will, always at the same port."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.reachback.faults.serving"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self, dies_at: int | None = None) -> None:
        order = {"folder": str(self.folder), "port": self.port, "dies_at": dies_at}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"

    def dead(self) -> None:
        assert self.process.stdout.readline() == "dead\n"

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture
def forked(ram, sqlite_template):
    (ram / "server").mkdir()
    (ram / "server" / sqlite_template.name).write_bytes(sqlite_template.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    made = Forked(ram / "server", port)
    yield made
    made.close()


def test_a_tablet_hands_over_to_a_server_that_keeps_dying(forked, ram):
    db = open_database(None, forked.folder)
    migrate.upgrade(db)
    tablet = Tablet(ram / "tablet", Served(db, ServerKeys.open(db.folder), forked.port))
    chance = random.Random(5)
    for _ in range(KILLS):
        for _ in range(3):
            tablet.capture(chance.choice((100, 40_000)))
        forked.start(dies_at=chance.randrange(5, 150))
        report = tablet.exchange()
        while report.online:
            # It lives on for want of questions.
            tablet.capture(100)
            report = tablet.exchange()
        forked.dead()
        assert "attention" not in tablet.states()
    assert "received" in tablet.states()
    forked.start()
    for _ in range(3):
        tablet.exchange()
    assert set(tablet.states()) == {"received"}
    tablet.once_each()
    tablet.close()
    db.close()
