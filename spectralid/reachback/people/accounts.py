"""The persons who use the server: name, roles, places, and how they prove who they are.

A password (argon2id) and a code of the second factor (RFC 6238), always both. Nobody but the person ever
has either: an administrator hands out a set-up code, which counts until the first sign-in, a day at most.
There is no account before one is made on the command line.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.errors import MissingDependencyError, ParameterError
from spectralid.files import write_whole
from spectralid.reachback.errors import (
    ConflictError,
    NotFoundError,
    ReachbackError,
    SeparationError,
    SignInError,
)
from spectralid.reachback.people import roles
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.settings import Accounts
    from spectralid.reachback.store.database import Database

__all__ = [
    "Account",
    "Passwords",
    "Vault",
    "accounts",
    "add",
    "change",
    "digest",
    "disable",
    "find",
    "listed",
    "reset",
    "set_up",
]

_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{1,39}")
# Who writes audit entries without being an account.
_TAKEN: Final = frozenset({"server", "hand", "device", "anyone"})
_LONGEST_PASSWORD: Final = 200
_MOST_SITES: Final = 200
_ISSUER: Final = "spectralid reachback"
_AT_ONCE: Final = 2

accounts: Final = sa.Table(
    "accounts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("sites", sa.Text, nullable=True),
    sa.Column("state", sa.Text, nullable=False),  # new, active, disabled
    sa.Column("password", sa.Text, nullable=True),
    sa.Column("second_factor", sa.LargeBinary, nullable=True),
    sa.Column("last_step", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("failures", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("wait_until_utc", sa.Text, nullable=True),
    sa.Column("setup_sha256", sa.Text, nullable=True),
    sa.Column("setup_until_utc", sa.Text, nullable=True),
    sa.Column("created_utc", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("changed_utc", sa.Text, nullable=False),
)

sessions: Final = sa.Table(
    "sessions",
    metadata,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, sa.ForeignKey("accounts.name"), nullable=False),
    sa.Column("csrf", sa.Text, nullable=False),
    sa.Column("opened_utc", sa.Text, nullable=False),
    sa.Column("seen_utc", sa.Text, nullable=False),
    sa.Column("until_utc", sa.Text, nullable=False),
    sa.Index(None, "account"),
)

tokens: Final = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, sa.ForeignKey("accounts.name"), nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("made_utc", sa.Text, nullable=False),
    sa.Column("until_utc", sa.Text, nullable=False),
    sa.Index(None, "account"),
)


@dataclass(frozen=True, slots=True)
class Account:
    """A person.

    Attributes
    ----------
    name : str
        As it stands in the record: lower-case letters, digits and ``._-``.
    roles : frozenset of str
        What the person may do.
    sites : frozenset of str or None
        Whose cases; ``None`` for all.
    state : {"new", "active", "disabled"}
        New until the first sign-in.
    created_utc, created_by, changed_utc
        Its life.
    """

    name: str
    roles: frozenset[str]
    sites: frozenset[str] | None
    state: str
    created_utc: str
    created_by: str
    changed_utc: str


class Passwords:
    """Makes and checks the hashes of passwords, two at a time: each takes 64 MiB.

    Parameters
    ----------
    settings : spectralid.reachback.settings.Accounts
        What it costs.
    """

    def __init__(self, settings: Accounts) -> None:
        try:
            import argon2
        except ImportError:
            raise MissingDependencyError("argon2-cffi", extra="reachback", purpose="for passwords") from None
        self._hasher = argon2.PasswordHasher(
            time_cost=settings.argon2_time,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_lanes,
            type=argon2.Type.ID,
        )
        self._shortest = settings.password_length
        self._turn = threading.BoundedSemaphore(_AT_ONCE)
        # So that an account that does not exist takes as long as one that does.
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))

    def make(self, name: str, password: str) -> str:
        """The hash of a new password.

        Raises
        ------
        ParameterError
            If it is too short, too long, or contains the name.
        """
        if not self._shortest <= len(password) <= _LONGEST_PASSWORD or name in password.lower():
            allowed = f"{self._shortest} to {_LONGEST_PASSWORD} characters, without the account's name"
            raise ParameterError("password", "(not shown)", allowed)
        with self._turn:
            return self._hasher.hash(password)

    def check(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one that was hashed."""
        import argon2

        with self._turn:
            try:
                self._hasher.verify(kept or self._nobody, password[:_LONGEST_PASSWORD])
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False
        return kept is not None


class Vault:
    """Keeps the secrets of second factors unreadable for whoever has the database alone.

    Parameters
    ----------
    folder : Path
        Of the server's files; the key is made in it the first time.
    """

    def __init__(self, folder: Path) -> None:
        from cryptography.fernet import Fernet

        path = folder / "accounts.secret"
        if not path.exists():
            write_whole(path, [Fernet.generate_key()])
        self._fernet = Fernet(path.read_bytes())

    def close(self, secret: str) -> bytes:
        """A secret as it is kept."""
        return self._fernet.encrypt(secret.encode())

    def open(self, kept: bytes) -> str:
        """A secret that was kept.

        Raises
        ------
        ReachbackError
            If the key is another one.
        """
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(kept).decode()
        except InvalidToken:
            raise ReachbackError(
                "The second factors cannot be read with accounts.secret in the server's folder; restore that "
                "file, or reset the accounts."
            ) from None


def digest(secret: str) -> str:
    """What is kept of a secret that is random anyway: its SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()


# --- by administrators -------------------------------------------------------------------------------------


def add(
    db: Database,
    name: str,
    *,
    roles: Collection[str],
    sites: Collection[str] | None,
    by: str,
    now: datetime,
    settings: Accounts,
) -> str:
    """Make an account.

    Parameters
    ----------
    db : Database
        The server's.
    name : str
        Of the account.
    roles : collection of str
        What the person may do.
    sites : collection of str or None
        Whose cases; ``None`` for all.
    by, now
        Who makes it, when.
    settings : spectralid.reachback.settings.Accounts
        How long the set-up code counts.

    Returns
    -------
    str
        The set-up code, for the person alone.

    Raises
    ------
    ConflictError
        If there is one of that name, or was.
    ParameterError
        If the name or the roles are none.
    """
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise ParameterError("account", name, "2 to 40 of a-z, 0-9, '.', '_', '-', beginning with a letter")
    code, values = _new_code(settings, now)
    values |= {"roles": _roles(roles), "sites": _sites(sites), "state": "new", "changed_utc": to_text(now)}
    with db.begin() as tx:
        if tx.execute(sa.select(accounts.c.name).where(accounts.c.name == name)).first():
            raise ConflictError(f"There is an account {name!r} already.")
        tx.execute(accounts.insert(), {"name": name, "created_utc": to_text(now), "created_by": by, **values})
        facts = {"roles": json.loads(values["roles"]), "sites": _loads(values["sites"])}
        audit.append(tx, by, "account-added", f"account:{name}", facts, now=now)
    return code


def change(
    db: Database,
    name: str,
    *,
    roles: Collection[str],
    sites: Collection[str] | None,
    by: str,
    now: datetime,
) -> Account:
    """Give an account other roles or places, from its next request on.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    SeparationError
        If it is one's own, as for `reset` and `disable`.
    """
    kept = _roles(roles)
    values = {"roles": kept, "sites": _sites(sites), "changed_utc": to_text(now)}
    _see_another(name, by)
    with db.begin() as tx:
        before = _get(tx, name)
        tx.execute(accounts.update().where(accounts.c.name == name).values(**values))
        facts = {
            "roles": json.loads(kept),
            "sites": _loads(values["sites"]),
            "before": sorted(before.roles),
        }
        audit.append(tx, by, "account-changed", f"account:{name}", facts, now=now)
        return _get(tx, name)


def reset(db: Database, name: str, *, by: str, now: datetime, settings: Accounts) -> str:
    """Begin anew with an account: password, second factor, sessions and tokens are gone.

    Returns
    -------
    str
        The set-up code, for the person alone.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    _see_another(name, by)
    code, values = _new_code(settings, now)
    cleared = {"state": "new", "password": None, "second_factor": None, "failures": 0, "wait_until_utc": None}
    with db.begin() as tx:
        _get(tx, name)
        _shut_out(tx, name)
        tx.execute(
            accounts.update()
            .where(accounts.c.name == name)
            .values(**values, **cleared, changed_utc=to_text(now))
        )
        audit.append(tx, by, "account-reset", f"account:{name}", {}, now=now)
    return code


def disable(db: Database, name: str, *, why: str, by: str, now: datetime) -> Account:
    """Let a person in no more, from this moment; `reset` lets the person in again.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    _see_another(name, by)
    with db.begin() as tx:
        _get(tx, name)
        _shut_out(tx, name)
        values = {"state": "disabled", "setup_sha256": None, "changed_utc": to_text(now)}
        tx.execute(accounts.update().where(accounts.c.name == name).values(**values))
        audit.append(tx, by, "account-disabled", f"account:{name}", {"why": why}, now=now)
        return _get(tx, name)


def _see_another(name: str, by: str) -> None:
    if name == by:
        raise SeparationError("Nobody changes what his own account may do; another administrator has to.")


def _shut_out(tx: Connection, name: str) -> None:
    tx.execute(sessions.delete().where(sessions.c.account == name))
    tx.execute(tokens.delete().where(tokens.c.account == name))


def _new_code(settings: Accounts, now: datetime) -> tuple[str, dict[str, Any]]:
    code = secrets.token_hex(16)
    until = to_text(now + timedelta(hours=settings.setup_hours))
    return code, {"setup_sha256": digest(code), "setup_until_utc": until}


def _roles(given: Collection[str]) -> str:
    wanted = set(given)
    if not wanted or not wanted <= set(roles.ACCOUNT_ROLES):
        raise ParameterError("roles", sorted(wanted), f"of {', '.join(roles.ACCOUNT_ROLES)}")
    if len(wanted) > 1 and wanted & roles.ALONE:
        alone = " and ".join(sorted(roles.ALONE))
        raise ParameterError("roles", sorted(wanted), f"{alone} without any other role")
    return json.dumps(sorted(wanted))


def _sites(given: Collection[str] | None) -> str | None:
    if given is None:
        return None
    wanted = sorted(set(given))
    if len(wanted) > _MOST_SITES or not all(1 <= len(one) <= 100 and one.isprintable() for one in wanted):
        raise ParameterError("sites", wanted[:5], f"at most {_MOST_SITES} names of places")
    return json.dumps(wanted)


def _loads(text: str | None) -> Any:
    return None if text is None else json.loads(text)


# --- by the person -----------------------------------------------------------------------------------------


def set_up(
    db: Database,
    passwords: Passwords,
    vault: Vault,
    name: str,
    code: str,
    password: str,
    *,
    now: datetime,
) -> str:
    """Choose a password and get the second factor, with the set-up code that an administrator handed out.

    May be done again until the first sign-in, which shows that both have arrived.

    Parameters
    ----------
    db, passwords, vault
        The server's.
    name, code, password
        The account, its set-up code, and the password that is chosen.
    now : datetime
        When.

    Returns
    -------
    str
        An ``otpauth://`` address for an authenticator.

    Raises
    ------
    SignInError
        If the code does not count (any more).
    ParameterError
        If the password is none.
    """
    import pyotp

    with db.read() as tx:
        row = row_of(tx, name)
    if row is None or not _counts(row, code, now):
        raise SignInError(
            "The set-up code does not count for this account (any more); ask an administrator for another."
        )
    kept, secret = passwords.make(name, password), pyotp.random_base32()
    with db.begin() as tx:
        row = row_of(tx, name)
        if row is None or not _counts(row, code, now):
            raise SignInError("The set-up code was used meanwhile.")
        values = {"password": kept, "second_factor": vault.close(secret), "changed_utc": to_text(now)}
        tx.execute(accounts.update().where(accounts.c.name == name).values(**values))
        audit.append(tx, name, "account-set-up", f"account:{name}", {}, now=now)
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)


def _counts(row: Mapping[str, Any], code: str, now: datetime) -> bool:
    kept, until = row["setup_sha256"], row["setup_until_utc"]
    alive = row["state"] == "new" and kept is not None and to_text(now) < until
    return alive and secrets.compare_digest(kept, digest(code))


# --- to look up --------------------------------------------------------------------------------------------


def find(db: Database, name: str) -> Account:
    """An account.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    with db.read() as tx:
        return _get(tx, name)


def listed(db: Database) -> tuple[Account, ...]:
    """Every account there ever was, by name."""
    with db.read() as tx:
        rows = tx.execute(sa.select(accounts).order_by(accounts.c.name)).mappings()
        return tuple(of_row(dict(row)) for row in rows)


def row_of(tx: Connection, name: str) -> Mapping[str, Any] | None:
    """The row of an account, with its secrets."""
    row = tx.execute(sa.select(accounts).where(accounts.c.name == name)).mappings().first()
    return None if row is None else dict(row)


def _get(tx: Connection, name: str) -> Account:
    row = row_of(tx, name)
    if row is None:
        raise NotFoundError(f"There is no account {name[:40]!r}.")
    return of_row(row)


def of_row(row: Mapping[str, Any]) -> Account:
    """An account of its row."""
    sites = _loads(row["sites"])
    return Account(
        name=row["name"],
        roles=frozenset(json.loads(row["roles"])),
        sites=None if sites is None else frozenset(sites),
        state=row["state"],
        created_utc=row["created_utc"],
        created_by=row["created_by"],
        changed_utc=row["changed_utc"],
    )
