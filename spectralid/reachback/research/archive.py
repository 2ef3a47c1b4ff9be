"""The archive of scans as they are searched: a row of numbers per spectrum, in files beside the database.

A row is what `spectralid.identify.retrieval` compares: the first derivative on the common grid, scaled to
unit energy, zero where it is not known. It is kept as 16-bit integers with a scale of its own: half the size
of single precision, a similarity that is off by less than 1e-4 (`docs/reachback-research.md`), and quicker to
read than half precision, which the processor has to unpack.

The files are nothing but a cache of the tables ``packets``, ``scans`` and ``spectra``. Rows lie in the order
of the audit log, so that the same database gives the same bytes, whether the archive grew packet by packet or
was made anew. Rows are numbered per kind (``raman``, ``infrared``) from 0 for ever; a *shard* is a fixed
number of them, the last one open. Each shard has its SHA-256 in the manifest, looked at whenever it is
opened; one that does not have it is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from spectralid.casework.errors import StoreBusyError
from spectralid.casework.lock import WriterLock
from spectralid.errors import SpectralIDError
from spectralid.files import write_whole
from spectralid.identify.similarity import derivative_window, first_derivative
from spectralid.library.schema import GRIDS, canonical_json, common_grid
from spectralid.reachback.errors import ConflictError, ReachbackError
from spectralid.reachback.store.tables import packets, scans, spectra
from spectralid.spectrum import FloatArray, IntensityUnit, Spectrum, Technique

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database

__all__ = ["KINDS", "Archive", "DamagedShardError", "ScanRef", "Shard", "ShardFile", "derivatives", "encode"]

KINDS: Final = tuple(GRIDS)
PREPARATION: Final = 1
"""To be raised whenever the same spectrum gives other numbers: every archive is made anew then, which takes
up to an hour for a million scans. A test holds it to the numbers."""
SHARD_ROWS: Final = 8_192
"""Rows of a shard: 16 MiB, which is what a worker that is killed has to do again."""

_FOLDER: Final = "archive"
_MANIFEST: Final = "manifest.json"
_AT_ONCE: Final = 2_048
# Numbers of the audit log between one manifest and the next.
_PART: Final = 50_000
_EVERY_IDX: Final = 1 << 30
_FULL_SCALE: Final = 32_767

Int16Array = npt.NDArray[np.int16]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]
_Place = tuple[int, int]  # a number of the audit log, and a spectrum of that packet

_RATIO: Final = frozenset(
    {IntensityUnit.TRANSMITTANCE, IntensityUnit.PERCENT_TRANSMITTANCE, IntensityUnit.REFLECTANCE}
)


class DamagedShardError(ReachbackError):
    """A file of the archive is not what was written."""


@dataclass(frozen=True, slots=True, order=True)
class ScanRef:
    """One spectrum of one packet.

    Attributes
    ----------
    device_id, seq, idx
        Which.
    """

    device_id: str
    seq: int
    idx: int


# --- one spectrum ------------------------------------------------------------------------------------------


def derivatives(values: npt.ArrayLike, kind: str) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Derivatives of unit energy, as the retrieval stage compares them.

    Parameters
    ----------
    values : array_like, shape (n, 1024)
        Intensities on the common grid of `kind`, NaN where missing.
    kind : {"raman", "infrared"}
        Which grid.

    Returns
    -------
    ndarray of float64, shape (n, 1024)
        Zero where not known; a flat row is zero.
    ndarray of bool, shape (n, 1024)
        Where it is known.
    """
    x = np.asarray(values, dtype=np.float64)
    largest = np.max(np.abs(x), axis=1, initial=0.0, where=np.isfinite(x), keepdims=True)
    slopes = first_derivative(np.ldexp(x, -np.frexp(largest)[1]), derivative_window(GRIDS[kind][1]))
    known = np.isfinite(slopes)
    filled = np.where(known, slopes, 0.0)
    norm = np.sqrt(np.einsum("ij,ij->i", filled, filled))
    return filled / np.where(norm > 0, norm, 1.0)[:, None], known


def encode(unit: FloatArray) -> tuple[Int16Array, Float32Array]:
    """Rows as 16-bit integers, and what each is to be multiplied by."""
    scale = (np.abs(unit).max(axis=1, initial=0.0) / _FULL_SCALE).astype(np.float32)
    safe = np.where(scale > 0, scale, 1.0).astype(np.float64)
    return np.rint(unit / safe[:, None]).clip(-_FULL_SCALE, _FULL_SCALE).astype("<i2"), scale


def _kind_of(technique: str) -> str | None:
    try:
        parsed = Technique(technique)
    except ValueError:
        return None
    if parsed is Technique.RAMAN:
        return "raman"
    return "infrared" if parsed.is_infrared else None


@dataclass(frozen=True, slots=True)
class _Row:
    """A spectrum as the tables have it."""

    place: _Place
    ref: ScanRef
    kind: str
    technique: str
    unit: str
    axis: bytes
    intensity: bytes
    named: tuple[str, ...]


def _on_grid(rows: Sequence[_Row], kind: str) -> FloatArray:
    """Spectra of one kind on their common grid, shape (n, 1024); all NaN where that cannot be done."""
    from spectralid.preprocess.resample import resample

    grid = common_grid(kind)
    out = np.full((len(rows), grid.size), np.nan)
    # Scans of one instrument share their axis: resampled together they cost a fraction.
    groups: dict[tuple[bytes, str], list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault((row.axis, row.unit), []).append(i)
    for (raw_axis, unit), members in groups.items():
        axis = np.frombuffer(raw_axis, "<f4").astype(np.float64)
        values = np.stack([np.frombuffer(rows[i].intensity, "<f4") for i in members]).astype(np.float64)
        if axis[0] > axis[-1]:
            axis, values = axis[::-1], values[:, ::-1]
        # What the engine refuses is nothing to be found; the scan stays on record as it is.
        with contextlib.suppress(SpectralIDError, ValueError):
            if kind == "infrared":
                values = _absorbance(axis, values, unit, rows[members[0]].technique)
            out[members] = resample(axis, values, grid)
    return out


def _absorbance(axis: FloatArray, values: FloatArray, unit: str, technique: str) -> FloatArray:
    ordinate = IntensityUnit(unit)
    if ordinate is IntensityUnit.SINGLE_BEAM:
        return np.full(values.shape, np.nan)
    if ordinate not in _RATIO:
        return values
    from spectralid.preprocess.convert import to_absorbance

    made = (Spectrum(axis, one, technique=Technique(technique), unit=ordinate) for one in values)
    return np.stack([to_absorbance(one).intensity for one in made])


# --- one shard ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShardFile:
    """What the manifest says of a shard; enough to open it, or to make it again.

    Attributes
    ----------
    kind : str
        ``raman`` or ``infrared``.
    number : int
        Its first row is ``number * rows of a full shard``.
    rows : int
        Rows in it.
    after, last : tuple of int
        The place before its first row, and that of its last.
    sha256 : str
        Of the rows and of their index.
    """

    kind: str
    number: int
    rows: int
    after: _Place
    last: _Place
    sha256: str

    @property
    def name(self) -> str:
        """Name of its file; a shard that has grown lies in another one, so that readers keep theirs."""
        return f"{self.kind}-{self.number:06d}-{self.rows:06d}.npz"

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "kind": self.kind,
            "number": self.number,
            "rows": self.rows,
            "after": list(self.after),
            "last": list(self.last),
            "sha256": self.sha256,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ShardFile:
        """Inverse of `to_dict`."""
        after, last = (tuple(map(int, data[name])) for name in ("after", "last"))
        return cls(
            str(data["kind"]), int(data["number"]), int(data["rows"]),
            (after[0], after[1]), (last[0], last[1]), str(data["sha256"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Rows of the archive, ready to be searched.

    Attributes
    ----------
    kind : str
        Which grid they lie on.
    vectors : ndarray of int16, shape (n, 1024)
        Derivatives; times `scale` they have unit energy.
    scale : ndarray of float32, shape (n,)
        See there.
    masks : ndarray of uint8, shape (n_masks, 128)
        Where derivatives are known, eight points in a byte.
    mask_of_row : ndarray of int, shape (n,)
        Which mask each row has.
    named : tuple of tuple of str
        Distinct sets of substances that the field named.
    named_of_row : ndarray of int, shape (n,)
        Which of them each scan was given.
    devices : tuple of str
        Devices that have rows here.
    device_of_row, seq, idx : ndarray of int, shape (n,)
        Which spectrum each row is.
    """

    kind: str
    vectors: Int16Array
    scale: Float32Array
    masks: npt.NDArray[np.uint8]
    mask_of_row: npt.NDArray[np.int32]
    named: tuple[tuple[str, ...], ...]
    named_of_row: npt.NDArray[np.int32]
    devices: tuple[str, ...]
    device_of_row: npt.NDArray[np.int32]
    seq: npt.NDArray[np.int64]
    idx: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.vectors)

    def ref(self, row: int) -> ScanRef:
        """Which spectrum a row is."""
        return ScanRef(self.devices[self.device_of_row[row]], int(self.seq[row]), int(self.idx[row]))

    def to_bytes(self) -> bytes:
        """The one byte form of it."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        for name in _TEXTS:
            arrays[name] = np.frombuffer(canonical_json(getattr(self, name)), np.uint8)
        out = io.BytesIO()
        np.savez(out, **arrays)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, kind: str, data: bytes) -> Shard:
        """Inverse of `to_bytes`."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays: dict[str, Any] = {name: file[name] for name in _ARRAYS}
            texts: dict[str, Any] = {name: json.loads(file[name].tobytes()) for name in _TEXTS}
        arrays["devices"] = tuple(texts["devices"])
        arrays["named"] = tuple(tuple(one) for one in texts["named"])
        return cls(kind=kind, **arrays)

    @classmethod
    def read(cls, path: Path, file: ShardFile) -> Shard:
        """A shard from its file.

        Raises
        ------
        DamagedShardError
            If the file is not there or not what was written.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DamagedShardError(f"{path}: the shard cannot be read ({error.strerror}).") from None
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise DamagedShardError(f"{path}: the shard does not have its checksum; it is torn or damaged.")
        return cls.from_bytes(file.kind, data)


_ARRAYS: Final = (
    "vectors", "scale", "masks", "mask_of_row", "named_of_row", "device_of_row", "seq", "idx"
)  # fmt: skip
_TEXTS: Final = ("named", "devices")


class _Filling:
    """A shard that rows are added to."""

    def __init__(self, kind: str, number: int, after: _Place, begun: tuple[ShardFile, Shard] | None) -> None:
        self.kind = kind
        self.number = number
        self.after = after
        self.last = after
        self._parts: list[tuple[Int16Array, Float32Array]] = []
        self._columns: dict[str, list[int]] = {
            name: [] for name in ("mask_of_row", "named_of_row", "device_of_row", "seq", "idx")
        }
        self._masks: dict[bytes, int] = {}
        self._named: dict[tuple[str, ...], int] = {}
        self._devices: dict[str, int] = {}
        self.rows = 0
        self.grown = False
        if begun is not None:
            file, shard = begun
            self.last = file.last
            self.rows = file.rows
            self._parts.append((shard.vectors, shard.scale))
            for name, values in self._columns.items():
                values.extend(getattr(shard, name).tolist())
            self._masks = {mask.tobytes(): i for i, mask in enumerate(shard.masks)}
            self._named = {named: i for i, named in enumerate(shard.named)}
            self._devices = {device: i for i, device in enumerate(shard.devices)}

    def add(self, rows: Sequence[_Row], unit: FloatArray, known: npt.NDArray[np.bool_]) -> None:
        self._parts.append(encode(unit))
        for row, mask in zip(rows, np.packbits(known, axis=1), strict=True):
            new = {
                "mask_of_row": self._masks.setdefault(mask.tobytes(), len(self._masks)),
                "named_of_row": self._named.setdefault(row.named, len(self._named)),
                "device_of_row": self._devices.setdefault(row.ref.device_id, len(self._devices)),
                "seq": row.ref.seq,
                "idx": row.ref.idx,
            }
            for name, value in new.items():
                self._columns[name].append(value)
        self.rows += len(rows)
        self.last = rows[-1].place
        self.grown = True

    def shard(self) -> Shard:
        dtypes = {"seq": "<i8"}
        return Shard(
            kind=self.kind,
            vectors=np.concatenate([part for part, _ in self._parts]),
            scale=np.concatenate([scale for _, scale in self._parts]),
            masks=np.stack([np.frombuffer(mask, np.uint8) for mask in self._masks]),
            named=tuple(self._named),
            devices=tuple(self._devices),
            **{name: np.array(v, dtypes.get(name, "<i4")) for name, v in self._columns.items()},
        )

    def write(self, folder: Path) -> ShardFile:
        data = self.shard().to_bytes()
        file = ShardFile(
            self.kind, self.number, self.rows, self.after, self.last, hashlib.sha256(data).hexdigest()
        )
        write_whole(folder / file.name, [data])
        return file


# --- all of them -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Manifest:
    prepared: Mapping[str, Any]
    upto: int
    upto_sha256: str
    last: Mapping[str, _Place]
    skipped: int
    shards: tuple[ShardFile, ...] = ()

    def to_bytes(self) -> bytes:
        body = {
            "schema": "spectralid.archive/1",
            "prepared": dict(self.prepared),
            "upto": self.upto,
            "upto_sha256": self.upto_sha256,
            "last": {kind: list(place) for kind, place in self.last.items()},
            "skipped": self.skipped,
            "shards": [shard.to_dict() for shard in self.shards],
        }
        digest = hashlib.sha256(canonical_json(body)).hexdigest()
        return json.dumps({**body, "sha256": digest}, sort_keys=True, indent=1).encode()

    @classmethod
    def read(cls, path: Path) -> _Manifest | None:
        """As it was written, or nothing."""
        try:
            body = json.loads(path.read_bytes())
            digest = body.pop("sha256")
            if digest != hashlib.sha256(canonical_json(body)).hexdigest():
                return None
            last = {kind: (int(place[0]), int(place[1])) for kind, place in body["last"].items()}
            return cls(
                body["prepared"], int(body["upto"]), str(body["upto_sha256"]), last, int(body["skipped"]),
                tuple(ShardFile.from_dict(one) for one in body["shards"]),
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None


class Archive:
    """The archive of one server.

    Parameters
    ----------
    db : Database
        Whose packets; the archive lies in the folder ``archive`` beside it.
    shard_rows : int
        Rows of a full shard. An archive with another number is made anew.
    """

    def __init__(self, db: Database, *, shard_rows: int = SHARD_ROWS) -> None:
        self.db = db
        self.shard_rows = shard_rows
        self.folder = db.folder / _FOLDER
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def prepared(self) -> dict[str, Any]:
        """What the numbers depend on: an archive that says otherwise is made anew."""
        return {
            "form": f"int16 derivative/{PREPARATION}",
            "windows": {kind: derivative_window(step) for kind, (_, step, _) in GRIDS.items()},
            "grids": {kind: list(grid) for kind, grid in GRIDS.items()},
            "shard_rows": self.shard_rows,
        }

    # reading

    def manifest(self) -> Mapping[str, Any]:
        """What is there: ``upto`` (audit number), ``rows`` per kind, ``shards``, ``bytes``, ``skipped``."""
        found = self._manifest()
        return {
            "upto": found.upto,
            "rows": {kind: _rows(found, kind) for kind in KINDS},
            "shards": len(found.shards),
            "bytes": sum(self._path(one).stat().st_size for one in found.shards if self._path(one).exists()),
            "skipped": found.skipped,
            "prepared": dict(found.prepared),
        }

    def rows(self, kind: str) -> int:
        """Rows of a kind."""
        return _rows(self._manifest(), kind)

    @property
    def upto(self) -> int:
        """Number of the audit log up to which packets are in it."""
        return self._manifest().upto

    def file_of(self, kind: str, row: int) -> ShardFile:
        """The shard that holds a row.

        Raises
        ------
        DamagedShardError
            If there is none.
        """
        number = row // self.shard_rows
        for one in self._manifest().shards:
            if one.kind == kind and one.number == number and row - number * self.shard_rows < one.rows:
                return one
        raise DamagedShardError(f"{self.folder}: row {row} of {kind} is not in the archive.")

    def path(self, file: ShardFile) -> Path:
        """Where a shard lies."""
        return self._path(file)

    def shard(self, kind: str, row: int) -> Shard:
        """The shard that holds a row; made again from the database if its file is torn or gone."""
        file = self.file_of(kind, row)
        try:
            return Shard.read(self._path(file), file)
        except DamagedShardError:
            # It may only have grown meanwhile.
            file = self.file_of(kind, row)
            with contextlib.suppress(DamagedShardError):
                return Shard.read(self._path(file), file)
        return self.repair(file)

    def verify(self) -> tuple[str, ...]:
        """Names of the shards that are not what was written."""
        bad = []
        for one in self._manifest().shards:
            try:
                Shard.read(self._path(one), one)
            except DamagedShardError:
                bad.append(one.name)
        return tuple(bad)

    # writing

    def update(self, progress: Callable[[int], object] | None = None) -> int:
        """Add the spectra of packets that came in since.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of spectra looked at so far.

        Returns
        -------
        int
            Rows that were added.

        Raises
        ------
        ConflictError
            If another process is adding to it.
        """
        with self._writing():
            return self._update(progress)

    def rebuild(self, progress: Callable[[int], object] | None = None) -> int:
        """Make all of it anew; returns the number of rows."""
        with self._writing():
            (self.folder / _MANIFEST).unlink(missing_ok=True)
            return self._update(progress)

    def mend(self, name: str) -> None:
        """Make the shard of that name again (`verify`)."""
        for file in self._manifest().shards:
            if file.name == name:
                self.repair(file)

    def repair(self, file: ShardFile) -> Shard:
        """Make one shard again, of the same rows.

        Raises
        ------
        DamagedShardError
            If the database no longer gives what it gave: make all of it anew.
        """
        filling = _Filling(file.kind, file.number, file.after, None)
        for rows in self._batches(file.after, file.last[0]):
            these = [row for row in rows if row.kind == file.kind and row.place <= file.last]
            usable, unit, known = _prepared(these, file.kind)
            if usable:
                filling.add(usable, unit, known)
        if filling.rows:
            made = filling.shard()
            data = made.to_bytes()
            if hashlib.sha256(data).hexdigest() == file.sha256:
                write_whole(self._path(file), [data])
                return made
        raise DamagedShardError(
            f"{self._path(file)}: the database gives other spectra than those in the archive (it may have "
            "been restored from a backup); make it anew: spectralid reachback research archive --rebuild."
        )

    # within

    def _path(self, file: ShardFile) -> Path:
        return self.folder / file.name

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            lock = WriterLock(self.folder / "writer.lock")
        except StoreBusyError as error:
            raise ConflictError(f"Another process is adding to the archive of scans: {error}") from None
        try:
            yield
        finally:
            lock.release()

    def _manifest(self) -> _Manifest:
        found = _Manifest.read(self.folder / _MANIFEST)
        return found if found is not None and dict(found.prepared) == self.prepared else self._empty()

    def _update(self, progress: Callable[[int], object] | None) -> int:
        manifest = self._manifest()
        with self.db.read() as tx:
            if manifest.upto and not self._still_so(tx, manifest):
                manifest = self._empty()
        before = sum(_rows(manifest, kind) for kind in KINDS)
        seen = 0
        while (head := self._head(manifest.upto)) is not None:
            # A part at a time, each with a manifest: what was done before a power cut is not done again.
            manifest, looked_at = self._extended(manifest, *head)
            seen += looked_at
            if progress is not None:
                progress(seen)
        return sum(_rows(manifest, kind) for kind in KINDS) - before

    def _empty(self) -> _Manifest:
        return _Manifest(self.prepared, 0, "", dict.fromkeys(KINDS, (0, -1)), 0)

    def _head(self, upto: int) -> tuple[int, str] | None:
        """The packet up to which the next part goes; ``None`` if there are no more."""
        number, digest = packets.c.audit_n, packets.c.sha256
        chosen = sa.select(number, digest).where(number > upto)
        with self.db.read() as tx:
            near = chosen.where(number <= upto + _PART).order_by(number.desc())
            found = tx.execute(near.limit(1)).first() or tx.execute(chosen.order_by(number).limit(1)).first()
        return (found[0], found[1]) if found else None

    def _extended(self, manifest: _Manifest, upto: int, upto_sha256: str) -> tuple[_Manifest, int]:
        """The archive with the packets up to a number, and how many spectra they had."""
        shards = {(one.kind, one.number): one for one in manifest.shards}
        filling = {kind: self._begun(kind, manifest, shards) for kind in KINDS}
        skipped, seen = manifest.skipped, 0
        for rows in self._batches((manifest.upto, _EVERY_IDX), upto):
            for kind in KINDS:
                usable, unit, known = _prepared([row for row in rows if row.kind == kind], kind)
                self._add(filling, shards, kind, usable, unit, known)
                skipped -= len(usable)
            skipped += len(rows)
            seen += len(rows)
        last = {kind: one.last for kind, one in filling.items()}
        for one in filling.values():
            if one.grown:
                shards[one.kind, one.number] = one.write(self.folder)
        made = _Manifest(
            self.prepared, upto, upto_sha256, last, skipped, tuple(shards[key] for key in sorted(shards))
        )
        write_whole(self.folder / _MANIFEST, [made.to_bytes()])
        # Those of the manifest before stay once more: whoever has just read it has yet to open them.
        kept = {one.name for one in (*made.shards, *manifest.shards)}
        for path in self.folder.glob("*.npz"):
            if path.name not in kept:
                path.unlink(missing_ok=True)
        return made, seen

    def _still_so(self, tx: Any, manifest: _Manifest) -> bool:
        """Whether the database still is the one the archive was made from, as far as that went."""
        found = tx.execute(sa.select(packets.c.sha256).where(packets.c.audit_n == manifest.upto)).scalar()
        return bool(found == manifest.upto_sha256)

    def _begun(self, kind: str, manifest: _Manifest, shards: Mapping[tuple[str, int], ShardFile]) -> _Filling:
        rows = _rows(manifest, kind)
        number = rows // self.shard_rows
        tail = shards.get((kind, number))
        if tail is None:
            return _Filling(kind, number, manifest.last[kind], None)
        try:
            shard = Shard.read(self._path(tail), tail)
        except DamagedShardError:
            shard = self.repair(tail)
        return _Filling(kind, number, tail.after, (tail, shard))

    def _add(
        self,
        filling: dict[str, _Filling],
        shards: dict[tuple[str, int], ShardFile],
        kind: str,
        rows: Sequence[_Row],
        unit: FloatArray,
        known: npt.NDArray[np.bool_],
    ) -> None:
        start = 0
        while start < len(rows):
            current = filling[kind]
            stop = min(len(rows), start + self.shard_rows - current.rows)
            current.add(rows[start:stop], unit[start:stop], known[start:stop])
            start = stop
            if current.rows == self.shard_rows:
                shards[kind, current.number] = current.write(self.folder)
                filling[kind] = _Filling(kind, current.number + 1, current.last, None)

    def _batches(self, after: _Place, upto: int) -> Iterator[list[_Row]]:
        """Spectra after a place, in order, up to a number of the audit log."""
        same = (spectra.c.device_id == packets.c.device_id, spectra.c.seq == packets.c.seq)
        of_scan = (scans.c.device_id == packets.c.device_id, scans.c.seq == packets.c.seq)
        chosen = (
            sa.select(
                packets.c.audit_n, spectra.c.idx, spectra.c.device_id, spectra.c.seq, spectra.c.technique,
                spectra.c.unit, spectra.c.axis, spectra.c.intensity, scans.c.substances,
            )
            .select_from(
                packets.join(spectra, sa.and_(*same)).join(scans, sa.and_(*of_scan))
            )
            .where(spectra.c.role == "sample", spectra.c.usable, packets.c.audit_n <= upto)
            .order_by(packets.c.audit_n, spectra.c.idx)
            .limit(_AT_ONCE)
        )  # fmt: skip
        while True:
            later = sa.or_(
                packets.c.audit_n > after[0],
                sa.and_(packets.c.audit_n == after[0], spectra.c.idx > after[1]),
            )
            with self.db.read() as tx:
                found = tx.execute(chosen.where(packets.c.audit_n >= after[0], later)).all()
            if not found:
                return
            after = (found[-1].audit_n, found[-1].idx)
            yield [_row(one) for one in found]


def _row(found: Any) -> _Row:
    return _Row(
        (found.audit_n, found.idx),
        ScanRef(found.device_id, found.seq, found.idx),
        _kind_of(found.technique) or "",
        found.technique,
        found.unit,
        bytes(found.axis),
        bytes(found.intensity),
        tuple(sorted(set(json.loads(found.substances)))),
    )


def _prepared(rows: Sequence[_Row], kind: str) -> tuple[list[_Row], FloatArray, npt.NDArray[np.bool_]]:
    """Those of some spectra that can be searched, with their derivatives."""
    unit, known = (
        derivatives(_on_grid(rows, kind), kind) if rows else (np.empty((0, 0)), np.empty((0, 0), bool))
    )
    if not rows:
        return [], unit, known
    kept = np.flatnonzero(unit.any(axis=1)).tolist()
    return [rows[i] for i in kept], unit[kept], known[kept]


def _rows(manifest: _Manifest, kind: str) -> int:
    return sum(one.rows for one in manifest.shards if one.kind == kind)
