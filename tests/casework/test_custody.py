"""The log and the chain, link by link: what each link says of the one before, and in which words."""

from __future__ import annotations

import hashlib

import pytest

pytest.importorskip("cryptography")

from spectralid.casework import custody as custody_module
from spectralid.casework.chain import against, chain_problems, missing
from spectralid.casework.custody import Checkpoint
from spectralid.casework.errors import StoreDamagedError
from spectralid.casework.facts import Problem
from spectralid.casework.keys import SigningKey
from spectralid.casework.manifest import GENESIS, loads
from tests.casework.record import opened, scan, with_item
from tests.casework.test_chain import entries, put, restamped, stamp, told
from tests.casework.test_store import tamper


@pytest.fixture
def store(tmp_path):
    """Four packets, five entries."""
    with opened(tmp_path / "record") as store:
        with_item(store)
        for n in range(2):
            store.clock.passes(minutes=1)
            store.capture(scan(float(n), 1.0))
        yield store


# --- the log ---------------------------------------------------------------------------------------------


def test_an_entry_follows_on_the_one_before_and_its_checkpoint_is_the_head(store):
    for at in (6, 7):
        before = store.custody.head()
        with store.transaction() as tx:
            made = store.custody.append(tx, "looked at", {"by": "Kim"})
            assert store.custody.head(tx) == made
        assert made == store.custody.head()
        assert (before.n, made.n) == (at - 1, at)
        n, raw, sha256, keyid, signature = entries(store)[-1]
        assert (n, sha256, keyid) == (at, made.sha256, store.key.keyid)
        assert hashlib.sha256(raw).hexdigest() == sha256
        store.key.public.verify(signature, custody_module.dsse.pae(custody_module.ENTRY_TYPE, raw))
        entry = loads(raw)
        assert entry["n"] == at
        assert (entry["prev"], entry["kind"], entry["facts"]) == (before.sha256, "looked at", {"by": "Kim"})
        assert (entry["utc"], entry["clock_state"]) == ("2026-11-22T12:02:00.000000Z", "unsynced")
    assert store.custody.verify() == ()


def test_the_first_entry_follows_on_nothing(store):
    assert loads(entries(store)[0][1])["prev"] == GENESIS
    assert loads(entries(store)[0][1])["n"] == 1
    put(store, [])
    assert store.custody.head() == Checkpoint(0, GENESIS)
    assert store.custody.entries() == ()


def test_the_entries_of_a_log_are_read_from_a_number_on(store):
    assert [entry.n for entry in store.custody.entries()] == [1, 2, 3, 4, 5]
    assert [entry.n for entry in store.custody.entries(after=1)] == [2, 3, 4, 5]
    assert store.custody.entries(after=5) == ()
    entry = store.custody.entries(after=4)[0]
    assert entry.sha256 == store.custody.head().sha256
    with pytest.raises(AttributeError):
        entry.kind = "released"


@pytest.mark.parametrize("at_once", [1, 2, 5, 500])
def test_a_log_is_read_whole_however_many_are_read_at_once(store, monkeypatch, at_once):
    monkeypatch.setattr(custody_module, "_AT_ONCE", at_once)
    assert [entry.n for entry in store.custody.entries()] == [1, 2, 3, 4, 5]
    assert [entry["n"] for entry in store.custody.sound()] == [1, 2, 3, 4, 5]
    assert store.custody.verify() == ()
    put(store, [row for row in entries(store) if row[0] != 3])
    assert [entry.n for entry in store.custody.entries(after=1)] == [2, 4, 5]
    assert told(store.custody.verify()) == [("custody 3", "deleted")]


def test_entries_of_a_seizure_are_those_that_name_it_or_its_packets(store):
    packet_id = store.custody.entries()[3].facts["packet_id"]
    with store.transaction() as tx:
        store.custody.append(tx, "handed over", {"seizure_ref": "S-1"})
        store.custody.append(tx, "handed over", {"seizure_ref": "S-2"})
        store.custody.append(tx, "received", {"packet_id": packet_id})
    assert [entry.n for entry in store.custody.about("S-9", {packet_id})] == [4, 8]
    named = [entry.n for entry in store.custody.about("S-1", ())]
    assert 6 in named
    assert not {7, 8} & set(named)
    assert [entry.n for entry in store.custody.about("S-9", ())] == []


@pytest.mark.parametrize("raw", [b"not json", b'{"n": 3}'])
def test_a_log_that_cannot_be_read_is_said_to_be_damaged(store, raw):
    rows = entries(store)
    rows[2][1] = raw
    put(store, rows)
    with pytest.raises(StoreDamagedError, match="verify") as caught:
        store.custody.entries()
    assert caught.value.__suppress_context__
    assert [entry["n"] for entry in store.custody.sound()] == [1, 2, 4, 5]


def test_sound_entries_are_those_that_hold_by_themselves(store):
    rows = entries(store)
    del rows[1]  # the third no longer follows on, and is whole
    put(store, rows)
    assert [entry["n"] for entry in store.custody.sound()] == [1, 3, 4, 5]


def words(problems):
    return [str(problem) for problem in problems]


def test_each_fault_of_an_entry_has_its_words(store):
    rows = entries(store)
    other = SigningKey.generate()
    sound = [list(row) for row in rows]

    rows[2][1] += b" "
    put(store, rows)
    assert words(store.custody.verify()) == ["custody 3: the entry is not the one that was chained."]

    put(store, [*sound[:4], stamp(sound[4], loads(sound[4][1]), other)])
    assert words(store.custody.verify()) == ["custody 5: it is signed with a key that is not of this device."]

    put(store, [*sound[:4], [*sound[4][:4], b"\x00" * 64]])
    (problem,) = store.custody.verify()
    assert (problem.where, problem.what) == ("custody 5", "edited")
    assert "signature" in problem.words

    put(store, [*sound[:4], [*stamp(sound[4], {**loads(sound[4][1]), "n": 7}, store.key)]])
    assert "custody 5: it is the entry 7 and lies in the place of another." in words(store.custody.verify())

    put(store, [*sound[:4], stamp(sound[4], {**loads(sound[4][1]), "prev": "f" * 64}, store.key)])
    assert words(store.custody.verify()) == [
        "custody 5: it does not follow on the entry before; one of the two was exchanged."
    ]


def test_the_first_must_follow_on_nothing_when_all_are_read(store):
    put(store, restamped_prev(store, "f" * 64))
    assert "custody 1: it does not follow on the entry before; one of the two was exchanged." in words(
        store.custody.verify()
    )


def restamped_prev(store, prev):
    rows = entries(store)
    rows[0] = stamp(rows[0], {**loads(rows[0][1]), "prev": prev}, store.key)
    return rows


def test_after_a_gap_the_next_entry_is_not_blamed(store):
    rows = entries(store)
    put(store, [row for row in rows if row[0] != 3])
    assert told(store.custody.verify()) == [("custody 3", "deleted")]


def test_the_newest_entries_are_looked_at_alone(store):
    rows = entries(store)
    rows[1][1] += b" "
    put(store, rows)
    assert store.custody.tail_problems(3) == ()
    assert told(store.custody.tail_problems(4)) == [("custody 2", "edited")]
    put(store, [row for row in rows if row[0] not in (2, 4)])
    assert told(store.custody.tail_problems(2)) == [("custody 4", "deleted")]


def test_an_entry_before_the_first_is_named(store):
    rows = entries(store)
    put(store, [stamp([0], {**loads(rows[0][1]), "n": 0}, store.key), *rows])
    assert ("custody 1", "deleted") in told(store.custody.verify())


def test_a_long_log_is_as_whole_as_a_short_one(store):
    rows = entries(store)
    prev = rows[1][2]
    for at, row in enumerate(rows[2:], start=2):
        rows[at] = stamp([row[0] + 1000], {**loads(row[1]), "n": row[0] + 1000, "prev": prev}, store.key)
        prev = rows[at][2]
    put(store, rows)
    assert store.custody.tail_problems(3) == ()
    assert [str(p) for p in store.custody.tail_problems(4)] == ["custody 3: 3 to 1002 are missing."]


def test_checkpoints_from_outside_and_from_packets_count(store):
    head = store.custody.head()
    assert store.custody.verify([head]) == ()
    assert told(store.custody.verify([Checkpoint(5, "f" * 64)])) == [("custody 5", "restamped")]
    assert told(store.custody.verify([Checkpoint(6, "f" * 64)])) == [("custody 6", "truncated")]
    # Without any from outside, the packets witness the log up to the last of them.
    put(store, restamped(store, 2, store.key, kind="released"))
    assert ("custody 4", "restamped") in told(store.custody.verify())


def test_keys_from_elsewhere_are_believed_instead_of_the_stores(store):
    stranger = SigningKey.generate().public
    found = store.custody.verify(keys={stranger.keyid: stranger})
    assert {what for _, what in told(found)} == {"edited"}
    assert len(found) == 5


# --- the chain of packets --------------------------------------------------------------------------------


def chain(store, seqs, *, whole=True, keys=None):
    hashes = {}
    found = chain_problems(
        store, seqs, keys=store.keys() if keys is None else keys, hashes=hashes, whole=whole
    )
    return found, hashes


def test_a_whole_chain_has_no_problem_and_gives_its_hashes(store):
    found, hashes = chain(store, [1, 2, 3, 4])
    assert found == []
    assert hashes == dict(store.read("SELECT seq, sha256 FROM packets"))
    assert chain(store, [])[0] == []


def test_a_packet_whose_row_is_not_there_is_named_and_the_next_not_blamed(store):
    found, hashes = chain(store, [1, 2, 3, 4, 5])
    assert [str(problem) for problem in found] == [
        "packet 5: the index lists it and its row is not there; the file is damaged, restore a backup."
    ]
    assert found[0].what == "edited"
    assert sorted(hashes) == [1, 2, 3, 4]
    tamper(store.folder, "PRAGMA foreign_keys = OFF", "DELETE FROM packets WHERE seq = 2")
    found, _ = chain(store, [1, 2, 3, 4])
    assert told(found) == [("packet 2", "edited")]


@pytest.mark.parametrize(
    ("seqs", "whole", "gone"),
    [
        ([2, 3, 4], True, "packet 1: 1 is missing."),
        ([3, 4], True, "packet 1: 1 to 2 are missing."),
        ([1, 3, 4], True, "packet 2: 2 is missing."),
        ([1, 4], True, "packet 2: 2 to 3 are missing."),
        ([2, 4], False, "packet 3: 3 is missing."),
    ],
)
def test_what_is_missing_is_named(store, seqs, whole, gone):
    found, _ = chain(store, seqs, whole=whole)
    assert [str(problem) for problem in found] == [gone]
    assert found[0].what == "deleted"


def test_a_part_of_the_chain_may_begin_anywhere(store):
    assert chain(store, [3, 4], whole=False)[0] == []


@pytest.mark.parametrize(("after", "problems"), [(0, 0), (1, 0), (2, 1)])
def test_numbers_are_skipped_where_a_restored_backup_says_so(store, after, problems):
    """An epoch that begins at 3 and follows on number `after`; 2 is not there, and is missed if it was."""
    tamper(
        store.folder,
        (
            "INSERT INTO epochs (epoch, chain_id, first_seq, after_seq, after_sha256, reason, opened_utc) "
            "VALUES (9, 'x', 3, ?, '', 'restored', '')",
            (after,),
        ),
    )
    found, _ = chain(store, [1, 3, 4])
    assert len([p for p in found if p.what == "deleted"]) == problems


def test_a_packet_without_its_bytes_needs_a_receipt(store):
    tamper(store.folder, "DROP TRIGGER IF EXISTS packets_keep", "UPDATE packets SET raw = NULL WHERE seq = 2")
    found, _ = chain(store, [1, 2, 3, 4])
    assert [str(p) for p in found] == ["packet 2: its bytes are gone and there is no receipt for it."]
    assert found[0].what == "deleted"
    tamper(store.folder, ("UPDATE outbox SET receipt = ? WHERE seq = 2", (b"{}",)))
    assert chain(store, [1, 2, 3, 4])[0] == []


def test_a_packet_without_its_place_in_the_outbox_is_named(store):
    tamper(store.folder, "DELETE FROM outbox WHERE seq = 2")
    found, _ = chain(store, [1, 2, 3, 4])
    assert [str(p) for p in found] == [
        "packet 2: it has lost its place in the outbox and would never be sent."
    ]
    assert found[0].what == "edited"


def test_bytes_that_are_not_those_recorded_are_named(store):
    tamper(store.folder, ("UPDATE packets SET raw = CAST(raw || ? AS BLOB) WHERE seq = 3", (b" ",)))
    found, _ = chain(store, [1, 2, 3, 4])
    assert [str(p) for p in found] == [
        "packet 3: its bytes are not those that were recorded; ask for a copy."
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [("kind", "custody"), ("seizure_ref", "S-2"), ("item_ref", "I-2")],
)
def test_an_index_that_tells_something_else_than_the_packet_is_named(store, column, value):
    tamper(store.folder, (f"UPDATE packets SET {column} = ? WHERE seq = 3", (value,)))
    (problem,) = chain(store, [1, 2, 3, 4])[0]
    assert (problem.where, problem.what) == ("packet 3", "edited")
    assert problem.words.startswith(f"the store says {column} is {value!r}, the packet ")


def test_a_packet_that_follows_on_another_is_named(store):
    tamper(store.folder, ("UPDATE packets SET prev = ? WHERE seq = 3", ("f" * 64,)))
    found, _ = chain(store, [1, 2, 3, 4])
    assert [str(p) for p in found] == [
        "packet 3: it does not follow on the packet before; one of the two was exchanged."
    ]
    # Alone it is not known what it should follow on; its own manifest tells.
    (problem,) = chain(store, [3], whole=False)[0]
    assert problem.words.startswith("the store says prev is")


def test_a_packet_signed_by_nobody_known_is_named(store):
    stranger = SigningKey.generate().public
    found, _ = chain(store, [1, 2, 3, 4], keys={stranger.keyid: stranger})
    assert [what for _, what in told(found)] == ["edited"] * 4


def test_what_is_missing_between_two_is_said_in_numbers():
    assert missing("custody", 4, 6) == Problem("custody 5", "deleted", "5 is missing.")
    assert missing("custody", 4, 7) == Problem("custody 5", "deleted", "5 to 6 are missing.")
    assert missing("custody", 0, 3) == Problem("custody 1", "deleted", "1 to 2 are missing.")


def test_a_chain_against_checkpoints():
    hashes = {1: "a", 2: "b", 3: "c"}
    assert against([], hashes, "custody") == []
    assert against([Checkpoint(3, "c"), Checkpoint(1, "a")], hashes, "custody") == []
    found = against([Checkpoint(4, "d"), Checkpoint(2, "x")], hashes, "custody")
    assert [str(p) for p in found] == [
        "custody 2: a checkpoint knows another in this place: the chain was written anew.",
        "custody 4: a checkpoint knows it, and the chain ends at 3: its end was cut off.",
    ]
    assert [p.what for p in found] == ["restamped", "truncated"]
    # A link that is not there is told by its gap; an empty chain is cut off from its beginning.
    assert against([Checkpoint(2, "b")], {1: "a", 3: "c"}, "custody") == []
    assert [p.what for p in against([Checkpoint(1, "a")], {}, "custody")] == ["truncated"]
