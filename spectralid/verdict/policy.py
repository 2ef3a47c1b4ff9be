"""The numbers a verdict turns on, with what they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spectralid.errors import ParameterError

__all__ = ["POLICY", "Policy"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds on the derivative-cosine of a whole-spectrum match.

    They were set on one unit's 80 measured Raman spectra alone (`benchmarks/retrieval_thresholds.py`), which
    were searched as other instruments would see them: axis error of 1 or 3 cm⁻¹ (one standard deviation),
    broader bands, tilted response, signal to noise 15 to 100. With the rules below the right compound was
    named in 72 % (1 cm⁻¹) and 45 % (3 cm⁻¹) of 960 queries, and with the compound taken out of the library a
    wrong one in 0.1 % and 0 %. No spectrum of another instrument took part. Infrared uses the same numbers
    without such a study.

    Attributes
    ----------
    no_match_below : float
        Best score under which nothing in the library is like the spectrum. In that study 0 % and 1.2 % of the
        right compounds fall below it, and three quarters of the spectra whose compound is not listed.
    identified_from : float
        Best score a name needs. The likest unlike pair, benzene and sodium sulfate, both with one strong band
        at 992 cm⁻¹, reaches 0.95: shape alone cannot tell such substances apart.
    margin : float
        Lead over the next compound a name needs.
    corroboration : float
        Score a name needs without the strongest band of the reference. It keeps one band that happens to
        agree from making a name; wrong names fall to a fifth by it.
    bands_compared : float
        Share of the query's bands that must lie in the range compared with the reference named; what lies
        outside was explained by nobody.
    named_at_most : int
        Compounds listed when several are close.
    """

    no_match_below: float = 0.75
    identified_from: float = 0.95
    margin: float = 0.05
    corroboration: float = 0.7
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
