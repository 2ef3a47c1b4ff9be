"""Fingerprints of everything that was seized: kept up to date, searched, and compared.

`catch_up` reads what came in since it last did, in the order of the audit log, so that nothing is missed and
nothing is read twice. `Fingerprints` holds all of them in memory, as rows to be multiplied with: the rows
most alike are found that way, and only those are compared in earnest.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from spectralid.casework.errors import PacketError
from spectralid.casework.packet import open_packet
from spectralid.errors import SpectralIDError
from spectralid.reachback.errors import DamagedError
from spectralid.reachback.intelligence import linkage
from spectralid.reachback.intelligence.fingerprint import VERSION, Fingerprint, Reading, pool, read
from spectralid.reachback.intelligence.linkage import Comparison, LinkageModel
from spectralid.reachback.intelligence.tables import case_digests, fingerprints
from spectralid.reachback.store import copies
from spectralid.reachback.store.tables import packets, scans, spectra
from spectralid.spectrum import Spectrum, Technique

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database

__all__ = ["MODES", "Entry", "Fingerprints", "Similar", "catch_up", "is_behind"]

MODES: Final = ("mail", "express", "land", "air", "sea", "other")
"""How something comes into the country, as tablets say it."""

_AT_ONCE: Final = 500
_NUMBERS: Final = 1_000_000
# Scans of an item beyond these add nothing to what it is.
_MOST_SCANS: Final = 64
_MIXTURE: Final = 2
_ALIKE: Final = 0.5  # cosine below which nothing is compared in earnest
_CANDIDATES: Final = 100


# --- keeping up --------------------------------------------------------------------------------------------


def is_behind(db: Database) -> bool:
    """Whether there are packets that were not looked at."""
    with db.read() as tx:
        newest = tx.execute(sa.select(sa.func.max(packets.c.audit_n))).scalar() or 0
        return newest > _read_up_to(tx)


def _read_up_to(tx: Connection) -> int:
    chosen = sa.select(sa.func.max(case_digests.c.read_n)).where(case_digests.c.version == VERSION)
    return tx.execute(chosen).scalar() or 0


def catch_up(db: Database, *, at_most: int | None = None) -> int:
    """Make the fingerprints of what came in since this was last done.

    Parameters
    ----------
    db : Database
        The server's.
    at_most : int, optional
        Packets to look at; by default all.

    Returns
    -------
    int
        Cases that were read.
    """
    done = looked = 0
    while at_most is None or looked < at_most:
        with db.read() as tx:
            start = _read_up_to(tx)
            window = tx.execute(
                sa.select(packets.c.audit_n, packets.c.case_id)
                .where(packets.c.audit_n > start)
                .order_by(packets.c.audit_n)
                .limit(_AT_ONCE)
            ).all()
            case_ids = sorted({row.case_id for row in window})
            material = _material(tx, case_ids)
            modes = _modes(tx, case_ids)
        if not window:
            break
        rows = [row for case_id in case_ids for row in _rows(case_id, material.get(case_id, ()))]
        _store(db, case_ids, rows, modes, read_n=window[-1].audit_n)
        done += len(case_ids)
        looked += len(window)
    return done


def _material(tx: Connection, case_ids: Sequence[str]) -> dict[str, list[Mapping[str, Any]]]:
    chosen = (
        sa.select(
            spectra.c.case_id, spectra.c.technique, spectra.c.unit, spectra.c.axis, spectra.c.intensity,
            scans.c.item_ref, scans.c.instrument, scans.c.decision, scans.c.device_id,
            scans.c.substances,
        )
        .join(scans, (scans.c.device_id == spectra.c.device_id) & (scans.c.seq == spectra.c.seq))
        .where(spectra.c.case_id.in_(case_ids), spectra.c.role == "sample", spectra.c.usable)
        .order_by(spectra.c.device_id, spectra.c.seq, spectra.c.idx)
    )  # fmt: skip
    out: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in tx.execute(chosen).mappings():
        out[row["case_id"]].append(dict(row))
    return out


def _modes(tx: Connection, case_ids: Sequence[str]) -> dict[str, str]:
    """How each seizure came into the country, as its opening says; the newest opening counts."""
    chosen = (
        sa.select(packets.c.case_id, packets.c.device_id, packets.c.seq)
        .where(packets.c.case_id.in_(case_ids), packets.c.kind == "seizure")
        .order_by(packets.c.seq)
    )
    modes: dict[str, str] = {}
    for case_id, device_id, seq in tx.execute(chosen).all():
        try:
            said = open_packet(copies.raw_of(tx, device_id, seq), None).manifest.get("mode")
        except (DamagedError, PacketError):
            continue  # damaged on the disk: scrubbing finds and says so
        if isinstance(said, str) and said:
            # What is typed must not come into a bulletin.
            modes[case_id] = said if said in MODES else "other"
    return modes


def _rows(case_id: str, material: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table for a case."""
    groups: dict[tuple[str, str], list[tuple[Reading, Mapping[str, Any]]]] = defaultdict(list)
    for row in material:
        try:
            reading = read(_spectrum(row))
        except SpectralIDError:
            continue  # too short, flat, or of no technique that is compared
        groups[row["item_ref"], reading.technique].append((reading, row))
    out = []
    for (item_ref, technique), found in sorted(groups.items(), key=lambda one: one[0]):
        one = pool(reading for reading, _ in found[-_MOST_SCANS:])
        units = {row["instrument"] or row["device_id"] for _, row in found}
        out.append(
            {
                "case_id": case_id,
                "item_ref": item_ref,
                "technique": technique,
                # Of several instruments, the item is of none in particular.
                "unit": units.pop() if len(units) == 1 else "",
                "scans": one.scans,
                "left_out": one.left_out,
                "substances": len({slug for _, row in found for slug in json.loads(row["substances"])}),
                "noise": one.noise,
                "spread": one.spread,
                "unknown": all(row["decision"] == "no_match" for _, row in found),
                "sha256": one.sha256,
                "slope": one.slope.astype("<f4").tobytes(),
            }
        )
    return out


def _spectrum(row: Mapping[str, Any]) -> Spectrum:
    return Spectrum.from_points(
        np.frombuffer(row["axis"], "<f4").astype(float),
        np.frombuffer(row["intensity"], "<f4").astype(float),
        technique=Technique.parse(row["technique"]),
        unit=row["unit"],
    )


def _store(
    db: Database,
    case_ids: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    modes: Mapping[str, str],
    *,
    read_n: int,
) -> None:
    with db.begin() as tx:
        if _read_up_to(tx) >= read_n:
            return  # another worker was quicker
        tx.execute(fingerprints.delete().where(fingerprints.c.case_id.in_(case_ids)))
        tx.execute(case_digests.delete().where(case_digests.c.case_id.in_(case_ids)))
        if rows:
            # A number is never given twice, or memory would hold on to what it stood for before.
            first = read_n * _NUMBERS
            tx.execute(fingerprints.insert(), [{**row, "n": n} for n, row in enumerate(rows, start=first)])
        digests = [
            {"case_id": c, "version": VERSION, "read_n": read_n, "mode": modes.get(c, "")} for c in case_ids
        ]
        tx.execute(case_digests.insert(), digests)


# --- searching ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """A fingerprint with what it is of.

    Attributes
    ----------
    n : int
        Its number; a fingerprint that was made anew has another.
    case_id, item_ref, unit
        Of what, and by which instrument.
    unknown : bool
        Whether no scan of it matched anything.
    substances : int
        How many its results name.
    fingerprint : Fingerprint
        What its scans have in common.
    """

    n: int
    case_id: str
    item_ref: str
    unit: str
    unknown: bool
    substances: int
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Similar:
    """A seizure that may hold the same mixture as another.

    Attributes
    ----------
    case_id, other_id : str
        The two.
    log10_ratio : float
        For "some item of the one and some item of the other hold the same mixture" against "they hold other
        mixtures of the same substances".
    log10_substances : float
        The same for "the same substances" against "others".
    capped : bool
        Whether it would be further out if the data could support that.
    item_ref, other_item : str
        The pair that speaks most for it.
    technique : str
        By which that pair was compared.
    pairs : int
        Pairs of items that were compared.
    cosine : float
        Of that pair.
    same_unit : bool
        Whether one instrument measured both.
    """

    case_id: str
    other_id: str
    log10_ratio: float
    log10_substances: float
    capped: bool
    item_ref: str
    other_item: str
    technique: str
    pairs: int
    cosine: float
    same_unit: bool

    @property
    def words(self) -> str:
        """The ratio in words."""
        return linkage.words(self.log10_ratio)


class Fingerprints:
    """All fingerprints, in memory.

    Parameters
    ----------
    model : LinkageModel, optional
        By default the bundled one.

    Notes
    -----
    Empty until `refresh`. One object may be used by several threads.
    """

    def __init__(self, *, model: LinkageModel | None = None) -> None:
        self._model = model or LinkageModel.bundled()
        self._lock = threading.Lock()
        self._entries: dict[int, Entry] = {}
        self._tables: dict[str, _Table] = {}
        self._of_case: dict[str, tuple[Entry, ...]] = {}

    def refresh(self, db: Database) -> None:
        """Take in what `catch_up` has stored meanwhile, and let go of what was replaced."""
        columns = (fingerprints.c.n, fingerprints.c.case_id)
        with self._lock:
            with db.read() as tx:
                there = {row.n for row in tx.execute(sa.select(*columns))}
                gone = self._entries.keys() - there
                new = sorted(there - self._entries.keys())
                if not gone and not new:
                    return
                entries = {n: one for n, one in self._entries.items() if n not in gone}
                for start in range(0, len(new), _AT_ONCE):
                    part = new[start : start + _AT_ONCE]
                    rows = tx.execute(sa.select(fingerprints).where(fingerprints.c.n.in_(part)))
                    entries |= {row["n"]: _entry(dict(row)) for row in rows.mappings()}
            tables = {
                technique: _Table.of(
                    [one for one in entries.values() if one.fingerprint.technique == technique]
                )
                for technique in {one.fingerprint.technique for one in entries.values()}
            }
            of_case: dict[str, tuple[Entry, ...]] = {}
            for one in entries.values():
                of_case[one.case_id] = (*of_case.get(one.case_id, ()), one)
            self._entries, self._tables, self._of_case = entries, tables, of_case

    def entries(self, case_id: str | None = None) -> tuple[Entry, ...]:
        """Those of a case, or all."""
        return tuple(self._entries.values()) if case_id is None else self._of_case.get(case_id, ())

    def similar(
        self,
        case_id: str,
        *,
        limit: int = 20,
        visible: Callable[[str], bool] | None = None,
        least: float = -np.inf,
    ) -> tuple[Similar, ...]:
        """Cases that may hold the same mixture as one, the strongest support first.

        Parameters
        ----------
        case_id : str
            Which.
        limit : int
            At most so many.
        visible : callable, optional
            Whether a case may be shown to whoever asks.
        least : float
            log₁₀ ratio below which nothing is listed.
        """
        nearest: dict[str, float] = {}
        for entry in self.entries(case_id):
            for other, cosine in self._alike(entry, visible):
                nearest[other.case_id] = max(cosine, nearest.get(other.case_id, -1.0))
        others = sorted(nearest, key=lambda other: (-nearest[other], other))[:_CANDIDATES]
        found = [one for other in others if (one := self.between(case_id, other)) is not None]
        kept = [one for one in found if one.log10_ratio >= least]
        kept.sort(key=lambda one: (-one.log10_ratio, -one.log10_substances, -one.cosine, one.other_id))
        return tuple(kept[:limit])

    def between(self, case_id: str, other_id: str) -> Similar | None:
        """Two cases compared, item by item; ``None`` if nothing of them can be compared."""
        compared: list[tuple[Entry, Entry, Comparison]] = []
        for one in self.entries(case_id):
            for other in self.entries(other_id):
                if one.fingerprint.technique == other.fingerprint.technique:
                    found = self.compare(one, other)
                    if found is not None:
                        compared.append((one, other, found))
        if not compared or case_id == other_id:
            return None
        # Two techniques on the same items are not two pieces of evidence: the better one is taken whole.
        by_technique: dict[str, list[tuple[Entry, Entry, Comparison]]] = defaultdict(list)
        for row in compared:
            by_technique[row[0].fingerprint.technique].append(row)
        return max(
            (_summed(rows) for rows in by_technique.values()),
            key=lambda one: (abs(one.log10_ratio), one.technique),
        )

    def compare(self, one: Entry, other: Entry) -> Comparison | None:
        """Two items compared.

        Of a substance alone there are no two mixtures: what its results name fewer than two substances of
        gets no ratio above 1, however alike the spectra are.
        """
        same_unit = bool(one.unit) and one.unit == other.unit
        found = linkage.compare(one.fingerprint, other.fingerprint, same_unit=same_unit, model=self._model)
        if found is None or min(one.substances, other.substances) >= _MIXTURE:
            return found
        return replace(found, mixture=min(found.mixture, 0.0))

    def _alike(self, entry: Entry, visible: Callable[[str], bool] | None) -> Iterator[tuple[Entry, float]]:
        table = self._tables.get(entry.fingerprint.technique)
        found = 0
        for other, cosine in table.nearest(entry.fingerprint) if table is not None else ():
            if cosine < _ALIKE or found >= _CANDIDATES:
                return
            if other.case_id != entry.case_id and (visible is None or visible(other.case_id)):
                found += 1
                yield other, cosine


def _summed(rows: Sequence[tuple[Entry, Entry, Comparison]]) -> Similar:
    one, other, best = max(rows, key=lambda row: row[2].mixture)
    return Similar(
        case_id=one.case_id,
        other_id=other.case_id,
        log10_ratio=linkage.together([row[2].mixture for row in rows]),
        log10_substances=linkage.together([row[2].substances for row in rows]),
        capped=best.capped,
        item_ref=one.item_ref,
        other_item=other.item_ref,
        technique=one.fingerprint.technique,
        pairs=len(rows),
        cosine=best.cosine,
        same_unit=best.same_unit,
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """Fingerprints of one technique as rows."""

    entries: tuple[Entry, ...]
    rows: npt.NDArray[np.float32]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> _Table:
        return cls(tuple(entries), np.array([one.fingerprint.vector for one in entries], dtype=np.float32))

    def nearest(self, fingerprint: Fingerprint) -> Iterator[tuple[Entry, float]]:
        """Entries in order of likeness, by what of the query each of them covers."""
        cosines = self.rows @ fingerprint.vector.astype(np.float32)
        for row in np.argsort(-cosines, kind="stable"):
            yield self.entries[row], float(cosines[row])


def _entry(row: Mapping[str, Any]) -> Entry:
    slope = np.frombuffer(row["slope"], "<f4").astype(float)
    return Entry(
        row["n"], row["case_id"], row["item_ref"], row["unit"], bool(row["unknown"]),
        row["substances"],
        Fingerprint(row["technique"], slope, row["noise"], row["spread"], row["scans"], row["left_out"],
                    row["sha256"]),
    )  # fmt: skip
