"""Phrases of a report: facts put into the words of a language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from spectralid.report import record
from spectralid.verdict.catalog import Catalog

__all__ = ["Words"]

_FOLDER: Final = Path(__file__).parent / "catalog"
_NO_LIMIT: Final = 0.9


class Words:
    """The catalog of one language, and what is said with it in more than one place.

    Parameters
    ----------
    language : str
        ISO 639 code.

    Raises
    ------
    ParameterError
        If nobody wrote a catalog in that language.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self.catalog = Catalog.load(language, topics=("report",), folder=_FOLDER)
        self._verdicts = Catalog.load(language)
        self.say = self.catalog.say
        self.count = self.catalog.count

    def named(self, group: str, code: str) -> str:
        """Words for a code; the code itself, readable, where nobody wrote any."""
        key = f"{group}.{code}"
        return self.catalog.say(key) if code and key in self.catalog else code.replace("_", " ")

    def substance(self, component: Mapping[str, Any]) -> str:
        """Name of a component, with its form."""
        slug, form = record.text(component, "slug"), record.text(component, "form")
        name = self._verdicts.named(slug, record.text(component, "name") or slug)
        return f"{name} ({form})" if form else name

    def problem(self, code: str) -> str:
        """Words for what is wrong with a signal."""
        key = f"problem.{code}"
        return self._verdicts.say(key) if key in self._verdicts else code.replace("_", " ")

    def number(self, value: float, digits: int = 3) -> str:
        """A number with the decimal mark of the language."""
        return f"{value:.{digits}g}".replace(".", self.catalog.say("decimal"))

    def share(self, value: float) -> str:
        """A share of 1 as per cent."""
        if 0 < value < 0.001:
            return self.say("share.below_percent")
        decimals = 0 if value >= 0.0995 else 1
        shown = f"{100 * value:.{decimals}f}".replace(".", self.catalog.say("decimal"))
        return self.say("share.percent", number=shown)

    def chance(self, value: float) -> str:
        """A probability as per cent, which rounding never makes certain."""
        return self.say("share.above_99") if value > 0.99 else self.share(value)

    def interval(self, low: float, high: float) -> str:
        """An interval of shares."""
        decimals = 0 if low >= 0.0995 else 1
        mark = self.catalog.say("decimal")
        low_shown, high_shown = (f"{100 * v:.{decimals}f}".replace(".", mark) for v in (low, high))
        return self.say("share.between", low=low_shown, high=high_shown)

    def time(self, moment: str) -> str:
        """A time of the record to the second; as it was written where it is not ISO 8601 in UTC."""
        try:
            parsed = datetime.fromisoformat(moment)
        except ValueError:
            return moment
        if parsed.utcoffset() is None or parsed.utcoffset():
            return moment
        return self.say("utc", time=parsed.strftime("%Y-%m-%d %H:%M:%S"))

    def family_share(self, family: str, share: Any) -> str:
        """The smallest share of a family a scan would have shown."""
        key = f"family.{family}"
        family = self._verdicts.say(key) if key in self._verdicts else family
        # Where a member was found, or nothing could be told, the limit is next to the whole signal.
        if not isinstance(share, int | float) or share >= _NO_LIMIT:
            return self.say("share.above", family=family)
        return self.say("share.line", family=family, share=self.share(float(share)))

    def strip(self, test: Mapping[str, Any]) -> str:
        """A strip test in a sentence."""
        facts = [
            self.say(f"strip.{key}", value=said)
            for key in ("brand", "lot", "expiry")
            if (said := record.text(test, key))
        ]
        for key, field in (("cutoff", "cutoff_ng_ml"), ("dilution", "dilution_mg_ml"), ("read", "read_s")):
            value = record.number(test, field)
            if value is not None:
                facts.append(self.say(f"strip.{key}", value=self.number(value)))
            elif key == "dilution":
                facts.append(self.say("strip.no_dilution"))
        ratio, low, high = (record.number(test, "evidence", k) for k in ("ratio", "low", "high"))
        if ratio is not None and low is not None and high is not None:
            shown = (self.number(v, 2) for v in (ratio, low, high))
            facts.append(self.say("strip.ratio", **dict(zip(("value", "low", "high"), shown, strict=True))))
        return self.say(
            "strip.line",
            target=record.text(test, "target"),
            result=self.named("strip", record.text(test, "result")),
            facts=", ".join(facts),
        )

    def declaration(self, declared: Mapping[str, Any]) -> list[str]:
        """What was declared, what the check found, and why."""
        goods = [f"“{said}”"] if (said := record.text(declared, "text")) else []
        goods += [f"{label} {said}" for label, key in (("CAS", "cas"), ("HS", "tariff"))
                  if (said := record.text(declared, key))]  # fmt: skip
        if not goods:
            return []
        outcome = record.text(declared, "check", "outcome") or "unchecked"
        line = self.say("declared.line", goods=", ".join(goods), outcome=self.named("declared", outcome))
        return [line, *record.texts(declared, "check", "reasons")]

    def answer(self, answer: Mapping[str, Any]) -> str:
        """An answer of reachback or a laboratory in one line."""
        line = self.say(
            "answer.line",
            time=self.time(record.text(answer, "utc")),
            kind=self.named("answer", record.text(answer, "kind")),
            by=record.text(answer, "by") or "–",
            headline=record.text(answer, "headline"),
        )
        return self.say("answer.superseded", line=line) if answer.get("superseded") else line

    def check(self, ipv: Mapping[str, Any]) -> str:
        """State of the instrument's performance check."""
        passed = "passed" if ipv.get("passed") else "failed"
        state = record.text(ipv, "state") or (passed if "passed" in ipv else "unknown")
        facts = [record.text(ipv, "id"), self.time(record.text(ipv, "time"))]
        facts.append(record.text(ipv, "limits_version"))
        said = ", ".join(f for f in facts if f)
        return self.named("check", state) + (f" ({said})" if said else "")
