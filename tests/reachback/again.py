"""What the tests of re-search share: scans of known truth, two libraries, a quick second pass."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

from spectralid.reachback.bench.decisions import Decision
from spectralid.reachback.research import runs
from spectralid.reachback.research.judge import Answer, Judged
from spectralid.reachback.research.tables import research_hits
from spectralid.reachback.store import audit, tables
from spectralid.reachback.tablets import answers
from tests.reachback.desk import says
from tests.reachback.world import NAMES, library, pure, values

OLD = NAMES[:5]
SOME = 4


class Field:
    """Scans of known truth, and libraries before and after."""

    def __init__(self, desk, folder, *, after=NAMES, mislabelled=None):
        self.desk = desk
        self.folder = folder
        self.before = library(folder / "before.h5", *OLD, mislabelled=mislabelled)
        self.after = library(folder / "after.h5", *after, version="2")
        self.count = 0

    def scan(self, *parts, named=(), decision=None, alarm="unknown", seizure=None, library="1", tablet=None):
        self.count += 1
        decision = decision or ("no_match" if not named else "identified" if len(named) == 1 else "mixture")
        return self.desk.scan(
            seizure or f"S-{self.count}", tablet, values=values(*parts, seed=self.count), substances=named,
            decision=decision, alarm=alarm, result={"library": {"name": "test", "version": library}},
        )  # fmt: skip

    def answer(self, case_id, *substances, **more):
        """A chemist answers as the field did, and a second one agrees if it takes two."""
        said = {"verdict": "identified" if substances else "no_match", **more}
        decision = says(*substances, **said)
        if not substances:
            decision = says(**said) if said["verdict"] in ("identified", "mixture") else _nothing(**said)
        self.desk.decide(self.desk.lease(case_id), decision)
        if self.desk.case(case_id)["state"] == "SECOND_REVIEW":
            self.desk.review(self.desk.lease(case_id, "bea", senior=True))
        assert self.desk.case(case_id)["state"] == "ANSWERED"

    def start(self, **options):
        options = {"before": self.before, "by": "lib", "now": self.desk.time, **options}
        return runs.start(self.desk.db, self.after, **options)

    def work(self, **options):
        options = {"now": self.desk.now, "shard_rows": SOME, **options}
        return runs.work(self.desk.db, self.desk.keys, **options)

    def hits(self, **wanted):
        chosen = sa.select(research_hits)
        for name, value in wanted.items():
            chosen = chosen.where(research_hits.c[name] == value)
        with self.desk.db.read() as tx:
            rows = tx.execute(chosen.order_by(research_hits.c.device_id, research_hits.c.seq)).mappings()
            return [dict(row) for row in rows]

    def notices(self, case_id):
        found = answers.of_case(self.desk.db, case_id)
        return [one.content() for one in found if one.kind == "notice"]

    def sound(self):
        assert audit.verify(self.desk.db, trusted=self.desk.keys.trusted) == ()


def _nothing(**said):
    return Decision(**{"headline": "No match", "words": "Presumptive.", "basis": "Nothing fits.", **said})


NOVEL = np.gradient(pure("novelamine"))


def stub(spectrum, recorded, libraries):
    """A second pass that is quick: changed where the scan has the new substance's bands."""
    slope = np.gradient(np.asarray(spectrum.intensity))
    like = float(slope @ NOVEL / np.sqrt((slope @ slope) * (NOVEL @ NOVEL)))
    after = Answer("identified", "warning", ("novelamine",), headline="Novelamine")
    if like < 0.3:
        return Judged("same", False, (), recorded, recorded)
    return Judged("changed", False, ("named:novelamine",), recorded, after)


def many(field, count=10):
    """Answered cases on both tablets, of which every third changes; returns those."""
    changing = set()
    for i in range(count):
        novel = i % 3 == 0
        name = "novelamine" if novel else OLD[i % 5]
        named = () if novel else (name,)
        case_id = field.scan((name, 1.0), named=named, tablet=field.desk.other if i % 2 else None)
        field.answer(case_id, *named)
        changing |= {case_id} if novel else set()
    return changing


def reopened(field):
    with field.desk.db.read() as tx:
        rows = tx.execute(
            sa.select(tables.answers.c.case_id).where(tables.answers.c.kind == "notice")
        ).scalars()
        return sorted(rows)
