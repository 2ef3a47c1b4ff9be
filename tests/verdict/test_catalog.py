"""The wording: the same keys and fields in every language, its grammar, and no claim that cannot be made."""

from __future__ import annotations

import csv
import json
import re
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid import _bundled
from spectralid.errors import ParameterError
from spectralid.identify import quality
from spectralid.spectrum import Technique
from spectralid.verdict.catalog import (
    Catalog,
    claims_too_much,
    fields_of,
    languages,
    topics_of,
    unlike,
)
from tests.identify.builders import GRID, raman

TOPICS = topics_of("en")


def test_spanish_and_english_come_with_it() -> None:
    assert languages() == ("en", "es")
    assert "verdict" in TOPICS


@pytest.mark.parametrize("language", [name for name in languages() if name != "en"])
@pytest.mark.parametrize("topic", TOPICS)
def test_every_language_says_everything_with_the_same_facts(language: str, topic: str) -> None:
    english, other = (Catalog.load(name, topics=(topic,)) for name in ("en", language))
    own = {k for k in other.texts if not k.startswith(("name.", "form."))}
    assert own == english.texts.keys()
    for key in own:
        assert fields_of(other.texts[key]) == fields_of(english.texts[key]), key
        # What is only copied was forgotten; grammar, names and units may be alike.
        if " " in other.texts[key] and fields_of(other.texts[key]) == frozenset():
            assert other.texts[key] != english.texts[key], key


def test_no_key_is_in_two_topics() -> None:
    keys = [key for topic in TOPICS for key in Catalog.load(topics=(topic,)).texts]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("language", languages())
def test_no_sentence_of_a_verdict_claims_that_something_is_absent_or_harmless(language: str) -> None:
    for key, text in Catalog.load(language).texts.items():
        assert claims_too_much(text) == "", key


@pytest.mark.parametrize(
    "claim",
    [
        "There is no fentanyl in it.", "It is safe to touch.", "Fentanyl: negative.", "Harmless.",
        "Nothing dangerous is absent", "The sample is free of opioids", "This rules out fentanyl",
        "No hay fentanilo.", "Muestra sin fentanilo", "Es inofensivo.", "Está libre de drogas",
        "Resultado negativo", "Se descarta el fentanilo", "Ausencia de opioides", "No contiene explosivos",
    ],
)  # fmt: skip
def test_claims_are_recognised(claim: str) -> None:
    assert claims_too_much(claim)


def test_several_things_are_listed_by_the_grammar_of_the_language() -> None:
    english, spanish = Catalog.load("en"), Catalog.load("es")
    assert english.listed(["a", "b", "c"]) == "a, b and c"
    assert english.listed(["a", "b"], "or") == "a or b"
    assert english.listed(["a"]) == "a"
    assert english.listed([]) == ""
    assert english.listed(["a", "b", "c"], mark="; ") == "a; b and c"
    for last, said in [
        ("Ibuprofeno", "e"), ("hidrocodona", "e"), ("Índigo", "e"), ("hierro", "y"), ("hielo", "y"),
        ("iodo", "y"), ("heroína", "y"), ("yodo", "y"), ("Cafeína", "y"),
    ]:  # fmt: skip
        assert spanish.listed(["talco", last]) == f"talco {said} {last}"
    for last, said in [
        ("Oxicodona", "u"), ("hormona", "u"), ("8-cloro", "u"), ("11-nor-THC", "u"), ("110", "o"),
        ("1,1-x", "o"), ("Cafeína", "o"), ("ópalo", "u"),
    ]:  # fmt: skip
        assert spanish.listed(["talco", last], "or") == f"talco {said} {last}"


def test_counts_choose_between_one_and_many() -> None:
    spanish = Catalog.load("es")
    assert spanish.count("evidence.library_age", 1) == "La biblioteca tiene 1 día."
    assert spanish.count("evidence.library_age", 0) == "La biblioteca tiene 0 días."


def test_a_language_nobody_wrote_is_refused() -> None:
    with pytest.raises(ParameterError, match="one of en, es"):
        Catalog.load("fr")
    with pytest.raises(ParameterError, match="one of en, es"):
        Catalog.load("fr", overrides={"list.and": "et"})
    whole = {key: f"<{text}>" for key, text in Catalog.load().texts.items()}
    assert (
        Catalog.load("fr", overrides=whole).say("headline.no_match")
        == "<nothing in this library explains it>"
    )


def test_overrides_replace_texts_and_must_fit_them() -> None:
    own = Catalog.load("es", overrides={"precaution.cwa": "Llame al 911.", "precaution.own": "Propio."})
    assert own.say("precaution.cwa") == "Llame al 911."
    assert own.say("precaution.own") == "Propio."
    assert own.say("precaution.basic") == Catalog.load("es").say("precaution.basic")
    with pytest.raises(ParameterError, match=r"a text with \{name\}"):
        Catalog.load("en", overrides={"words.matches": "It matches."})


@pytest.mark.parametrize(
    ("text", "wanted", "why"),
    [
        ("Hello {name}", "{name}", ""),
        ("Hello", "{name}", "a text with {name}"),
        ("{name} {more}", "{name}", "a text with {name}"),
        ("{name", "{name}", "not"),
        ("{name!r}", "{name}", "not a plain field"),
        ("{name:>10}", "{name}", "not a plain field"),
        ("{name.__class__}", "{name}", "not a plain field"),
        ("{0}", "{name}", "not a plain field"),
        ("{}", "{name}", "not a plain field"),
        ("{{name}}", "", ""),
        ("", "", "not empty"),
        ("  ", "", "not empty"),
        (3, "", "not empty"),
    ],
)
def test_what_may_stand_for_a_text(text: Any, wanted: str, why: str) -> None:
    found = unlike(text, wanted)
    assert (found == "") == (why == "")
    if why not in ("", "not"):
        assert why in found


@given(st.text())
def test_any_text_that_is_accepted_can_be_said(text: str) -> None:
    if not unlike(text, "{name}"):
        assert "fentanyl" in text.format_map({"name": "fentanyl"})


def test_names_are_those_of_the_library_unless_the_language_has_its_own() -> None:
    english, spanish = Catalog.load("en"), Catalog.load("es")
    assert english.named("fentanyl", "Fentanyl", "hydrochloride") == "Fentanyl (hydrochloride)"
    assert spanish.named("fentanyl", "Fentanyl", "hydrochloride") == "Fentanilo (clorhidrato)"
    assert spanish.named("no-such-thing", "No such thing") == "No such thing"


def test_spanish_names_are_of_substances_there_are_and_of_one_each() -> None:
    with _bundled.path("libraries", "compounds.csv").open(encoding="utf-8", newline="") as table:
        slugs = {row["slug"] for row in csv.DictReader(table)}
    names = {k: v for k, v in Catalog.load("es").texts.items() if k.startswith("name.")}
    assert len(names) > 300
    assert {k.removeprefix("name.") for k in names} <= slugs
    assert len(set(names.values())) == len(names)


def test_every_category_has_a_name_for_people() -> None:
    texts = Catalog.load().texts
    with _bundled.path("libraries", "categories.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            first = row["category"].split("/")[0]
            assert f"category.{row['category']}" in texts or f"category.{first}" in texts


def test_advice_on_the_signal_is_that_of_the_engine() -> None:
    english = Catalog.load()
    for problem, advice in quality._ADVICE.items():
        assert english.say(f"advice.{problem}") == advice
    for technique, key in ((Technique.RAMAN, "_ftir"), (Technique.FTIR_ATR, "")):
        for snr in (9.0, 4.0, 0.5):
            spectrum = raman(GRID * 0 + 1, GRID).replace(technique=technique)
            said = quality._low_snr_advice(spectrum, snr)
            times = quality.times_longer(snr)
            hopeless = "" if times else "_hopeless"
            assert english.say(f"advice.low_snr{hopeless}{key}", times=times) == said


def test_sentences_of_the_engine_are_known_word_by_word() -> None:
    """Every assumption the engine may state has its text, so that none is shown in English by accident."""
    spanish = Catalog.load("es")
    said = [
        "There is no calibration for this version of the joint fit; its probabilities are not calibrated.",
        "The ranking took the Raman shift axis as the file or instrument gives it; the joint fit allowed for "
        "an error of it and found -0.4 cm⁻¹.",
        "The library 'mine' holds computed infrared references only; they give leads and name nothing.",
        "The technique was not stated; it was taken as infrared, the only kind in the library.",
        "How the infrared spectrum was sampled (ATR or transmission) was not stated; relative band heights "
        "may differ from the references'.",
        "The percent transmittance was converted to absorbance.",
        "The ordinate (counts) was taken as absorbance.",
        "No calibration exists for raman analyses; their probabilities are not calibrated.",
        "Calibration of all instruments was taken; there is none for 'bench'.",
        "Calibration of any number of components was taken; there is none for several.",
    ]
    for sentence in said:
        assert spanish.translated(sentence) != sentence
        assert Catalog.load().translated(sentence) == sentence
    assert "infrarrojo" in spanish.translated(said[3])
    assert "-0.4 cm⁻¹" in spanish.translated(said[1])
    assert spanish.translated("Something new.") == "Something new."


def test_those_sentences_are_in_the_source_of_the_engine() -> None:
    folder = Path(quality.__file__).parent
    source = "".join((folder / name).read_text(encoding="utf-8") for name in ("engine.py", "confidence.py"))
    joined = re.sub(r'"\s+f?"', "", source)
    of_records = ("assumption.prevalence", "assumption.real_spectra")
    for key, text in Catalog.load().texts.items():
        if key.startswith("assumption.") and key not in of_records:
            for plain, *_ in string.Formatter().parse(text):
                assert plain in joined, key


def test_assumptions_of_the_bundled_calibration_are_known() -> None:
    record = json.loads(_bundled.path("libraries", "confidence.json").read_text(encoding="utf-8"))["record"]
    spanish = Catalog.load("es")
    for sentence in record["made_from"]["assumptions"]:
        assert spanish.translated(sentence) != sentence


def test_wording_and_circumstances_need_nothing_of_the_engine() -> None:
    code = (
        "import sys; from spectralid.verdict import Catalog, Circumstances; "
        "Catalog.load('es'); Circumstances(); "
        "print([m for m in ('numpy', 'scipy', 'h5py', 'spectralid.identify') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
