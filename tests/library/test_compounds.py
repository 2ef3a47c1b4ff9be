"""The compounds table and finding a compound by what a file calls it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.errors import UnreadableFileError
from spectralid.library import Compound
from spectralid.library.compounds import CompoundIndex, is_cas, make_slug, normalised, read_compounds

TABLE = (
    Compound("cocaine", "Cocaine", synonyms=("Benzoylmethylecgonine",), cas="50-36-2"),
    Compound("caffeine", "Caffeine", ("Théine",), cas="58-08-2", inchikey="RYYVLZVUVIJVGH-UHFFFAOYSA-N"),
    Compound("codeine", "Codeine", formula="C18H21NO3"),
    Compound("magnesium", "Magnesium", formula="Mg"),
    Compound("vinyl", "Vinyl", formula="C2H3"),
    Compound("sodium-acetate", "Sodium acetate", cas="127-09-3"),
    Compound("a-one", "Alpha", synonyms=("Shared name",)),
    Compound("a-two", "Beta", synonyms=("shared-NAME",)),
)


@pytest.fixture(scope="module")
def index():
    return CompoundIndex(TABLE)


@pytest.mark.parametrize(
    ("name", "slug", "form"),
    [
        ("caffeine", "caffeine", ""),
        ("CAFFEINE ", "caffeine", ""),
        ("Theine", "caffeine", ""),
        ("Cocaine Hydrochloride", "cocaine", "hydrochloride"),
        ("cocaine_HCl", "cocaine", "hydrochloride"),
        ("cocaine (free base)", "cocaine", "base"),
        ("Caffeine monohydrate", "caffeine", "monohydrate"),
        ("sodium acetate", "sodium-acetate", ""),
        ("codeine phosphate", "codeine", "phosphate"),
    ],
)
def test_names(index, name, slug, form):
    found = index.find(name=name)
    assert found is not None
    assert (found[0].slug, found[1]) == (slug, form)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "hydrochloride",
        "sulfate",
        "shared name",
        "cocain",
        "unknown HCl",
        "magnesium sulfate",
        "vinyl acetate",
    ],
)
def test_names_that_find_nothing(index, name):
    assert index.find(name=name) is None


def test_cas_and_inchikey_come_before_the_name(index):
    assert index.find(cas="58-08-2", name="Cocaine")[0].slug == "caffeine"
    assert index.find(inchikey="RYYVLZVUVIJVGH-UHFFFAOYSA-N", cas="50-36-2")[0].slug == "caffeine"
    assert index.find(cas="50-36-2", name="white powder, hydrochloride") == (TABLE[0], "hydrochloride")
    assert index.find(name="Powder 58-08-2 run1")[0].slug == "caffeine"
    assert index.find(name="58-08-2-IR")[0].slug == "caffeine"
    assert index.find(name="Powder 58-08-21") is None
    # A number with a wrong check digit is not trusted; the name then decides.
    assert index.find(cas="58-08-3", name="Cocaine")[0].slug == "cocaine"


@given(digits=st.integers(10, 9_999_999), middle=st.integers(0, 99))
def test_exactly_one_check_digit_makes_a_cas_number(digits, middle):
    good = [c for c in range(10) if is_cas(f"{digits}-{middle:02d}-{c}")]
    assert len(good) == 1


@pytest.mark.parametrize("cas", ["103-90-2", "7732-18-5", "50-78-2"])
def test_known_cas_numbers(cas):
    assert is_cas(cas)


@given(name=st.text())
def test_slugs_are_well_formed_and_stable(name):
    slug = make_slug(name)
    assert make_slug(slug) == slug
    assert not set(slug) - set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert normalised(normalised(name)) == normalised(name)


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "compounds.csv"
    path.write_bytes(text.encode(encoding))
    return read_compounds(path)


def test_table_is_read(tmp_path):
    text = 'slug,name,synonyms,cas,hazards\r\nx-1,"A, B",One | Two,50-78-2,toxic|flammable\r\n'
    (compound,) = read(tmp_path, "\ufeff" + text)
    assert compound == Compound(
        "x-1", "A, B", synonyms=("One", "Two"), cas="50-78-2", hazards=("toxic", "flammable")
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("slug\nx\n", "line 1: the column 'name' is missing"),
        ("slug,name,smell\nx,X,bad\n", "line 1: the column 'smell' is unknown"),
        ("slug,name,name\nx,X,X\n", "line 1: the column 'name' is unknown or there twice"),
        ("slug,name\nx,X\nx,Y\n", "line 3: the slug 'x' was there already"),
        ("slug,name\nx,X\n,Y\n", "line 3: slug or name is empty"),
        ("slug,name\nX y,X\n", "line 2: the slug 'X y' may hold only"),
        ("slug,name\nx,X,,\n", "line 2: the row has more cells than the header has columns"),
        ('slug,name\nx,"X\n', "it is not CSV"),
        ("", "line 1: the column 'name' is missing"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path, text, says):
    with pytest.raises(UnreadableFileError, match=r"compounds\.csv, line \d") as caught:
        read(tmp_path, text)
    assert says in str(caught.value)


def test_other_encodings_and_absent_files_are_one_sentence(tmp_path):
    with pytest.raises(UnreadableFileError, match="byte 10: it is not UTF-8"):
        read(tmp_path, "slug,name\né,X\n", encoding="latin-1")
    with pytest.raises(UnreadableFileError, match="cannot be opened"):
        read_compounds(tmp_path / "absent.csv")
