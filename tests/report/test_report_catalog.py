"""Every language says everything, with the same facts."""

from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path

import pytest

import spectralid.report
from spectralid.report.words import Words
from spectralid.verdict.catalog import fields_of, flat, languages

FOLDER = Path(spectralid.report.__file__).parent


def texts(language):
    return dict(flat(tomllib.loads((FOLDER / "catalog" / language / "report.toml").read_text("utf-8"))))


@pytest.mark.parametrize("language", [name for name in languages(FOLDER / "catalog") if name != "en"])
def test_a_translation_has_the_keys_and_fields_of_the_original(language):
    original, translated = texts("en"), texts(language)
    assert translated.keys() == original.keys()
    for key, text in original.items():
        assert fields_of(translated[key]) == fields_of(text), key


def test_every_key_the_code_says_is_written_and_every_one_written_is_said():
    code = "".join(path.read_text("utf-8") for path in FOLDER.glob("*.py"))
    said = set(re.findall(r'(?:say|count)\(\s*f?"([a-z_0-9.]+)"', code))
    written = texts("en")
    for key in said:
        assert key in written or f"{key}.many" in written, key
    groups = {key.split(".")[0] for key in written}
    assert {"alarm", "kind", "section", "laboratory", "clock", "technique", "escalate"} <= groups


@pytest.mark.parametrize(
    ("language", "value", "shown"),
    [("en", 0.068, "6.8 %"), ("es", 0.068, "6,8 %"), ("en", 0.5, "50 %"), ("en", 0.0001, "< 0.1 %"),
     ("es", 0.0001, "< 0,1 %"), ("en", 0.0, "0.0 %"), ("en", 1.0, "100 %")],
)  # fmt: skip
def test_shares(language, value, shown):
    assert Words(language).share(value) == shown


@pytest.mark.parametrize(
    ("moment", "shown"),
    [("2026-11-22T12:31:07.512Z", "2026-11-22 12:31:07 UTC"), ("2026-11-22T12:31:07+02:00",) * 2,
     ("2026-11-22T12:31:07",) * 2, ("yesterday",) * 2, ("",) * 2],
)  # fmt: skip
def test_a_time_is_never_moved_to_another_zone(moment, shown):
    assert Words("en").time(moment) == shown


def test_codes_have_a_source_and_are_of_substances_on_the_list():
    bundled = FOLDER.parents[1] / "libraries" / "compounds.csv"
    with bundled.open(encoding="utf-8", newline="") as file:
        compounds = {row["slug"]: row for row in csv.DictReader(file)}
    with (FOLDER / "dea_codes.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert len({row["slug"] for row in table}) == len(table)
    for row in table:
        assert row["slug"] in compounds
        assert bool(row["dea_drug_code"]) == bool(row["source"]) == bool(row["listed_as"])
        assert re.fullmatch(r"(\d{4})?", row["dea_drug_code"])
    family = {row["slug"] for row in table if row["role"] == "family"}
    assert {s for s, c in compounds.items() if c["fentanyl_related"] in ("yes", "parent")} <= family
