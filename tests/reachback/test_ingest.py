import hashlib
import json
import threading

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectralid.casework import dsse, messages
from spectralid.casework.packet import MAX_PACKET, PAYLOAD_TYPE
from spectralid.reachback.errors import (
    BadPacketError,
    DeviceRefusedError,
    IngestRefusedError,
    KeyReusedError,
    TooLargeError,
    UnknownFormatError,
)
from spectralid.reachback.store import audit, tables
from spectralid.reachback.tablets import enrolled, ingest
from tests.reachback.desk import Tablet


def rows(desk, name):
    with desk.db.read() as tx:
        return [dict(row) for row in tx.execute(sa.select(tables.metadata.tables[name])).mappings()]


def test_a_packet_is_taken_in_with_a_receipt_that_the_tablet_believes(desk):
    raw = desk.tablet.scan()
    done = desk.ingest(raw)
    assert (done.status, done.seq, done.kind) == (201, 1, "scan")
    receipt = messages.parse_receipt(done.receipt, desk.trust(desk.tablet))
    assert (receipt.packet_sha256, receipt.seq, receipt.case) == (
        hashlib.sha256(raw).hexdigest(), 1, done.case,
    )  # fmt: skip
    point = audit.read_checkpoint(receipt.checkpoint, desk.keys.trusted)
    assert point.n == receipt.audit_n
    assert audit.verify(desk.db, [point], trusted=desk.keys.trusted) == ()
    (packet,) = rows(desk, "packets")
    assert packet["raw"] == raw
    assert desk.case(done.case)["state"] == "QUEUED"


def test_the_same_bytes_get_the_same_receipt_whichever_way_they_come(desk):
    raw = desk.tablet.scan()
    first = desk.ingest(raw)
    desk.passes(days=3)
    for device, key in (("tablet-1", "sha256"), (None, None)):
        again = desk.ingest(raw, device=device, key=key)
        assert (again.status, again.receipt, again.case) == (200, first.receipt, first.case)
    assert len(rows(desk, "packets")) == len(rows(desk, "scans")) == 1


def test_audit_number_grows_with_every_receipt(desk):
    numbers = [
        messages.kept(desk.ingest(raw).receipt, messages.Receipt).audit_n
        for raw in (desk.tablet.seizure(), desk.tablet.item(), desk.tablet.scan(), desk.tablet.scan())
    ]
    assert numbers == sorted(set(numbers))


def test_other_bytes_under_a_used_number_are_refused_and_both_kept(desk):
    twin = Tablet("tablet-1", desk.tablet.key)
    one, other = desk.tablet.scan(), twin.scan()
    desk.ingest(one)
    for _ in range(2):
        with pytest.raises(KeyReusedError) as refused:
            desk.ingest(other)
    assert refused.value.status == 422
    assert [row["raw"] for row in rows(desk, "packets")] == [one]
    assert [(row["raw"], row["device_id"]) for row in rows(desk, "quarantine")] == [(other, "tablet-1")]


def test_a_name_used_for_another_packet_is_refused_and_both_kept(desk):
    desk.ingest(desk.tablet.scan())
    desk.tablet.last_id, name = None, desk.tablet.last_id
    other = desk.tablet.make("custody", action="moved", packet_id=name)
    with pytest.raises(KeyReusedError):
        desk.ingest(other)
    assert [row["raw"] for row in rows(desk, "quarantine")] == [other]


def test_a_key_of_another_body_is_refused_and_the_body_kept(desk):
    one, other = desk.tablet.scan(), desk.tablet.scan()
    desk.ingest(one)
    with pytest.raises(KeyReusedError):
        desk.ingest(other, key=hashlib.sha256(one).hexdigest())
    assert [row["raw"] for row in rows(desk, "quarantine")] == [other]
    assert desk.ingest(other).status == 201


def test_a_newer_format_is_put_aside_once(desk):
    manifest = {"schema": "spectralid.packet/2", "device_id": "tablet-1"}
    raw = b"SIDPKT/1\n" + dsse.sign(json.dumps(manifest).encode(), PAYLOAD_TYPE, desk.tablet.key) + b"\n"
    for packet in (raw, raw, b"SIDPKT/9\nwhatever"):
        with pytest.raises(UnknownFormatError) as refused:
            desk.ingest(packet, device="tablet-1")
    assert refused.value.status == 415
    assert sorted(row["raw"] for row in rows(desk, "quarantine")) == sorted([raw, b"SIDPKT/9\nwhatever"])


def test_one_device_cannot_fill_the_disk_with_what_is_put_aside(desk, monkeypatch):
    monkeypatch.setattr(ingest, "_MOST_ASIDE", 3)
    for number in range(5):
        with pytest.raises(UnknownFormatError):
            desk.ingest(b"SIDPKT/9\n%d" % number, device="tablet-1")
    assert len(rows(desk, "quarantine")) == 3
    with pytest.raises(UnknownFormatError):
        desk.ingest(b"SIDPKT/9\nof another", device="tablet-2")
    assert len(rows(desk, "quarantine")) == 4


def test_too_many_bytes(desk):
    with pytest.raises(TooLargeError) as refused:
        desk.ingest(bytes(MAX_PACKET + 1), device="tablet-1")
    assert refused.value.status == 413


def test_signed_by_somebody_else(desk):
    forged = Tablet("tablet-1", desk.other.key).scan()
    for device in ("tablet-1", "tablet-2", None):
        with pytest.raises(BadPacketError):
            desk.ingest(forged, device=device)
    with pytest.raises(BadPacketError):
        desk.ingest(Tablet("tablet-1").scan(), device="tablet-1")
    assert rows(desk, "packets") == []


def test_one_device_does_not_hand_over_for_another(desk):
    raw = desk.other.scan()
    with pytest.raises(BadPacketError):
        desk.ingest(raw, device="tablet-1")
    desk.ingest(raw)
    with pytest.raises(BadPacketError):
        desk.ingest(raw, device="tablet-1")


def test_a_revoked_device_is_refused_on_the_line_and_its_stick_is_taken(desk):
    before, after = desk.tablet.scan(), desk.tablet.scan()
    desk.ingest(before)
    enrolled.revoke(desk.db, "tablet-1", why="repair", by="admin", now=desk.time)
    for raw in (before, after):
        with pytest.raises(DeviceRefusedError) as refused:
            desk.ingest(raw)
        assert refused.value.status == 403
    assert desk.ingest(after, device=None, key=None).status == 201
    with pytest.raises(DeviceRefusedError):
        desk.ingest(after, device="never enrolled")


def test_nothing_signed_with_a_stolen_key_is_taken(desk):
    here = desk.tablet.scan()
    desk.ingest(here)
    enrolled.revoke(desk.db, "tablet-1", why="stolen", by="admin", now=desk.time, stolen=True)
    with pytest.raises(BadPacketError):
        desk.ingest(desk.tablet.scan(), device=None, key=None)
    assert [row["raw"] for row in rows(desk, "packets")] == [here]


def test_gaps_are_noticed_listed_split_and_filled(desk):
    made = [desk.tablet.scan() for _ in range(6)]

    def open_gaps():
        return [(gap.first_seq, gap.last_seq) for gap in ingest.gaps_of(desk.db, "tablet-1")]

    seen = []
    for number in (2, 6, 4, 5, 3, 1):
        desk.ingest(made[number - 1])
        seen.append(open_gaps())
    assert seen == [
        [(1, 1)], [(1, 1), (3, 5)], [(1, 1), (3, 3), (5, 5)], [(1, 1), (3, 3)], [(1, 1)], [],
    ]  # fmt: skip
    assert not any(row["chain_broken"] for row in rows(desk, "packets"))
    assert len({row["case_id"] for row in rows(desk, "packets")}) == 1


def test_a_restored_tablet_goes_on_in_a_new_epoch_without_a_gap(desk):
    desk.ingest(desk.tablet.scan())
    lost = desk.tablet.scan()
    desk.tablet.seq = 1
    desk.tablet.restored(3, after_sha256=desk.tablet.prev, reason="restored")
    desk.ingest(desk.tablet.scan())
    desk.ingest(desk.tablet.scan())
    assert ingest.gaps_of(desk.db) == ()
    assert [row["epoch"] for row in rows(desk, "packets")] == [0, 3, 3]
    desk.ingest(lost)
    assert ingest.gaps_of(desk.db) == ()


def test_a_break_in_the_chain_is_on_record(desk):
    desk.ingest(desk.tablet.scan())
    desk.tablet.prev = "1" * 64
    desk.ingest(desk.tablet.scan())
    assert [row["chain_broken"] for row in rows(desk, "packets")] == [False, True]
    said = [json.loads(row["facts"]) for row in rows(desk, "audit") if row["action"] == "packet"]
    assert [one.get("chain") for one in said] == [None, "broken"]


def test_a_packet_that_the_next_one_does_not_know_is_on_record(desk):
    made = [desk.tablet.scan() for _ in range(3)]
    twin = Tablet("tablet-1", desk.tablet.key)
    twin.seq = 1
    desk.ingest(made[0])
    desk.ingest(made[2])
    twin.prev = hashlib.sha256(made[0]).hexdigest()
    desk.ingest(twin.scan())  # follows on the first, and is not what the third follows on
    assert [row["chain_broken"] for row in sorted(rows(desk, "packets"), key=lambda row: row["seq"])] == [
        False,
        True,
        False,
    ]


def test_a_packet_fills_no_gap_that_nobody_noted(desk):
    """The list of gaps may have been cleared by hand: what comes late is taken all the same."""
    made = [desk.tablet.scan() for _ in range(3)]
    desk.ingest(made[0])
    desk.ingest(made[2])
    with desk.db.begin() as tx:
        tx.execute(sa.text("DELETE FROM gaps"))
    assert desk.ingest(made[1]).status == 201
    assert ingest.gaps_of(desk.db) == ()
    said = [json.loads(row["facts"]) for row in rows(desk, "audit") if row["action"] == "packet"]
    assert [(one.get("gap"), one.get("filled")) for one in said] == [
        (None, None),
        ([2, 2], None),
        (None, None),
    ]


def test_what_is_noted_of_a_scan(desk):
    desk.ingest(desk.tablet.scan(
        decision="mixture", substances=("fentanyl", "mannitol"), families=("fentanyl-related",),
        alarm="danger",
        strips=[{"target": "fentanyl", "result": "pos", "dilution_mg_ml": 2.0}],
        escalation={"why": ["policy_high_hazard"], "officer_note": "white powder"},
    ))  # fmt: skip
    desk.ingest(desk.tablet.item(declared={"text": "lactose", "tariff": "1702"}))
    desk.ingest(desk.tablet.send())
    (scan,), (strip,), (item,), (send,) = (rows(desk, name) for name in ("scans", "strips", "items", "sends"))
    assert (scan["decision"], scan["alarm"], scan["fentanyl"], scan["high_hazard"]) == (
        "mixture", "danger", True, True,
    )  # fmt: skip
    assert json.loads(scan["substances"]) == ["fentanyl", "mannitol"]
    assert (scan["library_name"], scan["library_version"]) == ("test", "1")
    assert (strip["target"], strip["result"], strip["dilution_mg_ml"]) == ("fentanyl", "pos", 2.0)
    assert (item["declared"], item["tariff"]) == ("lactose", "1702")
    assert json.loads(send["why"]) == ["forced"]
    case = desk.case(scan["case_id"])
    assert (case["priority"], case["high_hazard"], case["scans"]) == (0, True, 1)


def test_spectra_are_noted_as_they_were_measured(desk):
    import numpy as np

    desk.ingest(desk.tablet.scan(values=(1.0, 5.5, 2.0)))
    (spectrum,) = rows(desk, "spectra")
    assert np.frombuffer(spectrum["intensity"], "<f4").tolist() == [1.0, 5.5, 2.0]
    assert np.frombuffer(spectrum["axis"], "<f4").tolist() == [200.0, 201.5, 203.0]
    assert spectrum["usable"]


@pytest.mark.parametrize(
    "values", [(1.0, float("nan"), 2.0), (1.0, float("inf"), 2.0), (1.0, 1e300, 2.0), (4.0, 4.0, 4.0)]
)
def test_numbers_nobody_can_search_are_kept_and_marked(desk, values):
    desk.ingest(desk.tablet.scan(values=values))
    (spectrum,) = rows(desk, "spectra")
    assert not spectrum["usable"]


def test_a_vendors_file_is_kept_and_not_opened(desk):
    from spectralid.casework.packet import Blob

    bomb = Blob(b"\x89HDF\r\n\x1a\n" + b"\xff" * 4000, "application/x-hdf5", "scan.h5")
    original = {"blob": bomb.sha256, "media_type": bomb.media_type, "name_sanitised": bomb.name}
    done = desk.ingest(desk.tablet.make("custody", action="copied", blobs=(bomb,), original=original))
    assert done.status == 201


def test_the_same_numbers_link_two_seizures_and_merge_none(desk):
    from spectralid.reachback.caseload import cases

    one = desk.scan("S-1", values=(1.0, 7.25, 3.0))
    two = desk.scan("S-9", desk.other, values=(1.0, 7.25, 3.0))
    three = desk.scan("S-9", values=(1.0, 7.26, 3.0))
    assert len({one, two, three}) == 3
    with desk.db.read() as tx:
        assert [cases.linked(tx, case) for case in (one, two, three)] == [(two,), (one,), ()]


def test_many_at_once_get_one_place_each(desk):
    """The same packet by several lines at the same time: one row, one receipt."""
    made = [desk.tablet.scan() for _ in range(4)]
    done, failed = [], []

    def hand_over():
        for raw in made:
            try:
                done.append(desk.ingest(raw))
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=hand_over) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len({one.receipt for one in done}) == len(rows(desk, "packets")) == 4
    assert sum(one.status == 201 for one in done) == 4
    assert audit.verify(desk.db, trusted=desk.keys.trusted) == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("components", "families", "verdict", "library", "engine", "extra"), json_values
        ),
    )
)
def test_results_of_any_shape_are_taken_or_refused_in_so_many_words(desk, result):
    from spectralid.casework.errors import PacketError

    try:
        raw = desk.tablet.scan(result={**result, "decision": "identified"})
    except PacketError:
        desk.tablet.seq -= 1
        return
    assert desk.ingest(raw).status == 201


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_bodies_of_any_shape_end_in_a_typed_refusal(desk, data):
    sound = Tablet("tablet-1", desk.tablet.key).scan()
    cut = data.draw(st.integers(0, len(sound) - 1))
    body = data.draw(
        st.sampled_from([sound[:cut], sound[:cut] + b"\xff" + sound[cut + 1 :], sound + b"x"]) | st.binary()
    )
    if body == sound:
        return
    with pytest.raises(IngestRefusedError):
        desk.ingest(body, device=data.draw(st.sampled_from(["tablet-1", None])))
    assert rows(desk, "packets") == []
