from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit", reason="rdkit is needed to build structures for the computed references")

import structures
from structures import NEUTRAL, PROTONATED


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("", "no structure"),
        ("*CC*", "polymer"),
        ("C1CC", "not understood"),
        ("[Cl-].[Na+]", "ionic solid"),
        ("O=C([O-])[O-].[Ca+2]", "ionic solid"),
        ("[Fe+2].c1cc[cH-]c1.c1cc[cH-]c1", "metal compound: Fe"),
        ("[CH3][Hg][CH3]", "metal compound: Hg"),
        ("O=[Si]=O", "network solid"),
        ("[He]", "single atom"),
    ],
)
def test_what_the_recipe_cannot_serve_is_refused_with_a_reason(smiles: str, reason: str) -> None:
    with pytest.raises(structures.UnsuitableError, match=reason):
        structures.chosen(smiles, NEUTRAL)


@pytest.mark.parametrize(
    "smiles", ["O=S=O", "O=C=O", "ClCCl", "FC(F)(F)F", "O=C(Cl)Cl", "S1SSSSSSS1", "OB(O)O"]
)
def test_molecules_without_carbon_hydrogen_bonds_are_served(smiles: str) -> None:
    assert structures.chosen(smiles, NEUTRAL) is not None


def test_the_largest_organic_fragment_of_a_salt_is_taken_and_the_rest_named() -> None:
    found = structures.species("O=C([O-])c1ccccc1.[Na+]", NEUTRAL)
    assert found is not None
    assert (found.smiles, found.charge, found.solvent) == ("O=C([O-])c1ccccc1", -1, structures.ION_SOLVENT)
    assert found.notes == ("fragments left out: [Na+]",)


def test_neutral_molecules_stay_in_the_gas_phase_and_radicals_keep_their_electron() -> None:
    found = structures.species("[N]=O", NEUTRAL)
    assert found is not None
    assert (found.charge, found.unpaired, found.solvent) == (0, 1, "")


@pytest.mark.parametrize(
    ("smiles", "cation"),
    [
        ("CNC(C)Cc1ccccc1", "C[NH2+]C(C)Cc1ccccc1"),
        # fentanyl: the piperidine, not the anilide
        ("CCC(=O)N(c1ccccc1)C1CCN(CCc2ccccc2)CC1", "CCC(=O)N(c1ccccc1)C1CC[NH+](CCc2ccccc2)CC1"),
        # a nitazene: the diethylamino group, not the benzimidazole
        (
            "CCN(CC)CCn1c(Cc2ccc(OCC)cc2)nc2ccccc21",
            "CCOc1ccc(Cc2nc3ccccc3n2CC[NH+](CC)CC)cc1",
        ),
        ("CN(C)C(=N)NC(N)=N", "CN(C)C(=N)NC(N)=[NH2+]"),
        ("Cc1cccc(C(C)c2c[nH]cn2)c1C", "Cc1cccc(C(C)c2c[nH]c[nH+]2)c1C"),
    ],
)
def test_the_most_basic_nitrogen_takes_the_proton(smiles: str, cation: str) -> None:
    from rdkit import Chem

    choice = structures.chosen(smiles, PROTONATED)
    assert choice is not None
    mol, notes = choice
    assert Chem.GetFormalCharge(mol) == 1
    assert any("proton on atom" in note for note in notes)
    if "NC(N)=N" not in smiles:  # the two ends of a biguanide are equally good
        assert Chem.MolToSmiles(mol) == Chem.CanonSmiles(cation)


@pytest.mark.parametrize(
    "smiles", ["CC(=O)Nc1ccc(O)cc1", "Nc1ccccc1", "CC#N", "c1ccccc1", "CN(N=O)C", "C[N+](C)(C)C"]
)
def test_substances_without_a_basic_nitrogen_have_no_protonated_form(smiles: str) -> None:
    assert structures.chosen(smiles, PROTONATED) is None


def test_an_unspecified_stereocentre_is_fixed_before_conformers_are_made() -> None:
    found = structures.species("CC(O)C(C)N", NEUTRAL)
    assert found is not None
    assert found.smiles.count("@") >= 2
    assert found.notes == ("2 stereo centres unspecified, one isomer taken",)


def test_conformers_are_reproducible_and_few() -> None:
    found = structures.species("CCCCO", NEUTRAL)
    assert found is not None
    first, second = structures.conformers(found.mol), structures.conformers(found.mol)
    assert 1 < len(first) <= 3
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_broken_and_a_formed_bond_are_found() -> None:
    found = structures.species("CO", NEUTRAL)
    assert found is not None
    positions = structures.conformers(found.mol)[0]
    assert structures.changed_bonds(found.mol, positions) == []
    carbon, oxygen, hydroxyl = positions[0], positions[1], 5
    assert found.mol.GetAtomWithIdx(hydroxyl).GetNeighbors()[0].GetIdx() == 1
    moved = positions.copy()
    moved[hydroxyl] = carbon + 2.0 * (carbon - oxygen) / np.linalg.norm(carbon - oxygen)
    assert {"O1-H5 broken", "C0-H5 formed"} <= set(structures.changed_bonds(found.mol, moved))


@pytest.mark.parametrize("smiles", ["CCO", "CC#N", "O=C=O"])
def test_the_model_hessian_is_symmetric_positive_and_rigid_bodies_feel_no_bond(smiles: str) -> None:
    found = structures.species(smiles, NEUTRAL)
    assert found is not None
    positions = structures.conformers(found.mol)[0]
    hessian = structures.model_hessian(found.mol, positions)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    values = np.linalg.eigvalsh(hessian)
    assert values[0] > 0
    turn = np.cross([0.0, 0.0, 1.0], positions - positions.mean(axis=0)).ravel()
    shift = np.tile([1.0, 0.0, 0.0], len(positions))
    for motion in (turn, shift):
        if np.linalg.norm(motion) > 1e-6:
            unit = motion / np.linalg.norm(motion)
            assert unit @ hessian @ unit == pytest.approx(0.002, abs=1e-9)
