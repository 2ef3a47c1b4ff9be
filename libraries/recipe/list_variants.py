"""The enumerated fentanyl variants as a table of compounds, every structure checked again.

``python list_variants.py VARIANTS.csv`` writes, beside ``compounds.csv``,

``variants.csv``
    the variants that ``compounds.csv`` does not hold, with its columns;
``variants_known.csv``
    which variant is which compound of ``compounds.csv``.

VARIANTS.csv has a row per variant: ``variant_id``, ``smiles``, ``inchikey``, ``formula``, ``modifications``,
a column per site (phenethyl, piperidine, aniline, acyl) with entries like ``D:para-fluoro``, ``origin``,
``known_name`` and ``known_basis``. A row whose InChIKey, formula or place in the fentanyl class is not what
its structure says stops the program.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from choose_variants import SITES

LIBRARIES = Path(__file__).resolve().parents[1]
# From a checkout the script runs without the package being installed.
sys.path[:0] = [str(LIBRARIES), str(LIBRARIES.parent)]

import check_compounds  # noqa: E402

from spectralid.chem import classify, formula_of, inchikey_of  # noqa: E402

VARIANTS = LIBRARIES / "variants.csv"
KNOWN = LIBRARIES / "variants_known.csv"

# What the source says of the names it gives, in the words of compounds.csv; enumerated structures have none.
_VERIFICATION = {"verified": "verified", "unverified": "unverified", "": "unverified"}


def slug(identifier: str) -> str:
    """The slug of a variant: ``FRSV-0002`` is ``frsv-0002``."""
    return identifier.lower()


def compound_row(row: Mapping[str, str]) -> dict[str, str]:
    """A variant with the columns of ``compounds.csv``.

    Raises
    ------
    ValueError
        If the row is not what its structure says.
    """
    rule = classify(row["smiles"])
    found = (
        inchikey_of(row["smiles"]),
        formula_of(row["smiles"]),
        rule.result,
        "+".join(rule.modifications),
    )
    stated = (row["inchikey"], row["formula"], "yes", row["modifications"])
    if found != stated:
        raise ValueError(f"{row['variant_id']}: the table says {stated}, the structure {found}")
    sites = "; ".join(row[site].replace(":", ": ", 1) for site in SITES if row[site])
    systematic = f"Fentanyl variant {row['variant_id']} ({sites or row['modifications']})"
    return dict.fromkeys(check_compounds.COLUMNS, "") | {
        "slug": slug(row["variant_id"]),
        "name": row["known_name"] or systematic,
        "synonyms": systematic if row["known_name"] else "",
        "cas_status": "none",
        "inchikey": row["inchikey"],
        "smiles": check_compounds.canonical(row["smiles"]),
        "formula": row["formula"],
        "category": "opioid/fentanyl-analogue",
        "schedule": "FRS",
        "schedule_note": "I (FRS class), by its structure",
        "hazards": "ultra-potent-opioid|controlled",
        "salt_forms": "class-default:hydrochloride|class-default:free base",
        "fentanyl_related": rule.result,
        "frs_modifications": "+".join(rule.modifications),
        "verification": _VERIFICATION.get(row["known_basis"], "single-source"),
        "structure_origin": "enumerated" if row["origin"].startswith("grid") else "curated",
    }


def divided(
    variants: Iterable[Mapping[str, str]], compounds: Iterable[Mapping[str, str]]
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Rows of ``variants.csv`` and of ``variants_known.csv``."""
    known = {row["inchikey"]: row["slug"] for row in compounds if row["inchikey"]}
    new, old = [], []
    for row in variants:
        checked = compound_row(row)
        if row["inchikey"] in known:
            old.append({"variant": checked["slug"], "slug": known[row["inchikey"]]})
        else:
            new.append(checked)
    return sorted(new, key=lambda row: row["slug"]), sorted(old, key=lambda row: row["variant"])


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _write(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> int:
    """Write both tables."""
    parser = argparse.ArgumentParser(description="The enumerated variants as tables of compounds.")
    parser.add_argument("variants", type=Path)
    new, old = divided(_read(parser.parse_args().variants), _read(LIBRARIES / "compounds.csv"))
    _write(VARIANTS, check_compounds.COLUMNS, new)
    _write(KNOWN, ("variant", "slug"), old)
    print(f"{len(new)} variants, and {len(old)} that compounds.csv holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
