"""Who is signed in: sessions of browsers, and tokens of scripts.

Both are random; the database has only their SHA-256. A session ends when nothing is done for a while, and
after half a day; a token by its date. Whoever is disabled or reset has neither any more.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework.clock import from_text, to_text
from spectralid.reachback.errors import ConflictError, NotFoundError, SignInError, TooManyError
from spectralid.reachback.people import accounts
from spectralid.reachback.people.accounts import (
    Account,
    Passwords,
    Vault,
    digest,
    of_row,
    row_of,
    sessions,
    tokens,
)
from spectralid.reachback.store import audit

if TYPE_CHECKING:
    from spectralid.reachback.settings import Accounts
    from spectralid.reachback.store.database import Database

__all__ = [
    "Session",
    "Token",
    "make_token",
    "of_session",
    "of_token",
    "revoke_token",
    "sign_in",
    "sign_out",
    "tokens_of",
]

_STEP_S: Final = 30
_FIRST_WAIT_S: Final = 30.0
_LONGEST_WAIT_S: Final = 900.0
# How exactly it is known when a session was last used; each time is a write.
_SEEN: Final = timedelta(minutes=1)
_MOST_TOKENS: Final = 20
_PREFIX: Final = "sid_"


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in.

    Attributes
    ----------
    account : Account
        Whose.
    csrf : str
        To be sent with every change.
    until_utc : str
        When it ends at the latest.
    """

    account: Account
    csrf: str
    until_utc: str


@dataclass(frozen=True, slots=True)
class Token:
    """What a script signs in with.

    Attributes
    ----------
    token_id : str
        The start of its SHA-256.
    label, made_utc, until_utc
        What it is for, and its life.
    """

    token_id: str
    label: str
    made_utc: str
    until_utc: str


def sign_in(
    db: Database,
    passwords: Passwords,
    vault: Vault,
    name: str,
    password: str,
    code: str,
    *,
    now: datetime,
    settings: Accounts,
) -> tuple[str, Session]:
    """Sign in with password and second factor.

    Parameters
    ----------
    db, passwords, vault
        The server's.
    name, password, code
        What the person gives; each code counts once.
    now : datetime
        When.
    settings : spectralid.reachback.settings.Accounts
        How long a session lasts, and after how many failures there is a pause.

    Returns
    -------
    secret : str
        Of the session, for the cookie.
    session : Session

    Raises
    ------
    SignInError
        If any of it is not right; it is not said what.
    TooManyError
        If there were too many failures.
    """
    with db.read() as tx:
        row = row_of(tx, name)
    if row is not None:
        _see_no_pause(row, now)
    known = row is not None and row["state"] != "disabled"
    right = passwords.check(row["password"] if known and row is not None else None, password)
    step = _step_of(row, vault, code, now) if right and row is not None else None
    # A failure is on record; what is raised inside would undo that.
    with db.begin() as tx:
        row = row_of(tx, name)
        if row is None:
            raise _not_right()
        _see_no_pause(row, now)
        if step is not None and step > row["last_step"] and row["state"] != "disabled":
            return _opened(tx, row, step, now, settings)
        _failed(tx, row, now, settings)
    raise _not_right()


def _not_right() -> SignInError:
    return SignInError("The account, the password or the code is not right; each code counts once.")


def _see_no_pause(row: Mapping[str, Any], now: datetime) -> None:
    until = row["wait_until_utc"]
    if until is not None and to_text(now) < until:
        wait = (from_text(until) - now).total_seconds()
        words = f"There were too many failures to sign in with this account; try again in {wait:.0f} s."
        raise TooManyError(words, retry_after_s=wait)


def _step_of(row: Mapping[str, Any], vault: Vault, code: str, now: datetime) -> int | None:
    """The half minute that a code is of, if it is one of this account and was not used."""
    import pyotp

    if row["second_factor"] is None:
        return None
    totp = pyotp.TOTP(vault.open(row["second_factor"]))
    current = int(now.timestamp()) // _STEP_S
    # One step early or late, for a telephone whose clock is off.
    for step in (current - 1, current, current + 1):
        if secrets.compare_digest(totp.at(step * _STEP_S).encode(), code.encode()):
            return step
    return None


def _opened(
    tx: sa.Connection, row: Mapping[str, Any], step: int, now: datetime, settings: Accounts
) -> tuple[str, Session]:
    name, secret, utc = row["name"], secrets.token_urlsafe(32), to_text(now)
    until = to_text(now + timedelta(hours=settings.session_hours))
    values: dict[str, Any] = {"last_step": step, "failures": 0, "wait_until_utc": None, "state": "active"}
    values |= {"setup_sha256": None, "setup_until_utc": None}
    tx.execute(accounts.accounts.update().where(accounts.accounts.c.name == name).values(**values))
    tx.execute(sessions.delete().where(sessions.c.account == name, sessions.c.until_utc <= utc))
    session = {"account": name, "csrf": secrets.token_urlsafe(32), "until_utc": until}
    tx.execute(sessions.insert(), {**session, "sha256": digest(secret), "opened_utc": utc, "seen_utc": utc})
    audit.append(tx, name, "signed-in", f"account:{name}", {}, now=now)
    return secret, Session(of_row({**row, "state": "active"}), session["csrf"], until)


def _failed(tx: sa.Connection, row: Mapping[str, Any], now: datetime, settings: Accounts) -> None:
    name, failures = row["name"], row["failures"] + 1
    values: dict[str, Any] = {"failures": failures}
    beyond = failures - settings.free_failures
    if beyond >= 0:
        wait = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(beyond, 10))
        values["wait_until_utc"] = to_text(now + timedelta(seconds=wait))
    tx.execute(accounts.accounts.update().where(accounts.accounts.c.name == name).values(**values))
    audit.append(tx, "server", "sign-in-failed", f"account:{name}", {"failures": failures}, now=now)


def sign_out(db: Database, secret: str, *, now: datetime) -> None:
    """End a session; one that has ended already is no error."""
    with db.begin() as tx:
        this = sessions.c.sha256 == digest(secret)
        name = tx.execute(sa.select(sessions.c.account).where(this)).scalar()
        if name is not None:
            tx.execute(sessions.delete().where(this))
            audit.append(tx, name, "signed-out", f"account:{name}", {}, now=now)


def of_session(db: Database, secret: str, *, now: datetime, settings: Accounts) -> Session | None:
    """The session of a cookie, if it has not ended."""
    utc, this = to_text(now), sessions.c.sha256 == digest(secret)
    idle_since = to_text(now - timedelta(minutes=settings.idle_minutes))
    chosen = (
        sa.select(accounts.accounts, sessions.c.csrf, sessions.c.until_utc, sessions.c.seen_utc)
        .join_from(sessions, accounts.accounts, sessions.c.account == accounts.accounts.c.name)
        .where(this, sessions.c.until_utc > utc, sessions.c.seen_utc > idle_since)
    )
    with db.read() as tx:
        row = tx.execute(chosen).mappings().first()
    if row is None or row["state"] != "active":
        return None
    if row["seen_utc"] <= to_text(now - _SEEN):
        with db.begin() as tx:
            tx.execute(sessions.update().where(this).values(seen_utc=utc))
    return Session(of_row(dict(row)), row["csrf"], row["until_utc"])


# --- tokens ------------------------------------------------------------------------------------------------


def make_token(db: Database, name: str, label: str, *, days: int, now: datetime) -> tuple[str, Token]:
    """Make a token for scripts; it is shown once.

    Parameters
    ----------
    db : Database
        The server's.
    name : str
        Whose account.
    label : str
        What it is for.
    days : int
        How long it counts.
    now : datetime
        When.

    Raises
    ------
    ConflictError
        If the account has too many.
    """
    secret = _PREFIX + secrets.token_urlsafe(32)
    utc = to_text(now)
    row = {
        "sha256": digest(secret),
        "account": name,
        "label": label,
        "made_utc": utc,
        "until_utc": to_text(now + timedelta(days=days)),
    }
    of_account = tokens.c.account == name
    with db.begin() as tx:
        tx.execute(tokens.delete().where(of_account, tokens.c.until_utc <= utc))
        if tx.execute(sa.select(sa.func.count()).where(of_account)).scalar_one() >= _MOST_TOKENS:
            raise ConflictError(f"An account has at most {_MOST_TOKENS} tokens; end one first.")
        tx.execute(tokens.insert(), row)
        facts = {"label": label, "until": row["until_utc"], "token": row["sha256"][:16]}
        audit.append(tx, name, "token-made", f"account:{name}", facts, now=now)
    return secret, _token(row)


def revoke_token(db: Database, name: str, token_id: str, *, now: datetime) -> None:
    """End a token.

    Raises
    ------
    NotFoundError
        If the account has none of that name.
    """
    with db.begin() as tx:
        mine = (tokens.c.account == name, sa.func.substr(tokens.c.sha256, 1, 16) == token_id)
        if not tx.execute(tokens.delete().where(*mine)).rowcount:
            raise NotFoundError("There is no such token.")
        audit.append(tx, name, "token-ended", f"account:{name}", {"token": token_id}, now=now)


def tokens_of(db: Database, name: str) -> tuple[Token, ...]:
    """The tokens of an account, oldest first."""
    with db.read() as tx:
        rows = tx.execute(sa.select(tokens).where(tokens.c.account == name).order_by(tokens.c.made_utc))
        return tuple(_token(dict(row)) for row in rows.mappings())


def of_token(db: Database, secret: str, *, now: datetime) -> Account | None:
    """Whose token it is, if it counts."""
    chosen = (
        sa.select(accounts.accounts)
        .join_from(tokens, accounts.accounts, tokens.c.account == accounts.accounts.c.name)
        .where(tokens.c.sha256 == digest(secret), tokens.c.until_utc > to_text(now))
    )
    with db.read() as tx:
        row = tx.execute(chosen).mappings().first()
    return of_row(dict(row)) if row is not None and row["state"] == "active" else None


def _token(row: Mapping[str, Any]) -> Token:
    return Token(row["sha256"][:16], row["label"], row["made_utc"], row["until_utc"])
