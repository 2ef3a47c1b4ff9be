"""A server in a thread of this program, for this machine alone: to try things out with, to teach, to test.

Everything is real (TLS, accounts with a second factor, signatures, the audit log) but the people: one call
makes an account and signs in, another enrols a tablet, where an agency takes care that nobody does both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from spectralid.casework import enrolment as on_the_tablet
from spectralid.reachback.api import serve
from spectralid.reachback.client import Client, connect
from spectralid.reachback.errors import ReachbackError
from spectralid.reachback.people import accounts
from spectralid.reachback.settings import Accounts, Desk, Devices, Settings
from spectralid.reachback.tablets import enrolment
from spectralid.reachback.tablets.tls import Authority

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore

__all__ = ["TrialServer"]

_START_S: Final = 60.0
_BY: Final = "console:trial"
# Passwords are drawn, long and never leave this program: a costly hash would guard nothing.
_SETTINGS: Final = Settings(
    desk=Desk(port=0),
    devices=Devices(port=0),
    accounts=Accounts(argon2_time=1, argon2_memory_kib=64, argon2_lanes=1),
    poll_s=0.1,
    stop_s=1.0,
)


class TrialServer:
    """A server to try things out with; ends with the ``with`` block or `close`.

    Parameters
    ----------
    folder : path
        For its files; made if it is not there.

    Attributes
    ----------
    url : str
        Where persons reach it.
    ca : Path
        The authority that a browser or client trusts.

    Raises
    ------
    ReachbackError
        If it does not begin to listen.
    """

    url: str
    ca: Path

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._desk = serve.open_desk(Path(folder), _SETTINGS)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._told = threading.Event()
        self._found: list[serve.Addresses] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="trial server", daemon=True)
        self._thread.start()
        self._told.wait(_START_S)
        if not self._found:
            self.close()
            raise ReachbackError(f"The server did not begin to listen ({self._failure}).")
        self.url = self._found[0].desk
        self.ca = self._desk.folder / "tls" / "ca.pem"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "serving" if self._thread.is_alive() else "ended"
        return f"<TrialServer {state}, tables of {self._desk.db.dialect}>"

    def close(self) -> None:
        """End it; what is under way is finished."""
        if self._thread.is_alive():
            # It may just have ended by itself.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_START_S)
        self._desk.db.close()

    def _serve(self) -> None:
        def ready(addresses: serve.Addresses) -> None:
            self._found.append(addresses)
            self._told.set()

        try:
            self._loop.run_until_complete(serve.run(self._desk, ready=ready, stop=self._stop))
        except BaseException as error:
            # Of a thread nobody would see it; the program is told where it waits.
            self._failure = error
        finally:
            self._loop.close()
            self._told.set()

    def sign_in(self, name: str, *roles: str) -> Client:
        """Make an account with these roles, and sign in with its password and second factor.

        Parameters
        ----------
        name : str
            Of the person.
        *roles : str
            Such as ``"chemist"``, ``"senior_chemist"``, ``"lab_analyst"``.

        Returns
        -------
        Client
            As of `spectralid.reachback.connect`; to be closed.

        Raises
        ------
        ConflictError
            If there is one of that name.
        ParameterError
            If the name or a role is none.
        """
        import pyotp

        desk, now = self._desk, datetime.now(UTC)
        code = accounts.add(
            desk.db, name, roles=roles, sites=None, by=_BY, now=now, settings=desk.settings.accounts
        )
        password = secrets.token_urlsafe(24)
        address = accounts.set_up(desk.db, desk.passwords, desk.vault, name, code, password, now=now)
        factor = pyotp.parse_uri(address)
        assert isinstance(factor, pyotp.TOTP)
        return connect(self.url, account=name, password=password, code=factor.now(), ca=self.ca)

    def enrol(self, store: CaseStore, *, site: str = "here") -> None:
        """Enrol a tablet, the whole way: request, certificate, fingerprints compared.

        Parameters
        ----------
        store : CaseStore
            The tablet's record (`FieldUnit.store`).
        site : str
            Where the tablet belongs.
        """
        now = datetime.now(UTC)
        request = on_the_tablet.request(store)
        issued = enrolment.issue(
            self._desk.db,
            self._desk.keys,
            Authority.open(self._desk.folder, now=now),
            request,
            confirmed=on_the_tablet.fingerprint(request),
            site_ref=site,
            url=self._found[0].devices,
            by=_BY,
            now=now,
            days=1,
        )
        on_the_tablet.enrol(store, issued.envelope, confirmed=issued.fingerprint)
