"""The tables of the laboratory loop: rows are only added; what became of a result is a row of its own."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from spectralid.reachback.tables import metadata

__all__ = ["lab_results", "lab_samples", "lab_steps"]


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


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
    _text("item_ref", null=True),
    _text("laboratory"),
    _text("sample_ref"),
    _text("stage"),  # forward, regional
    _text("sampling"),  # escalated, routine, qa_sample
    _text("sent_utc"),
    _text("recorded_utc"),
    _text("by"),
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
    _text("laboratory"),
    _text("sample_ref"),
    _text("report_ref"),
    _text("stage"),
    _text("result"),  # confirmed, refuted, inconclusive
    _text("methods"),
    _text("categories"),
    _text("substances"),
    _text("precautions"),
    sa.Column("dangerous", sa.Boolean, nullable=False),
    _text("said_case"),
    _text("said_device"),
    _text("said_seizure"),
    _text("said_item"),
    _text("corrects"),
    _text("sampling"),
    _text("analyst"),
    _text("note"),
    _text("measured_utc"),
    _text("reported_utc"),
    _text("received_utc"),
    _text("by"),
    _text("source"),  # form, csv, api, cli
    _text("sha256"),
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
    _text("what"),  # applied, waiting, noted, unmatched, dismissed
    _text("why"),
    _case(null=True),
    _text("item_ref", null=True),
    _text("answer_id", null=True),
    _text("utc"),
    _text("by"),
    sa.Column("audit_n", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("result_n", "step"),
    sa.Index(None, "case_id"),
    sa.Index(None, "what"),
)
