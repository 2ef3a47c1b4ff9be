"""What an agency decides about verdicts, as one value: thresholds, hazards, rules, escalation, wording."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from spectralid.errors import ParameterError
from spectralid.verdict.alarm import Alarm
from spectralid.verdict.catalog import Catalog

if TYPE_CHECKING:
    from spectralid.library import Compound

__all__ = ["THRESHOLDS", "Escalation", "Hazard", "OnInstrument", "Policy", "Rule", "default_policy"]

OnInstrument = Literal["mark", "escalate", "withhold"]
"""What an instrument that is not verified changes: the result says so, is escalated, names nothing."""

THRESHOLDS: Final = (
    "named_from",
    "family_false_alarms",
    "identified_from",
    "margin",
    "corroboration",
    "bands_compared",
    "named_at_most",
)
"""The fields of `Policy` that are numbers a verdict turns on."""


@dataclass(frozen=True, slots=True)
class Hazard:
    """What a hazard asks for.

    Attributes
    ----------
    alarm : Alarm
        How loudly to warn.
    precaution : str
        What to tell: the text ``precaution.<...>`` of the wording.
    """

    alarm: Alarm
    precaution: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Something about every substance that any of the first four fits; rules only add.

    Attributes
    ----------
    name : str
        For people.
    fentanyl_related : tuple of str
        What the federal structure rule (21 CFR 1308.11(h)(30)(i)) says: ``"yes"``, ``"parent"``, ``"no"``.
    categories : tuple of str
        Categories, whole or their first part.
    compounds : tuple of str
        Slugs.
    schedules : tuple of str
        Schedules.
    hazards : tuple of str
        Hazards it has, whatever the library says.
    alarm : Alarm or None
        The quietest alarm of it.
    precautions : tuple of str
        What to tell beside what its hazards say.
    escalate : bool
        Whether to escalate whatever the alarm.
    """

    name: str
    fentanyl_related: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    compounds: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()
    hazards: tuple[str, ...] = ()
    alarm: Alarm | None = None
    precautions: tuple[str, ...] = ()
    escalate: bool = False

    def fits(self, compound: Compound) -> bool:
        """Whether it is about a compound."""
        return (
            compound.fentanyl_related in self.fentanyl_related
            or compound.slug in self.compounds
            or compound.schedule in self.schedules
            or any(compound.category == c or compound.category.startswith(f"{c}/") for c in self.categories)
        )


@dataclass(frozen=True, slots=True)
class Escalation:
    """When a scan is sent to someone who knows more.

    Attributes
    ----------
    no_match : bool
        Where nothing in the library explains it.
    uncertain : bool
        Where it did not settle what all of the sample is.
    alarm_from : Alarm
        Where something in it, or that may be in it, raises this alarm or a louder one. ``DANGER`` and
        ``UNKNOWN`` always do.
    qa_rate : float
        Share of results, 0 … 1, drawn from those nothing else escalates.
    instrument_failed, instrument_skipped : str
        What follows where the instrument's performance check failed, or was due and skipped (`OnInstrument`).
    library_days : int
        Age of the library above which every result is escalated.
    """

    no_match: bool
    uncertain: bool
    alarm_from: Alarm
    qa_rate: float
    instrument_failed: OnInstrument
    instrument_skipped: OnInstrument
    library_days: int

    def draws(self, spectrum_sha256: str) -> bool:
        """Whether a spectrum is in the sample for quality control; the same answer on every machine.

        The hash is hashed once more, so that a sample drawn elsewhere by its first digits is independent.
        """
        drawn = hashlib.sha256(f"spectralid quality control {spectrum_sha256}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") < self.qa_rate * 2**64


@dataclass(frozen=True)
class Policy:
    """What an agency decides about verdicts; `default_policy` is the one that comes with spectralid.

    With calibrated probabilities `named_from` decides. Without, odds of the joint fit alone mean little, and
    a name needs the ranking by derivative-cosine to agree by the other thresholds, too. These were set on one
    unit's 80 measured Raman spectra alone (`benchmarks/retrieval_thresholds.py`), which were searched as
    other instruments would see them: axis error of 1 or 3 cm⁻¹ (one standard deviation), broader bands,
    tilted response, signal to noise 15 to 100. By ranking alone the right compound was named in 72 % (1 cm⁻¹)
    and 45 % (3 cm⁻¹) of 960 queries, and with the compound taken out of the library a wrong one in 0.1 % and
    0 %. No spectrum of another instrument took part. Infrared uses the same numbers without such a study.

    Attributes
    ----------
    name, version : str
        What it is called.
    languages : tuple of str
        Languages verdicts may be asked for in.
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
    escalation : Escalation
        When to ask someone who knows more.
    hazards : mapping of str to Hazard
        Most urgent first.
    schedules : mapping of str to tuple of str
        Hazards of what is on each schedule; ``"other"`` is any schedule not listed.
    families : mapping of str to str
        Families watched, with the hazard a member nobody named is handled by.
    rules : tuple of Rule
        See `Rule`.
    wording : mapping of str to mapping of str to str
        Texts of the agency, by language and key.
    damaged : str
        Why this policy stands in for another that could not be read; empty if it does not.
    """

    name: str
    version: str
    languages: tuple[str, ...]
    named_from: float
    family_false_alarms: float
    identified_from: float
    margin: float
    corroboration: float
    bands_compared: float
    named_at_most: int
    escalation: Escalation
    hazards: Mapping[str, Hazard]
    schedules: Mapping[str, tuple[str, ...]]
    families: Mapping[str, str]
    rules: tuple[Rule, ...]
    wording: Mapping[str, Mapping[str, str]]
    damaged: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for name in ("named_from", "identified_from", "margin"):
            if not 0 < getattr(self, name) < 1:
                raise ParameterError(name, getattr(self, name), "between 0 and 1")

    @cached_property
    def sha256(self) -> str:
        """Identity of what it says, whatever the layout of its file."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def title(self) -> str:
        """Name, version and start of the identity, for the record of a verdict."""
        return f"{self.name} {self.version} {self.sha256[:12]}"

    def catalog(self, language: str = "en", *, topics: Sequence[str] = ("verdict",)) -> Catalog:
        """What is said in a language, with the agency's own wording.

        Parameters
        ----------
        language : str, optional
            One of `languages`.
        topics : sequence of str, optional
            See `Catalog.load`.

        Raises
        ------
        ParameterError
            If the policy does not have that language.
        """
        if language not in self.languages:
            raise ParameterError("language", language, "one of " + ", ".join(self.languages))
        return Catalog.load(language, topics=topics, overrides=self.wording.get(language))

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form, laid out as the file is."""
        return {
            "name": self.name,
            "version": self.version,
            "languages": list(self.languages),
            "thresholds": {name: getattr(self, name) for name in THRESHOLDS},
            "escalation": _plain(asdict(self.escalation)),
            # A list, because the order of hazards means something and that of a JSON object does not.
            "hazards": [{"id": name, **_plain(asdict(h))} for name, h in self.hazards.items()],
            "schedules": {name: list(hazards) for name, hazards in sorted(self.schedules.items())},
            "families": dict(sorted(self.families.items())),
            "rules": [{k: v for k, v in _plain(asdict(rule)).items() if v} for rule in self.rules],
            "wording": {lang: dict(sorted(texts.items())) for lang, texts in sorted(self.wording.items())},
        }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        k: list(v) if isinstance(v, tuple) else v.value if isinstance(v, Alarm) else v
        for k, v in values.items()
    }


@cache
def default_policy() -> Policy:
    """The policy that comes with spectralid.

    Examples
    --------
    >>> from spectralid.verdict import default_policy
    >>> policy = default_policy()
    >>> policy.identified_from
    0.95
    """
    from spectralid.verdict.policy_file import load_policy

    return load_policy(Path(__file__).with_name("policy.toml"))
