"""How a server is set up: a TOML file, or nothing at all.

Every setting has a value that is right for one desk on one machine. The file has a table for each group here
(``[desk]``, ``[devices]``, ``[limits]``, ``[accounts]``); what it does not know is refused by name.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from spectralid.errors import ParameterError

__all__ = ["Accounts", "Desk", "Devices", "Limits", "Settings", "read"]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where persons reach the server.

    Parameters
    ----------
    host, port
        Address it listens at.
    names : tuple of str
        Names and addresses that the server's certificate is made out to.
    certificate, key : str
        Files of a certificate to be used instead of one of the agency's own authority.
    plain : bool
        Without TLS, behind a proxy on this machine that has it; refused for any address but loopback.
    """

    host: str = "127.0.0.1"
    port: int = 8443
    names: tuple[str, ...] = ("localhost", "127.0.0.1")
    certificate: str = ""
    key: str = ""
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Devices:
    """Where tablets reach the server.

    Parameters
    ----------
    host, port
        Address it listens at; every caller needs a certificate of the agency's authority.
    url : str
        As tablets are told at their enrolment; by default made of the first name of the desk and `port`.
    certificate_days : int
        How long a tablet's certificate is valid.
    """

    host: str = "127.0.0.1"
    port: int = 8444
    url: str = ""
    certificate_days: int = 365


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is let in.

    Parameters
    ----------
    device_per_min, device_burst
        Requests of one tablet.
    sign_in_per_min, sign_in_burst
        Attempts to sign in from one address, and for one account.
    all_per_s, all_burst
        Requests of everybody together, to this process.
    body_bytes : int
        Largest body of a request that is not a packet.
    threads : int
        Requests worked on at once.
    """

    device_per_min: float = 60.0
    device_burst: int = 200
    sign_in_per_min: float = 10.0
    sign_in_burst: int = 10
    all_per_s: float = 400.0
    all_burst: int = 2000
    body_bytes: int = 1024 * 1024
    threads: int = 16


@dataclass(frozen=True, slots=True)
class Accounts:
    """How persons prove who they are.

    Parameters
    ----------
    argon2_time, argon2_memory_kib, argon2_lanes
        Cost of a password's hash (argon2id; the second choice of RFC 9106).
    password_length : int
        Shortest password.
    free_failures : int
        Failures after which an account has to wait, twice as long each time, up to 15 minutes.
    session_hours, idle_minutes
        When a session ends, at the latest and when nothing is done.
    setup_hours : int
        How long a set-up code counts.
    """

    argon2_time: int = 3
    argon2_memory_kib: int = 65_536
    argon2_lanes: int = 4
    password_length: int = 12
    free_failures: int = 5
    session_hours: float = 12.0
    idle_minutes: float = 120.0
    setup_hours: float = 24.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them.

    Parameters
    ----------
    database : str
        ``postgresql://…``; SQLite in the server's folder if empty.
    desk, devices, limits, accounts
        The groups.
    poll_s : float
        How often it is looked whether there is something for a tablet that waits, at most 5 s.
    stop_s : float
        How long requests under way may take when the server is stopped.
    """

    database: str = ""
    desk: Desk = field(default_factory=Desk)
    devices: Devices = field(default_factory=Devices)
    limits: Limits = field(default_factory=Limits)
    accounts: Accounts = field(default_factory=Accounts)
    poll_s: float = 1.0
    stop_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.poll_s <= 5:
            raise ParameterError("poll_s", self.poll_s, "above 0 and at most 5 seconds")
        if self.limits.threads < 1:
            raise ParameterError("limits.threads", self.limits.threads, "at least 1")

    def device_url(self) -> str:
        """Where tablets reach the server."""
        if self.devices.url:
            return self.devices.url
        name = self.desk.names[0]
        return f"https://{f'[{name}]' if ':' in name else name}:{self.devices.port}"


_GROUPS = {"desk": Desk, "devices": Devices, "limits": Limits, "accounts": Accounts}


def read(path: str | Path | None) -> Settings:
    """The settings in a file; those that are right without one if there is none.

    Raises
    ------
    ParameterError
        If it cannot be read, or has something in it that is no setting.
    """
    if path is None:
        return Settings()
    try:
        said = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParameterError("--settings", str(path), f"a TOML file ({error})") from None
    groups = {name: _group(name, kind, said.pop(name, {})) for name, kind in _GROUPS.items()}
    return _group("settings", Settings, {**said, **groups})  # type: ignore[no-any-return]


def _group(name: str, kind: Any, said: Any) -> Any:
    if not isinstance(said, dict):
        raise ParameterError(name, said, "a table of settings")
    known = {one.name: one for one in fields(kind)}
    values = {}
    for key, value in said.items():
        if key not in known:
            raise ParameterError(f"{name}.{key}", value, f"one of {', '.join(known)}")
        values[key] = _value(f"{name}.{key}", value, known[key].default)
    return kind(**values)


def _value(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise ParameterError(name, value, "a list of names")
        return tuple(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, (str, bool, int, float)) and type(value) is not type(default):
        raise ParameterError(name, value, f"of the kind {type(default).__name__}")
    return value
