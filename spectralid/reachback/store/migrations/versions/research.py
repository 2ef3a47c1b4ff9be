"""Runs of re-search."""

import sqlalchemy as sa
from alembic import op

from spectralid.reachback.store.migrate import append_only

revision = "research"
down_revision = "0001"


def _texts(*names: str, null: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=null) for name in names]


def _numbers(*names: str, null: bool = False, default: str | None = None) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=null, server_default=default) for name in names]


def _of_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["run_id"], ["research_runs.run_id"], name=op.f(f"fk_{table}_run_id"))


def _of_case(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f(f"fk_{table}_case_id"))


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "research_runs",
        *_texts("run_id"),
        *_numbers("number"),
        *_texts("state"),
        *_texts("from_sha256", null=True),
        *_texts("to_sha256", "library_name", "library_version", "changed", "removed", "suspects", "deadly"),
        *_texts("engine_version", "made_by", "created_utc"),
        *_texts("started_utc", "finished_utc", null=True),
        *_numbers("upto", default="0"),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_research_runs")),
        sa.UniqueConstraint("number", name=op.f("uq_research_runs_number")),
    )
    op.create_index(op.f("ix_research_runs_state"), "research_runs", ["state"], unique=False)
    op.create_table(
        "research_shards",
        *_texts("run_id", "kind"),
        *_numbers("start", "stop"),
        *_texts("state"),
        *_numbers("token", default="0"),
        *_texts("holder", "until_utc", null=True),
        *_numbers("pairs", "judged", "changed", null=True),
        *_texts("done_utc", null=True),
        *_numbers("audit_n", null=True),
        _of_run("research_shards"),
        sa.PrimaryKeyConstraint("run_id", "kind", "start", name=op.f("pk_research_shards")),
    )
    op.create_index(op.f("ix_research_shards_run_id"), "research_shards", ["run_id", "state"], unique=False)
    op.create_table(
        "research_hits",
        *_texts("run_id", "device_id"),
        *_numbers("seq", "idx"),
        *_texts("library_sha256", "case_id"),
        *_texts("entry", null=True),
        sa.Column("cosine", sa.Float(), nullable=True),
        sa.Column("partial", sa.Float(), nullable=True),
        *_texts("outcome", "effect"),
        sa.Column("deadly", sa.Boolean(), nullable=False),
        *_texts("why", "before", "after", "utc"),
        _of_run("research_hits"),
        _of_case("research_hits"),
        sa.PrimaryKeyConstraint(
            "run_id", "device_id", "seq", "idx", "library_sha256", name=op.f("pk_research_hits")
        ),
    )
    op.create_index(op.f("ix_research_hits_case_id"), "research_hits", ["case_id"], unique=False)
    op.create_table(
        "research_reopened",
        *_texts("run_id", "case_id"),
        *_numbers("round"),
        sa.Column("deadly", sa.Boolean(), nullable=False),
        *_texts("due_utc"),
        _of_run("research_reopened"),
        _of_case("research_reopened"),
        sa.PrimaryKeyConstraint("case_id", "round", name=op.f("pk_research_reopened")),
    )
    append_only(op, "research_hits", "research_reopened")
