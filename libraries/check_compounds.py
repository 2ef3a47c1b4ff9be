"""Check a table of compounds against itself, against its structures and against the fixed vocabularies.

``python libraries/check_compounds.py libraries/compounds.csv`` prints counts and every failure with
its line, and exits with 1 if there is one. It needs the extra ``spectralid[chem]``. With ``--opsin`` it also
makes the structures of origin ``OPSIN(structure_names.csv)`` again from the names in that file; that needs
py2opsin and Java.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
# From a checkout the script runs without the package being installed.
sys.path.insert(0, str(HERE.parent))

from spectralid.chem import classify, formula_of, inchikey_of, is_cas, is_inchikey  # noqa: E402
from spectralid.errors import ParameterError, SpectralIDError  # noqa: E402
from spectralid.library.compounds import make_slug, read_rows  # noqa: E402

CATEGORIES = HERE / "categories.csv"
NAMES = HERE / "structure_names.csv"

COLUMNS = (
    "slug", "name", "synonyms", "cas", "cas_status", "inchikey", "smiles", "formula", "category", "schedule",
    "schedule_note", "hazards", "salt_forms", "fentanyl_related", "frs_modifications", "repeat_unit",
    "verification", "structure_origin",
)  # fmt: skip
LARGEST_BYTES = 1_000_000

SCHEDULES = frozenset({"I", "II", "III", "IV", "V", "List I", "List II", "FRS", "none"})
HAZARDS = frozenset(
    {
        "ultra-potent-opioid", "potent-opioid", "controlled", "potent", "regulated-precursor", "explosive",
        "explosive-sensitive", "oxidizer", "flammable", "corrosive", "toxic", "highly-toxic", "toxic-gas",
        "carcinogen", "water-reactive", "radioactive", "cwa", "none",
    }
)  # fmt: skip
# Known by the name on a spectrum and by nothing else; category and hazards may be open.
NAME_ONLY = "name only"
VERIFICATIONS = frozenset(
    {
        "verified",
        "verified-name",
        "verified-1",
        "single-source",
        "single-source-name",
        "unverified",
        NAME_ONLY,
    }
)
CAS_STATUS = re.compile(r"confirmed\(\d+\)|registry-exists\(.*\).*|memory;check-digit-ok.*|none")

# Origins whose terms are share-alike, non-commercial, not stated, or different from record to record.
CLOSED_ORIGINS = ("source:DrugCentral", "source:nano-drugbank", "source:Benzyl-titanium/designdrugs",
                  "source:psymol/PsychonautWiki", "source:PsyModTraining", "source:MassBank:")  # fmt: skip
BY_NAME = "OPSIN(structure_names.csv)"
LEFT_OUT = "left-out:"

Failure = tuple[int, str, str]


def identifier_faults(row: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with slug, CAS number and InChIKey by themselves."""
    if not row["slug"] or make_slug(row["slug"]) != row["slug"]:
        yield "slug is not lower-case letters, digits and single hyphens"
    if not row["name"]:
        yield "name is empty"
    if row["cas"] and not is_cas(row["cas"]):
        yield f"CAS number {row['cas']} has a wrong form or check digit"
    if not CAS_STATUS.fullmatch(row["cas_status"]) or (row["cas_status"] == "none") != (not row["cas"]):
        yield f"CAS status {row['cas_status']!r} is unknown or does not go with the CAS number"
    if row["inchikey"] and not is_inchikey(row["inchikey"]):
        yield f"InChIKey {row['inchikey']!r} is not a standard one"


def vocabulary_faults(row: Mapping[str, str], categories: frozenset[str]) -> Iterator[str]:
    """Words outside the fixed vocabularies."""
    open_words = {""} if row["verification"] == NAME_ONLY else set()
    if row["category"] not in categories | open_words:
        yield f"category {row['category']!r} is not in {CATEGORIES.name}"
    if row["schedule"] not in SCHEDULES:
        yield f"schedule {row['schedule']!r} is unknown"
    if row["verification"] not in VERIFICATIONS:
        yield f"verification {row['verification']!r} is unknown"
    hazards = row["hazards"].split("|")
    if (
        not set(hazards) <= HAZARDS | open_words
        or len(set(hazards)) < len(hazards)
        or ("none" in hazards) != (hazards == ["none"])
    ):
        yield f"hazards {row['hazards']!r} hold an unknown or repeated word, or 'none' beside others"
    for column in ("synonyms", "salt_forms"):
        parts = row[column].split("|")
        if row[column] and (
            len(set(parts)) < len(parts) or any(p != p.strip() or not p or ";" in p for p in parts)
        ):
            yield f"{column} {row[column]!r} are not different words divided by bars"


def structure_faults(row: Mapping[str, str], names: Mapping[str, str]) -> Iterator[str]:
    """What does not fit the structure, or its origin."""
    origin = row["structure_origin"]
    if row["repeat_unit"]:
        try:
            if "*" not in row["repeat_unit"] or not formula_of(row["repeat_unit"]):
                yield "repeat unit has no open end"
        except ParameterError:
            yield "repeat unit is no structure"
    if not row["smiles"]:
        if origin and not origin.startswith(LEFT_OUT):
            yield f"structure origin {origin!r} without a structure"
        if row["fentanyl_related"] != "no" or row["frs_modifications"]:
            yield "a place in the fentanyl class without a structure"
        return
    try:
        found = {
            "formula": formula_of(row["smiles"]),
            "inchikey": inchikey_of(row["smiles"]),
            "smiles": canonical(row["smiles"]),
        }
    except ParameterError:
        yield f"SMILES {row['smiles']!r} is no structure"
        return
    rule = classify(row["smiles"])
    found["fentanyl_related"], found["frs_modifications"] = rule.result, "+".join(rule.modifications)
    for column, value in found.items():
        if row[column] != value:
            yield f"{column} is {row[column]!r}, the structure says {value!r}"
    if not origin or origin.startswith((*CLOSED_ORIGINS, LEFT_OUT)):
        yield f"structure of origin {origin!r} may not be here"
    if (origin == BY_NAME) != (row["slug"] in names):
        yield f"origin {origin!r} and {NAMES.name} disagree on whether the structure was made from a name"


def canonical(smiles: str) -> str:
    """RDKit's canonical SMILES."""
    from rdkit.Chem import CanonSmiles

    text: str = CanonSmiles(smiles)
    return text


def table_faults(path: Path, rows: list[tuple[int, dict[str, str]]]) -> Iterator[Failure]:
    """What is wrong with the file as a whole: bytes, order, identifiers that are there twice."""
    data = path.read_bytes()
    if b"\r" in data or not data.endswith(b"\n") or data.startswith(b"\xef\xbb\xbf"):
        yield 1, "", "the file is not UTF-8 without mark and with plain line ends"
    if len(data) >= LARGEST_BYTES:
        yield 1, "", f"the file has {len(data)} bytes; fewer than {LARGEST_BYTES} are meant"
    previous = ""
    seen: dict[tuple[str, str], int] = {}
    for line, row in rows:
        if row["slug"] < previous:
            yield line, row["slug"], f"comes after {previous}: the table is not sorted by slug"
        previous = row["slug"]
        for column in ("slug", "cas", "inchikey"):
            if row[column] and (first := seen.setdefault((column, row[column]), line)) != line:
                yield line, row["slug"], f"{column} {row[column]} was in line {first} already"


def name_faults(rows: list[tuple[int, dict[str, str]]], names: Mapping[str, str]) -> Iterator[Failure]:
    """Structures that OPSIN does not make again from their names."""
    from py2opsin import py2opsin

    with tempfile.TemporaryDirectory() as folder:
        made = py2opsin(list(names.values()), "SMILES", tmp_fpath=str(Path(folder, "names.txt")))
    structures = dict(zip(names, made, strict=True))
    for line, row in rows:
        smiles = structures.get(row["slug"])
        if smiles is not None and (not smiles or inchikey_of(smiles) != row["inchikey"]):
            yield line, row["slug"], f"OPSIN makes {smiles!r} of {names[row['slug']]!r}"


def check(path: Path, *, opsin: bool = False) -> tuple[list[dict[str, str]], list[Failure]]:
    """Rows of the table and all failures, in the order of lines.

    Raises
    ------
    UnreadableFileError
        If it is not a table with exactly the columns that are meant.
    MissingDependencyError
        If RDKit is not installed.
    """
    rows = list(read_rows(path, required=COLUMNS, optional=()))
    categories = frozenset(
        row["category"] for _, row in read_rows(CATEGORIES, required=("category", "description"), optional=())
    )
    names = {row["slug"]: row["name"] for _, row in read_rows(NAMES, required=("slug", "name"), optional=())}
    failures = list(table_faults(path, rows))
    for line, row in rows:
        for faults in (
            identifier_faults(row),
            vocabulary_faults(row, categories),
            structure_faults(row, names),
        ):
            failures.extend((line, row["slug"], fault) for fault in faults)
    slugs = {row["slug"] for _, row in rows}
    failures.extend(
        (1, slug, f"is in {NAMES.name} and not in the table") for slug in names if slug not in slugs
    )
    if opsin:
        failures.extend(name_faults(rows, names))
    return [row for _, row in rows], sorted(failures)


def print_counts(rows: list[dict[str, str]]) -> None:
    """How many rows have what."""
    print(f"{len(rows):6d}  rows")
    for column in ("cas", "inchikey", "smiles", "repeat_unit", "synonyms", "salt_forms"):
        print(f"{sum(bool(row[column]) for row in rows):6d}  with {column}")
    for title, words in {
        "verification": (row["verification"] for row in rows),
        "fentanyl_related": (row["fentanyl_related"] for row in rows),
        "schedule": (row["schedule"] for row in rows),
        "structure origin": (re.split(r"[:/(]", row["structure_origin"])[0] or "none" for row in rows),
        "hazard": (word for row in rows for word in row["hazards"].split("|")),
        "category": (row["category"] for row in rows),
    }.items():
        print(f"\n{title}")
        for word, count in Counter(words).most_common():
            print(f"{count:6d}  {word}")


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Check a table of compounds.")
    parser.add_argument("table", type=Path)
    parser.add_argument(
        "--opsin", action="store_true", help="make structures from names again (py2opsin, Java)"
    )
    options = parser.parse_args(arguments)
    try:
        rows, failures = check(options.table, opsin=options.opsin)
    except SpectralIDError as error:
        print(error, file=sys.stderr)
        return 1
    print_counts(rows)
    print(f"\n{len(failures)} failures")
    for line, slug, words in failures:
        print(f"{options.table.name}, line {line}: {slug}: {words}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
