"""Building a library file: collect compounds and references, then write them in one go."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

import spectralid
from spectralid.errors import LibraryError, ParameterError, TechniqueError
from spectralid.library._values import Compound, Fitness, ReferenceInfo, Tier
from spectralid.library.schema import (
    FORMAT,
    GRIDS,
    POOLS,
    SCHEMA,
    array_digest,
    canonical_json,
    common_grid,
    dataset_entry,
    grid_key,
    manifest_sha256,
)
from spectralid.spectrum import FloatArray, IntensityUnit, Spectrum, Technique

__all__ = ["LibraryBuilder", "comparable_intensity", "spectrum_facts"]

_SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Arrays = dict[str, np.ndarray[Any, Any]]


class _Row(NamedTuple):
    """A reference on its common grid, as it is stored there."""

    key: str
    computed: bool
    values: np.ndarray[Any, Any]
    is_native: bool


class LibraryBuilder:
    """Collects compounds and references and writes them as a library file.

    Parameters
    ----------
    name : str
        Name of the library.
    version : str
        Its version.
    created : str
        Date to record, ISO 8601. It is never taken from the clock, so that a library can be built again
        byte for byte.
    recipe : str
        What it was made from and how, in words.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import LibraryBuilder, Spectrum
    >>> from spectralid.library import Compound, Tier
    >>> builder = LibraryBuilder("mine")
    >>> axis = np.linspace(200.0, 2000.0, 900)
    >>> spectrum = Spectrum(axis, np.exp(-(((axis - 1001.0) / 8) ** 2)), technique="raman")
    >>> builder.add(spectrum, Compound("benzene", "Benzene"), tier=Tier.MEASURED, licence="CC0-1.0")
    'benzene-raman-...'
    """

    def __init__(self, name: str, *, version: str = "1", created: str = "", recipe: str = "") -> None:
        if not name:
            raise ParameterError("name", name, "a name for the library")
        self._about = {"name": name, "version": version, "created": created, "recipe": recipe}
        self._compounds: dict[str, Compound] = {}
        self._infos: dict[str, ReferenceInfo] = {}
        self._spectra: list[Spectrum] = []
        self._facts: list[bytes] = []
        self._rows: list[_Row] = []
        self._fitness: dict[tuple[str, ...], Fitness] = {}
        self._training: set[str] = set()

    def __len__(self) -> int:
        return len(self._infos)

    def add_compound(self, compound: Compound) -> None:
        """Add a compound, whether or not a reference of it follows.

        Raises
        ------
        ParameterError
            If its slug is malformed or already stands for another compound.
        """
        if not _SLUG.fullmatch(compound.slug):
            raise ParameterError(
                "slug", compound.slug, "lower-case letters and digits joined by single hyphens"
            )
        known = self._compounds.setdefault(compound.slug, compound)
        if known != compound:
            raise ParameterError("slug", compound.slug, f"unique; {known.name!r} already has this one")

    def add(
        self,
        spectrum: Spectrum,
        compound: Compound | str,
        *,
        tier: Tier | str,
        source: str = "",
        licence: str = "",
        url: str = "",
        citation: str = "",
        form: str = "",
        quality: float | None = None,
    ) -> str:
        """Add a reference.

        Parameters
        ----------
        spectrum : Spectrum
            Its native spectrum; stored value for value.
        compound : Compound or str
            What it is a spectrum of; a slug names one added before.
        tier : Tier
            What it rests on.
        source, licence, url, citation, form, quality
            See `ReferenceInfo`. An empty `source` is the spectrum's own.

        Returns
        -------
        str
            The id of the reference.

        Raises
        ------
        ParameterError
            If the compound is unknown, the same spectrum of it is there already, the spectrum does not reach
            the common grid or cannot be put on it, or a fact about it is no finite number or no Unicode text.
        TechniqueError
            If the technique is unknown.
        """
        if isinstance(compound, Compound):
            self.add_compound(compound)
            slug = compound.slug
        elif compound in self._compounds:
            slug = compound
        else:
            raise ParameterError("compound", compound, "a Compound, or the slug of one added before")
        tier = Tier.parse(tier)
        try:
            row = _row(spectrum, tier)
        except TechniqueError:
            raise TechniqueError(
                f"The technique of the spectrum {spectrum.name!r} is not known; say Raman or infrared."
            ) from None
        parts = [slug, *re.findall(r"[a-z0-9]+", form.lower()), spectrum.technique.value.replace("_", "-")]
        id = "-".join([*parts, spectrum.sha256[:8]])
        if id in self._infos:
            raise ParameterError("spectrum", spectrum.name, f"not yet in the library; it is there as {id!r}")
        info = ReferenceInfo(
            id=id,
            compound_slug=slug,
            form=form,
            technique=spectrum.technique,
            tier=tier,
            source=source or spectrum.source,
            licence=licence,
            url=url,
            citation=citation,
            range_cm1=spectrum.range,
            n_points=spectrum.n_points,
            resolution_cm1=spectrum.acquisition.resolution_cm1,
            laser_nm=spectrum.acquisition.laser_nm,
            quality=quality,
            spectrum_sha256=spectrum.sha256,
        )
        try:
            facts = canonical_json(spectrum_facts(spectrum))
            canonical_json(_columns(ReferenceInfo, [info]))
        except (TypeError, ValueError):
            # Now rather than in write(), where one bad header would cost all the others.
            raise ParameterError(
                "spectrum", spectrum.name, "described by finite numbers and text that is Unicode"
            ) from None
        self._infos[id] = info
        self._spectra.append(spectrum)
        self._facts.append(facts)
        self._rows.append(row)
        return id

    def add_fitness(self, fitness: Fitness) -> None:
        """Record how well a tier finds substances.

        What was recorded of the same tier, technique and group before stays.
        """
        self._fitness.setdefault((fitness.tier, fitness.technique, fitness.group), fitness)

    def add_training_substances(self, inchikeys: Iterable[str]) -> None:
        """Record substances whose measured spectra the computed references learned from.

        An evaluation on spectra of these substances flatters the computed tier.
        """
        self._training.update(inchikeys)

    def write(self, path: str | os.PathLike[str]) -> str:
        """Write the library file; a file already there is replaced only when the new one is complete.

        Parameters
        ----------
        path : path
            Where to.

        Returns
        -------
        str
            SHA-256 of the content.

        Raises
        ------
        LibraryError
            If there is nothing to write or the file cannot be written.
        """
        if not self._infos:
            raise LibraryError("The library has no reference yet; add at least one before writing it.")
        arrays = self._arrays()
        manifest: dict[str, Any] = {
            **self._about,
            "generator": f"spectralid {spectralid.__version__}",
            "schema": f"{SCHEMA[0]}.{SCHEMA[1]}",
            "references": len(self._infos),
            "techniques": [t.value for t in Technique if any(i.technique is t for i in self._infos.values())],
            "datasets": {name: dataset_entry(array) for name, array in arrays.items()},
        }
        manifest["sha256"] = manifest_sha256(manifest)
        arrays["/manifest"] = _bytes(canonical_json(manifest))
        _write_atomically(Path(path), arrays)
        return str(manifest["sha256"])

    def _arrays(self) -> Arrays:
        infos = list(self._infos.values())
        arrays = {
            "/compounds": _bytes(canonical_json(_columns(Compound, list(self._compounds.values())))),
            "/references/info": _bytes(canonical_json(_columns(ReferenceInfo, infos))),
            "/references/facts": _bytes(b"".join(self._facts)),
            "/references/facts_start": np.cumsum([0, *map(len, self._facts)], dtype="<i8"),
        }
        for key in GRIDS:
            of_key = [i for i, row in enumerate(self._rows) if row.key == key]
            if not of_key:
                continue
            arrays[f"/grids/{key}/axis"] = common_grid(key).astype("<f8")
            for computed, block, prefix in ((False, "matrix", "row"), (True, "computed", "computed")):
                chosen = [i for i in of_key if self._rows[i].computed is computed]
                if not chosen:
                    continue
                values = np.stack([self._rows[i].values for i in chosen])
                arrays[f"/grids/{key}/{'computed_' if computed else ''}rows"] = np.array(chosen, dtype="<i8")
                arrays[f"/grids/{key}/{block}"] = values
                digests = b"".join(array_digest(row) for row in values)
                arrays[f"/grids/{key}/{prefix}_sha256"] = _bytes(digests).reshape(-1, 32)
        arrays.update(_native(self._spectra, self._rows))
        if self._fitness:
            facts = [fitness.to_dict() for fitness in self._fitness.values()]
            arrays["/evidence/fitness"] = _bytes(canonical_json(facts))
        if self._training:
            arrays["/evidence/training"] = _bytes(canonical_json(sorted(self._training)))
        return arrays


def _row(spectrum: Spectrum, tier: Tier) -> _Row:
    """The spectrum as it lies on its common grid; a computed one in half the bytes."""
    key, values = grid_key(spectrum.technique), _on_grid(spectrum)
    if tier is not Tier.COMPUTED:
        return _Row(key, False, values, False)
    # Largest magnitude 1, because float16 ends at 65,504; only ratios are compared.
    largest = float(np.nanmax(np.abs(values))) or 1.0
    half = (values.astype(np.float64) / largest).astype("<f2")
    is_native = (
        spectrum.sd is None
        and np.array_equal(spectrum.axis, common_grid(key))
        and np.array_equal(half.astype(np.float64), spectrum.intensity, equal_nan=True)
    )
    return _Row(key, True, half, is_native)


def _on_grid(spectrum: Spectrum) -> npt.NDArray[np.float32]:
    """Row of the matrix: the spectrum (infrared as absorbance) on its common grid, float32."""
    from spectralid.preprocess.resample import resample

    grid = common_grid(grid_key(spectrum.technique))
    intensity = comparable_intensity(spectrum)
    low, high = spectrum.range
    if high < grid[0] or low > grid[-1]:
        raise ParameterError(
            "spectrum", spectrum.name, f"within the common grid, {grid[0]:g} to {grid[-1]:g} cm⁻¹"
        )
    values = resample(spectrum.axis, intensity[np.newaxis], grid)[0]
    with np.errstate(over="ignore"):
        row: npt.NDArray[np.float32] = values.astype("<f4")
    if not np.isfinite(row).any() or np.isinf(row).any():
        raise ParameterError("spectrum", spectrum.name, "finite on some part of the common grid")
    return row


def comparable_intensity(spectrum: Spectrum) -> FloatArray:
    """Intensities as they are matched: infrared as absorbance, Raman as they are.

    Raises
    ------
    ParameterError
        If an infrared spectrum cannot be put as absorbance.
    """
    if not spectrum.technique.is_infrared:
        return spectrum.intensity
    from spectralid.preprocess.convert import to_absorbance

    converted = to_absorbance(spectrum)
    # Many old files state no ordinate; what cannot be told to be wrong is taken as absorbance.
    if converted.unit not in (IntensityUnit.ABSORBANCE, IntensityUnit.ARBITRARY):
        raise ParameterError(
            "unit", spectrum.unit.value, "absorbance, transmittance or reflectance for an infrared reference"
        )
    return converted.intensity


def spectrum_facts(spectrum: Spectrum) -> Mapping[str, Any]:
    """What ``/references/facts`` holds of a spectrum: all but technique, axis and values; JSON-ready."""
    return {
        "unit": spectrum.unit.value,
        "name": spectrum.name,
        "source": spectrum.source,
        "acquisition": spectrum.acquisition.to_dict(),
        "history": [step.to_dict() for step in spectrum.history],
    }


def _columns(kind: type[Compound] | type[ReferenceInfo], items: Sequence[Any]) -> dict[str, list[Any]]:
    return {f.name: [getattr(item, f.name) for item in items] for f in fields(kind)}


def _bytes(data: bytes) -> np.ndarray[Any, Any]:
    return np.frombuffer(data, dtype=np.uint8)


class _Pool:
    """Values of many arrays end to end; equal arrays (axes above all) once."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self._parts: list[np.ndarray[Any, Any]] = []
        self._place: dict[bytes, int] = {}
        self._length = 0

    def add(self, values: np.ndarray[Any, Any]) -> int:
        """Store `values`, and say at which element they start."""
        digest = array_digest(values)
        if digest not in self._place:
            self._place[digest] = self._length
            self._parts.append(values)
            self._length += values.size
        return self._place[digest]

    def values(self) -> np.ndarray[Any, Any]:
        return np.concatenate([np.empty(0, self.dtype), *self._parts])


def _native(spectra: Sequence[Spectrum], rows: Sequence[_Row]) -> Arrays:
    """The native datasets.

    A row on the grid holds an intensity where it can, float32 holds an array where that loses nothing.
    """
    pools = (_Pool("<f8"), _Pool("<f4"))
    used = dict.fromkeys(GRIDS, 0)

    def place(values: FloatArray | None) -> tuple[int, int]:
        if values is None:
            return -1, 0
        with np.errstate(over="ignore"):
            short = values.astype("<f4")
        if np.array_equal(short.astype("<f8"), values, equal_nan=True):
            return 1, pools[1].add(short)
        return 0, pools[0].add(values.astype("<f8"))

    index = []
    for spectrum, row in zip(spectra, rows, strict=True):
        intensity = (
            (POOLS.index(f"/grids/{row.key}/computed"), used[row.key])
            if row.is_native
            else place(spectrum.intensity)
        )
        used[row.key] += row.values.size if row.computed else 0
        index.append((spectrum.n_points, *place(spectrum.axis), *intensity, *place(spectrum.sd)))
    return {
        "/native/index": np.array(index, dtype="<i8"),
        POOLS[0]: pools[0].values(),
        POOLS[1]: pools[1].values(),
    }


def _write_atomically(path: Path, arrays: Arrays) -> None:
    import h5py

    # The process id keeps two builders of the same file apart; the last one to finish wins, whole.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        # Format 1.10 has checksums of HDF5's own structures; alignment lets values be mapped as they are.
        with h5py.File(
            partial, "w", libver=("v110", "v110"), alignment_threshold=1, alignment_interval=64
        ) as file:
            file.attrs["format"] = FORMAT
            file.attrs["schema"] = f"{SCHEMA[0]}.{SCHEMA[1]}"
            for dataset, values in arrays.items():
                file.create_dataset(dataset, data=values, track_times=False)
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        reason = error.strerror or str(error)
        raise LibraryError(f"{path}: the library cannot be written ({reason}).") from None
