"""Exit codes a script can rely on; they never change meaning between versions."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Exit"]


class Exit(IntEnum):
    """Exit codes of every ``spectralid`` command.

    Over several inputs the command ends with the first that applies: 3 if any input could not be read, else
    the highest verdict code, so that 0 means every input was read and identified.
    `DIFFERENT` is the answer of ``library diff`` alone, `GOAL_MISSED` of ``reachback plan`` and ``qa``.
    `INTERRUPTED` (Ctrl-C) and `PIPE_CLOSED` (whoever read the output has gone) are 128 plus the signal, as
    shells have it.
    """

    IDENTIFIED = 0
    INTERNAL = 1
    USAGE = 2
    UNREADABLE = 3
    LIBRARY = 4
    DEVICE = 5
    MIXTURE = 10
    FAMILY = 11
    INCONCLUSIVE = 12
    NO_MATCH = 13
    POOR_SIGNAL = 14
    DIFFERENT = 20
    GOAL_MISSED = 21
    INTERRUPTED = 130
    PIPE_CLOSED = 141
