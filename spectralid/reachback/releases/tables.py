"""The tables of the library loop: rows are only added."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from spectralid.reachback.store.columns import number, text
from spectralid.reachback.store.tables import metadata

__all__ = ["candidate_votes", "candidates", "library_publications", "library_releases"]


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


# Spectra that somebody holds for good enough to be references.
candidates: Final = sa.Table(
    "candidates",
    metadata,
    _key("candidate"),
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), nullable=False),
    text("device_id"),
    number("seq"),
    number("idx"),
    text("slug"),
    text("form"),
    text("compound"),
    text("technique"),
    text("status"),  # confirmed, presumptive
    text("basis"),
    text("provenance"),
    text("checks"),
    text("standing"),
    text("licence"),
    text("owner"),
    text("note"),
    text("measured_sha256"),  # of the spectrum as it was recorded
    text("spectrum_sha256"),  # of the spectrum as proposed
    sa.Column("spectrum", sa.LargeBinary, nullable=False),
    text("sha256"),
    text("proposed_by"),
    text("proposed_utc"),
    number("audit_n"),
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
    text("by"),
    text("vote"),  # approve, reject
    text("words"),
    text("sha256"),  # of the candidate they saw
    text("utc"),
    number("audit_n"),
    sa.PrimaryKeyConstraint("candidate", "by"),
)

# Libraries that were built; the manifest says from what.
library_releases: Final = sa.Table(
    "library_releases",
    metadata,
    _key("number"),
    text("name"),
    text("version"),
    text("sha256"),
    text("file_sha256"),
    text("manifest"),
    text("made_by"),
    text("made_utc"),
    number("audit_n"),
)

# Those of them that were signed and handed out.
library_publications: Final = sa.Table(
    "library_publications",
    metadata,
    sa.Column("number", sa.BigInteger, sa.ForeignKey("library_releases.number"), primary_key=True),
    text("by"),
    text("utc"),
    number("audit_n"),
)
