"""Candidates for the library, what was said of them, and releases."""

import sqlalchemy as sa
from alembic import op

from spectralid.reachback.store.migrate import append_only

revision = "library"
down_revision = "0001"


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "candidates",
        sa.Column("candidate", sa.BigInteger(), autoincrement=False, nullable=False),
        *_texts("case_id", "device_id"),
        *_numbers("seq", "idx"),
        *_texts("slug", "form", "compound", "technique", "status", "basis", "provenance", "checks"),
        *_texts("standing", "licence", "owner", "note", "measured_sha256", "spectrum_sha256"),
        sa.Column("spectrum", sa.LargeBinary(), nullable=False),
        *_texts("sha256", "proposed_by", "proposed_utc"),
        *_numbers("audit_n"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_candidates_case_id")),
        sa.ForeignKeyConstraint(
            ["device_id", "seq"],
            ["packets.device_id", "packets.seq"],
            name=op.f("fk_candidates_device_id_seq"),
        ),
        sa.PrimaryKeyConstraint("candidate", name=op.f("pk_candidates")),
        sa.UniqueConstraint("sha256", name=op.f("uq_candidates_sha256")),
    )
    op.create_index(op.f("ix_candidates_case_id"), "candidates", ["case_id"], unique=False)
    op.create_index(op.f("ix_candidates_measured_sha256"), "candidates", ["measured_sha256"], unique=False)
    op.create_table(
        "candidate_votes",
        *_numbers("candidate"),
        *_texts("by", "vote", "words", "sha256", "utc"),
        *_numbers("audit_n"),
        sa.ForeignKeyConstraint(
            ["candidate"], ["candidates.candidate"], name=op.f("fk_candidate_votes_candidate")
        ),
        sa.PrimaryKeyConstraint("candidate", "by", name=op.f("pk_candidate_votes")),
    )
    op.create_table(
        "library_releases",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        *_texts("name", "version", "sha256", "file_sha256", "manifest", "made_by", "made_utc"),
        *_numbers("audit_n"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_library_releases")),
    )
    op.create_table(
        "library_publications",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        *_texts("by", "utc"),
        *_numbers("audit_n"),
        sa.ForeignKeyConstraint(
            ["number"], ["library_releases.number"], name=op.f("fk_library_publications_number")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_library_publications")),
    )
    append_only(op, "candidates", "candidate_votes", "library_releases", "library_publications")
