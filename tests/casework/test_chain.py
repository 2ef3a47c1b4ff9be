"""What somebody with the file can do to the record, and what shows it."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3

import pytest

pytest.importorskip("cryptography")

from spectralid.casework import dsse
from spectralid.casework.custody import ENTRY_TYPE
from spectralid.casework.errors import StoreDamagedError
from spectralid.casework.facts import Checkpoint
from spectralid.casework.keys import SigningKey
from spectralid.casework.manifest import dumps, loads
from spectralid.casework.packet import seal
from tests.casework.record import Clock, item, opened, scan, seizure, with_item
from tests.casework.test_store import tamper


@pytest.fixture
def store(tmp_path):
    """Seven packets, eight custody entries."""
    with opened(tmp_path / "record") as store:
        with_item(store)
        for n in range(5):
            store.clock.passes(minutes=1)
            store.capture(scan(float(n), 1.0))
        yield store


def told(problems):
    return [(problem.where, problem.what) for problem in problems]


def entries(store):
    return [
        list(row) for row in store.read("SELECT n, entry, sha256, keyid, signature FROM custody ORDER BY n")
    ]


def put(store, rows):
    """Replace the whole log."""
    tamper(
        store.folder,
        "DELETE FROM custody",
        *(("INSERT INTO custody VALUES (?, ?, ?, ?, ?)", tuple(row)) for row in rows),
    )


def stamp(row, entry, key):
    """Write an entry as the device would have."""
    raw = dumps(entry)
    sha256 = hashlib.sha256(raw).hexdigest()
    return [row[0], raw, sha256, key.keyid, key.sign(dsse.pae(ENTRY_TYPE, raw))]


def restamped(store, first, key, **changes):
    """The log with the entry `first` changed, and it and all that follow signed anew with `key`."""
    rows = entries(store)
    prev = rows[first - 2][2]
    for at in range(first - 1, len(rows)):
        entry = {**loads(rows[at][1]), "prev": prev, **(changes if at == first - 1 else {})}
        rows[at] = stamp(rows[at], entry, key)
        prev = rows[at][2]
    return rows


# --- custody ---------------------------------------------------------------------------------------------


def test_the_log_tells_what_was_done(store):
    log = store.custody.entries()
    assert [entry.n for entry in log] == list(range(1, 9))
    assert [entry.kind for entry in log] == ["created"] + ["captured"] * 7
    packets = list(store.sound_packets())
    assert [entry.facts["sha256"] for entry in log[1:]] == [packet.sha256 for packet in packets]
    assert log[-1].utc == "2026-11-22T12:05:00.000000Z"
    assert log[-1].clock_state == "unsynced"
    assert [entry.n for entry in store.custody.entries(after=6)] == [7, 8]
    assert store.custody.verify() == ()
    # Each packet carries the head of the log as it was.
    assert [p.manifest["custody"]["sha256"] for p in packets] == [entry.sha256 for entry in log[:-1]]


def test_an_edited_entry_is_named(store):
    rows = entries(store)
    rows[4][1] = rows[4][1].replace(b"captured", b"released")
    put(store, rows)
    assert told(store.custody.verify()) == [("custody 5", "edited")]
    assert rows[4][1] in [raw for (raw,) in store.read("SELECT entry FROM custody")]


def test_an_entry_edited_with_its_hash_is_named(store):
    rows = entries(store)
    rows[4][1] = rows[4][1].replace(b"captured", b"released")
    rows[4][2] = hashlib.sha256(rows[4][1]).hexdigest()
    put(store, rows)
    found = told(store.custody.verify())
    assert found[0] == ("custody 5", "edited")
    assert ("custody 6", "edited") in found


@pytest.mark.parametrize("gone", [1, 4])
def test_a_deleted_entry_is_named(store, gone):
    put(store, [row for row in entries(store) if row[0] != gone])
    assert (f"custody {gone}", "deleted") in told(store.custody.verify())


def test_a_run_of_deleted_entries_is_named(store):
    put(store, [row for row in entries(store) if row[0] not in (3, 4, 5)])
    (problem, *_) = store.custody.verify()
    assert str(problem) == "custody 3: 3 to 5 are missing."


def test_two_entries_that_changed_places_are_named(store):
    rows = entries(store)
    rows[3][1:], rows[4][1:] = rows[4][1:], rows[3][1:]
    put(store, rows)
    assert {where for where, _ in told(store.custody.verify())} >= {"custody 4", "custody 5"}


def test_entries_closed_up_over_a_deleted_one_are_named(store):
    rows = [row for row in entries(store) if row[0] != 4]
    for n, row in enumerate(rows, 1):
        row[0] = n
    put(store, rows)
    assert ("custody 4", "edited") in told(store.custody.verify())


def test_an_entry_moved_into_a_gap_is_named(store):
    """Nothing before it says what it should follow on; its own number does."""
    rows = [row for row in entries(store) if row[0] not in (4, 5)]
    rows[3][0] = 5
    put(store, rows)
    assert ("custody 5", "edited") in told(store.custody.verify())


def test_a_hash_that_was_exchanged_is_named(store):
    """Of the newest entry, whose hash nothing refers to yet."""
    rows = entries(store)
    rows[-1][2] = "ab" * 32
    put(store, rows)
    assert told(store.custody.verify()) == [("custody 8", "edited")]


def test_a_log_signed_by_somebody_else_is_named(store):
    other = SigningKey.generate()
    put(store, restamped(store, 6, other, kind="released"))
    assert ("custody 6", "edited") in told(store.custody.verify())
    # With the forger's key slipped into the list of the store, only keys held elsewhere tell.
    tamper(store.folder, ("INSERT INTO keys VALUES (?, ?, '')", (other.keyid, other.public.raw)))
    keys = {store.key.keyid: store.key.public}
    assert ("custody 6", "edited") in told(store.custody.verify(keys=keys))


def test_a_log_restamped_with_the_device_key_is_shown_by_the_packets(store):
    """The chain holds and every signature is right; the packets know other entries."""
    put(store, restamped(store, 5, store.key, kind="released"))
    found = told(store.custody.verify())
    assert found[0] == ("custody 5", "restamped")
    assert {what for _, what in found} == {"restamped"}


def test_a_restamped_end_is_shown_by_a_checkpoint_held_elsewhere(store):
    head = store.custody.head()
    put(store, restamped(store, 8, store.key, kind="released"))
    assert store.custody.verify() == ()
    assert told(store.custody.verify([head])) == [("custody 8", "restamped")]


def test_a_cut_off_end_is_shown_by_the_packets_or_a_checkpoint(store):
    head = store.custody.head()
    whole = entries(store)
    put(store, whole[:5])
    assert [what for _, what in told(store.custody.verify())] == ["truncated", "truncated"]
    put(store, whole[:7])
    assert store.custody.verify() == ()
    assert told(store.custody.verify([head])) == [("custody 8", "truncated")]


def test_a_checkpoint_that_holds_stays_true_as_the_log_grows(store):
    held = [store.custody.head()]
    for _ in range(3):
        store.capture(scan())
        held.append(store.custody.head())
    assert len({point.sha256 for point in held}) == 4
    assert store.custody.verify(held) == ()


def test_damage_at_the_end_of_the_log_is_seen_on_opening(tmp_path):
    with opened(tmp_path) as store:
        with_item(store)
        rows = entries(store)
    rows[2][1] = rows[2][1].replace(b"captured", b"released")
    put(store, rows)
    with opened(tmp_path) as store:
        assert told(store.health().problems) == [("custody 3", "edited")]


@pytest.mark.parametrize("entry", [b"", b"{}", "text", None, 5, b"[" * 5000])
def test_an_entry_that_is_anything_at_all_is_named(store, entry):
    rows = entries(store)
    rows[3][1] = b"" if entry is None else entry
    put(store, rows)
    assert ("custody 4", "edited") in told(store.custody.verify())
    assert store.verify() == ()
    with pytest.raises(StoreDamagedError, match="verify"):
        store.custody.entries()


# --- packets ---------------------------------------------------------------------------------------------


def replaced(store, seq, raw, *, sha256=None):
    """Put other bytes in the place of a packet, with the hash to match."""
    sha256 = sha256 or hashlib.sha256(raw).hexdigest()
    tamper(store.folder, ("UPDATE packets SET raw = ?, sha256 = ? WHERE seq = ?", (raw, sha256, seq)))


def edited(store, seq, key, **changes):
    packet = next(p for p in store.sound_packets() if p.seq == seq)
    manifest = {k: v for k, v in packet.manifest.items() if k != "blobs"}
    return seal({**manifest, **changes}, packet.blobs, key)


def test_a_packet_with_other_bytes_is_named(store):
    raw = edited(store, 4, SigningKey.generate())
    replaced(store, 4, raw, sha256=store.history()[3].sha256)
    assert told(store.verify()) == [("packet 4", "edited")]


def test_a_packet_of_another_signer_is_named(store):
    replaced(store, 4, edited(store, 4, SigningKey.generate(), officer_ref="K-99"))
    found = told(store.verify())
    assert ("packet 4", "edited") in found
    assert ("packet 5", "edited") in found


def test_a_packet_exchanged_with_the_device_key_breaks_the_chain(store):
    replaced(store, 4, edited(store, 4, store.key, officer_ref="K-99"))
    # It is signed and whole: what follows on it, and the custody log, know another.
    assert told(store.verify()) == [("packet 5", "edited"), ("packet 4", "restamped")]


def test_the_newest_packet_exchanged_is_shown_by_the_custody_log(store):
    replaced(store, 7, edited(store, 7, store.key, officer_ref="K-99"))
    assert told(store.verify()) == [("packet 7", "restamped")]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("packet_id", "'x'"),
        ("kind", "'send'"),
        ("seizure_ref", "'S-2'"),
        ("item_ref", "'I-2'"),
        ("item_ref", "NULL"),
        ("prev", f"'{'ab' * 32}'"),
    ],
)
def test_a_column_that_says_otherwise_than_the_packet_is_named(store, column, value):
    tamper(store.folder, f"UPDATE packets SET {column} = {value} WHERE seq = 5")
    assert ("packet 5", "edited") in told(store.verify())


def test_a_packet_of_another_device_is_named(store, tmp_path):
    with opened(tmp_path / "other", key=store.key, device_id="other", clock=Clock()) as other:
        with_item(other)
        raw = next(other.sound_packets()).raw
    replaced(store, 1, raw)
    assert ("packet 1", "edited") in told(store.verify())


@pytest.mark.parametrize("gone", [1, 4])
def test_a_deleted_packet_is_named(store, gone):
    tamper(store.folder, f"DELETE FROM packets WHERE seq = {gone}")
    assert (f"packet {gone}", "deleted") in told(store.verify())


def test_a_packet_whose_bytes_were_removed_without_a_receipt_is_named(store):
    tamper(store.folder, "UPDATE packets SET raw = NULL WHERE seq = 4")
    assert told(store.verify()) == [("packet 4", "deleted")]


def test_a_cut_off_end_is_shown_by_the_custody_log_or_the_server(store):
    newest = store.history()[0]
    tamper(store.folder, "DELETE FROM packets WHERE seq > 5")
    assert told(store.verify()) == [("packet 6", "truncated"), ("packet 7", "truncated")]
    # With the log cut off as well, only what the server holds tells.
    put(store, entries(store)[:6])
    assert store.verify() == ()
    assert told(store.verify([Checkpoint(7, newest.sha256)])) == [("packet 7", "truncated")]


def test_a_cut_off_record_is_not_continued_unseen(store):
    """The number is given again, to another packet: the server and the log both see two with one number."""
    newest = store.history()[0]
    tamper(store.folder, "DELETE FROM outbox WHERE seq = 7", "DELETE FROM spectra WHERE seq = 7",
           "DELETE FROM packets WHERE seq = 7")  # fmt: skip
    again = store.capture(scan())
    assert again.seq == 7
    assert again.sha256 != newest.sha256
    assert told(store.verify()) == [("packet 7", "restamped")]


@pytest.mark.parametrize("value", ["NULL", "5", "'text'", "x''", "zeroblob(9)"])
@pytest.mark.parametrize("column", ["raw", "sha256", "prev", "packet_id", "kind"])
def test_a_row_that_holds_anything_at_all_is_named_and_never_breaks_the_check(store, column, value):
    ((before,),) = store.read(f"SELECT {column} FROM packets WHERE seq = 4")
    with contextlib.suppress(sqlite3.IntegrityError):
        # Some of it the schema itself refuses.
        tamper(store.folder, f"UPDATE packets SET {column} = {value} WHERE seq = 4")
    ((after,),) = store.read(f"SELECT {column} FROM packets WHERE seq = 4")
    assert bool(store.verify()) is (after != before)
    store.health()
    store.history()
    store.of_item("I-1")
    assert store.custody.verify() == ()


def test_a_packet_that_lost_its_place_in_the_outbox_is_named(store):
    tamper(store.folder, "DELETE FROM outbox WHERE seq = 4")
    assert told(store.verify()) == [("packet 4", "edited")]
    assert [row.state for row in store.history() if row.seq == 4] == ["attention"]


def test_all_the_store_can_say_of_several_things_at_once(store):
    replaced(store, 3, edited(store, 3, SigningKey.generate()), sha256=store.history()[4].sha256)
    tamper(store.folder, "DELETE FROM packets WHERE seq = 6")
    words = [str(problem) for problem in store.verify()]
    assert len(words) == 2
    assert words[0].startswith("packet 3: ")
    assert words[1] == "packet 6: 6 is missing."
    assert store.capture(seizure("S-2")).seq == 8
    assert store.capture(item("I-9", "S-2")).seq == 9
