"""The table of compounds as CSV, and finding a compound by what a file calls it."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from spectralid.chem import is_cas
from spectralid.errors import UnreadableFileError
from spectralid.library._values import Compound

__all__ = ["CompoundIndex", "compound_from_row", "make_slug", "normalised", "read_compounds", "read_rows"]

LIST_COLUMNS: Final = frozenset({"synonyms", "hazards", "salt_forms"})

_CAS_WITHIN: Final = re.compile(r"(?<![\d-])\d{2,7}-\d{2}-\d(?!\d)")

# What follows a compound's name where a salt or a hydrate is meant, as written and as we call the form.
_FORMS: Final[Mapping[str, str]] = {
    "hydrochloride": "hydrochloride",
    "hcl": "hydrochloride",
    "hydrobromide": "hydrobromide",
    "hbr": "hydrobromide",
    "sulfate": "sulfate",
    "sulphate": "sulfate",
    "phosphate": "phosphate",
    "citrate": "citrate",
    "tartrate": "tartrate",
    "maleate": "maleate",
    "fumarate": "fumarate",
    "acetate": "acetate",
    "oxalate": "oxalate",
    "mesylate": "mesylate",
    "base": "base",
    "free base": "base",
    "freebase": "base",
    "sodium": "sodium salt",
    "sodium salt": "sodium salt",
    "potassium salt": "potassium salt",
    "anhydrous": "anhydrous",
    "monohydrate": "monohydrate",
    "dihydrate": "dihydrate",
    "hydrate": "hydrate",
}

# "Magnesium sulfate" is no salt of the compound magnesium: these forms need an organic base (C, H and N).
_AMINE_SALTS: Final = frozenset(
    {"sulfate", "phosphate", "citrate", "tartrate", "maleate", "fumarate", "acetate", "oxalate", "mesylate"}
)
_AMINE: Final = re.compile(r"C\d*H\d*.*N(?![a-z])")


def normalised(name: str) -> str:
    """A name as it is compared: without case, accents, spaces and punctuation; Greek letters stay."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(c for c in plain if c.isalnum())


def make_slug(name: str) -> str:
    """A slug from a name; ``"unnamed"`` if it holds no Latin letter or digit."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "-".join(re.findall(r"[a-z0-9]+", plain)) or "unnamed"


def read_rows(
    path: str | os.PathLike[str], *, required: Iterable[str], optional: Iterable[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV file (UTF-8, header line) with their line numbers; cells are stripped.

    Raises
    ------
    UnreadableFileError
        If it cannot be read, a column is missing or unknown, or a row has too many cells; with its line.
    """
    shown = str(path)
    required, known = set(required), {*required, *optional}
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableFileError(f"it cannot be opened ({error.strerror}).", file=shown) from None
    except UnicodeDecodeError as error:
        raise UnreadableFileError("it is not UTF-8 text.", file=shown, where=f"byte {error.start}") from None
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        for name in header:
            if name not in known or header.count(name) > 1:
                raise UnreadableFileError(
                    f"the column {name!r} is unknown or there twice; known are {', '.join(sorted(known))}.",
                    file=shown,
                    where="line 1",
                )
        for name in sorted(required - set(header)):
            raise UnreadableFileError(f"the column {name!r} is missing.", file=shown, where="line 1")
        for row in reader:
            line = reader.line_num
            if None in row:
                raise UnreadableFileError(
                    f"the row has more cells than the header has columns ({len(header)}); "
                    "put text that holds commas in quotes.",
                    file=shown,
                    where=f"line {line}",
                )
            yield line, {name: (cell or "").strip() for name, cell in row.items()}
    except csv.Error as error:
        raise UnreadableFileError(
            f"it is not CSV ({error}).", file=shown, where=f"line {reader.line_num}"
        ) from None


def compound_from_row(row: Mapping[str, str]) -> Compound:
    """Compound from a CSV row: lists are divided by ``|``; other cells than its fields do not count."""
    values = {k: v for k, v in row.items() if k in Compound.__dataclass_fields__}
    parts = {k: [p.strip() for p in values[k].split("|") if p.strip()] for k in LIST_COLUMNS & values.keys()}
    return Compound.from_dict({"slug": "", "name": "", **values, **parts})


def read_compounds(path: str | os.PathLike[str]) -> tuple[Compound, ...]:
    """Compounds of a CSV table with the columns of `Compound`; only ``slug`` and ``name`` must be there.

    Raises
    ------
    UnreadableFileError
        If it cannot be read, a slug is missing or there twice; with its line.
    """
    compounds: dict[str, Compound] = {}
    rows = read_rows(path, required=("slug", "name"), optional=Compound.__dataclass_fields__)
    for line, row in rows:
        where = f"line {line}"
        if not row["slug"] or not row["name"]:
            raise UnreadableFileError("slug or name is empty.", file=str(path), where=where)
        if make_slug(row["slug"]) != row["slug"]:
            raise UnreadableFileError(
                f"the slug {row['slug']!r} may hold only lower-case letters, digits and single hyphens.",
                file=str(path),
                where=where,
            )
        if row["slug"] in compounds:
            raise UnreadableFileError(
                f"the slug {row['slug']!r} was there already.", file=str(path), where=where
            )
        compounds[row["slug"]] = compound_from_row(row)
    return tuple(compounds.values())


class CompoundIndex:
    """Finds compounds by slug, CAS number, InChIKey or name.

    Parameters
    ----------
    compounds : iterable of Compound
        The table. A name that two compounds share finds neither.
    """

    def __init__(self, compounds: Iterable[Compound]) -> None:
        self.by_slug: dict[str, Compound] = {}
        self._by_cas: dict[str, Compound] = {}
        self._by_inchikey: dict[str, Compound] = {}
        self._by_name: dict[str, Compound | None] = {}
        for compound in compounds:
            self.by_slug[compound.slug] = compound
            if compound.cas:
                self._by_cas[compound.cas] = compound
            if compound.inchikey:
                self._by_inchikey[compound.inchikey] = compound
            for name in {normalised(n) for n in (compound.name, compound.slug, *compound.synonyms)}:
                if name:
                    self._by_name[name] = None if name in self._by_name else compound

    def find(self, *, cas: str = "", inchikey: str = "", name: str = "") -> tuple[Compound, str] | None:
        """The compound and, where the name adds a salt or hydrate, that form; ``None`` if there is none.

        Tried in order: InChIKey, CAS number (if its check digit is right; one within the name too), name,
        name without its salt form.
        """
        numbers = [c for c in (cas.strip(), *_CAS_WITHIN.findall(name)) if is_cas(c)]
        found = self._by_inchikey.get(inchikey) or (self._by_cas.get(numbers[0]) if numbers else None)
        if found:
            return found, _split_form(name)[1]
        named = self._by_name.get(normalised(name))
        if named:
            return named, ""
        base, form = _split_form(name)
        named = self._by_name.get(normalised(base)) if form else None
        if named is None or (form in _AMINE_SALTS and not _AMINE.search(named.formula)):
            return None
        return named, form


def _split_form(name: str) -> tuple[str, str]:
    """Name without the salt or hydrate at its end, and that form; the form is empty where there is none."""
    words = re.split(r"[\s_,;()-]+", name.strip(" ()"))
    for count in (2, 1):
        tail = " ".join(words[-count:]).casefold()
        if len(words) > count and tail in _FORMS:
            return " ".join(words[:-count]), _FORMS[tail]
    return name, ""
