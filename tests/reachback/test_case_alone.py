"""A step of one case changes what it has to, and nothing else: no other case, lease or round.

Names of cases are hashes; the case that is moved lies in the middle, with others before and after it, and all
have been through the same: two leases that ended, a first round that was answered, and a second one.
"""

import hashlib
import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.reachback.caseload import cases, leases
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.errors import (
    LeaseTakenError,
    NotFoundError,
    SeparationError,
    StaleLeaseError,
    TransitionError,
)
from spectralid.reachback.store import tables

# The statements are the same on PostgreSQL, where the tests of each room run as well.
pytestmark = pytest.mark.parametrize("kind", ["sqlite"])

WATCHED = ("cases", "leases", "rounds", "case_links", "drafts")
NAMES = ("ada", "bea", "cem", "dia", "eva")


def read(desk, watched=WATCHED):
    found = {}
    with desk.db.read() as tx:
        for name in watched:
            table = tables.metadata.tables[name]
            for row in tx.execute(sa.select(table)).mappings():
                found[name, *(row[column.name] for column in table.primary_key)] = dict(row)
    return found


class Changes:
    """What an operation changed: rows by table and key, and of each the columns that are new."""

    def __init__(self, desk, watched=WATCHED):
        self.desk = desk
        self.watched = watched

    def of(self, operation, *given, **more):
        before = read(self.desk, self.watched)
        self.gave = operation(*given, **more)
        after = read(self.desk, self.watched)
        assert not before.keys() - after.keys()
        return {
            key: {name: value for name, value in row.items() if before.get(key, {}).get(name, ...) != value}
            for key, row in after.items()
            if row != before.get(key)
        }


@pytest.fixture
def case_ids(desk):
    """Five cases, by name; each has been answered once and waits again."""
    made = sorted(desk.scan(f"S-{n}") for n in range(5))
    with desk.db.begin() as tx:
        for case_id, name in zip(made, NAMES, strict=True):
            who = {"actor": name, "now": desk.time}
            leases.grant(tx, case_id, name, now=desk.time, senior=False)
            cases.move(tx, case_id, "release", **who)
            leases.grant(tx, case_id, name, now=desk.time, senior=False)
            for event in ("adjudicate", "answer"):
                cases.move(tx, case_id, event, **who)
            cases.stop_clock(tx, cases.get(tx, case_id), kind="final", now=desk.time)
    desk.passes(minutes=7)
    with desk.db.begin() as tx:
        for case_id in made:
            cases.move(tx, case_id, "changed", actor="server", now=desk.time)
    desk.passes(minutes=1)
    return made


@pytest.fixture
def leased(desk, case_ids):
    """All of them with a third lease."""
    with desk.db.begin() as tx:
        for case_id, name in zip(case_ids, NAMES, strict=True):
            assert leases.grant(tx, case_id, name, now=desk.time, senior=False).token == 3
    desk.passes(minutes=1)
    return case_ids


@pytest.fixture
def changes(desk):
    return Changes(desk)


def within(desk, operation, *given, **more):
    def run():
        with desk.db.begin() as tx:
            return operation(tx, *given, **more)

    return run


def on_record(desk):
    """The newest entry of the audit log."""
    audit = tables.metadata.tables["audit"]
    with desk.db.read() as tx:
        row = tx.execute(sa.select(audit).order_by(audit.c.n.desc()).limit(1)).mappings().one()
    return row["actor"], row["subject"], json.loads(row["facts"])


# --- steps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["release", "expire"])
def test_a_step_ends_the_lease_of_this_case_alone(desk, leased, changes, event):
    this, now = leased[2], to_text(desk.time)
    done = changes.of(within(desk, cases.move, this, event, actor="x", now=desk.time, facts={"by": "hand"}))
    assert done == {
        ("cases", this): {"state": "QUEUED", "changed_utc": now, "holder": None, "until_utc": None},
        ("leases", this, 3): {"ended_utc": now, "ended_why": event},
    }
    assert changes.gave is State.QUEUED
    actor, subject, facts = on_record(desk)
    assert (actor, subject) == ("x", this)
    assert facts == {"event": event, "from": "LEASED", "to": "QUEUED", "by": "hand"}


def test_an_interim_answer_keeps_the_lease(desk, leased, changes):
    this = leased[2]
    done = changes.of(within(desk, cases.move, this, "interim", actor="ada", now=desk.time))
    assert done == {("cases", this): {"state": "INTERIM", "changed_utc": to_text(desk.time)}}


def test_a_decision_ends_the_lease(desk, leased, changes):
    this = leased[2]
    done = changes.of(within(desk, cases.move, this, "adjudicate", actor="cem", now=desk.time))
    assert done["leases", this, 3] == {"ended_utc": to_text(desk.time), "ended_why": "adjudicate"}
    assert done["cases", this]["state"] == "ADJUDICATED"
    assert len(done) == 2


def test_a_case_that_nobody_has_has_no_lease_to_end(desk, case_ids, changes):
    this = case_ids[2]
    with desk.db.begin() as tx:
        tx.execute(sa.text("UPDATE cases SET state = 'ANSWERED' WHERE case_id = :it"), {"it": this})
    done = changes.of(within(desk, cases.move, this, "deliver", actor="x", now=desk.time))
    assert done == {("cases", this): {"state": "DELIVERED", "changed_utc": to_text(desk.time)}}


@pytest.mark.parametrize("event", ["changed", "reopen"])
def test_what_reopens_a_case_begins_its_next_round(desk, case_ids, changes, event):
    desk.passes(minutes=11)
    this, now = case_ids[2], desk.time
    with desk.db.begin() as tx:
        tx.execute(sa.text("UPDATE cases SET state = 'ANSWERED', stopped = 1"))
    done = changes.of(within(desk, cases.move, this, event, actor="x", now=now))
    due = to_text(now + timedelta(minutes=60))
    assert done["cases", this] == {
        "state": "QUEUED" if event == "changed" else "REOPENED",
        "changed_utc": to_text(now),
        "round": 3,
        "due_utc": due,
        "due_slot": int((now.timestamp() + 3600) // 300),
        "stopped": False,
    }
    assert {key: done[key] for key in done if key[0] == "rounds"} == {
        ("rounds", this, 3): done["rounds", this, 3]
    }
    row = read(desk)["rounds", this, 3]
    assert (row["why"], row["opened_utc"], row["due_utc"]) == (event, to_text(now), due)
    assert (row["first_utc"], row["first_kind"], row["answered_utc"]) == (None, None, None)
    assert len(done) == 2


def test_scans_that_came_during_the_second_review_begin_no_round(desk, case_ids, changes):
    this = case_ids[2]
    with desk.db.begin() as tx:
        tx.execute(sa.text("UPDATE cases SET state = 'SECOND_REVIEW' WHERE case_id = :it"), {"it": this})
    done = changes.of(within(desk, cases.move, this, "changed", actor="x", now=desk.time))
    assert list(done) == [("cases", this)]
    assert "round" not in done["cases", this]


def test_a_case_that_is_not_there_and_a_step_that_is_none(desk, case_ids, changes):
    with desk.db.read() as tx:
        with pytest.raises(NotFoundError, match="no case 'C-none'"):
            cases.get(tx, "C-none")
        assert cases.get(tx, case_ids[2])["case_id"] == case_ids[2]
        assert cases.due(cases.get(tx, case_ids[2])) == desk.time + timedelta(minutes=59)
    assert cases.due({"due_utc": None}) is None
    with pytest.raises(TransitionError, match="QUEUED cannot go through 'deliver'"):
        changes.of(within(desk, cases.move, case_ids[2], "deliver", actor="x", now=desk.time))


def test_the_name_of_a_case_is_that_of_its_device_and_seizure(kind):
    said = hashlib.sha256(b"tablet-1\0S-1").hexdigest()
    assert cases.case_id_of("tablet-1", "S-1") == f"C-{said[:16]}"
    assert cases.case_id_of("a", "bc") != cases.case_id_of("ab", "c")


# --- the hour ----------------------------------------------------------------------------------------------


def case_of(desk, case_id):
    return desk.case(case_id)


@pytest.mark.parametrize("answer", ["interim", "final"])
def test_an_answer_stops_the_hour_of_this_round_alone(desk, leased, changes, answer):
    this, now = leased[2], to_text(desk.time)
    case = case_of(desk, this)
    done = changes.of(within(desk, cases.stop_clock, case, kind=answer, now=desk.time))
    said = {"first_utc": now, "first_kind": answer}
    if answer == "final":
        said["answered_utc"] = now
    assert done == {("cases", this): {"stopped": True}, ("rounds", this, 2): said}
    assert changes.gave is True
    desk.passes(minutes=5)
    # A second answer is not the first; a final one is noted as such all the same.
    done = changes.of(within(desk, cases.stop_clock, case, kind="final", now=desk.time))
    assert done == {("rounds", this, 2): {"answered_utc": to_text(desk.time)}}
    assert changes.gave is False


# --- links -------------------------------------------------------------------------------------------------


def test_a_link_is_between_two_and_for_one_reason(desk, case_ids, changes):
    a, b, c, d, e = case_ids

    def link(one, other, why="same-spectrum"):
        return changes.of(
            within(desk, cases.link, one, other, why=why, fact="f" * 64, by="server", now=desk.time)
        )

    assert link(c, b) == {
        ("case_links", b, c, "same-spectrum"): {
            "case_id": b, "other_id": c, "why": "same-spectrum", "fact": "f" * 64,
            "linked_utc": to_text(desk.time), "by": "server",
        }
    }  # fmt: skip
    assert changes.gave is True
    assert on_record(desk) == (
        "server", b, {"other": c, "why": "same-spectrum", "fact": "f" * 64},
    )  # fmt: skip
    assert link(b, c) == {}
    assert changes.gave is False
    assert link(b, "".join(["", b])) == {}  # equal, though not the same object
    # Another pair beside it, and another reason, are new.
    for one, other, why in (
        (b, d, "same-spectrum"),
        (c, d, "same-spectrum"),
        (a, c, "same-spectrum"),
        (b, c, "label"),
    ):
        assert len(link(one, other, why)) == 1
    link(d, e)
    with desk.db.read() as tx:
        assert cases.linked(tx, c) == (a, b, d)
        assert cases.linked(tx, a) == (c,)
        assert cases.linked(tx, e) == (d,)
        assert cases.linked(tx, "C-none") == ()


def test_a_pair_in_between_is_a_pair_of_its_own(desk, case_ids, changes):
    a, b, c, d, _ = case_ids
    for one, other in ((a, d), (b, d), (a, c), (c, d), (b, c)):
        made = changes.of(within(desk, cases.link, one, other, why="label", fact="", by="x", now=desk.time))
        assert list(made) == [("case_links", one, other, "label")]


# --- leases ------------------------------------------------------------------------------------------------


def test_taking_a_case_takes_this_one(desk, case_ids, changes):
    this, until = case_ids[2], to_text(desk.time + timedelta(minutes=15))
    done = changes.of(leases.take, desk.db, this, "cem", now=desk.time)
    assert done == {
        ("cases", this): {
            "state": "LEASED", "changed_utc": to_text(desk.time), "token": 3, "holder": "cem",
            "until_utc": until,
        },
        ("leases", this, 3): done["leases", this, 3],
    }  # fmt: skip
    row = done["leases", this, 3]
    assert (row["chemist"], row["until_utc"], row["purpose"]) == ("cem", until, "adjudicate")
    assert (row["granted_utc"], row["ended_utc"], row["ended_why"]) == (to_text(desk.time), None, None)
    assert changes.gave == leases.Lease(this, 3, "cem", until, "adjudicate")
    assert on_record(desk)[2] == {
        "event": "lease", "from": "QUEUED", "to": "LEASED", "token": 3, "chemist": "cem", "until": until,
        "purpose": "adjudicate",
    }  # fmt: skip


def test_whoever_has_it_keeps_it_for_longer_and_nobody_else_gets_it(desk, leased, changes):
    this, until = leased[2], to_text(desk.time + timedelta(minutes=15))
    longer = {("cases", this): {"until_utc": until}, ("leases", this, 3): {"until_utc": until}}
    assert changes.of(leases.take, desk.db, this, "".join(["c", "em"]), now=desk.time) == longer
    assert changes.gave == leases.Lease(this, 3, "cem", until, "adjudicate")
    for other in ("ada", "eva"):
        with pytest.raises(LeaseTakenError, match=f"cem works on the case {this} until {until}"):
            leases.take(desk.db, this, other, now=desk.time)


def test_renewing_and_giving_back_are_for_this_case_alone(desk, leased, changes):
    this, until = leased[2], to_text(desk.time + timedelta(minutes=15))
    done = changes.of(leases.renew, desk.db, this, 3, "cem", now=desk.time)
    assert done == {("cases", this): {"until_utc": until}, ("leases", this, 3): {"until_utc": until}}
    assert changes.gave == leases.Lease(this, 3, "cem", until, "adjudicate")
    done = changes.of(leases.release, desk.db, this, 3, "cem", now=desk.time)
    assert set(done) == {("cases", this), ("leases", this, 3)}
    assert done["leases", this, 3] == {"ended_utc": to_text(desk.time), "ended_why": "release"}
    assert on_record(desk)[2] == {
        "event": "release", "from": "LEASED", "to": "QUEUED", "token": 3, "chemist": "cem",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("token", "chemist", "after", "words"),
    [
        (2, "cem", 0, "take it again"),
        (4, "cem", 0, "take it again"),
        (3, "ada", 0, "cem has it now"),
        (3, "eva", 0, "cem has it now"),
        (3, "cem", 14, "take it again"),
        (3, "cem", 15, "take it again"),
        (3, "cem", 13, ""),
    ],
)
def test_a_lease_is_in_force_for_its_number_its_chemist_and_its_time(
    desk, leased, token, chemist, after, words
):
    desk.passes(minutes=after)  # one of the fifteen minutes has passed

    def check():
        with desk.db.read() as tx:
            return leases.check(tx, leased[2], token, chemist, now=desk.time)

    if not words:
        assert check()["case_id"] == leased[2]
        return
    with pytest.raises(StaleLeaseError, match=words):
        check()


def test_a_case_given_back_is_to_be_taken_again(desk, leased):
    leases.release(desk.db, leased[2], 3, "cem", now=desk.time)
    with desk.db.read() as tx, pytest.raises(StaleLeaseError, match="take it again"):
        leases.check(tx, leased[2], 3, "cem", now=desk.time)


def test_only_leases_that_have_run_out_end(desk, leased, changes):
    leases.renew(desk.db, leased[1], 3, "bea", now=desk.time)
    leases.renew(desk.db, leased[3], 3, "dia", now=desk.time)
    desk.passes(minutes=14)
    over = tuple(leased[n] for n in (0, 2, 4))
    done = changes.of(within(desk, leases.expire, now=desk.time))
    assert changes.gave == over
    assert set(done) == {("cases", one) for one in over} | {("leases", one, 3) for one in over}
    for one in over:
        assert done["leases", one, 3] == {"ended_utc": to_text(desk.time), "ended_why": "expire"}
        assert done["cases", one]["holder"] is None
    actor, subject, facts = on_record(desk)
    assert (actor, subject) == ("server", over[-1])
    assert (facts["token"], facts["chemist"]) == (3, "eva")
    desk.passes(minutes=1)
    assert within(desk, leases.expire, now=desk.time)() == (leased[1], leased[3])
    assert within(desk, leases.expire, now=desk.time)() == ()


def test_taking_a_case_ends_what_has_run_out_first(desk, leased):
    desk.passes(minutes=14)
    assert leases.take(desk.db, leased[2], "ada", now=desk.time).token == 4
    assert desk.case(leased[0])["holder"] is None


@pytest.fixture
def reviewed(desk, case_ids):
    """All wait for a second person; *fay* decided them."""
    with desk.db.begin() as tx:
        tx.execute(sa.text("UPDATE cases SET state = 'SECOND_REVIEW', adjudicator = 'fay'"))
    return case_ids


def test_the_second_person_is_a_senior_and_another(desk, reviewed, changes):
    this, until = reviewed[2], to_text(desk.time + timedelta(minutes=15))
    for chemist, senior, words in (
        ("cem", False, "by a senior chemist"),
        ("fay", False, "by a senior chemist"),
        ("".join(["f", "ay"]), True, "another person has to review it"),
    ):
        with pytest.raises(SeparationError, match=words):
            leases.take(desk.db, this, chemist, now=desk.time, senior=senior)
    done = changes.of(leases.take, desk.db, this, "cem", now=desk.time, senior=True)
    assert done["cases", this] == {"token": 3, "holder": "cem", "until_utc": until}
    assert done["leases", this, 3]["purpose"] == "review"
    assert len(done) == 2
    assert changes.gave == leases.Lease(this, 3, "cem", until, "review")
    assert on_record(desk) == (
        "cem", this,
        {"event": "lease", "token": 3, "chemist": "cem", "until": until, "purpose": "review"},
    )  # fmt: skip
    # It keeps waiting for a second person when it is given back, and when the lease runs out.
    for name in (1, 3):
        leases.take(desk.db, reviewed[name], NAMES[name], now=desk.time, senior=True)
    done = changes.of(leases.release, desk.db, this, 3, "cem", now=desk.time)
    assert done == {
        ("cases", this): {"holder": None, "until_utc": None},
        ("leases", this, 3): {"ended_utc": to_text(desk.time), "ended_why": "release"},
    }
    assert on_record(desk) == ("cem", this, {"event": "release", "token": 3, "chemist": "cem"})
    assert desk.case(reviewed[1])["holder"] == "bea"


# --- drafts ------------------------------------------------------------------------------------------------


def test_a_draft_is_of_its_case_its_chemist_and_its_lease(desk, leased, changes):
    def save(case_id, token, chemist, words):
        done = changes.of(leases.save_draft, desk.db, case_id, token, chemist, {"w": words}, now=desk.time)
        return changes.gave, len(done)

    a, b, c = leased[1:4]
    first = (b, 3, "cem", "one")
    assert save(*first) == (1, 1)
    assert save(*first) == (1, 0)
    beside = [
        (a, 3, "cem", "one"),
        (c, 3, "cem", "one"),
        (b, 2, "cem", "one"),
        (b, 4, "cem", "one"),
        (b, 3, "ada", "one"),
        (b, 3, "eva", "one"),
        (b, 3, "cem", "another"),
        (b, 3, "cem", "zero"),
    ]
    for number, row in enumerate(beside, start=2):
        assert save(*row) == (number, 1)
    for number, row in enumerate([first, *beside], start=1):
        assert save(*row) == (number, 0)
    mine = leases.drafts_of(desk.db, b, "cem")
    assert [(one.draft, one.token, one.content["w"]) for one in mine] == [
        (1, 3, "one"), (4, 2, "one"), (5, 4, "one"), (8, 3, "another"), (9, 3, "zero"),
    ]  # fmt: skip
    assert {(one.case_id, one.chemist, one.saved_utc) for one in mine} == {(b, "cem", to_text(desk.time))}
    assert [one.draft for one in leases.drafts_of(desk.db, b, "ada")] == [6]
    assert [one.draft for one in leases.drafts_of(desk.db, a, "cem")] == [2]
    assert on_record(desk) == ("cem", b, {"draft": 9, "token": 3})
    with pytest.raises(AttributeError):
        mine[0].token = 7
