"""The tables of the server.

Times are text in UTC of one length (`spectralid.casework.clock.to_text`), which sorts as time does on both
databases. Lists and facts that are only read back whole are JSON in text. The migrations make the tables;
a test sees to it that both say the same. Rooms with tables of their own add them to `metadata` and bring a
migration.
"""

from __future__ import annotations

from typing import Final

from spectralid.errors import MissingDependencyError
from spectralid.reachback.store.columns import number, text, truth

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
    text("utc"),
    text("actor"),
    text("action"),
    text("subject"),
    text("facts"),
    text("prev"),
    text("sha256"),
    sa.Index(None, "subject"),
)

# --- devices -----------------------------------------------------------------------------------------------

devices: Final = sa.Table(
    "devices",
    metadata,
    sa.Column("device_id", sa.Text, primary_key=True),
    text("site_ref"),
    text("state"),  # active, revoked
    text("enrolled_utc"),
    text("revoked_utc", null=True),
    text("revoked_why", null=True),
    text("seen_utc", null=True),
    number("answer_n", default="0"),
)

device_keys: Final = sa.Table(
    "device_keys",
    metadata,
    sa.Column("keyid", sa.Text, primary_key=True),
    _device(),
    sa.Column("public", sa.LargeBinary, nullable=False),
    text("added_utc"),
    text("revoked_utc", null=True),
)

# How far the numbers of a device have come, in each epoch of its chain.
chains: Final = sa.Table(
    "chains",
    metadata,
    _device(),
    number("epoch"),
    number("high_seq"),
    sa.PrimaryKeyConstraint("device_id", "epoch"),
)

gaps: Final = sa.Table(
    "gaps",
    metadata,
    _device(),
    number("first_seq"),
    number("last_seq"),
    text("noticed_utc"),
    sa.PrimaryKeyConstraint("device_id", "first_seq"),
)

# --- cases -------------------------------------------------------------------------------------------------

cases: Final = sa.Table(
    "cases",
    metadata,
    sa.Column("case_id", sa.Text, primary_key=True),
    _device(),
    text("seizure_ref"),
    text("site_ref"),
    text("state"),
    number("round"),
    text("opened_utc"),
    text("due_utc", null=True),
    number("due_slot", null=True),
    number("priority"),
    truth("stopped"),
    truth("high_hazard"),
    number("scans"),
    number("evidence"),
    number("token", default="0"),
    text("holder", null=True),
    text("until_utc", null=True),
    text("adjudicator", null=True),
    text("changed_utc"),
    sa.UniqueConstraint("device_id", "seizure_ref"),
    sa.Index(None, "state", "stopped", "due_slot", "priority", "due_utc"),
    sa.Index(None, "until_utc"),
)

# Each time a case waits for an answer, and what became of it.
rounds: Final = sa.Table(
    "rounds",
    metadata,
    _case(),
    number("round"),
    text("why"),
    text("opened_utc"),
    text("due_utc"),
    text("first_utc", null=True),
    text("first_kind", null=True),
    text("answered_utc", null=True),
    text("delivered_utc", null=True),
    sa.PrimaryKeyConstraint("case_id", "round"),
    sa.Index(None, "opened_utc"),
)

case_links: Final = sa.Table(
    "case_links",
    metadata,
    _case(),
    _case("other_id"),
    text("why"),
    text("fact"),
    text("linked_utc"),
    text("by"),
    sa.PrimaryKeyConstraint("case_id", "other_id", "why"),
    sa.Index(None, "other_id"),
)

leases: Final = sa.Table(
    "leases",
    metadata,
    _case(),
    number("token"),
    text("chemist"),
    text("purpose"),  # adjudicate, review
    text("granted_utc"),
    text("until_utc"),
    text("ended_utc", null=True),
    text("ended_why", null=True),
    sa.PrimaryKeyConstraint("case_id", "token"),
)

drafts: Final = sa.Table(
    "drafts",
    metadata,
    sa.Column("draft", sa.BigInteger, primary_key=True, autoincrement=False),
    _case(),
    number("token"),
    text("chemist"),
    text("content"),
    text("saved_utc"),
    sa.Index(None, "case_id", "chemist"),
)

adjudications: Final = sa.Table(
    "adjudications",
    metadata,
    _case(),
    number("token"),
    text("kind"),  # interim, decision, review
    number("round"),
    text("by"),
    text("utc"),
    text("content"),
    number("audit_n"),
    sa.PrimaryKeyConstraint("case_id", "token", "kind"),
)

# --- what came in ------------------------------------------------------------------------------------------

packets: Final = sa.Table(
    "packets",
    metadata,
    _device(),
    number("seq"),
    text("sha256"),
    text("packet_id"),
    text("kind"),
    _case(),
    text("seizure_ref"),
    text("item_ref", null=True),
    number("epoch"),
    text("prev"),
    truth("chain_broken"),
    text("captured_utc"),
    text("clock_state"),
    text("received_utc"),
    text("way"),  # https, hand
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("receipt", sa.LargeBinary, nullable=False),
    number("audit_n"),
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
    text("sha256"),
    text("device_id", null=True),
    text("code"),
    text("said"),
    text("idempotency_key", null=True),
    text("received_utc"),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("sha256", "code"),
    sa.Index(None, "device_id"),
)

scans: Final = sa.Table(
    "scans",
    metadata,
    *_of_packet(),
    _case(),
    text("item_ref"),
    text("technique"),
    text("decision"),
    text("verdict"),
    text("alarm"),
    text("families"),
    text("substances"),
    truth("fentanyl"),
    truth("high_hazard"),
    text("library_name"),
    text("library_version"),
    text("engine_version"),
    text("instrument"),
    text("ipv"),
    text("why"),
    text("urgency"),
    text("officer_note"),
    text("rescan_of", null=True),
    text("captured_utc"),
    text("received_utc"),
    sa.PrimaryKeyConstraint("device_id", "seq"),
    sa.Index(None, "case_id"),
    sa.Index(None, "received_utc"),
)

spectra: Final = sa.Table(
    "spectra",
    metadata,
    *_of_packet(),
    number("idx"),
    _case(),
    text("role"),
    text("technique"),
    text("unit"),
    text("spectrum_sha256", null=True),  # as the device states it
    text("numbers_sha256"),  # of axis and intensities, by this server
    number("n"),
    truth("usable"),
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
    number("idx"),
    _case(),
    text("item_ref"),
    text("target"),
    text("result"),
    text("brand"),
    text("lot"),
    text("expiry"),
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
    text("item_ref"),
    text("label"),
    text("container"),
    text("declared"),
    text("cas"),
    text("tariff"),
    text("note"),
    sa.PrimaryKeyConstraint("device_id", "seq"),
    sa.Index(None, "case_id"),
)

sends: Final = sa.Table(
    "sends",
    metadata,
    *_of_packet(),
    _case(),
    text("item_ref", null=True),
    text("why"),
    text("urgency"),
    text("officer_note"),
    text("packet_ids"),
    text("received_utc"),
    sa.PrimaryKeyConstraint("device_id", "seq"),
    sa.Index(None, "case_id"),
)

# --- what goes out -----------------------------------------------------------------------------------------

answers: Final = sa.Table(
    "answers",
    metadata,
    _device(),
    number("n"),
    text("answer_id"),
    _case(),
    text("kind"),
    text("utc"),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    text("sha256"),
    text("supersedes", null=True),
    text("superseded_by", null=True),
    text("handed_utc", null=True),
    text("shown_utc", null=True),
    text("acknowledged_utc", null=True),
    sa.Column("shown", sa.LargeBinary, nullable=True),
    sa.PrimaryKeyConstraint("device_id", "n"),
    sa.UniqueConstraint("answer_id"),
    sa.Index(None, "case_id"),
)

notices: Final = sa.Table(
    "notices",
    metadata,
    _device(),
    number("notice"),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    text("made_utc"),
    number("offers"),
    text("offered_utc", null=True),
    sa.PrimaryKeyConstraint("device_id", "notice"),
)
