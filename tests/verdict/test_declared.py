"""Declared goods against what was found: every pair of the two, as a table."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import ParameterError
from spectralid.library import Compound, ReferenceLibrary, open_library
from spectralid.verdict import VerdictKind
from spectralid.verdict.catalog import Catalog, fields_of, flat
from spectralid.verdict.declared import Declaration, DeclaredCheck, check
from spectralid.verdict.goods import Reading, read_declaration, same_substance
from spectralid.verdict.tariff import bundled_tariff
from tests.verdict.built import catalog, scanned

K = VerdictKind
ABSENCE = re.compile(
    r"\b(is|are|was|were) (not present|absent|free of)\b|\bcontains? no\b|\bsafe\b|"
    r"\bno contiene\b|\bestá libre\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def library() -> ReferenceLibrary:
    return open_library()


def read(library: ReferenceLibrary, **said: str) -> Reading:
    return read_declaration(Declaration(**said), library, bundled_tariff())


def checked(
    library: ReferenceLibrary, said: dict[str, str], language: str = "en", **found: Any
) -> DeclaredCheck:
    identification, verdict = scanned(library, **found)
    return check(Declaration(**said), verdict, identification, library, catalog=catalog(language))


# -- What a declaration is understood as ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "slugs", "how"),
    [
        ({"text": "paracetamol"}, {"acetaminophen"}, "name"),
        ({"text": "PARACETAMOL"}, {"acetaminophen"}, "name"),
        ({"text": "25 kg bags of paracetamol powder BP"}, {"acetaminophen"}, "name"),
        ({"text": "Lidocaine HCl 99% USP, 20 drums"}, {"lidocaine"}, "name"),
        ({"text": "lidocaine hydrochloride"}, {"lidocaine"}, "name"),
        ({"text": "1,4-dioxane"}, {"1-4-dioxane"}, "name"),
        ({"text": "magnesium sulphate"}, {"magnesium-sulfate", "magnesium-sulfate-heptahydrate"}, "name"),
        ({"text": "amfetamine sulphate"}, {"amphetamine"}, "name"),
        ({"text": "lactose"}, {"lactose", "lactose-monohydrate"}, "name"),
        ({"text": "titanium dioxide"}, {"titanium-dioxide", "anatase", "rutile"}, "name"),
        ({"text": "powdered sugar"}, {"sucrose"}, "trade"),
        ({"text": "baby powder"}, {"talc", "starch"}, "trade"),
        ({"text": "Vitamin C"}, {"ascorbic-acid"}, "trade"),
        ({"text": "azúcar"}, {"sucrose"}, "trade"),
        ({"text": "azucar"}, {"sucrose"}, "trade"),
        ({"text": "xilacina"}, {"xylazine"}, "name"),
        ({"text": "clorhidrato de lidocaína"}, {"lidocaine"}, "name"),
        ({"text": "25 kg de paracetamol en polvo"}, {"acetaminophen"}, "name"),
        ({"cas": "103-90-2"}, {"acetaminophen"}, "cas"),
        ({"text": "white powder CAS 103-90-2"}, {"acetaminophen"}, "cas"),
        ({"tariff": "2939.30"}, {"caffeine"}, "tariff"),
        ({"tariff": "2939 30 00"}, {"caffeine"}, "tariff"),
        ({"tariff": "2939300000"}, {"caffeine"}, "tariff"),
        ({"text": "HS 293930"}, {"caffeine"}, "tariff"),
        ({"tariff": "articles of paracetamol"}, {"acetaminophen"}, "name"),
        ({"text": "lidocane"}, {"lidocaine"}, "spelling"),
        ({"text": "paracetemol"}, {"acetaminophen"}, "spelling"),
    ],
)
def test_names_numbers_codes_and_words_of_trade_resolve(
    library: ReferenceLibrary, said: dict[str, str], slugs: set[str], how: str
) -> None:
    reading = read(library, **said)
    assert [(set(g.compounds), g.how) for g in reading.goods] == [(slugs, how)]
    assert reading.unknown == reading.wrong_cas == ()


def test_several_goods_in_one_text_are_told_apart(library: ReferenceLibrary) -> None:
    reading = read(library, text="Caffeine, lactose and baking soda; blorbium")
    assert [g.written for g in reading.goods] == ["Caffeine", "lactose", "baking soda"]
    assert reading.unknown == ("blorbium",)


def test_a_word_beside_a_good_may_make_another_substance_of_it(library: ReferenceLibrary) -> None:
    reading = read(library, text="wonder caffeine 100 mesh")
    assert [set(g.compounds) for g in reading.goods] == [{"caffeine"}]
    assert reading.unknown == ("wonder",)
    assert checked(library, {"text": "wonder caffeine"}, named=["caffeine"]).outcome == "cannot_tell"


@pytest.mark.parametrize(
    "written", ["etonitazen", "isotonitazen", "methamphetamin", "fentanil", "cocaime", "bromazolan"]
)
def test_no_slip_of_the_pen_is_read_as_a_controlled_substance(
    library: ReferenceLibrary, written: str
) -> None:
    reading = read(library, text=written)
    assert all(library.compound(s).schedule in ("", "none") for g in reading.goods for s in g.compounds)


def test_a_slip_that_may_be_two_substances_is_read_as_neither(library: ReferenceLibrary) -> None:
    # Both are two letters from Prednisone and from Prednisolone.
    for written in ("prednisonne", "prednisolne"):
        assert read(library, text=written).unknown == (written,)


@pytest.mark.parametrize("written", ["calcium chlorite", "sodium bromate", "magnesium sulfite"])
def test_an_ending_that_makes_another_substance_is_no_slip(library: ReferenceLibrary, written: str) -> None:
    assert read(library, text=written).unknown


def test_a_wrong_check_digit_is_no_substance(library: ReferenceLibrary) -> None:
    reading = read(library, cas="103-90-3")
    assert (reading.goods, reading.wrong_cas) == ((), ("103-90-3",))


@given(st.integers(0, 9))
@settings(deadline=None, max_examples=10)
def test_of_ten_check_digits_one_is_right(library: ReferenceLibrary, digit: int) -> None:
    reading = read(library, cas=f"103-90-{digit}")
    assert bool(reading.goods) == (digit == 2)


def test_an_exact_name_goes_before_a_broad_word_and_a_code(library: ReferenceLibrary) -> None:
    (good,) = read(library, text="food additive: citric acid", tariff="2918.14").goods
    assert good.compounds == {"citric-acid"}
    (good,) = read(library, text="paracetamol", tariff="2924.29").goods
    assert good.compounds == {"acetaminophen"}


@pytest.mark.parametrize(
    "said",
    [
        {"text": "paracetamol", "cas": "58-08-2"},
        {"text": "paracetamol", "tariff": "1701.99"},
        {"cas": "58-08-2", "tariff": "1701.99"},
    ],
)
def test_a_declaration_that_contradicts_itself_is_noticed(
    library: ReferenceLibrary, said: dict[str, str]
) -> None:
    assert read(library, **said).contradicts


@pytest.mark.parametrize("tariff", ["9999.99", "1000 kg", "0100", "abc", "12"])
def test_what_is_no_code_is_said_to_be_unknown(library: ReferenceLibrary, tariff: str) -> None:
    reading = read(library, tariff=tariff)
    assert (reading.goods, reading.unknown) == ((), (tariff,))


@given(st.text(max_size=80), st.text(max_size=20), st.text(max_size=20))
@settings(deadline=None, max_examples=80)
def test_no_text_breaks_the_reader(library: ReferenceLibrary, text: str, cas: str, tariff: str) -> None:
    reading = read(library, text=text, cas=cas, tariff=tariff)
    known = {c.slug for c in library.compounds}
    assert all(g.compounds <= known for g in reading.goods)


def test_a_declaration_has_a_length(library: ReferenceLibrary) -> None:
    with pytest.raises(ParameterError):
        Declaration(text="x" * 2001)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("lactose", "lactose-monohydrate", True),
        ("magnesium-sulfate", "magnesium-sulfate-heptahydrate", True),
        ("calcium-carbonate", "calcite", True),
        ("calcium-sulfate", "gypsum", True),
        ("4-piperidone", "4-piperidone-hydrochloride", True),
        ("d-glucose", "galactose", False),
        ("lactose", "maltose", False),
        ("graphite", "diamond", False),
        ("starch", "cellulose", False),
        ("ephedrine", "pseudoephedrine", False),
        ("fentanyl", "acetylfentanyl", False),
    ],
)
def test_salts_hydrates_and_minerals_are_one_substance_and_isomers_are_not(
    library: ReferenceLibrary, a: str, b: str, same: bool
) -> None:
    assert same_substance(library.compound(a), library.compound(b)) is same


# -- Declared against found ----------------------------------------------------------------------------------

SUGAR, TALC, DRUG = {"text": "powdered sugar"}, {"text": "baby powder"}, {"text": "fentanyl citrate"}
CASES: list[tuple[str, dict[str, str], dict[str, Any], str, str]] = [
    # name of the case, declared, found, outcome, first code
    ("same", {"text": "paracetamol"}, {"named": ["acetaminophen"]}, "consistent", "as-declared"),
    ("by cas", {"cas": "103-90-2"}, {"named": ["acetaminophen"]}, "consistent", "as-declared"),
    ("salt", {"text": "lidocaine hydrochloride"}, {"named": ["lidocaine"]}, "consistent", "as-declared"),
    ("hydrate", {"text": "lactose"}, {"named": ["lactose-monohydrate"]}, "consistent", "as-declared"),
    ("trade word", SUGAR, {"named": ["sucrose"]}, "consistent", "as-declared"),
    (
        "with what goes with it",
        SUGAR,
        {"kind": K.MIXTURE, "named": ["sucrose", "starch"]},
        "consistent",
        "as-declared",
    ),
    ("only what goes with it", SUGAR, {"named": ["starch"]}, "cannot_tell", "only-beside"),
    ("either of two", TALC, {"named": ["talc"]}, "consistent", "as-declared"),
    (
        "through its bag",
        SUGAR,
        {"named": ["sucrose"], "beside": ["polypropylene"]},
        "consistent",
        "as-declared",
    ),
    ("only its bag", SUGAR, {"named": ["polypropylene"]}, "cannot_tell", "only-a-carrier"),
    (
        "the bag is the good",
        {"text": "polypropylene"},
        {"named": ["polypropylene"]},
        "consistent",
        "as-declared",
    ),
    ("only a solvent", {"text": "lidocaine"}, {"named": ["ethanol"]}, "cannot_tell", "only-a-carrier"),
    ("a toxic solvent", {"text": "lidocaine"}, {"named": ["benzene"]}, "inconsistent", "undeclared-hazard"),
    (
        "a toxic solvent beside it",
        SUGAR,
        {"named": ["sucrose"], "beside": ["benzene"]},
        "cannot_tell",
        "hazardous-carrier",
    ),
    ("a declared solvent", {"text": "ethanol"}, {"named": ["ethanol"]}, "consistent", "as-declared"),
    (
        "a declared solvent and water",
        {"text": "ethanol"},
        {"kind": K.MIXTURE, "named": ["ethanol", "water"]},
        "consistent",
        "as-declared",
    ),
    (
        "a declared solvent and a toxic one",
        {"text": "ethanol"},
        {"kind": K.MIXTURE, "named": ["ethanol", "methanol"]},
        "inconsistent",
        "undeclared-hazard",
    ),
    ("something else", SUGAR, {"named": ["acetaminophen"]}, "inconsistent", "undeclared"),
    ("a controlled substance", SUGAR, {"named": ["cocaine"]}, "inconsistent", "undeclared-hazard"),
    ("a precursor", SUGAR, {"named": ["4-anpp"]}, "inconsistent", "undeclared-hazard"),
    ("an explosive", {"text": "flour"}, {"named": ["tatp"]}, "inconsistent", "undeclared-hazard"),
    (
        "as declared and more",
        SUGAR,
        {"kind": K.MIXTURE, "named": ["sucrose", "fentanyl"]},
        "inconsistent",
        "undeclared-hazard",
    ),
    (
        "as declared and a harmless other",
        SUGAR,
        {"kind": K.MIXTURE, "named": ["sucrose", "caffeine"]},
        "inconsistent",
        "undeclared",
    ),
    (
        "as declared and not all certain",
        SUGAR,
        {"kind": K.MIXTURE, "named": ["sucrose"], "beside": ["caffeine"]},
        "cannot_tell",
        "not-all-explained",
    ),
    (
        "as declared and bands left",
        SUGAR,
        {"named": ["sucrose"], "unexplained": True},
        "cannot_tell",
        "not-all-explained",
    ),
    (
        "as declared and a family's alarm",
        SUGAR,
        {"kind": K.MIXTURE, "named": ["sucrose"], "families": ["fentanyl-related"]},
        "inconsistent",
        "undeclared-family",
    ),
    (
        "a declared family's alarm",
        {"text": "fentanyl citrate, sucrose"},
        {"kind": K.MIXTURE, "named": ["sucrose"], "families": ["fentanyl-related"]},
        "consistent",
        "as-declared",
    ),
    (
        "not told from a harmless one",
        SUGAR,
        {"named": ["sucrose"], "equivalent": ["lactose"]},
        "consistent",
        "as-declared",
    ),
    (
        "not told from a drug",
        SUGAR,
        {"named": ["sucrose"], "equivalent": ["cocaine"]},
        "cannot_tell",
        "not-told-apart",
    ),
    ("a declared drug", DRUG, {"named": ["fentanyl"]}, "consistent", "as-declared"),
    (
        "class, declared a member",
        DRUG,
        {"kind": K.FAMILY, "families": ["fentanyl-related"]},
        "consistent",
        "class-level",
    ),
    (
        "class, declared sugar",
        SUGAR,
        {"kind": K.FAMILY, "families": ["fentanyl-related"]},
        "inconsistent",
        "undeclared-family",
    ),
    (
        "two classes, one declared",
        DRUG,
        {"kind": K.FAMILY, "families": ["fentanyl-related", "nitazene"]},
        "inconsistent",
        "undeclared-family",
    ),
    (
        "class by its members",
        {"text": "bromazepam"},
        {"kind": K.FAMILY, "named": ["bromazolam"]},
        "consistent",
        "class-level",
    ),
    (
        "undecided, may be it",
        SUGAR,
        {"kind": K.INCONCLUSIVE, "named": ["sucrose", "lactose"]},
        "cannot_tell",
        "may-be",
    ),
    ("undecided", SUGAR, {"kind": K.INCONCLUSIVE, "named": ["cocaine"]}, "cannot_tell", "undecided"),
    ("no match", SUGAR, {"kind": K.NO_MATCH}, "cannot_tell", "no-match"),
    ("poor signal", SUGAR, {"kind": K.POOR_SIGNAL}, "cannot_tell", "poor-signal"),
    ("nothing declared", {}, {"named": ["sucrose"]}, "cannot_tell", "nothing-declared"),
    ("unknown word", {"text": "blorbium"}, {"named": ["sucrose"]}, "cannot_tell", "not-understood"),
    (
        "unknown word, a drug found",
        {"text": "blorbium"},
        {"named": ["cocaine"]},
        "cannot_tell",
        "not-understood",
    ),
    (
        "one word of two unknown",
        {"text": "sugar, blorbium"},
        {"named": ["sucrose"]},
        "cannot_tell",
        "unknown-word",
    ),
    (
        "one word unknown, harmless other",
        {"text": "sugar, blorbium"},
        {"named": ["caffeine"]},
        "cannot_tell",
        "not-in-table",
    ),
    (
        "one word unknown, a drug found",
        {"text": "sugar, blorbium"},
        {"kind": K.MIXTURE, "named": ["sucrose", "cocaine"]},
        "inconsistent",
        "undeclared-hazard",
    ),
    (
        "one of several declared",
        {"text": "caffeine, lactose"},
        {"named": ["caffeine"]},
        "consistent",
        "as-declared",
    ),
    (
        "all of several declared",
        {"text": "caffeine, lactose"},
        {"kind": K.MIXTURE, "named": ["caffeine", "lactose"]},
        "consistent",
        "as-declared",
    ),
    ("wrong check digit", {"cas": "103-90-3"}, {"named": ["acetaminophen"]}, "cannot_tell", "not-understood"),
    (
        "contradicts itself",
        {"text": "paracetamol", "cas": "58-08-2"},
        {"named": ["caffeine"]},
        "cannot_tell",
        "contradiction",
    ),
    ("tariff code", {"tariff": "2939.30"}, {"named": ["caffeine"]}, "consistent", "as-declared"),
    (
        "tariff code, complete, another",
        {"tariff": "2939.30"},
        {"named": ["sucrose"]},
        "inconsistent",
        "undeclared",
    ),
    (
        "tariff code, a basket, listed",
        {"tariff": "2924.29"},
        {"named": ["acetaminophen"]},
        "consistent",
        "one-of-a-kind",
    ),
    (
        "tariff code, a basket, unlisted",
        {"tariff": "2924.29"},
        {"named": ["taurine"]},
        "cannot_tell",
        "not-in-table",
    ),
    (
        "tariff code, a basket, another code's",
        {"tariff": "2924.29"},
        {"named": ["caffeine"]},
        "inconsistent",
        "undeclared",
    ),
    (
        "tariff code, a basket, a drug",
        {"tariff": "2924.29"},
        {"named": ["cocaine"]},
        "inconsistent",
        "undeclared-hazard",
    ),
    ("tariff heading", {"tariff": "2924"}, {"named": ["lidocaine"]}, "consistent", "one-of-a-kind"),
    (
        "fentanyls' own code",
        {"tariff": "2933.34"},
        {"named": ["acetylfentanyl"]},
        "consistent",
        "one-of-a-kind",
    ),
    (
        "fentanyls' own code, the class",
        {"tariff": "2933.34"},
        {"kind": K.FAMILY, "families": ["fentanyl-related"]},
        "consistent",
        "class-level",
    ),
    ("a kind of goods", {"text": "food additive"}, {"named": ["citric-acid"]}, "consistent", "one-of-a-kind"),
    (
        "a kind of goods, a drug",
        {"text": "food additive"},
        {"named": ["xylazine"]},
        "inconsistent",
        "undeclared-hazard",
    ),
    (
        "a kind of goods, unlisted",
        {"text": "food additive"},
        {"named": ["caffeine"]},
        "cannot_tell",
        "not-in-table",
    ),
    ("medicines", {"tariff": "3004.90"}, {"named": ["acetaminophen"]}, "consistent", "one-of-a-kind"),
    (
        "medicines, fentanyl",
        {"tariff": "3004.90"},
        {"named": ["fentanyl"]},
        "inconsistent",
        "undeclared-hazard",
    ),
    ("near spelling", {"text": "paracetemol"}, {"named": ["acetaminophen"]}, "consistent", "as-declared"),
]


@pytest.mark.parametrize(
    ("said", "found", "outcome", "code"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_every_pair_of_declared_and_found(
    library: ReferenceLibrary, said: dict[str, str], found: dict[str, Any], outcome: str, code: str
) -> None:
    result = checked(library, said, **found)
    assert (result.outcome, result.codes[0]) == (outcome, code), result.reasons


@pytest.mark.parametrize(("said", "found"), [c[1:3] for c in CASES], ids=[c[0] for c in CASES])
def test_reasons_are_whole_sentences_in_both_languages_and_never_claim_absence(
    library: ReferenceLibrary, said: dict[str, str], found: dict[str, Any]
) -> None:
    english, spanish = checked(library, said, **found), checked(library, said, "es", **found)
    assert (english.outcome, english.codes) == (spanish.outcome, spanish.codes)
    for one, other in zip(english.reasons, spanish.reasons, strict=True):
        assert one != other
        for sentence in (one, other):
            assert re.match(r"[A-ZÑ“«\d]", sentence)
            assert sentence.endswith(".")
            assert "{" not in sentence
            assert not ABSENCE.search(sentence), sentence


def test_an_unknown_word_is_named(library: ReferenceLibrary) -> None:
    result = checked(library, {"text": "sugar, blorbium"}, named=["sucrose"])
    assert "“blorbium”" in " ".join(result.reasons)


def test_a_near_spelling_is_never_silent(library: ReferenceLibrary) -> None:
    result = checked(library, {"text": "paracetemol"}, named=["acetaminophen"])
    assert "near-spelling" in result.codes
    assert any("“paracetemol” was read as “Acetaminophen”" in r for r in result.reasons)


def test_goods_that_were_not_seen_are_not_said_to_be_absent(library: ReferenceLibrary) -> None:
    result = checked(library, {"text": "caffeine, lactose"}, named=["caffeine"])
    (remark,) = [r for c, r in zip(result.codes, result.reasons, strict=True) if c == "not-seen"]
    assert "Lactose" in remark
    assert "does not mean" in remark


def test_another_salt_than_declared_is_mentioned(library: ReferenceLibrary) -> None:
    result = checked(library, {"text": "cocaine hydrochloride"}, named=["cocaine"], form="base")
    assert (result.outcome, result.codes) == ("consistent", ("as-declared", "other-form"))


def test_the_record_is_plain(library: ReferenceLibrary) -> None:
    import json

    record = checked(library, {"text": "powdered sugar", "tariff": "1701"}, named=["cocaine"]).to_dict()
    assert json.loads(json.dumps(record)) == record
    assert record["presumptive"] is True
    assert record["resolved"][0]["how"] == "trade"


def test_an_agency_with_other_compounds_can_declare_them(tmp_path: Any) -> None:
    from tests.identify.builders import GRID, library, raman, substance

    entries = [
        (
            Compound("zog", "Zogite", synonyms=("zog salt",), hazards=("none",)),
            raman(substance(GRID, 1)),
            "measured",
        ),
        (Compound("other", "Otherine", hazards=("none",)), raman(substance(GRID, 2)), "measured"),
    ]
    own = library(tmp_path, entries)
    assert checked(own, {"text": "zog salt"}, named=["zog"]).outcome == "consistent"
    assert checked(own, {"text": "zog salt"}, named=["other"]).outcome == "inconsistent"
    # Words of trade and codes stand for substances it does not have: nothing to compare, and no error.
    assert checked(own, {"text": "powdered sugar"}, named=["zog"]).outcome == "inconsistent"
    assert checked(own, {"tariff": "2924.29"}, named=["zog"]).outcome == "cannot_tell"


# -- Tables and catalogs -------------------------------------------------------------------------------------


def test_every_row_of_the_tables_names_what_the_library_has(library: ReferenceLibrary) -> None:
    from spectralid.verdict.goods import _trade_words

    slugs, categories = {c.slug for c in library.compounds}, {c.category for c in library.compounds}
    tariff = bundled_tariff()
    for line in tariff.lines:
        assert set(line.compounds) <= slugs, line
        assert set(line.categories) <= categories, line
    for good in _trade_words():
        assert good.compounds | good.also <= slugs, good
        assert good.categories <= categories, good
        assert good.source


def test_every_code_of_the_table_finds_itself() -> None:
    tariff = bundled_tariff()
    for line in tariff.lines:
        cover = tariff.covers(line.code)
        assert cover is not None
        assert set(line.compounds) <= cover.compounds
        assert tariff.covers(f"{line.code}00") is not None or len(line.code) == 4


def test_languages_have_the_same_keys_and_fields() -> None:
    import tomllib

    from spectralid.verdict.catalog import BUNDLED

    texts = {
        lang: dict(flat(tomllib.loads((BUNDLED / lang / "evidence.toml").read_text(encoding="utf-8"))))
        for lang in ("en", "es")
    }
    assert texts["en"].keys() == texts["es"].keys()
    for key, text in texts["en"].items():
        assert fields_of(text) == fields_of(texts["es"][key]), key
    assert Catalog.load("es", topics=("verdict", "evidence")).say("declared.nothing-declared")
