"""From approved candidates to a library in the devices' hands, and what may not get there."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

pytest.importorskip("tuf", reason="signed releases need the extra [reachback]")

from spectralid.library import open_library
from spectralid.library.installed import open_installed
from spectralid.library.update_sources import FolderSource
from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.releases import approval, candidates, regression, release, repository
from spectralid.reachback.releases.regression import HeldOut, Question, Regression, WorseError
from spectralid.reachback.releases.release import ReleaseError
from spectralid.reachback.releases.repository import KeyRefusedError
from tests.reachback import bench
from tests.reachback.agency import Agency, Device
from tests.reachback.bench import SUBSTANCES, compound, spectrum
from tests.reachback.desk import says

A, B, C, *_ = SUBSTANCES
BASE = [(slug, number) for number, slug in enumerate(SUBSTANCES[1:6])]


def on_one(test):
    """For what depends neither on the database nor on what the engine says of the held-out spectra."""
    return pytest.mark.usefixtures("unjudged")(pytest.mark.parametrize("kind", ["sqlite"])(test))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return bench.build(tmp_path_factory.mktemp("base") / "base.h5", BASE).path


@pytest.fixture(scope="module")
def held_out():
    pairs = [(slug, seed) for slug in SUBSTANCES[1:4] for seed in (501, 502)]
    return HeldOut(
        tuple(
            Question(f"{slug}-{seed}", spectrum(slug, seed=seed), frozenset({slug}), "")
            for slug, seed in pairs
        )
    )


@pytest.fixture
def unjudged(monkeypatch):
    monkeypatch.setattr(
        regression, "compare", lambda before, after, *_, **__: Regression(before.name, after.name, (), (), ())
    )


@pytest.fixture
def loop(desk, base, held_out):
    return Loop(desk, base, held_out)


class Loop:
    """The library loop of a server, with the keys of an agency."""

    def __init__(self, desk, base, held_out):
        self.desk, self.base, self.held_out = desk, base, held_out
        self.folder = desk.db.folder / "library"
        self.agency = Agency(self.folder / "repository")
        self.told = []
        self.cases = 0

    def approved(self, slug=A, *, measured=None, named=None, confirm=False):
        """A candidate that two others have approved; ``named`` is what everybody took it for."""
        desk, self.cases = self.desk, self.cases + 1
        named = named or slug
        done = bench.scan(
            desk, named, seizure=f"S-{self.cases}", measured=measured or spectrum(slug), told=(named,)
        )
        desk.decide(desk.lease(done.case), says(named))
        if confirm:
            bench.confirm(desk, done.case, named)
        known = {one.slug for one in open_library(self.base).compounds}
        what = named if named in known else compound(named, cas="50-00-0")
        one = candidates.propose(
            desk.db, done.case, done.seq, 0, substance=what, by="libby", now=desk.time,
            library=open_library(self.base), owner="Agency",
        )  # fmt: skip
        for person in ("noor", "omar"):
            approval.approve(desk.db, one.candidate, by=person, sha256=one.sha256, now=desk.time)
        return candidates.get(desk.db, one.candidate)

    def make(self, **options):
        given = {"base": self.base, "held_out": self.held_out, "by": "libby", "min_engine": "0.1", **options}
        return release.make(self.desk.db, self.folder, now=self.desk.time, **given)

    def sign(self):
        (staged,) = (self.folder / "repository" / "staged").iterdir()
        repository.sign(staged, self.agency.targets_keys[0])

    def publish(self, after=None):
        online = {"snapshot": self.agency.snapshot, "timestamp": self.agency.timestamp}
        hooks = (lambda *said: self.told.append(said),) if after is None else after
        return release.publish(
            self.desk.db, self.folder, **online, by="libby", now=self.desk.time, after=hooks
        )

    def device(self, tmp_path):
        self.agency.time = self.desk.time
        return Device(tmp_path / "device", self.agency, FolderSource(self.agency.folder))


def test_from_a_case_to_a_device(loop, tmp_path):
    one = loop.approved(confirm=True)
    done = loop.make()
    assert (done.number, done.published_utc, done.manifest["candidates"]) == (1, "", [one.candidate])
    (added,) = done.new_references
    assert added.startswith(f"{A}-raman-")
    assert candidates.get(loop.desk.db, one.candidate).state == "approved"
    assert release.in_force(loop.desk.db) is None
    with pytest.raises(KeyRefusedError):
        loop.publish()
    device = loop.device(tmp_path)
    assert device.update().outcome == "nothing"
    loop.sign()
    (published,) = loop.publish()
    assert published == release.in_force(loop.desk.db)
    assert candidates.get(loop.desk.db, one.candidate).state == "released"
    assert device.update().outcome == "installed"
    library = open_installed(device.folder)
    assert library.sha256 == done.sha256
    reference = library.reference(added)
    assert reference.info.tier == "measured"
    assert reference.info.licence == "agency use only"
    assert reference.spectrum == one.spectrum
    assert "confirmed by Regional 1" in reference.info.citation
    # The hook has the library, and the one that was in force.
    ((told, path, before),) = loop.told
    assert (told.number, path) == (1, release.path_of(loop.folder, 1))
    assert before == open_library().path


@on_one
def test_a_presumptive_entry_says_so_and_never_confirmed(loop):
    loop.approved()
    done = loop.make()
    library = open_library(release.path_of(loop.folder, done.number))
    info = library.reference(done.new_references[0]).info
    assert "presumptive" in info.citation
    assert "presumptive" in info.source
    assert "confirm" not in (info.citation + info.source).lower()


@on_one
def test_the_next_release_is_built_on_the_last_and_names_what_changed(loop):
    loop.approved()
    loop.make()
    loop.sign()
    loop.publish()
    loop.desk.passes(days=1)
    loop.approved(B)
    done = loop.make(base=None)
    assert done.number == 2
    assert done.manifest["base"]["sha256"] == release.get(loop.desk.db, 1).sha256
    assert [one[:11] for one in done.new_references] == [B]
    library = open_library(release.path_of(loop.folder, 2))
    assert {A, B} <= {one.compound_slug for one in library.references}
    loop.sign()
    loop.publish()
    assert loop.told[1][1:] == (release.path_of(loop.folder, 2), release.path_of(loop.folder, 1))


def test_a_poisoned_candidate_is_not_released(loop):
    """Everybody took B's powder for C: the held-out spectra of B find out."""
    loop.approved(B, measured=spectrum(B, seed=42), named=C)
    with pytest.raises(WorseError) as caught:
        loop.make()
    assert "answers are right" in str(caught.value)
    assert caught.value.regression.lines[0].lost == 2
    assert release.listed(loop.desk.db) == ()
    assert list((loop.folder / "releases").iterdir()) == []
    with loop.desk.db.read() as tx:
        facts = tx.execute(sa.text("SELECT facts FROM audit WHERE action = 'release-refused'")).scalar_one()
    assert json.loads(facts)["candidates"] == [1]


@on_one
def test_what_does_not_hold_any_more_is_left_out_with_the_reason(loop):
    good, refuted = loop.approved(), loop.approved(B)
    bench.confirm(loop.desk, refuted.case_id, C, result="refuted")
    done = loop.make()
    assert done.manifest["candidates"] == [good.candidate]
    assert [one["candidate"] for one in done.manifest["left_out"]] == [refuted.candidate]
    assert "not settled" in done.manifest["left_out"][0]["why"]


@on_one
def test_who_approved_and_decided_afterwards_counts_no_more(loop):
    """The case came back, and somebody who had approved the candidate decided it: two others have to."""
    one, desk = loop.approved(), loop.desk
    bench.scan(desk, A, seizure="S-1")
    desk.decide(desk.lease(one.case_id, "noor"), says(A))
    loop.approved(B)
    done = loop.make()
    assert done.manifest["left_out"] == [
        {"candidate": one.candidate, "why": "Somebody who approved it has decided on the case since."}
    ]


@on_one
def test_a_held_out_spectrum_never_gets_in(loop):
    one = loop.approved()
    loop.approved(B)
    question = Question("late", one.spectrum, frozenset({A}), "")
    done = loop.make(held_out=HeldOut((*loop.held_out.questions, question)))
    assert "judged by" in done.manifest["left_out"][0]["why"]
    assert done.manifest["left_out"][0]["candidate"] == one.candidate


@on_one
def test_without_a_repository_nothing_is_made(loop, tmp_path):
    loop.approved()
    loop.folder = tmp_path / "elsewhere"
    with pytest.raises(NotFoundError, match="make one"):
        loop.make()
    assert release.listed(loop.desk.db) == ()


@on_one
def test_nothing_new_is_no_release(loop):
    with pytest.raises(ReleaseError, match="No candidate"):
        loop.make()


@on_one
@pytest.mark.parametrize(
    "rollout", [{"percent": 101}, {"percent": 0.5}, {"sites": [1]}, {"people": ["x"]}, {"percent": "1"}]
)
def test_a_roll_out_that_makes_no_sense_is_refused(loop, rollout):
    with pytest.raises(ReleaseError, match="roll-out"):
        loop.make(rollout=rollout)


@on_one
def test_handed_out_by_and_by_then_to_all_then_withdrawn(loop, tmp_path):
    loop.approved()
    loop.make(rollout={"sites": ["north"]})
    loop.sign()
    loop.publish()
    device = loop.device(tmp_path)
    assert device.update(site="south").outcome == "not-yet"
    release.roll_out(loop.folder, 1, {}, now=loop.desk.time)
    loop.sign()
    assert loop.publish() == ()
    assert device.update(site="south").outcome == "installed"
    release.withdraw(loop.folder, 1, now=loop.desk.time)
    loop.sign()
    loop.publish()
    assert device.update(site="south").outcome == "current"
    for call in (release.roll_out, release.withdraw):
        with pytest.raises(NotFoundError):
            call(loop.folder, 1, *({},) * (call is release.roll_out), now=loop.desk.time)


@on_one
def test_a_crash_between_publishing_and_its_record(loop):
    """The repository hands it out and the record does not say so yet: it is noted later, hooks are called."""
    loop.approved()
    loop.make()
    loop.sign()

    def fails(*_):
        raise RuntimeError("the machine stops")

    with pytest.raises(RuntimeError):
        loop.publish(after=(fails,))
    assert release.in_force(loop.desk.db) is None
    hooked = []
    options = {"by": "libby", "now": loop.desk.time, "after": (lambda *said: hooked.append(said),)}
    assert [one.number for one in release.note_published(loop.desk.db, loop.folder, **options)] == [1]
    assert release.note_published(loop.desk.db, loop.folder, **options) == ()
    assert len(hooked) == 1


@on_one
def test_what_was_made_and_not_signed_gives_way_to_the_next(loop, tmp_path):
    first = loop.approved()
    loop.make()
    second = loop.approved(B)
    loop.desk.passes(hours=1)
    done = loop.make()
    assert (done.number, done.manifest["candidates"]) == (2, [first.candidate, second.candidate])
    loop.sign()
    assert [one.number for one in loop.publish()] == [2]
    assert loop.device(tmp_path).update().library.number == 2


@on_one
def test_releases_are_on_record_and_not_changed(loop):
    loop.approved()
    loop.make()
    loop.sign()
    loop.publish()
    for statement in ("UPDATE library_releases SET sha256 = 'x'", "DELETE FROM library_publications"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), loop.desk.db.begin() as tx:
            tx.execute(sa.text(statement))


@on_one
def test_the_device_notices_when_nobody_vouches_any_more(loop, tmp_path):
    loop.approved()
    loop.make()
    loop.sign()
    loop.publish()
    device = loop.device(tmp_path)
    done = device.update().library
    assert not done.is_overdue(loop.desk.time + timedelta(days=6))
    assert done.is_overdue(loop.desk.time + timedelta(days=8))
