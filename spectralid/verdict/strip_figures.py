"""Published figures of immunoassay strips: how often they are right, what they answer to, what they miss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.library.compounds import normalised, read_rows
from spectralid.proportion import clopper_pearson

__all__ = ["Limit", "Rate", "Study", "after", "limits", "of_brand", "rates", "ratios", "studies"]

_STUDIES: Final = Path(__file__).parent / "strip_studies.csv"
_LIMITS: Final = Path(__file__).parent / "strip_limits.csv"
# Each rate with this confidence, so that both of a ratio hold together with at least 90 %.
_CONFIDENCE: Final = 0.95
# Stands for a brand that the abstract of a study does not state.
_ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate with its interval, all 0 … 1."""

    value: float
    low: float
    high: float

    @classmethod
    def counted(cls, hits: int, of: int) -> Rate:
        """A rate from counts: half a case added to either side, interval by Clopper and Pearson (95 %).

        The half keeps a rate that no study saw fail from being certain (Jeffreys' prior).
        """
        low, high = clopper_pearson(hits, of, confidence=_CONFIDENCE)
        return cls((hits + 0.5) / (of + 1), low, high)


@dataclass(frozen=True, slots=True)
class Study:
    """One published study of strips.

    Attributes
    ----------
    target : str
        What the strips are for.
    about : str
        ``samples`` of the market, or ``analogues``: standards of members of a class.
    brands : tuple of str
        Brands studied; ``*`` where the abstract does not say.
    sensitivity, specificity : Rate or None
        Share of right answers with and without the target.
    primary : bool
        Whether it leads among studies of its kind.
    note, source : str
        What was done, and where that was read.
    """

    target: str
    about: str
    brands: tuple[str, ...]
    sensitivity: Rate | None
    specificity: Rate | None
    primary: bool
    note: str
    source: str

    @property
    def names_brand(self) -> bool:
        """Whether it is known which strips were studied."""
        return _ANY not in self.brands

    def is_of(self, brand: str) -> bool:
        """Whether it is about strips of a brand, as printed on them."""
        plain = normalised(brand)
        return self.names_brand and any(normalised(b) in plain for b in self.brands)


@dataclass(frozen=True, slots=True)
class Limit:
    """What a strip does with one substance.

    Attributes
    ----------
    target : str
        What the strip is for.
    compound : str
        Slug of the substance; empty for the target itself.
    effect : str
        ``seen``, ``missed``, or ``false-positive``.
    from_ng_ml : float or None
        From which concentration in the solution; ``None`` where that is not published.
    source : str
        Where that was read.
    """

    target: str
    compound: str
    effect: str
    from_ng_ml: float | None
    source: str


def ratios(sensitivity: Rate, specificity: Rate) -> tuple[Rate, Rate]:
    """Likelihood ratios of a positive and of a negative result.

    Parameters
    ----------
    sensitivity, specificity : Rate
        Of the test.

    Returns
    -------
    tuple of Rate
        Of a positive result, ``sensitivity / (1 - specificity)``, and of a negative one,
        ``(1 - sensitivity) / specificity``. Their intervals combine the worst ends of both rates.
    """
    positive = Rate(
        _over(sensitivity.value, 1 - specificity.value),
        _over(sensitivity.low, 1 - specificity.low),
        _over(sensitivity.high, 1 - specificity.high),
    )
    negative = Rate(
        _over(1 - sensitivity.value, specificity.value),
        _over(1 - sensitivity.high, specificity.high),
        _over(1 - sensitivity.low, specificity.low),
    )
    return positive, negative


def after(probability: float, ratio: float) -> float:
    """Probability after a result with a likelihood ratio: the odds times the ratio (Bayes).

    Parameters
    ----------
    probability : float
        Before, 0 … 1.
    ratio : float
        Likelihood ratio, ≥ 0.
    """
    if not (0 <= probability <= 1 and ratio >= 0):
        raise ParameterError("probability, ratio", (probability, ratio), "0 to 1, and at least 0")
    if math.isinf(ratio):
        return 1.0 if probability else 0.0
    with_it = probability * ratio
    without_it = 1 - probability
    return with_it / (with_it + without_it) if with_it or without_it else 0.0


def of_brand(studies: Sequence[Study], brand: str) -> list[Study]:
    """Studies of one target that may be about a brand; none where the brand is not known.

    Studies that do not state theirs widen the interval of those that do, and stand alone only where no study
    of the target states one.
    """
    if not brand.strip():
        return []
    own = [s for s in studies if s.is_of(brand)]
    if not own and any(s.names_brand for s in studies):
        return []
    return own + [s for s in studies if not s.names_brand]


def rates(studies: Sequence[Study], *, analogue: bool) -> tuple[Rate | None, Rate | None]:
    """Sensitivity and specificity of some studies: that of the leading one, within the intervals of all.

    Lots and brands differ by more than one study can tell.

    Parameters
    ----------
    studies : sequence of Study
        Of one target.
    analogue : bool
        Whether it is about a member other than the one the strip is made for; then the sensitivity is that
        on standards of such members, where there is one.
    """
    kinds = ("analogues", "samples") if analogue else ("samples", "analogues")
    for kind in kinds:
        ours = [s for s in studies if s.about == kind]
        sensitivity = _joined([(s.sensitivity, s.primary) for s in ours])
        if sensitivity:
            break
    else:
        sensitivity = None
    return sensitivity, _joined([(s.specificity, s.primary) for s in studies])


def _joined(rates: Iterable[tuple[Rate | None, bool]]) -> Rate | None:
    given = [(r, primary) for r, primary in rates if r is not None]
    if not given:
        return None
    leading = next((r for r, primary in given if primary), given[0][0])
    return Rate(leading.value, min(r.low for r, _ in given), max(r.high for r, _ in given))


def _over(a: float, b: float) -> float:
    return a / b if b > 0 else math.inf


@cache
def studies() -> tuple[Study, ...]:
    """Every study in the table that comes with spectralid."""
    columns = (
        "target", "about", "brands", "prepared_mg_ml", "positive", "of_present", "negative", "of_without",
        "sensitivity", "specificity", "primary", "note", "source",
    )  # fmt: skip
    return tuple(_study(row, line) for line, row in read_rows(_STUDIES, required=columns, optional=()))


def _study(row: Mapping[str, str], line: int) -> Study:
    if row["about"] not in ("samples", "analogues") or not row["source"]:
        raise UnreadableFileError(
            "about must be samples or analogues, and source must not be empty.",
            file=str(_STUDIES),
            where=f"line {line}",
        )
    return Study(
        row["target"],
        row["about"],
        tuple(row["brands"].split("|")),
        _rate(row["positive"], row["of_present"], row["sensitivity"]),
        _rate(row["negative"], row["of_without"], row["specificity"]),
        row["primary"] == "yes",
        row["note"],
        row["source"],
    )


def _rate(hits: str, of: str, published: str) -> Rate | None:
    """A rate from counts, or as published with its 95 % interval."""
    if of:
        return Rate.counted(int(hits), int(of))
    return Rate(*map(float, published.split())) if published else None


@cache
def limits() -> tuple[Limit, ...]:
    """Every limit in the table that comes with spectralid."""
    columns = ("target", "compound", "effect", "from_ng_ml", "source")
    return tuple(
        Limit(
            row["target"],
            row["compound"],
            row["effect"],
            float(row["from_ng_ml"]) if row["from_ng_ml"] else None,
            row["source"],
        )
        for _, row in read_rows(_LIMITS, required=columns, optional=())
    )
