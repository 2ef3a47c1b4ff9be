"""The line of every key, against texts whose lines are known because they were written line by line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid import _bundled
from spectralid.verdict.toml_lines import Place, line_of, lines

TEXT = '''\
# comment with [brackets] = "and quotes
top = 1
"quoted key" = 2
'single.quoted' = 3
dotted.key = 4
dotted."other key" = 5
long = """
first "" line
[not.a.table]
key = "in text" \\"""
last"""
literal = \'\'\'
it's \\ [[here]]
\'\'\'
ended = """x""""
list = [
  1, # one ]
  "two, [three]",

  [4, 5], { six = 6, seven.eight = 8 },
]
empty = []

[table] # comment
a = 'C:\\path\\'
b = { c = 1, d = { e = 2 } }
date = 1979-05-27T07:32:00Z

[table.sub]
f = true

  [[rules]]
  name = "first"
  [rules.more]
  g = 1
[[rules]]
name = "second"
items = [ "x",
          "y" ]
[[rules.parts]]
h = 1
[[rules.parts]]
h = 2
["strange [table]"]
i = 1
'''


def test_every_kind_of_key_is_found() -> None:
    found = lines(TEXT)
    assert {place: found[place] for place in found if place} == {
        ("top",): 2,
        ("quoted key",): 3,
        ("single.quoted",): 4,
        ("dotted",): 5,
        ("dotted", "key"): 5,
        ("dotted", "other key"): 6,
        ("long",): 7,
        ("literal",): 12,
        ("ended",): 15,
        ("list",): 16,
        ("list", 0): 17,
        ("list", 1): 18,
        ("list", 2): 20,
        ("list", 2, 0): 20,
        ("list", 2, 1): 20,
        ("list", 3): 20,
        ("list", 3, "six"): 20,
        ("list", 3, "seven"): 20,
        ("list", 3, "seven", "eight"): 20,
        ("empty",): 22,
        ("table",): 24,
        ("table", "a"): 25,
        ("table", "b"): 26,
        ("table", "b", "c"): 26,
        ("table", "b", "d"): 26,
        ("table", "b", "d", "e"): 26,
        ("table", "date"): 27,
        ("table", "sub"): 29,
        ("table", "sub", "f"): 30,
        ("rules",): 32,
        ("rules", 0): 32,
        ("rules", 0, "name"): 33,
        ("rules", 0, "more"): 34,
        ("rules", 0, "more", "g"): 35,
        ("rules", 1): 36,
        ("rules", 1, "name"): 37,
        ("rules", 1, "items"): 38,
        ("rules", 1, "items", 0): 38,
        ("rules", 1, "items", 1): 39,
        ("rules", 1, "parts"): 40,
        ("rules", 1, "parts", 0): 40,
        ("rules", 1, "parts", 0, "h"): 41,
        ("rules", 1, "parts", 1): 42,
        ("rules", 1, "parts", 1, "h"): 43,
        ("strange [table]",): 44,
        ("strange [table]", "i"): 45,
    }


def test_what_is_missing_is_told_where_it_would_be() -> None:
    found = lines(TEXT)
    assert line_of(found, ("rules", 1, "absent")) == 36
    assert line_of(found, ("table", "b", "d", "x", "y")) == 26
    assert line_of(found, ("absent", "altogether")) == 1


def places_of(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every place of a parsed document."""
    yield place
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places_of(item, (*place, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from places_of(item, (*place, position))


@pytest.mark.parametrize("text", [TEXT, "", "\n\n# only a comment", "a = 1", "[a]", "a.b.c = [[], [{}]]"])
def test_it_finds_what_the_parser_finds_and_nothing_else(text: str) -> None:
    assert set(places_of(tomllib.loads(text))) == set(lines(text))


KEYS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\x7f", exclude_categories=["Cc"]), max_size=8
)
CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc"])
SCALARS = st.one_of(
    st.integers(-99, 99).map(str),
    st.booleans().map(lambda b: str(b).lower()),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.sampled_from(["1979-05-27", "07:32:00", "inf", "0xff"]),
    st.text(CHARACTERS).map(lambda s: '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'),
    st.text(CHARACTERS).map(lambda s: '"""\n' + s.replace("\\", "\\\\").replace('"', '\\"') + '\n\n"""'),
    st.text(CHARACTERS).map(lambda s: "'" + s.replace("'", "") + "'"),
    st.text(CHARACTERS).map(lambda s: "'''" + s.replace("'", "") + "\n'''"),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(inner, max_size=3).map(
            lambda items: "[ # ] comment\n" + "".join(f"  {i},\n" for i in items) + "]"
        ),
        st.dictionaries(KEYS, SCALARS.filter(lambda s: "\n" not in s), max_size=2).map(
            lambda table: "{" + ", ".join(f"{_key(k)} = {v}" for k, v in table.items()) + "}"
        ),
    ),
    max_leaves=5,
)


def _key(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "[{}]", "[[{}]]"]),
            KEYS,
            st.dictionaries(KEYS, VALUES, max_size=3),
            st.integers(0, 2),
        ),
        max_size=5,
    )
)
def test_generated_documents(parts: list[tuple[str, str, dict[str, str], int]]) -> None:
    """Each key starts at the line it was written at, whatever stands in the values before it."""
    written: list[str] = []
    expected: dict[Place, int] = {}
    counts: dict[str, int] = {}
    kinds: dict[str, str] = {}
    for number, (header, name, pairs, blank) in enumerate(parts):
        # Pairs before the first header are the document's own.
        place: Place = ()
        if header or number:
            header = header or "[{}]"
            if kinds.setdefault(name, header) != header or (header == "[{}]" and name in counts):
                continue
            counts[name] = counts.get(name, -1) + 1
            expected.setdefault((name,), _next(written))
            place = (name, counts[name]) if header == "[[{}]]" else (name,)
            expected[place] = expected[place] if place in expected else _next(written)
            written.append(header.format(_key(name)) + " # [comment]")
        for key, value in pairs.items():
            if not place:
                if key in kinds:
                    continue
                kinds[key] = "value"
            expected[(*place, key)] = _next(written)
            written.append(f"{_key(key)} = {value}")
        written += ["# a = 1"] * blank
    text = "\n".join(written)
    found = lines(text)
    assert set(places_of(tomllib.loads(text))) == set(found)
    for place, line in expected.items():
        assert found[place] == line, (place, text)


def _next(written: list[str]) -> int:
    return sum(part.count("\n") + 1 for part in written) + 1


def test_files_of_the_project(request: pytest.FixtureRequest) -> None:
    files = [request.config.rootpath / "pyproject.toml", *_bundled.path("devices").rglob("*.toml")]
    assert len(files) > 3
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert set(places_of(tomllib.loads(text))) == set(lines(text))
