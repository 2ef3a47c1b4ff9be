"""Who asks, and whether they may: a certificate, a token or a session, and the table of roles.

A tablet is known by the certificate of its line, as TLS has verified it, and by nothing that it says. Whoever
comes with one is that tablet and nobody else.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request

from spectralid.errors import ParameterError
from spectralid.reachback.api.desk import Desk, desk_of
from spectralid.reachback.caseload import cases
from spectralid.reachback.errors import ForbiddenError, NotFoundError, SignInError
from spectralid.reachback.people import sessions
from spectralid.reachback.people.roles import ACTIONS, ANYONE, may
from spectralid.reachback.tablets import enrolment
from spectralid.reachback.tablets.tls import PEER

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.people.accounts import Account

__all__ = ["ANONYMOUS", "COOKIE", "CSRF", "Actor", "Requires", "case_of", "requires", "see_case"]

COOKIE: Final = "__Host-reachback"
CSRF: Final = "X-CSRF-Token"

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks.

    Attributes
    ----------
    name : str
        As it stands in the record: an account, ``device:…``, or nothing for anyone.
    roles : frozenset of str
        What they may do, by `spectralid.reachback.people.roles`.
    sites : frozenset of str or None
        Whose cases; ``None`` for all.
    device_id : str or None
        If it is a tablet.
    session : str
        The secret of the session, if it is a browser.
    csrf : str
        What changes in this session carry.
    """

    name: str
    roles: frozenset[str]
    sites: frozenset[str] | None = None
    device_id: str | None = None
    session: str = ""
    csrf: str = ""

    def sees(self, site_ref: str) -> bool:
        """Whether cases of a place are shown to them."""
        return self.sites is None or site_ref in self.sites

    @property
    def tablet(self) -> str:
        """The name of the tablet, for what only tablets may."""
        if self.device_id is None:
            raise ForbiddenError(f"{self.name} is no tablet.")
        return self.device_id

    @property
    def senior(self) -> bool:
        """Whether second reviews are for them."""
        return may(self.roles, "case.review")


ANONYMOUS: Final = Actor("", frozenset({ANYONE}), frozenset())


class Requires:
    """A dependency that lets in whoever may carry out an action.

    Parameters
    ----------
    action : str
        One of `spectralid.reachback.people.roles.ACTIONS`.
    """

    def __init__(self, action: str) -> None:
        if action not in ACTIONS:
            raise ParameterError("action", action, "in the table of spectralid.reachback.people.roles")
        self.action = action

    def __call__(self, request: Request) -> Actor:
        """Who asks.

        Raises
        ------
        SignInError
            If that is nobody.
        ForbiddenError
            If they may not.
        """
        desk = desk_of(request)
        who = _who(request, desk)
        if may(who.roles, self.action):
            return who
        if who is ANONYMOUS:
            raise SignInError("Sign in first.")
        raise ForbiddenError(f"{who.name} has no role that may do this ({self.action}).")


@functools.cache
def requires(action: str) -> Requires:
    """For ``Annotated[Actor, Depends(requires("case.read"))]``; each operation has exactly one."""
    return Requires(action)


def _who(request: Request, desk: Desk) -> Actor:
    certificate = request.scope.get("state", {}).get(PEER)
    if certificate is not None:
        device = enrolment.device_of(desk.db, certificate, now=desk.now())
        desk.limits.device(device.device_id)
        return Actor(
            f"device:{device.device_id}",
            frozenset({"device"}),
            frozenset({device.site_ref}),
            device_id=device.device_id,
        )
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind:
        account = sessions.of_token(desk.db, token, now=desk.now()) if kind.lower() == "bearer" else None
        if account is None:
            raise SignInError("The token does not count (any more).")
        return _person(account)
    secret = request.cookies.get(COOKIE)
    if secret is None:
        return ANONYMOUS
    session = sessions.of_session(desk.db, secret, now=desk.now(), settings=desk.settings.accounts)
    if session is None:
        return ANONYMOUS
    sent = request.headers.get(CSRF, "")
    if request.method not in _SAFE and not secrets.compare_digest(sent.encode(), session.csrf.encode()):
        raise ForbiddenError(f"A change needs the header {CSRF} with the token of this session.")
    return _person(session.account, session=secret, csrf=session.csrf)


def _person(account: Account, **more: str) -> Actor:
    return Actor(account.name, account.roles, account.sites, **more)


def case_of(tx: Connection, who: Actor, case_id: str) -> dict[str, Any]:
    """The row of a case, for somebody who may see it.

    Raises
    ------
    NotFoundError
        If there is none, or it is of a place that is not theirs: both look the same.
    """
    case = cases.get(tx, case_id)
    if not who.sees(case["site_ref"]):
        raise NotFoundError(f"There is no case {case_id[:40]!r}.")
    return case


def see_case(desk: Desk, who: Actor, case_id: str) -> Mapping[str, Any]:
    """As `case_of`, before something is done that has a transaction of its own."""
    with desk.db.read() as tx:
        return case_of(tx, who, case_id)
