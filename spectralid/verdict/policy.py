"""The numbers a verdict turns on, with what they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spectralid.errors import ParameterError

__all__ = ["POLICY", "Policy"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds on the derivative-cosine of a whole-spectrum match.

    They were set on one unit's 80 measured Raman spectra alone (`benchmarks/retrieval_thresholds.py`):
    genuine queries were simulated from them with axis errors of 1 and 3 cm⁻¹, broadening, tilted response and
    noise, and every substance was also searched with itself taken out of the library. No spectrum of another
    instrument took part.

    Attributes
    ----------
    no_match_below : float
        Best score under which nothing in the library is like the spectrum.
    identified_from : float
        Best score a name needs. The likest unlike pair of that library, benzene and sodium sulfate, both one
        band at 992 cm⁻¹, reaches 0.95 and more: shape alone cannot tell such substances apart.
    margin : float
        Lead over the next compound a name needs.
    bands_compared : float
        Share of the query's bands that must lie in the range compared with the reference named; what lies
        outside was explained by nobody.
    named_at_most : int
        Compounds listed when several are close.
    """

    no_match_below: float = 0.75
    identified_from: float = 0.95
    margin: float = 0.05
    bands_compared: float = 0.5
    named_at_most: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.no_match_below <= self.identified_from <= 1:
            raise ParameterError(
                "no_match_below, identified_from",
                (self.no_match_below, self.identified_from),
                "between 0 and 1, in this order",
            )
        if not 0 < self.margin < 1:
            raise ParameterError("margin", self.margin, "between 0 and 1")

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form, for the record of a verdict."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


POLICY = Policy()
