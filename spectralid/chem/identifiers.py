"""Identifiers of substances: whether they are well formed, and whether they fit a structure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from rdkit.Chem import Mol

__all__ = ["formula_of", "inchikey_of", "is_cas", "is_inchikey", "parse_formula"]

_CAS: Final = re.compile(r"([1-9][0-9]{1,6})-([0-9]{2})-([0-9])")
# Skeleton, the remaining layers with S (standard) or N (not) and the version, protonation.
_INCHIKEY: Final = re.compile(r"[A-Z]{14}-[A-Z]{8}[SN][A-Z]-[A-Z]")
_TOKEN: Final = re.compile(r"([A-Z][a-z]?)([0-9]*)|([(\[])|[)\]]([0-9]*)")
_FACTOR: Final = re.compile(r"[0-9]+")
_CHARGE: Final = re.compile(r"[+-][0-9]*$")

# fmt: off
_ELEMENTS: Final = frozenset({
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K",
    "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr",
    "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I",
    "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb",
    "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr",
    "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf",
    "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og", "D", "T",
})
# fmt: on


def is_cas(text: str) -> bool:
    """Whether `text` is a CAS registry number: its form, and its check digit.

    The check digit is the sum of the other digits, each times its place counted from the right, modulo 10
    (CAS, "Check Digit Verification of CAS Registry Numbers").

    Parameters
    ----------
    text : str
        What is looked at.

    Returns
    -------
    bool
        True only if form and check digit are right; not whether the number was ever given.

    Examples
    --------
    >>> from spectralid.chem import is_cas
    >>> is_cas("103-90-2"), is_cas("103-90-3")
    (True, False)
    """
    match = _CAS.fullmatch(text)
    if not match:
        return False
    digits = (match[1] + match[2])[::-1]
    return sum(i * int(d) for i, d in enumerate(digits, start=1)) % 10 == int(match[3])


def is_inchikey(text: str, *, standard: bool = True) -> bool:
    """Whether `text` has the form of an InChIKey.

    Parameters
    ----------
    text : str
        What is looked at.
    standard : bool
        Whether only keys of a standard InChI, version 1, count.

    Returns
    -------
    bool
        True only if the form is right; not whether there is such a structure.

    Examples
    --------
    >>> from spectralid.chem import is_inchikey
    >>> is_inchikey("RZVAJINKPMORJF-UHFFFAOYSA-N")
    True
    """
    return bool(_INCHIKEY.fullmatch(text)) and (not standard or text[23:25] == "SA")


def parse_formula(text: str) -> Mapping[str, int]:
    """Count the atoms of a molecular formula.

    Parameters
    ----------
    text : str
        For example ``"C22H28N2O"``, ``"Ca5(PO4)3F"``, ``"CaSO4.2H2O"`` or, with a charge, ``"C12H14N2+2"``.

    Returns
    -------
    mapping of str to int
        Atoms of each element, in order of appearance; ``D`` and ``T`` are elements of their own.

    Raises
    ------
    ParameterError
        If it is not whole numbers of known elements: polymers, solid solutions and mixtures have none.

    Examples
    --------
    >>> from spectralid.chem import parse_formula
    >>> dict(parse_formula("C8H9NO2"))
    {'C': 8, 'H': 9, 'N': 1, 'O': 2}
    """
    total: Counter[str] = Counter()
    for part in _CHARGE.sub("", text).split("."):
        factor = _FACTOR.match(part)
        counts = _count(part[len(factor[0]) :] if factor else part)
        for element, count in counts.items():
            total[element] += count * int(factor[0] if factor else 1)
        if not counts or not all(total.values()):
            raise ParameterError("formula", text, "a molecular formula such as C22H28N2O or CaSO4.2H2O")
    return dict(total)


def _count(part: str) -> Counter[str]:
    """Atoms of one part without dots; empty if it is no formula."""
    levels: list[Counter[str]] = [Counter()]
    place = 0
    while place < len(part):
        token = _TOKEN.match(part, place)
        if token is None:
            return Counter()
        place = token.end()
        element, number, opening, times = token.groups()
        if element:
            if element not in _ELEMENTS:
                return Counter()
            levels[-1][element] += int(number or 1)
        elif opening:
            levels.append(Counter())
        elif len(levels) > 1:
            for inner, count in levels.pop().items():
                levels[-1][inner] += count * int(times or 1)
        else:
            return Counter()
    return levels[0] if len(levels) == 1 else Counter()


def formula_of(smiles: str) -> str:
    """Molecular formula of a structure in Hill order, with its charge.

    Parameters
    ----------
    smiles : str
        The structure.

    Returns
    -------
    str
        For example ``"C8H9NO2"``.

    Raises
    ------
    MissingDependencyError
        If RDKit is not installed.
    ParameterError
        If `smiles` is no structure.
    """
    from spectralid.chem._rdkit import molecule

    mol = molecule(smiles)
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    formula: str = CalcMolFormula(mol)
    return formula


def inchikey_of(smiles: str) -> str:
    """Give the standard InChIKey of a structure.

    Parameters
    ----------
    smiles : str
        The structure.

    Returns
    -------
    str
        27 characters.

    Raises
    ------
    MissingDependencyError
        If RDKit is not installed.
    ParameterError
        If `smiles` is no structure or has no InChI (polymers with open ends).
    """
    from spectralid.chem._rdkit import molecule

    mol = molecule(smiles)
    from rdkit import Chem, rdBase

    key_of: Callable[[Mol], str] = Chem.MolToInchiKey
    with rdBase.BlockLogs():
        key = key_of(_with_double_bonds(mol))
    if not key:
        raise ParameterError("smiles", smiles, "a structure that has an InChI")
    return key


def _with_double_bonds(mol: Mol) -> Mol:
    """Chlorate and its like with Cl=O, as InChI writes them; RDKit's Cl+–O- would give another InChI."""
    from rdkit.Chem import BondType, RWMol

    edited = RWMol(mol)
    for atom in edited.GetAtoms():
        if atom.GetSymbol() not in {"Cl", "Br", "I"}:
            continue
        for bond in atom.GetBonds():
            oxygen = bond.GetOtherAtom(atom)
            if atom.GetFormalCharge() > 0 and oxygen.GetFormalCharge() == -1:
                bond.SetBondType(BondType.DOUBLE)
                oxygen.SetFormalCharge(0)
                atom.SetFormalCharge(atom.GetFormalCharge() - 1)
    return edited.GetMol()
