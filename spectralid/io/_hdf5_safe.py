"""Opening an HDF5 file from outside and taking arrays and words from it, with every size checked first."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spectralid.errors import UnreadableFileError
from spectralid.io._contain import contained
from spectralid.io._registry import Source
from spectralid.spectrum import FloatArray

if TYPE_CHECKING:
    import h5py

__all__ = ["MAGIC", "SafeGroup", "open_hdf5"]

MAGIC: Final = b"\x89HDF\r\n\x1a\n"
MAXIMUM_VALUES: Final = 16 * 1024 * 1024
MAXIMUM_CHUNK_BYTES: Final = 64 * 1024 * 1024
MAXIMUM_TEXT: Final = 4 * 1024 * 1024
MAXIMUM_MEMBERS: Final = 100_000

# HDF5's own: deflate, shuffle, Fletcher-32, SZIP, n-bit, scale-offset. Others load a plug-in of the machine.
_OWN_FILTERS: Final = frozenset(range(1, 7))


class SafeGroup:
    """A group whose members are taken only where they lie in the file itself and are of sensible size.

    Parameters
    ----------
    group : h5py.Group
        The group.
    source : Source
        The file, for messages.
    """

    def __init__(self, group: h5py.Group, source: Source) -> None:
        self._group = group
        self._source = source

    @property
    def path(self) -> str:
        """Path of the group in the file."""
        return str(self._group.name)

    def _refuse(self, message: str, name: str) -> UnreadableFileError:
        where = f"{self.path.rstrip('/')}/{name}"
        return UnreadableFileError(message, file=self._source.name, where=where)

    def names(self) -> list[str]:
        """Names of the members, in the file's order.

        Raises
        ------
        UnreadableFileError
            If there are more than any file of spectra has.
        """
        if len(self._group) > MAXIMUM_MEMBERS:
            raise self._refuse(f"it holds {len(self._group)} objects in one group; split it.", "")
        return list(self._group)

    def _member(self, name: str) -> Any:
        import h5py

        if name in ("", ".", "..") or "/" in name:
            return None
        link = self._group.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            # A soft or external link may lead to another file on this machine.
            raise self._refuse("it is a link to another place; save the file with the data in it.", name)
        return self._group[name]

    def groups(self) -> list[tuple[str, SafeGroup]]:
        """Member groups with their names."""
        found = ((name, self.group(name)) for name in self.names() if self._is_group(name))
        return [(name, group) for name, group in found if group is not None]

    def _is_group(self, name: str) -> bool:
        import h5py

        link = self._group.get(name, getlink=True)
        return isinstance(link, h5py.HardLink) and self._group.get(name, getclass=True) is h5py.Group

    def group(self, name: str) -> SafeGroup | None:
        """The member group, ``None`` where there is none."""
        import h5py

        member = self._member(name)
        return SafeGroup(member, self._source) if isinstance(member, h5py.Group) else None

    def array(self, name: str) -> FloatArray | None:
        """The member's real numbers as float64, ``None`` where it is absent or holds no real numbers.

        Raises
        ------
        UnreadableFileError
            If it is too large, or its values lie outside the file or behind a foreign filter.
        """
        import h5py

        member = self._member(name)
        if not isinstance(member, h5py.Dataset) or member.dtype.kind not in "iuf" or member.shape is None:
            return None
        self._check(member, name)
        return np.asarray(member[()], dtype=np.float64)

    def _check(self, dataset: h5py.Dataset, name: str) -> None:
        if dataset.size > MAXIMUM_VALUES:
            raise self._refuse(
                f"it holds {dataset.size} values, more than the {MAXIMUM_VALUES} that are read at once; cut "
                "out the part you need.",
                name,
            )
        if dataset.is_virtual or dataset.external:
            raise self._refuse("its values lie in another file; save the file with the data in it.", name)
        if (
            dataset.chunks
            and np.prod(dataset.chunks, dtype=float) * dataset.dtype.itemsize > MAXIMUM_CHUNK_BYTES
        ):
            raise self._refuse("its storage chunks are larger than any spectrum; write it anew.", name)
        creation = dataset.id.get_create_plist()
        for i in range(creation.get_nfilters()):
            if creation.get_filter(i)[0] not in _OWN_FILTERS:
                raise self._refuse(
                    "it is compressed by a filter that is not HDF5's own; save it with gzip or uncompressed.",
                    name,
                )

    def text(self, name: str) -> str:
        """The member's words, empty where it is absent or no text."""
        import h5py

        member = self._member(name)
        if not isinstance(member, h5py.Dataset) or h5py.check_string_dtype(member.dtype) is None:
            return ""
        if member.size != 1 or member.dtype.itemsize > MAXIMUM_TEXT:
            return ""
        self._check(member, name)
        return _words(member[()] if member.shape == () else member[...].ravel()[0])

    def number(self, name: str) -> float | None:
        """The member's one real number, ``None`` where there is none."""
        values = self.array(name)
        return None if values is None or values.size != 1 else float(values.ravel()[0])

    def attribute(self, name: str, *, of: str = "") -> str:
        """An attribute of the group, or of its member `of`, as words; empty where absent or too long.

        Several strings are joined by blanks.
        """
        holder = self._member(of) if of else self._group
        if holder is None or name not in holder.attrs:
            return ""
        if holder.attrs.get_id(name).get_storage_size() > MAXIMUM_TEXT:
            return ""
        value = holder.attrs[name]
        if isinstance(value, np.ndarray):
            return " ".join(_words(v) for v in value.ravel()[:100])
        return _words(value)

    def attributes(self, of: str) -> dict[str, str]:
        """Every attribute of a member as words."""
        member = self._member(of)
        return (
            {}
            if member is None
            else {name: self.attribute(name, of=of) for name in list(member.attrs)[:1000]}
        )


def _words(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@contextlib.contextmanager
def open_hdf5(source: Source) -> Iterator[SafeGroup]:
    """The root group of an HDF5 file held in memory; errors of h5py become one sentence.

    Raises
    ------
    UnreadableFileError
        If it is damaged.
    """
    import h5py

    with contained(source.name, "h5py"), h5py.File(io.BytesIO(source.data), "r") as file:
        yield SafeGroup(file["/"], source)
