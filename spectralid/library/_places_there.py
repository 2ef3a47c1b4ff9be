"""The other end of `places`: imported by the sandbox's keeper alone, before it forks."""

from __future__ import annotations

from typing import Any, BinaryIO

import h5py  # noqa: F401  (once for all the processes that are forked)

from spectralid.errors import LibraryError
from spectralid.library.places import places_here

__all__ = ["there"]


def there(data: BinaryIO, *, name: str) -> tuple[dict[str, Any], list[Any]]:
    """Places of a library as what JSON can say, or the sentence why there are none."""
    try:
        places = places_here(data, name)
    except LibraryError as error:
        return {"error": str(error)}, []
    return {"places": {key: [p.offset, p.dtype.str, list(p.shape)] for key, p in places.items()}}, []
