"""Answers are shown in the order they were given, whatever order they come in, and acknowledged once."""

import itertools

import pytest

from spectralid.casework import inbox, messages, outbox
from spectralid.casework.enrolment import trust_of
from spectralid.casework.errors import PacketError, StoreReadOnlyError, UnknownReferenceError
from tests.casework.field import enrolled_field


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with enrolled_field(tmp_path_factory.mktemp("field")) as made:
        yield made


@pytest.fixture
def field(world):
    """One server for the whole file; each test has a tablet without answers."""
    with world.store.transaction() as tx:
        tx.execute("DELETE FROM answers")
        tx.execute("DELETE FROM answer_packets")
    return world


def take(field, n: int, **facts) -> bool:
    raw = field.server.make_answer("tablet-7", n, **facts)
    return inbox.take_answer(field.store, messages.parse_answer(raw, trust_of(field.store)))


def names(answers) -> list[str]:
    return [answer.answer_id for answer in answers]


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
def test_the_order_is_that_of_the_server(field, order):
    for n in order:
        assert take(field, n)
    assert names(inbox.all(field.store)) == ["answer-1", "answer-2", "answer-3"]
    assert inbox.last_without_gap(field.store) == 3


def test_a_gap_is_seen_and_a_warning_behind_it_shown_all_the_same(field):
    take(field, 1)
    take(field, 3, headline="Do not touch")
    assert inbox.last_without_gap(field.store) == 1
    assert [(a.n, a.gap_before) for a in inbox.unread(field.store)] == [(1, False), (3, True)]
    take(field, 2)
    assert [(a.n, a.gap_before) for a in inbox.unread(field.store)] == [(1, False), (2, False), (3, False)]


def test_the_first_answer_may_be_the_one_that_is_missing(field):
    take(field, 2)
    assert inbox.last_without_gap(field.store) == 0
    assert inbox.unread(field.store)[0].gap_before


def test_the_same_answer_again_changes_nothing(field):
    assert take(field, 1)
    before = len(field.store.custody.entries())
    assert not take(field, 1)
    assert len(field.store.custody.entries()) == before
    assert len(inbox.all(field.store)) == 1


@pytest.mark.parametrize(
    ("n", "facts"),
    [
        (1, {"answer_id": "answer-9"}),
        (1, {"headline": "Nothing to worry about"}),
        (2, {"answer_id": "answer-1"}),
    ],
)
def test_an_answer_never_replaces_another_unseen(field, n, facts):
    take(field, 1, headline="Fentanyl")
    with pytest.raises(PacketError, match="number"):
        take(field, n, **facts)
    (kept,) = inbox.all(field.store)
    assert kept.headline == "Fentanyl"


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_superseded_answer_knows_its_successor_in_whatever_order_they_come(field, order):
    facts = {1: {"kind": "interim"}, 2: {"supersedes": "answer-1", "lab": "refuted", "kind": "lab_result"}}
    for n in order:
        take(field, n, **facts[n])
    first, second = inbox.all(field.store)
    assert (first.superseded_by, first.supersedes) == ("answer-2", None)
    assert (second.superseded_by, second.supersedes, second.lab) == (None, "answer-1", "refuted")


def test_late_is_what_took_more_than_an_hour(field):
    field.clock.now = field.clock.now.replace(day=29, hour=13, minute=0)
    take(field, 1, utc="2026-11-22T12:00:00Z")
    take(field, 2, utc="2026-11-29T12:30:00Z")
    assert [a.late for a in inbox.all(field.store)] == [True, False]


def test_an_answer_from_the_future_sets_the_clock_right_and_is_not_late(field):
    field.clock.now = field.clock.now.replace(year=2026, month=11, day=29)
    take(field, 1, utc="2027-03-01T00:00:00Z")
    assert not inbox.all(field.store)[0].late


def test_shown_is_on_record_once(field):
    take(field, 1)
    assert names(inbox.unread(field.store)) == ["answer-1"]
    assert inbox.shown(field.store, "answer-1")
    assert not inbox.shown(field.store, "answer-1")
    assert inbox.unread(field.store) == ()
    assert inbox.all(field.store)[0].shown
    ((n, answer_id, envelope),) = inbox.to_acknowledge(field.store)
    assert (n, answer_id) == (1, "answer-1")
    assert sum(e.kind == "shown" for e in field.store.custody.entries()) >= 1
    inbox.mark_told(field.store, 1)
    assert inbox.to_acknowledge(field.store) == ()
    assert envelope.startswith(b"{")


def test_only_an_answer_there_is_can_be_shown(field):
    with pytest.raises(UnknownReferenceError):
        inbox.shown(field.store, "answer-1")


def test_an_answer_is_about_what_it_names_or_all_of_the_item_or_seizure(field):
    made = field.capture(3)
    take(field, 1, packet_ids=[made[2], "somebody-elses"])
    assert [field.row(one).state for one in made] == ["queued", "queued", "answered"]
    take(field, 2, seizure_ref="S-1")
    assert {row.state for row in outbox.states(field.store)} == {"answered"}


def test_an_answer_about_nothing_here_is_an_answer_all_the_same(field):
    take(field, 1, seizure_ref=None, item_ref=None, kind="notice")
    assert len(inbox.unread(field.store)) == 1


def test_a_damaged_answer_is_not_shown_as_one_and_comes_again(field):
    for n in (1, 2, 3):
        take(field, n)
    ((raw,),) = field.store.read("SELECT raw FROM answers WHERE n = 2")
    with field.store.transaction() as tx:
        tx.execute("UPDATE answers SET raw = ? WHERE n = 2", (bytes(raw).replace(b"a", b"b", 1),))
    assert names(inbox.all(field.store)) == ["answer-1", "answer-3"]
    with pytest.raises(PacketError, match="damaged"):
        inbox.shown(field.store, "answer-2")
    assert inbox.repair(field.store) == 1
    assert inbox.last_without_gap(field.store) == 1
    assert take(field, 2)
    assert not take(field, 3)
    assert inbox.repair(field.store) == 0
    assert names(inbox.all(field.store)) == ["answer-1", "answer-2", "answer-3"]


def test_an_answer_and_its_custody_entry_are_kept_together_or_not_at_all(field, monkeypatch):
    def fails(*_):
        raise StoreReadOnlyError("The disk failed.")

    before = len(field.store.custody.entries())
    monkeypatch.setattr(field.store.custody, "append", fails)
    with pytest.raises(StoreReadOnlyError):
        take(field, 1)
    monkeypatch.undo()
    assert inbox.all(field.store) == ()
    assert len(field.store.custody.entries()) == before
    assert take(field, 1)


def test_plain_data_for_the_screen(field):
    take(field, 1, packet_ids=["p"], item_ref="S-1-01")
    told = inbox.all(field.store)[0].to_dict()
    assert told["precautions"] == ["Gloves.", "Do not open."]
    assert told["packet_ids"] == ["p"]
    expected = (
        *("answer_id", "n", "kind", "utc", "headline", "words", "precautions", "by", "case", "item_ref"),
        *("seizure_ref", "late", "shown", "lab", "supersedes"),
    )
    assert set(expected) <= set(told)
