"""The tables of the laboratory loop: rows are only added; what became of a result is a row of its own."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from spectralid.reachback.store.columns import text
from spectralid.reachback.store.tables import metadata

__all__ = ["lab_results", "lab_samples", "lab_steps"]


def _number() -> sa.Column[int]:
    return sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False)


def _case(*, null: bool) -> sa.Column[str]:
    return sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), nullable=null)


# What was sent to a laboratory, and why this and not another.
lab_samples: Final = sa.Table(
    "lab_samples",
    metadata,
    _number(),
    _case(null=False),
    text("item_ref", null=True),
    text("laboratory"),
    text("sample_ref"),
    text("stage"),  # forward, regional
    text("sampling"),  # escalated, routine, qa_sample
    text("sent_utc"),
    text("recorded_utc"),
    text("by"),
    sa.Column("audit_n", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("laboratory", "sample_ref"),
    sa.Index(None, "case_id"),
    sa.Index(None, "sent_utc"),
)

# What laboratories reported, as they reported it.
lab_results: Final = sa.Table(
    "lab_results",
    metadata,
    _number(),
    text("laboratory"),
    text("sample_ref"),
    text("report_ref"),
    text("stage"),
    text("result"),  # confirmed, refuted, inconclusive
    text("methods"),
    text("categories"),
    text("substances"),
    text("precautions"),
    sa.Column("dangerous", sa.Boolean, nullable=False),
    text("said_case"),
    text("said_device"),
    text("said_seizure"),
    text("said_item"),
    text("corrects"),
    text("sampling"),
    text("analyst"),
    text("note"),
    text("measured_utc"),
    text("reported_utc"),
    text("received_utc"),
    text("by"),
    text("source"),  # form, csv, api, cli
    text("sha256"),
    sa.Column("audit_n", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("laboratory", "sample_ref", "report_ref", "sha256"),
    sa.Index(None, "received_utc"),
)

# What became of each: the last step counts.
lab_steps: Final = sa.Table(
    "lab_steps",
    metadata,
    sa.Column("result_n", sa.BigInteger, sa.ForeignKey("lab_results.n"), nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    text("what"),  # applied, waiting, noted, unmatched, dismissed
    text("why"),
    _case(null=True),
    text("item_ref", null=True),
    text("answer_id", null=True),
    text("utc"),
    text("by"),
    sa.Column("audit_n", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("result_n", "step"),
    sa.Index(None, "case_id"),
    sa.Index(None, "what"),
)
