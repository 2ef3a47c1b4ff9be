"""From a case to a library: a scan whose substance is known well enough is proposed as a reference.

*Known well enough* is one of two things, and the record says which:

confirmed
    The case is LAB_CONFIRMED, and what the laboratory reported of the item names this substance and no other.
presumptive
    A chemist identified this substance and no other, and somebody else agrees: a second person who reviewed
    the decision, or the field's own result on this scan. It is marked presumptive, in the library too.

Whatever is wrong with the spectrum is a reason to refuse it here. What a person has to weigh (it resembles
another substance's entry; the library has the same already; it was measured through plastic) is shown to
those who approve.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.casework.compose import spectrum_of
from spectralid.casework.errors import PacketError
from spectralid.casework.manifest import dumps
from spectralid.casework.packet import open_packet
from spectralid.chem import is_cas, is_inchikey
from spectralid.errors import InputError
from spectralid.library import Compound, ReferenceLibrary, Tier, open_library
from spectralid.library.compounds import CompoundIndex, make_slug
from spectralid.reachback.bench import decisions
from spectralid.reachback.caseload import cases
from spectralid.reachback.caseload.cases import State
from spectralid.reachback.errors import ConflictError, NotFoundError
from spectralid.reachback.lab import laboratory
from spectralid.reachback.releases.candidate_spectrum import (
    CandidateError,
    Check,
    Standing,
    checks_of,
    packed,
    prepared,
    standing_of,
    unpacked,
)
from spectralid.reachback.releases.tables import (
    candidate_votes,
    candidates,
    library_publications,
    library_releases,
)
from spectralid.reachback.store import audit, copies
from spectralid.reachback.store.tables import scans
from spectralid.spectrum import Spectrum

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database

__all__ = [
    "TIER",
    "Basis",
    "Candidate",
    "CandidateError",
    "Check",
    "Standing",
    "Vote",
    "basis_of",
    "find",
    "get",
    "listed",
    "prepared",
    "propose",
    "standing_of",
]

TIER: Final = Tier.MEASURED
"""Of every entry that comes from here."""

LICENCE: Final = "agency use only"

_ANSWERED: Final = (State.ANSWERED, State.DELIVERED, State.FORWARD_LAB, State.REGIONAL_LAB)
_LONGEST: Final = 2000

Vouched = Literal["confirmed", "presumptive"]


@dataclass(frozen=True, slots=True)
class Basis:
    """Why a substance counts as known.

    Attributes
    ----------
    status : {"confirmed", "presumptive"}
        What may be said of it.
    words : str
        On what it rests.
    state : str
        Of the case.
    decided_by : tuple of str
        Everybody who decided on the case or reviewed it; none of them approves.
    laboratory : mapping
        ``laboratory``, ``report_ref``, ``sample_ref``, ``methods``, ``measured_utc`` of the report that
        counts; empty without one.
    """

    status: Vouched
    words: str
    state: str
    decided_by: tuple[str, ...]
    laboratory: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vote:
    """What a person said of a candidate."""

    by: str
    vote: Literal["approve", "reject"]
    words: str
    utc: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed reference.

    Attributes
    ----------
    candidate : int
        Its number.
    case_id, device_id, seq, idx
        Where it is from.
    slug, form, compound
        What it is a spectrum of.
    technique : str
        How it was measured.
    status : {"confirmed", "presumptive"}
        What may be said of it.
    basis, provenance, checks, standing
        Why it counts as known, where it is from, what was looked at, and what the library has like it.
    licence, owner, note : str
        Who may use it, whose it is, and anything else.
    measured_sha256, spectrum_sha256 : str
        Identity of the spectrum as it was recorded, and as it is proposed.
    sha256 : str
        Of all of this: what an approval is of.
    proposed_by, proposed_utc : str
        Who and when.
    votes : tuple of Vote
        What was said of it.
    release : int or None
        With which release it was handed out.
    """

    candidate: int
    case_id: str
    device_id: str
    seq: int
    idx: int
    slug: str
    form: str
    compound: Compound
    technique: str
    status: Vouched
    basis: Basis
    provenance: Mapping[str, Any]
    checks: tuple[Check, ...]
    standing: Standing
    licence: str
    owner: str
    note: str
    measured_sha256: str
    spectrum_sha256: str
    sha256: str
    proposed_by: str
    proposed_utc: str
    votes: tuple[Vote, ...] = ()
    release: int | None = None
    spectrum: Spectrum = field(compare=False, repr=False, kw_only=True)

    @property
    def state(self) -> Literal["pending", "approved", "rejected", "released"]:
        """Where it stands: two persons approve, one rejects."""
        if self.release is not None:
            return "released"
        if any(vote.vote == "reject" for vote in self.votes):
            return "rejected"
        return "approved" if len(self.votes) >= NEEDED else "pending"


NEEDED: Final = 2
"""Persons who approve."""


# --- proposed ----------------------------------------------------------------------------------------------


def propose(
    db: Database,
    case_id: str,
    seq: int,
    idx: int,
    *,
    substance: str | Compound,
    by: str,
    now: datetime,
    library: ReferenceLibrary | None = None,
    form: str = "",
    licence: str = LICENCE,
    owner: str = "",
    note: str = "",
    held_out: Collection[str] = (),
) -> Candidate:
    """Propose a scan of a case as a reference.

    Parameters
    ----------
    db : Database
        The server's.
    case_id, seq, idx
        The case, the packet of its device, and which of its spectra.
    substance : str or Compound
        Slug, CAS number, InChIKey or name of a compound that the library knows; or a new one, with a name
        and a CAS number or an InChIKey.
    by : str
        Who proposes it.
    now : datetime
        When.
    library : ReferenceLibrary, optional
        The library in force; the bundled one by default.
    form : str
        Salt, hydrate or polymorph, where it is not the compound as such.
    licence, owner, note : str
        Who may use it, whose it is, anything else.
    held_out : collection of str
        Identities of spectra that releases are judged by; none of them becomes a reference.

    Raises
    ------
    NotFoundError
        If there is no such scan in the case.
    CandidateError
        If the substance is not known well enough, or the spectrum is not good enough.
    ConflictError
        If it was proposed before.
    """
    library = library or open_library()
    _short(form=form, licence=licence, owner=owner, note=note)
    compound, form = _compound(substance, form, library)
    with db.read() as tx:
        case = cases.get(tx, case_id)
        raw = copies.raw_of(tx, case["device_id"], seq)
        row = (
            tx.execute(
                sa.select(scans).where(
                    scans.c.device_id == case["device_id"], scans.c.seq == seq, scans.c.case_id == case_id
                )
            )
            .mappings()
            .first()
        )
        container = _container(tx, case_id, row["item_ref"]) if row else ""
    if row is None:
        raise NotFoundError(f"The case {case_id} has no scan {seq}.")
    basis = basis_of(db, case_id, row, compound.slug)
    packet = open_packet(raw, None)
    measured = _measured(packet, idx)
    try:
        spectrum = prepared(measured)
    except InputError as error:
        raise CandidateError(str(error)) from None
    if not {measured.sha256, spectrum.sha256}.isdisjoint(held_out):
        raise CandidateError("This spectrum is one of those that releases are judged by; it stays out.")
    checks = checks_of(spectrum, measured, row, container)
    standing = standing_of(spectrum, compound.slug, library)
    said = {
        "case_id": case_id,
        "device_id": case["device_id"],
        "seq": seq,
        "idx": idx,
        "slug": compound.slug,
        "form": form,
        "compound": dumps(compound.to_dict()).decode(),
        "technique": spectrum.technique.value,
        "status": basis.status,
        "basis": dumps(_plain(basis)).decode(),
        "provenance": dumps(_provenance(case, row, packet.sha256, measured, basis)).decode(),
        "checks": dumps({"checks": [_plain(one) for one in checks]}).decode(),
        "standing": dumps(_plain(standing)).decode(),
        "licence": licence,
        "owner": owner,
        "note": note,
        "measured_sha256": measured.sha256,
        "spectrum_sha256": spectrum.sha256,
        "proposed_by": by,
        "proposed_utc": to_text(now),
    }
    content = {**said, "spectrum": packed(spectrum), "sha256": hashlib.sha256(dumps(said)).hexdigest()}
    with db.begin() as tx:
        if cases.get(tx, case_id)["changed_utc"] != case["changed_utc"]:
            raise ConflictError(f"The case {case_id} has just changed; look at it again.")
        _refuse_again(tx, measured.sha256)
        number = (
            tx.execute(sa.select(sa.func.coalesce(sa.func.max(candidates.c.candidate), 0))).scalar_one() + 1
        )
        facts = {
            "case": case_id,
            "seq": seq,
            "slug": compound.slug,
            "status": basis.status,
            "sha256": content["sha256"],
        }
        n = audit.append(tx, by, "candidate", f"candidate:{number}", facts, now=now)
        tx.execute(candidates.insert(), {**content, "candidate": number, "audit_n": n})
        return find(tx, number)


def get(db: Database, candidate: int) -> Candidate:
    """A candidate.

    Raises
    ------
    NotFoundError
        If there is none of that number.
    """
    with db.read() as tx:
        return find(tx, candidate)


def listed(db: Database, *, state: str = "", case_id: str = "") -> tuple[Candidate, ...]:
    """Candidates, oldest first: all of them, or those in a state or of a case."""
    chosen = sa.select(candidates).order_by(candidates.c.candidate)
    if case_id:
        chosen = chosen.where(candidates.c.case_id == case_id)
    with db.read() as tx:
        found = _read(tx, tx.execute(chosen).mappings().all())
    return tuple(one for one in found if state in ("", one.state))


def _refuse_again(tx: Connection, measured_sha256: str) -> None:
    rows = tx.execute(sa.select(candidates).where(candidates.c.measured_sha256 == measured_sha256))
    for one in _read(tx, rows.mappings().all()):
        if one.state != "rejected":
            raise ConflictError(f"This spectrum is candidate {one.candidate} already ({one.state}).")


# --- is the substance known --------------------------------------------------------------------------------


def basis_of(db: Database, case_id: str, scan: Mapping[Any, Any], slug: str) -> Basis:
    """Why the substance of a scan counts as known now.

    Parameters
    ----------
    db : Database
        The server's.
    case_id : str
        The case.
    scan : mapping
        Its row in the table of scans.
    slug : str
        The substance.

    Raises
    ------
    CandidateError
        If it does not.
    """
    with db.read() as tx:
        case = cases.get(tx, case_id)
    written = decisions.of_case(db, case_id)
    persons = tuple(sorted({one["by"] for one in written}))
    result = laboratory.standing(laboratory.of_case(db, case_id)).get(scan["item_ref"])
    state = case["state"]
    if state == State.LAB_CONFIRMED:
        found = {one.slug for one in result.substances} if result else set()
        if result is None or result.result != "confirmed" or found != {slug}:
            raise CandidateError(
                f"The laboratory has not confirmed {slug!r}, and no other, for the item {scan['item_ref']}."
            )
        report = {
            "laboratory": result.laboratory,
            "report_ref": result.report_ref,
            "sample_ref": result.sample_ref,
            "methods": list(result.methods),
            "measured_utc": result.measured_utc,
        }
        words = f"{result.laboratory} confirmed it ({result.report_ref or result.sample_ref})."
        return Basis("confirmed", words, state, persons, report)
    if state not in _ANSWERED:
        raise CandidateError(f"The case {case_id} is {state}; its substance is not settled.")
    decided = [one for one in written if one["kind"] == "decision"]
    newest = decided[-1] if decided else None
    if newest is None or newest["said"]["verdict"] != "identified" or newest["said"]["substances"] != [slug]:
        raise CandidateError(f"Nobody has identified {slug!r}, and no other, as the substance of this case.")
    reviews = [one for one in written if one["kind"] == "review" and one["audit_n"] > newest["audit_n"]]
    if any(one["said"]["agrees"] and one["by"] != newest["by"] for one in reviews):
        other = next(one["by"] for one in reviews if one["said"]["agrees"])
        return Basis("presumptive", f"{newest['by']} identified it and {other} agreed.", state, persons)
    if scan["decision"] == "identified" and json.loads(scan["substances"]) == [slug]:
        words = f"{newest['by']} identified it, and so had the field's own result."
        return Basis("presumptive", words, state, persons)
    raise CandidateError(
        f"{newest['by']} alone holds it for {slug!r}; a second person has to agree, or a laboratory to "
        "confirm it."
    )


def _compound(substance: str | Compound, form: str, library: ReferenceLibrary) -> tuple[Compound, str]:
    index = CompoundIndex(library.compounds)
    if isinstance(substance, str):
        text = substance.strip()
        if known := index.by_slug.get(text):
            return known, form
        found = index.find(cas=text, inchikey=text, name=text)
        if found is None:
            raise CandidateError(
                f"The library knows no {text[:80]!r}; propose it as a new compound, with its identifiers."
            )
        return found[0], form or found[1]
    if make_slug(substance.slug) != substance.slug or not substance.name.strip():
        raise CandidateError("A new compound needs a name, and a slug of lower-case letters and digits.")
    if known := index.by_slug.get(substance.slug):
        if any(
            theirs and ours and theirs != ours
            for theirs, ours in ((substance.cas, known.cas), (substance.inchikey, known.inchikey))
        ):
            raise CandidateError(f"The library knows {known.slug!r} with other identifiers.")
        return known, form
    if (substance.cas and not is_cas(substance.cas)) or (
        substance.inchikey and not is_inchikey(substance.inchikey)
    ):
        raise CandidateError("The CAS number or the InChIKey is not a valid one.")
    if not substance.cas and not substance.inchikey:
        raise CandidateError("A new compound needs a CAS number or an InChIKey.")
    same = index.find(cas=substance.cas, inchikey=substance.inchikey)
    if same is not None:
        raise CandidateError(f"The library knows it as {same[0].slug!r}.")
    return substance, form


def _measured(packet: Any, idx: int) -> Spectrum:
    listed = packet.manifest.get("spectra", ())
    if not 0 <= idx < len(listed):
        raise NotFoundError(f"The scan has no spectrum {idx}.")
    role = listed[idx].get("role")
    if role != "sample" or any(one.get("role") == role for one in listed[:idx]):
        raise CandidateError("Only the spectrum of the sample itself is proposed.")
    try:
        return spectrum_of(packet, role)
    except PacketError as error:
        raise CandidateError(str(error)) from None


# --- written and read --------------------------------------------------------------------------------------


def _container(tx: Connection, case_id: str, item_ref: str) -> str:
    from spectralid.reachback.store.tables import items

    chosen = sa.select(items.c.container).where(
        items.c.case_id == case_id, items.c.item_ref == item_ref, items.c.container != ""
    )
    return str(tx.execute(chosen.order_by(items.c.seq.desc()).limit(1)).scalar() or "")


def _provenance(
    case: Mapping[str, Any], scan: Mapping[Any, Any], packet: str, measured: Spectrum, basis: Basis
) -> dict[str, Any]:
    return {
        "case": case["case_id"],
        "device": case["device_id"],
        "site": case["site_ref"],
        "item": scan["item_ref"],
        "packet_sha256": packet,
        "instrument": scan["instrument"],
        "laser_nm": measured.acquisition.laser_nm,
        "ipv": scan["ipv"],
        "captured_utc": scan["captured_utc"],
        "received_utc": scan["received_utc"],
        "field": {
            "decision": scan["decision"],
            "substances": json.loads(scan["substances"]),
            "library": f"{scan['library_name']} {scan['library_version']}",
            "engine": scan["engine_version"],
        },
        "laboratory": dict(basis.laboratory),
    }


def _short(**texts: str) -> None:
    for name, text in texts.items():
        if len(text) > (_LONGEST if name == "note" else 200) or not text.isprintable():
            raise CandidateError(f"The {name} is too long, or has characters that cannot be shown.")


def _plain(value: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(value)


def find(tx: Connection, candidate: int) -> Candidate:
    """As `get`, within a transaction."""
    row = tx.execute(sa.select(candidates).where(candidates.c.candidate == candidate)).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no candidate {candidate}.")
    return _read(tx, [row])[0]


def _read(tx: Connection, rows: Sequence[Mapping[Any, Any]]) -> list[Candidate]:
    votes: dict[int, list[Vote]] = {}
    for vote in tx.execute(sa.select(candidate_votes).order_by(candidate_votes.c.audit_n)).mappings():
        one = Vote(vote["by"], vote["vote"], vote["words"], vote["utc"])
        votes.setdefault(vote["candidate"], []).append(one)
    released: dict[int, int] = {}
    joined = sa.select(library_releases.c.number, library_releases.c.manifest).join(library_publications)
    for number, manifest in tx.execute(joined.order_by(library_releases.c.number.desc())):
        released |= dict.fromkeys(json.loads(manifest)["candidates"], number)
    return [_candidate(row, votes.get(row["candidate"], []), released.get(row["candidate"])) for row in rows]


def _candidate(row: Mapping[Any, Any], votes: Sequence[Vote], release: int | None) -> Candidate:
    basis, standing = json.loads(row["basis"]), json.loads(row["standing"])
    read = {
        "compound": Compound.from_dict(json.loads(row["compound"])),
        "basis": Basis(**{**basis, "decided_by": tuple(basis["decided_by"])}),
        "provenance": json.loads(row["provenance"]),
        "checks": tuple(Check(**one) for one in json.loads(row["checks"])["checks"]),
        "standing": Standing(
            standing["library"],
            standing["rank"],
            *(tuple(standing[name]) for name in ("nearest", "duplicates", "conflicts")),
        ),
        "spectrum": unpacked(row["spectrum"]),
    }
    plain = {
        name: row[name]
        for name in Candidate.__dataclass_fields__
        if name not in read and name not in ("votes", "release")
    }
    return Candidate(**plain, **read, votes=tuple(votes), release=release)
