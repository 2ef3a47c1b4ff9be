"""The tables of the server.

Times are text in UTC of one length (`spectralid.casework.clock.to_text`), which sorts as time does on both
databases. Lists and facts that are only read back whole are JSON in text. The migrations make the tables;
a test sees to it that both say the same. Rooms with tables of their own add them to `metadata` and bring a
migration.
"""

from __future__ import annotations

from typing import Final

from spectralid.errors import MissingDependencyError

try:
    import sqlalchemy as sa
except ImportError:
    raise MissingDependencyError("sqlalchemy", extra="reachback", purpose="to keep the record") from None

__all__ = [
    "APPEND_ONLY",
    "adjudications",
    "answers",
    "audit",
    "case_links",
    "cases",
    "chains",
    "device_keys",
    "devices",
    "drafts",
    "gaps",
    "items",
    "leases",
    "metadata",
    "notices",
    "packets",
    "quarantine",
    "rounds",
    "scans",
    "sends",
    "spectra",
    "strips",
]

APPEND_ONLY: Final = ("audit", "packets", "quarantine", "adjudications")
"""Tables whose rows are never changed or removed; triggers see to it."""

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _number(name: str, *, null: bool = False, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null, server_default=default)


def _truth(name: str, *, null: bool = False) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=null)


def _device() -> sa.Column[str]:
    return sa.Column("device_id", sa.Text, sa.ForeignKey("devices.device_id"), nullable=False)


def _case(name: str = "case_id") -> sa.Column[str]:
    return sa.Column(name, sa.Text, sa.ForeignKey("cases.case_id"), nullable=False)


def _of_packet() -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("device_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["device_id", "seq"], ["packets.device_id", "packets.seq"]),
    )


audit: Final = sa.Table(
    "audit",
    metadata,
    sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("utc"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _text("facts"),
    _text("prev"),
    _text("sha256"),
    sa.Index(None, "subject"),
)

# --- devices -----------------------------------------------------------------------------------------------

devices: Final = sa.Table(
    "devices",
    metadata,
    sa.Column("device_id", sa.Text, primary_key=True),
    _text("site_ref"),
    _text("state"),  # active, revoked
    _text("enrolled_utc"),
    _text("revoked_utc", null=True),
    _text("revoked_why", null=True),
    _text("seen_utc", null=True),
    _number("answer_n", default="0"),
)

device_keys: Final = sa.Table(
    "device_keys",
    metadata,
    sa.Column("keyid", sa.Text, primary_key=True),
    _device(),
    sa.Column("public", sa.LargeBinary, nullable=False),
    _text("added_utc"),
    _text("revoked_utc", null=True),
)

# How far the numbers of a device have come, in each epoch of its chain.
chains: Final = sa.Table(
    "chains",
    metadata,
    _device(),
    _number("epoch"),
    _number("high_seq"),
    sa.PrimaryKeyConstraint("device_id", "epoch"),
)

gaps: Final = sa.Table(
    "gaps",
    metadata,
    _device(),
    _number("first_seq"),
    _number("last_seq"),
    _text("noticed_utc"),
    sa.PrimaryKeyConstraint("device_id", "first_seq"),
)

# --- cases -------------------------------------------------------------------------------------------------

cases: Final = sa.Table(
    "cases",
    metadata,
    sa.Column("case_id", sa.Text, primary_key=True),
    _device(),
    _text("seizure_ref"),
    _text("site_ref"),
    _text("state"),
    _number("round"),
    _text("opened_utc"),
    _text("due_utc", null=True),
    _number("due_slot", null=True),
    _number("priority"),
    _truth("stopped"),
    _truth("high_hazard"),
    _number("scans"),
    _number("evidence"),
    _number("token", default="0"),
    _text("holder", null=True),
    _text("until_utc", null=True),
    _text("adjudicator", null=True),
    _text("changed_utc"),
    sa.UniqueConstraint("device_id", "seizure_ref"),
    sa.Index(None, "state", "stopped", "due_slot", "priority", "due_utc"),
    sa.Index(None, "until_utc"),
)

# Each time a case waits for an answer, and what became of it.
rounds: Final = sa.Table(
    "rounds",
    metadata,
    _case(),
    _number("round"),
    _text("why"),
    _text("opened_utc"),
    _text("due_utc"),
    _text("first_utc", null=True),
    _text("first_kind", null=True),
    _text("answered_utc", null=True),
    _text("delivered_utc", null=True),
    sa.PrimaryKeyConstraint("case_id", "round"),
    sa.Index(None, "opened_utc"),
)

case_links: Final = sa.Table(
    "case_links",
    metadata,
    _case(),
    _case("other_id"),
    _text("why"),
    _text("fact"),
    _text("linked_utc"),
    _text("by"),
    sa.PrimaryKeyConstraint("case_id", "other_id", "why"),
    sa.Index(None, "other_id"),
)

leases: Final = sa.Table(
    "leases",
    metadata,
    _case(),
    _number("token"),
    _text("chemist"),
    _text("purpose"),  # adjudicate, review
    _text("granted_utc"),
    _text("until_utc"),
    _text("ended_utc", null=True),
    _text("ended_why", null=True),
    sa.PrimaryKeyConstraint("case_id", "token"),
)

drafts: Final = sa.Table(
    "drafts",
    metadata,
    sa.Column("draft", sa.BigInteger, primary_key=True, autoincrement=False),
    _case(),
    _number("token"),
    _text("chemist"),
    _text("content"),
    _text("saved_utc"),
    sa.Index(None, "case_id", "chemist"),
)

adjudications: Final = sa.Table(
    "adjudications",
    metadata,
    _case(),
    _number("token"),
    _text("kind"),  # interim, decision, review
    _number("round"),
    _text("by"),
    _text("utc"),
    _text("content"),
    _number("audit_n"),
    sa.PrimaryKeyConstraint("case_id", "token", "kind"),
)

# --- what came in ------------------------------------------------------------------------------------------

packets: Final = sa.Table(
    "packets",
    metadata,
    _device(),
    _number("seq"),
    _text("sha256"),
    _text("packet_id"),
    _text("kind"),
    _case(),
    _text("seizure_ref"),
    _text("item_ref", null=True),
    _number("epoch"),
    _text("prev"),
    _truth("chain_broken"),
    _text("captured_utc"),
    _text("clock_state"),
    _text("received_utc"),
    _text("way"),  # https, hand
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("receipt", sa.LargeBinary, nullable=False),
    _number("audit_n"),
    sa.PrimaryKeyConstraint("device_id", "seq"),
    sa.UniqueConstraint("sha256"),
    sa.UniqueConstraint("device_id", "packet_id"),
    sa.Index(None, "audit_n"),
    sa.Index(None, "case_id"),
    sa.Index(None, "received_utc"),
)

quarantine: Final = sa.Table(
    "quarantine",
    metadata,
    sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("sha256"),
    _text("device_id", null=True),
    _text("code"),
    _text("said"),
    _text("idempotency_key", null=True),
    _text("received_utc"),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("sha256", "code"),
    sa.Index(None, "device_id"),
)

scans: Final = sa.Table(
    "scans",
    metadata,
    *_of_packet(),
    _case(),
    _text("item_ref"),
    _text("technique"),
    _text("decision"),
    _text("verdict"),
    _text("alarm"),
    _text("families"),
    _text("substances"),
    _truth("fentanyl"),
    _truth("high_hazard"),
    _text("library_name"),
    _text("library_version"),
    _text("engine_version"),
    _text("instrument"),
    _text("ipv"),
    _text("why"),
    _text("urgency"),
    _text("officer_note"),
    _text("rescan_of", null=True),
    _text("captured_utc"),
    _text("received_utc"),
    sa.PrimaryKeyConstraint("device_id", "seq"),
    sa.Index(None, "case_id"),
    sa.Index(None, "received_utc"),
)

spectra: Final = sa.Table(
    "spectra",
    metadata,
    *_of_packet(),
    _number("idx"),
    _case(),
    _text("role"),
    _text("technique"),
    _text("unit"),
    _text("spectrum_sha256", null=True),  # as the device states it
    _text("numbers_sha256"),  # of axis and intensities, by this server
    _number("n"),
    _truth("usable"),
    sa.Column("axis", sa.LargeBinary, nullable=False),
    sa.Column("intensity", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("device_id", "seq", "idx"),
    sa.Index(None, "numbers_sha256"),
    sa.Index(None, "case_id"),
)

strips: Final = sa.Table(
    "strips",
    metadata,
    *_of_packet(),
    _number("idx"),
    _case(),
    _text("item_ref"),
    _text("target"),
    _text("result"),
    _text("brand"),
    _text("lot"),
    _text("expiry"),
    sa.Column("cutoff_ng_ml", sa.Float, nullable=True),
    sa.Column("dilution_mg_ml", sa.Float, nullable=True),
    sa.Column("read_s", sa.Float, nullable=True),
    sa.PrimaryKeyConstraint("device_id", "seq", "idx"),
    sa.Index(None, "case_id"),
)

# What an item is said to be: by its label, and by each later statement.
items: Final = sa.Table(
    "items",
    metadata,
    *_of_packet(),
    _case(),
    _text("item_ref"),
    _text("label"),
    _text("container"),
    _text("declared"),
    _text("cas"),
    _text("tariff"),
    _text("note"),
    sa.PrimaryKeyConstraint("device_id", "seq"),
    sa.Index(None, "case_id"),
)

sends: Final = sa.Table(
    "sends",
    metadata,
    *_of_packet(),
    _case(),
    _text("item_ref", null=True),
    _text("why"),
    _text("urgency"),
    _text("officer_note"),
    _text("packet_ids"),
    _text("received_utc"),
    sa.PrimaryKeyConstraint("device_id", "seq"),
    sa.Index(None, "case_id"),
)

# --- what goes out -----------------------------------------------------------------------------------------

answers: Final = sa.Table(
    "answers",
    metadata,
    _device(),
    _number("n"),
    _text("answer_id"),
    _case(),
    _text("kind"),
    _text("utc"),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    _text("sha256"),
    _text("supersedes", null=True),
    _text("superseded_by", null=True),
    _text("handed_utc", null=True),
    _text("shown_utc", null=True),
    _text("acknowledged_utc", null=True),
    sa.Column("shown", sa.LargeBinary, nullable=True),
    sa.PrimaryKeyConstraint("device_id", "n"),
    sa.UniqueConstraint("answer_id"),
    sa.Index(None, "case_id"),
)

notices: Final = sa.Table(
    "notices",
    metadata,
    _device(),
    _number("notice"),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    _text("made_utc"),
    _number("offers"),
    _text("offered_utc", null=True),
    sa.PrimaryKeyConstraint("device_id", "notice"),
)
