"""Exit codes a script can rely on; they never change meaning between versions."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Exit"]


class Exit(IntEnum):
    """Exit codes of every ``spectralid`` command.

    Over several inputs the command ends with the first that applies: 3 if any input could not be read, else
    the highest verdict code, so that 0 means every input was read and identified.
    `DIFFERENT` is the answer of ``library diff`` and ``qa replay`` alone, `GOAL_MISSED` of ``reachback plan``
    and ``qa``.
    `INTERRUPTED` (Ctrl-C) and `PIPE_CLOSED` (whoever read the output has gone) are 128 plus the signal, as
    shells have it.
    """

    IDENTIFIED = 0
    """Done; of an identification: identified."""
    INTERNAL = 1
    """A defect of spectralid itself."""
    USAGE = 2
    """Wrong usage: an option or argument is not what is allowed."""
    UNREADABLE = 3
    """An input could not be read, or an output not written."""
    LIBRARY = 4
    """The reference library is damaged or unsuitable."""
    DEVICE = 5
    """The instrument or the line to it failed; of a check or chart: the unit is not in order."""
    MIXTURE = 10
    """A mixture."""
    FAMILY = 11
    """A family of substances, no single one."""
    INCONCLUSIVE = 12
    """Inconclusive."""
    NO_MATCH = 13
    """No match in this library."""
    POOR_SIGNAL = 14
    """The signal is too poor to tell."""
    DIFFERENT = 20
    """``library diff`` found differences; ``qa replay``: not the result on record."""
    GOAL_MISSED = 21
    """A study or plan missed its goal, or there is something to look at (``reachback plan``, ``qa``)."""
    INTERRUPTED = 130
    """Ctrl-C; what was already written is kept."""
    PIPE_CLOSED = 141
    """Whoever read the output has gone."""
