"""TCD1304 boards with the "ER" firmware: a command of twelve bytes, and 7388 bytes of counts in return.

Facts from the firmware's source (esbenrossel/tcd1304_firmware_uart, commit 423e1ae, BSD-2) and its clients.
Nothing frames or proves the counts; what can be checked is that the sensor's light-shielded pixels are where
they should be and that no count is larger than the converter gives.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from spectralid.devices.codec.words import swapped_stretch
from spectralid.errors import ParameterError, ProtocolError

__all__ = [
    "ADC_MAX",
    "FRAME_BYTES",
    "PEDESTAL",
    "SIGNAL_PIXELS",
    "Dialect",
    "Periods",
    "Reading",
    "decode",
    "encode",
    "periods",
]

Dialect = Literal["pc-ready", "single-continuous"]

_WORDS: Final = 3694
FRAME_BYTES: Final = 2 * _WORDS
"""Bytes of a reading: 7388."""

# 16 dummies, 13 shielded pixels, 3 dummies, 3648 pixels, 14 dummies.
_SHIELDED: Final = slice(16, 29)
_SIGNAL: Final = slice(32, 3680)
SIGNAL_PIXELS: Final = 3648
"""Pixels that see light."""

ADC_MAX: Final = 4095
"""Largest count of the 12-bit converter."""

PEDESTAL: Final = 100
"""What a pixel in the dark shows after `decode`: its noise stays above 0, which stands for a dead pixel."""

_REQUEST: Final = struct.Struct(">2sIIBB")
_KEY: Final = b"ER"
_LARGEST: Final = 2**32 - 1
# The sensor needs this many ticks of the master clock to put out all its pixels.
_SHORTEST_ICG: Final = 14_776
# How far the 13 shielded pixels may differ, and the median of the others lie on the dark side of them, in
# counts: a twentieth of the range, far above noise.
_TOLERANCE: Final = 200


@dataclass(frozen=True, slots=True)
class Periods:
    """The two periods of the sensor's clock, in ticks of its master clock.

    Attributes
    ----------
    sh : int
        Period of the shift gate: the exposure.
    icg : int
        Period of the integration clear gate: from one readout to the next; a whole number of `sh`.
    """

    sh: int
    icg: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One readout of the sensor.

    Attributes
    ----------
    counts : ndarray of int64, shape (3648,)
        Light in counts above the level of the shielded pixels, plus `PEDESTAL`.
    raw : ndarray of int64, shape (3648,)
        What the converter gave: the more light, the less.
    dark_level : float
        Median of the shielded pixels, as the converter gave them.
    """

    counts: npt.NDArray[np.int64]
    raw: npt.NDArray[np.int64]
    dark_level: float


def periods(exposure_ms: float, *, clock_hz: float, shortest_sh: int, longest_sh: int) -> Periods:
    """Periods that expose for `exposure_ms`, to within a tick or two.

    Both limits matter: the firmware may hang if the readout is shorter than the sensor needs, or not a whole
    number of exposures.

    Parameters
    ----------
    exposure_ms : float
        Exposure in ms.
    clock_hz : float
        Master clock of the board: 2 MHz for an STM32F401, 0.8 MHz for an F103.
    shortest_sh, longest_sh : int
        Limits of the shift gate's period in ticks: from 20 (F401) or 8 (F103); 16 bits on an F103.

    Raises
    ------
    ParameterError
        If the exposure is outside the limits.
    """
    low, high = (1000 * sh / clock_hz for sh in (shortest_sh, longest_sh))
    if not low <= exposure_ms <= high:
        raise ParameterError("integration time", f"{exposure_ms:g} ms", f"from {low:g} to {high:g} ms")
    found = _with_readout(round(exposure_ms * clock_hz / 1000))
    while _KEY in _REQUEST.pack(_KEY, found.sh, found.icg, 0, 0)[len(_KEY) :]:
        # The firmware takes the last "ER" in a command for its beginning, also one that is part of a number.
        found = _with_readout(found.sh - 1)
    return found


def _with_readout(sh: int) -> Periods:
    return Periods(sh, sh * -(-_SHORTEST_ICG // sh))


def encode(wanted: Periods, dialect: Dialect) -> bytes:
    """The command for one readout, 12 bytes.

    The last two bytes mean different things to different firmware. ``"pc-ready"`` (commit 423e1ae): the first
    asks for data, 0 means that none is ever sent; the second is ignored, and left at 0 so that a command that
    lost a byte on its way does not ask for data. ``"single-continuous"`` (later): 0 for a single readout,
    and how many are averaged.

    Raises
    ------
    ParameterError
        If the periods do not fit in 32 bits, or the sensor cannot keep them.
    """
    sh, icg = wanted.sh, wanted.icg
    if not 0 < sh <= icg <= _LARGEST or icg < _SHORTEST_ICG or icg % sh:
        raise ParameterError(
            "periods",
            f"SH {sh}, ICG {icg}",
            f"ICG a multiple of SH, and at least {_SHORTEST_ICG} ticks",
        )
    last = (1, 0) if dialect == "pc-ready" else (0, 1)
    return _REQUEST.pack(_KEY, sh, icg, *last)


def decode(data: bytes) -> Reading:
    """Counts of a readout.

    Parameters
    ----------
    data : bytes
        `FRAME_BYTES` bytes, the low byte of each count first.

    Raises
    ------
    ProtocolError
        If the counts cannot be those of the sensor: a byte was lost or added on the line.
    """
    if len(data) != FRAME_BYTES:
        raise ProtocolError(f"A readout has {FRAME_BYTES} bytes and not {len(data)}; scan again.")
    words = np.frombuffer(data, dtype="<u2")
    above = int(np.count_nonzero(words > ADC_MAX))
    if above:
        raise ProtocolError(
            f"{above} of the counts are larger than the converter's {ADC_MAX}: a byte was lost or added on "
            "the line, and all after it are out of step. The readout is not used; scan again."
        )
    if (stretch := swapped_stretch(words)) is not None:
        raise ProtocolError(
            f"The readout is out of step from count {stretch[0]} on: a byte was lost or added on the line. "
            "It is not used; scan again."
        )
    shielded = words[_SHIELDED].astype(np.int64)
    raw = words[_SIGNAL].astype(np.int64)
    dark = float(np.median(shielded))
    if np.ptp(shielded) > _TOLERANCE or np.median(raw) > dark + _TOLERANCE:
        raise ProtocolError(
            "The pixels that see no light are not where they should be: counts were lost or added on the "
            "line, or it is another sensor. The readout is not used; scan again."
        )
    return Reading(counts=round(dark) - raw + PEDESTAL, raw=raw, dark_level=dark)
