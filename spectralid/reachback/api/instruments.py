"""The instruments of the tablets: how they stand by their daily checks, and their days as charts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator

from spectralid.casework.clock import to_text
from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, requires
from spectralid.reachback.api.bodies import DeskNow, Model, printable
from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.tablets import enrolled, instrument_standing
from spectralid.reachback.tablets.instrument_standing import InstrumentStanding, KeptCheck

__all__ = ["router"]

router = APIRouter(tags=["instruments"])

# Of one instrument with all figures; older ones are in the charts.
_MOST_CHECKS = 30

_DeviceId = Annotated[str, Path(min_length=1, max_length=100), AfterValidator(printable)]
Reader = Annotated[Actor, Depends(requires("check.read"))]


class FigureView(Model):
    """A figure of a check, and its limits; `uncertainty` is the standard one (k = 1)."""

    name: str
    value: float | None
    unit: str
    uncertainty: float | None
    low: float | None
    high: float | None
    status: Literal["passed", "failed", "not done"]
    note: str


class CheckRecord(Model):
    """A check; without figures where the record does not hold them whole."""

    ipv_id: str
    checked_utc: str
    received_utc: str
    outcome: Literal["passed", "failed", "skipped"]
    reason: str
    simulated: bool
    limits_version: str
    standard: str
    lot: str
    failed: list[str]
    figures: list[FigureView]


class Standing(Model):
    """How an instrument stands; `attention`: it failed, was skipped, or is used though overdue."""

    device_id: str
    site_ref: str
    instrument: str
    state: Literal["passed", "failed", "skipped", "overdue"]
    attention: bool
    used_since: bool
    checked_utc: str
    until_utc: str
    last: CheckRecord


class Standings(Model):
    """Those to look at first; and tablets whose instruments were never checked."""

    server_utc: str
    attention: int
    instruments: list[Standing]
    unchecked: list[str]


class Signal(Model):
    """A rule that fired."""

    time: str
    rule: str


class ChartView(Model):
    """A figure over its days (control chart); limits and averages once the baseline is complete."""

    standard: str
    figure: str
    unit: str
    times: list[str]
    values: list[float]
    low: float | None
    high: float | None
    needed: int
    stops: list[Signal]
    advice: list[Signal]
    mean: float | None = None
    sd: float | None = None
    stop_low: float | None = None
    stop_high: float | None = None
    average: list[float | None] | None = None
    average_limit: list[float | None] | None = None


class InstrumentDays(Model):
    """An instrument, its newest checks first, and its charts."""

    instrument: str
    checks: list[CheckRecord]
    charts: list[ChartView]


class DeviceChecks(Model):
    """The instruments of a tablet."""

    device_id: str
    site_ref: str
    standings: list[Standing]
    instruments: list[InstrumentDays]


def _record(check: KeptCheck) -> CheckRecord:
    record = check.record
    figures: list[dict[str, Any]] = []
    if record is not None:
        names = list(FigureView.model_fields)
        figures = [{name: getattr(figure, name) for name in names} for figure in record.figures]
    return CheckRecord(
        ipv_id=check.ipv_id,
        checked_utc=check.checked_utc,
        received_utc=check.received_utc,
        outcome=check.outcome,
        reason=check.reason,
        simulated=check.simulated,
        limits_version=check.limits_version,
        standard=record.standard if record else "",
        lot=record.lot if record else "",
        failed=list(record.rules) if record else [],
        figures=[FigureView(**figure) for figure in figures],
    )


def _standing(one: InstrumentStanding) -> Standing:
    return Standing(
        device_id=one.device_id,
        site_ref=one.site_ref,
        instrument=one.instrument,
        state=one.state,
        attention=one.attention,
        used_since=one.used_since,
        checked_utc=one.check.checked_utc,
        until_utc=one.until_utc,
        last=_record(one.check),
    )


@router.get("/v1/checks", response_model=Standings, summary="How the instruments stand")
def read_standings(
    desk: DeskNow,
    who: Reader,
    attention: Annotated[bool, Query(description="Only those that somebody is to look at.")] = False,
) -> Standings:
    """The last check of every instrument of the tablets that are enrolled, of the places one may see."""
    now = desk.now()
    found = [one for one in instrument_standing.standings(desk.db, now=now) if who.sees(one.site_ref)]
    known = {one.device_id for one in found}
    tablets = [one for one in enrolled.listed(desk.db) if one.active and who.sees(one.site_ref)]
    return Standings(
        server_utc=to_text(now),
        attention=sum(one.attention for one in found),
        instruments=[_standing(one) for one in found if one.attention or not attention],
        unchecked=[one.device_id for one in tablets if one.device_id not in known],
    )


@router.get(
    "/v1/devices/{device_id}/checks",
    response_model=DeviceChecks,
    summary="The checks of a tablet's instruments",
    responses=problems.declared(404),
)
def read_checks(device_id: _DeviceId, desk: DeskNow, who: Reader) -> DeviceChecks:
    """The newest checks with their figures, and every figure as a control chart."""
    device = enrolled.find(desk.db, device_id)
    if not who.sees(device.site_ref):
        # In the same words as one that there is not.
        raise NotFoundError(f"There is no device {device_id[:40]!r}; enrol it.")
    kept = instrument_standing.kept_checks(desk.db, device_id)
    mine = {one.instrument: [check for check in kept if check.instrument == one.instrument] for one in kept}
    return DeviceChecks(
        device_id=device_id,
        site_ref=device.site_ref,
        standings=[
            _standing(one)
            for one in instrument_standing.standings(desk.db, now=desk.now(), device_id=device_id)
        ],
        instruments=[
            InstrumentDays(
                instrument=instrument,
                checks=[_record(one) for one in reversed(checks[-_MOST_CHECKS:])],
                charts=[ChartView(**chart) for chart in instrument_standing.charts(checks)],
            )
            for instrument, checks in mine.items()
        ],
    )
