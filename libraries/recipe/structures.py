"""From a SMILES to starting geometries: which fragment, which protonation state, which conformers.

Nothing here knows about spectra or files; :mod:`vibrations` takes over from the geometries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rdkit import Chem, RDLogger
from rdkit.Chem import AllChem, rdForceFieldHelpers
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers, StereoEnumerationOptions

RDLogger.DisableLog("rdApp.*")

BOHR_IN_ANGSTROM = 0.529177210903

NEUTRAL = "neutral"
PROTONATED = "protonated"
FORMS = (NEUTRAL, PROTONATED)

GFN2_LARGEST_Z = 86
#: As polar as water for an ion's field (permittivity 36), but without the hydrogen-bond term that tblite
#: integrates over the surface on a grid fixed in space: see the README.
ION_SOLVENT = "nitromethane"
#: Elements that form molecules; anything else in one fragment is a metal compound.
# fmt: off
_MOLECULAR = frozenset({
    "H", "He", "B", "C", "N", "O", "F", "Ne", "Si", "P", "S", "Cl", "Ar", "Ge", "As", "Se", "Br", "Kr", "Sb",
    "Te", "I", "Xe",
})
#: Counter-ions of these hardly touch the vibrations of the organic ion they accompany.
_SPECTATOR_METALS = frozenset({"Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba"})
# fmt: on
_ORGANIC = Chem.MolFromSmarts("[#6;!$([#6](=O)([O-,OH])[O-,OH])]~[#1,#6,#7,#16,F,Cl,Br,I]")
#: Solids of linked units whose SMILES shows one unit only: the molecule drawn does not exist in the bottle.
_NETWORK = Chem.MolFromSmarts("[$([Si,As]=O),$([P](=S)=S)]")

_CONFORMERS_TRIED = 30
_CONFORMERS_KEPT = 3
_SEED = 20240613


class UnsuitableError(ValueError):
    """A structure this recipe cannot serve; the message says why."""


@dataclass(frozen=True)
class Species:
    """One molecule or ion to be computed.

    Attributes
    ----------
    mol : rdkit.Chem.Mol
        Hydrogens explicit, stereochemistry complete, no conformers.
    smiles : str
        What is computed (fragment, protonation and stereochemistry resolved).
    charge, unpaired : int
        Net charge and number of unpaired electrons.
    solvent : str
        Name of the implicit solvent, or an empty string for the gas phase.
    notes : tuple of str
        Choices a reader of the result must know about.
    """

    mol: Chem.Mol
    smiles: str
    charge: int
    unpaired: int
    solvent: str
    notes: tuple[str, ...] = field(default=())

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers, shape (n_atoms,)."""
        return np.array([atom.GetAtomicNum() for atom in self.mol.GetAtoms()], dtype=np.int32)

    @property
    def masses(self) -> np.ndarray:
        """Atomic masses in u, isotopes honoured, otherwise standard weights; shape (n_atoms,)."""
        return np.array([atom.GetMass() for atom in self.mol.GetAtoms()])


def chosen(smiles: str, form: str) -> tuple[Chem.Mol, tuple[str, ...]] | None:
    """Choose fragment and protonation; quick, no geometry involved.

    Parameters
    ----------
    smiles : str
        Structure as listed, salts and solvates allowed.
    form : {"neutral", "protonated"}
        ``"neutral"`` is the structure as drawn (an ion stays an ion), ``"protonated"`` the cation met in
        salts of basic drugs.

    Returns
    -------
    tuple of rdkit.Chem.Mol and notes, or None
        Hydrogens implicit. None if the form does not exist: no basic nitrogen to protonate.

    Raises
    ------
    UnsuitableError
        If the structure is a polymer, metal, ionic solid or lies outside the parametrisation.
    """
    if form not in FORMS:
        raise ValueError(f"form is {form!r}; allowed: {', '.join(FORMS)}")
    mol, notes = _molecule(smiles)
    if form == PROTONATED:
        site = _basic_site(mol)
        if site is None or Chem.GetFormalCharge(mol) > 0:
            return None
        index, kind = site
        mol = _protonated(mol, index)
        notes.append(f"proton on atom {index} ({kind})")
    if Chem.AddHs(mol).GetNumAtoms() < 2:
        raise UnsuitableError("single atom: no vibrations")
    return mol, tuple(notes)


def species(smiles: str, form: str) -> Species | None:
    """Say what is computed for a listed structure; parameters, None and raises as for :func:`chosen`."""
    choice = chosen(smiles, form)
    if choice is None:
        return None
    mol, notes = choice
    isomer, unspecified = _one_stereoisomer(mol)
    if unspecified:
        notes += (f"{unspecified} stereo centres unspecified, one isomer taken",)
    charge = Chem.GetFormalCharge(isomer)
    return Species(
        mol=Chem.AddHs(isomer),
        smiles=Chem.MolToSmiles(isomer),
        charge=charge,
        unpaired=sum(atom.GetNumRadicalElectrons() for atom in isomer.GetAtoms()),
        # A bare ion in vacuum polarises itself and folds on itself; its salt does neither.
        solvent=ION_SOLVENT if charge else "",
        notes=notes,
    )


def _molecule(smiles: str) -> tuple[Chem.Mol, list[str]]:
    if not smiles.strip():
        raise UnsuitableError("no structure")
    if "*" in smiles:
        raise UnsuitableError("polymer or pattern: open valences")
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise UnsuitableError("SMILES not understood")
    fragments = list(Chem.GetMolFrags(mol, asMols=True))
    notes = []
    if len(fragments) > 1:
        metals = _symbols(mol) - _MOLECULAR - _SPECTATOR_METALS
        if metals:
            raise UnsuitableError(f"metal compound: {' '.join(sorted(metals))}")
        organic = [f for f in fragments if Chem.AddHs(f).HasSubstructMatch(_ORGANIC)]
        if not organic:
            raise UnsuitableError("ionic solid without an organic ion")
        mol = max(organic, key=lambda f: (f.GetNumHeavyAtoms(), Chem.MolToSmiles(f)))
        dropped = sorted(Chem.MolToSmiles(f) for f in fragments if f is not mol)
        notes.append("fragments left out: " + ".".join(dropped))
    metals = _symbols(mol) - _MOLECULAR
    if metals:
        raise UnsuitableError(f"metal compound: {' '.join(sorted(metals))}")
    if mol.HasSubstructMatch(_NETWORK) and "C" not in _symbols(mol):
        raise UnsuitableError("network solid drawn as a monomer")
    heaviest = max(atom.GetAtomicNum() for atom in mol.GetAtoms())
    if heaviest > GFN2_LARGEST_Z:
        raise UnsuitableError(f"element {heaviest} is beyond GFN2-xTB (Z <= {GFN2_LARGEST_Z})")
    return mol, notes


def _symbols(mol: Chem.Mol) -> set[str]:
    return {atom.GetSymbol() for atom in mol.GetAtoms()}


# Rough aqueous basicity by class, only to rank the nitrogens of one molecule. First match wins.
_BASES = [
    ("guanidine", 13.0, "[NX2;+0;!$(N~[!#6]);!$(N-C=O)]=[CX3]([NX3;!$(N[C,S]=O)])[NX3;!$(N[C,S]=O)]"),
    ("amidine", 11.5, "[NX2;+0;!$(N~[!#6;!#1]);!$(N-[C,S]=O)]=[CX3;!$(C[O,S;X2])][NX3;!$(N[C,S]=O)]"),
    ("aliphatic amine", 10.0, "[NX3;+0;!$(N~[!#6;!#1]);!$(N-[C;X3,X2]);!$(N-c)]-[CX4]"),
    ("isothiourea", 9.0, "[NX2;+0;!$(N~[!#6;!#1]);!$(N-[C,S]=O)]=[CX3]([S,O;X2])[NX3;!$(N[C,S]=O)]"),
    ("imidazole", 7.0, "[nX2;+0;r5]1[cH1,$(c[CX4])][nX3]cc1"),
]
_BASE_PATTERNS = [(kind, value, Chem.MolFromSmarts(smarts)) for kind, value, smarts in _BASES]
_WITHDRAWING = [
    (2.0, Chem.MolFromSmarts("[N;!$(N=*)][CX4]C(=O)")),
    (1.0, Chem.MolFromSmarts("[N;!$(N=*)][CX4][CX4][#7,#8,#16,F,Cl,Br,I]")),
    (0.7, Chem.MolFromSmarts("[N;!$(N=*)][CX4][c,$(C=C),$(C#C)]")),
    (3.0, Chem.MolFromSmarts("[N;!$(N=*)][CX4]C#N")),
]


def _basic_site(mol: Chem.Mol) -> tuple[int, str] | None:
    """Index and class of the most basic nitrogen, or None."""
    strength: dict[int, tuple[float, str]] = {}
    for kind, value, pattern in _BASE_PATTERNS:
        for match in mol.GetSubstructMatches(pattern):
            strength.setdefault(match[0], (value, kind))
    if not strength:
        return None
    score = {index: value for index, (value, _) in strength.items()}
    for penalty, pattern in _WITHDRAWING:
        for match in mol.GetSubstructMatches(pattern):
            if match[0] in score:
                score[match[0]] -= penalty
    ranks = list(Chem.CanonicalRankAtoms(mol))
    best = max(score, key=lambda index: (score[index], ranks[index]))
    return best, strength[best][1]


def _protonated(mol: Chem.Mol, index: int) -> Chem.Mol:
    edited = Chem.RWMol(mol)
    atom = edited.GetAtomWithIdx(index)
    hydrogens = atom.GetTotalNumHs()
    atom.SetFormalCharge(1)
    atom.SetNoImplicit(True)
    atom.SetNumExplicitHs(hydrogens + 1)
    result = edited.GetMol()
    Chem.SanitizeMol(result)
    return result


def _one_stereoisomer(mol: Chem.Mol) -> tuple[Chem.Mol, int]:
    """Take the first embeddable isomer; without this the conformers would be a mixture of diastereomers."""
    found = Chem.FindMolChiralCenters(mol, includeUnassigned=True, useLegacyImplementation=False)
    unspecified = sum(1 for _, label in found if label == "?")
    options = StereoEnumerationOptions(tryEmbedding=True, unique=True, maxIsomers=1, rand=_SEED)
    for isomer in EnumerateStereoisomers(mol, options=options):
        return isomer, unspecified
    return mol, unspecified


def conformers(mol: Chem.Mol) -> list[np.ndarray]:
    """Distinct low-energy starting geometries.

    Returns
    -------
    list of ndarray, shape (n_atoms, 3)
        Positions in bohr, at most three, lowest force-field energy first.

    Raises
    ------
    UnsuitableError
        If no geometry could be embedded.
    """
    work = Chem.Mol(mol)
    parameters = AllChem.ETKDGv3()
    parameters.randomSeed = _SEED
    parameters.pruneRmsThresh = 0.25
    parameters.numThreads = 1
    wanted = _CONFORMERS_TRIED if work.GetNumHeavyAtoms() > 3 else 3
    found = list(AllChem.EmbedMultipleConfs(work, wanted, parameters))
    if not found:
        parameters.useRandomCoords = True
        found = list(AllChem.EmbedMultipleConfs(work, wanted, parameters))
    if not found:
        raise UnsuitableError("no geometry could be embedded")
    energies = _relaxed_energies(work, found)
    kept: list[int] = []
    for conformer in sorted(found, key=lambda c: energies[c]):
        # Equal force-field energy means the same basin (or its mirror image), which would be wasted work.
        if all(abs(energies[conformer] - energies[other]) > 0.05 for other in kept):
            kept.append(conformer)
        if len(kept) == _CONFORMERS_KEPT:
            break
    return [work.GetConformer(c).GetPositions() / BOHR_IN_ANGSTROM for c in kept]


def _relaxed_energies(mol: Chem.Mol, ids: list[int]) -> dict[int, float]:
    energies: dict[int, float] = {}
    for conformer in ids:
        force_field = _force_field(mol, conformer)
        if force_field is None:
            energies[conformer] = float(len(energies))
            continue
        force_field.Minimize(maxIts=2000)
        energies[conformer] = force_field.CalcEnergy()
    return energies


def _force_field(mol: Chem.Mol, conformer: int) -> Any:
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol, mmffVariant="MMFF94s")
    if properties is not None:
        # Bare charges would pull flexible molecules together; the solid does not.
        properties.SetMMFFEleTerm(mol.GetNumAtoms() < 12)
        force_field = rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, properties, confId=conformer)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(mol):
        force_field = rdForceFieldHelpers.UFFGetMoleculeForceField(mol, confId=conformer)
    else:
        return None
    if force_field is not None:
        force_field.Initialize()
    return force_field


def changed_bonds(mol: Chem.Mol, positions: np.ndarray) -> list[str]:
    """List bonds that broke or formed: where there are any, this is another substance.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Hydrogens explicit, atoms in the order of `positions`.
    positions : ndarray, shape (n_atoms, 3)
        In bohr.
    """
    table = Chem.GetPeriodicTable()
    radii = np.array([table.GetRcovalent(atom.GetAtomicNum()) for atom in mol.GetAtoms()])
    distances = np.linalg.norm(positions[:, None] - positions, axis=-1) * BOHR_IN_ANGSTROM
    relative = distances / (radii[:, None] + radii)
    bonded = Chem.GetAdjacencyMatrix(mol) > 0
    # Wide of every real bond (F2: 1.23 radii) and of every contact across a ring or angle (NI3: 1.24).
    wrong = np.where(bonded, relative > 1.3, relative < 1.2)
    symbols = [atom.GetSymbol() for atom in mol.GetAtoms()]
    return [
        f"{symbols[i]}{i}-{symbols[j]}{j} {'broken' if bonded[i, j] else 'formed'}"
        for i, j in zip(*np.nonzero(np.triu(wrong, 1)), strict=True)
    ]


def model_hessian(mol: Chem.Mol, positions: np.ndarray) -> np.ndarray:
    """Rough second derivatives from the bonds alone, the optimiser's first guess.

    Springs on bonds, angles and torsions as in Lindh's model [1]_. (RDKit's own force-field gradients would
    serve better, but are not the derivatives of its energies.)

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        With explicit hydrogens.
    positions : ndarray, shape (n_atoms, 3)
        In bohr.

    Returns
    -------
    ndarray, shape (3 n_atoms, 3 n_atoms)
        In hartree/bohr**2.

    References
    ----------
    .. [1] R. Lindh et al., Chem. Phys. Lett. 241 (1995) 423.
    """
    neighbours = [[b.GetIdx() for b in atom.GetNeighbors()] for atom in mol.GetAtoms()]
    springs: list[tuple[float, dict[int, np.ndarray]]] = []
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        unit, _ = _unit(positions[i] - positions[j])
        springs.append((0.35 if bond.GetBondTypeAsDouble() < 1.25 else 0.6, {i: unit, j: -unit}))
        springs.extend(_torsions(positions, neighbours, i, j))
    for j, around in enumerate(neighbours):
        for a, i in enumerate(around):
            springs.extend((0.15, row) for k in around[:a] for row in _bends(positions, i, j, k))
    hessian = 0.002 * np.eye(positions.size)
    for strength, row in springs:
        flat = np.zeros(positions.shape)
        for atom, part in row.items():
            flat[atom] = part
        touched = np.concatenate([3 * np.array(list(row)) + axis for axis in range(3)])
        values = flat.ravel()[touched]
        hessian[np.ix_(touched, touched)] += strength * np.outer(values, values)
    return hessian


def _unit(vector: np.ndarray) -> tuple[np.ndarray, float]:
    length = float(np.linalg.norm(vector))
    return vector / length, length


def _bends(positions: np.ndarray, i: int, j: int, k: int) -> list[dict[int, np.ndarray]]:
    """Differentiate the angle i-j-k, or two perpendicular bends where it is straight."""
    first, near = _unit(positions[i] - positions[j])
    second, far = _unit(positions[k] - positions[j])
    cosine = float(first @ second)
    sine = np.sqrt(max(1 - cosine**2, 0.0))
    if sine > 0.2:
        at_i = (cosine * first - second) / (near * sine)
        at_k = (cosine * second - first) / (far * sine)
        return [{i: at_i, j: -at_i - at_k, k: at_k}]
    across, _ = _unit(np.cross(first, np.eye(3)[np.abs(first).argmin()]))
    sides = (across, np.cross(first, across))
    return [{i: side / near, j: -side / near - side / far, k: side / far} for side in sides]


def _torsions(
    positions: np.ndarray, neighbours: list[list[int]], j: int, k: int
) -> list[tuple[float, dict[int, np.ndarray]]]:
    """Springs on the torsions about bond j-k, together as stiff as one bond should be."""
    rows = []
    axis = positions[j] - positions[k]
    length = float(np.linalg.norm(axis))
    for i in neighbours[j]:
        for m in neighbours[k]:
            if i in (k, m) or m == j:
                continue
            start, end = positions[i] - positions[j], positions[m] - positions[k]
            left, right = np.cross(start, axis), np.cross(end, axis)
            left_squared, right_squared = left @ left, right @ right
            if min(left_squared, right_squared) < 0.5:
                continue  # a straight end has no torsion
            at_i = -length / left_squared * left
            at_m = length / right_squared * right
            inner = (start @ axis) / (left_squared * length) * left - (end @ axis) / (
                right_squared * length
            ) * right
            rows.append({i: at_i, j: -at_i + inner, k: -inner - at_m, m: at_m})
    # About a tenth of a bend in all, however many neighbours there are.
    return [(0.015 / len(rows), row) for row in rows]
