"""What a laboratory says, as values: a report with its substances, a sample, and what became of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Literal, get_args

from spectralid.casework.clock import to_text
from spectralid.casework.errors import PacketError
from spectralid.casework.messages import parse_utc
from spectralid.errors import ParameterError
from spectralid.reachback import classification
from spectralid.reachback.errors import ConflictError, ReachbackError
from spectralid.reachback.lab import methods

__all__ = [
    "OUTCOMES",
    "SAMPLINGS",
    "STAGES",
    "LabConflictError",
    "LabReportError",
    "Outcome",
    "Report",
    "Result",
    "Sample",
    "Sampling",
    "Stage",
    "Substance",
    "Taken",
    "What",
    "line",
    "moment",
    "one_of",
]

Outcome = Literal["confirmed", "refuted", "inconclusive"]
Stage = Literal["forward", "regional"]
Sampling = Literal["escalated", "routine", "qa_sample", ""]
What = Literal["applied", "waiting", "noted", "unmatched", "dismissed"]

OUTCOMES: Final[tuple[str, ...]] = get_args(Outcome)
_SLUG: Final = re.compile(r"(?=.{1,100}\Z)[a-z0-9]+(-[a-z0-9]+)*")
STAGES: Final[tuple[str, ...]] = get_args(Stage)
SAMPLINGS: Final[tuple[str, ...]] = get_args(Sampling)


class LabReportError(ReachbackError):
    """A laboratory result that lacks what it needs, or says what cannot be."""

    status: ClassVar[int] = 422
    code: ClassVar[str] = "lab-result"


class LabConflictError(ConflictError):
    """The report or the sample is on record with other contents."""

    code: ClassVar[str] = "lab-result-differs"


@dataclass(frozen=True, slots=True)
class Substance:
    """A substance that a laboratory found.

    Parameters
    ----------
    slug : str
        As the compound table names it, or a slug of the laboratory's name for it.
    name : str
        As the laboratory wrote it.
    share : float, optional
        Mass share, 0 … 1.
    uncertainty : float, optional
        Of the share, in the same unit and expanded, as the laboratory states it.
    """

    slug: str
    name: str = ""
    share: float | None = None
    uncertainty: float | None = None

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.slug):
            raise LabReportError(
                "A substance is named by its slug (lower-case letters, digits and single hyphens, up to 100)."
            )
        line("substance", self.name, 0, 200)
        for number in (self.share, self.uncertainty):
            if number is not None and not 0 <= number <= 1:
                raise LabReportError("A share of a substance and its uncertainty lie between 0 and 1.")
        if self.uncertainty is not None and self.share is None:
            raise LabReportError("An uncertainty belongs to a share, and there is none.")

    def shown(self) -> str:
        """Its name, with share and uncertainty where they are known."""
        known = classification.compounds().by_slug.get(self.slug)
        name = known.name if known else self.name or self.slug
        if self.share is None:
            return name
        more = "" if self.uncertainty is None else f" ± {100 * self.uncertainty:.3g}"
        return f"{name} ({100 * self.share:.3g}{more} %)"


@dataclass(frozen=True, slots=True)
class Report:
    """One result of a laboratory, on one sample.

    Parameters
    ----------
    laboratory, sample_ref : str
        Which laboratory, and its name for the sample.
    stage : {"forward", "regional"}
        The forward laboratory looks within a day; the regional one has the last word.
    result : {"confirmed", "refuted", "inconclusive"}
        Whether it bears the presumptive result out.
    report_ref : str
        The laboratory's number for the report: with laboratory and sample, its identity.
    methods : tuple of str
        Of `spectralid.reachback.lab.methods.METHODS`.
    substances : tuple of Substance
        What was found, at most 50.
    case_id, device_id, seizure_ref, item_ref : str
        Which case and item, as far as stated. A sample that was registered (`send`) needs none.
    corrects : str
        The report number that this one takes the place of, where it says so.
    sampling : {"", "escalated", "routine", "qa_sample"}
        Why this sample was sent and not another; by default what the packets of the field say.
    analyst, note : str
        Who measured, and more: up to 100 and 2,000 characters. Neither is sent to a device.
    measured_utc, reported_utc : str
        Points in time with their zone; empty where the laboratory does not say.

    Raises
    ------
    LabReportError
        If something is missing, too long or not known here.
    """

    laboratory: str
    sample_ref: str
    stage: Stage
    result: Outcome
    report_ref: str = ""
    methods: tuple[str, ...] = ()
    substances: tuple[Substance, ...] = ()
    case_id: str = ""
    device_id: str = ""
    seizure_ref: str = ""
    item_ref: str = ""
    corrects: str = ""
    sampling: Sampling = ""
    analyst: str = ""
    note: str = ""
    measured_utc: str = ""
    reported_utc: str = ""

    def __post_init__(self) -> None:
        for name in ("laboratory", "sample_ref"):
            line(name, getattr(self, name), 1)
        for name in ("report_ref", "case_id", "device_id", "seizure_ref", "item_ref", "corrects", "analyst"):
            line(name, getattr(self, name), 0)
        one_of("stage", self.stage, STAGES)
        one_of("result", self.result, OUTCOMES)
        one_of("sampling", self.sampling, SAMPLINGS)
        if len(self.note) > 2000:
            raise LabReportError("The note has up to 2,000 characters.")
        if len(self.substances) > 50:
            raise LabReportError("A report names at most 50 substances.")
        if len({one.slug for one in self.substances}) < len(self.substances):
            raise LabReportError("A substance is there twice.")
        if not 1 <= len(self.methods) <= 20:
            raise LabReportError("A result says by which methods: 1 to 20.")
        try:
            object.__setattr__(self, "methods", tuple(dict.fromkeys(map(methods.known, self.methods))))
        except ParameterError as error:
            raise LabReportError(str(error)) from None
        for name in ("measured_utc", "reported_utc"):
            object.__setattr__(self, name, moment(name, getattr(self, name)))
        if self.measured_utc and self.reported_utc and self.measured_utc > self.reported_utc:
            raise LabReportError("A result cannot have been reported before it was measured.")

    def content(self) -> dict[str, Any]:
        """What it says, as plain data."""
        return asdict(self)


def line(name: str, value: str, least: int, most: int = 100) -> None:
    """Refuse a text that is not of one printable line of so many characters."""
    if not least <= len(value) <= most or not value.isprintable() or value != value.strip():
        raise LabReportError(
            f"The {name.replace('_', ' ')} has {least} to {most} printable characters, without blanks around."
        )


def one_of(name: str, value: str, known: Iterable[str]) -> None:
    """Refuse what is not one of these."""
    if value not in known:
        raise LabReportError(f"The {name} is one of {', '.join(one or 'empty' for one in known)}.")


def moment(name: str, text: str) -> str:
    """A point in time as the tables have it; empty stays empty."""
    if not text:
        return ""
    try:
        return to_text(parse_utc(text))
    except (PacketError, OverflowError) as error:
        words = str(error) if isinstance(error, PacketError) else "It is no point in time."
        raise LabReportError(f"{name}: {words}") from None


@dataclass(frozen=True, slots=True)
class Sample:
    """What was sent to a laboratory.

    Attributes
    ----------
    n, case_id, item_ref, laboratory, sample_ref, stage, sampling
        Which, where, and why this one.
    sent_utc, recorded_utc, by
        When it left, when the server learned of it, from whom.
    """

    n: int
    case_id: str
    item_ref: str | None
    laboratory: str
    sample_ref: str
    stage: str
    sampling: str
    sent_utc: str
    recorded_utc: str
    by: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a report.

    Attributes
    ----------
    n : int
        Its number here.
    status : {200, 201}
        200 if it was on record before.
    what, why : str
        As at the head of this module; `why` is a code.
    case_id, item_ref : str or None
        What it is of, if that is known.
    state : str or None
        Where the case stands now.
    answer_id : str or None
        The answer or notice that told the officer.
    """

    n: int
    status: Literal[200, 201]
    what: str
    why: str
    case_id: str | None
    item_ref: str | None
    state: str | None
    answer_id: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """A report on record, and what became of it.

    Attributes
    ----------
    n : int
        Its number here.
    laboratory, sample_ref, report_ref, stage, result, corrects, sampling, analyst, note
        As in `Report`; but a report of *confirmed* whose findings contradict the answer counts as refuted.
    reported : str
        The result as the laboratory gave it.
    methods, categories, substances
        As reported; categories are SWGDRUG's, of each technique.
    said : mapping
        How it named its case: ``case_id``, ``device_id``, ``seizure_ref``, ``item_ref``.
    dangerous : bool
        Whether it found one of the ultra-potent opioids.
    measured_utc, reported_utc, received_utc, by, source
        When, and how it came.
    what, why, case_id, item_ref, answer_id, placed_utc
        What became of it.
    superseded : bool
        Whether a later report on the same sample took its place.
    """

    n: int
    laboratory: str
    sample_ref: str
    report_ref: str
    stage: str
    result: str
    reported: str
    methods: tuple[str, ...]
    categories: tuple[str, ...]
    substances: tuple[Substance, ...]
    said: Mapping[str, str]
    dangerous: bool
    corrects: str
    sampling: str
    analyst: str
    note: str
    measured_utc: str
    reported_utc: str
    received_utc: str
    by: str
    source: str
    what: str
    why: str
    case_id: str | None
    item_ref: str | None
    answer_id: str | None
    placed_utc: str
    superseded: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain form."""
        return {**asdict(self), "said": dict(self.said)}
