"""The tables of re-search: runs, the parts that workers take, and what became of each scan looked at."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from spectralid.reachback.store.columns import number, text
from spectralid.reachback.store.tables import metadata

__all__ = ["research_hits", "research_reopened", "research_runs", "research_shards"]


def _run() -> sa.Column[str]:
    return sa.Column("run_id", sa.Text, sa.ForeignKey("research_runs.run_id"), nullable=False)


research_runs: Final = sa.Table(
    "research_runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    number("number"),
    text("state"),  # queued, running, done
    text("from_sha256", null=True),
    text("to_sha256"),
    text("library_name"),
    text("library_version"),
    text("changed"),
    text("removed"),
    text("suspects"),  # substances whose scans are all looked at again
    text("deadly"),
    text("engine_version"),
    text("made_by"),
    text("created_utc"),
    text("started_utc", null=True),
    text("finished_utc", null=True),
    number("upto", default="0"),
    sa.UniqueConstraint("number"),
    sa.Index(None, "state"),
)

research_shards: Final = sa.Table(
    "research_shards",
    metadata,
    _run(),
    text("kind"),
    number("start"),
    number("stop"),
    text("state"),  # open, claimed, done
    number("token", default="0"),
    text("holder", null=True),
    text("until_utc", null=True),
    number("pairs", null=True),
    number("judged", null=True),
    number("changed", null=True),
    text("done_utc", null=True),
    number("audit_n", null=True),
    sa.PrimaryKeyConstraint("run_id", "kind", "start"),
    sa.Index(None, "run_id", "state"),
)

research_hits: Final = sa.Table(
    "research_hits",
    metadata,
    _run(),
    text("device_id"),
    number("seq"),
    number("idx"),
    text("library_sha256"),
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), nullable=False),
    text("entry", null=True),  # the likest of what was searched for
    sa.Column("cosine", sa.Float, nullable=True),
    sa.Column("partial", sa.Float, nullable=True),
    text("outcome"),  # same, minor, agrees, changed, failed
    text("effect"),  # none, noted, reopened
    sa.Column("deadly", sa.Boolean, nullable=False),
    text("why"),
    text("before"),
    text("after"),
    text("utc"),
    sa.PrimaryKeyConstraint("run_id", "device_id", "seq", "idx", "library_sha256"),
    sa.Index(None, "case_id"),
)

# Rounds that re-search has begun, with the deadline it gave them.
research_reopened: Final = sa.Table(
    "research_reopened",
    metadata,
    _run(),
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), nullable=False),
    number("round"),
    sa.Column("deadly", sa.Boolean, nullable=False),
    text("due_utc"),
    sa.PrimaryKeyConstraint("case_id", "round"),
)
