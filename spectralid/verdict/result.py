"""The verdict: what to tell, what to do, and whether to ask someone who knows more."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from spectralid.verdict.hazards import Alarm

__all__ = ["SCHEMA", "Verdict", "VerdictKind"]

SCHEMA: Final = "spectralid.verdict/1"

_WIDTH: Final = 80
_LABEL: Final = 14


class VerdictKind(StrEnum):
    """What may be concluded."""

    IDENTIFIED = "identified"
    MIXTURE = "mixture"
    FAMILY = "family"
    INCONCLUSIVE = "inconclusive"
    NO_MATCH = "no_match"
    POOR_SIGNAL = "poor_signal"


_HEADWORD: Final = {
    VerdictKind.IDENTIFIED: "IDENTIFIED",
    VerdictKind.MIXTURE: "MIXTURE",
    VerdictKind.FAMILY: "FAMILY",
    VerdictKind.INCONCLUSIVE: "INCONCLUSIVE",
    VerdictKind.NO_MATCH: "NO MATCH",
    VerdictKind.POOR_SIGNAL: "POOR SIGNAL",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is told about one spectrum. Presumptive until a laboratory confirms it.

    Attributes
    ----------
    kind : VerdictKind
        What may be concluded.
    alarm : Alarm
        How loudly to warn.
    headline : str
        The answer in a few words.
    words : str
        The answer as sentences.
    precautions : tuple of str
        What to do, most urgent first.
    not_excluded : tuple of str
        What this result leaves open.
    evidence : tuple of str
        What it rests on.
    escalate : bool
        Whether the scan should go to reachback.
    reasons : tuple of str
        Why this verdict, and why it is or is not escalated.
    advice : tuple of str
        What would make a better scan.
    named : tuple of str
        Slugs of the compounds named or left to choose between, likest first.
    """

    kind: VerdictKind
    alarm: Alarm
    headline: str
    words: str
    precautions: tuple[str, ...]
    not_excluded: tuple[str, ...]
    evidence: tuple[str, ...]
    escalate: bool
    reasons: tuple[str, ...]
    advice: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def presumptive(self) -> bool:
        """Always true: a field measurement confirms nothing."""
        return True

    def text(self) -> str:
        """The verdict for the officer, at most 80 columns wide."""
        lines = _wrapped(f"{_HEADWORD[self.kind]} (PRESUMPTIVE)", [self.headline], hang=2)
        lines += ["", *textwrap.wrap(self.words, _WIDTH), ""]
        lines += _wrapped("Precautions", self.precautions)
        lines += _wrapped("Better scan", self.advice)
        lines += _wrapped("Not excluded", self.not_excluded)
        lines += _wrapped("Evidence", self.evidence)
        lines += _wrapped("Reachback", ["YES, send this scan." if self.escalate else "not required."])
        lines += _wrapped("Why", self.reasons)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form, versioned by its ``schema``."""
        return {
            "schema": SCHEMA,
            "presumptive": self.presumptive,
            "kind": self.kind.value,
            "alarm": self.alarm.value,
            "headline": self.headline,
            "words": self.words,
            "precautions": list(self.precautions),
            "not_excluded": list(self.not_excluded),
            "evidence": list(self.evidence),
            "escalate": self.escalate,
            "reasons": list(self.reasons),
            "advice": list(self.advice),
            "named": list(self.named),
        }


def _wrapped(label: str, items: tuple[str, ...] | list[str], hang: int = _LABEL) -> list[str]:
    lines: list[str] = []
    for number, item in enumerate(items):
        head = f"{label}: ".ljust(hang) if number == 0 else " " * hang
        lines += textwrap.wrap(item, _WIDTH, initial_indent=head, subsequent_indent=" " * hang)
    return lines
