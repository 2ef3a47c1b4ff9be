"""A simulated handheld: its own process, its own physics, the real protocol on a real serial line.

Nothing in here is shared with the code that judges its spectra: line shapes, axis error, background and noise
are modelled independently of preprocessing and matching, which would otherwise be tested against themselves.

`simulate` gives one scan as a spectrum, `Simulator` an instrument on a serial port. Names load when first
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectralid._lazy import lazy

if TYPE_CHECKING:
    from spectralid.devices.sim.launch import Simulator as Simulator
    from spectralid.devices.sim.samples import simulated_substances as simulated_substances
    from spectralid.devices.sim.scanning import simulate as simulate

_WHERE = {"Simulator": "launch", "simulate": "scanning", "simulated_substances": "samples"}

__all__ = ["Simulator", "simulate", "simulated_substances"]

__getattr__, __dir__ = lazy(__name__, _WHERE, __all__)
