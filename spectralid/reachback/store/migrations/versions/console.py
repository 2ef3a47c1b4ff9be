"""First looks: what a chemist thought before a name was shown."""

import sqlalchemy as sa
from alembic import op

from spectralid.reachback.store.migrate import append_only

revision = "console"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "first_looks",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("chemist", sa.Text(), nullable=False),
        sa.Column("utc", sa.Text(), nullable=False),
        sa.Column("impression", sa.Text(), nullable=False),
        sa.Column("audit_n", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_first_looks_case_id")),
        sa.PrimaryKeyConstraint("case_id", "round", "chemist", name=op.f("pk_first_looks")),
    )
    append_only(op, "first_looks")
