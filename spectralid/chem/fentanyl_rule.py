"""The federal class of fentanyl-related substances, decided from a structure.

The rule: 21 CFR 1308.11(h)(30)(i) A–E, from the temporary order of 2018 (83 FR 5188), made permanent in the
same words by section 2 of the HALT Fentanyl Act of 2025 (21 U.S.C. 812(c), schedule I, paragraph (e)(2)). A
substance is fentanyl-related if it differs from fentanyl by one *or more* of

    (A) replacement of the phenyl portion of the phenethyl group by any monocycle, whether or not further
        substituted in or on the monocycle;
    (B) substitution in or on the phenethyl group with alkyl, alkenyl, alkoxyl, hydroxyl, halo, haloalkyl,
        amino or nitro groups;
    (C) substitution in or on the piperidine ring with alkyl, alkenyl, alkoxyl, ester, ether, hydroxyl, halo,
        haloalkyl, amino or nitro groups;
    (D) replacement of the aniline ring with any aromatic monocycle, whether or not further substituted in or
        on the aromatic monocycle;
    (E) replacement of the N-propionyl group by another acyl group.

How the words are read here, where they leave room:

* Everything the rule does not name must be as in fentanyl: an open chain of two carbon atoms on the ring
  nitrogen; a piperidine that is neither fused nor bridged nor spiro-joined nor of another size; in its
  position 4 one nitrogen that carries one aromatic ring and one acyl group.
* A monocycle shares no atom with another ring; a ring *on* it is a substituent.
* The lists of (B) and (C) are closed. A group counts as the named kind only if it is nothing else besides: no
  cycloalkyl as alkyl, no haloalkoxyl, hydroxyalkyl or substituted amino. An *ester* (either way round) or an
  *ether* on the piperidine may stand on a saturated chain (methoxymethyl).
* A phenyl with substituents that (B) lists is (B); with any other it is a further substituted monocycle, (A);
  with both kinds it is both.
* Acyl is what a carboxylic or carbonic acid leaves behind, R–C(=O)–, whatever R is: formyl, alkoxycarbonyl
  and carbamoyl too.
* Isotopes, stereochemistry, salts and solvates do not matter; a quaternary nitrogen or an N-oxide does.

The answer is about structure alone. That a member is listed by name elsewhere (sufentanil, schedule II), or
that a substance outside the class is scheduled by its own name (remifentanil), is not asked here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from spectralid.chem._rdkit import molecule

if TYPE_CHECKING:
    from rdkit.Chem import Atom, Mol

__all__ = ["FentanylRule", "classify"]

# Oxygen, carbonyl, nitrogen and first aromatic atom of the anilide; then the piperidine from its position 4 …
_ANILIDE: Final = "O=[CX3]-!@[NX3;+0](-!@a)-!@[CX4]1[CX4][CX4][NX3;+0]{}[CX4][CX4]1"
# … and from its nitrogen an open chain of two carbon atoms to a ring.
_CHAIN: Final = "(-!@[CX4;!R]-!@[CX4;!R]-!@[*;R])"

_HALOGENS: Final = frozenset({"F", "Cl", "Br", "I"})
_ON_PHENETHYL: Final = frozenset(
    {"alkyl", "alkenyl", "alkoxyl", "hydroxyl", "halo", "haloalkyl", "amino", "nitro"}
)
_ON_PIPERIDINE: Final = _ON_PHENETHYL | {"ester", "ether"}


@dataclass(frozen=True, slots=True)
class FentanylRule:
    """What the rule says of a structure.

    Attributes
    ----------
    result : {"parent", "yes", "no"}
        Fentanyl itself (or a salt, stereo- or isotopic form of it), a member of the class, or neither.
    modifications : tuple of str
        The letters ``"A"`` … ``"E"`` by which a member differs from fentanyl, sorted; empty otherwise.
    reason : str
        Why, in one line.
    """

    result: Literal["parent", "yes", "no"]
    modifications: tuple[str, ...]
    reason: str


class _OutsideError(Exception):
    """Something on a fentanyl skeleton that the rule does not name."""


def classify(smiles: str) -> FentanylRule:
    """Apply the class rule to a structure.

    Parameters
    ----------
    smiles : str
        The structure; a salt or solvate is decided by the part of it that comes closest to fentanyl.

    Returns
    -------
    FentanylRule
        Result, modifications and reason.

    Raises
    ------
    MissingDependencyError
        If RDKit is not installed.
    ParameterError
        If `smiles` is no structure.
    """
    mol = _plain(molecule(smiles))
    from rdkit import Chem

    parts = Chem.GetMolFrags(mol, asMols=True)
    return min((_classify(part) for part in parts), key=_closeness)


def _closeness(rule: FentanylRule) -> tuple[int, int, tuple[str, ...], str]:
    """Sort key: the parent, then members by the fewest modifications, then the rest."""
    order = ("parent", "yes", "no").index(rule.result)
    return order, len(rule.modifications), rule.modifications, rule.reason


def _plain(mol: Mol) -> Mol:
    """Structure without isotopes, and without the charges that salts put on nitrogen and oxygen."""
    from rdkit import Chem, rdBase

    for atom in mol.GetAtoms():
        atom.SetIsotope(0)
    with rdBase.BlockLogs():
        mol = Chem.RemoveHs(mol)
    for atom in [atom for atom in mol.GetAtoms() if atom.GetFormalCharge()]:
        kind = atom.GetSymbol(), atom.GetFormalCharge()
        hydrogens = atom.GetTotalNumHs()
        if kind == ("N", 1) and hydrogens:
            _set_hydrogens(atom, hydrogens - 1)
        elif kind == ("O", -1) and all(beside.GetFormalCharge() <= 0 for beside in atom.GetNeighbors()):
            _set_hydrogens(atom, hydrogens + 1)
    return mol


def _set_hydrogens(atom: Atom, count: int) -> None:
    """Leave the atom neutral with `count` hydrogen atoms on it."""
    atom.SetFormalCharge(0)
    atom.SetNoImplicit(True)
    atom.SetNumExplicitHs(count)
    atom.UpdatePropertyCache()


@cache
def _pattern(chain: str) -> Mol:
    from rdkit import Chem

    return Chem.MolFromSmarts(_ANILIDE.format(chain))


def _classify(mol: Mol) -> FentanylRule:
    cores = mol.GetSubstructMatches(_pattern(_CHAIN), uniquify=False)
    if not cores:
        if mol.HasSubstructMatch(_pattern("")):
            return _no(
                "the ring nitrogen does not carry an open chain of two carbon atoms with a ring at its end"
            )
        return _no("no piperidine that carries an N-acyl-N-arylamino group in position 4")
    return min((_judge(mol, core) for core in cores), key=_closeness)


def _no(reason: str) -> FentanylRule:
    return FentanylRule("no", (), reason)


def _judge(mol: Mol, core: tuple[int, ...]) -> FentanylRule:
    """Decide for one way of laying the skeleton onto the molecule."""
    try:
        found = sorted(_differences(mol, core))
    except _OutsideError as outside:
        return _no(str(outside))
    if not found:
        return FentanylRule("parent", (), "fentanyl")
    letters = tuple(sorted({letter for letter, _ in found}))
    return FentanylRule("yes", letters, "; ".join(dict.fromkeys(f"{a}: {b}" for a, b in found)))


def _differences(mol: Mol, core: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Every difference from fentanyl as (letter, words).

    Raises
    ------
    _OutsideError
        At a difference the rule does not name.
    """
    oxygen, carbonyl, amide, aniline, *inner = core
    # Position 4, two carbon atoms, nitrogen, its chain and the chain's ring, the other two carbon atoms.
    piperidine, chain, end = (*inner[:4], *inner[7:]), inner[4:6], inner[6]
    if not all(_in_one_ring(mol, i) for i in piperidine):
        raise _OutsideError("the piperidine ring is fused, bridged or spiro-joined")

    ring = _monocycle(mol, end, "the ring at the end of the chain")
    groups = list(_groups(mol, ring, outside=chain))
    if _is_benzene(mol, ring):
        for kind in groups:
            if kind in _ON_PHENETHYL:
                yield "B", f"{kind} on the phenyl of the phenethyl group"
            else:
                yield "A", "further substituted ring in place of the phenyl of the phenethyl group"
    else:
        yield "A", "another ring in place of the phenyl of the phenethyl group"

    for kind in _groups(mol, chain, outside=(*piperidine, *ring)):
        if kind not in _ON_PHENETHYL:
            raise _OutsideError("the chain of the phenethyl group carries a group that (B) does not name")
        yield "B", f"{kind} on the chain of the phenethyl group"

    for kind in _groups(mol, piperidine, outside=(*chain, amide)):
        if kind not in _ON_PIPERIDINE:
            raise _OutsideError("the piperidine ring carries a group that (C) does not name")
        yield "C", f"{kind} on the piperidine ring"

    ring = _monocycle(mol, aniline, "the aromatic ring on the amide")
    if not _is_benzene(mol, ring) or any(True for _ in _groups(mol, ring, outside=(amide,))):
        yield "D", "another aromatic ring, or a substituted one, in place of the aniline ring"

    rest = _reach(mol, carbonyl, blocked=(oxygen, amide)) - {carbonyl}
    if len(rest) != 2 or not all(_is_saturated(mol.GetAtomWithIdx(i)) for i in rest):
        yield "E", "another acyl group in place of propionyl"


def _in_one_ring(mol: Mol, atom: int) -> bool:
    return bool(mol.GetRingInfo().NumAtomRings(atom) == 1)


def _monocycle(mol: Mol, atom: int, name: str) -> tuple[int, ...]:
    """Atoms of the ring that holds `atom`, if it shares none with another ring."""
    rings = [ring for ring in mol.GetRingInfo().AtomRings() if atom in ring]
    if len(rings) != 1 or not all(_in_one_ring(mol, i) for i in rings[0]):
        raise _OutsideError(f"{name} is fused, bridged or spiro-joined to another")
    return tuple(rings[0])


def _is_benzene(mol: Mol, ring: Collection[int]) -> bool:
    atoms = [mol.GetAtomWithIdx(i) for i in ring]
    return len(atoms) == 6 and all(a.GetSymbol() == "C" and a.GetIsAromatic() for a in atoms)


def _groups(mol: Mol, part: Collection[int], *, outside: Collection[int]) -> Iterator[str]:
    """Kinds of the groups on a part of the skeleton; `outside` is the skeleton next to it."""
    for anchor in part:
        for neighbour in mol.GetAtomWithIdx(anchor).GetNeighbors():
            if neighbour.GetIdx() not in part and neighbour.GetIdx() not in outside:
                yield _kind(mol, anchor, neighbour)


def _kind(mol: Mol, anchor: int, first: Atom) -> str:
    """Kind, in the words of the rule, of the group that begins with `first`; empty if they do not name it."""
    group = _reach(mol, first.GetIdx(), blocked=(anchor,))
    atoms = [mol.GetAtomWithIdx(i) for i in group]
    rest = [atom for atom in atoms if not _is_saturated(atom)]
    symbol = first.GetSymbol()
    if not rest:
        return "alkyl"
    if len(atoms) == 1:
        kind = "halo" if symbol in _HALOGENS else {"O": "hydroxyl", "N": "amino"}.get(symbol, "")
        return kind if _is_neutral(first) else ""
    if all(_is_open_chain(atom) for atom in rest):
        return "alkenyl"
    if symbol == "C" and all(atom.GetSymbol() in _HALOGENS for atom in rest):
        return "haloalkyl"
    if symbol == "O" and len(rest) == 1:
        return "alkoxyl"
    if first.GetFormalCharge() == 1 and sorted(atom.GetSymbol() for atom in atoms) == ["N", "O", "O"]:
        return "nitro"
    return _ester_or_ether(mol, anchor, first, group)


def _ester_or_ether(mol: Mol, anchor: int, first: Atom, group: set[int]) -> str:
    """``"ester"`` or ``"ether"`` for hydrocarbon with one such link, reached over saturated carbon."""
    others = [atom for i in group if (atom := mol.GetAtomWithIdx(i)).GetSymbol() != "C"]
    links = [atom for atom in others if atom.GetSymbol() == "O" and atom.GetDegree() == 2]
    if len(links) != 1:
        return ""
    # Of an ester, the carbonyl group beside the link belongs to it too.
    link = {links[0].GetIdx()}
    for carbon in links[0].GetNeighbors():
        for bond in carbon.GetBonds():
            oxygen = bond.GetOtherAtom(carbon)
            if oxygen.GetSymbol() == "O" and bond.GetBondTypeAsDouble() == 2:
                link |= {carbon.GetIdx(), oxygen.GetIdx()}
    if len(link) > 3 or not {atom.GetIdx() for atom in others} <= link:
        return ""
    near = set() if first.GetIdx() in link else _reach(mol, first.GetIdx(), blocked=(anchor, *link))
    if not all(_is_saturated(mol.GetAtomWithIdx(i)) for i in near):
        return ""
    return "ether" if len(link) == 1 else "ester"


def _reach(mol: Mol, start: int, *, blocked: Collection[int]) -> set[int]:
    """Atoms that can be reached from `start`, itself included, without entering `blocked`."""
    reached, waiting = {start}, [start]
    while waiting:
        for neighbour in mol.GetAtomWithIdx(waiting.pop()).GetNeighbors():
            index = neighbour.GetIdx()
            if index not in reached and index not in blocked:
                reached.add(index)
                waiting.append(index)
    return reached


def _is_neutral(atom: Atom) -> bool:
    return not (atom.GetFormalCharge() or atom.GetNumRadicalElectrons())


def _is_saturated(atom: Atom) -> bool:
    """Whether it is a carbon atom of an open chain with single bonds only."""
    return _is_open_chain(atom) and atom.GetTotalDegree() == 4


def _is_open_chain(atom: Atom) -> bool:
    """Whether it is a carbon atom of an open chain without triple bonds."""
    return (
        atom.GetSymbol() == "C"
        and _is_neutral(atom)
        and not atom.IsInRing()
        and all(bond.GetBondTypeAsDouble() <= 2 for bond in atom.GetBonds())
    )
