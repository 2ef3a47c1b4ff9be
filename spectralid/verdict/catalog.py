"""The sentences people read, one file per language and topic; the code holds none."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from spectralid.errors import ParameterError

__all__ = [
    "BUNDLED",
    "Catalog",
    "claims_too_much",
    "fields_of",
    "flat",
    "languages",
    "topics_of",
    "unlike",
]

BUNDLED: Final = Path(__file__).parent / "catalog"
"""Folder of the catalogs of this room: ``<language>/<topic>.toml``."""

_REFERENCE: Final = "en"
# What substances and their forms are called where it differs from the library; no language has to have it.
_NAMES: Final = "names"
# Spanish "y" and "o" change before the same sound: "e ibuprofeno", "u oxicodona", "u 8".
_I_SOUND: Final = re.compile(r"h?[ií](?![aeoáéó])", re.IGNORECASE)
_O_SOUND: Final = re.compile(r"h?[oó]|8|11(?!\d)", re.IGNORECASE)
# What no verdict may say, in the languages spectralid brings: that something is absent, or harmless.
_CLAIMS: Final = re.compile(
    r"\b(no fentanyl|safe|safely|negative|harmless|absent|free of|rule[sd]? out|does not contain|contains no"
    r"|not present|not dangerous|sin fentanilo|no hay fentanilo|no contiene|libre de|inofensiv\w+|inocu\w+"
    r"|segur[oa]s? (?:de|para)|no es peligros\w+|negativ[oa]s?|ausen\w+|descarta\w*|no está presente)\b",
    re.IGNORECASE,
)


class Catalog:
    """What is said, in one language.

    Texts are those of `str.format` with plain named fields, ``{name}``; whoever says one formats numbers
    before. `Catalog.load` makes one.

    Parameters
    ----------
    language : str
        ISO 639 code.
    texts : mapping of str to str
        Text of each key.
    """

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self.texts: Mapping[str, str] = dict(texts)

    @classmethod
    def load(
        cls,
        language: str = "en",
        *,
        topics: Sequence[str] = ("verdict",),
        overrides: Mapping[str, str] | None = None,
        folder: Path = BUNDLED,
    ) -> Catalog:
        """Catalog of a language.

        Parameters
        ----------
        language : str, optional
            ISO 639 code, a folder in `folder`; or a language that `overrides` holds whole.
        topics : sequence of str, optional
            Files to join; no key may be in two of them.
        overrides : mapping of str to str, optional
            Texts that replace those of the files, or are new.
        folder : Path, optional
            Where the files are.

        Raises
        ------
        ParameterError
            If nobody wrote a catalog in that language, or an override does not fit the text it replaces.
        """
        overrides = overrides or {}
        wanted: dict[str, str] = {}
        for topic in topics:
            wanted |= _texts(folder, _REFERENCE, topic)
        texts: dict[str, str] = {}
        if language in languages(folder):
            if (folder / language / f"{_NAMES}.toml").exists():
                texts |= _texts(folder, language, _NAMES)
            for topic in topics:
                texts |= _texts(folder, language, topic)
        elif not overrides.keys() >= wanted.keys():
            raise ParameterError("language", language, "one of " + ", ".join(languages(folder)))
        for key in wanted.keys() & overrides.keys():
            if reason := unlike(overrides[key], wanted[key]):
                raise ParameterError(f"wording of {key!r}", overrides[key], reason)
        return cls(language, {**texts, **overrides})

    def __contains__(self, key: object) -> bool:
        """Whether there is a text of that key."""
        return key in self.texts

    def say(self, key: str, **facts: Any) -> str:
        """The text of a key with its fields filled in."""
        return self.texts[key].format_map(facts)

    def count(self, key: str, n: int, **facts: Any) -> str:
        """The text of ``key.one`` or ``key.many``, whichever `n` asks for; both may use ``{n}``."""
        return self.say(f"{key}.one" if n == 1 else f"{key}.many", n=n, **facts)

    def named(self, slug: str, name: str, form: str = "") -> str:
        """What a substance is called, with its form in brackets; as in the library without other wording."""
        name = self.texts.get(f"name.{slug}", name)
        return f"{name} ({self.texts.get(f'form.{form}', form)})" if form else name

    def translated(self, sentence: str) -> str:
        """A sentence another room said in English, where the wording knows it; else as it is.

        The texts ``assumption.<...>`` are those sentences, in English word by word.
        """
        if self.language == _REFERENCE:
            return sentence
        for key, pattern in _sentences():
            if found := pattern.fullmatch(sentence):
                facts = {name: self.texts.get(f"word.{v}", v) for name, v in found.groupdict().items()}
                return self.say(key, **facts)
        return sentence

    def listed(self, items: Sequence[str], last: Literal["and", "or"] = "and", mark: str = ", ") -> str:
        """Several items as a person lists them: "a, b and c", by the grammar of the language."""
        if len(items) < 2:
            return "".join(items)
        changed = _I_SOUND if last == "and" else _O_SOUND
        sound = {"and": "i", "or": "o"}[last]
        word = self.texts[f"list.{last}_before_{sound}" if changed.match(items[-1]) else f"list.{last}"]
        return f"{mark.join(items[:-1])} {word} {items[-1]}"


def languages(folder: Path = BUNDLED) -> tuple[str, ...]:
    """Languages there are files of, English first."""
    found = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(("_", ".")))
    return tuple(sorted(found, key=lambda name: name != _REFERENCE))


def topics_of(language: str, folder: Path = BUNDLED) -> tuple[str, ...]:
    """Topics there are files of in a language."""
    return tuple(sorted(p.stem for p in (folder / language).glob("*.toml")))


def claims_too_much(text: str) -> str:
    """What in a text says that something is absent or harmless; empty if nothing does."""
    found = _CLAIMS.search(text)
    return found[0] if found else ""


def flat(table: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested tables with its keys joined by dots."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{within}{key}.")
        else:
            yield f"{within}{key}", value


def fields_of(text: str) -> frozenset[str]:
    """Names of the fields in a text.

    Raises
    ------
    ValueError
        If a brace is not closed, or a field is more than a name; a person who edits wording shall not be able
        to write what fails only when an officer needs it.
    """
    found = set()
    for _, name, specification, conversion in string.Formatter().parse(text):
        if name is None:
            continue
        if not name.isidentifier() or specification or conversion:
            raise ValueError(f"{{{name}}} is not a plain field")
        found.add(name)
    return frozenset(found)


def unlike(text: object, wanted: str) -> str:
    """Why a text cannot stand for another, in words that finish "it must be"; empty if it can."""
    if not isinstance(text, str) or not text.strip():
        return "a text that is not empty"
    needed = fields_of(wanted)
    named = ", ".join(f"{{{name}}}" for name in sorted(needed)) or "no field in braces"
    try:
        given = fields_of(text)
    except ValueError as error:
        return f"a text with {named} ({error}; write {{{{ and }}}} for braces)"
    return "" if given == needed else f"a text with {named}"


@cache
def _sentences() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """What another room may say, with the facts in it as named groups."""
    found = []
    for key, text in _texts(BUNDLED, _REFERENCE, "verdict").items():
        if key.startswith("assumption."):
            parts = ((re.escape(plain), name) for plain, name, _, _ in string.Formatter().parse(text))
            pattern = "".join(plain + (f"(?P<{name}>.+?)" if name else "") for plain, name in parts)
            found.append((key, re.compile(pattern)))
    return tuple(found)


@cache
def _texts(folder: Path, language: str, topic: str) -> Mapping[str, str]:
    table = tomllib.loads((folder / language / f"{topic}.toml").read_text(encoding="utf-8"))
    return MappingProxyType(dict(flat(table)))
