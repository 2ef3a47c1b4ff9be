"""Reading a file from outside in a process of its own, with little memory and time, that can write nothing.

A library written in C may be brought to anything by a file that was made to. Here such a file is read by a
process that lives for this one file: memory, processor time, wall-clock time and the size of files it may
write are limited by the system, and what it hands back is numbers and JSON, which are checked like any other
input; nothing is unpickled. If it dies, one file could not be read.

Starting Python and its packages takes a third of a second, so one *keeper* (`spectralid.sandbox.keeper`) is
started at the first file: it imports what reading needs, never looks at a file, and forks for each. It ends
with whoever started it, or after half a minute without work. Where the system cannot fork (Windows), nothing
is read this way: `available` says so, and the checks of the readers stand alone.
"""

from spectralid.sandbox.asking import BrokenError, Result, available, run
from spectralid.sandbox.limits import Limits

__all__ = ["BrokenError", "Limits", "Result", "available", "run"]
