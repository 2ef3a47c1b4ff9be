"""Signing in and out, the first set-up of an account, and tokens for scripts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field, StringConstraints

from spectralid.reachback.api import problems
from spectralid.reachback.api.access import COOKIE, Actor, requires
from spectralid.reachback.api.bodies import DeskNow, Line, Model, Sent
from spectralid.reachback.errors import ForbiddenError
from spectralid.reachback.people import accounts, sessions

__all__ = ["router"]

router = APIRouter(tags=["session"])

_Name = Annotated[str, StringConstraints(min_length=1, max_length=40)]
_Password = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Credentials(Sent):
    """Who, the password, and the code that the authenticator shows."""

    account: _Name
    password: _Password
    code: Annotated[str, StringConstraints(pattern="^[0-9]{6}$")]


class SignedIn(Model):
    """A session; `csrf` goes into the header X-CSRF-Token of every change."""

    account: str
    roles: list[str]
    sites: list[str] | None
    csrf: str


class SetUp(Sent):
    """The set-up code of an administrator, and the password that is chosen."""

    account: _Name
    setup_code: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    password: _Password


class SecondFactor(Model):
    """What the authenticator takes (a QR code shows it); it is told once."""

    otpauth: str


class WantedToken(Sent):
    """A token for a script."""

    label: Line
    days: Annotated[int, Field(ge=1, le=365)] = 90


class KnownToken(Model):
    """A token, without what it is used with."""

    token_id: str
    label: str
    made_utc: str
    until_utc: str


class NewToken(KnownToken):
    """A token that was just made; `secret` is told once, and is sent as ``Authorization: Bearer …``."""

    secret: str


class KnownTokens(Model):
    """The tokens of an account."""

    tokens: list[KnownToken]


def _signed_in(who: Actor) -> SignedIn:
    sites = None if who.sites is None else sorted(who.sites)
    return SignedIn(account=who.name, roles=sorted(who.roles), sites=sites, csrf=who.csrf)


@router.post("/v1/session", response_model=SignedIn, status_code=201, summary="Sign in")
def open_session(
    body: Credentials,
    request: Request,
    response: Response,
    desk: DeskNow,
    _: Annotated[Actor, Depends(requires("session.open"))],
) -> SignedIn:
    """Open a session with password and second factor; the cookie is the session."""
    desk.limits.sign_in(_address(request), body.account)
    secret, session = sessions.sign_in(
        desk.db,
        desk.passwords,
        desk.vault,
        body.account,
        body.password,
        body.code,
        now=desk.now(),
        settings=desk.settings.accounts,
    )
    # The name's beginning makes a browser refuse it from any other host, path or plain line.
    response.set_cookie(COOKIE, secret, path="/", secure=True, httponly=True, samesite="strict")
    account = session.account
    return _signed_in(Actor(account.name, account.roles, account.sites, csrf=session.csrf))


@router.get("/v1/session", response_model=SignedIn, summary="Who is signed in")
def read_session(who: Annotated[Actor, Depends(requires("self.read"))]) -> SignedIn:
    """Say who asks; for a page that was loaded anew."""
    return _signed_in(who)


@router.delete("/v1/session", status_code=204, summary="Sign out")
def close_session(desk: DeskNow, who: Annotated[Actor, Depends(requires("self.write"))]) -> Response:
    """End the session; a token goes on."""
    if who.session:
        sessions.sign_out(desk.db, who.session, now=desk.now())
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return response


@router.post("/v1/account/setup", response_model=SecondFactor, status_code=201, summary="Set up an account")
def set_up_account(
    body: SetUp,
    request: Request,
    desk: DeskNow,
    _: Annotated[Actor, Depends(requires("account.setup"))],
) -> SecondFactor:
    """Choose a password and get the second factor; may be repeated until the first sign-in."""
    desk.limits.sign_in(_address(request), body.account)
    otpauth = accounts.set_up(
        desk.db,
        desk.passwords,
        desk.vault,
        body.account,
        body.setup_code,
        body.password,
        now=desk.now(),
    )
    return SecondFactor(otpauth=otpauth)


@router.get("/v1/tokens", response_model=KnownTokens, summary="One's own tokens")
def list_tokens(desk: DeskNow, who: Annotated[Actor, Depends(requires("self.read"))]) -> KnownTokens:
    """List them, without what they are used with."""
    found = sessions.tokens_of(desk.db, who.name)
    return KnownTokens(tokens=[KnownToken.model_validate(one) for one in found])


@router.post(
    "/v1/tokens",
    response_model=NewToken,
    status_code=201,
    summary="Make a token",
    responses=problems.declared(409),
)
def make_token(
    body: WantedToken, desk: DeskNow, who: Annotated[Actor, Depends(requires("self.write"))]
) -> NewToken:
    """Make a token for scripts, with the roles of the account; only from a session with a second factor."""
    if not who.session:
        raise ForbiddenError("A token is made by somebody who is signed in, not with another token.")
    secret, token = sessions.make_token(desk.db, who.name, body.label, days=body.days, now=desk.now())
    return NewToken(**KnownToken.model_validate(token).model_dump(), secret=secret)


@router.delete(
    "/v1/tokens/{token_id}", status_code=204, summary="End a token", responses=problems.declared(404)
)
def end_token(
    token_id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")],
    desk: DeskNow,
    who: Annotated[Actor, Depends(requires("self.write"))],
) -> Response:
    """End it at once."""
    sessions.revoke_token(desk.db, who.name, token_id, now=desk.now())
    return Response(status_code=204)


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"
