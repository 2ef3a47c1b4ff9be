"""From approved candidates to a library in the devices' hands.

`make` builds the next library from the one in force and every approved candidate whose case still bears it,
asks both about the held-out spectra, and puts the result into the repository, where it waits. Somebody signs
it with a key that is not on this machine (`releases.repository.sign`). `publish` puts it in
force and calls whoever wants to know, such as re-search.

::

    FOLDER/
        releases/     NUMBER.h5, NUMBER.json (what went into it)
        repository/   what devices ask
        held-out/     spectra whose answers are known, with held-out.csv
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import sqlalchemy as sa

import spectralid
from spectralid.casework.clock import to_text
from spectralid.files import write_whole
from spectralid.library import ReferenceLibrary, open_library
from spectralid.library.update import RELEASE
from spectralid.reachback.bench import decisions
from spectralid.reachback.errors import ConflictError, NotFoundError, ReachbackError
from spectralid.reachback.releases import approval, candidates, regression, repository
from spectralid.reachback.releases.candidates import Candidate
from spectralid.reachback.releases.regression import HeldOut, Regression, WorseError
from spectralid.reachback.releases.tables import library_publications, library_releases
from spectralid.reachback.store import audit

if TYPE_CHECKING:
    import os

    from securesystemslib.signer import CryptoSigner

    from spectralid.reachback.store.database import Database

__all__ = [
    "Hook",
    "Release",
    "ReleaseError",
    "folder_of",
    "held_out_folder",
    "held_out_of",
    "in_force",
    "library_in_force",
    "listed",
    "make",
    "note_published",
    "path_of",
    "publish",
    "repository_of",
    "roll_out",
    "withdraw",
]

SCHEMA: Final = "spectralid.library-release-manifest/1"
_FOLDER: Final = "library"
_BASE: Final = "library.h5"
_RELEASES: Final = "releases"
_HELD_OUT: Final = "held-out"
_REPOSITORY: Final = "repository"


class ReleaseError(ReachbackError):
    """A release that cannot be made."""

    status: ClassVar[int] = 422
    code: ClassVar[str] = "release"


@dataclass(frozen=True, slots=True)
class Release:
    """A library that was built.

    Attributes
    ----------
    number : int
        Grows with each.
    name, version, sha256 : str
        Of the library.
    file_sha256 : str
        Of its file.
    made_by, made_utc : str
        Who and when.
    published_utc : str
        When it was put in force; empty if it was not yet.
    manifest : mapping
        ``base`` (name, version, identity of the library it was built on), ``added``, ``changed`` and
        ``removed`` (ids of references), ``candidates`` (numbers), ``left_out`` (candidates that were approved
        and are not in it, with the reason), ``min_engine``, ``rollout``, ``regression``.
    """

    number: int
    name: str
    version: str
    sha256: str
    file_sha256: str
    made_by: str
    made_utc: str
    published_utc: str
    manifest: Mapping[str, Any]

    @property
    def new_references(self) -> tuple[str, ...]:
        """Ids of references that the library before it did not have, or not so."""
        return (*self.manifest["added"], *self.manifest["changed"])


_PLAIN: Final = ("number", "name", "version", "sha256", "file_sha256", "made_by", "made_utc")

Hook = Callable[["Release", Path, Path], object]
"""Called after a release is in force, with it, its library, and the library that was in force before. Doing
the same again must change nothing: after a crash it is called again."""


def folder_of(db: Database) -> Path:
    """Where a server has its library loop."""
    return db.folder / _FOLDER


def held_out_folder(folder: str | os.PathLike[str]) -> Path:
    """Where the held-out spectra are."""
    return Path(folder) / _HELD_OUT


def held_out_of(folder: str | os.PathLike[str]) -> frozenset[str]:
    """Identities of the held-out spectra; none if there is no set yet."""
    place = held_out_folder(folder)
    return regression.read(place).identities if place.is_dir() else frozenset()


def repository_of(folder: str | os.PathLike[str]) -> Path:
    """Where the repository is, in the folder of the library loop."""
    return Path(folder) / _REPOSITORY


def path_of(folder: str | os.PathLike[str], number: int) -> Path:
    """Where the library of a release is."""
    return Path(folder) / _RELEASES / f"{number}.h5"


def make(
    db: Database,
    folder: str | os.PathLike[str],
    *,
    held_out: HeldOut,
    by: str,
    now: datetime,
    base: str | os.PathLike[str] | None = None,
    version: str = "",
    min_engine: str = spectralid.__version__,
    rollout: Mapping[str, Any] | None = None,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = lambda items: items,
) -> Release:
    """Build the next library; it waits in the repository for the signature of who releases.

    Parameters
    ----------
    db : Database
        The server's.
    folder : path
        Of the library loop.
    held_out : HeldOut
        What it is judged by.
    by : str
        Who makes it.
    now : datetime
        When.
    base : path, optional
        Library to build on; by default the one in force (`library_in_force`).
    version : str
        Of the library; the day and the number of the release by default.
    min_engine : str
        The oldest spectralid that may use it.
    rollout : mapping, optional
        ``sites`` and ``percent``: for whom it is at first (`spectralid.library.update.is_for`).
    progress : callable, optional
        Wraps the held-out spectra.

    Raises
    ------
    WorseError
        If it answers worse than the library in force; that is on record.
    ReleaseError
        If nothing would be new, or what is new contradicts itself.
    NotFoundError
        If there is no repository yet.
    """
    place = Path(folder)
    rollout = _rollout(rollout)
    repository.state(repository_of(place))  # before long work: there has to be one
    (place / _RELEASES).mkdir(parents=True, exist_ok=True)
    with db.read() as tx:
        number = (
            tx.execute(sa.select(sa.func.coalesce(sa.func.max(library_releases.c.number), 0))).scalar_one()
            + 1
        )
    before = open_library(base) if base is not None else library_in_force(db, place)
    chosen, left_out = _chosen(db, held_out)
    version = version or f"{now:%Y.%m.%d}.{number}"
    path = place / _RELEASES / f".{number}.building.h5"
    try:
        _build(before, chosen, path, version=version, created=f"{now:%Y-%m-%d}")
        made = ReferenceLibrary(path)
        changes = _changes(before, made)
        if not any(changes.values()):
            raise ReleaseError(
                "The library would be the same: no candidate is approved that it does not have."
            )
        judged = regression.compare(before, made, held_out, progress=progress)
        if judged.worse:
            _refuse(db, judged, chosen, by=by, now=now)
        manifest = {
            "schema": SCHEMA,
            "number": number,
            "library": {"name": made.name, "version": made.version, "sha256": made.sha256},
            "base": {"name": before.name, "version": before.version, "sha256": before.sha256},
            **changes,
            "candidates": [one.candidate for one in chosen],
            "left_out": left_out,
            "min_engine": min_engine,
            "made_utc": to_text(now),
            "rollout": rollout,
            "regression": judged.to_dict(),
        }
        with path.open("rb") as file:
            file_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        made.close()
        with db.begin() as tx:
            facts = {
                "library": manifest["library"],
                "candidates": manifest["candidates"],
                "file": file_sha256,
            }
            n = audit.append(tx, by, "release", f"library:{number}", facts, now=now)
            row = {
                "number": number,
                "name": made.name,
                "version": made.version,
                "sha256": made.sha256,
                "file_sha256": file_sha256,
                "manifest": json.dumps(manifest, sort_keys=True),
                "made_by": by,
                "made_utc": to_text(now),
                "audit_n": n,
            }
            tx.execute(library_releases.insert(), row)
            # Before the row counts: a release on record has its library.
            path.replace(path_of(place, number))
        write_whole(
            place / _RELEASES / f"{number}.json", [json.dumps(manifest, indent=1).encode()], mode=0o644
        )
    finally:
        path.unlink(missing_ok=True)
    _stage(place, manifest, now=now)
    return get(db, number)


def publish(
    db: Database,
    folder: str | os.PathLike[str],
    *,
    snapshot: CryptoSigner,
    timestamp: CryptoSigner,
    by: str,
    now: datetime,
    after: Sequence[Hook] = (),
) -> tuple[Release, ...]:
    """Put in force what waits in the repository and has its signatures.

    Parameters
    ----------
    db, folder, by, now
        As for `make`.
    snapshot, timestamp : CryptoSigner
        The keys of the server.
    after : sequence of Hook
        Called for each release that is in force now and was not before.

    Returns
    -------
    tuple of Release
        Those; none if something else was published, such as new keys or a wider roll-out.

    Raises
    ------
    KeyRefusedError
        If signatures are missing.
    NotFoundError
        If nothing waits.
    """
    repository.publish(repository_of(folder), snapshot=snapshot, timestamp=timestamp, now=now)
    return note_published(db, folder, by=by, now=now, after=after)


def note_published(
    db: Database, folder: str | os.PathLike[str], *, by: str, now: datetime, after: Sequence[Hook] = ()
) -> tuple[Release, ...]:
    """Put on record what the repository hands out, and tell whoever wants to know; also after a crash."""
    out = {
        said["number"]
        for said in repository.targets_of(repository_of(folder)).values()
        if said.get("schema") == RELEASE
    }
    noted = []
    for release in listed(db):
        if release.number not in out or release.published_utc:
            continue
        with library_in_force(db, folder) as before:
            for hook in after:
                hook(release, path_of(folder, release.number), before.path)
        with db.begin() as tx:
            facts = {"library": release.sha256}
            n = audit.append(tx, by, "published", f"library:{release.number}", facts, now=now)
            row = {"number": release.number, "by": by, "utc": to_text(now), "audit_n": n}
            tx.execute(library_publications.insert(), row)
        noted.append(get(db, release.number))
    return tuple(noted)


def roll_out(
    folder: str | os.PathLike[str], number: int, rollout: Mapping[str, Any], *, now: datetime
) -> Path:
    """Hand a release out to more devices, or to all (``{}``); it waits for a signature as the release did."""
    place = repository_of(folder)
    listed = repository.targets_of(place)
    path, said = next(
        ((path, said) for path, said in listed.items() if said.get("number") == number), ("", None)
    )
    if said is None:
        raise NotFoundError(f"The repository does not hand out release {number}.")
    return repository.stage_targets(place, change={path: {**said, "rollout": _rollout(rollout)}}, now=now)


def withdraw(folder: str | os.PathLike[str], number: int, *, now: datetime) -> Path:
    """Hand a release out no more; it waits for a signature. Devices that have it keep it for now."""
    place = repository_of(folder)
    paths = [f"library-{number}.h5", f"library-{number}.json"]
    if paths[0] not in repository.targets_of(place):
        raise NotFoundError(f"The repository does not hand out release {number}.")
    return repository.stage_targets(place, remove=paths, now=now)


def get(db: Database, number: int) -> Release:
    """A release.

    Raises
    ------
    NotFoundError
        If there is none of that number.
    """
    found = [one for one in listed(db) if one.number == number]
    if not found:
        raise NotFoundError(f"There is no release {number}.")
    return found[0]


def listed(db: Database) -> tuple[Release, ...]:
    """Every release that was made, oldest first."""
    chosen = sa.select(library_releases, library_publications.c.utc.label("published_utc")).outerjoin(
        library_publications, library_publications.c.number == library_releases.c.number
    )
    with db.read() as tx:
        rows = tx.execute(chosen.order_by(library_releases.c.number)).mappings().all()
    return tuple(
        Release(
            **{name: row[name] for name in _PLAIN},
            published_utc=row["published_utc"] or "",
            manifest=json.loads(row["manifest"]),
        )
        for row in rows
    )


def in_force(db: Database) -> Release | None:
    """The newest release that was published."""
    return next((one for one in reversed(listed(db)) if one.published_utc), None)


def library_in_force(db: Database, folder: str | os.PathLike[str]) -> ReferenceLibrary:
    """The library of the newest release that was published.

    Before the first it is the file ``library.h5`` beside the folder, with the agency's own measurements, or
    the bundled one if there is none.
    """
    newest = in_force(db)
    if newest is not None:
        return open_library(path_of(folder, newest.number))
    base = Path(folder).parent / _BASE
    return open_library(base) if base.is_file() else open_library()


# --- what goes into it -------------------------------------------------------------------------------------


def _chosen(db: Database, held_out: HeldOut) -> tuple[list[Candidate], list[dict[str, Any]]]:
    """Approved candidates that may still go in, and why the others do not."""
    chosen, left_out = [], []
    judged_by = held_out.identities
    for one in candidates.listed(db, state="approved"):
        try:
            approval.still_holds(db, one)
            deciders = {said["by"] for said in decisions.of_case(db, one.case_id)}
            if deciders & {vote.by for vote in one.votes}:
                raise ConflictError("Somebody who approved it has decided on the case since.")
            if {one.measured_sha256, one.spectrum_sha256} & judged_by:
                raise ConflictError("It is one of the spectra that releases are judged by.")
        except ReachbackError as error:
            left_out.append({"candidate": one.candidate, "why": str(error)})
        else:
            chosen.append(one)
    return chosen, left_out


def _build(
    base: ReferenceLibrary, chosen: Sequence[Candidate], path: Path, *, version: str, created: str
) -> None:
    from spectralid.errors import LibraryError, ParameterError
    from spectralid.library import LibraryBuilder, merge_libraries

    if not chosen:
        raise ReleaseError("No candidate is approved that may go into a library.")
    known = {compound.slug: compound for compound in base.compounds}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        builder = LibraryBuilder("candidates", version=version, created=created)
        try:
            for one in chosen:
                compound = known.setdefault(one.slug, one.compound)
                builder.add_compound(compound)
                builder.add(
                    one.spectrum,
                    one.slug,
                    tier=candidates.TIER,
                    source=_source(one),
                    licence=one.licence,
                    citation=_citation(one),
                    form=one.form,
                )
            additions = Path(folder) / "candidates.h5"
            builder.write(additions)
            with ReferenceLibrary(additions) as new:
                merge_libraries([base, new], path, name=base.name, version=version, created=created)
        except (LibraryError, ParameterError) as error:
            raise ReleaseError(f"The candidates cannot be put into one library: {error}") from None


def _source(one: Candidate) -> str:
    owner = f"{one.owner}, " if one.owner else ""
    return f"{owner}reachback candidate {one.candidate}, {one.status}"


def _citation(one: Candidate) -> str:
    """Where it is from: what a chemist needs to find it again, and nothing that points to a person."""
    report = one.basis.laboratory
    if one.status == "confirmed":
        named = f"confirmed by {report['laboratory']} ({report['report_ref'] or report['sample_ref']})"
    else:
        named = "presumptive: identified from its spectrum, no laboratory has reported on it"
    return f"case {one.case_id}, device {one.device_id}, {one.provenance['instrument']}; {named}"


def _changes(before: ReferenceLibrary, after: ReferenceLibrary) -> dict[str, list[str]]:
    from spectralid.library import compare_libraries

    found = compare_libraries(before, after)
    return {
        "added": list(found.references_added),
        "changed": [one.after_id for one in found.references_changed],
        "removed": [
            *found.references_removed,
            *(one.before_id for one in found.references_changed if one.before_id != one.after_id),
        ],
    }


def _refuse(db: Database, judged: Regression, chosen: Sequence[Candidate], *, by: str, now: datetime) -> None:
    facts = {
        "worse": list(judged.worse),
        "candidates": [one.candidate for one in chosen],
        "before": judged.before,
    }
    with db.begin() as tx:
        audit.append(tx, by, "release-refused", "library", facts, now=now)
    raise WorseError(
        "The library answers worse than the one in force and is not released: " + " ".join(judged.worse),
        judged,
    )


def _rollout(said: Mapping[str, Any] | None) -> dict[str, Any]:
    said = dict(said or {})
    sites, percent = said.pop("sites", []), said.pop("percent", 0)
    good = (
        not said
        and isinstance(percent, int)
        and 0 <= percent <= 100
        and all(isinstance(site, str) and site for site in sites)
    )
    if not good:
        raise ReleaseError("A roll-out names sites, and a whole number of percent from 0 to 100.")
    return {"sites": list(sites), "percent": percent} if sites or percent else {}


def _stage(folder: Path, manifest: Mapping[str, Any], *, now: datetime) -> Path:
    number = manifest["number"]
    custom = {
        "schema": RELEASE,
        "number": number,
        "library": manifest["library"],
        "min_engine": manifest["min_engine"],
        "made_utc": manifest["made_utc"],
        "rollout": manifest["rollout"],
    }
    said = folder / _RELEASES / f"{number}.json"
    return repository.stage_targets(
        repository_of(folder),
        [
            repository.Target(f"library-{number}.h5", path_of(folder, number), custom),
            repository.Target(f"library-{number}.json", said, {}),
        ],
        now=now,
    )
