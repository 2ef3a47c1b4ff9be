"""How the instruments of the tablets stand by their daily checks: which failed, were skipped, or are overdue.

By the time of the check, not of its arrival: records come in any order, and late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.casework.instrument_checks import open_record
from spectralid.casework.messages import parse_utc
from spectralid.errors import UnreadableFileError
from spectralid.reachback.store.tables import devices
from spectralid.reachback.tablets.instrument_checks import ipv_records

if TYPE_CHECKING:
    from spectralid.qa.performance import PerformanceCheck
    from spectralid.reachback.store.database import Database

__all__ = ["HOLDS", "InstrumentStanding", "KeptCheck", "charts", "kept_checks", "standings"]

HOLDS: Final = timedelta(hours=24)
"""How long a check holds, as on the tablet."""

# A check that lies further in the future was made while a clock was wrong.
_AHEAD: Final = timedelta(minutes=10)

_LONGEST: Final = 2000
_MOST_FIGURES: Final = 100
_LARGEST: Final = 1e12

State = Literal["passed", "failed", "skipped", "overdue"]


@dataclass(frozen=True, slots=True)
class KeptCheck:
    """The record of a check, read.

    Attributes
    ----------
    ipv_id, instrument, checked_utc, received_utc, limits_version : str
        Which; `instrument` is the serial number.
    outcome : {"passed", "failed", "skipped"}
        What it says.
    reason : str
        Why it was skipped.
    simulated : bool
        Whether the instrument was a simulated one.
    record : PerformanceCheck or None
        The figures, where the record holds them whole.
    """

    ipv_id: str
    instrument: str
    checked_utc: str
    received_utc: str
    limits_version: str
    outcome: Literal["passed", "failed", "skipped"]
    reason: str
    simulated: bool
    record: PerformanceCheck | None


@dataclass(frozen=True, slots=True)
class InstrumentStanding:
    """How an instrument stands.

    Attributes
    ----------
    device_id, site_ref, instrument : str
        Whose it is, where, and its serial number.
    state : {"passed", "failed", "skipped", "overdue"}
        Of its last check; ``"overdue"`` when that passed and holds no longer.
    until_utc : str
        Until when a check that passed holds, or held.
    used_since : bool
        Whether the tablet has sent anything since.
    attention : bool
        Whether somebody is to look: it failed, was skipped, or is used without a check.
    check : KeptCheck
        The last one.
    """

    device_id: str
    site_ref: str
    instrument: str
    state: State
    until_utc: str
    used_since: bool
    attention: bool
    check: KeptCheck


def standings(db: Database, *, now: datetime, device_id: str | None = None) -> tuple[InstrumentStanding, ...]:
    """Every instrument of the tablets that are enrolled, those to look at first.

    Parameters
    ----------
    db : Database
        The server's.
    now : datetime
        When.
    device_id : str, optional
        Only those of one tablet, enrolled or not.
    """
    columns = ipv_records.c
    newest = (
        sa.select(
            columns.device_id, columns.instrument, sa.func.max(columns.checked_utc).label("checked_utc")
        )
        .where(columns.checked_utc <= to_text(now + _AHEAD))
        .group_by(columns.device_id, columns.instrument)
        .subquery()
    )
    same = [columns[name] == newest.c[name] for name in ("device_id", "instrument", "checked_utc")]
    chosen = (
        sa.select(ipv_records, devices.c.site_ref, devices.c.seen_utc)
        .join(newest, sa.and_(*same))
        .join(devices, devices.c.device_id == columns.device_id)
        .where(devices.c.state == "active" if device_id is None else columns.device_id == device_id)
        .order_by(columns.device_id, columns.instrument, columns.audit_n)
    )
    with db.read() as tx:
        rows = tx.execute(chosen).mappings().all()
    # Of two at the same moment the one that came last.
    found = {(row["device_id"], row["instrument"]): _standing(dict(row), now) for row in rows}
    return tuple(sorted(found.values(), key=lambda one: (not one.attention, one.device_id, one.instrument)))


def _standing(row: Mapping[str, Any], now: datetime) -> InstrumentStanding:
    check = _read(row)
    until = parse_utc(check.checked_utc) + HOLDS
    state: State = "overdue" if check.outcome == "passed" and now > until else check.outcome
    used = row["seen_utc"] is not None and parse_utc(row["seen_utc"]) > until
    return InstrumentStanding(
        device_id=row["device_id"],
        site_ref=row["site_ref"],
        instrument=check.instrument,
        state=state,
        until_utc=to_text(until),
        used_since=used,
        attention=state in ("failed", "skipped") or (state == "overdue" and used),
        check=check,
    )


def kept_checks(db: Database, device_id: str, *, limit: int = 400) -> tuple[KeptCheck, ...]:
    """The newest checks of a tablet's instruments, by the time of the check, oldest first."""
    chosen = (
        sa.select(ipv_records)
        .where(ipv_records.c.device_id == device_id)
        .order_by(ipv_records.c.checked_utc.desc(), ipv_records.c.audit_n.desc())
        .limit(limit)
    )
    with db.read() as tx:
        rows = tx.execute(chosen).mappings().all()
    return tuple(_read(dict(row)) for row in reversed(rows))


def charts(checks: Sequence[KeptCheck]) -> list[dict[str, Any]]:
    """Control charts of one instrument from what the server holds (`spectralid.qa.chart_data.charts_of`)."""
    from spectralid.qa.chart_data import charts_of

    return charts_of([one.record for one in checks if one.record is not None])


def _read(row: Mapping[str, Any]) -> KeptCheck:
    said = open_record(bytes(row["raw"]))
    skipped = said.get("outcome") == "skipped" and not row["passed"]
    return KeptCheck(
        ipv_id=row["ipv_id"],
        instrument=row["instrument"],
        checked_utc=row["checked_utc"],
        received_utc=row["received_utc"],
        limits_version=row["limits_version"],
        outcome="skipped" if skipped else "passed" if row["passed"] else "failed",
        reason=str(said.get("reason") or "")[:300] if skipped else "",
        simulated=said.get("simulated") is True,
        record=_figures(said.get("record"), row),
    )


def _figures(record: Any, row: Mapping[str, Any]) -> PerformanceCheck | None:
    """What was measured, if the record is whole and speaks of what its envelope says."""
    from spectralid.qa.history import moment_of
    from spectralid.qa.performance import CheckError, PerformanceCheck

    if not isinstance(record, dict):
        return None
    try:
        check = PerformanceCheck.from_dict(record)
        moment_of(check)
    except (UnreadableFileError, CheckError):
        return None
    same = check.passed == row["passed"] and (check.serial or "unknown") == row["instrument"]
    return check if same and _sound(check) else None


def _sound(check: PerformanceCheck) -> bool:
    """Whether it can be shown and charted: a tablet may sign anything."""
    texts = [check.standard, check.lot, check.limits_version]
    for figure in check.figures:
        texts += [figure.name, figure.unit, figure.note]
        if figure.status not in ("passed", "failed", "not done") or not all(
            map(_is_number, (figure.value, figure.uncertainty, figure.low, figure.high))
        ):
            return False
    short = all(isinstance(text, str) and len(text) <= _LONGEST for text in texts)
    return short and len(check.figures) <= _MOST_FIGURES


def _is_number(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST
