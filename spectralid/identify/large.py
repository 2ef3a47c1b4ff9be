"""Libraries larger than memory should hold: matrices that lie in files and are gone through block by block.

A prepared matrix takes the place of an array wherever only products and single rows are wanted of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

import spectralid
from spectralid.identify.references import AREA, BACKGROUND_SPACING, ReferenceSet
from spectralid.library import ReferenceLibrary
from spectralid.library.prepared import PreparedFile, Writer, prepared
from spectralid.library.schema import grid_key
from spectralid.spectrum import Technique

__all__ = [
    "BLOCK_ROWS",
    "LARGE",
    "MappedMatrix",
    "Masks",
    "MasksInOrder",
    "Matrix",
    "blocks",
    "compound_numbers",
    "prepared_for",
    "put_masks",
    "reference_set",
    "walk",
]

LARGE: Final = 8192
"""References beyond which what is prepared from them stays in a file: 32 MB of float32 per matrix."""

BLOCK_ROWS: Final = 2048
"""Rows gone through at a time: 8 MB of float32, which caches of today's processors hold."""

Matrix = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]


def blocks(rows: int) -> Iterator[slice]:
    """Slices of `BLOCK_ROWS` rows that cover `rows` of them."""
    for start in range(0, rows, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, rows))


def walk(matrix: Matrix | MappedMatrix) -> Iterator[tuple[slice, Matrix]]:
    """Blocks of rows of a matrix; those of a mapped one are given back to the system after use."""
    if isinstance(matrix, MappedMatrix):
        yield from matrix.walk()
    else:
        for rows in blocks(len(matrix)):
            yield rows, matrix[rows]


def compound_numbers(slugs: Iterable[str]) -> Ints:
    """Number of the compound of each row, in the order they are met."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(slug, len(numbers)) for slug in slugs], dtype=np.intp)


class MasksInOrder:
    """Numbers distinct rows of masks in the order they are met."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def add(self, known: Bools) -> Ints:
        """Numbers of the masks `known`, shape (n, n_points); returns shape (n,)."""
        packed = np.packbits(known, axis=1)
        keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).reshape(-1)
        found, which = np.unique(keys, return_inverse=True)
        numbers = [self._numbers.setdefault(key.tobytes(), len(self._numbers)) for key in found]
        return np.array(numbers, dtype=np.intp)[which.reshape(-1)]

    def packed(self) -> npt.NDArray[np.uint8]:
        """Every mask once, eight points in a byte, shape (n_masks, …)."""
        rows = [np.frombuffer(key, dtype=np.uint8) for key in self._numbers]
        return np.stack(rows) if rows else np.empty((0, 0), dtype=np.uint8)


class Masks:
    """Where references are known, a block of rows at a time: they share few masks.

    Parameters
    ----------
    packed : ndarray of uint8, shape (n_masks, …)
        Masks, eight points in a byte.
    of_row : ndarray of int, shape (n_rows,)
        Which of them each row has.
    points : int
        Points of a mask.
    """

    def __init__(self, packed: npt.NDArray[np.uint8], of_row: npt.NDArray[Any], points: int) -> None:
        self._packed = np.array(packed)
        self._of_row = np.array(of_row)
        self._blocks = [np.unique(of_row[rows], return_inverse=True) for rows in blocks(len(of_row))]
        self.shape = (len(of_row), points)

    def _unpacked(self, packed: npt.NDArray[np.uint8]) -> Bools:
        return np.unpackbits(packed, axis=-1, count=self.shape[1]).view(np.bool_)

    def block(self, rows: slice) -> tuple[Bools, Ints]:
        """Distinct masks of a block from `blocks`, shape (n_masks, n_points), and which each row has."""
        present, of_row = self._blocks[rows.start // BLOCK_ROWS]
        return self._unpacked(self._packed[present]), of_row

    def anywhere(self) -> Bools:
        """Points at which any reference is known, shape (n_points,)."""
        return self._unpacked(np.bitwise_or.reduce(self._packed, axis=0))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | npt.NDArray[Any]) -> Bools:
        """Masks of chosen rows."""
        return self._unpacked(self._packed[self._of_row[rows]])

    def __matmul__(self, columns: Matrix) -> Matrix:
        """Product with `columns` (n_points,) or (n_points, k)."""
        parts = []
        for rows in blocks(len(self)):
            masks, of_row = self.block(rows)
            parts.append((masks.astype(columns.dtype) @ columns)[of_row])
        return np.concatenate(parts)


class MappedMatrix:
    """Rows of a prepared file, of which a block is in memory at a time.

    Parameters
    ----------
    file : PreparedFile
        Where they lie.
    name : str
        Which array.
    squared : bool
        Whether the squares of what is stored are meant.
    """

    def __init__(self, file: PreparedFile, name: str, *, squared: bool = False) -> None:
        self._file = file
        self._values: npt.NDArray[np.float32] = file.arrays[name]
        self._squared = squared
        self.shape = self._values.shape
        self.dtype = self._values.dtype

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> Matrix:
        """Chosen rows: an int, a slice of consecutive rows or an array of row numbers; a copy."""
        found = np.array(self._values[rows])
        return found * found if self._squared else found

    def walk(self) -> Iterator[tuple[slice, Matrix]]:
        """Blocks of rows, each given back to the system after use."""
        for rows in blocks(len(self)):
            part = self._values[rows]
            yield rows, part * part if self._squared else part
            self._file.release()

    def __matmul__(self, columns: Matrix) -> Matrix:
        """Product with `columns` (n_grid,) or (n_grid, k)."""
        out = np.empty((len(self), *columns.shape[1:]), np.result_type(self.dtype, columns.dtype))
        for rows, part in self.walk():
            np.matmul(part, columns, out=out[rows])
        return out


def put_masks(writer: Writer, masks: MasksInOrder, of_row: Sequence[Ints]) -> None:
    """Write masks and which of them each row has, as ``masks`` and ``mask_of_row``."""
    which = np.concatenate(of_row)
    packed = masks.packed()
    for name, values in (("masks", packed), ("mask_of_row", which)):
        writer.create(name, values.shape, values.dtype)
        writer.append(name, values)


def prepared_for(
    library: ReferenceLibrary,
    technique: Technique,
    purpose: str,
    make: Callable[[Writer], None],
    detail: str,
) -> PreparedFile:
    """What is prepared from the references of a technique for one purpose, in a file beside the library.

    Parameters
    ----------
    library : ReferenceLibrary
        The library.
    technique : Technique
        Raman or an infrared technique.
    purpose : str
        Ends the file's name.
    make : callable
        As for `spectralid.library.prepared.prepared`.
    detail : str
        What else the values depend on.
    """
    key = grid_key(technique)
    path = library.path.with_name(f"{library.path.name}.{key}-{purpose}")
    return prepared(path, f"{spectralid.__version__} {library.sha256} {key} {purpose} {detail}", make)


def reference_set(library: ReferenceLibrary, technique: Technique) -> ReferenceSet:
    """References of a library prepared for the joint fit: in memory, or mapped if they are many.

    Parameters
    ----------
    library : ReferenceLibrary
        The library.
    technique : Technique
        Raman or an infrared technique.

    Returns
    -------
    ReferenceSet
        Of a library of more than `LARGE` references, `values`, `squares` and `known` are a `MappedMatrix` or
        `Masks`, which do what the fit does with arrays: products with columns, and single rows.
    """
    rows = library.rows(technique)
    if len(rows) <= LARGE:
        return ReferenceSet.from_library(library, technique)
    matrix, grid = library.matrix(technique), library.grid(technique)

    def make(writer: Writer) -> None:
        masks, of_row = MasksInOrder(), list[Ints]()
        writer.create("values", matrix.shape, np.float32)
        for part in blocks(len(rows)):
            block = ReferenceSet.of(technique, grid, matrix[part], rows[part])
            writer.append("values", block.values)
            of_row.append(masks.add(block.known))
            library.release()
        put_masks(writer, masks, of_row)

    file = prepared_for(library, technique, "fit", make, f"{AREA:g} {BACKGROUND_SPACING}")
    values = MappedMatrix(file, "values")
    return ReferenceSet(
        technique,
        grid,
        rows,
        cast("npt.NDArray[np.float32]", values),
        cast("npt.NDArray[np.float32]", MappedMatrix(file, "values", squared=True)),
        cast("Bools", Masks(file.arrays["masks"], file.arrays["mask_of_row"], grid.size)),
        compound_numbers([r.compound_slug for r in rows]),
    )
