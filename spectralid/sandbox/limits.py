"""What one file may cost."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

__all__ = ["Limits", "impose"]

# Reading opens nothing but what a late import may need.
_OPEN_FILES: Final = 64
# Where the system does not say how large a process is: more than one with its packages needs.
_LARGE: Final = 2**32


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost.

    Attributes
    ----------
    memory_bytes : int
        Memory beyond that of the process before it looks at the file.
    cpu_s : int
        Processor time in s.
    wall_s : float
        Time by the clock in s.
    result_bytes : int
        Size of what may be handed back.
    """

    memory_bytes: int = 512 * 2**20
    cpu_s: int = 20
    wall_s: float = 30.0
    result_bytes: int = 512 * 2**20

    @classmethod
    def for_size(cls, size: int) -> Limits:
        """What a file of that many bytes may cost: a sound one of 8 MB is read in far less than a second."""
        cpu_s = 2 + size // (8 * 2**20)
        # On a machine that is busy with other work the clock goes faster than the processor.
        return cls(cpu_s=cpu_s, wall_s=10.0 * cpu_s)


def impose(limits: Limits) -> None:
    """Have the system hold this process to its limits, for good."""
    import resource

    def lower(what: int, soft: int, above: int = 0) -> None:
        ceiling = resource.getrlimit(what)[1]
        hard = soft + above if ceiling == resource.RLIM_INFINITY else min(soft + above, ceiling)
        resource.setrlimit(what, (min(soft, hard), hard))

    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_FSIZE, 0)
    # A second between SIGXCPU, which tells why, and SIGKILL, which nothing withstands.
    lower(resource.RLIMIT_CPU, limits.cpu_s, above=1)
    lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    lower(resource.RLIMIT_AS, _size() + limits.memory_bytes)


def _size() -> int:
    """Address space of this process in bytes."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return _LARGE
