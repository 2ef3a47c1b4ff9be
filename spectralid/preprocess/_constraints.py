"""What a parameter of a preprocessing step may be, said once and checked in one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from spectralid.errors import ParameterError

__all__ = ["Axis", "Choice", "Constraint", "Number", "Positions", "Text"]


class Constraint(Protocol):
    """Says whether a value is allowed."""

    def check(self, name: str, value: Any) -> None:
        """Raise `ParameterError` for parameter `name` unless `value` is allowed."""


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number in a range.

    Attributes
    ----------
    low, high : float
        The range.
    integer, odd : bool
        Whether only whole, or only odd whole, numbers are allowed.
    open_low, open_high : bool
        Whether the bound itself is excluded.
    optional : bool
        Whether ``None`` is allowed.
    """

    low: float = -math.inf
    high: float = math.inf
    integer: bool = False
    odd: bool = False
    open_low: bool = False
    open_high: bool = False
    optional: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise `ParameterError` for parameter `name` unless `value` is allowed."""
        if value is None and self.optional:
            return
        kinds = (int, np.integer) if self.integer or self.odd else (int, float, np.integer, np.floating)
        if not isinstance(value, kinds) or isinstance(value, bool) or not math.isfinite(value):
            raise ParameterError(name, value, self.words())
        below = value < self.low or (self.open_low and value == self.low)
        above = value > self.high or (self.open_high and value == self.high)
        if below or above or (self.odd and value % 2 == 0):
            raise ParameterError(name, value, self.words())

    def words(self) -> str:
        """What is allowed, finishing "... must be"."""
        kind = "an odd whole number" if self.odd else "a whole number" if self.integer else "a finite number"
        parts = []
        if math.isfinite(self.low):
            parts.append(f"above {self.low:g}" if self.open_low else f"at least {self.low:g}")
        if math.isfinite(self.high):
            parts.append(f"below {self.high:g}" if self.open_high else f"at most {self.high:g}")
        text = " ".join([kind, " and ".join(parts)]).strip()
        return f"None or {text}" if self.optional else text


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several names; ``None`` too where `optional`."""

    names: tuple[str, ...]
    optional: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise `ParameterError` for parameter `name` unless `value` is allowed."""
        if value is None and self.optional:
            return
        if not isinstance(value, str) or value not in self.names:
            raise ParameterError(name, value, ("None or " if self.optional else "") + _one_of(self.names))


def _one_of(names: Sequence[str]) -> str:
    return "one of " + ", ".join(names)


@dataclass(frozen=True, slots=True)
class Text:
    """Any text."""

    def check(self, name: str, value: Any) -> None:
        """Raise `ParameterError` for parameter `name` unless `value` is allowed."""
        if not isinstance(value, str):
            raise ParameterError(name, value, "text")


@dataclass(frozen=True, slots=True)
class Positions:
    """Finite numbers in one dimension, in any order; may be empty."""

    def check(self, name: str, value: Any) -> None:
        """Raise `ParameterError` for parameter `name` unless `value` is allowed."""
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            array = np.empty((0, 0))
        if array.ndim != 1 or not np.isfinite(array).all():
            raise ParameterError(name, value, "a one-dimensional sequence of finite numbers")


@dataclass(frozen=True, slots=True)
class Axis:
    """``None``, or a finite, strictly ascending axis of at least `minimum` points."""

    minimum: int = 2

    def check(self, name: str, value: Any) -> None:
        """Raise `ParameterError` for parameter `name` unless `value` is allowed."""
        if value is None:
            return
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            array = np.empty((0, 0))
        ascending = array.ndim == 1 and bool(np.isfinite(array).all() and (np.diff(array) > 0).all())
        if not ascending or array.size < self.minimum:
            raise ParameterError(
                name, value, f"finite and strictly ascending, with {self.minimum} points or more"
            )
