"""What was read of each case, fingerprints of items, and alerts."""

import sqlalchemy as sa
from alembic import op

revision = "intelligence"
down_revision = "0001"


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "case_digests",
        *_texts("case_id"),
        *_numbers("version", "read_n"),
        *_texts("mode"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_case_digests_case_id")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_case_digests")),
    )
    op.create_index(
        op.f("ix_case_digests_version_read_n"), "case_digests", ["version", "read_n"], unique=False
    )
    op.create_table(
        "fingerprints",
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        *_texts("case_id", "item_ref", "technique", "unit"),
        *_numbers("scans", "left_out", "substances"),
        sa.Column("noise", sa.Float(), nullable=False),
        sa.Column("spread", sa.Float(), nullable=True),
        sa.Column("unknown", sa.Boolean(), nullable=False),
        *_texts("sha256"),
        sa.Column("slope", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_fingerprints_case_id")),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_fingerprints")),
        sa.UniqueConstraint(
            "case_id", "item_ref", "technique", name=op.f("uq_fingerprints_case_id_item_ref_technique")
        ),
    )
    op.create_table(
        "alerts",
        *_texts("alert_id", "kind", "subject", "headline", "facts", "raised_utc"),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("acknowledged_utc", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_alerts_kind_subject")),
    )
    op.create_index(op.f("ix_alerts_raised_utc"), "alerts", ["raised_utc"], unique=False)
    op.create_table(
        "alert_cases",
        *_texts("alert_id", "case_id"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.alert_id"], name=op.f("fk_alert_cases_alert_id")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_alert_cases_case_id")),
        sa.PrimaryKeyConstraint("alert_id", "case_id", name=op.f("pk_alert_cases")),
    )
    op.create_index(op.f("ix_alert_cases_case_id"), "alert_cases", ["case_id"], unique=False)
