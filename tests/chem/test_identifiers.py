"""Identifiers as text need no RDKit; those of structures do and skip without it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.chem import formula_of, inchikey_of, is_cas, is_inchikey, parse_formula
from spectralid.errors import MissingDependencyError, ParameterError

FENTANYL = "CCC(=O)N(c1ccccc1)C1CCN(CCc2ccccc2)CC1"


@pytest.fixture
def chem():
    return pytest.importorskip("rdkit.Chem", reason="RDKit is not installed (extra 'chem')")


# --------------------------------------------------------------------------------------------- CAS numbers


@pytest.mark.parametrize("cas", ["437-38-7", "50-36-2", "7732-18-5", "9005-25-8", "1344-28-1"])
def test_known_cas_numbers(cas):
    assert is_cas(cas)


@pytest.mark.parametrize(
    "cas", ["", "437-38-8", "437387", "437-38-7 ", "0437-38-7", "437-3-87", "437–38–7", "٤٣٧-38-7", "1-00-1"]
)
def test_what_is_no_cas_number(cas):
    assert not is_cas(cas)


@given(first=st.integers(10, 9_999_999), second=st.integers(0, 99))
def test_one_check_digit_in_ten_is_right(first, second):
    assert sum(is_cas(f"{first}-{second:02d}-{digit}") for digit in range(10)) == 1


@given(digits=st.lists(st.integers(0, 9), min_size=5, max_size=9), data=st.data())
def test_every_wrong_digit_but_factor_ten_is_noticed(digits, data):
    """A wrong digit changes the sum by place × difference, unnoticed only where that is 0 modulo 10."""
    digits[0] = digits[0] or 1
    check = sum(i * d for i, d in enumerate(reversed(digits), start=1)) % 10
    written = lambda ds: f"{''.join(map(str, ds[:-2]))}-{ds[-2]}{ds[-1]}-{check}"  # noqa: E731
    assert is_cas(written(digits))
    place = data.draw(st.integers(1, len(digits)))
    wrong = [*digits]
    wrong[-place] = data.draw(st.integers(1 if place == len(digits) else 0, 9))
    unnoticed = place * (wrong[-place] - digits[-place]) % 10 == 0
    assert is_cas(written(wrong)) is unnoticed


# ---------------------------------------------------------------------------------------------- InChIKeys


def test_inchikey_form():
    assert is_inchikey("PJMPHNIQZUBGLI-UHFFFAOYSA-N")
    assert not is_inchikey("PJMPHNIQZUBGLI-UHFFFAOYNA-N")
    assert is_inchikey("PJMPHNIQZUBGLI-UHFFFAOYNA-N", standard=False)
    for wrong in (
        "",
        "PJMPHNIQZUBGLI-UHFFFAOYSA",
        "pjmphniqzubgli-uhfffaoysa-n",
        "PJMPHNIQZUBGLIUHFFFAOYSAN",
    ):
        assert not is_inchikey(wrong)
        assert not is_inchikey(wrong, standard=False)


# ----------------------------------------------------------------------------------------------- formulas


@pytest.mark.parametrize(
    ("text", "atoms"),
    [
        ("C22H28N2O", {"C": 22, "H": 28, "N": 2, "O": 1}),
        ("Ca5(PO4)3F", {"Ca": 5, "P": 3, "O": 12, "F": 1}),
        ("CaSO4.2H2O", {"Ca": 1, "S": 1, "O": 6, "H": 4}),
        ("Na2B4O7.10H2O", {"Na": 2, "B": 4, "O": 17, "H": 20}),
        ("Fe4[Fe(CN)6]3", {"Fe": 7, "C": 18, "N": 18}),
        ("C12H14N2+2", {"C": 12, "H": 14, "N": 2}),
        ("C12H19N2O2+", {"C": 12, "H": 19, "N": 2, "O": 2}),
        ("C6D6", {"C": 6, "D": 6}),
        ("CO", {"C": 1, "O": 1}),
        ("Co", {"Co": 1}),
    ],
)
def test_formulas(text, atoms):
    assert parse_formula(text) == atoms


@pytest.mark.parametrize(
    "text",
    [
        "", "mixture/polymer", "(C6H10O5)n", "CaSO4.0.5H2O", "SiO2.nH2O", "Na8Al6Si6O24S3 (approx.)", "Xx2",
        "c6h6", "C6H6)", "(C6H6", "2", "C0H4", "C.", ".C", "(Mg,Fe)SiO3", "()2", "+", "C6 H6", "(2H)C",
    ],
)  # fmt: skip
def test_what_is_no_formula(text):
    with pytest.raises(ParameterError, match="molecular formula"):
        parse_formula(text)


@given(
    st.dictionaries(
        st.sampled_from(["C", "H", "N", "O", "Cl", "Br", "Na", "D"]), st.integers(1, 400), min_size=1
    )
)
def test_a_written_formula_reads_back(atoms):
    written = "".join(element + ("" if count == 1 else str(count)) for element, count in atoms.items())
    assert parse_formula(written) == atoms
    doubled = {element: 2 * count for element, count in atoms.items()}
    assert parse_formula(f"({written})2") == parse_formula(f"2{written}") == doubled


# --------------------------------------------------------------------------------------------- structures


def test_formula_and_inchikey_of_a_structure(chem):
    assert formula_of(FENTANYL) == "C22H28N2O"
    assert inchikey_of(FENTANYL) == "PJMPHNIQZUBGLI-UHFFFAOYSA-N"
    assert formula_of("C[n+]1ccc(-c2cc[n+](C)cc2)cc1") == "C12H14N2+2"


@pytest.mark.parametrize(
    ("smiles", "key"),
    [
        ("[K+].[O-][Cl+2]([O-])[O-]", "VKJKEPKFPUWCAS-UHFFFAOYSA-M"),
        ("[K+].[O-]Cl(=O)=O", "VKJKEPKFPUWCAS-UHFFFAOYSA-M"),
        ("[K+].[O-][Br+2]([O-])[O-]", "OCATYIAKPYKMPG-UHFFFAOYSA-M"),
        ("[NH4+].[O-][Cl+3]([O-])([O-])[O-]", "HHEFNVCDPLQQTP-UHFFFAOYSA-N"),
    ],
)
def test_oxohalogen_anions_have_the_key_that_databases_give(chem, smiles, key):
    assert inchikey_of(smiles) == key


@pytest.mark.parametrize("smiles", ["", "   ", "C1CC", "c1cccc1", "nonsense", "C(C)(C)(C)(C)C"])
def test_what_is_no_structure_is_said_in_one_sentence(chem, smiles, capfd):
    for function in (formula_of, inchikey_of):
        with pytest.raises(ParameterError, match="structure in SMILES notation"):
            function(smiles)
    assert capfd.readouterr().err == ""


def test_an_open_chain_has_no_inchikey(chem):
    with pytest.raises(ParameterError, match="has an InChI"):
        inchikey_of("*CC*")


# Collected with the key of the charge-separated drawing.
WRONG_KEY = {"barium-chlorate": "ISFLYIRWQDJPDR-UHFFFAOYSA-L"}


def test_identifiers_of_the_collected_compounds(chem, facts):
    """Formula and InChIKey of every structure were made elsewhere."""
    rows = [row for row in facts("compounds.csv") if row["smiles"]]
    assert len(rows) > 2400
    for row in rows:
        assert formula_of(row["smiles"]) == row["formula"], row["id"]
        assert inchikey_of(row["smiles"]) == WRONG_KEY.get(row["id"], row["inchikey"]), row["id"]
        assert sum(parse_formula(row["formula"]).values()) > 0, row["id"]


def test_atoms_of_the_formula_are_those_of_the_structure(chem, facts):
    for row in facts("compounds.csv")[::5]:
        if row["smiles"]:
            mol = chem.AddHs(chem.MolFromSmiles(row["smiles"]))
            symbols = [atom.GetSymbol() for atom in mol.GetAtoms()]
            assert parse_formula(row["formula"]) == {s: symbols.count(s) for s in symbols}, row["id"]


# -------------------------------------------------------------------------------------------- without RDKit


def test_importing_the_room_loads_no_rdkit():
    program = "import sys, spectralid.chem; sys.exit('rdkit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("function", ["classify", "formula_of", "inchikey_of"])
def test_without_rdkit_the_missing_package_is_named(function, monkeypatch):
    import spectralid.chem

    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(MissingDependencyError, match=r"spectralid\[chem\]"):
        getattr(spectralid.chem, function)("CCO")
