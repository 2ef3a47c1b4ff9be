"""Columns that the tables of every part of the server are made of."""

from __future__ import annotations

from spectralid.errors import MissingDependencyError

try:
    import sqlalchemy as sa
except ImportError:
    raise MissingDependencyError("sqlalchemy", extra="reachback", purpose="to keep the record") from None

__all__ = ["number", "text", "truth"]


def text(name: str, *, null: bool = False) -> sa.Column[str]:
    """A text."""
    return sa.Column(name, sa.Text, nullable=null)


def number(name: str, *, null: bool = False, default: str | None = None) -> sa.Column[int]:
    """A whole number of 64 bits."""
    return sa.Column(name, sa.BigInteger, nullable=null, server_default=default)


def truth(name: str, *, null: bool = False) -> sa.Column[bool]:
    """True or false."""
    return sa.Column(name, sa.Boolean, nullable=null)
