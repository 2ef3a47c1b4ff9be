"""A reference library opened for reading: metadata read when first asked for, values memory-mapped."""

from __future__ import annotations

import json
import mmap
import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from spectralid import _bundled
from spectralid.errors import InvalidSpectrumError, LibraryError
from spectralid.library._values import Compound, Fitness, Reference, ReferenceInfo, Tier
from spectralid.library.places import places_of
from spectralid.library.prepared import MAPPED_BYTES, mapped_digest, release
from spectralid.library.schema import POOLS, array_digest, grid_key, manifest_sha256
from spectralid.spectrum import Acquisition, FloatArray, IntensityUnit, ProcessingStep, Spectrum, Technique
from spectralid.vouching import engine_problem

__all__ = ["ReferenceLibrary", "open_library", "reopen"]

# Beyond this much for /manifest the file was not written by us; it keeps a damaged size from filling memory.
_MANIFEST_LIMIT = 64 * 2**20


def open_library(path_or_name: str | os.PathLike[str] = "spectralid") -> ReferenceLibrary:
    """Open a reference library.

    Parameters
    ----------
    path_or_name : path or str
        A library file, or the name of a bundled library (``"spectralid"``).

    Returns
    -------
    ReferenceLibrary

    Raises
    ------
    LibraryError
        If there is none of that name, or the file is damaged, no library, of a newer major version, or needs
        a newer spectralid.

    Examples
    --------
    >>> import spectralid
    >>> with spectralid.open_library() as library:
    ...     library.name, library.compound("acetaminophen").cas
    ('spectralid', '103-90-2')
    """
    path = Path(path_or_name)
    if not path.is_file() and path.name == str(path_or_name):
        bundled = _bundled.path("libraries", path.name if path.suffix == ".h5" else f"{path.name}.h5")
        path = bundled if bundled.is_file() else path
    if not path.is_file():
        raise LibraryError(
            f"There is no library file {str(path_or_name)!r} and no bundled library of that name."
        )
    return ReferenceLibrary(path)


# Datasets of the intensities and of what the rows are, and which rows are meant (``None``: all).
_Block = tuple[str, str, npt.NDArray[np.intp] | None]


class ReferenceLibrary:
    """A reference library, read-only.

    Opening reads where things lie and the manifest. Compounds and references are parsed, and their checksum
    checked, when first used; matrices and native spectra are memory-mapped. Nothing is kept open but the
    mapping, so one instance serves many threads, and it pickles by path.

    Parameters
    ----------
    path : path
        The library file.

    Attributes
    ----------
    path : Path
        The file.
    name, version : str
        As its builder named it.
    sha256 : str
        Identity of the content: changes with any value in it.
    vouched_by : str
        Who vouches for it, as far as whoever opened it looked: ``"bundled"``, ``"release 3"``,
        ``"key 0123456789abcdef"``; empty if nobody looked or nobody does.
    manifest : dict
        See `spectralid.library.schema`.
    techniques : tuple of Technique
        Techniques that have references.
    n_references : int
        Number of references.

    Raises
    ------
    LibraryError
        If the file is damaged, truncated, no library, of a newer major version, or needs a newer spectralid.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._places = places_of(self.path)
        try:
            with self.path.open("rb") as plain:
                self._map: mmap.mmap | None = mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise LibraryError(f"{self.path}: it cannot be read ({_first_line(error)}).") from error
        self.manifest = self._read_manifest()
        self.name = str(self.manifest["name"])
        self.version = str(self.manifest["version"])
        self.sha256 = str(self.manifest["sha256"])
        self.vouched_by = "bundled" if _bundled.path("libraries", self.path.name) == self.path else ""
        self.n_references = int(self.manifest["references"])
        self.techniques = tuple(Technique(t) for t in self.manifest["techniques"])

    def __reduce__(self) -> tuple[Any, ...]:
        return reopen, (self.path, self.sha256)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; arrays already handed out stay valid."""
        self._map = None

    def __len__(self) -> int:
        return self.n_references

    def __repr__(self) -> str:
        return f"<ReferenceLibrary {self.name!r} {self.version}, {self.n_references} references>"

    def _damaged(self, what: str) -> LibraryError:
        return LibraryError(f"{self.path}: {what}; the library is damaged. Get or build it again.")

    def raw(self, dataset: str) -> np.ndarray[Any, Any]:
        """One dataset as it lies in the file, memory-mapped and read-only; its checksum is not looked at.

        Parameters
        ----------
        dataset : str
            Path as in `spectralid.library.schema`.

        Raises
        ------
        LibraryError
            If it is not there or lies outside the file.
        """
        if self._map is None:
            raise LibraryError(f"{self.path}: the library was closed.")
        place = self._places.get(dataset)
        if place is None:
            raise self._damaged(f"{dataset} is missing")
        if not place.count:
            return np.empty(place.shape, place.dtype)
        if place.offset + place.count * place.dtype.itemsize > len(self._map):
            raise self._damaged(f"{dataset} reaches beyond the end of the file")
        values = np.frombuffer(self._map, place.dtype, place.count, place.offset)
        return values.reshape(place.shape)

    def _read_manifest(self) -> dict[str, Any]:
        values = self.raw("/manifest")
        if values.dtype != np.uint8 or values.size > _MANIFEST_LIMIT:
            raise self._damaged("the manifest has the wrong form")
        try:
            manifest: dict[str, Any] = json.loads(values.tobytes())
            intact = manifest["sha256"] == manifest_sha256(manifest)
        except (ValueError, KeyError, TypeError):
            intact = False
        if not intact:
            raise self._damaged("the manifest does not have its checksum")
        if problem := engine_problem(manifest.get("needs_engine")):
            raise LibraryError(f"{self.path}: {problem}")
        for name, entry in manifest["datasets"].items():
            place = self._places.get(name)
            if place is None or [place.dtype.str, list(place.shape)] != [entry["dtype"], entry["shape"]]:
                raise self._damaged(f"{name} is missing or has another form than the manifest says")
        return manifest

    def release(self) -> None:
        """Give the memory of what was looked at back to the system; looked at again, it is read again.

        Arrays already handed out stay valid. For libraries that are larger than memory should hold; does
        nothing where the system offers no such thing.
        """
        if self._map is not None:
            release(self._map)

    def _checked(self, dataset: str) -> np.ndarray[Any, Any]:
        values = self.raw(dataset)
        entry = self.manifest["datasets"].get(dataset)
        # Large blocks are given back while they are gone through, so that a check needs little memory.
        if self._map is not None and values.nbytes > MAPPED_BYTES:
            digest = mapped_digest(values, self._map)
        else:
            digest = array_digest(values)
        if entry is None or digest.hex() != entry["sha256"]:
            raise self._damaged(f"{dataset} does not have its checksum")
        return values

    def _json(self, dataset: str) -> Any:
        return json.loads(self._checked(dataset).tobytes())

    @cached_property
    def compounds(self) -> tuple[Compound, ...]:
        """Every compound, in the order they were added."""
        columns = self._json("/compounds")
        names = tuple(columns)
        return tuple(
            Compound.from_dict(dict(zip(names, row, strict=True)))
            for row in zip(*columns.values(), strict=True)
        )

    @cached_property
    def references(self) -> tuple[ReferenceInfo, ...]:
        """Every reference without its values, in the order they were added."""
        columns = self._json("/references/info")
        columns["technique"] = [Technique(t) for t in columns["technique"]]
        columns["tier"] = [Tier(t) for t in columns["tier"]]
        columns["range_cm1"] = [(low, high) for low, high in columns["range_cm1"]]
        # References of one source share its words; JSON makes a text of its own for each.
        shared: dict[str, str] = {}
        for name in ("compound_slug", "form", "source", "licence", "url", "citation"):
            columns[name] = [shared.setdefault(text, text) for text in columns[name]]
        known = [columns[name] for name in ReferenceInfo.__dataclass_fields__]
        return tuple(ReferenceInfo(*row) for row in zip(*known, strict=True))

    @cached_property
    def fitness(self) -> tuple[Fitness, ...]:
        """How well the tiers find substances, as measured; empty if the library says nothing of it."""
        known = "/evidence/fitness" in self._places
        return tuple(map(Fitness.from_dict, self._json("/evidence/fitness"))) if known else ()

    @cached_property
    def training_substances(self) -> tuple[str, ...]:
        """InChIKeys of the substances whose measured spectra the computed references learned from.

        An evaluation of the computed tier has to leave them out, or hold them out while learning.
        """
        known = "/evidence/training" in self._places
        return tuple(self._json("/evidence/training")) if known else ()

    @cached_property
    def _compound_of_slug(self) -> dict[str, Compound]:
        return {c.slug: c for c in self.compounds}

    @cached_property
    def _position_of_id(self) -> dict[str, int]:
        return {r.id: i for i, r in enumerate(self.references)}

    @cached_property
    def _facts_start(self) -> npt.NDArray[np.int64]:
        return self._checked("/references/facts_start")

    @cached_property
    def _native_index(self) -> npt.NDArray[np.int64]:
        return self._checked("/native/index")

    def compound(self, slug: str) -> Compound:
        """The compound with that slug.

        Raises
        ------
        LibraryError
            If the library has none.
        """
        try:
            return self._compound_of_slug[slug]
        except KeyError:
            raise LibraryError(f"The library {self.name!r} has no compound {slug!r}.") from None

    def _find(self, key: str, wanted: Tier | None) -> _Block | None:
        group = f"/grids/{key}"
        if wanted is Tier.COMPUTED and f"{group}/computed" in self._places:
            return f"{group}/computed", f"{group}/computed_rows", None
        if f"{group}/matrix" in self._places:
            # Version 1.0 has computed references in the matrix too; nobody is to take them for others.
            tiers = [self.references[i].tier for i in self._checked(f"{group}/rows").tolist()]
            fits = np.array([t is wanted if wanted else t is not Tier.COMPUTED for t in tiers])
            if fits.any():
                chosen = None if fits.all() else np.flatnonzero(fits)
                return f"{group}/matrix", f"{group}/rows", chosen
        return None

    def _block(self, technique: Technique | str, tier: Tier | str | None) -> _Block:
        key = grid_key(Technique.parse(str(technique)))
        wanted = None if tier is None else Tier.parse(tier)
        block = self._find(key, wanted)
        if block is None:
            which = f"{wanted or 'measured or literature'} " if f"/grids/{key}/axis" in self._places else ""
            raise LibraryError(f"The library {self.name!r} has no {which}{key} references.")
        return block

    def grid(self, technique: Technique | str) -> FloatArray:
        """The common grid of a technique in cm⁻¹, shape (n_grid,).

        Raises
        ------
        LibraryError
            If the library has no reference comparable with `technique`.
        TechniqueError
            If `technique` is unknown.
        """
        key = grid_key(Technique.parse(str(technique)))
        if f"/grids/{key}/axis" not in self._places:
            raise LibraryError(f"The library {self.name!r} has no {key} references.")
        return np.asarray(self._checked(f"/grids/{key}/axis"), dtype=np.float64)

    def matrix(
        self, technique: Technique | str, tier: Tier | str | None = None
    ) -> npt.NDArray[np.floating[Any]]:
        """Intensities of comparable references on the common grid.

        Parameters
        ----------
        technique : Technique
            Raman or an infrared technique; all infrared references are comparable.
        tier : Tier, optional
            Of that tier only. By default the measured and the literature references: what a substance can be
            named by.

        Returns
        -------
        ndarray of float32 (of float16 for the computed tier), shape (n_rows, n_grid)
            Read-only, memory-mapped where a whole block is asked for; NaN where a reference does not cover
            the grid; infrared as absorbance; computed ones with a largest magnitude of 1.

        Raises
        ------
        LibraryError
            If the library has none.
        TechniqueError, ParameterError
            If `technique` or `tier` is unknown.
        """
        values, _, chosen = self._block(technique, tier)
        # A damaged row would put another substance's name on a scan under the intact library's identity.
        matrix = self._checked(values)
        if chosen is None:
            return matrix
        part = matrix[chosen]
        part.flags.writeable = False
        return part

    def rows(self, technique: Technique | str, tier: Tier | str | None = None) -> tuple[ReferenceInfo, ...]:
        """What the rows of `matrix` are, with its errors."""
        _, rows, chosen = self._block(technique, tier)
        references, positions = self.references, self._checked(rows)
        return tuple(references[i] for i in (positions if chosen is None else positions[chosen]).tolist())

    def holds(self, technique: Technique | str, tier: Tier | str | None = None) -> bool:
        """Whether `matrix` and `rows` have anything for these arguments.

        Raises
        ------
        LibraryError
            If what says so is damaged.
        TechniqueError, ParameterError
            If `technique` or `tier` is unknown.
        """
        wanted = None if tier is None else Tier.parse(tier)
        return self._find(grid_key(Technique.parse(str(technique))), wanted) is not None

    def reference(self, id: str) -> Reference:
        """One reference with its native spectrum.

        Raises
        ------
        LibraryError
            If there is none with that id, or its values do not have the identity recorded for them.
        """
        position = self._position_of_id.get(id)
        if position is None:
            raise LibraryError(f"The library {self.name!r} has no reference {id!r}.")
        return self._reference(position)

    def _reference(self, position: int) -> Reference:
        info = self.references[position]
        start, stop = self._facts_start[position : position + 2].tolist()
        points, *places = self._native_index[position].tolist()
        try:
            facts = json.loads(self.raw("/references/facts")[start:stop].tobytes())
            spectrum = Spectrum(
                axis=self._native(points, *places[0:2]),
                intensity=self._native(points, *places[2:4]),
                sd=None if places[4] < 0 else self._native(points, *places[4:6]),
                technique=info.technique,
                unit=IntensityUnit(facts["unit"]),
                acquisition=Acquisition.from_dict(facts.get("acquisition", {})),
                history=[ProcessingStep.from_dict(step) for step in facts.get("history", ())],
                name=facts.get("name", ""),
                source=facts.get("source", ""),
            )
        except (InvalidSpectrumError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise self._damaged(f"the spectrum of reference {info.id!r} cannot be read") from error
        if spectrum.sha256 != info.spectrum_sha256:
            raise self._damaged(f"the spectrum of reference {info.id!r} is not the one that was stored")
        return Reference(info, spectrum)

    def _native(self, points: int, pool: int, first: int) -> np.ndarray[Any, Any]:
        return self.raw(POOLS[pool]).reshape(-1)[first : first + points]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def reopen(path: Path, sha256: str) -> ReferenceLibrary:
    """A library in another process.

    Raises
    ------
    LibraryError
        If it cannot be opened, or is another one now.
    """
    library = ReferenceLibrary(path)
    if library.sha256 != sha256:
        raise LibraryError(f"{path}: the library was replaced by another one since it was first opened.")
    return library
