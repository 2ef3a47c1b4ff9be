"""What a structure says by itself: identifiers that agree with it, and the fentanyl class rule.

Identifiers as text (`is_cas`, `is_inchikey`, `parse_formula`) need nothing else. Whatever reads a structure
needs RDKit, which the extra ``spectralid[chem]`` brings; a tablet finds its answers in the library instead.
"""

from spectralid.chem.fentanyl_rule import FentanylRule, classify
from spectralid.chem.identifiers import formula_of, inchikey_of, is_cas, is_inchikey, parse_formula

__all__ = [
    "FentanylRule",
    "classify",
    "formula_of",
    "inchikey_of",
    "is_cas",
    "is_inchikey",
    "parse_formula",
]
