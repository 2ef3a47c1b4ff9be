"""Where the values of a library lie in its file, which is all that HDF5 is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spectralid import _bundled, sandbox
from spectralid.errors import LibraryError
from spectralid.library.schema import FORMAT, SCHEMA

__all__ = ["Place", "places_here", "places_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the values of one dataset lie in the file.

    Attributes
    ----------
    offset : int
        Byte of the file at which they begin.
    dtype : dtype
        Of each.
    shape : tuple of int
        How many.
    """

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


def places_of(path: Path) -> dict[str, Place]:
    """Places of all datasets of a library.

    A file of which nobody knows where it is from is asked in a process of its own (`spectralid.sandbox`).
    Those that were installed with the package are opened here.

    Parameters
    ----------
    path : Path
        The library file.

    Raises
    ------
    LibraryError
        If it is damaged, no library, or of a newer major version.
    """
    if path.parent == _bundled.path("libraries", path.name).parent or not sandbox.available():
        try:
            with path.open("rb") as file:
                return places_here(file, str(path))
        except OSError as error:
            raise _damaged(path, error.strerror or str(error)) from None
    try:
        limits = sandbox.Limits.for_size(path.stat().st_size)
        said = sandbox.run("spectralid.library._places_there:there", path, {"name": str(path)}, limits).said
        if "error" in said:
            raise LibraryError(str(said["error"]))
        return {
            str(name): Place(_size(offset), _dtype(dtype), tuple(_size(n) for n in shape))
            for name, (offset, dtype, shape) in said["places"].items()
        }
    except sandbox.BrokenError as error:
        raise _damaged(path, f"reading it {error}") from None
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(path, "its description is none") from None


def places_here(file: BinaryIO, name: str) -> dict[str, Place]:
    """The same, from an open file and in this process; errors of HDF5 become one sentence.

    Raises
    ------
    LibraryError
        If it is damaged, no library, or of a newer major version.
    """
    import h5py

    try:
        with h5py.File(file, "r") as root:
            _check_schema(root, name)
            return _datasets(root, name)
    except LibraryError:
        raise
    # h5py passes on whatever HDF5 met in a damaged file: OSError, KeyError, RuntimeError, ValueError …
    except Exception as error:
        raise _damaged(name, (str(error).splitlines() or [type(error).__name__])[0]) from error


def _damaged(name: object, what: str) -> LibraryError:
    return LibraryError(f"{name}: it is not a library, or is damaged or cut short ({what}).")


def _size(number: object) -> int:
    if type(number) is not int or not 0 <= number < 2**63:
        raise ValueError("no size")
    return number


def _dtype(name: object) -> np.dtype[Any]:
    kind = np.dtype(name) if isinstance(name, str) else None
    # Values are looked at as they lie in the file; an object would be an address.
    if kind is None or kind.hasobject:
        raise ValueError("no values")
    return kind


def _check_schema(file: Any, name: str) -> None:
    if file.attrs.get("format") != FORMAT:
        raise LibraryError(f"{name}: this HDF5 file is not a spectralid library.")
    stated = str(file.attrs.get("schema", ""))
    try:
        major = int(stated.split(".")[0])
    except ValueError:
        raise LibraryError(f"{name}: the library states no version; it is damaged.") from None
    if major > SCHEMA[0]:
        raise LibraryError(
            f"{name}: the library has format {stated}, newer than the {SCHEMA[0]}.x this spectralid reads; "
            "update spectralid."
        )


def _datasets(file: Any, name: str) -> dict[str, Place]:
    import h5py

    found: dict[str, Place] = {}

    def visit(member: str, node: Any) -> None:
        if not isinstance(node, h5py.Dataset):
            return
        offset = node.id.get_offset()
        if offset is None and node.size:
            raise LibraryError(
                f"{name}: the values of /{member} are compressed or chunked, so another program wrote "
                "the file; build the library again."
            )
        found["/" + member] = Place(offset or 0, node.dtype, node.shape)

    file.visititems(visit)
    return found
