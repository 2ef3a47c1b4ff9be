"""What everything that answers requests shares: database, keys, time, settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request

from spectralid.reachback.api.limits import Limits
from spectralid.reachback.api.waiting import Waiting
from spectralid.reachback.people.accounts import Passwords, Vault
from spectralid.reachback.settings import Settings

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys

__all__ = ["Desk", "desk_of"]


def _system_time() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Desk:
    """A server.

    Parameters
    ----------
    db : Database
        Its database, migrated.
    keys : ServerKeys
        Whom it signs as.
    settings : Settings
        How it is set up.
    now : callable
        What time it is; everything asks here.

    Attributes
    ----------
    limits : Limits
        How much is let in.
    passwords, vault
        What accounts are checked with.
    waiting : Waiting
        The tablets that wait for answers.
    in_flight : set
        Packets that are just being taken in; of the event loop alone.
    """

    db: Database
    keys: ServerKeys
    settings: Settings = field(default_factory=Settings)
    now: Callable[[], datetime] = _system_time
    limits: Limits = field(init=False)
    passwords: Passwords = field(init=False)
    vault: Vault = field(init=False)
    waiting: Waiting = field(init=False)
    in_flight: set[tuple[str, str]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", Limits.of(self.settings))
        object.__setattr__(self, "passwords", Passwords(self.settings.accounts))
        object.__setattr__(self, "vault", Vault(self.db.folder))
        object.__setattr__(self, "waiting", Waiting(self.db, self.settings.poll_s))

    @property
    def folder(self) -> Path:
        """Of the server's files."""
        return self.db.folder


def desk_of(request: Request) -> Desk:
    """The server that a request came to; for ``Annotated[Desk, Depends(desk_of)]``."""
    desk: Desk = request.app.state.desk
    return desk
