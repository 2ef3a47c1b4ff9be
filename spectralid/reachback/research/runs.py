"""Re-search: after a release, every archived scan is searched again against what changed in the library.

A *run* is bound to two libraries, kept beside the database under their identities, and to the references that
changed between them. Its *parts* are rows of the archive (`research.archive`). A worker claims a
part for a while, works on it outside of any transaction, and stores what it found, what that does to cases,
and that the part is done, in one transaction under the token it was given. Whoever is killed loses the part
to the next worker when the lease has run out; a worker that comes back too late holds a stale token and
stores nothing. So each scan counts exactly once for each run, however often it was looked at.

Runs are worked on in the order of releases. When all parts are done and packets have come in meanwhile, their
rows become further parts; that goes on for `LATE` after the end, for tablets that were offline and still had
the library before.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

import spectralid
from spectralid.casework.clock import to_text
from spectralid.errors import ParameterError, SpectralIDError
from spectralid.files import write_whole
from spectralid.identify.families import family_of
from spectralid.library import ReferenceLibrary, compare_libraries, open_library
from spectralid.library.schema import canonical_json
from spectralid.reachback.errors import ConflictError, DamagedError, NotFoundError
from spectralid.reachback.research.archive import KINDS, SHARD_ROWS, Archive, ScanRef
from spectralid.reachback.research.effects import Looked, effect_of
from spectralid.reachback.research.job import Candidate, Judge, Target, candidates, judge, one_thread
from spectralid.reachback.research.judge import DEADLY, Answer, Judged, Libraries
from spectralid.reachback.research.tables import research_hits, research_runs, research_shards
from spectralid.reachback.store import audit, copies
from spectralid.reachback.store.tables import adjudications, scans, spectra

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database
    from spectralid.reachback.store.serverkeys import ServerKeys
    from spectralid.spectrum import Spectrum

__all__ = [
    "LATE",
    "LEASE",
    "Part",
    "Progress",
    "claim",
    "complete",
    "forward",
    "get",
    "listed",
    "of_case",
    "pending",
    "read_scan",
    "renew",
    "start",
    "start_for_release",
    "suspected",
    "target_of",
    "work",
]

LEASE: Final = timedelta(minutes=10)
"""For how long a worker has a part; it asks for more while it works."""
LATE: Final = timedelta(days=180)
"""For how long after the end of a run packets that come in are still searched by it."""

_LIBRARIES: Final = "libraries"
_FAMILIES: Final = (".raman.families", ".infrared.families")
_FACTS: Final = ("category", "schedule", "hazards", "fentanyl_related", "verification")
_ACTOR: Final = "research"
_MOST_CASES: Final = 500


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of the archive that a worker has claimed.

    Attributes
    ----------
    run_id, kind, start, stop
        Which.
    token : int
        Grows with every claim; only the newest can be completed.
    """

    run_id: str
    kind: str
    start: int
    stop: int
    token: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A run and how far it has come.

    Attributes
    ----------
    run_id, state, library_name, library_version, to_sha256, from_sha256, made_by : str
        Which; ``queued``, ``running`` or ``done``.
    created_utc, started_utc, finished_utc : str or None
        When.
    changed, removed : int
        References searched for.
    spectra, searched : int
        Rows planned so far, and done.
    parts, parts_done : int
        Likewise.
    pairs, judged : int
        Scans that the first pass passed on, and that the second looked at.
    answers_changed, agree, reopened : int
        Scans whose answer changed, those of which a chemist had said so, and cases reopened.
    upto : int
        Number of the audit log up to which packets are in it.
    """

    run_id: str
    state: str
    library_name: str
    library_version: str
    to_sha256: str
    from_sha256: str | None
    made_by: str
    created_utc: str
    started_utc: str | None
    finished_utc: str | None
    changed: int
    removed: int
    spectra: int
    searched: int
    parts: int
    parts_done: int
    pairs: int
    judged: int
    answers_changed: int
    agree: int
    reopened: int
    upto: int


# --- a run -------------------------------------------------------------------------------------------------


def start(
    db: Database,
    library_path: str | os.PathLike[str],
    changed: Iterable[str] = (),
    *,
    by: str,
    now: datetime,
    before: str | os.PathLike[str] | None = None,
    removed: Iterable[str] = (),
) -> str:
    """Queue a run after a release; the same release again is the same run.

    Parameters
    ----------
    db : Database
        The server's.
    library_path : path
        The library that was released; it and the one before are copied beside the database.
    changed : iterable of str
        Its references that are new or were corrected.
    by : str
        Who.
    now : datetime
        When.
    before : path, optional
        The library that was in force.
    removed : iterable of str
        References of `before` that are gone or were corrected. With `before` and neither of both lists, both
        are found by comparing the libraries.

    Returns
    -------
    str
        Name of the run.

    Raises
    ------
    LibraryError
        If a library cannot be read.
    ParameterError
        If a reference is in neither library, or nothing says what has changed.
    """
    after = open_library(Path(library_path))
    old = open_library(Path(before)) if before is not None else None
    new_ids, old_ids = set(changed), set(removed)
    slugs: set[str] = set()
    if old is not None:
        if not new_ids and not old_ids:
            found = compare_libraries(old, after)
            new_ids = {*found.references_added, *(one.after_id for one in found.references_changed)}
            old_ids = {*found.references_removed, *(one.before_id for one in found.references_changed)}
        slugs |= _said_otherwise(old, after)
    _known(after, new_ids, "changed")
    if old_ids:
        if old is None:
            raise ParameterError("removed", sorted(old_ids)[0], "given together with the library before")
        _known(old, old_ids, "removed")
        slugs |= {info.compound_slug for info in old.references if info.id in old_ids}
    if old is None and not new_ids:
        raise ParameterError("changed", "nothing", "at least one reference, or the library before")
    deadly = sorted(
        {one.slug for lib in (after, old) if lib for one in lib.compounds if family_of(one) in DEADLY}
    )
    facts = {
        "from": old.sha256 if old is not None else None,
        "to": after.sha256,
        "changed": sorted(new_ids),
        "removed": sorted(old_ids),
        "suspects": sorted(slugs),
    }
    run_id = "R-" + hashlib.sha256(canonical_json(facts)).hexdigest()[:16]
    for library in (after, old):
        if library is not None:
            _keep(db, library)
    with db.begin() as tx:
        if tx.execute(sa.select(research_runs.c.run_id).where(research_runs.c.run_id == run_id)).first():
            return run_id
        number = tx.execute(sa.select(sa.func.coalesce(sa.func.max(research_runs.c.number), 0))).scalar_one()
        row = {
            "run_id": run_id,
            "number": number + 1,
            "state": "queued",
            "from_sha256": facts["from"],
            "to_sha256": after.sha256,
            "library_name": after.name,
            "library_version": after.version,
            "changed": json.dumps(facts["changed"]),
            "removed": json.dumps(facts["removed"]),
            "suspects": json.dumps(facts["suspects"]),
            "deadly": json.dumps(deadly),
            "engine_version": spectralid.__version__,
            "made_by": by,
            "created_utc": to_text(now),
        }
        tx.execute(research_runs.insert(), row)
        said = {"event": "queued", "from": facts["from"], "to": after.sha256, "changed": len(new_ids),
                "removed": len(old_ids)}  # fmt: skip
        audit.append(tx, by, "research", run_id, said, now=now)
    return run_id


def start_for_release(
    db: Database,
    number: int,
    *,
    by: str,
    now: datetime,
    changed: Iterable[str] = (),
    removed: Iterable[str] = (),
) -> str:
    """Queue a run for a library that this server has released (`spectralid.reachback.releases.release`).

    Parameters
    ----------
    db : Database
        The server's.
    number : int
        Of the release.
    by, now, changed, removed
        As for `start`; what is not given is what the release changed of the library it was built on.

    Returns
    -------
    str
        Name of the run.

    Raises
    ------
    NotFoundError
        If there is no such release.
    ParameterError
        As for `start`.
    """
    from spectralid.reachback.releases import release

    folder = release.folder_of(db)
    wanted = release.get(db, number)
    base = str(wanted.manifest["base"]["sha256"])
    earlier = [one for one in release.listed(db) if one.sha256 == base]
    if earlier:
        before: Path | None = release.path_of(folder, earlier[-1].number)
    else:
        found = (_kept(db, base), folder.parent / "library.h5", open_library().path)
        before = next((path for path in found if path.is_file() and open_library(path).sha256 == base), None)
    return start(db, release.path_of(folder, number), changed, before=before, removed=removed, by=by, now=now)


def _said_otherwise(before: ReferenceLibrary, after: ReferenceLibrary) -> set[str]:
    """Substances of both libraries of which something is said otherwise that alarms depend on."""
    facts = [
        {one.slug: [getattr(one, name) for name in _FACTS] for one in library.compounds}
        for library in (before, after)
    ]
    return {slug for slug, said in facts[0].items() if facts[1].get(slug, said) != said}


def _known(library: ReferenceLibrary, ids: Iterable[str], name: str) -> None:
    if unknown := set(ids) - {info.id for info in library.references}:
        raise ParameterError(name, min(unknown), f"a reference of {library.name!r} {library.version}")


def _kept(db: Database, sha256: str) -> Path:
    return Archive(db).folder / _LIBRARIES / f"{sha256}.h5"


def _keep(db: Database, library: ReferenceLibrary) -> None:
    """A copy under its identity: whatever becomes of the original, the run stays bound to it."""
    target = _kept(db, library.sha256)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for suffix in _FAMILIES:
        model = library.path.with_suffix(suffix)
        if model.exists():
            write_whole(target.with_suffix(suffix), [model.read_bytes()])
    if not target.exists():
        write_whole(target, [library.path.read_bytes()])


def target_of(db: Database, run: Mapping[str, Any]) -> Target:
    """What a run searches for.

    Parameters
    ----------
    db : Database
        The server's.
    run : mapping
        Row of ``research_runs``.
    """
    before, after = run["from_sha256"], run["to_sha256"]
    return Target(
        Libraries((str(_kept(db, before)), before) if before else None, (str(_kept(db, after)), after)),
        *(tuple(json.loads(run[name])) for name in ("changed", "removed", "suspects", "deadly")),
    )


# --- parts -------------------------------------------------------------------------------------------------


def forward(db: Database, archive: Archive, *, now: datetime) -> dict[str, Any] | None:
    """The run that has open parts, after making parts of whatever came in; ``None`` if all is done.

    Parameters
    ----------
    db : Database
        The server's.
    archive : Archive
        Its archive, which is brought up to date when a run begins and when it may be over.
    now : datetime
        When.
    """
    recent = to_text(now - LATE)
    chosen = sa.select(research_runs).where(
        sa.or_(research_runs.c.finished_utc.is_(None), research_runs.c.finished_utc >= recent)
    )
    with db.read() as tx:
        runs = [dict(row) for row in tx.execute(chosen.order_by(research_runs.c.number)).mappings()]
        open_ones = set(tx.execute(_open().distinct()).scalars())
    fresh = False
    for run in runs:
        if run["run_id"] in open_ones:
            return run
        if not fresh:
            try:
                archive.update()
            except ConflictError:
                if run["state"] != "done":
                    # Another worker is at it: the run is not over before that is in.
                    return None
                continue
            fresh = True
        if _planned(db, archive, run, now=now):
            return run
    return None


def _open() -> sa.Select[Any]:
    return sa.select(research_shards.c.run_id).where(research_shards.c.state != "done")


def _planned(db: Database, archive: Archive, run: Mapping[str, Any], *, now: datetime) -> bool:
    """Make parts of rows that the run does not cover yet; else it is over. Returns whether there are any."""
    there = archive.manifest()
    this = research_runs.c.run_id == run["run_id"]
    of_run = research_shards.c.run_id == run["run_id"]
    with db.begin() as tx:
        if tx.execute(_open().where(of_run).limit(1)).first():
            return True
        covered = dict(
            tx.execute(
                sa.select(research_shards.c.kind, sa.func.max(research_shards.c.stop))
                .where(of_run)
                .group_by(research_shards.c.kind)
            ).all()
        )
        new = [
            {"run_id": run["run_id"], "kind": kind, "start": first, "stop": last, "state": "open"}
            for kind in KINDS
            for first, last in _parts(covered.get(kind, 0), there["rows"][kind], archive.shard_rows)
        ]
        before = tx.execute(sa.select(research_runs).where(this)).mappings().one()
        if new:
            tx.execute(research_shards.insert(), new)
            tx.execute(
                research_runs.update()
                .where(this)
                .values(
                    state="running",
                    started_utc=before["started_utc"] or to_text(now),
                    finished_utc=None,
                    upto=there["upto"],
                )
            )
            facts = {"event": "planned", "rows": sum(one["stop"] - one["start"] for one in new)}
            audit.append(tx, _ACTOR, "research", run["run_id"], {**facts, "upto": there["upto"]}, now=now)
        elif before["state"] != "done":
            utc = to_text(now)
            tx.execute(
                research_runs.update()
                .where(this)
                .values(
                    state="done",
                    started_utc=before["started_utc"] or utc,
                    finished_utc=utc,
                    upto=there["upto"],
                )
            )
            audit.append(
                tx, _ACTOR, "research", run["run_id"], {"event": "done", "upto": there["upto"]}, now=now
            )
    return bool(new)


def _parts(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """Ranges that end where shards do."""
    ends = [*range((start // size + 1) * size, stop, size), stop]
    return [(first, last) for first, last in zip([start, *ends], ends, strict=False) if first < last]


def claim(db: Database, run_id: str, holder: str, *, now: datetime, lease: timedelta = LEASE) -> Part | None:
    """Take a part that nobody works on, or whose worker has not been heard of for too long.

    Parameters
    ----------
    db : Database
        The server's.
    run_id : str
        Of which run.
    holder : str
        Who takes it.
    now : datetime
        When.
    lease : timedelta
        For how long.

    Returns
    -------
    Part or None
        ``None`` if others have what is left.
    """
    table = research_shards.c
    free = sa.or_(table.state == "open", sa.and_(table.state == "claimed", table.until_utc <= to_text(now)))
    chosen = (
        sa.select(research_shards)
        .where(table.run_id == run_id, free)
        .order_by(table.kind.desc(), table.start)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    with db.begin() as tx:
        row = tx.execute(chosen).mappings().first()
        if row is None:
            return None
        part = Part(run_id, row["kind"], row["start"], row["stop"], row["token"] + 1)
        tx.execute(
            research_shards.update()
            .where(*_this(part))
            .values(state="claimed", token=part.token, holder=holder, until_utc=to_text(now + lease))
        )
        return part


def renew(db: Database, part: Part, *, now: datetime, lease: timedelta = LEASE) -> bool:
    """Keep a part for longer; ``False`` if another worker has it by now."""
    with db.begin() as tx:
        done = tx.execute(
            research_shards.update()
            .where(*_this(part), research_shards.c.token == part.token, research_shards.c.state == "claimed")
            .values(until_utc=to_text(now + lease))
        )
        return bool(done.rowcount)


def _this(part: Part) -> tuple[sa.ColumnElement[bool], ...]:
    table = research_shards.c
    return (table.run_id == part.run_id, table.kind == part.kind, table.start == part.start)


def complete(
    db: Database, keys: ServerKeys, part: Part, looked: Sequence[Looked], *, passed: int, now: datetime
) -> bool:
    """Store what was found in a part, what it does to cases, and that it is done, all at once.

    Parameters
    ----------
    db, keys
        The server's.
    part : Part
        As it was claimed.
    looked : sequence of Looked
        Scans that went through the second pass.
    passed : int
        How many the first pass passed on.
    now : datetime
        When.

    Returns
    -------
    bool
        ``False``, and nothing is stored, if another worker has claimed the part since.
    """
    # One order, whichever worker brought what first.
    looked = sorted(looked, key=lambda one: one.candidate.ref)
    with db.begin() as tx:
        row = tx.execute(sa.select(research_shards).where(*_this(part))).mappings().one()
        if not _is_held(row, part):
            return False
        run = _run(tx, part.run_id)
        effects = _effects(tx, keys, run, looked, now=now)
        hits = [
            _hit(run, one, *effects.get(i, ("none", one.judged.outcome)), now=now)
            for i, one in enumerate(looked)
        ]
        if hits:
            tx.execute(research_hits.insert(), hits)
        changed = sum(hit["outcome"] == "changed" for hit in hits)
        facts = {
            "event": "part", "kind": part.kind, "rows": [part.start, part.stop], "token": part.token,
            "passed": passed, "judged": len(looked), "changed": changed,
        }  # fmt: skip
        n = audit.append(tx, _ACTOR, "research", part.run_id, facts, now=now)
        tx.execute(
            research_shards.update()
            .where(*_this(part))
            .values(
                state="done", holder=None, until_utc=None, pairs=passed, judged=len(looked), changed=changed,
                done_utc=to_text(now), audit_n=n,
            )
        )  # fmt: skip
        return True


def _effects(
    tx: Connection, keys: ServerKeys, run: Mapping[str, Any], looked: Sequence[Looked], *, now: datetime
) -> dict[int, tuple[str, str]]:
    """Effect and outcome of each scan whose answer changed, by its position."""
    of_case: dict[str, list[int]] = {}
    for i, one in enumerate(looked):
        if one.judged.outcome == "changed":
            of_case.setdefault(one.case_id, []).append(i)
    found: dict[int, tuple[str, str]] = {}
    for case_id, members in of_case.items():
        effect, agrees = effect_of(tx, keys, run, case_id, [looked[i] for i in members], now=now)
        for position, i in enumerate(members):
            found[i] = ("none", "agrees") if position in agrees else (effect, "changed")
    return found


def _is_held(row: sa.RowMapping, part: Part) -> bool:
    """Whether nobody has claimed a part since, by the token it was given with."""
    return bool(row["token"] == part.token and row["state"] == "claimed")


def _hit(run: Mapping[str, Any], one: Looked, effect: str, outcome: str, *, now: datetime) -> dict[str, Any]:
    ref, judged = one.candidate.ref, one.judged
    return {
        "run_id": run["run_id"],
        "device_id": ref.device_id,
        "seq": ref.seq,
        "idx": ref.idx,
        "library_sha256": run["to_sha256"],
        "case_id": one.case_id,
        "entry": one.candidate.entry,
        "cosine": one.candidate.cosine,
        "partial": one.candidate.partial,
        "outcome": outcome,
        "effect": effect,
        "deadly": judged.deadly,
        "why": json.dumps(judged.why),
        "before": _text(judged.before),
        "after": _text(judged.after),
        "utc": to_text(now),
    }


def _text(answer: Answer | None) -> str:
    return canonical_json(answer.to_dict() if answer is not None else None).decode()


# --- scans -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan as it goes to the second pass.

    Attributes
    ----------
    case_id : str
        Its case.
    recorded : Answer
        What the field was told.
    library : tuple of str
        Name and version of the library that said so.
    """

    case_id: str
    recorded: Answer
    library: tuple[str, str]


def read_scan(db: Database, ref: ScanRef) -> tuple[Scan, Spectrum | SpectralIDError]:
    """A scan and its spectrum: as the packet has it, else as the table has it; or why there is none.

    Parameters
    ----------
    db : Database
        The server's.
    ref : ScanRef
        Which.
    """
    this = (scans.c.device_id == ref.device_id, scans.c.seq == ref.seq)
    with db.read() as tx:
        row = tx.execute(sa.select(scans).where(*this)).mappings().one()
        try:
            raw = copies.raw_of(tx, ref.device_id, ref.seq)
        except DamagedError:
            raw = b""  # scrubbing asks for it again; what the table has was read while it was sound
        stored = tx.execute(
            sa.select(spectra).where(
                spectra.c.device_id == ref.device_id, spectra.c.seq == ref.seq, spectra.c.role == "sample"
            )
        ).mappings().all()  # fmt: skip
    scan = Scan(row["case_id"], Answer.of_record(dict(row)), (row["library_name"], row["library_version"]))
    try:
        return scan, _spectrum(raw, [dict(one) for one in stored], ref.idx)
    except SpectralIDError as error:
        return scan, error


def _spectrum(raw: bytes, stored: Sequence[Mapping[str, Any]], idx: int) -> Spectrum:
    import numpy as np

    from spectralid.casework.compose import spectrum_of
    from spectralid.casework.errors import PacketError
    from spectralid.casework.packet import open_packet
    from spectralid.spectrum import IntensityUnit, Spectrum, Technique

    if len(stored) == 1:
        try:
            # As measured, with what was done to it and how sure its axis is.
            return spectrum_of(open_packet(raw, None))
        except PacketError:
            pass
    row = next(one for one in stored if one["idx"] == idx)
    axis, intensity = (np.frombuffer(row[name], "<f4").astype(float) for name in ("axis", "intensity"))
    return Spectrum.from_points(
        axis, intensity, technique=Technique(row["technique"]), unit=IntensityUnit(row["unit"])
    )


def suspected(db: Database, target: Target) -> frozenset[ScanRef]:
    """Scans of cases in which a chemist named a substance that is looked at again."""
    if not target.suspects:
        return frozenset()
    chosen = sa.select(adjudications.c.case_id, adjudications.c.content).where(
        adjudications.c.kind == "decision",
        sa.or_(*(adjudications.c.content.contains(json.dumps(slug)) for slug in target.suspects)),
    )
    with db.read() as tx:
        found = {
            case_id for case_id, content in tx.execute(chosen)
            if set(json.loads(content)["said"]["substances"]) & set(target.suspects)
        }  # fmt: skip
        refs: set[ScanRef] = set()
        ordered = sorted(found)
        for first in range(0, len(ordered), _MOST_CASES):
            rows = tx.execute(
                sa.select(spectra.c.device_id, spectra.c.seq, spectra.c.idx).where(
                    spectra.c.case_id.in_(ordered[first : first + _MOST_CASES]), spectra.c.role == "sample"
                )
            )
            refs.update(ScanRef(*row) for row in rows)
    return frozenset(refs)


def newer_libraries(db: Database, run: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Libraries whose scans a run has nothing to say of: its own, and those released after it."""
    with db.read() as tx:
        rows = tx.execute(
            sa.select(research_runs.c.library_name, research_runs.c.library_version).where(
                research_runs.c.number >= run["number"]
            )
        )
        return frozenset((name, version) for name, version in rows)


# --- a worker ----------------------------------------------------------------------------------------------


def work(
    db: Database,
    keys: ServerKeys,
    *,
    now: Callable[[], datetime],
    holder: str | None = None,
    judge: Judge = judge,
    lease: timedelta = LEASE,
    shard_rows: int = SHARD_ROWS,
    most: int | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> int:
    """Work on runs until nothing is left that nobody works on.

    Any number of processes may do this at a time, on one machine or on several with one database and one
    folder.

    Parameters
    ----------
    db, keys
        The server's.
    now : callable
        What time it is.
    holder : str, optional
        Name of this worker; host and process by default.
    judge : callable
        The second pass.
    lease : timedelta
        For how long a part is claimed at a time.
    shard_rows : int
        Rows of a shard of the archive.
    most : int, optional
        At most so many parts.
    progress : callable, optional
        Called after each part.

    Returns
    -------
    int
        Parts that were completed.
    """
    archive = Archive(db, shard_rows=shard_rows)
    name = holder or f"{socket.gethostname()}:{os.getpid()}"
    done = 0
    while most is None or done < most:
        run = forward(db, archive, now=now())
        part = claim(db, run["run_id"], name, now=now(), lease=lease) if run is not None else None
        if run is None or part is None:
            break
        done += _worked(db, keys, archive, run, part, judge, now, lease)
        if progress is not None:
            progress(get(db, run["run_id"]))
    return done


def _worked(
    db: Database,
    keys: ServerKeys,
    archive: Archive,
    run: Mapping[str, Any],
    part: Part,
    judge: Judge,
    now: Callable[[], datetime],
    lease: timedelta,
) -> bool:
    target = target_of(db, run)
    with one_thread():
        found = _found(db, archive, part, target)
        skip = newer_libraries(db, run)
        looked: list[Looked] = []
        asked = now()
        for candidate in found:
            if (moment := now()) - asked > lease / 3:
                asked = moment
                if not renew(db, part, now=moment, lease=lease):
                    return False
            scan, spectrum = read_scan(db, candidate.ref)
            if scan.library not in skip:
                looked.append(Looked(candidate, scan.case_id, judged(spectrum, scan, target, judge)))
    return complete(db, keys, part, looked, passed=len(found), now=now())


def judged(spectrum: Spectrum | SpectralIDError, scan: Scan, target: Target, judge: Judge) -> Judged:
    """What the second pass says of a scan, or why it cannot."""
    if isinstance(spectrum, SpectralIDError):
        return Judged("failed", False, (str(spectrum)[:300],), scan.recorded, None)
    return judge(spectrum, scan.recorded, target.libraries)


def _found(db: Database, archive: Archive, part: Part, target: Target) -> list[Candidate]:
    """The first pass over a part."""
    also = suspected(db, target)
    found: list[Candidate] = []
    size = archive.shard_rows
    for first, last in _parts(part.start, part.stop, size):
        base = first // size * size
        shard = archive.shard(part.kind, last - 1)
        found += candidates(shard, target, start=first - base, stop=last - base, also=also)
    return found


# --- reading -----------------------------------------------------------------------------------------------


def listed(db: Database, *, limit: int = 100) -> tuple[Progress, ...]:
    """Runs, newest first.

    Parameters
    ----------
    db : Database
        The server's.
    limit : int
        At most so many.
    """
    with db.read() as tx:
        rows = tx.execute(sa.select(research_runs).order_by(research_runs.c.number.desc()).limit(limit))
        return tuple(_progress(tx, dict(row)) for row in rows.mappings().all())


def pending(db: Database) -> bool:
    """Whether there is a run that is not done."""
    with db.read() as tx:
        return bool(
            tx.execute(sa.select(research_runs.c.run_id).where(research_runs.c.state != "done")).first()
        )


def get(db: Database, run_id: str) -> Progress:
    """One run.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    with db.read() as tx:
        return _progress(tx, _run(tx, run_id))


def _run(tx: Connection, run_id: str) -> dict[str, Any]:
    row = tx.execute(sa.select(research_runs).where(research_runs.c.run_id == run_id)).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no run {run_id[:40]!r}.")
    return dict(row)


def _progress(tx: Connection, run: Mapping[str, Any]) -> Progress:
    table, hits = research_shards.c, research_hits.c
    rows, done = table.stop - table.start, table.state == "done"
    parts = tx.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(sa.case((done, 1), else_=0)), 0),
            sa.func.coalesce(sa.func.sum(rows), 0),
            sa.func.coalesce(sa.func.sum(sa.case((done, rows), else_=0)), 0),
            sa.func.coalesce(sa.func.sum(table.pairs), 0),
            sa.func.coalesce(sa.func.sum(table.judged), 0),
        ).where(table.run_id == run["run_id"])
    ).one()
    outcomes: dict[str, int] = dict(
        tx.execute(
            sa.select(hits.outcome, sa.func.count())
            .where(hits.run_id == run["run_id"])
            .group_by(hits.outcome)
        ).all()
    )
    reopened = tx.execute(
        sa.select(sa.func.count(hits.case_id.distinct())).where(
            hits.run_id == run["run_id"], hits.effect == "reopened"
        )
    ).scalar_one()
    plain = {name: run[name] for name in Progress.__dataclass_fields__ if name in run}
    return Progress(
        **{
            **plain,
            "changed": len(json.loads(run["changed"])),
            "removed": len(json.loads(run["removed"])),
            "parts": int(parts[0]),
            "parts_done": int(parts[1]),
            "spectra": int(parts[2]),
            "searched": int(parts[3]),
            "pairs": int(parts[4]),
            "judged": int(parts[5]),
            "answers_changed": int(outcomes.get("changed", 0)),
            "agree": int(outcomes.get("agrees", 0)),
            "reopened": int(reopened),
        }
    )


def of_case(db: Database, case_id: str) -> tuple[Mapping[str, Any], ...]:
    """What re-search found of the scans of a case, oldest first, where it made a difference.

    Parameters
    ----------
    db : Database
        The server's.
    case_id : str
        The case.

    Returns
    -------
    tuple of mapping
        ``run_id``, ``library`` (name and version), ``device_id``, ``seq``, ``idx``, ``entry``, ``cosine``,
        ``partial``, ``outcome``, ``effect``, ``deadly``, ``why``, ``before``, ``after``, ``utc``.
    """
    chosen = (
        sa.select(research_hits, research_runs.c.library_name, research_runs.c.library_version)
        .join(research_runs, research_runs.c.run_id == research_hits.c.run_id)
        .where(research_hits.c.case_id == case_id, research_hits.c.outcome.in_(("changed", "agrees")))
        .order_by(research_runs.c.number, research_hits.c.seq, research_hits.c.idx)
    )
    names = (
        "run_id", "device_id", "seq", "idx", "entry", "cosine", "partial", "outcome", "effect", "deadly",
        "utc",
    )  # fmt: skip
    with db.read() as tx:
        rows = tx.execute(chosen).mappings().all()
    return tuple(
        {
            **{name: row[name] for name in names},
            "library": f"{row['library_name']} {row['library_version']}",
            **{name: json.loads(row[name]) for name in ("why", "before", "after")},
        }
        for row in rows
    )
