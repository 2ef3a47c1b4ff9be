"""From a case to a library: what may be proposed, who may approve, and what the record says of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sqlalchemy as sa

from spectralid.library import Compound
from spectralid.reachback.errors import ConflictError, NotFoundError, SeparationError
from spectralid.reachback.releases import approval, candidates
from spectralid.reachback.releases.candidates import CandidateError
from spectralid.reachback.releases.tables import candidate_votes
from spectralid.reachback.store import audit
from tests.reachback import bench
from tests.reachback.bench import SUBSTANCES, compound, spectrum
from tests.reachback.desk import says

A, B = SUBSTANCES[:2]

on_one = pytest.mark.parametrize("kind", ["sqlite"])
"""For what does not depend on the database."""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "base.h5"
    return bench.build(path, [(slug, number) for number, slug in enumerate(SUBSTANCES[1:])])


def proposed(desk, library, substance=A, *, case_id=None, seq=1, by="libby", **options):
    case_id = case_id or answered(desk)
    return candidates.propose(
        desk.db, case_id, seq, 0, substance=substance, by=by, now=desk.time, library=library, **options
    )


def new(slug=A, **facts):
    """A compound that the library does not know."""
    return compound(slug, **{"cas": "50-00-0", **facts})


def answered(desk, slug=A, *, named=None, by="ada", **options):
    """A case that was decided: the field and the chemist name the same substance."""
    case_id = bench.scan(desk, slug, **options).case
    desk.decide(desk.lease(case_id, by), says(*(named or (slug,))))
    return case_id


def approve(desk, one, by):
    return approval.approve(desk.db, one.candidate, by=by, sha256=one.sha256, now=desk.time)


# --- what is known well enough -----------------------------------------------------------------------------


def test_field_and_chemist_agree_is_presumptive_and_never_says_confirmed(desk, library):
    one = proposed(desk, library, new())
    assert (one.status, one.state, one.slug, one.technique) == ("presumptive", "pending", A, "raman")
    assert one.basis.decided_by == ("ada",)
    assert "confirm" not in str(dataclasses.replace(one, votes=())).lower()


def test_confirmed_by_the_laboratory(desk, library):
    case_id = answered(desk)
    bench.confirm(desk, case_id, A)
    one = proposed(desk, library, new(), case_id=case_id)
    assert one.status == "confirmed"
    assert one.basis.laboratory["laboratory"] == "Regional 1"
    assert one.provenance["laboratory"]["sample_ref"].startswith("L-")


@on_one
def test_what_the_laboratory_found_beside_it_forbids_it(desk, library):
    case_id = answered(desk)
    bench.confirm(desk, case_id, A, B)
    with pytest.raises(CandidateError, match="and no other"):
        proposed(desk, library, new(), case_id=case_id)


@on_one
def test_a_chemist_alone_is_not_enough(desk, library):
    case_id = bench.scan(desk, A, told=()).case
    desk.decide(desk.lease(case_id), says(A))
    with pytest.raises(CandidateError, match="alone"):
        proposed(desk, library, new(), case_id=case_id)


def test_a_second_person_who_agreed_is(desk, library):
    case_id = bench.scan(desk, A, told=(B,)).case
    desk.decide(desk.lease(case_id), says(A))
    desk.review(desk.lease(case_id, "ben", senior=True))
    one = proposed(desk, library, new(), case_id=case_id)
    assert one.basis.decided_by == ("ada", "ben")
    assert "ben agreed" in one.basis.words


@on_one
@pytest.mark.parametrize("verdict", ["mixture", "class_only", "inconclusive"])
def test_anything_but_one_substance_identified_is_refused(desk, library, verdict):
    case_id = bench.scan(desk, A).case
    named = (A, B) if verdict == "mixture" else (A,)
    desk.decide(desk.lease(case_id), says(*named, verdict=verdict))
    if desk.case(case_id)["state"] == "SECOND_REVIEW":
        desk.review(desk.lease(case_id, "ben", senior=True))
    with pytest.raises(CandidateError, match="Nobody has identified"):
        proposed(desk, library, new(), case_id=case_id)


@on_one
def test_a_case_that_is_not_decided_is_refused(desk, library):
    case_id = bench.scan(desk, A).case
    with pytest.raises(CandidateError, match="not settled"):
        proposed(desk, library, new(), case_id=case_id)


def test_after_the_laboratory_refuted_it_nothing_holds(desk, library):
    case_id = answered(desk)
    one = proposed(desk, library, new(), case_id=case_id)
    bench.confirm(desk, case_id, B, result="refuted")
    with pytest.raises(CandidateError, match="not settled"):
        approve(desk, one, "noor")
    with pytest.raises(CandidateError):
        proposed(desk, library, new(), case_id=case_id)


@on_one
def test_another_substance_than_was_decided_is_refused(desk, library):
    with pytest.raises(CandidateError, match="Nobody has identified"):
        proposed(desk, library, B)


# --- which substance ---------------------------------------------------------------------------------------


@on_one
def test_by_slug_cas_inchikey_and_name(desk, tmp_path):
    known = Compound(A, "Alphadrine", cas="64-17-5", inchikey="LFQSCWFLJHTTHZ-UHFFFAOYSA-N")
    from spectralid import LibraryBuilder

    builder = LibraryBuilder("known")
    builder.add(spectrum(A, seed=1), known, tier="measured")
    builder.write(tmp_path / "known.h5")
    from spectralid.library import open_library

    with open_library(tmp_path / "known.h5") as library:
        for number, named in enumerate((A, "64-17-5", known.inchikey, "alphadrine HCl")):
            case_id = answered(desk, seizure=f"S-{number}")
            one = proposed(desk, library, named, case_id=case_id, seq=number + 1)
            assert (one.slug, one.compound) == (A, known)
        assert one.form == "hydrochloride"
        for wrong, said in (
            ("unheard of", "new compound"),
            (Compound(A, "Alpha", cas="50-00-0"), "other identifiers"),
            (Compound("other", "Other", cas="64-17-5"), "knows it as"),
            (Compound("other", "Other"), "needs a CAS"),
            (Compound("other", "Other", cas="64-17-6"), "not a valid"),
            (Compound("Other One", "Other", cas="50-00-0"), "slug"),
        ):
            with pytest.raises(CandidateError, match=said):
                proposed(desk, library, wrong, case_id=case_id, seq=4)


# --- is the spectrum good ----------------------------------------------------------------------------------


@on_one
@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (lambda: spectrum(A, noise=0.2), "signal|noise"),
        (lambda: spectrum(A, noise=0.06), "noise"),
        (lambda: spectrum(A, low=700.0), "range"),
        (lambda: spectrum(A, flags={"saturated"}), "signal"),
        (lambda: spectrum(A, flags={"simulated"}), "measured"),
        (lambda: spectrum(A, technique="unknown"), "technique"),
    ],
)
def test_a_poor_spectrum_is_refused(desk, library, measured, said):
    case_id = answered(desk, measured=measured())
    with pytest.raises(CandidateError, match=said):
        proposed(desk, library, new(), case_id=case_id)


@on_one
def test_an_instrument_that_failed_its_check_is_refused(desk, library):
    case_id = answered(desk, ipv={**bench.PASSED, "passed": False})
    with pytest.raises(CandidateError, match="instrument"):
        proposed(desk, library, new(), case_id=case_id)


@on_one
def test_what_a_person_has_to_weigh_is_shown(desk, library):
    desk.ingest(desk.tablet.item("I-1", container="glass"))
    case_id = answered(desk, ipv="none")
    one = proposed(desk, library, new(), case_id=case_id, seq=2)
    shown = {check.name: check.good for check in one.checks}
    assert shown == {
        "signal": True, "noise": True, "range": True, "instrument": True, "measured": True,
        "checked": False, "container": False, "spikes": True, "history": True,
    }  # fmt: skip


@on_one
def test_what_goes_into_the_library_names_no_person_and_is_what_was_measured(desk, library):
    measured = spectrum(A, seed=5)
    spiked = measured.intensity.copy()
    spiked[200] += 50_000
    measured = measured.replace(intensity=spiked)
    one = proposed(desk, library, new(), case_id=answered(desk, measured=measured))
    assert "Jane" not in str(one.spectrum.acquisition)
    assert one.spectrum.acquisition.instrument == "Maker Handheld"
    assert [step.name for step in one.spectrum.history] == ["despike", "crop"]
    assert np.isnan(one.spectrum.intensity).sum() == 1
    same = ~np.isnan(one.spectrum.intensity)
    kept = (measured.axis >= 150) & (measured.axis <= 3219)
    np.testing.assert_array_equal(one.spectrum.intensity[same], measured.intensity[kept][same])
    assert (one.measured_sha256, one.spectrum_sha256) == (measured.sha256, one.spectrum.sha256)


def test_infrared_goes_in_as_absorbance():
    axis = np.arange(500.0, 4200.0, 4.0)
    share = 1 - 0.7 * np.exp(-(((axis - 1650) / 20) ** 2))
    from spectralid import Spectrum

    one = candidates.prepared(Spectrum(axis, share, technique="ftir_atr", unit="transmittance"))
    assert one.unit == "absorbance"
    assert one.range[1] <= 3980.5
    at = np.argmin(abs(one.axis - 1650))
    assert one.intensity[at] == pytest.approx(-np.log10(share[np.argmin(abs(axis - one.axis[at]))]))


@on_one
def test_near_duplicates_and_conflicts_are_shown(desk, library, tmp_path):
    first = spectrum(A, seed=1)
    base = bench.build(tmp_path / "b.h5", [(A, first), (B, spectrum(A, seed=2)), (SUBSTANCES[2], 3)])
    one = proposed(desk, base, A, case_id=answered(desk, measured=spectrum(A, seed=4)))
    assert len(one.standing.duplicates) == 1
    assert one.standing.duplicates[0].startswith(A)
    assert [slug.rsplit("-raman", 1)[0] for slug in one.standing.conflicts] == [B]
    assert one.standing.rank in (1, 2)
    # In a library that does not have it, nothing is like it.
    other = proposed(desk, library, new(), case_id=answered(desk, seizure="S-2"), seq=2)
    assert (other.standing.rank, other.standing.duplicates, other.standing.conflicts) == (None, (), ())
    assert len(other.standing.nearest) == 5


@on_one
def test_a_held_out_spectrum_stays_out(desk, library):
    measured = spectrum(A)
    case_id = answered(desk, measured=measured)
    for held in (measured.sha256, candidates.prepared(measured).sha256):
        with pytest.raises(CandidateError, match="judged by"):
            proposed(desk, library, new(), case_id=case_id, held_out={held})


def test_a_spectrum_is_proposed_once_and_again_after_a_rejection(desk, library):
    one = proposed(desk, library, new())
    case_id = one.case_id
    with pytest.raises(ConflictError, match="already"):
        proposed(desk, library, new(), case_id=case_id)
    approval.reject(desk.db, one.candidate, by="noor", why="wet sample", now=desk.time)
    desk.passes(minutes=1)
    assert proposed(desk, library, new(), case_id=case_id).candidate == 2


@on_one
def test_a_case_that_changes_while_it_is_looked_at(desk, library, monkeypatch):
    case_id = answered(desk)
    real = candidates.standing_of

    def meanwhile(*given):
        desk.passes(minutes=5)
        bench.scan(desk, B)
        return real(*given)

    monkeypatch.setattr(candidates, "standing_of", meanwhile)
    with pytest.raises(ConflictError, match="just changed"):
        proposed(desk, library, new(), case_id=case_id)
    assert candidates.listed(desk.db) == ()


@on_one
def test_what_is_not_there(desk, library):
    case_id = answered(desk)
    for seq, idx in ((9, 0), (1, 7)):
        with pytest.raises(NotFoundError):
            candidates.propose(
                desk.db, case_id, seq, idx, substance=new(), by="libby", now=desk.time, library=library
            )
    with pytest.raises(NotFoundError):
        candidates.get(desk.db, 1)


# --- who may approve ---------------------------------------------------------------------------------------


def test_two_others_approve(desk, library):
    one = proposed(desk, library, new())
    assert approve(desk, one, "noor").state == "pending"
    with pytest.raises(ConflictError, match="already"):
        approve(desk, one, "noor")
    done = approve(desk, one, "omar")
    assert done.state == "approved"
    assert [vote.by for vote in done.votes] == ["noor", "omar"]
    with pytest.raises(ConflictError, match="is approved"):
        approve(desk, one, "pia")
    assert candidates.listed(desk.db, state="approved") == (done,)


def test_neither_who_proposed_nor_who_decided_nor_who_reviewed(desk, library):
    case_id = bench.scan(desk, A, told=(B,)).case
    desk.decide(desk.lease(case_id, "ada"), says(A))
    desk.review(desk.lease(case_id, "ben", senior=True))
    one = proposed(desk, library, new(), case_id=case_id, by="libby")
    for person in ("ada", "ben", "libby"):
        with pytest.raises(SeparationError):
            approve(desk, one, person)
    assert candidates.get(desk.db, one.candidate).votes == ()


@on_one
def test_who_only_sent_the_case_back_does_not_approve_either(desk, library):
    case_id = bench.scan(desk, A, told=(B,)).case
    desk.decide(desk.lease(case_id, "ada"), says(A))
    desk.review(desk.lease(case_id, "cora", senior=True), agrees=False)
    desk.decide(desk.lease(case_id, "dan"), says(A))
    desk.review(desk.lease(case_id, "ben", senior=True))
    one = proposed(desk, library, new(), case_id=case_id)
    for person in ("ada", "ben", "cora", "dan"):
        with pytest.raises(SeparationError):
            approve(desk, one, person)


def test_one_rejection_ends_it_and_says_why(desk, library):
    one = proposed(desk, library, new())
    approve(desk, one, "noor")
    approve(desk, one, "omar")
    with pytest.raises(CandidateError, match="why"):
        approval.reject(desk.db, one.candidate, by="pia", why=" ", now=desk.time)
    done = approval.reject(desk.db, one.candidate, by="pia", why="a hydrate", now=desk.time)
    assert (done.state, done.votes[-1].words) == ("rejected", "a hydrate")
    with pytest.raises(ConflictError):
        approve(desk, one, "quinn")


@on_one
def test_an_approval_is_of_what_was_looked_at(desk, library):
    one = proposed(desk, library, new())
    with pytest.raises(ConflictError, match="looked at"):
        approval.approve(desk.db, one.candidate, by="noor", sha256="0" * 64, now=desk.time)


def test_a_case_that_changed_bears_no_approval(desk, library):
    one = proposed(desk, library, new())
    bench.scan(desk, B)  # the case goes back into the queue
    with pytest.raises(CandidateError, match="not settled"):
        approve(desk, one, "noor")


def test_everything_is_on_record_and_nothing_is_changed(desk, library):
    one = proposed(desk, library, new())
    approve(desk, one, "noor")
    with desk.db.read() as tx:
        rows = tx.execute(
            sa.text("SELECT action, actor FROM audit WHERE subject = 'candidate:1' ORDER BY n")
        ).all()
    assert [tuple(row) for row in rows] == [("candidate", "libby"), ("approve", "noor")]
    assert audit.verify(desk.db) == ()
    for statement in (
        sa.update(candidate_votes).values(by="x"),
        sa.delete(candidate_votes),
        sa.text("UPDATE candidates SET slug = 'x'"),
        sa.text("DELETE FROM candidates"),
    ):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), desk.db.begin() as tx:
            tx.execute(statement)
