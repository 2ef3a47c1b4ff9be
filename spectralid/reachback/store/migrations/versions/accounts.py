"""Accounts, sessions, tokens, certificates of tablets, daily checks of instruments; news for who waits."""

import sqlalchemy as sa
from alembic import op

from spectralid.reachback.store.migrate import append_only

revision = "accounts"
down_revision = "0001"

# A notification only wakes; whoever misses one asks a little later.
_NOTIFY = """
CREATE OR REPLACE FUNCTION spectralid_news() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('spectralid_answers', NEW.device_id); RETURN NULL; END $$
"""


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("sites", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("second_factor", sa.LargeBinary(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("wait_until_utc", sa.Text(), nullable=True),
        sa.Column("setup_sha256", sa.Text(), nullable=True),
        sa.Column("setup_until_utc", sa.Text(), nullable=True),
        sa.Column("created_utc", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("changed_utc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_accounts")),
    )
    op.create_table(
        "sessions",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("opened_utc", sa.Text(), nullable=False),
        sa.Column("seen_utc", sa.Text(), nullable=False),
        sa.Column("until_utc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name=op.f("fk_sessions_account")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_account"), "sessions", ["account"], unique=False)
    op.create_table(
        "api_tokens",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("made_utc", sa.Text(), nullable=False),
        sa.Column("until_utc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name=op.f("fk_api_tokens_account")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_api_tokens")),
    )
    op.create_index(op.f("ix_api_tokens_account"), "api_tokens", ["account"], unique=False)
    op.create_table(
        "device_certificates",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("issued_utc", sa.Text(), nullable=False),
        sa.Column("until_utc", sa.Text(), nullable=False),
        sa.Column("revoked_utc", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.device_id"], name=op.f("fk_device_certificates_device_id")
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_device_certificates")),
    )
    op.create_index(
        op.f("ix_device_certificates_device_id"), "device_certificates", ["device_id"], unique=False
    )
    op.create_table(
        "ipv_records",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("ipv_id", sa.Text(), nullable=False),
        sa.Column("checked_utc", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("limits_version", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("received_utc", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("audit_n", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_ipv_records_device_id")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_ipv_records")),
        sa.UniqueConstraint("device_id", "ipv_id", name=op.f("uq_ipv_records_device_id_ipv_id")),
    )
    op.create_index(op.f("ix_ipv_records_received_utc"), "ipv_records", ["received_utc"], unique=False)
    append_only(op, "ipv_records")
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_NOTIFY)
        for table in ("answers", "notices"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table}_news AFTER INSERT ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION spectralid_news()"
            )
