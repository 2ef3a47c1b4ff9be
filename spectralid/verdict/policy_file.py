"""Reading a policy from its TOML file: every value checked, every mistake told with its line.

What a policy may not do is here, too: there are hazards no agency may silence (`FLOOR_HAZARDS`,
`FLOOR_FAMILIES`, `FLOOR_SUBSTANCES`), and no wording may claim that something is absent or harmless.
"""

from __future__ import annotations

import csv
import difflib
import re
import reprlib
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast, get_args

from spectralid import _bundled
from spectralid.errors import FileError
from spectralid.verdict.alarm import Alarm
from spectralid.verdict.catalog import Catalog, claims_too_much, languages, topics_of, unlike
from spectralid.verdict.policy import THRESHOLDS, Escalation, Hazard, OnInstrument, Policy, Rule
from spectralid.verdict.toml_lines import Place, line_of, lines
from spectralid.vouching import TrustedKeys, engine_problem, signature_of

__all__ = [
    "FLOOR_FAMILIES",
    "FLOOR_HAZARDS",
    "FLOOR_SUBSTANCES",
    "HAZARDS",
    "SCHEMA",
    "PolicyError",
    "Problem",
    "load_policy",
    "read_policy",
]

SCHEMA: Final = "spectralid.policy/1"

HAZARDS: Final = frozenset(
    {
        "carcinogen", "controlled", "corrosive", "cwa", "explosive", "explosive-sensitive", "flammable",
        "highly-toxic", "oxidizer", "potent", "potent-opioid", "radioactive", "regulated-precursor", "toxic",
        "toxic-gas", "ultra-potent-opioid", "water-reactive",
    }
)  # fmt: skip
"""The hazard words of the compound table; a policy says what each asks for."""

FLOOR_HAZARDS: Final = frozenset(
    {
        "cwa", "explosive", "explosive-sensitive", "highly-toxic", "potent-opioid", "radioactive",
        "toxic-gas", "ultra-potent-opioid",
    }
)  # fmt: skip
"""Hazards that always raise ``DANGER``: each can kill who handles the sample, before any answer."""

FLOOR_FAMILIES: Final = ("fentanyl-related", "nitazene")
"""Families that are always watched, and whose members always raise ``DANGER``."""

FLOOR_SUBSTANCES: Final[Mapping[str, Mapping[str, str]]] = {
    "fentanyl-related substances by the structure rule": {"fentanyl_related": "yes"},
    "fentanyl": {"fentanyl_related": "parent"},
    **{
        f"the category {category!r}": {"category": category}
        for category in (
            "opioid/fentanyl-analogue",
            "opioid/fentanyl-like-nonFRS",
            "opioid/nitazene",
            "explosive/primary-peroxide",
            "explosive/military",
            "explosive/improvised-oxidizer",
            "cwa/nerve",
            "cwa/blister",
            "cwa/choking-blood",
        )
    },
}
"""Substances that always raise ``DANGER``, even where the hazard column of a library is empty or wrong."""

_SCHEDULES: Final = ("I", "II", "III", "IV", "V", "List I", "List II", "FRS", "other")
_ALARMS: Final = ("danger", "warning", "notice")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?")
# Lowest and highest value of each threshold; below, a name would mean little, above, there would be none.
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "named_from": (0.8, 0.999),
    "family_false_alarms": (0.0, 0.05),
    "identified_from": (0.8, 0.999),
    "margin": (0.01, 0.5),
    "corroboration": (0.0, 0.999),
    "bands_compared": (0.0, 1.0),
    "named_at_most": (1, 20),
}
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = 80
_OPTIONAL_OF_RULES: Final = (
    "fentanyl_related", "categories", "compounds", "schedules", "hazards", "alarm", "precautions", "escalate",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a policy file.

    Attributes
    ----------
    line : int
        From 1; 0 where the file as a whole cannot be read.
    reason : str
        What is wrong and what to do, as a sentence.
    """

    line: int
    reason: str


class PolicyError(FileError):
    """A policy file that cannot be used.

    Parameters
    ----------
    problems : sequence of Problem
        Every mistake found, by line.
    file : str
        The file.
    """

    def __init__(self, problems: Sequence[Problem], *, file: str) -> None:
        first, *more = problems
        others = "".join(f"\n  line {p.line}: {p.reason}" for p in more)
        message = f"{first.reason}{f' There is more to correct:{others}' if more else ''}"
        super().__init__(message, file=file, where=f"line {first.line}" if first.line else "")
        self.problems = tuple(problems)

    @property
    def line(self) -> int:
        """Line of the first mistake."""
        return self.problems[0].line


def load_policy(path: str | Path, *, trusted: TrustedKeys | None = None) -> Policy:
    """Policy in a file.

    Parameters
    ----------
    path : path-like
        A TOML file as `docs/policy.md` describes it.
    trusted : TrustedKeys, optional
        Keys that count: where there are any, one of them must have signed the file.

    Returns
    -------
    Policy

    Raises
    ------
    PolicyError
        If it cannot be read, needs a newer spectralid, or anything in it is wrong; all that is wrong is
        listed with its line.
    NotVouchedError
        If keys are trusted and none of them has signed it.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PolicyError(
            [Problem(0, f"it cannot be read ({error.strerror or error}).")], file=str(path)
        ) from None
    if trusted:
        trusted.vouch("policy", data, signature_of(path), file=str(path))
    return read_policy(data, str(path))


def read_policy(data: bytes, shown: str) -> Policy:
    """Policy in the bytes of a file called `shown` in messages; raises as `load_policy`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolicyError(
            [Problem(line, "this is not text in UTF-8; save the file as UTF-8.")], file=shown
        ) from None
    # What tomllib sees as one line end may be two characters.
    text = text.replace("\r\n", "\n")
    try:
        return _parsed(text, shown)
    except RecursionError:
        raise PolicyError([Problem(1, "it is nested too deeply; write it flat.")], file=shown) from None


def _parsed(text: str, shown: str) -> Policy:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise PolicyError(
            [Problem(_line_of_syntax_error(error, text), f"this is not valid TOML: {said}; correct it.")],
            file=shown,
        ) from None
    reader = _Reader(table)
    policy = reader.policy()
    if policy is None:
        places = lines(text)
        found = {Problem(line_of(places, place), reason): None for place, reason in reader.problems}
        raise PolicyError(sorted(found, key=lambda p: p.line), file=shown)
    return policy


def _line_of_syntax_error(error: tomllib.TOMLDecodeError, text: str) -> int:
    found = re.search(r"at line (\d+)", str(error))
    # "at end of document": what is not finished is in the last line that holds anything.
    return int(found[1]) if found else max(1, text.rstrip().count("\n") + 1)


@cache
def _column(file: str, column: str) -> frozenset[str]:
    """What a column of a table that comes with spectralid holds."""
    with _bundled.path("libraries", file).open(encoding="utf-8", newline="") as table:
        return frozenset(row[column] for row in csv.DictReader(table))


@cache
def _reference_texts() -> Mapping[str, str]:
    """Every English text a policy may reword."""
    return Catalog.load(topics=topics_of("en")).texts


class _Reader:
    """Makes a policy of a parsed file and collects every mistake on the way."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table
        self.problems: list[tuple[Place, str]] = []

    def _refuse(self, place: Place, reason: str) -> None:
        self.problems.append((place, reason))

    def policy(self) -> Policy | None:
        """The policy; ``None`` where there is any mistake."""
        self._keys(
            (),
            self._table,
            ("schema", "name", "version", "languages", "thresholds", "escalation", "hazards", "schedules",
             "families", "rules"),
            ("wording", "own", "needs_engine"),
        )  # fmt: skip
        if self._is_of_another_version():
            return None
        name, version = self._text(("name",)), self._text(("version",))
        languages_ = self._languages()
        thresholds = self._thresholds()
        escalation = self._escalation()
        hazards = self._hazards()
        schedules = self._schedules(hazards)
        families = self._families(hazards)
        rules = self._rules(hazards)
        wording = self._wording(languages_)
        self._spoken(hazards, rules, wording, languages_)
        if self.problems or escalation is None:
            return None
        policy = Policy(
            name=name,
            version=version,
            languages=languages_,
            **thresholds,
            escalation=escalation,
            hazards=hazards,
            schedules=schedules,
            families=families,
            rules=rules,
            wording=wording,
        )
        self._floor(policy)
        return None if self.problems else policy

    def _is_of_another_version(self) -> bool:
        """Whether another spectralid is needed: then nothing else can be said of the file."""
        schema, needs = self._table.get("schema"), self._table.get("needs_engine")
        if schema is not None and schema != SCHEMA:
            self.problems = [(("schema",), f"schema must be {SCHEMA!r}; it is {_brief(schema)}.")]
        elif problem := engine_problem(needs):
            self.problems = [(("needs_engine",), problem)]
        else:
            return False
        return True

    # Values of one kind each.

    def _at(self, place: Place) -> Any:
        value: Any = self._table
        for key in place:
            if isinstance(value, Mapping):
                value = value.get(str(key))
            elif isinstance(value, list) and isinstance(key, int):
                value = value[key]
            else:
                return None
        return value

    def _keys(
        self, place: Place, table: Mapping[str, Any], needed: Collection[str], optional: Collection[str] = ()
    ) -> None:
        where = f"[{_shown(place)}]" if place else "the file"
        known = [*needed, *optional]
        for key in table:
            if key not in known:
                self._refuse((*place, key), f"{where} has no key {key!r}; {_perhaps(key, known)}.")
        for key in needed:
            if key not in table:
                self._refuse((*place, key), f"the key {key!r} is missing in {where}; add it.")

    def _sub(self, place: Place) -> Mapping[str, Any]:
        value = self._at(place)
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self._refuse(place, f"{_shown(place)} must be a table; it is {_brief(value)}.")
        return {}

    def _text(self, place: Place) -> str:
        value = self._at(place)
        if isinstance(value, str) and value.strip() and "\n" not in value:
            return value.strip()
        if value is not None:
            self._refuse(place, f"{_shown(place)} must be a text on one line; it is {_brief(value)}.")
        return ""

    def _choice(self, place: Place, allowed: Sequence[str]) -> str:
        value = self._at(place)
        if value in allowed and isinstance(value, str):
            return value
        if value is not None:
            self._refuse(place, f"{_shown(place)} must be {_either(allowed)}; it is {_brief(value)}.")
        return ""

    def _number(self, place: Place, low: float, high: float) -> float:
        value = self._at(place)
        # NaN is in no range.
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        if value is not None:
            self._refuse(
                place, f"{_shown(place)} must be a number from {low:g} to {high:g}; it is {_brief(value)}."
            )
        return low

    def _whole(self, place: Place, low: int, high: int) -> int:
        value = self._at(place)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        if value is not None:
            self._refuse(
                place, f"{_shown(place)} must be a whole number from {low} to {high}; it is {_brief(value)}."
            )
        return low

    def _switch(self, place: Place) -> bool:
        value = self._at(place)
        if value is not None and not isinstance(value, bool):
            self._refuse(place, f"{_shown(place)} must be true or false; it is {_brief(value)}.")
        return value is True

    def _texts(self, place: Place, known: Collection[str] | None = None, kind: str = "") -> tuple[str, ...]:
        """A list of different texts that is not empty, each one of `known`."""
        value = self._at(place)
        if value is None:
            return ()
        if not isinstance(value, list) or not value:
            self._refuse(
                place, f"{_shown(place)} must be a list of texts that is not empty; it is {_brief(value)}."
            )
            return ()
        for position, item in enumerate(value):
            here = (*place, position)
            if not isinstance(item, str) or not item.strip():
                self._refuse(here, f"{_shown(place)} must hold texts only; this is {_brief(item)}.")
            elif item in value[:position]:
                self._refuse(here, f"{item!r} is in {_shown(place)} twice; remove one.")
            elif known is not None and item not in known:
                self._refuse(here, f"there is no {kind} {item!r}; {_perhaps(item, known)}.")
        return tuple(item for item in value if isinstance(item, str))

    # Parts of the file.

    def _languages(self) -> tuple[str, ...]:
        given = self._texts(("languages",))
        worded = self._sub(("wording",))
        for position, language in enumerate(given):
            if not _LANGUAGE.fullmatch(language):
                self._refuse(("languages", position), f"{language!r} is no language code like 'en' or 'es'.")
            elif language not in languages() and language not in worded:
                self._refuse(
                    ("languages", position),
                    f"spectralid brings no texts in {language!r}; add all of them as [wording.{language}] "
                    f"(spectralid policy template --language {language}) or use {_either(languages())}.",
                )
        return given

    def _thresholds(self) -> dict[str, Any]:
        place: Place = ("thresholds",)
        self._keys(place, self._sub(place), THRESHOLDS)
        found: dict[str, Any] = {}
        for name in THRESHOLDS:
            low, high = _RANGES[name]
            if name == "named_at_most":
                found[name] = self._whole((*place, name), int(low), int(high))
            else:
                found[name] = self._number((*place, name), low, high)
        return found

    def _escalation(self) -> Escalation | None:
        place: Place = ("escalation",)
        self._keys(place, self._sub(place), Escalation.__dataclass_fields__)
        alarm_from = self._choice((*place, "alarm_from"), _ALARMS)
        failed, skipped = (
            cast(OnInstrument, self._choice((*place, f"instrument_{check}"), get_args(OnInstrument)))
            for check in ("failed", "skipped")
        )
        found = Escalation(
            no_match=self._switch((*place, "no_match")),
            uncertain=self._switch((*place, "uncertain")),
            alarm_from=Alarm(alarm_from or "danger"),
            qa_rate=self._number((*place, "qa_rate"), 0.0, 1.0),
            instrument_failed=failed,
            instrument_skipped=skipped,
            library_days=self._whole((*place, "library_days"), 1, 3650),
        )
        return found if alarm_from and failed and skipped else None

    def _hazards(self) -> dict[str, Hazard]:
        place: Place = ("hazards",)
        table = self._sub(place)
        found: dict[str, Hazard] = {}
        for name in table:
            here = (*place, name)
            if name == "none":
                self._refuse(here, "'none' is what a library says of a substance without hazards; remove it.")
                continue
            self._keys(here, self._sub(here), ("alarm", "precaution"))
            alarm = self._choice((*here, "alarm"), _ALARMS)
            if name in FLOOR_HAZARDS and alarm not in ("", "danger"):
                self._refuse(
                    (*here, "alarm"), f"the alarm of {name!r} may not be lowered; it must be 'danger'."
                )
            found[name] = Hazard(Alarm(alarm or "danger"), self._text((*here, "precaution")))
        if table:
            for name in sorted(HAZARDS - set(table)):
                near = difflib.get_close_matches(name, set(table) - HAZARDS, n=1, cutoff=0.85)
                self._refuse(
                    (*place, *near),
                    f"the hazard {name!r} is missing, which libraries use; "
                    + ("perhaps this is meant to be it." if near else "add it."),
                )
        return found

    def _schedules(self, hazards: Collection[str]) -> dict[str, tuple[str, ...]]:
        place: Place = ("schedules",)
        self._keys(place, self._sub(place), _SCHEDULES)
        return {name: self._texts((*place, name), hazards, "hazard") for name in _SCHEDULES}

    def _families(self, hazards: Mapping[str, Hazard]) -> dict[str, str]:
        from spectralid.identify.families import FAMILIES

        place: Place = ("families",)
        table = self._sub(place)
        found = {}
        for name in table:
            here = (*place, name)
            if name not in FAMILIES:
                self._refuse(here, f"spectralid knows no family {name!r}; {_perhaps(name, FAMILIES)}.")
                continue
            hazard = self._text(here)
            if not hazard:
                continue
            if hazard not in hazards:
                self._refuse(here, f"there is no hazard {hazard!r}; {_perhaps(hazard, hazards)}.")
            elif name in FLOOR_FAMILIES and hazards[hazard].alarm is not Alarm.DANGER:
                self._refuse(here, f"the alarm of the family {name!r} may not be lowered; name a hazard of "
                             "alarm 'danger'.")  # fmt: skip
            found[name] = hazard
        for name in FLOOR_FAMILIES:
            if "families" in self._table and name not in table:
                self._refuse(place, f"the family {name!r} must be watched; add it.")
        return found

    def _rules(self, hazards: Mapping[str, Hazard]) -> tuple[Rule, ...]:
        given = self._at(("rules",))
        if given is None:
            return ()
        if not isinstance(given, list) or not all(isinstance(rule, Mapping) for rule in given):
            self._refuse(("rules",), "rules must be tables, each under a line [[rules]].")
            return ()
        own = {kind: frozenset(self._texts(("own", kind))) for kind in ("categories", "compounds")}
        if "own" in self._table:
            self._keys(("own",), self._sub(("own",)), (), ("categories", "compounds"))
        categories = _column("categories.csv", "category") | own["categories"]
        parts = categories | {c.split("/")[0] for c in categories}
        compounds = _column("compounds.csv", "slug") | own["compounds"]
        names: set[str] = set()
        return tuple(self._rule(("rules", i), hazards, parts, compounds, names) for i in range(len(given)))

    def _rule(
        self,
        place: Place,
        hazards: Collection[str],
        categories: Collection[str],
        compounds: Collection[str],
        names: set[str],
    ) -> Rule:
        table = self._sub(place)
        self._keys(place, table, ("name",), _OPTIONAL_OF_RULES)
        name = self._text((*place, "name"))
        if name in names:
            self._refuse((*place, "name"), f"two rules are called {name!r}; give each a name of its own.")
        names.add(name)
        if not table.keys() & {"fentanyl_related", "categories", "compounds", "schedules"}:
            self._refuse(place, "this rule is about nothing; add categories, compounds, schedules or "
                         "fentanyl_related.")  # fmt: skip
        if not table.keys() & {"hazards", "alarm", "precautions", "escalate"}:
            self._refuse(place, "this rule does nothing; add hazards, alarm, precautions or escalate.")
        if table.get("escalate") is False:
            self._refuse((*place, "escalate"), "rules only add: escalate must be true; remove it otherwise.")
        alarm = self._choice((*place, "alarm"), _ALARMS)
        return Rule(
            name=name,
            fentanyl_related=self._texts((*place, "fentanyl_related"), ("yes", "parent", "no"), "answer"),
            categories=self._texts((*place, "categories"), categories, "category"),
            compounds=self._texts((*place, "compounds"), compounds, "compound"),
            schedules=self._texts((*place, "schedules"), _SCHEDULES[:-1], "schedule"),
            hazards=self._texts((*place, "hazards"), hazards, "hazard"),
            alarm=Alarm(alarm) if alarm else None,
            precautions=self._texts((*place, "precautions")),
            escalate=self._switch((*place, "escalate")),
        )

    def _wording(self, wanted: Collection[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        given = self._sub(("wording",))
        reference = _reference_texts() if given else {}
        for language in given:
            place: Place = ("wording", language)
            if language not in wanted:
                self._refuse(place, f"{language!r} is not among languages; add it there or remove this.")
            texts: dict[str, str] = {}
            for here, key, text in _leaves(self._sub(place), place):
                texts[key] = text
                self._sentence(here, key, text, reference)
            found[language] = texts
            if language in languages():
                continue
            missing = [key for key in reference if key not in texts]
            if missing:
                self._refuse(
                    place,
                    f"{len(missing)} texts are missing in {language!r}, which spectralid does not bring, the "
                    f"first of them {missing[0]!r}; 'spectralid policy template --language {language}' "
                    "prints all of them.",
                )
        return found

    def _sentence(self, place: Place, key: str, text: object, reference: Mapping[str, str]) -> None:
        if key not in reference and not key.startswith("precaution."):
            self._refuse(place, f"there is no text {key!r}; {_perhaps(key, reference)}.")
        elif reason := unlike(text, reference.get(key, "")):
            self._refuse(place, f"{key!r} must be {reason}; it is {_brief(text)}.")
        elif (key in Catalog.load().texts or key not in reference) and (said := claims_too_much(str(text))):
            self._refuse(place, f"{key!r} says {said!r}; a result never says that something is absent or "
                         "harmless. Reword it.")  # fmt: skip

    def _spoken(
        self,
        hazards: Mapping[str, Hazard],
        rules: Sequence[Rule],
        wording: Mapping[str, Mapping[str, str]],
        wanted: Sequence[str],
    ) -> None:
        """Every precaution has its text in every language."""
        used: list[tuple[Place, str]] = [
            (("hazards", name, "precaution"), h.precaution) for name, h in hazards.items() if h.precaution
        ]
        used += [
            (("rules", i, "precautions", j), key)
            for i, rule in enumerate(rules)
            for j, key in enumerate(rule.precautions)
        ]
        told = [k.removeprefix("precaution.") for k in Catalog.load().texts if k.startswith("precaution.")]
        for place, key in used:
            if key in told:
                continue
            lacking = [lang for lang in wanted if f"precaution.{key}" not in wording.get(lang, {})]
            if len(lacking) == len(wanted):
                self._refuse(
                    place,
                    f'there is no precaution {key!r}; {_perhaps(key, told)}, or add "precaution.{key}" to '
                    f"[wording.{(*wanted, 'en')[0]}].",
                )
            elif lacking:
                self._refuse(
                    place, f"the precaution {key!r} has no text in {_either(lacking)}; add "
                    f'"precaution.{key}" to [wording.{lacking[0]}].'
                )  # fmt: skip

    def _floor(self, policy: Policy) -> None:
        """No substance that must raise the loudest alarm is let through quietly."""
        from spectralid.library import Compound
        from spectralid.verdict.hazards import alarm_of

        for what, facts in FLOOR_SUBSTANCES.items():
            probe = Compound("probe", "Probe", hazards=("none",), **facts)  # type: ignore[arg-type]
            if alarm_of(probe, policy) is not Alarm.DANGER:
                about = [i for i, rule in enumerate(policy.rules) if rule.fits(probe)]
                self._refuse(
                    ("rules", about[0]) if about else ("rules",),
                    f"the alarm of {what} may not be lowered; give them a hazard of alarm 'danger'.",
                )


def _leaves(table: Mapping[str, Any], place: Place, within: str = "") -> Iterator[tuple[Place, str, Any]]:
    """Every value with its place and its keys joined by dots."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*place, key), f"{within}{key}.")
        else:
            yield (*place, key), f"{within}{key}", value


def _brief(value: object) -> str:
    """A value as it stands in a message; a whole table would hide the message."""
    return _BRIEF.repr(value)


def _shown(place: Place) -> str:
    """A place for people: ``rules 3: hazards``."""
    said = ""
    for part in place:
        said += f" {part + 1}" if isinstance(part, int) else f"{'.' if said else ''}{part}"
    return said


def _either(words: Sequence[str]) -> str:
    return " or ".join(repr(word) for word in words)


def _perhaps(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"perhaps {near[0]!r} is meant"
    if len(known) <= 30:
        return f"known are {', '.join(map(repr, known))}"
    return "check how it is written"
