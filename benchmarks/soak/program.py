"""A program of spectralid as a process of its own, by the clock of the soak.

    python -m benchmarks.soak.program CLOCK PACE PLANT tablet --data …

PLANT is ``-``, or ``module:function``, which is called first: tests plant a leak with it.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.soak.clock import SharedClock


def main() -> int:
    """Carry out the command."""
    clock, pace, plant, *arguments = sys.argv[1:]
    SharedClock(Path(clock)).install(float(pace))
    if plant != "-":
        module, _, function = plant.partition(":")
        getattr(importlib.import_module(module), function)()
    from spectralid.cli import main as program

    return program(arguments)


if __name__ == "__main__":
    sys.exit(main())
