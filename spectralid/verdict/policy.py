"""The numbers a verdict turns on, with what they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spectralid.errors import ParameterError

__all__ = ["POLICY", "Policy"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds of the rules for names.

    With calibrated probabilities `named_from` decides. Without, odds of the joint fit alone mean little, and
    a name needs the ranking by derivative-cosine to agree by the other thresholds, too. These were set on one
    unit's 80 measured Raman spectra alone (`benchmarks/retrieval_thresholds.py`), which were searched as
    other instruments would see them: axis error of 1 or 3 cm⁻¹ (one standard deviation), broader bands,
    tilted response, signal to noise 15 to 100. By ranking alone the right compound was named in 72 % (1 cm⁻¹)
    and 45 % (3 cm⁻¹) of 960 queries, and with the compound taken out of the library a wrong one in 0.1 % and
    0 %. No spectrum of another instrument took part. Infrared uses the same numbers without such a study.

    Attributes
    ----------
    named_from : float
        Probability a name needs.
    family_false_alarms : float
        Share of spectra without a member in which a family model may raise an alarm.
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

    named_from: float = 0.95
    family_false_alarms: float = 0.001
    identified_from: float = 0.95
    margin: float = 0.05
    corroboration: float = 0.7
    bands_compared: float = 0.5
    named_at_most: int = 5

    def __post_init__(self) -> None:
        for name in ("named_from", "identified_from", "margin"):
            if not 0 < getattr(self, name) < 1:
                raise ParameterError(name, getattr(self, name), "between 0 and 1")

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form, for the record of a verdict."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


POLICY = Policy()
