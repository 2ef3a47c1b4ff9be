"""The class rule: its text site by site, its limits, invariances, and the labels collected elsewhere."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

Chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed (extra 'chem')")

from spectralid.chem import FentanylRule, classify  # noqa: E402
from spectralid.errors import ParameterError  # noqa: E402

FENTANYL = "CCC(=O)N(c1ccccc1)C1CCN(CCc2ccccc2)CC1"

# What fentanyl carries on its ring nitrogen.
PHENETHYL = "CCc2ccccc2"


def built(chain=PHENETHYL, aryl="c1ccccc1", acyl="C(=O)CC", two="", three="", four=""):
    """Fentanyl with pieces replaced; `two`, `three`, `four`: groups in those places of the piperidine."""
    group = {place: f"({smiles})" if smiles else "" for place, smiles in ((2, two), (3, three), (4, four))}
    return f"N({acyl})({aryl})C9{group[4]}CCN({chain})C{group[2]}C9{group[3]}"


def letters(**pieces):
    return "".join(classify(built(**pieces)).modifications)


def is_outside(**pieces):
    rule = classify(built(**pieces))
    assert rule.modifications == () or rule.result == "yes"
    return rule.result == "no"


def test_the_builder_builds_fentanyl():
    assert Chem.CanonSmiles(built()) == Chem.CanonSmiles(FENTANYL)


def test_fentanyl_is_the_parent():
    assert classify(FENTANYL) == FentanylRule("parent", (), "fentanyl")


# --------------------------------------------------------------------------------- (A) another monocycle


@pytest.mark.parametrize(
    "ring",
    [
        "c2cccs2",
        "c2ccco2",
        "c2ccncc2",
        "C2CCCCC2",
        "C2CC2",
        "n2cccc2",
        "N2CCOCC2",
        "n2nnn(CC)c2=O",
        "c2c(Cl)ccs2",
    ],
)
def test_any_monocycle_in_place_of_phenyl(ring):
    assert letters(chain="CC" + ring) == "A"


@pytest.mark.parametrize("group", ["N=C=S", "C#N", "C(=O)O", "SC", "NC", "OC(F)(F)F", "C2CC2", "c2ccccc2"])
def test_a_phenyl_with_what_b_does_not_list_is_a_further_substituted_monocycle(group):
    ring = f"c3ccc({group})cc3"
    assert letters(chain="CC" + ring) == "A"
    assert letters(chain=f"CCc3cc(OC)c({group})cc3") == "AB"


@pytest.mark.parametrize(
    "ring",
    ["c2ccc3ccccc3c2", "c2c[nH]c3ccccc23", "c2ccc3OCOc3c2", "c2ccc3CCCc3c2", "C2CCC3(CC2)CC3", "C2CC3CCC2C3"],
)
def test_a_fused_bridged_or_spiro_ring_is_no_monocycle(ring):
    rule = classify(built(chain="CC" + ring))
    assert rule.result == "no"
    assert "fused, bridged or spiro" in rule.reason


@pytest.mark.parametrize(
    "chain",
    ["Cc2ccccc2", "CCCc2ccccc2", "CCCCc2ccccc2", "CCOc2ccccc2", "CCNc2ccccc2", "CCCC", "CC", "CCC(=O)OC",
     "C", "[H]",
     "c2ccccc2", "C(C)c2ccccc2", "CCC=C", "OCc2ccccc2", "C=Cc2ccccc2", "C(=O)Cc2ccccc2", "C2Cc3ccccc3C2",
     "C2CC2c2ccccc2"],
)  # fmt: skip
def test_the_chain_must_be_two_open_carbon_atoms_to_a_ring(chain):
    """Benzyl, phenylpropyl, phenoxyethyl, remifentanil-like, nor, unsaturated, acylated, indanyl …"""
    assert is_outside(chain=chain)


# -------------------------------------------------------------------------- (B) on the phenethyl group

LISTED_IN_B = ["C", "CC", "C(C)(C)C", "C=C", "CC=C", "OC", "OC(C)C", "O", "F", "Cl", "Br", "I",
               "C(F)(F)F", "CCCl",
               "N", "[N+](=O)[O-]", "N(=O)=O"]  # fmt: skip


@pytest.mark.parametrize("group", LISTED_IN_B)
def test_listed_groups_on_the_phenethyl(group):
    assert letters(chain=f"CCc2ccc({group})cc2") == "B"
    assert letters(chain=f"C({group})Cc2ccccc2") == "B"
    assert letters(chain=f"CC({group})c2ccccc2") == "B"
    assert letters(chain=f"CC({group})c2ccc({group})cc2") == "B"


@pytest.mark.parametrize(
    "group",
    ["C#C", "C#N", "C2CC2", "c2ccccc2", "NC", "N(C)C", "NC(C)=O", "S", "SC", "OC(C)=O", "C(=O)OC",
     "C(=O)O", "CO",
     "COC", "C(C)=O", "OC(F)(F)F", "OC=C", "C=CCl", "OO", "NO", "B(O)O", "[Si](C)(C)C", "N=[N+]=[N-]",
     "[CH2]"],
)  # fmt: skip
def test_other_groups_on_the_chain_lead_out(group):
    assert is_outside(chain=f"C({group})Cc3ccccc3")
    assert is_outside(chain=f"CC({group})c3ccccc3")


@pytest.mark.parametrize("bond", ["C(=O)Cc2ccccc2", "CC(=O)c2ccccc2", "CC(=C)c2ccccc2", "CC(=NO)c2ccccc2"])
def test_a_double_bond_on_the_chain_leads_out(bond):
    assert is_outside(chain=bond)


def test_thiophene_with_a_substituted_chain_is_both():
    assert letters(chain="C(C)Cc2cccs2") == "AB"
    assert letters(chain="CC(O)c2cccs2") == "AB"


# ------------------------------------------------------------------------------ (C) on the piperidine

LISTED_IN_C = [
    *LISTED_IN_B, "C(=O)OC", "C(=O)OCC", "OC(C)=O", "OC(=O)c3ccccc3", "COC(C)=O", "CC(=O)OC", "COC",
    "CCOCC", "Oc3ccccc3",
    "OCC=C", "COCc3ccccc3",
]  # fmt: skip


@pytest.mark.parametrize("group", LISTED_IN_C)
@pytest.mark.parametrize("place", ["two", "three", "four"])
def test_listed_groups_on_the_piperidine(place, group):
    assert letters(**{place: group}) == "C"


@pytest.mark.parametrize(
    "group",
    ["c3ccccc3", "C3CC3", "C#N", "C#C", "CO", "C(=O)O", "C(N)=O", "C(C)=O", "C=O", "S", "SC", "NC", "CN",
     "CS", "OC(F)(F)F",
     "C(=O)OCCl", "OC(=O)OC", "OCO", "c3ccc(OC)cc3", "C=COC", "C3CCCO3", "OS(C)(=O)=O", "C(=S)OC",
     "COCOC", "OOC"],
)  # fmt: skip
@pytest.mark.parametrize("place", ["two", "three", "four"])
def test_other_groups_on_the_piperidine_lead_out(place, group):
    assert is_outside(**{place: group})


@pytest.mark.parametrize(
    "smiles",
    [
        "CCC(=O)N(c1ccccc1)C1CCCN(CCc2ccccc2)CC1",  # azepane
        "CCC(=O)N(c1ccccc1)C1CCN(CCc2ccccc2)C1",  # pyrrolidine
        "CCC(=O)N(c1ccccc1)C1CCCN(CCc2ccccc2)C1",  # 3-piperidyl
        "CCC(=O)N(c1ccccc1)C1CC2CCC(C1)N2CCc1ccccc1",  # tropane
        "CCC(=O)N(c1ccccc1)C1CCN(CCc2ccccc2)C2CCCCC12",  # fused to cyclohexane
        "CCC(=O)N(c1ccccc1)C1CCN(CCc2ccccc2)CC13CC3",  # spiro
        "CCC(=O)N(c1ccccc1)N1CCN(CCc2ccccc2)CC1",  # piperazine
        "CCC(=O)N(c1ccccc1)C1CCC(CCc2ccccc2)CC1",  # cyclohexane
        "CCC(=O)N(c1ccccc1)C1=CCN(CCc2ccccc2)CC1",  # tetrahydropyridine
        "CCC(=O)N(c1ccccc1)C1CCN(CCc2ccccc2)C(=O)C1",  # piperidone
        "CCC(=O)N(c1ccccc1)CC1CCN(CCc2ccccc2)CC1",  # one carbon atom between
        "CCC(=O)N(c1ccccc1)C(C)CCN(C)CCc1ccccc1",  # opened ring
    ],
)
def test_another_ring_than_a_plain_piperidine_leads_out(smiles):
    assert classify(smiles).result == "no"


# -------------------------------------------------------------------- (D) another aromatic ring, (E) acyl


@pytest.mark.parametrize(
    "aryl",
    ["c1ccc(F)cc1", "c1ccccc1C", "c1ccc(C#N)cc1", "c1ccc(-c3ccccc3)cc1", "c1cnccn1", "c1cccs1",
     "c1ccc(S(C)(=O)=O)cc1",
     "n1cccc1", "c1c(F)c(F)c(F)c(F)c1F"],
)  # fmt: skip
def test_any_aromatic_monocycle_on_the_amide(aryl):
    assert letters(aryl=aryl) == "D"


@pytest.mark.parametrize(
    "aryl",
    ["c1ccc3ccccc3c1", "c1ccc3OCOc3c1", "C1CCCCC1", "Cc1ccccc1", "C", "[H]", "C1=CCCCC1", "c1ccc3c(c1)CCC3"],
)
def test_what_is_no_aromatic_monocycle_on_the_amide_leads_out(aryl):
    assert is_outside(aryl=aryl)


@pytest.mark.parametrize(
    "acyl",
    ["C(C)=O", "C=O", "C(=O)CCC", "C(=O)C(C)C", "C(=O)C=C", "C(=O)C1CC1", "C(=O)c1ccco1",
     "C(=O)c1ccccc1", "C(=O)COC",
     "C(=O)OCC", "C(=O)N(C)C", "C(=O)C(F)(F)F", "C(=O)CCl", "C(=O)CCN", "C(=O)c1ccc3OCOc3c1", "C(=O)CO"],
)  # fmt: skip
def test_any_other_acyl(acyl):
    assert letters(acyl=acyl) == "E"


@pytest.mark.parametrize(
    "acyl", ["[H]", "CCC", "S(=O)(=O)CC", "C(=S)CC", "C(=N)CC", "P(=O)(C)C", "C#N", "CC(C)=O"]
)
def test_what_is_no_acyl_leads_out(acyl):
    assert is_outside(acyl=acyl)


def test_an_acyl_that_closes_a_ring_onto_the_skeleton_leads_out():
    assert classify("O=C1CCc2ccccc2N1C1CCN(CCc2ccccc2)CC1").result == "no"  # onto the aniline ring
    assert classify("O=C1CCC2(CCN(CCc3ccccc3)CC2)N1c1ccccc1").result == "no"  # onto the piperidine


# ----------------------------------------------------------------------------------- whole substances


@pytest.mark.parametrize(
    ("name", "smiles", "result", "modifications"),
    [
        ("4-ANPP", "C(Cc1ccccc1)N1CCC(Nc2ccccc2)CC1", "no", ""),
        ("NPP", "O=C1CCN(CCc2ccccc2)CC1", "no", ""),
        ("norfentanyl", "CCC(=O)N(c1ccccc1)C1CCNCC1", "no", ""),
        ("benzylfentanyl", "CCC(=O)N(c1ccccc1)C1CCN(Cc2ccccc2)CC1", "no", ""),
        ("remifentanil", "CCC(=O)N(c1ccccc1)C1(C(=O)OC)CCN(CCC(=O)OC)CC1", "no", ""),
        ("carfentanil", "CCC(=O)N(c1ccccc1)C1(C(=O)OC)CCN(CCc2ccccc2)CC1", "yes", "C"),
        ("sufentanil", "CCC(=O)N(c1ccccc1)C1(COC)CCN(CCc2cccs2)CC1", "yes", "AC"),
        ("alfentanil", "CCC(=O)N(c1ccccc1)C1(COC)CCN(CCn2nnn(CC)c2=O)CC1", "yes", "AC"),
        ("brifentanil", "CCn1nnn(CCN2CCC(N(C(=O)COC)c3ccccc3F)C(C)C2)c1=O", "yes", "ACDE"),
        ("thiofentanyl", "CCC(=O)N(c1ccccc1)C1CCN(CCc2cccs2)CC1", "yes", "A"),
        ("fentanyl N-oxide", "CCC(=O)N(c1ccccc1)C1CC[N+]([O-])(CCc2ccccc2)CC1", "no", ""),
        ("N-methylfentanylium", "CCC(=O)N(c1ccccc1)C1CC[N+](C)(CCc2ccccc2)CC1", "no", ""),
        ("loperamide", "CN(C)C(=O)C(CCN1CCC(O)(c2ccc(Cl)cc2)CC1)(c1ccccc1)c1ccccc1", "no", ""),
        ("water", "O", "no", ""),
        ("polystyrene", "*CC(*)c1ccccc1", "no", ""),
        # By the names under which the Drug Enforcement Administration listed "fentanyl-related substances".
        ("82 FR 58575, valeryl", "CCCCC(=O)N(c1ccccc1)C1CCN(CCc2ccccc2)CC1", "yes", "E"),
        ("82 FR 58575, p-methoxybutyryl", "CCCC(=O)N(c1ccc(OC)cc1)C1CCN(CCc2ccccc2)CC1", "yes", "DE"),
        ("82 FR 58575, cyclopentyl", "O=C(C1CCCC1)N(c1ccccc1)C1CCN(CCc2ccccc2)CC1", "yes", "E"),
        ("82 FR 58575, ocfentanil", "COCC(=O)N(c1ccccc1F)C1CCN(CCc2ccccc2)CC1", "yes", "DE"),
    ],
)  # fmt: skip
def test_known_substances(name, smiles, result, modifications):
    rule = classify(smiles)
    assert (rule.result, "".join(rule.modifications)) == (result, modifications), name
    assert rule.reason


@pytest.mark.parametrize("smiles", ["", "not a structure", "CCC(=O)N(c1ccccc1"])
def test_what_is_no_structure_is_refused(smiles):
    with pytest.raises(ParameterError, match="SMILES"):
        classify(smiles)


@pytest.mark.parametrize(
    ("smiles", "result"),
    [
        (f"{FENTANYL}.Cl", "parent"),
        ("CCC(=O)N(c1ccccc1)C1CC[NH+](CCc2ccccc2)CC1.[Cl-]", "parent"),
        (f"{FENTANYL}.OC(=O)CC(O)(CC(O)=O)C(O)=O", "parent"),
        ("CCC(=O)N(c1ccccc1)C1CC[NH+](CCc2ccccc2)CC1.[O-]C(=O)CC(O)(CC(O)=O)C(O)=O.O", "parent"),
        ("[2H]C([2H])([2H])CC(=O)N(c1ccccc1)C1CCN(CCc2ccccc2)CC1", "parent"),
        ("CCC(=O)N([13c]1[13cH][13cH][13cH][13cH][13cH]1)C1CCN(CCc2ccccc2)CC1", "parent"),
        ("CCC(=O)N(c1ccccc1)[C@@H]1CCN(CCc2ccccc2)C[C@@H]1C.Cl", "yes"),
        ("CCC(=O)N(c1ccccc1)C1CC[NH+](CCc2ccc([O-])cc2)CC1", "yes"),
        ("CCC(=O)N(c1ccccc1)C1CCN(CCc2ccc([NH3+])cc2)CC1.[Cl-]", "yes"),
        ("CCC(=O)N(c1ccccc1)C1CCN(Cc2ccccc2)CC1.Cl", "no"),
    ],
)
def test_salts_solvates_isotopes_and_isomers_do_not_matter(smiles, result):
    assert classify(smiles).result == result


def test_reasons_name_the_site():
    assert classify(built(four="C(=O)OC", acyl="C(=O)C")).reason == (
        "C: ester on the piperidine ring; E: another acyl group in place of propionyl"
    )
    assert "(C) does not name" in classify(built(four="c3ccccc3")).reason
    assert "open chain of two carbon atoms" in classify(built(chain="Cc2ccccc2")).reason


# -------------------------------------------------------------------------------------- invariances


PIECES = st.fixed_dictionaries(
    {},
    optional={
        "chain": st.sampled_from(["CCc2cccs2", "C(C)Cc2ccccc2", "CCc2ccc(N=C=S)c(OC)c2", "Cc2ccccc2",
            "CC(=O)c2ccccc2"]),
        "aryl": st.sampled_from(["c1ccc(F)cc1", "c1cnccn1", "c1ccc3OCOc3c1"]),
        "acyl": st.sampled_from(["C(C)=O", "C(=O)C1CC1", "C(=O)N1CCN(C(=O)CC)CC1", "S(C)(=O)=O"]),
        "two": st.sampled_from(["C", "F"]),
        "three": st.sampled_from(["C", "OC", "C#N"]),
        "four": st.sampled_from(["C(=O)OC", "COC", "c3ccccc3"]),
    },
)  # fmt: skip
LETTER = {"chain": "A or B", "aryl": "D", "acyl": "E", "two": "C", "three": "C", "four": "C"}
LEADS_OUT = {"Cc2ccccc2", "CC(=O)c2ccccc2", "c1ccc3OCOc3c1", "S(C)(=O)=O", "C#N", "c3ccccc3"}


@given(pieces=PIECES)
def test_sites_are_judged_independently(pieces):
    """Letters of a combination are those of its pieces together; one forbidden piece leads out."""
    rule = classify(built(**pieces))
    if LEADS_OUT & set(pieces.values()):
        assert rule.result == "no"
    else:
        alone = "".join(letters(**{site: piece}) for site, piece in pieces.items())
        assert rule.modifications == tuple(sorted(set(alone)))
        assert rule.result == ("yes" if pieces else "parent")


@given(pieces=PIECES, seed=st.integers(0, 2**31))
def test_the_order_of_atoms_and_the_way_of_writing_do_not_matter(pieces, seed):
    smiles = built(**pieces)
    mol = Chem.MolFromSmiles(smiles)
    order = list(range(mol.GetNumAtoms()))
    random.Random(seed).shuffle(order)
    shuffled = Chem.RenumberAtoms(mol, order)
    expected = classify(smiles)
    assert classify(Chem.MolToSmiles(shuffled, canonical=False, doRandom=True)) == expected
    assert classify(Chem.MolToSmiles(shuffled, canonical=False, allHsExplicit=True)) == expected
    Chem.Kekulize(shuffled)
    assert classify(Chem.MolToSmiles(shuffled, kekuleSmiles=True, canonical=False)) == expected


def _with_methyl(smiles, atom):
    """The structure with a methyl on that atom in place of a hydrogen atom."""
    mol = Chem.RWMol(Chem.MolFromSmiles(smiles))
    mol.AddBond(atom, mol.AddAtom(Chem.Atom(6)), Chem.BondType.SINGLE)
    Chem.SanitizeMol(mol)
    return Chem.MolToSmiles(mol)


def test_a_methyl_on_any_carbon_atom_of_fentanyl_is_the_modification_of_that_site():
    """Everywhere a methyl is named: acyl (E), aniline ring (D), piperidine (C), phenethyl (B)."""
    mol = Chem.MolFromSmiles(FENTANYL)
    site = {**dict.fromkeys((0, 1), "E"), **dict.fromkeys(range(5, 11), "D"), **dict.fromkeys(range(11,
                14), "C"),
            **dict.fromkeys(range(15, 23), "B"), 23: "C", 24: "C"}  # fmt: skip
    hydrogens = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetTotalNumHs()]
    assert len(hydrogens) == 19
    for atom in hydrogens:
        assert classify(_with_methyl(FENTANYL, atom)).modifications == (site[atom],), atom


def test_a_cyano_group_is_named_only_where_anything_may_stand():
    """On a monocycle that replaces a ring,
    or within an acyl; on the chain or the piperidine it leads out."""
    mol = Chem.MolFromSmiles(FENTANYL)
    answers = {}
    for atom in mol.GetAtoms():
        if atom.GetTotalNumHs():
            edited = Chem.RWMol(mol)
            carbon, nitrogen = edited.AddAtom(Chem.Atom(6)), edited.AddAtom(Chem.Atom(7))
            edited.AddBond(atom.GetIdx(), carbon, Chem.BondType.SINGLE)
            edited.AddBond(carbon, nitrogen, Chem.BondType.TRIPLE)
            Chem.SanitizeMol(edited)
            answers[atom.GetIdx()] = "".join(classify(Chem.MolToSmiles(edited)).modifications) or "no"
    expected = {**dict.fromkeys((0, 1), "E"), **dict.fromkeys(range(6, 11), "D"),
                **dict.fromkeys(range(18, 23), "A"),
                **dict.fromkeys((11, 12, 13, 15, 16, 23, 24), "no")}  # fmt: skip
    assert answers == expected


def test_a_bridge_between_two_places_of_fentanyl_leads_out_or_stays_within_the_acyl():
    """A new CH2 between two atoms makes a ring; the rule names none over the skeleton."""
    mol = Chem.MolFromSmiles(FENTANYL)
    places = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetTotalNumHs()]
    for index, one in enumerate(places):
        for other in places[index + 1 :]:
            edited = Chem.RWMol(mol)
            bridge = edited.AddAtom(Chem.Atom(6))
            edited.AddBond(one, bridge, Chem.BondType.SINGLE)
            edited.AddBond(bridge, other, Chem.BondType.SINGLE)
            Chem.SanitizeMol(edited)
            rule = classify(Chem.MolToSmiles(edited))
            assert rule.modifications == (("E",) if {one, other} == {0, 1} else ()), (one, other)


# ------------------------------------------------------------------------- labels collected elsewhere


def test_labels_of_the_collected_compounds(facts):
    rows = facts("compounds.csv")
    labelled = [row for row in rows if row["smiles"]]
    assert sum(row["is_fentanyl_related"] == "yes" for row in labelled) > 190
    for row in labelled:
        rule = classify(row["smiles"])
        found = rule.result, "+".join(rule.modifications)
        assert found == (row["is_fentanyl_related"], row["frs_modifications"]), row["id"]
    assert all(row["is_fentanyl_related"] == "no" for row in rows if not row["smiles"])


def test_labels_of_the_enumerated_variants(facts):
    rows = facts("fentanyl_variants.csv")
    assert len(rows) > 3000
    for row in rows:
        rule = classify(row["smiles"])
        found = rule.result, "+".join(rule.modifications)
        assert found == ("yes", row["modifications"]), row["variant_id"]
