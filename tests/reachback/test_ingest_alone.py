"""What taking in one packet changes, row by row, and that it changes nothing of other devices and cases."""

import hashlib
import json

import pytest

from spectralid.casework import messages
from spectralid.casework.clock import to_text
from spectralid.reachback.errors import (
    BadPacketError,
    DeviceRefusedError,
    KeyReusedError,
    TooLargeError,
    UnknownFormatError,
)
from spectralid.reachback.store import tables
from spectralid.reachback.tablets import ingest
from tests.reachback.desk import Tablet
from tests.reachback.test_case_alone import Changes, on_record

# The statements are the same on PostgreSQL, where the tests of each room run as well.
pytestmark = pytest.mark.parametrize("kind", ["sqlite"])

WATCHED = (
    *("packets", "chains", "gaps", "devices", "quarantine", "cases", "rounds", "scans", "spectra", "strips"),
    *("items", "sends", "case_links", "audit"),
)


@pytest.fixture
def tablets(desk):
    """Three devices, the middle one between the others by name; each with a seizure, a gap and a queue."""
    made = [desk.enrol("tablet-0"), desk.tablet, desk.other]
    for tablet in made:
        desk.ingest(tablet.seizure())
        tablet.make("custody", action="never handed over")
        desk.ingest(tablet.scan())
    desk.passes(minutes=3)
    return made


@pytest.fixture
def changes(desk):
    return Changes(desk, WATCHED)


def without_log(done):
    return {key: row for key, row in done.items() if key[0] != "audit"}


def refused(changes, error, *given, **more):
    """What a refusal changes."""

    def attempt():
        with pytest.raises(error) as caught:
            changes.desk.ingest(*given, **more)
        return caught.value

    done = changes.of(attempt)
    return changes.gave, done


# --- taken -------------------------------------------------------------------------------------------------


def test_a_packet_that_is_next(desk, tablets, changes):
    it = tablets[1]
    before = it.prev
    raw = it.make("custody", action="sealed")
    sha256, now = hashlib.sha256(raw).hexdigest(), to_text(desk.time)
    done = changes.of(desk.ingest, raw)
    got = changes.gave
    case_id = got.case
    assert without_log(done) == {
        ("packets", "tablet-1", 4): done["packets", "tablet-1", 4],
        ("chains", "tablet-1", 0): {"high_seq": 4},
        ("devices", "tablet-1"): {"seen_utc": now},
    }
    row = done["packets", "tablet-1", 4]
    assert {name: row[name] for name in row if name not in ("receipt", "packet_id", "audit_n")} == {
        "device_id": "tablet-1",
        "seq": 4,
        "sha256": sha256,
        "kind": "custody",
        "case_id": case_id,
        "seizure_ref": "S-1",
        "item_ref": None,
        "epoch": 0,
        "prev": before,
        "chain_broken": False,
        "captured_utc": "2026-11-22T12:00:00.000000Z",
        "clock_state": "synced",
        "received_utc": now,
        "way": "https",
        "raw": raw,
    } | {name: row[name] for name in row if name in ("bad_utc", "mended_utc")}
    receipt = messages.kept(row["receipt"], messages.Receipt)
    assert got == type(got)(201, row["receipt"], case_id, "tablet-1", 4, "custody")
    assert (receipt.packet_sha256, receipt.device_id, receipt.seq) == (sha256, "tablet-1", 4)
    assert (receipt.case, receipt.audit_n, receipt.server_utc) == (case_id, row["audit_n"], now)
    assert on_record(desk) == (
        "device:tablet-1",
        f"packet:{row['packet_id']}",
        {"device": "tablet-1", "seq": 4, "sha256": sha256, "kind": "custody", "case": case_id},
    )


def test_the_same_packet_again_changes_nothing(desk, tablets, changes):
    raw = tablets[1].scan()
    first = desk.ingest(raw)
    desk.passes(minutes=1)
    assert changes.of(desk.ingest, raw) == {}
    assert changes.gave == type(first)(200, first.receipt, first.case, "tablet-1", 4, "scan")
    assert changes.of(desk.ingest, raw, device=None, key=None) == {}
    assert changes.gave.status == 200


def test_a_packet_by_hand_is_noted_as_such(desk, tablets, changes):
    raw = tablets[1].make("custody", action="sealed")
    done = changes.of(desk.ingest, raw, device=None, key=None)
    assert done["packets", "tablet-1", 4]["way"] == "hand"
    assert on_record(desk)[0] == "hand"


def test_the_first_packet_of_a_seizure_opens_its_case(desk, tablets, changes):
    now = to_text(desk.time)
    done = changes.of(desk.ingest, tablets[1].scan("S-2", decision="no_match", alarm="alarm"))
    case_id = changes.gave.case
    assert case_id == f"C-{hashlib.sha256(b'tablet-1' + bytes(1) + b'S-2').hexdigest()[:16]}"
    row = done["cases", case_id]
    assert (row["device_id"], row["seizure_ref"], row["site_ref"]) == ("tablet-1", "S-2", "north")
    assert (row["state"], row["round"], row["scans"], row["evidence"]) == ("QUEUED", 1, 1, 1)
    assert (row["opened_utc"], row["changed_utc"], row["stopped"]) == (now, now, False)
    assert done["rounds", case_id, 1]["why"] == "queue"
    assert [key for key in done if key[0] in ("cases", "rounds")] == [
        ("cases", case_id),
        ("rounds", case_id, 1),
    ]
    facts = [json.loads(row["facts"]) for key, row in done.items() if key[0] == "audit"]
    assert facts[0] == {"event": "group", "from": "RECEIVED", "to": "GROUPED", "seizure": "S-2"}
    assert (facts[1]["event"], facts[1]["packet"]) == ("queue", done["packets", "tablet-1", 4]["packet_id"])
    assert facts[2]["kind"] == "scan"


def test_a_scan_counts_in_its_case_alone(desk, tablets, changes):
    done = changes.of(desk.ingest, tablets[1].scan())
    case_id = changes.gave.case
    assert done["cases", case_id] == {"scans": 2, "evidence": 2, "changed_utc": to_text(desk.time)}
    assert [key for key in done if key[0] == "cases"] == [("cases", case_id)]
    assert {key[1:3] for key in done if key[0] in ("scans", "spectra")} == {("tablet-1", 4)}
    done = changes.of(desk.ingest, tablets[1].strip())
    assert done["cases", case_id]["evidence"] == 3
    assert "scans" not in done["cases", case_id]


def test_the_most_dangerous_scan_tells_where_a_case_stands_in_the_queue(desk, tablets, changes):
    before = desk.case(desk.ingest(tablets[1].scan()).case)
    done = changes.of(
        desk.ingest, tablets[1].scan(families=("fentanyl",), decision="no_match", alarm="alarm")
    )
    case = desk.case(changes.gave.case)
    assert case["priority"] <= before["priority"]
    worst = (case["priority"], case["high_hazard"])
    desk.ingest(tablets[1].scan())
    case = desk.case(changes.gave.case)
    assert (case["priority"], case["high_hazard"]) == worst
    assert len([key for key in done if key[0] == "cases"]) == 1


# --- gaps --------------------------------------------------------------------------------------------------


def test_gaps_are_those_of_their_device(desk, tablets, changes):
    now = to_text(desk.time)
    assert [(gap.device_id, gap.first_seq, gap.last_seq) for gap in ingest.gaps_of(desk.db)] == [
        (f"tablet-{n}", 2, 2) for n in range(3)
    ]
    for n in range(3):
        (gap,) = ingest.gaps_of(desk.db, f"tablet-{n}")
        assert gap.device_id == f"tablet-{n}"
    it = tablets[1]
    late = [it.scan() for _ in range(4)]
    done = changes.of(desk.ingest, late[3])
    assert [key for key in done if key[0] == "gaps"] == [("gaps", "tablet-1", 4)]
    assert done["gaps", "tablet-1", 4] == {
        "device_id": "tablet-1",
        "first_seq": 4,
        "last_seq": 6,
        "noticed_utc": now,
    }
    assert done["chains", "tablet-1", 0] == {"high_seq": 7}
    assert on_record(desk)[2]["gap"] == [4, 6]
    desk.passes(minutes=1)
    desk.ingest(late[1])
    assert on_record(desk)[2]["filled"] == [5, 4, 6]
    assert [(gap.first_seq, gap.last_seq, gap.noticed_utc) for gap in ingest.gaps_of(desk.db, "tablet-1")][
        1:
    ] == [(4, 4, now), (6, 6, now)]
    for n in (0, 2):
        assert len(ingest.gaps_of(desk.db, f"tablet-{n}")) == 1


# --- links -------------------------------------------------------------------------------------------------


def test_only_cases_with_the_very_same_numbers_are_linked(desk, tablets, changes):
    cases = {n: desk.ingest(tablets[n].scan(values=(7.0, 8.0, 9.0))).case for n in (0, 2)}
    with_others = changes.of(desk.ingest, tablets[1].scan(values=(7.0, 8.0, 9.5)))
    assert [key for key in with_others if key[0] == "case_links"] == []
    done = changes.of(desk.ingest, tablets[1].scan(values=(7.0, 8.0, 9.0)))
    mine = changes.gave.case
    links = [key[1:3] for key in done if key[0] == "case_links"]
    assert sorted(links) == sorted(tuple(sorted((mine, other))) for other in cases.values())
    assert {row["why"] for key, row in done.items() if key[0] == "case_links"} == {"same-spectrum"}
    again = changes.of(desk.ingest, tablets[1].scan(values=(7.0, 8.0, 9.0)))
    assert [key for key in again if key[0] == "case_links"] == []


# --- refused -----------------------------------------------------------------------------------------------


def test_what_is_put_aside_is_whole_and_on_record_once(desk, tablets, changes):
    it = tablets[1]
    twin = Tablet("tablet-1", it.key)
    twin.seq = 2
    other = twin.scan()
    error, done = refused(changes, KeyReusedError, other)
    sha256, now = hashlib.sha256(other).hexdigest(), to_text(desk.time)
    assert "'tablet-1' has used the number 3" in str(error)
    assert without_log(done) == {
        ("quarantine", 1): {
            "n": 1,
            "sha256": sha256,
            "device_id": "tablet-1",
            "code": error.code,
            "said": str(error),
            "idempotency_key": sha256,
            "received_utc": now,
            "raw": other,
        }
    }
    said = {"code": error.code, "said": str(error), "kept": True}
    assert on_record(desk) == ("device:tablet-1", f"packet:{sha256}", said)
    again, done = refused(changes, KeyReusedError, other)
    assert done == {}
    assert str(again) == str(error)


def test_what_was_put_aside_for_other_reasons_is_put_aside_for_this_one_too(desk, tablets, changes):
    raw = tablets[1].scan()
    quarantine = tables.metadata.tables["quarantine"]
    row = {
        "sha256": hashlib.sha256(raw).hexdigest(), "device_id": "tablet-1", "said": "", "received_utc": "",
        "idempotency_key": None, "raw": raw,
    }  # fmt: skip
    with desk.db.begin() as tx:
        for number, code in enumerate(("a-code-before", "z-code-after"), start=1):
            tx.execute(quarantine.insert(), {**row, "n": number, "code": code})
    _, done = refused(changes, KeyReusedError, raw, key="wrong")
    assert [key for key in done if key[0] == "quarantine"] == [("quarantine", 3)]
    _, done = refused(changes, KeyReusedError, raw, key="wrong")
    assert done == {}


def test_a_packet_that_is_here_and_comes_with_another_key_is_refused(desk, tablets, changes):
    raw = tablets[1].scan()
    desk.ingest(raw)
    error, done = refused(changes, KeyReusedError, raw, key="k" * 150)
    assert "its own key" in str(error)
    assert done["quarantine", 1]["idempotency_key"] == "k" * 100
    assert [row["raw"] for key, row in done.items() if key[0] == "quarantine"] == [raw]


def test_each_device_has_its_own_room_for_what_is_put_aside(desk, tablets, changes, monkeypatch):
    monkeypatch.setattr(ingest, "_MOST_ASIDE", 3)

    def aside(tablet):
        raw = tablet.scan()
        _, done = refused(changes, KeyReusedError, raw, key="wrong")
        return [key[1] for key in done if key[0] == "quarantine"], on_record(desk)[2]["kept"]

    for tablet, numbers in ((tablets[0], (1, 2, 3)), (tablets[2], (4, 5, 6)), (tablets[1], (7, 8, 9))):
        for number in numbers:
            assert aside(tablet) == ([number], True)
    assert aside(tablets[1]) == ([], False)  # refused and on record, and not kept
    monkeypatch.setattr(ingest, "_MOST_ASIDE", 2)  # fewer than there are
    assert aside(tablets[1]) == ([], False)


def test_a_newer_format_is_put_aside_whoever_brings_it(desk, tablets, changes):
    error, done = refused(changes, UnknownFormatError, b"SIDPKT/9\nby hand", device=None, key=None)
    row = done["quarantine", 1]
    assert (row["device_id"], row["idempotency_key"], row["code"]) == (None, None, error.code)
    assert on_record(desk)[0] == "hand"
    error, done = refused(changes, UnknownFormatError, b"SIDPKT/9\nby the line", device="tablet-1")
    assert done["quarantine", 2]["device_id"] == "tablet-1"


def test_what_nobody_known_has_signed_leaves_its_hash_only(desk, tablets, changes):
    raw = Tablet("tablet-1").scan()
    error, done = refused(changes, BadPacketError, raw, device="tablet-1")
    assert without_log(done) == {}
    sha256 = hashlib.sha256(raw).hexdigest()
    said = {"code": error.code, "said": str(error), "size": len(raw)}
    assert on_record(desk) == ("device:tablet-1", f"packet:{sha256}", said)


def test_who_signs_as_another_is_refused(desk, tablets, changes):
    raw = Tablet("tablet-2", tablets[1].key).scan()
    error, done = refused(changes, BadPacketError, raw, device="tablet-1")
    assert "names the device 'tablet-2' and is signed by 'tablet-1'" in str(error)
    assert without_log(done) == {}


def test_a_device_that_is_not_enrolled_is_named_and_leaves_nothing(desk, tablets, changes):
    error, done = refused(changes, DeviceRefusedError, tablets[1].scan(), device="tablet-9")
    assert "'tablet-9'" in str(error)
    assert done == {}


def test_the_most_bytes_and_one_more(desk, tablets, changes, monkeypatch):
    raw = tablets[1].scan()
    monkeypatch.setattr(ingest, "MAX_PACKET", len(raw) - 1)
    error, done = refused(changes, TooLargeError, raw)
    assert str(len(raw)) in str(error)
    assert done == {}
    monkeypatch.setattr(ingest, "MAX_PACKET", len(raw))
    assert desk.ingest(raw).status == 201
