"""What lies under the probe, put together from words: substances and their shares, the wall before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from spectralid.devices.sim.emission import Component, Luminescence, SampleBand, Scene
from spectralid.devices.sim.samples import known_sample
from spectralid.errors import ParameterError

__all__ = ["CONTAINERS", "compose"]

# A bag or bottle wall in the beam: its own bands, this strong relative to a pure substance, and the share of
# the sample's light that comes back through it.
_WALL: Final = 0.2
_THROUGH: Final = 0.85
_PLASTICS: Final = {"pe": "polyethylene", "pp": "polypropylene", "pet": "pet", "ps": "polystyrene"}

# Raman bands of glass lie around 500 and 1000 cm⁻¹; with a 785 nm laser it also glows in a broad band around
# 880 nm, which is luminescence, not Raman (Fikiet et al., Applied Spectroscopy 2019). Widths are ours.
_GLASS_BANDS: Final = (SampleBand(500.0, 1.0, 130.0, 0.0), SampleBand(1000.0, 0.7, 160.0, 0.0))
_GLASS_GLOW: Final = Luminescence(0.6, centre_nm=880.0, sd_nm=22.0, pedestal=0.0)

CONTAINERS: Final = (*_PLASTICS, "glass")
"""Containers the simulator knows: polyethylene, polypropylene, PET, polystyrene, glass."""


def compose(
    substances: Sequence[tuple[str, float]],
    tables: Mapping[str, tuple[SampleBand, ...]],
    *,
    container: str = "",
    fluorescence: float = 1.0,
    bleaching: float = 0.0,
    bleach_s: float = 30.0,
) -> Scene:
    """A scene.

    Parameters
    ----------
    substances : sequence of (str, float)
        Names and shares; shares are relative and need not add up to 1.
    tables : mapping of str to bands
        Bands of each substance by lower-case name.
    container : str
        One of `CONTAINERS`, or empty for an open sample.
    fluorescence : float
        Brightest pixel of the sample's fluorescence, relative to the strongest band of a pure substance, ≥ 0.
    bleaching : float
        Share of the fluorescence that light destroys, 0 to 1.
    bleach_s : float
        Seconds of light after which 1/e of that share is left, above 0.

    Raises
    ------
    ParameterError
        If a substance or container is not known, or a number is out of range.
    """
    for name, value, low, high in (
        ("fluorescence", fluorescence, 0.0, 1e6),
        ("bleaching", bleaching, 0.0, 1.0),
        ("bleach time", bleach_s, 1e-3, 1e6),
    ):
        if not low <= value <= high:
            raise ParameterError(name, value, f"from {low:g} to {high:g}")
    total = sum(share for _, share in substances)
    through = _THROUGH if container else 1.0
    parts = [
        Component(known_sample(tables, name), through * _share(name, share) / total)
        for name, share in substances
    ]
    glow = [Luminescence(fluorescence * through, bleaching=bleaching, bleach_s=bleach_s)]
    if container == "glass":
        parts.append(Component(_GLASS_BANDS, _WALL))
        glow.append(_GLASS_GLOW)
    elif container in _PLASTICS:
        parts.append(Component(known_sample(tables, _PLASTICS[container], "container"), _WALL))
    elif container:
        raise ParameterError("container", container, f"one of {', '.join(CONTAINERS)}")
    return Scene(tuple(parts), tuple(glow))


def _share(name: str, share: float) -> float:
    if not 0 < share < float("inf"):
        raise ParameterError("share", f"{name}:{share:g}", "above 0")
    return share
