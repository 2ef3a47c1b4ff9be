"""The tables of the library loop: rows are only added."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from spectralid.reachback.tables import metadata

__all__ = ["candidate_votes", "candidates", "library_publications", "library_releases"]


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


# Spectra that somebody holds for good enough to be references.
candidates: Final = sa.Table(
    "candidates",
    metadata,
    _key("candidate"),
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), nullable=False),
    _text("device_id"),
    _number("seq"),
    _number("idx"),
    _text("slug"),
    _text("form"),
    _text("compound"),
    _text("technique"),
    _text("status"),  # confirmed, presumptive
    _text("basis"),
    _text("provenance"),
    _text("checks"),
    _text("standing"),
    _text("licence"),
    _text("owner"),
    _text("note"),
    _text("measured_sha256"),  # of the spectrum as it was recorded
    _text("spectrum_sha256"),  # of the spectrum as proposed
    sa.Column("spectrum", sa.LargeBinary, nullable=False),
    _text("sha256"),
    _text("proposed_by"),
    _text("proposed_utc"),
    _number("audit_n"),
    sa.ForeignKeyConstraint(["device_id", "seq"], ["packets.device_id", "packets.seq"]),
    sa.UniqueConstraint("sha256"),
    sa.Index(None, "case_id"),
    sa.Index(None, "measured_sha256"),
)

# What each person said of a candidate.
candidate_votes: Final = sa.Table(
    "candidate_votes",
    metadata,
    sa.Column("candidate", sa.BigInteger, sa.ForeignKey("candidates.candidate"), nullable=False),
    _text("by"),
    _text("vote"),  # approve, reject
    _text("words"),
    _text("sha256"),  # of the candidate they saw
    _text("utc"),
    _number("audit_n"),
    sa.PrimaryKeyConstraint("candidate", "by"),
)

# Libraries that were built; the manifest says from what.
library_releases: Final = sa.Table(
    "library_releases",
    metadata,
    _key("number"),
    _text("name"),
    _text("version"),
    _text("sha256"),
    _text("file_sha256"),
    _text("manifest"),
    _text("made_by"),
    _text("made_utc"),
    _number("audit_n"),
)

# Those of them that were signed and handed out.
library_publications: Final = sa.Table(
    "library_publications",
    metadata,
    sa.Column("number", sa.BigInteger, sa.ForeignKey("library_releases.number"), primary_key=True),
    _text("by"),
    _text("utc"),
    _number("audit_n"),
)
