"""The console in a real browser: the application in a thread, on SQLite, by a clock that only tests move."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pyotp
import uvicorn

from spectralid.reachback.bench.room import EngineRoom
from spectralid.reachback.people import accounts
from spectralid.reachback.store.database import FILE, open_database
from tests.reachback.desk import Desk
from tests.reachback.http import Server

ROOT = Path(__file__).resolve().parents[3]
PICTURES = ROOT / "build" / "console"
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block", "html-has-lang", "valid-lang"]}
PASSWORD = "correct horse battery staple"


class Site:
    """A server that a browser reaches, and accounts with a password and a second factor."""

    def __init__(self, folder, template, agency):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(template, folder / FILE)
        self.db = open_database(None, folder)
        self.desk = Desk(self.db)
        self.server = Server(self.desk)
        room = EngineRoom(lambda: agency.library.path)
        facts = agency.library.path.stat()
        room._identifier = agency
        room._state = (str(agency.library.path), facts.st_mtime_ns, facts.st_size)
        self.server.app.state.engine = room
        self.secrets = {}
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(self.server.app, host="127.0.0.1", port=0, log_level="error", lifespan="on")
        )
        self._thread = threading.Thread(target=self._uvicorn.run, daemon=True)
        self._thread.start()
        end = time.monotonic() + 20
        while not self._uvicorn.started:
            assert time.monotonic() < end, "the server does not start"
            threading.Event().wait(0.02)
        port = self._uvicorn.servers[0].sockets[0].getsockname()[1]
        # A browser keeps a cookie for secure lines on this machine's own name, without TLS.
        self.url = f"http://localhost:{port}"

    def person(self, name, *roles, sites=None):
        here = self.server.here
        now, settings = self.desk.time, here.settings.accounts
        code = accounts.add(self.db, name, roles=roles, sites=sites, by="admin", now=now, settings=settings)
        otpauth = accounts.set_up(self.db, here.passwords, here.vault, name, code, PASSWORD, now=now)
        self.secrets[name] = pyotp.parse_uri(otpauth)

    def code(self, name):
        """What the authenticator shows; each code counts once, so that time goes on."""
        self.desk.passes(seconds=31)
        return self.secrets[name].at(self.desk.time)

    def stop(self):
        self._uvicorn.should_exit = True
        self._thread.join(20)
        self.server.app.state.engine.close()
        self.db.close()


@contextmanager
def site(folder, template, agency):
    """A running site."""
    running = Site(folder, template, agency)
    try:
        yield running
    finally:
        running.stop()
