"""A mistake in a policy file is refused with its line and reason; what may be left out is listed here."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spectralid.verdict
from spectralid.errors import FileError, ParameterError
from spectralid.verdict import Alarm, Policy, PolicyError, default_policy, load_policy
from spectralid.verdict.catalog import Catalog, topics_of
from spectralid.verdict.policy_file import FLOOR_FAMILIES, HAZARDS, read_policy
from spectralid.verdict.toml_lines import Place

TEXT = (Path(spectralid.verdict.__file__).parent / "policy.toml").read_text(encoding="utf-8")
TABLE = tomllib.loads(TEXT)


def read(text: str) -> Policy:
    return read_policy(text.encode(), "mine.toml")


def refused(text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        read(text)
    return caught.value


def outcome(data: bytes) -> Policy | PolicyError:
    try:
        return read_policy(data, "mine.toml")
    except PolicyError as error:
        return error


def changed(before: str, after: str) -> tuple[str, int]:
    """The default with one place changed, and the line of that place."""
    assert TEXT.count(before) == 1, before
    return TEXT.replace(before, after), TEXT[: TEXT.index(before)].count("\n") + 1


# One by one.


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('schema = "spectralid.policy/1"', 'schema = "spectralid.policy/2"', "must be 'spectralid.policy/1'"),
        ('name = "spectralid default"', "name = 5", "text on one line"),
        ('name = "spectralid default"', 'name = " "', "text on one line"),
        ('name = "spectralid default"', 'nmae = "x"', "perhaps 'name' is meant"),
        ('version = "1"', "version = 1", "text on one line"),
        ('languages = ["en", "es"]', 'languages = ["en", "fr"]', "brings no texts in 'fr'"),
        ('languages = ["en", "es"]', 'languages = ["English"]', "no language code"),
        ('languages = ["en", "es"]', 'languages = ["en", "en"]', "twice"),
        ('languages = ["en", "es"]', "languages = []", "not empty"),
        ("margin = 0.05", "margin = 5", "from 0.01 to 0.5; it is 5"),
        ("margin = 0.05", 'margin = "0.05"', "must be a number"),
        ("margin = 0.05", "margin = true", "must be a number"),
        ("margin = 0.05", "margin = nan", "must be a number"),
        ("margin = 0.05", "margin = inf", "must be a number"),
        ("margin = 0.05", "margins = 0.05", "perhaps 'margin' is meant"),
        ("named_from = 0.95", "named_from = 0.5", "from 0.8 to 0.999"),
        ("named_at_most = 5", "named_at_most = 5.5", "whole number"),
        ("qa_rate = 0.02", "qa_rate = -0.1", "from 0 to 1"),
        ("no_match = true", 'no_match = "yes"', "true or false"),
        ('alarm_from = "warning"', 'alarm_from = "unknown"', "'danger' or 'warning' or 'notice'"),
        ('instrument_failed = "withhold"', 'instrument_failed = "no"', "'mark' or 'escalate' or 'withhold'"),
        ("library_days = 180", "library_days = 0", "whole number from 1"),
        ('cwa = { alarm = "danger"', 'cwa = { alarm = "warning"', "alarm of 'cwa' may not be lowered"),
        (
            'ultra-potent-opioid = { alarm = "danger"',
            'ultra-potent-opioid = { alarm = "notice"',
            "'ultra-potent-opioid' may not be lowered",
        ),
        ('explosive = { alarm = "danger"', 'explosive = { alarm = "off"', "must be 'danger' or"),
        ('precaution = "flammable"', 'precaution = "flamable"', "perhaps 'flammable' is meant"),
        ("flammable = {", "flamable = {", "perhaps"),
        ("drug = {", "none = {", "'none' is what a library says"),
        ('IV = ["controlled"]', 'IV = ["controled"]', "no hazard 'controled'; perhaps 'controlled' is meant"),
        ('IV = ["controlled"]', 'VI = ["controlled"]', "no key 'VI'"),
        ('IV = ["controlled"]', "IV = []", "not empty"),
        ('"nitazene" = "ultra-potent-opioid"', '"nitazene" = "controlled"', "'nitazene' may not be lowered"),
        ('"amphetamine" = "controlled"', '"amphetamin" = "controlled"', "no family 'amphetamin'"),
        ('"amphetamine" = "controlled"', '"amphetamine" = "speed"', "no hazard 'speed'"),
        ('fentanyl_related = ["yes", "parent"]', 'fentanyl_related = ["maybe"]', "no answer 'maybe'"),
        ('categories = ["pesticide"]', 'categories = ["pestizide"]', "no category 'pestizide'"),
        ('categories = ["pesticide"]', 'category = ["pesticide"]', "perhaps 'categories' is meant"),
        ('categories = ["pesticide"]', 'categories = "pesticide"', "list of texts"),
        ('categories = ["pesticide"]', "categories = [1]", "texts only"),
        ('compounds = ["bz", ', 'compounds = ["bzz", ', "no compound 'bzz'"),
        ('precautions = ["cutting"]', 'precautions = ["cuting"]', "perhaps 'cutting' is meant"),
        ('name = "pesticides"', 'name = "medicines"', "two rules are called 'medicines'"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_its_line(before: str, after: str, why: str) -> None:
    text, line = changed(before, after)
    error = refused(text)
    told = [problem for problem in error.problems if why in problem.reason]
    assert told, [p.reason for p in error.problems]
    # The second of two rules of one name is the one to rename, wherever it was edited.
    expected = TEXT[: TEXT.index('name = "medicines"')].count("\n") + 1 if "two rules" in why else line
    assert told[0].line == expected
    assert all(p.reason.endswith((".", "…")) for p in error.problems)


def test_the_error_names_file_line_and_reason() -> None:
    text, line = changed("margin = 0.05", "margin = 5")
    error = refused(text)
    assert isinstance(error, FileError)
    assert error.line == line
    assert (
        str(error) == f"mine.toml, line {line}: thresholds.margin must be a number from 0.01 to 0.5; it is 5."
    )


def test_several_mistakes_are_told_together_by_line() -> None:
    text = TEXT.replace("margin = 0.05", "margin = 5").replace(
        'categories = ["tic"]', 'categories = ["tick"]'
    )
    text = text.replace('IV = ["controlled"]', 'IV = ["controled"]') + "\n[extra]\na = 1\n"
    error = refused(text)
    assert len(error.problems) == 4
    assert [p.line for p in error.problems] == sorted(p.line for p in error.problems)
    for problem in error.problems[1:]:
        assert f"line {problem.line}: {problem.reason}" in str(error)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('schema = "spectralid.policy/1"\nname = "x\n', 2, "not valid TOML"),
        ("a = 1\na = 2\n", 2, "not valid TOML"),
        ("a = 1\n\n[b\nc = 1\n", 3, "not valid TOML"),
        ('a = """\nnever\nended\n', 3, "not valid TOML"),
        ("", 1, "'schema' is missing"),
        ("a = " + "[" * 5000, 1, ""),
    ],
)
def test_what_is_no_toml_has_its_line(text: str, line: int, why: str) -> None:
    error = refused(text)
    assert error.line == line
    assert why in str(error)


def test_however_deep_it_is_nested_it_is_refused() -> None:
    for depth in range(50, 1200, 50):
        for open_, close in (("[", "]"), ("{a=", "}")):
            error = refused(f"{TEXT}\nx = {open_ * depth}1{close * depth}\n")
            assert len(str(error)) < 500


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path / "none.toml")
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path)
    broken = TEXT.encode().replace(b"pesticides", b"pesticid\xe9s")
    with pytest.raises(PolicyError, match="UTF-8") as caught:
        read_policy(broken, "x")
    assert caught.value.line == TEXT[: TEXT.index('"pesticides"')].count("\n") + 1


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    policy = read_policy(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode(), "x")
    assert policy == default_policy()
    assert policy.sha256 == default_policy().sha256
    text, line = changed("margin = 0.05", "margin = 5")
    with pytest.raises(PolicyError) as caught:
        read_policy(text.replace("\n", "\r\n").encode(), "x")
    assert caught.value.line == line


# What must not be silenced.


@pytest.mark.parametrize(
    "start",
    [
        "[[rules]]\nname = \"fentanyl-related by the federal structure rule, any weight\"",
        "[[rules]]\nname = \"fentanyl-like and nitazenes, on a list or not\"",
        "[[rules]]\nname = \"primary explosives and peroxides\"",
        "[[rules]]\nname = \"explosives, and oxidizers of improvised ones\"",
        "[[rules]]\nname = \"chemical warfare agents\"",
    ],
)  # fmt: skip
def test_the_rules_for_what_kills_cannot_be_left_out(start: str) -> None:
    begin = TEXT.index(start)
    end = TEXT.index("[[rules]]", begin + 5)
    error = refused(TEXT[:begin] + TEXT[end:])
    assert "may not be lowered" in error.reason
    # What is missing has no line: it is that of the rules, or of a rule about the same that is too weak.
    without = TEXT[:begin] + TEXT[end:]
    headers = [i for i, line in enumerate(without.splitlines(), 1) if line == "[[rules]]"]
    assert all(p.line in headers for p in error.problems)


def test_a_rule_for_what_kills_cannot_be_made_weaker() -> None:
    begin = TEXT.index('categories = ["cwa/nerve"')
    text = TEXT[:begin] + TEXT[begin:].replace('hazards = ["cwa"]', 'hazards = ["toxic"]', 1)
    error = refused(text)
    assert {p.line for p in error.problems} == {TEXT[:begin].count("\n") - 1}
    assert len(error.problems) == 3


# Every key of the default, left out or of another type. The text is written anew with one key on each line,
# so that the line expected does not come from the code under test.


def written(table: Mapping[str, Any]) -> tuple[str, dict[Place, int]]:
    """A document as TOML with its places, each key and table on a line of its own."""
    out: list[str] = []
    places: dict[Place, int] = {(): 1}

    def put(line: str, place: Place) -> None:
        out.append(line)
        places.setdefault(place, len(out))

    def section(values: Mapping[str, Any], place: Place, header: str) -> None:
        if header:
            put(header, place)
        for key, value in values.items():
            if not isinstance(value, Mapping) and not _tables(value):
                put(f"{json.dumps(key)} = {json.dumps(value)}", (*place, key))
        for key, value in values.items():
            path = ".".join(json.dumps(k) for k in (*place, key) if isinstance(k, str))
            if isinstance(value, Mapping):
                section(value, (*place, key), f"[{path}]")
            elif _tables(value):
                places[(*place, key)] = len(out) + 1
                for position, item in enumerate(value):
                    section(item, (*place, key, position), f"[[{path}]]")

    section(table, (), "")
    return "\n".join(out), places


def _tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def keys(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every key of the document, and every table in an array."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if _tables(value) else ()
    for key, item in items:
        yield (*place, key)
        yield from keys(item, (*place, key))


KEYS = list(keys(TABLE))


def optional(place: Place) -> bool:
    """What docs/policy.md says may be left out, where nothing else needs it."""
    match place:
        case ("families", name):
            return name not in FLOOR_FAMILIES
        case ("rules", int()):
            return True
        case ("rules", int(), key):
            return key != "name"
    return False


def test_written_anew_it_is_the_same_policy() -> None:
    assert read(written(TABLE)[0]) == default_policy()


@pytest.mark.parametrize("place", KEYS)
def test_each_key_left_out(place: Place) -> None:
    table = copy.deepcopy(TABLE)
    parent: Any = table
    for key in place[:-1]:
        parent = parent[key]
    del parent[place[-1]]
    text, places = written(table)
    found = outcome(text.encode())
    if isinstance(found, Policy):
        assert optional(place)
        assert found.sha256 != default_policy().sha256
        return
    reasons, told = [p.reason for p in found.problems], [p.line for p in found.problems]
    name = str(place[-1])
    if place[0] == "hazards" and len(place) == 2 and name not in HAZARDS:
        # Nobody misses it but those that name it.
        assert all(f"no hazard {name!r}" in reason for reason in reasons)
        assert all(json.dumps(name) in text.splitlines()[line - 1] for line in told)
    elif optional(place):
        # A rule that is about nothing, does nothing, or was needed.
        rules = {line for p, line in places.items() if p[:1] == ("rules",) and len(p) in (1, 2)}
        assert rules.issuperset(told)
        for reason in reasons:
            assert any(w in reason for w in ("about nothing", "does nothing", "may not be lowered")), reason
    else:
        assert any(p.line == places[place[:-1]] and repr(name) in p.reason for p in found.problems)


@pytest.mark.parametrize("place", KEYS)
def test_each_value_of_another_type(place: Place) -> None:
    table = copy.deepcopy(TABLE)
    parent: Any = table
    for key in place[:-1]:
        parent = parent[key]
    value = parent[place[-1]]
    if isinstance(place[-1], int):
        # One of several tables cannot be another thing in TOML's own notation; the array as a whole can.
        parent, place = table, ("rules",)
        value = table["rules"]
    parent[place[-1]] = "x" if isinstance(value, bool | int | float) else 7
    text, places = written(table)
    error = refused(text)
    assert any(p.line == places[place] for p in error.problems), [(p.line, p.reason) for p in error.problems]


@given(
    st.integers(0, len(TEXT.encode()) - 1),
    st.sampled_from([b"", b'"', b"[", b"]", b"\n", b"=", b"{", b"x", b"\x00", b"\xff", b"0", b"'''", b"# "]),
    st.integers(0, 40),
)
def test_any_damage_ends_as_a_policy_or_as_one_error_with_lines(at: int, put: bytes, cut: int) -> None:
    data = TEXT.encode()
    data = data[:at] + put + data[at + cut :]
    found = outcome(data)
    if isinstance(found, Policy):
        assert found.hazards["cwa"].alarm is Alarm.DANGER
    else:
        last = data.count(b"\n") + 1
        assert all(1 <= p.line <= last and p.reason for p in found.problems)


# Wording.


def with_wording(text: str) -> str:
    return f"{TEXT}\n{text}\n"


@pytest.mark.parametrize(
    ("wording", "offset", "why"),
    [
        ('[wording.en]\n"precaution.cwaa" = "x"\n"headline.nomatch" = "y"', 2, "perhaps 'headline.no_match'"),
        ('[wording.en]\n"words.matches" = "It matches."', 1, "a text with {name}"),
        ('[wording.en]\n"words.matches" = "{name} and {more}"', 1, "a text with {name}"),
        ('[wording.en]\n"words.matches" = "{name!r}"', 1, "not a plain field"),
        ('[wording.en]\n"words.matches" = "{name"', 1, "a text with {name}"),
        ('[wording.en]\n"headline.no_match" = ""', 1, "not empty"),
        ('[wording.en]\n"headline.no_match" = 5', 1, "not empty"),
        ('[wording.en]\n\n"headline.no_match" = "There is no fentanyl."', 2, "never says"),
        ('[wording.es]\n"precaution.cwa" = "Es inofensivo."', 1, "never says"),
        ('[wording.en.headline]\nno_match = """\nThis is\nharmless."""', 1, "never says"),
        ("[wording]\nen.words.matches = 'none'", 1, "a text with {name}"),
        ("[wording.fr]\n'list.and' = 'et'", 0, "not among languages"),
        ("[wording]\nen = 5", 1, "must be a table"),
    ],
)
def test_wording_must_fit(wording: str, offset: int, why: str) -> None:
    error = refused(with_wording(wording))
    start = TEXT.count("\n") + 2
    assert any(why in p.reason and p.line == start + offset for p in error.problems), str(error)


def test_an_agency_rewords_and_adds_precautions() -> None:
    text = with_wording(
        '[wording.en]\n"precaution.cwa" = "Call {{5}}."\n"precaution.dogs" = "Keep dogs away."\n'
        '[wording.es]\nprecaution.dogs = "Aleje a los perros."'
    )
    text = text.replace('precautions = ["cutting"]', 'precautions = ["cutting", "dogs"]')
    policy = read(text)
    assert policy.catalog("en").say("precaution.cwa") == "Call {5}."
    assert policy.catalog("es").say("precaution.dogs") == "Aleje a los perros."
    assert policy.catalog("es").say("precaution.cwa") == Catalog.load("es").say("precaution.cwa")
    assert policy.sha256 != default_policy().sha256


def test_a_new_precaution_needs_its_text_in_every_language() -> None:
    text, line = changed('precautions = ["cutting"]', 'precautions = ["cutting", "dogs"]')
    assert "there is no precaution 'dogs'" in refused(text).reason
    error = refused(f'{text}\n[wording.en]\n"precaution.dogs" = "Keep dogs away."\n')
    assert (error.line, "has no text in 'es'" in error.reason) == (line, True)


def french() -> str:
    texts = Catalog.load(topics=topics_of("en")).texts
    return "[wording.fr]\n" + "\n".join(f"{json.dumps(k)} = {json.dumps('« ' + t)}" for k, t in texts.items())


def test_a_whole_language_can_be_added() -> None:
    text = with_wording(french()).replace('languages = ["en", "es"]', 'languages = ["fr"]')
    policy = read(text)
    assert policy.catalog("fr", topics=topics_of("en")).say("list.and") == "« and"
    with pytest.raises(ParameterError):
        policy.catalog("en")


def test_an_added_language_must_be_whole() -> None:
    text = with_wording(french()).replace('languages = ["en", "es"]', 'languages = ["en", "fr"]')
    lines = text.splitlines()
    text = "\n".join(
        line for line in lines if not line.startswith(('"headline.no_match"', '"precaution.basic"'))
    )
    error = refused(text)
    assert "2 texts are missing in 'fr'" in error.reason
    assert error.line == lines.index("[wording.fr]") + 1


# Substances of an agency's own library.


def test_categories_and_compounds_of_a_library_of_ones_own() -> None:
    text = TEXT.replace('categories = ["pesticide"]', 'categories = ["pesticide", "seized/unknown"]')
    text = text.replace('compounds = ["bz", ', 'compounds = ["bz", "case-17", ')
    assert len(refused(text).problems) == 2
    own = '\n[own]\ncategories = ["seized/unknown"]\ncompounds = ["case-17"]\n'
    policy = read(text + own)
    assert any("case-17" in rule.compounds for rule in policy.rules)
    assert "no key 'compound'" in refused(text + own.replace("compounds", "compound")).problems[-1].reason
