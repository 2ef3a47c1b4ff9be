"""Numbers that make no sense, and a strip against a spectrum: kept as evidence, never believed blindly."""

from __future__ import annotations

import json
import struct

import pytest

from spectralid.casework.errors import PacketError
from spectralid.casework.packet import Blob
from spectralid.reachback.caseload import queue
from spectralid.reachback.errors import BadPacketError
from tests.reachback.desk import says
from tests.reachback.faults.direct import rows

NAN, INF = float("nan"), float("inf")


def doubles(values):
    return Blob(struct.pack(f"<{len(values)}d", *values), "application/octet-stream")


def measured(tablet, axis, intensity):
    x, y = doubles(axis), doubles(intensity)
    entry = {"blob": y.sha256, "dtype": "<f8", "n": len(intensity), "unit": "counts", "x_blob": x.sha256}
    body = {
        "instrument": {"technique": "raman"},
        "spectra": [entry],
        "result": {"decision": "no_match", "engine": {"version": "0"}, "library": {"name": "test"}},
    }
    blobs = (x, y) if x.sha256 != y.sha256 else (x,)
    return tablet.make("scan", "S-1", "I-1", blobs, **body)


AXIS = (200.0, 201.5, 203.0, 204.5)
NUMBERS = {
    "NaN": (AXIS, (1.0, NAN, 3.0, 2.0), False),
    "all NaN": (AXIS, (NAN,) * 4, False),
    "infinite": (AXIS, (1.0, INF, 3.0, 2.0), False),
    "beyond float32": (AXIS, (1.0, 1e300, 3.0, 2.0), False),
    "constant": (AXIS, (5.0,) * 4, False),
    "a point twice": ((200.0, 201.5, 201.5, 203.0), (1.0, 2.0, 3.0, 2.0), False),
    "an axis that turns round": ((200.0, 203.0, 201.5, 204.5), (1.0, 2.0, 3.0, 2.0), False),
    "an axis without numbers": ((NAN,) * 4, (1.0, 2.0, 3.0, 2.0), False),
    "an axis that falls": (AXIS[::-1], (1.0, 2.0, 3.0, 2.0), True),
    "what it should be": (AXIS, (1.0, 2.0, 3.0, 2.0), True),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_kept_as_evidence_and_searched_only_if_they_are_some(desk, name):
    axis, intensity, usable = NUMBERS[name]
    raw = measured(desk.tablet, axis, intensity)
    done = desk.ingest(raw)
    (spectrum,) = rows(desk, "spectra")
    assert spectrum["usable"] is usable
    assert [row["raw"] for row in rows(desk, "packets")] == [raw]
    # Whatever it is worth, a chemist sees it.
    assert [entry.case_id for entry in queue.listed(desk.db, now=desk.time)] == [done.case]


@pytest.mark.parametrize("values", [(), (1.0,)])
def test_a_spectrum_of_nothing_is_no_packet(desk, values):
    with pytest.raises(PacketError):
        measured(desk.tablet, AXIS[: len(values)], values)


def test_a_count_that_does_not_fit_its_blob_is_refused(desk):
    sound = measured(desk.tablet, AXIS, (1.0, 2.0, 3.0, 2.0))
    with pytest.raises(BadPacketError) as refused:
        desk.ingest(sound.replace(struct.pack("<d", 203.0), b""), device="tablet-1")
    assert refused.value.status == 422
    assert rows(desk, "packets") == []


@pytest.mark.parametrize("order", ["strip first", "scan first"])
def test_a_positive_strip_against_a_harmless_spectrum_goes_to_two_persons(desk, order):
    """Row 30: neither takes anything from the other; the more dangerous decides how it is handled."""
    steps = [lambda: desk.tablet.scan(alarm="notice"), lambda: desk.tablet.strip("fentanyl", "pos")]
    for step in steps if order == "scan first" else reversed(steps):
        case_id = desk.ingest(step()).case
    case = desk.case(case_id)
    assert (case["priority"], case["high_hazard"]) == (0, True)
    lease = desk.lease(case_id)
    assert desk.decide(lease, says(), seen=2).state == "SECOND_REVIEW"
    ((scan,), (strip,)) = (rows(desk, name) for name in ("scans", "strips"))
    assert json.loads(scan["substances"]) == ["lactose"]
    assert strip["result"] == "pos"


def test_a_negative_strip_takes_nothing_from_a_dangerous_spectrum(desk):
    case_id = desk.scan(substances=("fentanyl",), families=("fentanyl-related",), alarm="danger")
    before = desk.case(case_id)
    desk.ingest(desk.tablet.strip("fentanyl", "neg"))
    after = desk.case(case_id)
    assert (
        (after["priority"], after["high_hazard"]) == (before["priority"], before["high_hazard"]) == (0, True)
    )
