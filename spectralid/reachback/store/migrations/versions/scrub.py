"""Packets found damaged, and the sound copies that their devices handed over again."""

import sqlalchemy as sa
from alembic import op

from spectralid.reachback.store.migrate import append_only

revision = "scrub"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    for name, *columns in (
        (
            "packet_damage",
            sa.Column("found_utc", sa.Text(), nullable=False),
            sa.Column("mended_utc", sa.Text()),
        ),
        (
            "packet_copies",
            sa.Column("taken_utc", sa.Text(), nullable=False),
            sa.Column("raw", sa.LargeBinary(), nullable=False),
        ),
    ):
        op.create_table(
            name,
            sa.Column("device_id", sa.Text(), nullable=False),
            sa.Column("seq", sa.BigInteger(), nullable=False),
            *columns,
            sa.ForeignKeyConstraint(
                ["device_id", "seq"],
                ["packets.device_id", "packets.seq"],
                name=op.f(f"fk_{name}_device_id_seq"),
            ),
            sa.PrimaryKeyConstraint("device_id", "seq", name=op.f(f"pk_{name}")),
        )
    append_only(op, "packet_copies")
