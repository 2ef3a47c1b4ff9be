"""The tables of re-search: runs, the parts that workers take, and what became of each scan looked at."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from spectralid.reachback.tables import metadata

__all__ = ["research_hits", "research_reopened", "research_runs", "research_shards"]


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _number(name: str, *, null: bool = False, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null, server_default=default)


def _run() -> sa.Column[str]:
    return sa.Column("run_id", sa.Text, sa.ForeignKey("research_runs.run_id"), nullable=False)


research_runs: Final = sa.Table(
    "research_runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    _number("number"),
    _text("state"),  # queued, running, done
    _text("from_sha256", null=True),
    _text("to_sha256"),
    _text("library_name"),
    _text("library_version"),
    _text("changed"),
    _text("removed"),
    _text("suspects"),  # substances whose scans are all looked at again
    _text("deadly"),
    _text("engine_version"),
    _text("made_by"),
    _text("created_utc"),
    _text("started_utc", null=True),
    _text("finished_utc", null=True),
    _number("upto", default="0"),
    sa.UniqueConstraint("number"),
    sa.Index(None, "state"),
)

research_shards: Final = sa.Table(
    "research_shards",
    metadata,
    _run(),
    _text("kind"),
    _number("start"),
    _number("stop"),
    _text("state"),  # open, claimed, done
    _number("token", default="0"),
    _text("holder", null=True),
    _text("until_utc", null=True),
    _number("pairs", null=True),
    _number("judged", null=True),
    _number("changed", null=True),
    _text("done_utc", null=True),
    _number("audit_n", null=True),
    sa.PrimaryKeyConstraint("run_id", "kind", "start"),
    sa.Index(None, "run_id", "state"),
)

research_hits: Final = sa.Table(
    "research_hits",
    metadata,
    _run(),
    _text("device_id"),
    _number("seq"),
    _number("idx"),
    _text("library_sha256"),
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), nullable=False),
    _text("entry", null=True),  # the likest of what was searched for
    sa.Column("cosine", sa.Float, nullable=True),
    sa.Column("partial", sa.Float, nullable=True),
    _text("outcome"),  # same, minor, agrees, changed, failed
    _text("effect"),  # none, noted, reopened
    sa.Column("deadly", sa.Boolean, nullable=False),
    _text("why"),
    _text("before"),
    _text("after"),
    _text("utc"),
    sa.PrimaryKeyConstraint("run_id", "device_id", "seq", "idx", "library_sha256"),
    sa.Index(None, "case_id"),
)

# Rounds that re-search has begun, with the deadline it gave them.
research_reopened: Final = sa.Table(
    "research_reopened",
    metadata,
    _run(),
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), nullable=False),
    _number("round"),
    sa.Column("deadly", sa.Boolean, nullable=False),
    _text("due_utc"),
    sa.PrimaryKeyConstraint("case_id", "round"),
)
