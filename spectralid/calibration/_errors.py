"""The one leaf calibration adds to the exception family."""

from __future__ import annotations

from spectralid.errors import InputError

__all__ = ["CalibrationError"]


class CalibrationError(InputError):
    """A spectrum gives no calibration, or a calibration does not fit what it is used with."""
