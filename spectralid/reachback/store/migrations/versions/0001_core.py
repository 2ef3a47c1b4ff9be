"""The first tables."""

import sqlalchemy as sa
from alembic import op

from spectralid.reachback.store.migrate import append_only

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "audit",
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("utc", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("prev", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"], unique=False)
    op.create_table(
        "devices",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("site_ref", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("enrolled_utc", sa.Text(), nullable=False),
        sa.Column("revoked_utc", sa.Text(), nullable=True),
        sa.Column("revoked_why", sa.Text(), nullable=True),
        sa.Column("seen_utc", sa.Text(), nullable=True),
        sa.Column("answer_n", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_devices")),
    )
    op.create_table(
        "quarantine",
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("received_utc", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("sha256", "code", name=op.f("uq_quarantine_sha256_code")),
    )
    op.create_index(op.f("ix_quarantine_device_id"), "quarantine", ["device_id"], unique=False)
    op.create_table(
        "cases",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("seizure_ref", sa.Text(), nullable=False),
        sa.Column("site_ref", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("opened_utc", sa.Text(), nullable=False),
        sa.Column("due_utc", sa.Text(), nullable=True),
        sa.Column("due_slot", sa.BigInteger(), nullable=True),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("high_hazard", sa.Boolean(), nullable=False),
        sa.Column("scans", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("until_utc", sa.Text(), nullable=True),
        sa.Column("adjudicator", sa.Text(), nullable=True),
        sa.Column("changed_utc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_cases_device_id")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_cases")),
        sa.UniqueConstraint("device_id", "seizure_ref", name=op.f("uq_cases_device_id_seizure_ref")),
    )
    op.create_index(
        op.f("ix_cases_state_stopped_due_slot_priority_due_utc"),
        "cases",
        ["state", "stopped", "due_slot", "priority", "due_utc"],
        unique=False,
    )
    op.create_index(op.f("ix_cases_until_utc"), "cases", ["until_utc"], unique=False)
    op.create_table(
        "chains",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("high_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_chains_device_id")),
        sa.PrimaryKeyConstraint("device_id", "epoch", name=op.f("pk_chains")),
    )
    op.create_table(
        "device_keys",
        sa.Column("keyid", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("added_utc", sa.Text(), nullable=False),
        sa.Column("revoked_utc", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_device_keys_device_id")),
        sa.PrimaryKeyConstraint("keyid", name=op.f("pk_device_keys")),
    )
    op.create_table(
        "gaps",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("noticed_utc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_gaps_device_id")),
        sa.PrimaryKeyConstraint("device_id", "first_seq", name=op.f("pk_gaps")),
    )
    op.create_table(
        "notices",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("notice", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("made_utc", sa.Text(), nullable=False),
        sa.Column("offers", sa.BigInteger(), nullable=False),
        sa.Column("offered_utc", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_notices_device_id")),
        sa.PrimaryKeyConstraint("device_id", "notice", name=op.f("pk_notices")),
    )
    op.create_table(
        "adjudications",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("utc", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("audit_n", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_adjudications_case_id")),
        sa.PrimaryKeyConstraint("case_id", "token", "kind", name=op.f("pk_adjudications")),
    )
    op.create_table(
        "answers",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("answer_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("utc", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("supersedes", sa.Text(), nullable=True),
        sa.Column("superseded_by", sa.Text(), nullable=True),
        sa.Column("handed_utc", sa.Text(), nullable=True),
        sa.Column("shown_utc", sa.Text(), nullable=True),
        sa.Column("acknowledged_utc", sa.Text(), nullable=True),
        sa.Column("shown", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_answers_case_id")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_answers_device_id")),
        sa.PrimaryKeyConstraint("device_id", "n", name=op.f("pk_answers")),
        sa.UniqueConstraint("answer_id", name=op.f("uq_answers_answer_id")),
    )
    op.create_index(op.f("ix_answers_case_id"), "answers", ["case_id"], unique=False)
    op.create_table(
        "case_links",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("other_id", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("linked_utc", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_case_links_case_id")),
        sa.ForeignKeyConstraint(["other_id"], ["cases.case_id"], name=op.f("fk_case_links_other_id")),
        sa.PrimaryKeyConstraint("case_id", "other_id", "why", name=op.f("pk_case_links")),
    )
    op.create_index(op.f("ix_case_links_other_id"), "case_links", ["other_id"], unique=False)
    op.create_table(
        "drafts",
        sa.Column("draft", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("chemist", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("saved_utc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_drafts_case_id")),
        sa.PrimaryKeyConstraint("draft", name=op.f("pk_drafts")),
    )
    op.create_index(op.f("ix_drafts_case_id_chemist"), "drafts", ["case_id", "chemist"], unique=False)
    op.create_table(
        "leases",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("chemist", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("granted_utc", sa.Text(), nullable=False),
        sa.Column("until_utc", sa.Text(), nullable=False),
        sa.Column("ended_utc", sa.Text(), nullable=True),
        sa.Column("ended_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_leases_case_id")),
        sa.PrimaryKeyConstraint("case_id", "token", name=op.f("pk_leases")),
    )
    op.create_table(
        "packets",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("packet_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("seizure_ref", sa.Text(), nullable=False),
        sa.Column("item_ref", sa.Text(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("prev", sa.Text(), nullable=False),
        sa.Column("chain_broken", sa.Boolean(), nullable=False),
        sa.Column("captured_utc", sa.Text(), nullable=False),
        sa.Column("clock_state", sa.Text(), nullable=False),
        sa.Column("received_utc", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("audit_n", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_packets_case_id")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_packets_device_id")),
        sa.PrimaryKeyConstraint("device_id", "seq", name=op.f("pk_packets")),
        sa.UniqueConstraint("device_id", "packet_id", name=op.f("uq_packets_device_id_packet_id")),
        sa.UniqueConstraint("sha256", name=op.f("uq_packets_sha256")),
    )
    op.create_index(op.f("ix_packets_audit_n"), "packets", ["audit_n"], unique=False)
    op.create_index(op.f("ix_packets_case_id"), "packets", ["case_id"], unique=False)
    op.create_index(op.f("ix_packets_received_utc"), "packets", ["received_utc"], unique=False)
    op.create_table(
        "rounds",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("opened_utc", sa.Text(), nullable=False),
        sa.Column("due_utc", sa.Text(), nullable=False),
        sa.Column("first_utc", sa.Text(), nullable=True),
        sa.Column("first_kind", sa.Text(), nullable=True),
        sa.Column("answered_utc", sa.Text(), nullable=True),
        sa.Column("delivered_utc", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_rounds_case_id")),
        sa.PrimaryKeyConstraint("case_id", "round", name=op.f("pk_rounds")),
    )
    op.create_index(op.f("ix_rounds_opened_utc"), "rounds", ["opened_utc"], unique=False)
    op.create_table(
        "items",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("item_ref", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("container", sa.Text(), nullable=False),
        sa.Column("declared", sa.Text(), nullable=False),
        sa.Column("cas", sa.Text(), nullable=False),
        sa.Column("tariff", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_items_case_id")),
        sa.ForeignKeyConstraint(
            ["device_id", "seq"], ["packets.device_id", "packets.seq"], name=op.f("fk_items_device_id_seq")
        ),
        sa.PrimaryKeyConstraint("device_id", "seq", name=op.f("pk_items")),
    )
    op.create_index(op.f("ix_items_case_id"), "items", ["case_id"], unique=False)
    op.create_table(
        "scans",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("item_ref", sa.Text(), nullable=False),
        sa.Column("technique", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("alarm", sa.Text(), nullable=False),
        sa.Column("families", sa.Text(), nullable=False),
        sa.Column("substances", sa.Text(), nullable=False),
        sa.Column("fentanyl", sa.Boolean(), nullable=False),
        sa.Column("high_hazard", sa.Boolean(), nullable=False),
        sa.Column("library_name", sa.Text(), nullable=False),
        sa.Column("library_version", sa.Text(), nullable=False),
        sa.Column("engine_version", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("ipv", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Text(), nullable=False),
        sa.Column("officer_note", sa.Text(), nullable=False),
        sa.Column("rescan_of", sa.Text(), nullable=True),
        sa.Column("captured_utc", sa.Text(), nullable=False),
        sa.Column("received_utc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_scans_case_id")),
        sa.ForeignKeyConstraint(
            ["device_id", "seq"], ["packets.device_id", "packets.seq"], name=op.f("fk_scans_device_id_seq")
        ),
        sa.PrimaryKeyConstraint("device_id", "seq", name=op.f("pk_scans")),
    )
    op.create_index(op.f("ix_scans_case_id"), "scans", ["case_id"], unique=False)
    op.create_index(op.f("ix_scans_received_utc"), "scans", ["received_utc"], unique=False)
    op.create_table(
        "sends",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("item_ref", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Text(), nullable=False),
        sa.Column("officer_note", sa.Text(), nullable=False),
        sa.Column("packet_ids", sa.Text(), nullable=False),
        sa.Column("received_utc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_sends_case_id")),
        sa.ForeignKeyConstraint(
            ["device_id", "seq"], ["packets.device_id", "packets.seq"], name=op.f("fk_sends_device_id_seq")
        ),
        sa.PrimaryKeyConstraint("device_id", "seq", name=op.f("pk_sends")),
    )
    op.create_index(op.f("ix_sends_case_id"), "sends", ["case_id"], unique=False)
    op.create_table(
        "spectra",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("technique", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("spectrum_sha256", sa.Text(), nullable=True),
        sa.Column("numbers_sha256", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("usable", sa.Boolean(), nullable=False),
        sa.Column("axis", sa.LargeBinary(), nullable=False),
        sa.Column("intensity", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_spectra_case_id")),
        sa.ForeignKeyConstraint(
            ["device_id", "seq"], ["packets.device_id", "packets.seq"], name=op.f("fk_spectra_device_id_seq")
        ),
        sa.PrimaryKeyConstraint("device_id", "seq", "idx", name=op.f("pk_spectra")),
    )
    op.create_index(op.f("ix_spectra_case_id"), "spectra", ["case_id"], unique=False)
    op.create_index(op.f("ix_spectra_numbers_sha256"), "spectra", ["numbers_sha256"], unique=False)
    op.create_table(
        "strips",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("item_ref", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=False),
        sa.Column("lot", sa.Text(), nullable=False),
        sa.Column("expiry", sa.Text(), nullable=False),
        sa.Column("cutoff_ng_ml", sa.Float(), nullable=True),
        sa.Column("dilution_mg_ml", sa.Float(), nullable=True),
        sa.Column("read_s", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_strips_case_id")),
        sa.ForeignKeyConstraint(
            ["device_id", "seq"], ["packets.device_id", "packets.seq"], name=op.f("fk_strips_device_id_seq")
        ),
        sa.PrimaryKeyConstraint("device_id", "seq", "idx", name=op.f("pk_strips")),
    )
    op.create_index(op.f("ix_strips_case_id"), "strips", ["case_id"], unique=False)
    append_only(op, "audit", "packets", "quarantine", "adjudications")
