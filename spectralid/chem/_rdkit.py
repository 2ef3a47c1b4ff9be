"""Structures read from SMILES by RDKit, which is loaded when first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectralid.errors import MissingDependencyError, ParameterError

if TYPE_CHECKING:
    from rdkit.Chem import Mol

__all__ = ["molecule"]


def molecule(smiles: str) -> Mol:
    """Structure written as SMILES.

    Raises
    ------
    MissingDependencyError
        If RDKit is not installed.
    ParameterError
        If `smiles` is empty or no structure.
    """
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        raise MissingDependencyError("rdkit", extra="chem", purpose="to read structures") from None

    # RDKit would write its own account of a bad SMILES to standard error.
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None or not mol.GetNumAtoms():
        raise ParameterError("smiles", smiles, "a structure in SMILES notation")
    return mol
