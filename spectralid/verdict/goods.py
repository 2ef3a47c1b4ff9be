"""What goods are declared as: from the words, numbers and codes of a form to substances."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from spectralid.chem import is_cas, parse_formula
from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.library import Compound, ReferenceLibrary
from spectralid.library.compounds import CompoundIndex, normalised, read_rows
from spectralid.verdict.catalog import Catalog, languages
from spectralid.verdict.tariff import Cover, Tariff, codes_in

__all__ = ["Declaration", "Good", "Reading", "read_declaration", "same_substance"]

_TABLE: Final = Path(__file__).parent / "goods.csv"
_COLUMNS: Final = ("word", "language", "compounds", "also", "categories", "source")
_CAS: Final = re.compile(r"(?<![\d-])\d{2,7}-\d{2}-\d(?![\d-])")
# What divides goods from each other. A comma without a space belongs to a name: "1,4-dioxane".
_DIVIDES: Final = re.compile(r"[;\n\r/+&|]|,\s+|\s(?:and|y|e|with|con|plus|más)\s", re.IGNORECASE)
_NOT_A_WORD: Final = re.compile(r"[\W\d_]*(?:\d[\d.,]*\s*%?)?[\W_]*")
# Words of packing, grade and form, which say nothing about the substance.
_FILLER_TEXT: Final = """
    a an of the for in as x no nos nr by use used made from containing contains content contents type brand
    cas hs hts code tariff heading subheading kg g mg lb lbs l ml ton tons tonne tonnes net gross weight
    bag bags sack sacks drum drums box boxes carton cartons bottle bottles pack packs packet packets pieces
    pcs unit units tablet tablets capsule capsules pill pills pellet pellets article articles item items
    powder powders powdered granules granular crystal crystals crystalline flakes solid liquid solution
    aqueous fine mesh premium quality extra white colourless colorless pure purity refined raw bulk usp bp
    ep fcc nf ph eur grade food
    foodgrade pharma pharmaceutical medical industrial technical tech analytical reagent laboratory lab
    chemical chemicals material materials product products goods sample samples commercial natural synthetic
    de del la el las los un una en para uso como sacos saco bolsas bolsa caja cajas tambor tambores frasco
    frascos polvo puro pura grado alimenticio alimentario farmacéutico industrial blanco blanca cristales
    producto productos químico químicos muestra muestras artículo artículos comprimidos tabletas mercancía
"""
_FILLERS: Final = frozenset(map(normalised, _FILLER_TEXT.split()))
# Spellings of one name, British and American, and those of international nonproprietary names.
_VARIANTS: Final = (
    ("sulph", "sulf"),
    ("aluminum", "aluminium"),
    ("cesium", "caesium"),
    ("oestr", "estr"),
    ("metamfet", "methamphet"),
    ("amfet", "amphet"),
)
# Salts as Spanish puts them: "clorhidrato de lidocaína".
_SALTS: Final = {
    "clorhidrato": "hydrochloride",
    "hidrocloruro": "hydrochloride",
    "bromhidrato": "hydrobromide",
    "citrato": "citrate",
    "tartrato": "tartrate",
    "maleato": "maleate",
    "fumarato": "fumarate",
    "fosfato": "phosphate",
    "sulfato": "sulfate",
}
_SALT_OF: Final = re.compile(f"({'|'.join(_SALTS)}) de (.+)")
# A slip of the pen is looked for in long words only: names of drugs differ by one letter.
_SLIP_FROM: Final = 6
_TWO_SLIPS_FROM: Final = 11
# Endings that make another substance of a name: a chlorite is no chloride, propene no propane.
_ENDINGS: Final = (("ide", "ite", "ate"), ("ane", "ene", "yne"))
_SHORTEST_WITHIN: Final = 4
_LONGEST_NAME: Final = 6
_LONGEST_TEXT: Final = 2000
_WATER: Final = re.compile(r"\.(?:\d+(?:\.\d+)?|n)?H2O$")

How = Literal["name", "cas", "trade", "tariff", "spelling"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What goods are declared as, in any of three ways.

    Attributes
    ----------
    text : str
        Free text, several goods at will.
    cas : str
        CAS registry number.
    tariff : str
        Customs tariff code, or the text of a customs form with one.

    Raises
    ------
    ParameterError
        If a field is longer than 2,000 characters.
    """

    text: str = ""
    cas: str = ""
    tariff: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            said = getattr(self, field.name)
            if len(said) > _LONGEST_TEXT:
                raise ParameterError(field.name, f"{said[:40]}…", f"at most {_LONGEST_TEXT} characters")
            object.__setattr__(self, field.name, said.strip())

    def __bool__(self) -> bool:
        return bool(self.text or self.cas or self.tariff)

    def to_dict(self) -> dict[str, str]:
        """Plain, JSON-ready form."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class Good:
    """One of the goods declared.

    Attributes
    ----------
    written : str
        As on the form.
    how : str
        What it was understood by: ``name``, ``cas``, ``trade`` (a word of trade), ``tariff``, or
        ``spelling`` (a name one slip of the pen away).
    name : str
        What it was understood as.
    slug : str
        The compound that name is of; empty for a word of trade or a tariff code.
    compounds : frozenset of str
        Slugs, any of which it is.
    also : frozenset of str
        Slugs of what such goods usually hold besides.
    categories : frozenset of str
        Categories, any substance of which it is.
    complete : bool
        Whether it is nothing else. A tariff code or a broad word may cover what no table here lists.
    form : str
        Salt or hydrate declared, empty if none was.
    source : str
        Where a word of trade or a tariff code was read up.
    """

    written: str
    how: How
    name: str
    slug: str = ""
    compounds: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    complete: bool = True
    form: str = ""
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: sorted(v) if isinstance(v, frozenset) else v for k, v in plain.items()}


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be made of a declaration.

    Attributes
    ----------
    goods : tuple of Good
        What was understood.
    unknown : tuple of str
        Goods, and words beside goods, that were not, as written.
    wrong_cas : tuple of str
        Numbers whose check digit is wrong.
    contradicts : tuple of (str, str)
        What the declaration says that cannot both be so.
    """

    goods: tuple[Good, ...]
    unknown: tuple[str, ...] = ()
    wrong_cas: tuple[str, ...] = ()
    contradicts: tuple[tuple[str, str], ...] = ()


def read_declaration(declaration: Declaration, library: ReferenceLibrary, tariff: Tariff) -> Reading:
    """What a declaration says, in terms of a library.

    Parameters
    ----------
    declaration : Declaration
        The declaration.
    library : ReferenceLibrary
        Whose compounds it is understood by.
    tariff : Tariff
        Table of tariff codes.

    Notes
    -----
    What is said exactly (a name, a CAS number) goes before what is said broadly (a word of trade for a kind
    of goods, a tariff code); the broad one is then only asked whether it contradicts.
    """
    words = _words_of(library.compounds)
    texts = [declaration.text, _CAS.sub(" ", declaration.tariff)]
    numbers = [declaration.cas] if declaration.cas else []
    numbers += _CAS.findall(declaration.text) + _CAS.findall(declaration.tariff)
    codes = codes_in(texts[1], field=True) + codes_in(_CAS.sub(" ", declaration.text))
    by_number, unknown, wrong = _numbers(numbers, words)
    named: list[Good] = []
    for text in texts:
        for code in codes:
            text = text.replace(code, " ")
        found, not_found = words.read(_CAS.sub(" ", text))
        named += found
        unknown += not_found
    covered = [(code, tariff.covers(code)) for code in codes]
    by_code = [_of_code(code, cover) for code, cover in covered if cover is not None]
    unknown += [code for code, cover in covered if cover is None]
    contradicts = [
        (a.written, b.written) for a in by_number for b in named if b.complete and not _overlap(a, b, library)
    ]
    if declaration.tariff and not (codes or _CAS.search(declaration.tariff)) and not (named or unknown):
        unknown.append(declaration.tariff)
    exact = _each_once([*by_number, *named])
    contradicts += [
        (a.written, b.written) for a in exact for b in by_code if b.complete and not _overlap(a, b, library)
    ]
    return Reading(
        goods=tuple(exact or by_code),
        unknown=tuple(dict.fromkeys(unknown)) if not exact or not by_code else _without_codes(unknown, codes),
        wrong_cas=tuple(wrong),
        contradicts=tuple(contradicts),
    )


def same_substance(a: Compound, b: Compound) -> bool:
    """Whether two entries are one substance for whoever declares it: salt, hydrate or mineral form apart."""
    if a.slug == b.slug:
        return True
    if a.smiles and b.smiles:
        return _core(a.smiles) == _core(b.smiles)
    if "mineral" not in (a.category, b.category):
        return False
    ours, theirs = _composition(a.formula), _composition(b.formula)
    return ours == theirs and len(ours) > 1


class _Words:
    """Finds substances by what people call them."""

    def __init__(self, compounds: tuple[Compound, ...]) -> None:
        self.index = CompoundIndex(compounds)
        self.compounds = compounds
        self.trade = {normalised(g.written): g for g in _trade_words()}
        self._names: dict[str, set[str]] = {}
        for compound in compounds:
            for name in (compound.name, compound.slug, *compound.synonyms):
                self._names.setdefault(normalised(name), set()).add(compound.slug)
        self.translated = {
            name: slug
            for name, slug in _translated_names().items()
            if slug in self.index.by_slug and name not in self._names
        }
        for name, slug in self.translated.items():
            self._names[name] = {slug}

    def read(self, text: str) -> tuple[list[Good], list[str]]:
        """Goods in a text, and goods and words that were not understood."""
        whole = self.find(text.strip())
        if whole:
            return [whole], []
        goods: list[Good] = []
        unknown: list[str] = []
        for piece in _DIVIDES.split(text):
            found, rest = self._piece(piece)
            goods += found
            # One word more may make another substance of a name: "acetyl fentanyl", "magnesium sulfite".
            unknown += rest if found or not rest else [" ".join(piece.split())]
        return _each_once(goods), unknown

    def find(self, name: str) -> Good | None:
        """What one name stands for; ``None`` if it is none."""
        if not normalised(name):
            return None
        trade = self.trade.get(normalised(name))
        if trade:
            return replace(trade, written=name)
        if normalised(name) in self.translated:
            return self._of(self.index.by_slug[self.translated[normalised(name)]], name, "name")
        for spelling in (name, _varied(name)):
            found = self.index.find(name=spelling)
            if found:
                return self._of(found[0], name, "name", found[1])
        salt = _SALT_OF.fullmatch(_varied(name))
        slug = self.translated.get(normalised(salt[2])) if salt else None
        if salt and slug:
            found = self.index.find(name=f"{self.index.by_slug[slug].name} {_SALTS[salt[1]]}")
            return self._of(found[0], name, "name", found[1]) if found else None
        return None

    def find_cas(self, number: str) -> Good | None:
        """The compound of a CAS number; ``None`` if there is none."""
        found = self.index.find(cas=number)
        return self._of(found[0], number, "cas", found[1]) if found else None

    def _of(self, compound: Compound, written: str, how: How, form: str = "") -> Good:
        same = (c.slug for c in self.compounds if same_substance(compound, c))
        return Good(written, how, compound.name, compound.slug, frozenset(same), form=form)

    def _piece(self, piece: str) -> tuple[list[Good], list[str]]:
        """Goods among the words of one piece, and the words that mean nothing here."""
        words = piece.split()
        goods: list[Good] = []
        taken = [False] * len(words)
        # Without the words of packing around it a name is found whole; with them only as a part.
        for find in (self._part, self._slip):
            for count in range(min(_LONGEST_NAME, len(words)), 0, -1):
                for start in range(len(words) - count + 1):
                    if any(taken[start : start + count]):
                        continue
                    good = find(words[start : start + count])
                    if good:
                        goods.append(good)
                        taken[start : start + count] = [True] * count
            if goods:
                break
        rest = [w for w, t in zip(words, taken, strict=True) if not t]
        rest = [w for w in rest if not (_NOT_A_WORD.fullmatch(w) or normalised(w) in _FILLERS)]
        exact = [g for g in goods if g.complete]
        return exact or goods, rest

    def _part(self, words: Sequence[str]) -> Good | None:
        text = " ".join(words).strip(" .,:()\"'")
        plain = normalised(text)
        if len(words) == 1 and plain in _FILLERS and plain not in self.trade:
            return None
        # Three letters are too many things, unless written in capitals as abbreviations are.
        if len(plain) < _SHORTEST_WITHIN and not text.isupper():
            return None
        return self.find(text)

    def _slip(self, words: Sequence[str]) -> Good | None:
        """A name one slip of the pen away, two in a long word; never of a controlled or hazardous substance.

        Names of those differ by one letter from each other, and a declaration shall not be read as one.
        """
        written = " ".join(words).strip(" .,:()\"'")
        plain = normalised(_varied(written))
        if len(plain) < _SLIP_FROM or plain in _FILLERS:
            return None
        most = 2 if len(plain) >= _TWO_SLIPS_FROM else 1
        near: dict[frozenset[str], Good] = {}
        for name, slugs in self._names.items():
            if _slips(plain, name, most):
                for slug in slugs:
                    good = self._of(self.index.by_slug[slug], written, "spelling")
                    near[good.compounds] = good
        for name, trade in self.trade.items():
            if _slips(plain, name, most):
                near[trade.compounds] = replace(trade, written=written, how="spelling")
        if len(near) != 1:
            return None
        (good,) = near.values()
        harmless = all(_harmless(c) for s in good.compounds if (c := self.index.by_slug.get(s)))
        return good if harmless else None


@lru_cache(maxsize=2)
def _words_of(compounds: tuple[Compound, ...]) -> _Words:
    """The words of a library; putting its ten thousand names in order takes longer than all else."""
    return _Words(compounds)


def _harmless(compound: Compound) -> bool:
    return compound.schedule in ("", "none") and set(compound.hazards) <= {"none"}


@cache
def _translated_names() -> dict[str, str]:
    """Slug of each name that the wording of another language has for a substance; none that two share."""
    found: dict[str, str] = {}
    for language in languages():
        for key, name in Catalog.load(language, topics=()).texts.items():
            if key.startswith("name."):
                plain = normalised(name)
                found[plain] = "" if found.get(plain, key[5:]) != key[5:] else key[5:]
    return {name: slug for name, slug in found.items() if slug}


@cache
def _trade_words() -> tuple[Good, ...]:
    return tuple(_trade_word(row, line) for line, row in read_rows(_TABLE, required=_COLUMNS, optional=()))


def _trade_word(row: dict[str, str], line: int) -> Good:
    if not (row["word"] and row["source"] and (row["compounds"] or row["categories"])):
        raise UnreadableFileError(
            "word, source and one of compounds and categories must not be empty.",
            file=str(_TABLE),
            where=f"line {line}",
        )
    return Good(
        written=row["word"],
        how="trade",
        name=row["word"],
        compounds=_set(row["compounds"]),
        also=_set(row["also"]),
        categories=_set(row["categories"]),
        complete=not row["categories"],
        source=row["source"],
    )


def _set(cell: str) -> frozenset[str]:
    return frozenset(part for part in cell.split("|") if part)


def _numbers(numbers: Iterable[str], words: _Words) -> tuple[list[Good], list[str], list[str]]:
    goods, unknown, wrong = [], [], []
    for number in dict.fromkeys(n.strip() for n in numbers):
        if not is_cas(number):
            wrong.append(number)
        elif good := words.find_cas(number):
            goods.append(good)
        else:
            unknown.append(number)
    return goods, unknown, wrong


def _of_code(code: str, cover: Cover) -> Good:
    return Good(
        written=" ".join(code.split()),
        how="tariff",
        name=cover.code,
        compounds=cover.compounds,
        categories=cover.categories,
        complete=cover.complete and not cover.categories,
        source="; ".join(cover.sources),
    )


def _without_codes(unknown: Iterable[str], codes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(u for u in unknown if u not in set(codes)))


def _overlap(a: Good, b: Good, library: ReferenceLibrary) -> bool:
    if (a.compounds | a.also) & (b.compounds | b.also):
        return True
    known = {c.slug: c.category for c in library.compounds}
    return any(known.get(s) in b.categories for s in a.compounds) or any(
        known.get(s) in a.categories for s in b.compounds
    )


def _each_once(goods: Iterable[Good]) -> list[Good]:
    """Goods without those that say what another said, exact ones alone where there are any."""
    once = list({(g.compounds, g.categories): g for g in reversed(list(goods))}.values())[::-1]
    return [g for g in once if g.complete] or once


def _varied(name: str) -> str:
    """The spelling the library uses, without the accents of another language."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name).casefold() if not unicodedata.combining(c))
    for other, ours in _VARIANTS:
        plain = plain.replace(other, ours)
    return plain


def _core(smiles: str) -> frozenset[str]:
    """Parts of a structure without water, and without the acid an amine was made a salt with."""
    parts = set(smiles.split(".")) - {"O"}
    base = parts - {"Cl", "Br", "O=S(=O)(O)O", "O=P(O)(O)O"}
    return frozenset(base or parts or {smiles})


def _composition(formula: str) -> dict[str, int]:
    try:
        return dict(parse_formula(_WATER.sub("", formula)))
    except ParameterError:
        return {}


def _slips(written: str, name: str, most: int) -> bool:
    """Whether one differs from the other by at most so many letters left out, added, changed or swapped.

    First letters, digits and endings that carry meaning must agree.
    """
    if abs(len(written) - len(name)) > most or written == name or written[:1] != name[:1]:
        return False
    if [c for c in written if c.isdigit()] != [c for c in name if c.isdigit()]:
        return False
    for group in _ENDINGS:
        ending, other = ("".join(e for e in group if n.endswith(e)) for n in (written, name))
        if ending and other and ending != other:
            return False
    before: list[int] = []
    last = list(range(len(name) + 1))
    for i, a in enumerate(written, start=1):
        row = [i]
        for j, b in enumerate(name, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == name[j - 2] and written[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return False
        before, last = last, row
    return last[-1] <= most
