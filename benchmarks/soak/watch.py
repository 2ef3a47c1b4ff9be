"""What a process holds, asked from outside of it: memory, open files, threads, children (Linux)."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds at a moment.

    Attributes
    ----------
    own_mb, pss_mb, rss_mb : float
        Memory in MiB: anonymous (heap and stacks, where a leak would be), with a share of what several
        processes have mapped, and all that is resident. The last two depend on who else has a file mapped.
    handles, threads, children : int
        Open file descriptors, threads, child processes.
    """

    own_mb: float
    pss_mb: float
    rss_mb: float
    handles: int
    threads: int
    children: int


def held(pid: int) -> Held:
    """What it holds now."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii", errors="replace")
    sizes = {name: int(size) / 1024 for name, size in (line.split()[:2] for line in text.splitlines()[1:])}
    tasks = os.listdir(f"/proc/{pid}/task")
    children = 0
    for task in tasks:
        with contextlib.suppress(OSError):  # a thread that just ended
            children += len(Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return Held(
        own_mb=sizes["Anonymous:"],
        pss_mb=sizes["Pss:"],
        rss_mb=sizes["Rss:"],
        handles=len(os.listdir(f"/proc/{pid}/fd")),
        threads=len(tasks),
        children=children,
    )


def handles(pid: int) -> Counter[str]:
    """Open file descriptors by the name of what they lead to, to find one that is kept."""
    found: Counter[str] = Counter()
    for one in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            # Where it lies is the machine's business.
            found[Path(os.readlink(f"/proc/{pid}/fd/{one}").partition(":[")[0]).name] += 1
    return found


def cpu_s(pid: int) -> float:
    """Time of processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sizes(folder: Path, pattern: str) -> int:
    """Bytes of the files of a database, its log included."""
    total = 0
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
