"""Clients of the server for tests, in this process: of every role, and of tablets.

::

    def test_something(server):              # fixture of tests/reachback/conftest.py, on both databases
        chemist = server.client("chemist")   # role, or several: server.client("chemist", "librarian")
        northern = server.client("chemist", sites=["north"])
        tablet = server.tablet("tablet-1")   # a client with the certificate of an enrolled tablet
        nobody = server.client()
        assert chemist.get("/v1/queue").status_code == 200
        server.desk                          # tests.reachback.desk.Desk: tablets, clock, ingest, lease …
"""

from __future__ import annotations

import hashlib
import os
import warnings
from datetime import timedelta

from spectralid.reachback.api.app import GROUPS, create_app
from spectralid.reachback.api.desk import Desk as ServerDesk
from spectralid.reachback.people import accounts, sessions
from spectralid.reachback.settings import Accounts, Limits, Settings
from spectralid.reachback.tablets import enrolment
from spectralid.reachback.tablets.tls import PEER

with warnings.catch_warnings():
    # It asks for another package of the same author.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

QUICK = Settings(
    accounts=Accounts(argon2_time=1, argon2_memory_kib=8, argon2_lanes=1),
    limits=Limits(device_burst=100_000, sign_in_burst=100_000, all_burst=1_000_000, all_per_s=1e6),
    poll_s=0.05,
)
"""Settings that cost a test no time, and let it ask as often as it likes."""


GROUPS_WANTED = tuple(filter(None, os.environ.get("REACHBACK_GROUPS", "").split(","))) or GROUPS
"""``REACHBACK_GROUPS=health,case``: without what somebody is just writing."""


class Server:
    """The application, and clients of it."""

    def __init__(self, desk, settings=QUICK):
        self.desk = desk
        self.here = ServerDesk(desk.db, desk.keys, settings, desk.now)
        self.app = create_app(self.here, GROUPS_WANTED)
        self._made = 0

    def account(self, *roles, sites=None, name=None):
        """An account that has signed in once, and a token of it."""
        self._made += 1
        name = name or f"{roles[0].replace('_', '-')}-{self._made}"
        accounts.add(
            self.desk.db, name, roles=roles, sites=sites, by="test", now=self.desk.time,
            settings=self.here.settings.accounts,
        )  # fmt: skip
        with self.desk.db.begin() as tx:
            tx.execute(
                accounts.accounts.update().where(accounts.accounts.c.name == name).values(state="active")
            )
        return name, sessions.make_token(self.desk.db, name, "test", days=3650, now=self.desk.time)[0]

    def client(self, *roles, sites=None, name=None, raises=True):
        """A client that may do what these roles may; of nobody without any."""
        headers = {}
        if roles == ("device",):
            return self.tablet(self.desk.tablet.device_id)
        if roles:
            name, token = self.account(*roles, sites=sites, name=name)
            headers["Authorization"] = f"Bearer {token}"
        client = TestClient(
            self.app, base_url="https://server", headers=headers, raise_server_exceptions=raises
        )
        client.account = name
        return client

    def certificate(self, device_id, days=365):
        """What stands for a certificate of a tablet; a real one is needed only where there is TLS."""
        der = f"certificate of {device_id}".encode()
        if not any(
            one.sha256 == hashlib.sha256(der).hexdigest()
            for one in enrolment.certificates_of(self.desk.db, device_id)
        ):
            with self.desk.db.begin() as tx:
                enrolment.put(
                    tx, device_id, der, serial="1", until=self.desk.time + timedelta(days=days), by="test",
                    now=self.desk.time,
                )  # fmt: skip
        return der

    def tablet(self, device_id, certificate=None, raises=True):
        """A client on a line with the certificate of a tablet."""
        der = certificate if certificate is not None else self.certificate(device_id)

        async def with_peer(scope, receive, send):
            await self.app({**scope, "state": {**scope.get("state", {}), PEER: der}}, receive, send)

        return TestClient(with_peer, base_url="https://server", raise_server_exceptions=raises)
