"""The daily check in the stand-in: canned records, one that passed, one that failed, one that was skipped."""

from __future__ import annotations

from typing import Any

from tests.tablet.stub_server import UTC, Answer, World, bands, route

EXPECTED = (620.9, 1001.4, 1031.8, 1602.3)
STANDARDS = ("polystyrene", "acetaminophen", "polystyrene-film", "cyclohexane", "silicon")


def _figure(name: str, value: float | None, status: str = "passed", **more: Any) -> dict[str, Any]:
    blank = {"unit": "", "low": None, "high": None, "note": "", "note_code": "", "note_facts": []}
    return {
        "name": name,
        "value": value,
        "status": status,
        "uncertainty": None,
        "near_limit": False,
        **blank,
        **more,
    }


def record(outcome: str, **more: Any) -> dict[str, Any]:
    """A check as the screen is told of it."""
    failed = outcome == "failed"
    figures = [
        _figure(
            "bands",
            8.1 if failed else -0.86,
            "failed" if failed else "passed",
            unit="cm⁻¹",
            low=-3,
            high=3,
            uncertainty=0.9,
            note="of 6 bands, the one at 1001.4 cm⁻¹",
            note_code="worst_band",
            note_facts=["6", "1001.4"],
        ),
        _figure(
            "axis_shift",
            8.0 if failed else 2.3,
            "failed" if failed else "passed",
            unit="cm⁻¹",
            low=-2.5,
            high=2.5,
            uncertainty=0.8,
            near_limit=not failed,
            note="at 1700 cm⁻¹",
            note_code="at",
            note_facts=["1700"],
        ),
        _figure("snr", 407.1, low=50),
        _figure("saturated_points", 0.0, high=0),
        _figure("strength", None, "not done", note="counts now, arb when accepted"),
        _figure("dark_level", 1242.2, unit="counts", high=7795.7),
        _figure(
            "temperature", None, "not done", note="the instrument gives none", note_code="no_temperature"
        ),
    ]
    skipped = outcome == "skipped"
    until = {"passed": "2026-11-23T10:15:00Z"}.get(outcome)
    return {
        "check_id": outcome,
        "utc": UTC,
        "outcome": outcome,
        "serial": "SIM-0042",
        "queue": {"state": "received", "code": "", "reason": ""},
        "instrument": "Ocean Ventana 785L",
        "officer": "K-17",
        "clock_state": "synced",
        "simulated": not skipped,
        "reason": "Standard not at hand." if skipped else "",
        "technique": "" if skipped else "raman",
        "standard": "" if skipped else "polystyrene",
        "lot": "" if skipped else "PS-7",
        "limits_version": "" if skipped else "spectralid-2",
        "figures": [] if skipped else figures,
        "bands": [],
        "spectrum": None if skipped else bands(*((at, 1.0) for at in EXPECTED)),
        "expected": list(EXPECTED),
        "standing": {"state": outcome, "until": until, "due": skipped, "time": UTC, "reason": ""},
        **more,
    }


def chart(figure: str, *, days: int = 40, drift: float = 0.0) -> dict[str, Any]:
    """A figure over its days; with a drift it is stopped on the last three."""
    times = [f"2026-10-{1 + i % 28:02d}T{i // 28:02d}:00:00Z" for i in range(days)]
    values = [0.1 * ((7 * i) % 5 - 2) + drift * max(0, i - 20) for i in range(days)]
    out = {
        "standard": "polystyrene",
        "figure": figure,
        "unit": "cm⁻¹",
        "times": times,
        "values": values,
        "low": -2.5,
        "high": 2.5,
        "needed": max(0, 21 - days),
        "stops": [],
        "advice": [],
    }
    if not out["needed"]:
        average = [None] * 20 + [0.7 * v for v in values[20:]]
        out |= {"mean": 0.0, "sd": 0.15, "stop_low": -0.45, "stop_high": 0.45, "average": average}
        out |= {"average_limit": [None] * 20 + [0.15] * (days - 20)}
        out["stops"] = [{"time": at, "rule": "1_3s"} for at in times[-3:]] if drift else []
    return out


def stands(world: World, state: str, **more: Any) -> None:
    """Pretend that the instrument stands so, and tell the open pages."""
    check = {
        "state": state,
        "time": None,
        "until": None,
        "reason": "",
        "due": state in ("unknown", "skipped"),
    }
    world.state["device"]["check"] = check | more
    world.publish()


@route("GET", "/api/checks")
def _checks(world: World, *_: Any) -> Answer:
    drifting = world.state["device"]["check"].get("drifts", False)
    return 200, {
        "serial": "SIM-0042",
        "standing": world.state["device"]["check"],
        "standards": [
            {"name": name, "title": name, "kind": "infrared" if "film" in name else "raman"}
            for name in STANDARDS
        ],
        "rows": [
            {name: one[name] for name in ("check_id", "utc", "outcome", "queue")}
            for one in map(record, ("failed", "passed", "skipped"))
        ],
        "charts": [
            chart("axis_shift", drift=0.08 if drifting else 0.0),
            chart("snr"),
            chart("resolution", days=9),
        ],
    }


@route("POST", "/api/checks")
def _check(world: World, *_: Any) -> Answer:
    world.scan_number += 1
    world.scanning("warning", 3, 3, "armed", purpose="check")
    return 202, {"scan_id": f"scan-{world.scan_number}"}


@route("POST", "/api/checks/skip")
def _skip(world: World, body: dict[str, Any], *_: Any) -> Answer:
    stands(world, "skipped", reason=body["reason"])
    return 200, world.state


@route("POST", "/api/checks/(arrived|file)")
def _file(_world: World, _body: Any, _query: Any, _way: str) -> Answer:
    return 201, {"check_id": "passed"}


@route("GET", "/api/checks/([^/]+)")
def _one(_world: World, _body: Any, _query: Any, name: str) -> Answer:
    return 200, record(name)
