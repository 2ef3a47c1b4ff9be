"""What is sent to laboratories, what they report, and what became of it."""

import sqlalchemy as sa
from alembic import op

from spectralid.reachback.store.migrate import append_only

revision = "laboratory"
down_revision = "0001"


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "lab_samples",
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("item_ref", sa.Text(), nullable=True),
        *_texts("laboratory", "sample_ref", "stage", "sampling", "sent_utc", "recorded_utc", "by"),
        sa.Column("audit_n", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_lab_samples_case_id")),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_lab_samples")),
        sa.UniqueConstraint("laboratory", "sample_ref", name=op.f("uq_lab_samples_laboratory_sample_ref")),
    )
    op.create_index(op.f("ix_lab_samples_case_id"), "lab_samples", ["case_id"], unique=False)
    op.create_index(op.f("ix_lab_samples_sent_utc"), "lab_samples", ["sent_utc"], unique=False)
    op.create_table(
        "lab_results",
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        *_texts("laboratory", "sample_ref", "report_ref", "stage", "result", "methods", "categories"),
        *_texts("substances", "precautions"),
        sa.Column("dangerous", sa.Boolean(), nullable=False),
        *_texts("said_case", "said_device", "said_seizure", "said_item", "corrects", "sampling", "analyst"),
        *_texts("note", "measured_utc", "reported_utc", "received_utc", "by", "source", "sha256"),
        sa.Column("audit_n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_lab_results")),
        sa.UniqueConstraint(
            "laboratory",
            "sample_ref",
            "report_ref",
            "sha256",
            name=op.f("uq_lab_results_laboratory_sample_ref_report_ref_sha256"),
        ),
    )
    op.create_index(op.f("ix_lab_results_received_utc"), "lab_results", ["received_utc"], unique=False)
    op.create_table(
        "lab_steps",
        sa.Column("result_n", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        *_texts("what", "why"),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.Column("item_ref", sa.Text(), nullable=True),
        sa.Column("answer_id", sa.Text(), nullable=True),
        *_texts("utc", "by"),
        sa.Column("audit_n", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["result_n"], ["lab_results.n"], name=op.f("fk_lab_steps_result_n")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_lab_steps_case_id")),
        sa.PrimaryKeyConstraint("result_n", "step", name=op.f("pk_lab_steps")),
    )
    op.create_index(op.f("ix_lab_steps_case_id"), "lab_steps", ["case_id"], unique=False)
    op.create_index(op.f("ix_lab_steps_what"), "lab_steps", ["what"], unique=False)
    append_only(op, "lab_samples", "lab_results", "lab_steps")
