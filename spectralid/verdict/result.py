"""The verdict: what to tell, what to do, and whether to ask someone who knows more."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Final

from spectralid.verdict.alarm import Alarm
from spectralid.verdict.catalog import Catalog

__all__ = ["SCHEMA", "Verdict", "VerdictKind"]

SCHEMA: Final = "spectralid.verdict/1"

# Chemical names are not broken at their hyphens.
_wrap: Final = partial(textwrap.wrap, width=80, break_on_hyphens=False)


class VerdictKind(StrEnum):
    """What may be concluded."""

    IDENTIFIED = "identified"
    MIXTURE = "mixture"
    FAMILY = "family"
    INCONCLUSIVE = "inconclusive"
    NO_MATCH = "no_match"
    POOR_SIGNAL = "poor_signal"


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
    language : str
        Language of everything above that is words.
    codes : tuple of str
        The reasons and what else a program may want to know, the same in every language (`docs/policy.md`).
    policy : str
        Name, version and identity of the policy it was decided by.
    escalation : tuple of str
        Why it is escalated: ``"no_match"``, ``"uncertain"``, ``"policy_high_hazard"``, ``"qa_sample"``,
        ``"forced"``, ``"instrument_not_verified"``, ``"library_old"``; empty if it is not.
    cautions : tuple of str
        The precautions as keys of the wording, the same in every language.
    catalog : Catalog
        What `text` is laid out with.
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
    language: str = "en"
    codes: tuple[str, ...] = ()
    policy: str = ""
    escalation: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    catalog: Catalog = field(default_factory=Catalog.load, compare=False, repr=False)

    def __repr__(self) -> str:
        return f"<Verdict {self.kind.value}, presumptive, alarm {self.alarm.value}: {self.headline}>"

    @property
    def presumptive(self) -> bool:
        """Always true: a field measurement confirms nothing."""
        return True

    def text(self) -> str:
        """The verdict for the officer, at most 80 columns wide."""
        say = self.catalog.say
        title = say("text.title", headword=say(f"headword.{self.kind.value}"))
        reachback = say("text.escalate" if self.escalate else "text.no_escalation")
        parts: dict[str, Sequence[str]] = {
            "precautions": self.precautions,
            "advice": self.advice,
            "not_excluded": self.not_excluded,
            "evidence": self.evidence,
            "reachback": [reachback],
            "why": self.reasons,
        }
        labels = {part: f"{say(f'text.{part}')}: " for part in parts}
        width = max(map(len, labels.values()))
        lines = _wrapped(f"{title}: ", [self.headline], hang=2)
        lines += ["", *_wrap(self.words), ""]
        for part, items in parts.items():
            lines += _wrapped(labels[part], items, hang=width)
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
            "language": self.language,
            "codes": list(self.codes),
            "policy": self.policy,
            "escalation": list(self.escalation),
            "cautions": list(self.cautions),
        }


def _wrapped(label: str, items: Sequence[str], hang: int) -> list[str]:
    lines: list[str] = []
    for number, item in enumerate(items):
        head = label.ljust(hang) if number == 0 else " " * hang
        lines += _wrap(item, initial_indent=head, subsequent_indent=" " * hang)
    return lines
