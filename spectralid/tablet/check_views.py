"""What the screen is told of checks: how an instrument stands, a check with its figures, the days so far."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework import instrument_checks
from spectralid.casework.clock import to_text

if TYPE_CHECKING:
    from spectralid.casework.instrument_checks import CheckRow
    from spectralid.tablet.checks import Standing
    from spectralid.tablet.unit import FieldUnit

__all__ = ["check_view", "overview", "standing_view"]

_MOST_ROWS: Final = 60
# The two that an agency has, first.
_FIRST: Final = ("polystyrene", "acetaminophen")
# Bands that are drawn: those that any unit shows.
_STRONG: Final = 2

# Remarks of a check, by what they say; the screen has words for them in its languages.
_NUMBER: Final = r"(-?[\d.e+-]+)"
_NOTES: Final = tuple(
    (code, re.compile(pattern))
    for code, pattern in (
        ("no_accepted", "no spectrum of the accepted unit to compare with"),
        ("no_dark", "no dark frames were given"),
        ("no_accepted_dark", "no dark frames of the accepted unit to compare with"),
        ("dark_exposure", f"exposed {_NUMBER} ms, {_NUMBER} ms when accepted"),
        ("no_temperature", "the instrument gives none"),
        ("worst_band", rf"of (\d+) bands, the one at {_NUMBER} cm⁻¹"),
        ("no_strong_band", "no strong band of the standard was found"),
        ("at", f"at {_NUMBER} cm⁻¹"),
        ("away", f"{_NUMBER} cm⁻¹ from there"),
        ("no_noise", "the spectrum shows no noise: smoothed, or too few points"),
        ("no_common_band", "none of the bands of the accepted unit is there"),
        ("width", rf"full width of the band at {_NUMBER} cm⁻¹, {_NUMBER} when accepted"),
        ("few_bands", "fewer than two strong bands in common"),
        ("infrared_strength", "says nothing of the instrument in infrared"),
        (
            "background",
            "level under the bands over that of the accepted day, in heights of the strongest band",
        ),
        ("no_exposure", "the exposure of one of the two is not known"),
    )
)


def standing_view(standing: Standing) -> dict[str, Any]:
    """How an instrument stands."""
    return {
        "state": standing.state,
        "time": standing.check.time if standing.check else None,
        "until": to_text(standing.until) if standing.until else None,
        "due": standing.due,
        "reason": standing.reason,
    }


def overview(unit: FieldUnit, serial: str | None) -> dict[str, Any]:
    """How an instrument stands, its days, and what a check may be made of.

    Parameters
    ----------
    unit : FieldUnit
        The tablet.
    serial : str or None
        Of the instrument; ``None`` for the one that was checked last.
    """
    from spectralid.calibration.standards import axis_standards
    from spectralid.qa.chart_data import charts_of

    rows = instrument_checks.states(unit.store, limit=10_000)
    if serial is None:
        serial = rows[0].serial if rows else ""
    known = [*axis_standards("raman"), *axis_standards("infrared")]
    known.sort(key=lambda one: (one.kind == "raman" and one.name not in _FIRST, one.kind != "raman"))
    return {
        "serial": serial,
        "standing": standing_view(unit.standing(serial)),
        "standards": [{"name": one.name, "title": one.title, "kind": one.kind} for one in known],
        "rows": [_row(row) for row in rows if row.serial == serial][:_MOST_ROWS],
        "charts": charts_of(unit.checks.history(serial)) if unit.checks else [],
    }


def _row(row: CheckRow) -> dict[str, Any]:
    return {
        "check_id": row.ipv_id,
        "utc": row.made_utc,
        "outcome": row.outcome,
        "queue": {"state": row.state, "code": row.code, "reason": row.reason},
    }


def check_view(unit: FieldUnit, ipv_id: str) -> dict[str, Any]:
    """One check, or why there was none.

    Raises
    ------
    PacketError
        If it is not on record, or damaged.
    """
    said = instrument_checks.said(unit.store, ipv_id)
    row = instrument_checks.row(unit.store, ipv_id)
    record: Mapping[str, Any] = said.get("record") or {}
    return {
        **_row(row),
        "serial": row.serial,
        "instrument": said["instrument"].get("model", ""),
        "officer": said.get("officer_ref", ""),
        "clock_state": said.get("clock_state", "unsynced"),
        "simulated": bool(said.get("simulated")),
        "reason": said.get("reason", ""),
        "technique": said.get("technique", ""),
        "standard": record.get("standard", ""),
        "lot": record.get("lot", ""),
        "limits_version": record.get("limits_version", ""),
        "figures": [_figure(figure) for figure in record.get("figures", ())],
        "bands": list(record.get("bands", ())),
        "spectrum": said.get("spectrum"),
        "expected": _expected(record.get("standard", ""), said.get("technique", "")),
        "standing": standing_view(unit.standing(row.serial)),
    }


def _figure(figure: Mapping[str, Any]) -> dict[str, Any]:
    from spectralid.qa.performance import Figure

    code, facts = _noted(figure["note"])
    return {
        **{name: figure[name] for name in ("name", "value", "unit", "low", "high", "status", "note")},
        "uncertainty": None if figure["uncertainty"] is None else 2 * figure["uncertainty"],
        "near_limit": Figure(**figure).near_limit,
        "note_code": code,
        "note_facts": facts,
    }


def _noted(note: str) -> tuple[str, list[str]]:
    for code, pattern in _NOTES:
        if found := pattern.fullmatch(note):
            return code, list(found.groups())
    return "", []


def _expected(standard: str, technique: str) -> list[float]:
    """Where the strong bands of a standard are."""
    from spectralid.calibration.standards import axis_standard
    from spectralid.errors import ParameterError

    try:
        lines = axis_standard(standard, "raman" if technique == "raman" else "infrared").lines
    except ParameterError:
        return []
    return [line.position_cm1 for line in lines if line.strength >= _STRONG]
