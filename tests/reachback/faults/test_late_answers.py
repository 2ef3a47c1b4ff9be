"""Answers given while the tablet was away for a week: all of them, in order, late ones marked, each once."""

from __future__ import annotations

from spectralid.casework import inbox
from spectralid.casework.store import CaseStore
from spectralid.reachback.tablets import answers, enrolled
from tests.casework.record import Clock, item, scan, seizure
from tests.reachback.faults.direct import hand_over, look, rows


def test_a_week_without_a_line(desk, tmp_path):
    clock = Clock()
    with CaseStore.open(tmp_path / "tablet", device_id="field-1", clock=clock, ballast_bytes=4096) as store:
        enrolled.add(desk.db, "field-1", store.key.public, site_ref="north", by="admin", now=desk.time)
        for number in range(1, 4):
            store.capture(seizure(f"S-{number}"))
            store.capture(item(f"I-{number}", f"S-{number}"))
            store.capture(scan(ref=f"I-{number}", seizure_ref=f"S-{number}"))
        case_ids = [done.case for done in hand_over(desk, store)][2::3]
        for case_id in case_ids:
            desk.passes(minutes=15)
            clock.passes(minutes=15)
            lease = desk.lease(case_id)
            desk.interim(lease)
            desk.decide(lease)
        desk.passes(days=7)
        clock.passes(days=7)
        look(desk, store)
        shown = inbox.unread(store)
        assert [answer.n for answer in shown] == [1, 2, 3, 4, 5, 6]
        assert all(answer.late for answer in shown)
        assert not any(answer.gap_before for answer in shown)
        # What an interim answer said was replaced meanwhile, and is shown as that.
        assert [answer.superseded_by is not None for answer in shown] == [True, False] * 3
        for answer in shown:
            inbox.shown(store, answer.answer_id)
        for _ in range(2):
            for _, answer_id, envelope in inbox.to_acknowledge(store):
                answers.take_shown(desk.db, "field-1", answer_id, envelope, now=desk.time)
        said = [row["subject"] for row in rows(desk, "audit") if row["action"] == "shown"]
        assert len(said) == 6
        assert {desk.case(case_id)["state"] for case_id in case_ids} == {"DELIVERED"}
        # Once more from the beginning: nothing is new.
        for raw in answers.after(desk.db, desk.keys, "field-1", 0, now=desk.time):
            assert not inbox.take_message(store, raw, desk.trust(store)).new
        # The hour was kept by the desk; that the officer read it a week later is on record beside it.
        for row in rows(desk, "rounds"):
            assert row["first_utc"] < row["due_utc"] < row["delivered_utc"]
