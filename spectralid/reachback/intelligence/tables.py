"""Tables of the intelligence room: what was read of each case, fingerprints, alerts.

The first two are made from the packets and can be made again at any time; alerts are part of the record.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from spectralid.reachback.store.columns import number, text
from spectralid.reachback.store.tables import metadata

__all__ = ["alert_cases", "alerts", "case_digests", "fingerprints"]


# What was read of a case, and up to which entry of the audit log its packets were looked at.
case_digests: Final = sa.Table(
    "case_digests",
    metadata,
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), primary_key=True),
    number("version"),
    number("read_n"),
    text("mode"),  # mail, express, land, air, sea, other; empty: not stated
    sa.Index(None, "version", "read_n"),
)

# One for each item and technique; made anew when scans come in, under a new number.
fingerprints: Final = sa.Table(
    "fingerprints",
    metadata,
    sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), nullable=False),
    text("item_ref"),
    text("technique"),  # raman, infrared
    text("unit"),  # which instrument
    number("scans"),
    number("left_out"),
    number("substances"),  # how many its results name
    sa.Column("noise", sa.Float, nullable=False),
    sa.Column("spread", sa.Float, nullable=True),
    sa.Column("unknown", sa.Boolean, nullable=False),  # no scan of it matched anything
    text("sha256"),
    sa.Column("slope", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("case_id", "item_ref", "technique"),
)

alerts: Final = sa.Table(
    "alerts",
    metadata,
    sa.Column("alert_id", sa.Text, primary_key=True),
    text("kind"),  # first_sighting, increase, unknown_cluster, linked_seizures
    text("subject"),
    text("headline"),
    text("facts"),
    text("raised_utc"),
    text("acknowledged_by", null=True),
    text("acknowledged_utc", null=True),
    text("note", null=True),
    sa.UniqueConstraint("kind", "subject"),
    sa.Index(None, "raised_utc"),
)

alert_cases: Final = sa.Table(
    "alert_cases",
    metadata,
    sa.Column("alert_id", sa.Text, sa.ForeignKey("alerts.alert_id"), nullable=False),
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), nullable=False),
    sa.PrimaryKeyConstraint("alert_id", "case_id"),
    sa.Index(None, "case_id"),
)
