"""What is printed moves nothing on the screen, whatever a file from outside calls itself."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.cli._main import main
from spectralid.cli._plain import PlainText, plain

HOSTILE = "caf\x1b[2K\x1b[1Ae\x07\x9b31m\x00ine\rIDENTIFIED: sugar \u202eesrever\u2066"


@given(st.text() | st.text(alphabet="\x00\x1b\r\n\t\x7f\x9b\u202ea"))
def test_nothing_that_moves_is_left_and_nothing_else_is_touched(text):
    shown = plain(text)
    assert not set(shown) & set("\x00\x07\x08\x1b\x7f\x9b\u202e\u2066\x0b\x0c")
    assert "\r" not in shown[1:].replace("\r\n", "")
    harmless = "".join(c for c in text if c.isprintable() or c in "\n\t")
    assert plain(harmless) == harmless


def test_progress_bars_and_line_ends_stay():
    assert plain("\r 10 %|█|") == "\r 10 %|█|"
    assert plain("a\r\nb\tc\n") == "a\r\nb\tc\n"
    stream = io.StringIO()
    assert PlainText(stream).write("\x1b") == 1
    assert stream.getvalue() == "\\x1b"


@pytest.mark.parametrize("command", ["info", "identify", "analyse"])
def test_a_hostile_file_says_what_it_is_called_and_no_more(tmp_path, capsys, command):
    path = tmp_path / "a\x1b[31mb.csv"
    points = "".join(f"{400 + i * 10},{1000 + (i % 7) * 50 + (5000 if i == 40 else 0)}\n" for i in range(160))
    path.write_text(f"# title: {HOSTILE}\n" + points, encoding="utf-8")
    main([command, str(path)])
    main([command, str(tmp_path / HOSTILE.replace("\x00", ""))])
    told = capsys.readouterr()
    said = told.out + told.err
    assert "\\x1b[31mb.csv" in said
    assert not set(said) & set("\x1b\x07\x9b\x00\r\u202e\u2066")
