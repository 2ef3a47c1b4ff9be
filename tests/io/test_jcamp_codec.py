"""The number forms of JCAMP-DX tables, against the worked examples of the standard and an encoder."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.io import _jcamp_codec
from spectralid.io._jcamp_codec import Malformed, Ordinates, decode_ordinates, decode_points


def ordinates(text: str) -> Ordinates:
    data = text.encode("ascii")
    return decode_ordinates(data, 0, len(data), 1)


# McDonald & Wilks 1988, table VII: one row of ten ordinates in every form.
TEN = [1, 2, 3, 3, 2, 1, 0, -1, -2, -3]


@pytest.mark.parametrize(
    "row",
    [
        "0 1 2 3 3 2 1 0 -1 -2 -3",
        "0+1+2+3+3+2+1+0-1-2-3",
        "0,1;2,3;3,2;1,0;-1,-2,-3",
        "0ABCCBA@abc",
        "0ABCTBA@abc",
        "0AJJ%jjjjjj",
        "0AJJ%jX",
        "0AJT%jX",
        "0 1JJ%jX",
        "0A B+3C 2 1@abc",
    ],
)
def test_every_form_of_the_standards_ten_ordinates(row):
    assert ordinates(row).values.tolist() == TEN


# The same, table VI: 53 ordinates in DIFDUP form with the checkpoint line.
DIFDUP = "599.860@VKT%TLkj%J%KLJ%njKjL%kL%jJULJ%kLK1%lLMNPNPRLJ0QTOJ1P\n700.158A28 $$ checkpoint\n"
FIFTY_THREE = """0 0 0 0 2 4 4 4 7 5 4 4 5 5 7 10 11 11 6 5 7 6 9 9 7 10 10 9 10 11 12 15 16 16 14 17 38 38
35 38 42 47 54 59 66 75 78 88 96 104 110 121 128"""


def test_the_standards_difdup_example_with_its_checkpoint():
    rows = ordinates(DIFDUP)
    assert rows.values.tolist() == [float(v) for v in FIFTY_THREE.split()]
    # The checkpoint line belongs to the last point and adds none.
    assert rows.starts.tolist() == [0, 52]
    assert rows.abscissae.tolist() == [599.86, 700.158]
    assert rows.quantum == pytest.approx(0.001)


def test_a_failed_ordinate_check_names_the_line():
    with pytest.raises(Malformed, match=r"ordinate check fails.*begins with 4.*ended at -1") as caught:
        ordinates("599+1jj\n600+4jj\n601+2\n")
    assert caught.value.line == 2


def test_a_closing_line_of_a_single_zero_is_no_failed_check():
    assert ordinates("1AJJ\n3@\n").values.tolist() == [1, 2, 3]
    with pytest.raises(Malformed, match="ordinate check fails"):
        ordinates("1AJJ\n3@\n4AJ\n")


def test_a_repeat_after_the_check_repeats_the_point():
    assert ordinates("1AJJ\n3CT\n").values.tolist() == [1, 2, 3, 3]


def test_e_is_an_exponent_only_where_no_pseudo_digits_are():
    assert ordinates("1.5E2 1E3 2e-1").values.tolist() == [1000.0, 0.2]
    # E alone: numbers if that makes rows, else pseudo-digits.
    assert ordinates("0E12\n1E3E4").values.tolist() == [512.0, 53.0, 54.0]
    assert ordinates("400E3e\n402A").values.tolist() == [53.0, -5.0, 1.0]
    assert ordinates("4E+02A1E+1").values.tolist() == [11.0, 5.0, 1.0]


@pytest.mark.parametrize("row", ["10 1 ? 3", "10+1?+3", "10A?C", "10 1 NaN 3", "10 1,nan,3"])
def test_question_marks_are_missing_points(row):
    np.testing.assert_array_equal(ordinates(row).values, [1, np.nan, 3])


def test_missing_points_repeat():
    np.testing.assert_array_equal(ordinates("10A?UB").values, [1, np.nan, np.nan, np.nan, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10 1 2\n20\n", "no ordinate"),
        ("A1B2\n", "begin with an abscissa"),
        ("? 1\n", "begin with an abscissa"),
        (",\n", "begin with an abscissa"),
        ("10AB\n,\n", "begin with an abscissa"),
        ("10 1 two 3\n", "packed ordinate"),
        ("10 1 # 3\n", "not a row of numbers"),
        ("10 1.2.3 4\n", "not a row of numbers"),
        ("10T\n", "repeat count"),
        ("10AST\n", "repeat count"),
        ("10J\n", "difference"),
        ("10A?J\n", "difference"),
        ("10AJs99999999999999999999\n", "more than"),
        ("10AZ99999999\n", "more than"),
    ],
)
def test_damage_is_named(text, message):
    with pytest.raises(Malformed, match=message):
        ordinates(text)


def test_an_endless_line_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(_jcamp_codec, "MAXIMUM_LINE_BYTES", 100)
    assert ordinates("1 " + "2 " * 40).values.size == 40
    with pytest.raises(Malformed, match="longer than"):
        ordinates("1 " + "2 " * 60)


def test_the_point_limit_holds_across_lines(monkeypatch):
    monkeypatch.setattr(_jcamp_codec, "MAXIMUM_POINTS", 4)
    assert ordinates("1 1 2\n3 3 4\n").values.size == 4
    for text in ("1 1 2\n3 3 4 5\n", "1ABC\n3DE\n", "1AX\n"):
        with pytest.raises(Malformed, match="more than"):
            ordinates(text)
    with pytest.raises(Malformed, match="more than"):
        decode_points(b"1 2 3 4 5 6 7 8 9 10\n", 0, 21, 1)


@pytest.mark.parametrize(
    "text", ["1 2\n3 4\n", "1,2 3,4", "1, 2; 3, 4;", "1+2+3+4", "  1\t2\n$$ no\n\n3 4 $$ 5 6\n"]
)
def test_pairs_in_every_layout(text):
    data = text.encode()
    x, y = decode_points(data, 0, len(data), 1)
    assert x.tolist() == [1, 3]
    assert y.tolist() == [2, 4]


def test_half_a_pair_names_its_line():
    with pytest.raises(Malformed, match="whole") as caught:
        decode_points(b"1 2\n3 4 5\n", 0, 10, 41)
    assert caught.value.line == 42


def digit(value: int, forms: str, zero: str) -> str:
    """`value` with its first digit and sign replaced by a pseudo-digit; `forms` holds 1 … 9, -1 … -9."""
    if value == 0:
        return zero
    text = str(abs(value))
    return forms[int(text[0]) - 1 + (0 if value > 0 else 9)] + text[1:]


def encode(values: list[int], per_line: int, *, differences: bool, repeats: bool) -> str:
    """A plain encoder, written from the standard's table of pseudo-digits."""
    lines = []
    step = per_line
    for start in range(0, len(values), step):
        first = start - 1 if differences and start else start
        row = values[first : start + step]
        words = [digit(row[0], "ABCDEFGHIabcdefghi", "@")]
        for before, value in pairwise(row):
            if differences:
                words.append(digit(value - before, "JKLMNOPQRjklmnopqr", "%"))
            else:
                words.append(digit(value, "ABCDEFGHIabcdefghi", "@"))
        text, at = "", 0
        while at < len(words):
            run = 1
            # The first ordinate of a difference line is absolute and cannot share a run with differences.
            while repeats and at + run < len(words) and words[at + run] == words[at]:
                run += 1
            text += words[at] + (digit(run, "STUVWXYZs", "") if run > 1 else "")
            at += run
        lines.append(f"{first}{text}")
    if differences and len(values) > 1 and (len(values) % step != 1 or len(values) > step):
        lines.append(f"{len(values) - 1}{digit(values[-1], 'ABCDEFGHIabcdefghi', '@')}")
    return "\n".join(lines)


@given(
    values=st.lists(st.integers(-3, 3) | st.integers(-(10**9), 10**9), min_size=1, max_size=80),
    per_line=st.integers(2, 12),
    differences=st.booleans(),
    repeats=st.booleans(),
)
def test_what_an_encoder_packs_is_unpacked(values, per_line, differences, repeats):
    text = encode(values, per_line, differences=differences, repeats=repeats)
    rows = ordinates(text)
    assert rows.values.tolist() == values
    assert rows.abscissae.tolist() == rows.starts.tolist()


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_named_malformed(data):
    for decode in (decode_ordinates, decode_points):
        with suppress(Malformed):
            decode(data, 0, len(data), 1)
