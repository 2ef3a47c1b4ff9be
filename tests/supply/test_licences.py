"""The licence audit: what is installed passes; what must not pass does not."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_everything_installed_is_allowed(licences) -> None:
    within, tools = licences.audit()
    assert licences.faults(within, tools) == []
    assert {"numpy", "scipy", "h5py", "tqdm"} <= {f.name for f in within if f.asked_by == "core"}
    assert any(f.native for f in within)


def test_the_pages_are_all_our_own(licences) -> None:
    assert licences.script_faults() == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("lib.min.js", "a", "looks minified"),
        ("lib.js", "/*! Copyright 2020 Somebody */", "carries a notice"),
        ("page.html", '<script src="https://cdn.example/lib.js"></script>', "loads something from elsewhere"),
        ("lib.js", "import x from '//cdn.example/x.js'", "loads something from elsewhere"),
        ("style.css", "@import url(https://fonts.example/f.css)", "loads something from elsewhere"),
    ],
)
def test_third_party_code_in_a_page_is_seen(
    licences, tmp_path: Path, name: str, text: str, said: str
) -> None:
    folder = tmp_path / "spectralid" / "tablet" / "static" / "js"
    folder.mkdir(parents=True)
    (folder / name).write_text(text, encoding="utf-8")
    assert any(said in fault for fault in licences.script_faults(tmp_path))


@pytest.mark.parametrize(
    ("says", "expression", "rank"),
    [
        ("MIT", "MIT", 0),
        ("MIT License", "MIT", 0),
        ("BSD-3-Clause AND MIT", "BSD-3-Clause AND MIT", 0),
        ("MPL-2.0 AND MIT", "MPL-2.0 AND MIT", 1),
        ("LGPL-3.0-only", "LGPL-3.0-only", 1),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", "GPL-3.0-or-later WITH GCC-exception-3.1", 1),
        ("GPL-3.0-or-later", "GPL-3.0-or-later", 2),
        ("GPL-2.0-only OR MIT", "GPL-2.0-only OR MIT", 0),
        ("GPL-2.0-only AND MIT", "GPL-2.0-only AND MIT", 2),
        ("AGPL-3.0-only", "AGPL-3.0-only", 2),
        ("Our Own Terms 7", None, 2),
        ("LicenseRef-Somebodys", None, 2),
        ("MIT AND", None, 2),
        ("", None, 2),
    ],
)
def test_reading_and_ranking(licences, says: str, expression: str | None, rank: int) -> None:
    assert licences.read("a-package", says) == expression
    assert licences.rank(licences.read("a-package", says)) == rank


def test_a_read_licence_holds_only_while_the_metadata_says_the_same(licences) -> None:
    assert licences.read("zict", "BSD") == "BSD-3-Clause"
    assert licences.read("zict", "Proprietary") is None


@pytest.mark.parametrize(
    ("name", "expression", "native", "said"),
    [
        ("left-pad", None, False, "licence unknown"),
        ("left-pad", "GPL-3.0-or-later", False, "is not allowed"),
        ("left-pad", "MPL-2.0", False, "not accepted by name"),
        ("libleft", None, True, "licence unknown"),
        ("tqdm", "MPL-2.0 AND MIT", False, None),
    ],
)
def test_what_may_not_be_in_the_product(
    licences, name: str, expression: str | None, native: bool, said: str | None
) -> None:
    finding = licences.Finding(name, "1.0", "core", "?", expression, licences.rank(expression), native)
    found = licences.faults([finding], [])
    assert len(found) == (said is not None)
    assert said is None or said in found[0]
