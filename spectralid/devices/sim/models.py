"""The instruments the simulator can be: what each one's optics and sensor are like.

Pixels, ranges and full scale are those of the profiles in ``devices/``; resolution, noise and dark current
are ours, chosen to be plausible.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Final, cast

from spectralid.devices.sim.bench import Bench
from spectralid.devices.sim.serve import Instrument

__all__ = ["BENCHES", "DEFAULT_MODELS", "PROTOCOLS", "instrument_class"]

# Loaded when asked for: a simulator of one protocol needs no other.
_CLASSES: Final = MappingProxyType(
    {
        "obp": "spectralid.devices.sim.obp:ObpInstrument",
        "wasatch-uart": "spectralid.devices.sim.wasatch:WasatchInstrument",
        "ocean-legacy": "spectralid.devices.sim.ocean_legacy:OceanLegacyInstrument",
        "tcd1304-er": "spectralid.devices.sim.tcd1304:Tcd1304Instrument",
    }
)

PROTOCOLS: Final = tuple(_CLASSES)
"""Protocols the simulator speaks."""

_VENTANA: Final = Bench()
# A 350 to 800 nm bench: a laser line at 532 nm has its Stokes side on it.
_VISIBLE: Final = replace(
    _VENTANA,
    laser_nm=532.0,
    reported=(346.0, 0.47, -1.5e-5, -1.5e-9),
    drift_nm=(0.05, 0.05, 0.0, -0.05),
    resolution_nm=1.5,
    tail_nm=0.2,
)

BENCHES: Final = MappingProxyType(
    {
        "ventana-785l": _VENTANA,
        "sts": replace(_VISIBLE, adc_max=16383, gain_e=5.0, offset=1500.0),
        "spark": replace(_VISIBLE, reported=(380.0, 0.33, -1.0e-5, -1.0e-9), gain_e=4.0),
        "qe-pro": replace(
            _VISIBLE,
            pixels=1044,
            adc_max=200_000,
            gain_e=1.5,
            dark_e_s=4000.0,
            read_noise_e=5.0,
            cooled_to_c=-10.0,
            nonlinearity=(0.9655, 2.1e-6, -3.5e-11, 2.5e-16),
        ),
        "wasatch-uart": _VENTANA,
        "ocean-legacy": replace(_VENTANA, pixels=2048, reported=(796.5, 0.125, -2.75e-6, -1.25e-10)),
        "tcd1304-er": replace(
            _VENTANA, pixels=3648, adc_max=4095, gain_e=25.0, offset=300.0, reported=(790.0, 0.07)
        ),
    }
)
"""Optics and sensor by model."""

DEFAULT_MODELS: Final = MappingProxyType(
    {
        "obp": "ventana-785l",
        "wasatch-uart": "wasatch-uart",
        "ocean-legacy": "ocean-legacy",
        "tcd1304-er": "tcd1304-er",
    }
)
"""Which model stands for a protocol when none is asked for."""


def instrument_class(protocol: str) -> Callable[..., Instrument]:
    """The class that speaks `protocol`, one of `PROTOCOLS`; takes a detector, a serial number, and faults."""
    module, _, name = _CLASSES[protocol].partition(":")
    return cast("Callable[..., Instrument]", getattr(importlib.import_module(module), name))
