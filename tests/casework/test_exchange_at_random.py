"""Any mixture of work, faults, sticks, crashes and wrong clocks ends with every packet on the server once."""

import random
import shutil

import pytest

from spectralid.casework import inbox, outbox
from spectralid.casework.exchange import export_packets, import_answers
from tests.casework.field import START, enrolled_field
from tests.casework.server_double import (
    ServerKey,
    answers_with,
    captive_portal,
    closes_after,
    cuts_reply_at,
    gives,
    loses_reply,
    problem,
    resets_mid_body,
    slices_reply,
)

FAULTS = [
    closes_after(0),
    closes_after(150),
    resets_mid_body,
    loses_reply,
    slices_reply,
    cuts_reply_at(2000, 9000),
    captive_portal,
    gives(lambda r: b"{}"),
    gives(lambda r: ServerKey().envelope("application/vnd.spectralid.receipt+json", b"{}")),
    answers_with(problem(409, "busy")),
    answers_with(problem(422, "refused")),
    answers_with(problem(429, "slow", Retry_After="90")),
    answers_with(problem(500, "oops")),
    answers_with(problem(503, "down")),
]


class Story:
    """One tablet's bad weeks."""

    def __init__(self, field, seed: int) -> None:
        self.field = field
        self.random = random.Random(seed)
        self.stick = field.folder / "stick"
        self.told: list[str] = []

    def step(self) -> None:
        act = self.random.choice(
            [self.work, self.work, self.exchange, self.exchange, self.exchange, self.carry, self.fetch,
             self.crash, self.answer, self.read, self.server_loses, self.clock_jumps, self.outage]
        )  # fmt: skip
        self.told.append(act.__name__)
        act()

    def work(self) -> None:
        self.field.capture(self.random.randint(1, 3), urgent=self.random.random() < 0.3)

    def exchange(self) -> None:
        for area in ("packets", "packets", "packets", "inbox", "time", "answers"):
            if self.random.random() < 0.4:
                self.field.server.script(area, self.random.choice(FAULTS))
        with self.field.sync() as sync:
            sync.once()
        self.field.clock.advance(self.random.choice([1, 30, 600, 86_400]))

    def carry(self) -> None:
        export_packets(self.field.store, self.stick)
        files = sorted(self.stick.glob("*.sidpkt"))
        self.random.shuffle(files)
        for file in files[: self.random.randint(0, len(files))]:
            (self.stick / f"{file.stem}.sidmsg").write_bytes(self.field.server.accept(file.read_bytes()))

    def fetch(self) -> None:
        if self.stick.is_dir():
            for n, answer in enumerate(self.field.server.answers):
                if self.random.random() < 0.5:
                    (self.stick / f"answer-{n}.sidmsg").write_bytes(answer)
            assert import_answers(self.field.store, self.stick).refused == ()
            if self.random.random() < 0.3:
                shutil.rmtree(self.stick)

    def crash(self) -> None:
        waiting = [row for row in outbox.states(self.field.store) if row.state == "queued"]
        if waiting:
            outbox.mark_sending(self.field.store, self.random.choice(waiting).packet_id)
        self.field.reopen()

    def answer(self) -> None:
        self.field.server.answer("tablet-7")

    def read(self) -> None:
        for answer in inbox.unread(self.field.store)[:2]:
            inbox.shown(self.field.store, answer.answer_id)

    def server_loses(self) -> None:
        """A restore of yesterday's backup: packets are gone, the log ends earlier."""
        places = sorted(self.field.server.packets)
        lost = places[len(places) // 2 :]
        for place in lost:
            del self.field.server.packets[place]
        self.field.server.audit_n -= len(lost)
        moment = self.field.server.utc[:8]
        self.field.server.utc = f"{moment}{self.random.randint(23, 28)}T12:00:00Z"

    def clock_jumps(self) -> None:
        years = self.random.choice([-56, -1, 0, 1])
        self.field.clock.reboot(START.replace(year=START.year + years))
        self.field.reopen()

    def outage(self) -> None:
        self.field.server.stop()
        with self.field.sync() as sync:
            sync.once()
        self.field.server.start()

    def ends_well(self) -> None:
        """A working line, a person who presses "retry", and a server that says what it still lacks."""
        field = self.field
        field.server._faults.clear()
        for day in range(1, 4):
            field.server.utc = f"2026-12-0{day}T12:00:00Z"
            rows = outbox.states(field.store)
            lacking = [(r.seq, r.sha256) for r in rows if ("tablet-7", r.seq) not in field.server.packets]
            field.server.notices = [field.server.notice_missing("tablet-7", *lacking)] if lacking else []
            for answer in inbox.unread(field.store):
                inbox.shown(field.store, answer.answer_id)
            outbox.retry_now(field.store)
            field.clock.advance(5000)
            with field.sync() as sync:
                sync.once()
        rows = outbox.states(field.store)
        assert {row.state for row in rows} <= {"received", "answered"}, self.told
        assert {place[1] for place in field.server.packets} == {row.seq for row in rows}, self.told
        assert [a.n for a in inbox.all(field.store)] == list(range(1, len(field.server.answers) + 1))
        assert set(field.server.acknowledged) == {a.answer_id for a in inbox.all(field.store)}
        for told in field.server.acknowledged.values():
            assert len(set(told)) == 1
        field.nothing_lost_nothing_twice()


@pytest.mark.parametrize("seed", range(8))
def test_every_story_ends_well(tmp_path, seed):
    with enrolled_field(tmp_path) as field:
        story = Story(field, seed)
        for _ in range(30):
            story.step()
        story.ends_well()
