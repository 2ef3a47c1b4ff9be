"""Figures are drawn in one thread.

matplotlib is not made for several at a time, and opens its fonts anew in each: threads that come and go would
leave two open files behind for every one of them that ever drew.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

__all__ = ["drawn"]

T = TypeVar("T")

_PEN: Final = ThreadPoolExecutor(1, thread_name_prefix="drawing")


def drawn(draw: Callable[[], T]) -> T:
    """What drawing gives, once it is its turn.

    Parameters
    ----------
    draw : callable
        Makes a figure and saves it.
    """
    return _PEN.submit(draw).result()
